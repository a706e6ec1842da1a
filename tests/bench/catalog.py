"""Figures 19 to 23: the ledger over many members, crawled over real HTTP; its index, its memory, its answers, its restart.

    python -m tests.bench catalog --products 38000 --participants 19000 --json

    python -m tests.bench catalog --products 1000000 --search-only      figure 21 by itself, in minutes

Both sides of a ratio run on the same machine by turns: the baseline of queries is plain SQLite FTS5 over the same texts
(`searching.py`), that of ingesting is a bare load of the same rows into SQLite and the same documents into tantivy.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import httpx

from connector.app.parts import known_vocabulary
from connector.controlplane.clock import SystemClock
from connector.federation.documents import document_of
from connector.federation.judging import judged
from connector.federation.permitted import Permitted, Question
from connector.federation.reading import entry_of
from connector.federation.tantivy_index import TantivyIndex
from connector.ports.catalog import Product
from connector.ports.index import Document
from tests.bench import crowd, figures, listing, searching
from tests.bench.asked import Asked
from tests.bench.nodes import command
from tests.bench.processes import Server, free_port

_CRAWL_WITHIN_S: Final = 3_600.0


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

    @property
    def data(self) -> Path:
        """Where record and index are."""
        return self.folder / "data"

    def get(self, path: str) -> Any:
        return httpx.get(f"http://127.0.0.1:{self.public_port}/catalog{path}", timeout=120, trust_env=False).json()

    def size_mb(self) -> float:
        """Of the index on disk."""
        return sum(p.stat().st_size for p in (self.data / "catalog-index").rglob("*") if p.is_file()) / 1e6


def run(asked: Asked) -> list[figures.Figure]:
    """All figures of the catalogue; or those of queries alone, over an index that was filled without a crawl."""
    products, participants = asked.products or asked.of(38_000), asked.participants or asked.of(19_000)
    if asked.is_search_only:
        return _searched(asked, products, participants)
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
            most_mb = 500 if products <= 38_000 else None
            found.append(_told(23, "index on disk", node.size_mb(), "MB"))
            found.append(_told(23, "resident memory after the crawl", node.memory_mb(), "MB", must=most_mb))
            found += searching.measured(asked, node.public_port, node.data, products)
            found.append(_told(20, "resident memory after the queries", node.memory_mb(), "MB", must=most_mb))
        with node:
            begun = time.perf_counter()
            while _searchable(node) < products:
                time.sleep(0.05)
            found.append(_told(23, "restart until everything is found", node.ready_after_s + time.perf_counter() - begun, "s"))
    return found


def _searched(asked: Asked, products: int, participants: int) -> list[figures.Figure]:
    """Figures 20 or 21 by themselves: same rows, same documents, written by the product's own writers and not crawled."""
    members = free_port()
    node = Ledger(asked, members, participants)
    asyncio.run(searching.fill(asked, node.data, participants, products, members))
    with node:
        seen = _searchable(node)
        assert seen == products, f"only {seen} of {products} products are searchable"
        node.settle()
        found = searching.measured(asked, node.public_port, node.data, products)
        found.append(_told(20 if products <= 38_000 else 21, "resident memory after the queries", node.memory_mb(), "MB"))
        found.append(_told(found[0].number, "index on disk", node.size_mb(), "MB"))
    return [replace(one, what=f"{one.what} (filled without a crawl)") for one in found]


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


def _documents(products: int) -> tuple[list[bytes], Callable[[bytes, int], Document]]:
    """Descriptions of so many products, and how the ledger makes a document of one."""
    at = SystemClock().now()
    bodies = [json.dumps(crowd.product(n, 0, 0), ensure_ascii=False).encode() for n in range(products)]

    def document(body: bytes, number: int) -> Document:
        entry = entry_of(json.loads(body), origin=crowd.participant_id(number), endpoint="https://x.example/dsp")
        product = Product(number=number + 1, entry=entry, member=entry.origin, added_at=at, changed_at=at, seen_at=at)
        return document_of(product, space="bench")

    return bodies, document


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
