"""Figures 19 to 23: the ledger over many members, crawled over real HTTP; its index, its memory, its answers, its restart.

    python -m tests.bench catalog --products 38000 --participants 19000 --json

Both sides of a ratio run in the same process on the same machine: the baseline of queries is plain SQLite FTS5 over the same texts,
that of ingesting is a bare load of the same rows into SQLite and the same documents into tantivy.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import httpx

from connector.app.parts import known_vocabulary
from connector.controlplane.clock import SystemClock
from connector.federation.judging import judged
from connector.federation.permitted import Permitted, Question
from connector.federation.reading import document_of, entry_of
from connector.federation.tantivy_index import TantivyIndex
from connector.ports.catalog import Product
from connector.ports.index import Document
from tests.bench import crowd, figures, listing
from tests.bench.asked import Asked
from tests.bench.nodes import command
from tests.bench.processes import Server, free_port

_CRAWL_WITHIN_S: Final = 3_600.0
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


class Ledger(Server):
    """A node that runs the ledger over the crowd."""

    def __init__(self, asked: Asked, crowd_port: int, participants: int) -> None:
        self.public_port = free_port()
        self.folder = asked.folder / "ledger"
        self.folder.mkdir(parents=True, exist_ok=True)
        config = self.folder / "kontor.toml"
        config.write_text(self._settings(crowd_port, participants))
        super().__init__(
            command("connector.cli", "serve", "--config", str(config), "--until-stdin-ends"),
            port=self.public_port,
            folder=asked.folder,
            name="ledger",
            ready="/catalog/api/statistics",
        )

    def _settings(self, crowd_port: int, participants: int) -> str:
        members = ",\n".join(
            f'  {{ id = "{crowd.participant_id(n)}", address = "http://{crowd.host(n)}:{crowd_port}", title = "Member {n}" }}'
            for n in range(participants)
        )
        tokens = ",\n".join(f'  {{ id = "{crowd.participant_id(n)}", ours = "t" }}' for n in range(1, participants))
        return f"""\
[node]
public_url = "http://127.0.0.1:{self.public_port}"
roles = ["catalog"]
log_level = "warning"

[public]
port = {self.public_port}

[operator]
port = 0

[outbound]
unsafe_allow_http = true
unsafe_allow_loopback = true

[catalog]
participant = "ledger"
viewers = "everybody"
space = "bench"
parallel = 64
interval_s = 86400
members = [
{members}
]

[participants.ledger]
id = "did:web:ledger.example"
unsafe_static_tokens = [
  {{ id = "{crowd.participant_id(0)}", ours = "t", theirs = "member 0" }},
{tokens}
]
"""

    def get(self, path: str) -> Any:
        return httpx.get(f"http://127.0.0.1:{self.public_port}/catalog{path}", timeout=120, trust_env=False).json()

    def size_mb(self) -> float:
        """Of the index on disk."""
        return sum(p.stat().st_size for p in (self.folder / "data" / "catalog-index").rglob("*") if p.is_file()) / 1e6


def run(asked: Asked) -> list[figures.Figure]:
    """All figures of the catalogue."""
    products, participants = asked.products or asked.of(38_000), asked.participants or asked.of(19_000)
    found = [*listing.run(asked), *_ingest(asked, products), *_offers(asked, min(products, asked.of(38_000)))]
    port = free_port()
    people = Server(
        command("tests.bench.crowd", str(port), str(participants), str(products)), port=port, folder=asked.folder, name="crowd"
    )
    with people:
        node = Ledger(asked, port, participants)
        with node:
            begun = time.perf_counter()
            while (seen := _searchable(node)) < products:
                if time.perf_counter() - begun > _CRAWL_WITHIN_S:
                    raise RuntimeError(f"only {seen} of {products} products are searchable")
                time.sleep(0.25)
            crawl_s = time.perf_counter() - begun + node.ready_after_s
            asked.tell(f"crawled {products} products of {participants} members in {crawl_s:.1f} s, {node.cpu_s():.1f} s CPU")
            found.append(
                _told(
                    23, f"first crawl of {participants:,} members, {products:,} products", crawl_s, "s", must=300, ambition=60
                )
            )
            found.append(_told(23, "the same, CPU of the ledger", node.cpu_s(), "s"))
            found += _deltas(asked, node, port)
            node.settle()
            found.append(_told(23, "index on disk", node.size_mb(), "MB"))
            found.append(
                _told(23, "resident memory after the crawl", node.memory_mb(), "MB", must=500 if products <= 38_000 else None)
            )
            found += _queries(asked, node, products)
            found.append(
                _told(20, "resident memory after the queries", node.memory_mb(), "MB", must=500 if products <= 38_000 else None)
            )
        with node:
            begun = time.perf_counter()
            while _searchable(node) < products:
                time.sleep(0.05)
            found.append(_told(23, "restart until everything is found", node.ready_after_s + time.perf_counter() - begun, "s"))
    return found


def _told(number: int, what: str, value: float, unit: str, **bounds: Any) -> figures.Figure:
    return figures.plain(number, what, [value], unit=unit, **bounds)


def _searchable(node: Ledger) -> int:
    return int(node.get("/api/search?size=1")["total"])


def _has_all(answer: Any) -> bool:
    """Whether something was found that has all the words, and not only some of them."""
    return bool(answer["total"]) and not answer["isRelaxed"]


def _deltas(asked: Asked, node: Ledger, port: int) -> list[figures.Figure]:
    """From a change at a member, announced, to its being found."""
    seconds: list[float] = []
    base = f"http://127.0.0.1:{node.public_port}/catalog"
    with httpx.Client(timeout=30, trust_env=False) as client:
        for number in range(1, 11):
            client.post(f"http://127.0.0.1:{port}/change/0")
            begun = time.perf_counter()
            client.post(f"{base}/announcements", json={}, headers={"authorization": "member 0"}).raise_for_status()
            while not _has_all(client.get(f"{base}/api/search?q=revision{number}+member0").json()):
                if time.perf_counter() - begun > 30:
                    raise RuntimeError("a change was not found within 30 s")
                time.sleep(0.01)
            seconds.append(time.perf_counter() - begun)
    asked.tell(f"deltas: {', '.join(f'{one:.3f}' for one in seconds)} s")
    return [figures.plain(23, "announced change to found: p50 of ten", seconds, unit="s", must=2.0, ambition=0.5)]


def _queries(asked: Asked, node: Ledger, products: int) -> list[figures.Figure]:
    """Ten kinds of query, end to end over HTTP; the first with facets beside the same on plain FTS5."""
    found: list[figures.Figure] = []
    rounds = 30 if asked.is_small else 60
    times: dict[str, list[float]] = {}
    with httpx.Client(timeout=60, trust_env=False) as client:
        for name, query in QUERIES.items():
            url = f"http://127.0.0.1:{node.public_port}/catalog/api/search?{query}"
            client.get(url)
            times[name] = []
            for _ in range(rounds):
                begun = time.perf_counter()
                client.get(url).raise_for_status()
                times[name].append((time.perf_counter() - begun) * 1000)
    is_large = products > 100_000
    # at a million one round of the baseline takes seconds
    baseline = _fts5(products, 8 if is_large else rounds)
    ours = times["text and facets"]
    p50 = figures.ratio(
        21 if is_large else 20,
        "text and facets: p50, end to end, beside plain FTS5",
        [statistics.median(ours)],
        [statistics.median(baseline)],
        unit="ms",
        must=None if is_large else 1.0,
        ambition=None if is_large else 0.4,
    )
    found.append(p50)
    if is_large:
        ratio = figures.ratio(
            21, "text and facets: p95 beside plain FTS5", [figures.percentile(ours, 95)], [figures.percentile(baseline, 95)],
            unit="ms", must=0.3, ambition=0.1,
        )  # fmt: skip
        found.append(ratio)
    else:
        found.append(_told(20, "text and facets: p95", figures.percentile(ours, 95), "ms", must=20, ambition=5))
    for name, one in times.items():
        p50, p95, p99 = (figures.percentile(one, percent) for percent in (50, 95, 99))
        asked.tell(f"{name}: p50 {p50:.1f}, p95 {p95:.1f}, p99 {p99:.1f} ms")
        for label, value in (("p50", p50), ("p95", p95), ("p99", p99)):
            found.append(_told(21 if is_large else 20, f"query `{name}`: {label}", value, "ms"))
    return found


def _documents(products: int) -> tuple[list[bytes], Callable[[bytes, int], Document]]:
    """Descriptions of so many products, and how the ledger makes a document of one."""
    at = SystemClock().now()
    bodies = [json.dumps(crowd.product(n, 0, 0), ensure_ascii=False).encode() for n in range(products)]

    def document(body: bytes, number: int) -> Document:
        entry = entry_of(json.loads(body), origin=crowd.participant_id(number), endpoint="https://x.example/dsp")
        product = Product(number=number + 1, entry=entry, member=entry.origin, added_at=at, changed_at=at, seen_at=at)
        return document_of(product, space="bench")

    return bodies, document


_FACETED: Final = ("theme", "publisher", "region", "format", "license")


def _fts5(products: int, rounds: int) -> list[float]:
    """Milliseconds of the query with facets on plain FTS5 with a table of facets, in memory."""
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE VIRTUAL TABLE text USING fts5(title, body, tokenize = 'porter unicode61')")
    connection.execute(f"CREATE TABLE facet (number INTEGER PRIMARY KEY, {', '.join(_FACETED)})")
    for number in range(products):
        tree = crowd.product(number, 0, 0)
        titles = tree["dct:title"] if isinstance(tree["dct:title"], list) else [tree["dct:title"]]
        connection.execute(
            "INSERT INTO text (rowid, title, body) VALUES (?, ?, ?)",
            (number, " ".join(one["@value"] for one in titles), tree["dct:description"]["@value"]),
        )
        values = (
            tree["dcat:theme"]["@id"], tree["dct:publisher"]["@id"], tree["dct:spatial"]["@id"],
            tree["distribution"][0]["dcat:mediaType"]["@id"], tree["dct:license"]["@id"],
        )  # fmt: skip
        connection.execute("INSERT INTO facet VALUES (?, ?, ?, ?, ?, ?)", (number, *values))
    connection.commit()
    seconds: list[float] = []
    for _ in range(rounds):
        begun = time.perf_counter()
        connection.execute(
            "SELECT rowid FROM text WHERE text MATCH 'traffic' ORDER BY bm25(text, 3.0, 1.0) LIMIT 20"
        ).fetchall()
        for name in _FACETED:
            connection.execute(
                f"SELECT f.{name}, count(*) FROM text JOIN facet AS f ON f.number = text.rowid WHERE text MATCH 'traffic'"
                " GROUP BY 1 ORDER BY 2 DESC LIMIT 50"
            ).fetchall()
        seconds.append((time.perf_counter() - begun) * 1000)
    return seconds


def _ingest(asked: Asked, products: int) -> list[figures.Figure]:
    """Figure 22: descriptions checked, kept and indexed by us, beside a bare load of the same."""
    count = min(products, asked.of(38_000))
    bodies, document = _documents(count)
    ours: list[float] = []
    bare: list[float] = []
    for number in range(2 if asked.is_small else 3):
        folder = asked.folder / f"ingest-{number}"
        documents = [document(body, n) for n, body in enumerate(bodies)]
        begun = time.process_time()
        _bare(folder / "bare", bodies, documents)
        bare.append(time.process_time() - begun)
        begun = time.process_time()
        (folder / "ours").mkdir()
        asyncio.run(_through_us(folder / "ours", bodies))
        ours.append(time.process_time() - begun)
        asked.tell(f"ingest of {count}: ours {ours[-1]:.1f} s, bare {bare[-1]:.1f} s CPU")
    return [figures.ratio(22, f"ingest of {count:,}, CPU", ours, bare, unit="s", must=3.0, ambition=1.5)]


def _offers(asked: Asked, count: int) -> list[figures.Figure]:
    """ "What may I use for this purpose?" over offers of which no two are equal: once they differ in ends, once in purposes."""
    found: list[figures.Figure] = []
    now = SystemClock().now()
    for what, make in (("ends and counts", _ending), ("purposes", _naming)):
        permitted = Permitted(known_vocabulary())
        terms = {f"{what} {n}": json.dumps([make(n)]).encode() for n in range(count)}
        begun = time.perf_counter()
        permitted.know(terms)
        known_s = time.perf_counter() - begun
        seconds: list[float] = []
        for purpose in ("research", "statistics", "education", "marketing", "art"):
            begun = time.perf_counter()
            permitted.digests(Question(purpose=purpose), None, now)
            seconds.append(time.perf_counter() - begun)
        asked.tell(
            f"{count} different offers by {what}: known after {known_s:.1f} s, asked in {statistics.median(seconds):.3f} s"
        )
        found.append(
            figures.plain(20, f"for a purpose, {count:,} offers different in {what}", seconds, unit="s", must=1.0, ambition=0.1)
        )
        found.append(_told(20, f"the same: taken in and compiled, different in {what}", known_s, "s"))
    return found


def _ending(number: int) -> dict[str, Any]:
    """An offer with an end, a count and perhaps a purpose of its own."""
    ends = datetime.fromtimestamp(1_830_000_000 + number, UTC).isoformat().replace("+00:00", "Z")
    limits = [
        {"leftOperand": "dateTime", "operator": "lt", "rightOperand": ends},
        {"leftOperand": "count", "operator": "lteq", "rightOperand": str(1 + number % 1000)},
    ]
    purpose = {"leftOperand": "purpose", "operator": "isAnyOf", "rightOperand": ["research", ("statistics", "art")[number % 2]]}
    return {"permission": [{"action": "use", "constraint": [*limits, *([purpose] if number % 3 else [])]}]}


def _naming(number: int) -> dict[str, Any]:
    """An offer for two purposes, one of which no other offer has."""
    purpose = {"leftOperand": "purpose", "operator": "isAnyOf", "rightOperand": ["research", f"purpose-{number}"]}
    return {"permission": [{"action": "use", "constraint": [purpose]}]}


def _bare(folder: Path, bodies: list[bytes], documents: list[Document]) -> None:
    folder.mkdir(parents=True)
    connection = sqlite3.connect(folder / "bare.db")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("CREATE TABLE entry (id TEXT PRIMARY KEY, tree BLOB)")
    connection.executemany("INSERT INTO entry VALUES (?, ?)", [(str(n), body) for n, body in enumerate(bodies)])
    connection.commit()
    connection.close()
    index = TantivyIndex(folder)
    index.open()
    for start in range(0, len(documents), 4_000):
        index.apply(documents[start : start + 4_000], (), start)
    index.close()


async def _through_us(folder: Path, bodies: list[bytes]) -> None:
    from connector.dsp.catalog import read_catalog
    from connector.federation.following import Indexer
    from connector.ports.catalog import Listed, Report, Snapshot
    from connector.storage.catalog import open_records

    records = open_records("sqlite:///x.db", folder=folder, connections=1)
    await records.open()
    indexer = Indexer(records, TantivyIndex(folder), SystemClock(), space="bench")
    await indexer.open()
    now = SystemClock().now()
    members = [f"did:web:{start}" for start in range(0, len(bodies), 100)]
    await records.list_members([Listed(id=one, address="https://x.example") for one in members], now)
    snapshots: list[Snapshot] = []
    for place, member in enumerate(members):
        part = b",".join(bodies[place * 100 : place * 100 + 100])
        head = b'{"@context":["%s"],"@id":"c","@type":"Catalog","participantId":"x","dataset":[' % crowd.CONTEXT.encode()
        view = read_catalog(head + part + b"]}")
        entries = tuple(entry_of(one.tree, origin=member, endpoint="https://x.example/dsp") for one in view.datasets)
        for one in view.datasets:
            judged(one.tree)
        report = Report(at=now, is_good=True, entries=len(entries))
        snapshots.append(Snapshot(member=member, entries=entries, report=report, next_at=now))
        if len(snapshots) == 40 or place == len(members) - 1:
            await records.swap(snapshots, now)
            snapshots = []
    while await indexer.catch_up():
        pass
    await indexer.close()
    await records.close()
