"""What retention gives back of a SQLite file, and how long a writer waits meanwhile.

A store is filled with transfers that have ended, each with a timeline as it has after a whole life; all but some between them are
forgotten, as retention does. Then free pages go back to the disk beside a writer that advances one process after another; the longest
time that one took is told, beside the longest one of the same writer alone. At last a file as earlier releases made it is written anew.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import time
from pathlib import Path

from connector.dsp.tables import Kind, State
from connector.ports.store import Change
from connector.storage.sqlite import space
from connector.storage.sqlite.store import SqliteStore
from connector.testing.store_contract.values import always, key, negotiation, record, transfer
from tests.bench import figures
from tests.bench.asked import Asked
from tests.bench.load import on_loop

_AT_ONCE = 64
_KEPT_OF = 20
"""One of so many stays."""
_STEPS = 8


def run(asked: Asked) -> list[figures.Figure]:
    """The figures."""
    return on_loop(lambda: _measured(asked))


async def _measured(asked: Asked) -> list[figures.Figure]:
    path = asked.folder / "kontor.db"
    store = SqliteStore(path=path, node="bench", lease_s=30)
    await store.open()
    try:
        count = asked.of(40_000)
        await _filled(store, count)
        gone = [("alice", f"t{number}") for number in range(count) if number % _KEPT_OF]
        for first in range(0, len(gone), 200):
            await store.forget(Kind.TRANSFER, gone[first : first + 200])
        before = await asyncio.to_thread(_folded_mib, path)
        alone = await _waits_ms(store, asyncio.sleep(asked.of(50) / 10))
        begun = time.monotonic()
        beside = await _waits_ms(store, store.give_back())
        took_s = time.monotonic() - begun
        after = path.stat().st_size / (1 << 20)
        asked.tell(f"{before:.1f} MiB before, {after:.1f} after, in {took_s:.1f} s")
    finally:
        await store.close()
    old = await asyncio.to_thread(_as_earlier, path)
    begun = time.monotonic()
    was, now = await space.compact(old)
    anew_s = time.monotonic() - begun
    return [
        figures.ratio(0, "the file after what was forgotten went back", [after], [before], unit="MiB", must=0.5),
        figures.plain(0, "giving it back took", [took_s], unit="s"),
        figures.plain(0, "the longest wait of a writer meanwhile", [max(beside)], unit="ms", must=500),
        figures.plain(0, "the same without it", [max(alone)], unit="ms"),
        figures.plain(0, "the file of an earlier release after `kontor compact`", [now / was], unit="x", must=0.9),
        figures.plain(0, "writing that anew took", [anew_s], unit="s"),
    ]


async def _filled(store: SqliteStore, count: int) -> None:
    left = iter(range(count))

    async def work() -> None:
        for number in left:
            place = key(f"t{number}", kind=Kind.TRANSFER)
            for step in range(_STEPS):
                state = State.TERMINATED if step == _STEPS - 1 else State.STARTED
                change = Change(process=transfer(f"t{number}", state=state), records=(record(f"step {step} " + "x" * 200),))
                await store.advance(place, always(change))

    async with asyncio.TaskGroup() as tasks:
        for _ in range(_AT_ONCE):
            tasks.create_task(work())


async def _waits_ms(store: SqliteStore, meanwhile: object) -> list[float]:
    """How long each transition of a writer took while `meanwhile` went on."""
    found: list[float] = []

    async def write() -> None:
        number = 0
        while True:
            number += 1
            begun = time.perf_counter()
            await store.advance(key("writer"), always(Change(process=negotiation("writer", entries={"n": number}))))
            found.append((time.perf_counter() - begun) * 1000)

    writer = asyncio.create_task(write())
    try:
        await meanwhile  # type: ignore[misc]
    finally:
        writer.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await writer
    return found


def _folded_mib(path: Path) -> float:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
    return path.stat().st_size / (1 << 20)


def _as_earlier(path: Path) -> Path:
    """The file as an earlier release would have it, with half of its rows gone."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
        connection.execute("PRAGMA auto_vacuum = NONE")
        connection.execute("VACUUM")
        connection.execute("DELETE FROM step WHERE id % 2")
    return path
