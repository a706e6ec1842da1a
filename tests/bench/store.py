"""Figure 4: durable transitions of the SQLite store, 32 at once, to what the disk can: raw `fdatasync` after writing one page;
and what a posting to the usage ledger takes.

A transition is what a message makes of a process: read it, write it, one message into the outbox and one out of it, one line of
the timeline with the message's id and answer. A posting reads a book, counts a use in, and writes book and line. By the clock: the
disk is what is measured.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import time
from pathlib import Path

from connector.dsp.process import Process
from connector.dsp.values import replace
from connector.ports.ledger import Book, BookChange, PostingKind
from connector.ports.store import Change, Key, Snapshot
from connector.storage.sqlite.store import SqliteStore
from connector.testing.store_contract.values import NOW, key, negotiation, outgoing, record
from tests.bench import figures
from tests.bench.asked import Asked
from tests.bench.load import on_loop

_AT_ONCE = 32
_PAGE = b"\0" * 4096


def run(asked: Asked) -> list[figures.Figure]:
    """The figure."""
    return on_loop(lambda: _measured(asked))


async def _measured(asked: Asked) -> list[figures.Figure]:
    store = SqliteStore(path=asked.folder / "store.db", node="bench", lease_s=30)
    await store.open()
    ours, baseline, alone, posting = [], [], [], []
    try:
        await _transitions(store, 500, _AT_ONCE)
        for number in range(asked.rounds):
            baseline.append(await asyncio.to_thread(_synced, asked.folder / "raw", asked.of(500)))
            ours.append(await _transitions(store, asked.of(5000), _AT_ONCE))
            alone.append(await _transitions(store, asked.of(300), 1))
            posting.append(await _posting_ms(store, asked.of(300)))
            asked.tell(f"round {number + 1}: {ours[-1]:.0f}/s, one by one {alone[-1]:.0f}/s; raw {baseline[-1]:.0f}/s")
    finally:
        await store.close()
    return [
        figures.ratio(
            4, f"durable transitions, {_AT_ONCE} at once", ours, baseline, unit="/s", must=2, ambition=4, is_larger_better=True
        ),
        figures.ratio(4, "the same one by one", alone, baseline, unit="/s", is_larger_better=True),
        figures.ratio(
            4, "a posting to the usage ledger, one by one", posting, [1000 / each for each in baseline], unit="ms", must=2
        ),
    ]


async def _transitions(store: SqliteStore, count: int, at_once: int) -> float:
    left = iter(range(count))

    async def work(place: Key) -> None:
        for _ in left:
            await store.advance(place, lambda snapshot: _next(snapshot, place.pid), received=f"r{next(_NUMBERS)}")

    begin = time.perf_counter()
    async with asyncio.TaskGroup() as tasks:
        for number in range(at_once):
            tasks.create_task(work(key(f"p{number}")))
    return count / (time.perf_counter() - begin)


_NUMBERS = itertools.count()


def _next(snapshot: Snapshot[Process], pid: str) -> Change[Process]:
    process = snapshot.process or negotiation(pid, entries={"n": 0})
    n = process.entries["n"] + 1
    return Change(
        process=replace(process, entries={"n": n}),
        answer=b"x" * 200,
        outgoing=(outgoing(f"m{n}"),),
        removed=(f"m{n - 1}",),
        records=(record(str(n)),),
    )


async def _posting_ms(store: SqliteStore, count: int) -> float:
    """Milliseconds that one use takes that is counted in durably, the next only when it is."""

    def decide(book: Book) -> BookChange:
        after = replace(book, total=replace(book.total, count=book.total.count + 1))
        return BookChange(book=after, kind=PostingKind.RESERVED, at=NOW, facts={"count": after.total.count})

    begin = time.perf_counter()
    for _ in range(count):
        await store.ledger.post("alice", "urn:agreement", f"use:{next(_NUMBERS)}", decide)
    return (time.perf_counter() - begin) / count * 1000


def _synced(path: Path, count: int) -> float:
    """How often a second a page can be made durable, one after the other, at the end of a file."""
    with path.open("ab", buffering=0) as file:
        begin = time.perf_counter()
        for _ in range(count):
            file.write(_PAGE)
            os.fdatasync(file.fileno())
        return count / (time.perf_counter() - begin)
