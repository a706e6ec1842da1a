"""Figures 20 and 21: what is asked of the ledger, beside plain SQLite FTS5 over the same texts.

Both sides do the same work: find what has the word, ranked by BM25 with titles three times as heavy as the rest; count all that was
found, by five facets too; fetch the descriptions of the first twenty. What is searched are the documents of the ledger's own record, so
both find the same products. FTS5 is asked in this process, on a file in the page cache that SQLite may map whole; the ledger is asked
over HTTP, and its time includes viewers' rights, paging and rendering.

Without a crawl the record and the index are written here, by the product's own writers, with the rows that a crawl of the crowd gives.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import sqlite3
import statistics
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from connector.controlplane.clock import SystemClock
from connector.federation.documents import document_of
from connector.federation.following import Indexer
from connector.federation.reading import entry_of
from connector.federation.tantivy_index import TantivyIndex
from connector.ports.catalog import Listed, Product, Records, Report, Snapshot
from connector.storage.catalog import open_records
from tests.bench import crowd, figures
from tests.bench.asked import Asked

_FACETED: Final = ("theme", "publisher", "region", "format", "license")
WORDS: Final = ("traffic", "water", "hospital", "forest", "hotels", "noise", "schools", "wind", "quality", "parking")
QUERIES: Final[dict[str, str]] = {
    "one word": "q=electricity",
    "two words": "q=air+quality",
    "German": "q=Stromverbrauch+Haushalt",
    "French": "q=consommation+%C3%A9lectrique",
    "Chinese": "q=%E7%A9%BA%E6%B0%94%E8%B4%A8%E9%87%8F",
    "text and facets": "q=traffic&facets=theme,publisher,region,format,license",
    "text, filter and facets": "q=measurements&theme=energy&region=DEU&facets=theme,publisher,format",
    "for a purpose": "q=data&purpose=research&facets=theme",
    "latest, filtered": "sort=modified&license=https%3A%2F%2Fcreativecommons.org%2Flicenses%2Fby%2F4.0%2F",
    "rare word": "q=spindles+hotels",
}
_LARGE: Final = 100_000
_AT_ONCE: Final = 4_000
_SAME: Final = 0.02
"""By how much the two may differ in how many they find: their stems are not the same ones."""


class Asker:
    """Asks the ledger over one connection, with as little in between as there can be."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)

    def ask(self, query: str) -> tuple[float, dict[str, Any]]:
        """Milliseconds until the whole answer was here, and the answer."""
        begun = time.perf_counter()
        self._connection.request("GET", f"/catalog/api/search?{query}")
        answer = self._connection.getresponse()
        body = answer.read()
        took = (time.perf_counter() - begun) * 1000
        assert answer.status == 200, body
        tree: dict[str, Any] = json.loads(body)
        return took, tree

    def close(self) -> None:
        self._connection.close()


def measured(asked: Asked, port: int, data: Path, products: int) -> list[figures.Figure]:
    """The figures of the ledger on `port` whose files are in `data`."""
    number, is_large = (21, True) if products > _LARGE else (20, False)
    asker = Asker(port)
    plain = asyncio.run(Plain.filled(asked.folder / "plain.db", data))
    ours, bare = _compared(asked, asker, plain, 1 if is_large else 3)
    plain.close()
    what = "text and facets, end to end beside plain FTS5"
    medians = ([statistics.median(one) for one in ours], [statistics.median(one) for one in bare])
    tails = (_tail([took for one in ours for took in one]), _tail([took for one in bare for took in one]))
    bounds = {} if is_large else {"must": 1.0, "ambition": 0.4}
    found = [figures.ratio(number, f"{what}: p50", *medians, unit="ms", **bounds)]
    if is_large:
        found.append(figures.ratio(number, f"{what}: p95", [tails[0]], [tails[1]], unit="ms", must=0.3, ambition=0.1))
    else:
        p95 = figures.plain(number, "text and facets: p95", [tails[0]], unit="ms", must=20, ambition=5)
        found.append(figures.beside(p95, [tails[1]]))
    found += _kinds(asked, asker, number)
    asker.close()
    return found


def _tail(values: list[float]) -> float:
    return figures.percentile(values, 95)


def _compared(asked: Asked, asker: Asker, plain: Plain, times: int) -> tuple[list[list[float]], list[list[float]]]:
    """Milliseconds of both sides by round, each word asked of one and then of the other."""
    ours: list[list[float]] = []
    bare: list[list[float]] = []
    facets = f"&facets={','.join(_FACETED)}"
    for word in WORDS:
        (_, answer), (total, trees, _) = asker.ask(f"q={word}{facets}"), plain.ask(word)
        asked.tell(f"{word}: {answer['total']} products, plain FTS5 finds {total}")
        assert abs(answer["total"] - total) <= max(2, _SAME * total), "the two sides do not find the same"
        assert len(answer["items"]) == len(trees) > 0
    for _ in range(asked.rounds):
        ours.append([])
        bare.append([])
        for word in WORDS * times:
            ours[-1].append(asker.ask(f"q={word}{facets}")[0])
            begun = time.perf_counter()
            plain.ask(word)
            bare[-1].append((time.perf_counter() - begun) * 1000)
    return ours, bare


def _kinds(asked: Asked, asker: Asker, number: int) -> list[figures.Figure]:
    """Ten kinds of query, for information."""
    found: list[figures.Figure] = []
    for name, query in QUERIES.items():
        asker.ask(query)
        times = [asker.ask(query)[0] for _ in range(30 if asked.is_small else 60)]
        p50, p95, p99 = (figures.percentile(times, percent) for percent in (50, 95, 99))
        asked.tell(f"{name}: p50 {p50:.1f}, p95 {p95:.1f}, p99 {p99:.1f} ms")
        for label, value in (("p50", p50), ("p95", p95), ("p99", p99)):
            found.append(figures.plain(number, f"query `{name}`: {label}", [value], unit="ms"))
    return found


class Plain:
    """SQLite with FTS5, a table of facets and one of descriptions."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path)
        for pragma in ("journal_mode = OFF", "synchronous = OFF", f"mmap_size = {64 << 30}", "cache_size = -262144"):
            self._connection.execute(f"PRAGMA {pragma}")

    @classmethod
    async def filled(cls, path: Path, data: Path) -> Plain:
        """The same products as in the record in `data`."""
        plain = cls(path)
        execute = plain._connection.execute
        execute("CREATE VIRTUAL TABLE text USING fts5(title, body, tokenize = 'porter unicode61')")
        execute(f"CREATE TABLE facet (number INTEGER PRIMARY KEY, {', '.join(_FACETED)})")
        execute("CREATE TABLE description (number INTEGER PRIMARY KEY, tree BLOB)")
        async with AsyncExitStack() as stack:
            records = await stack.enter_async_context(_records(data))
            async for product in _products(records):
                plain._add(product)
        plain._connection.commit()
        execute("INSERT INTO text (text) VALUES ('optimize')")
        plain._connection.commit()
        return plain

    def _add(self, product: Product) -> None:
        it = document_of(product, space="bench")
        title, body = (" ".join(text for _, text in texts) for texts in (it.titles, (*it.keywords, *it.texts)))
        execute = self._connection.execute
        execute("INSERT INTO text (rowid, title, body) VALUES (?, ?, ?)", (it.number, title, body))
        values = [next(iter(it.facets[name]), None) for name in _FACETED]
        execute("INSERT INTO facet VALUES (?, ?, ?, ?, ?, ?)", (it.number, *values))
        execute("INSERT INTO description VALUES (?, ?)", (it.number, product.entry.tree))

    def ask(self, word: str) -> tuple[int, list[bytes], list[list[tuple[str, int]]]]:
        """How many have the word, the descriptions of the first twenty, and the counts by facet."""
        execute = self._connection.execute
        page = execute(
            "SELECT d.tree FROM (SELECT rowid, bm25(text, 3.0, 1.0) AS score FROM text WHERE text MATCH ?1 ORDER BY score LIMIT 20) AS hit"
            " JOIN description AS d ON d.number = hit.rowid ORDER BY hit.score",
            (word,),
        ).fetchall()
        (total,) = execute("SELECT count(*) FROM text WHERE text MATCH ?1", (word,)).fetchone()
        counts = [
            execute(
                f"SELECT f.{name}, count(*) FROM text JOIN facet AS f ON f.number = text.rowid WHERE text MATCH ?1"
                " GROUP BY 1 ORDER BY 2 DESC LIMIT 50",
                (word,),
            ).fetchall()
            for name in _FACETED
        ]
        return total, [tree for (tree,) in page], counts

    def close(self) -> None:
        self._connection.close()


@asynccontextmanager
async def _records(data: Path) -> AsyncIterator[Records]:
    records = open_records("sqlite:///state.db", folder=data, connections=1)
    await records.open()
    try:
        yield records
    finally:
        await records.close()


async def _products(records: Records) -> AsyncIterator[Product]:
    after = 0
    while changes := await records.changes(after, _AT_ONCE):
        for change in changes:
            if change.product is not None:
                yield change.product
        after = changes[-1].sequence


async def fill(asked: Asked, data: Path, participants: int, products: int, port: int) -> None:
    """Write record and index as a crawl of the crowd on `port` would, without asking anybody."""
    clock = SystemClock()
    now, begun = clock.now(), time.perf_counter()
    await asyncio.to_thread(data.mkdir, parents=True)
    async with _records(data) as records:
        listed = [
            Listed(id=crowd.participant_id(n), address=f"http://{crowd.host(n)}:{port}", title=f"Member {n}")
            for n in range(participants)
        ]
        await records.list_members(listed, now)
        waiting: list[Snapshot] = []
        for member, size in enumerate(crowd.sizes(participants, products)):
            waiting.append(_snapshot(member, size, now + timedelta(days=1)))
            if member == participants - 1 or sum(len(one.entries) for one in waiting) >= _AT_ONCE:
                await records.swap(waiting, now)
                waiting = []
        asked.tell(f"recorded {products} products in {time.perf_counter() - begun:.0f} s")
        indexer = Indexer(records, TantivyIndex(data / "catalog-index"), clock, space="bench")
        await indexer.open()
        while await indexer.catch_up():
            pass
        await indexer.close()
    asked.tell(f"indexed them after {time.perf_counter() - begun:.0f} s")


def _snapshot(member: int, size: int, next_at: Any) -> Snapshot:
    base = f"https://m{member}.crowd.example/dsp"
    id_ = crowd.participant_id(member)
    entries = tuple(entry_of(crowd.product(member, place, 0), origin=id_, endpoint=base) for place in range(size))
    report = Report(at=next_at - timedelta(days=1), is_good=True, entries=size)
    return Snapshot(member=id_, entries=entries, report=report, next_at=next_at)
