"""A full disk, a broken disk, a lock that somebody holds: nothing is half written, and all is well when the cause is gone."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from connector.dsp.tables import Kind
from connector.errors import InternalError, StoreUnavailable
from connector.ports.store import Change, Filter
from connector.storage.sqlite import writer
from connector.storage.sqlite.store import SqliteStore
from connector.testing.store_contract.values import (
    LEASE_S,
    NOW,
    adding,
    always,
    document,
    key,
    negotiation,
    outgoing,
    put,
    record,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "kontor.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SqliteStore]:
    made = SqliteStore(path=path, node="here", lease_s=LEASE_S)
    await made.open()
    yield made
    await made.close()


@contextlib.contextmanager
def full_disk(store: SqliteStore) -> Iterator[None]:
    """The database may not grow."""
    connection = store._access._parts.writer.connection
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count = {pages}")
    yield
    connection.execute("PRAGMA max_page_count = 1000000")


@contextlib.contextmanager
def broken_disk(size: int) -> Iterator[None]:
    """No file may grow beyond `size`: the disk refuses to write."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@contextlib.contextmanager
def held_lock(path: Path) -> Iterator[sqlite3.Connection]:
    """Another program is in the middle of writing."""
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield other
        other.execute("ROLLBACK")


async def fill(store: SqliteStore, first: int, count: int = 60) -> tuple[list[str], list[BaseException]]:
    """Pids that were acknowledged, and what the others got; each brings a few kilobytes."""
    long = record("long " * 500)
    pids = [f"p{number}" for number in range(first, first + count)]
    results = await asyncio.gather(
        *(put(store, negotiation(pid), outgoing=(outgoing("m"),), records=(long,)) for pid in pids), return_exceptions=True
    )
    faults = [result for result in results if isinstance(result, BaseException)]
    return [pid for pid, result in zip(pids, results, strict=True) if not isinstance(result, BaseException)], faults


async def is_whole(store: SqliteStore, pids: list[str]) -> None:
    """Every one of `pids` is there with all its parts, and nothing else is."""
    page = await store.processes(Kind.NEGOTIATION, "alice", Filter(), limit=10_000)
    assert sorted(process.pid for process in page.items) == sorted(pids)
    for pid in pids:
        timeline = await store.timeline(key(pid))
        assert (len(timeline.records), len(timeline.pending)) == (1, 1)


async def test_a_full_disk_refuses_writes_and_recovers_by_itself(store: SqliteStore) -> None:
    kept, _ = await fill(store, 0)
    with full_disk(store):
        more, faults = await fill(store, 100)
        assert faults
        assert all(isinstance(fault, StoreUnavailable) and "full" in fault.what and fault.mend for fault in faults)
        kept += more
        await is_whole(store, kept)
        with pytest.raises(StoreUnavailable):
            await store.put_document(document("one", body={"long": "x" * 100_000}))
        assert await store.document("alice", "asset", "one") is None
        assert await store.revision("alice") == 0
    more, faults = await fill(store, 200)
    assert not faults
    await is_whole(store, kept + more)


async def test_whether_writes_are_taken_shows_in_the_pulse(store: SqliteStore) -> None:
    await store.pulse(NOW)
    with full_disk(store):
        # something small still finds room in the last page, so that alone says little
        assert (await fill(store, 100))[1]
        with pytest.raises(StoreUnavailable, match="full"):
            await store.pulse(NOW)
    await store.pulse(NOW)
    assert not store._access.is_refusing


async def test_a_disk_that_refuses_to_write_is_told_and_got_over(store: SqliteStore, path: Path) -> None:
    kept, _ = await fill(store, 0)
    with broken_disk(path.with_name("kontor.db-wal").stat().st_size + 10_000):
        more, faults = await fill(store, 100)
        assert faults
        assert all(isinstance(fault, StoreUnavailable) and str(path) in fault.where for fault in faults)
        kept += more
        await is_whole(store, kept)
    more, faults = await fill(store, 200)
    assert not faults
    await is_whole(store, kept + more)
    await store.close()
    await store.open()
    await is_whole(store, kept + more)


async def test_a_lock_that_is_let_go_in_time_is_waited_for(store: SqliteStore, path: Path) -> None:
    with held_lock(path) as other:
        writing = asyncio.create_task(put(store, negotiation("one")))
        # the event loop and the readers go on meanwhile
        for _ in range(5):
            assert await store.process(key("one")) is None
            assert (await store.processes(Kind.NEGOTIATION, "alice", Filter())).total == 0
        assert not writing.done()
        other.execute("COMMIT")
        await writing
        other.execute("BEGIN")
    assert await store.process(key("one")) == negotiation("one")


async def test_a_lock_that_is_held_too_long_is_told_to_all_who_wait(
    store: SqliteStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "_LOCK_WAIT_S", 0.02)
    with held_lock(path):
        kept, faults = await fill(store, 0)
        assert kept == []
        assert all(isinstance(fault, StoreUnavailable) and "locked" in fault.what for fault in faults)
    kept, faults = await fill(store, 0)
    assert not faults
    await is_whole(store, kept)


async def test_a_value_that_cannot_be_stored_is_the_callers_own_fault(store: SqliteStore) -> None:
    place = await put(store, negotiation("fine"), records=(record("a"),), outgoing=(outgoing("m"),))
    unwritable = always(Change(process=negotiation("odd", peer="\ud800")))
    results = await asyncio.gather(
        store.advance(key("odd"), unwritable), store.advance(place, adding()), store.claim(NOW), return_exceptions=True
    )
    assert isinstance(results[0], UnicodeEncodeError)
    assert isinstance(results[1], Change)
    assert results[2] == ()
    await is_whole(store, ["fine"])


async def test_what_the_schema_forbids_is_a_fault_of_ours(store: SqliteStore) -> None:
    connection = store._access._parts.writer.connection
    with pytest.raises(InternalError, match="refused by the state store"):
        await store._access._parts.writer.run(lambda: connection.execute("INSERT INTO due (process) VALUES (1)"))
    with pytest.raises(InternalError):
        await store._access._parts.writer.run(lambda: connection.execute("no sql"))
    await put(store, negotiation("one"))


async def test_a_store_that_is_not_open_says_so(path: Path) -> None:
    closed = SqliteStore(path=path, node="here", lease_s=LEASE_S)
    with pytest.raises(StoreUnavailable, match="not open"):
        await put(closed, negotiation("one"))
    with pytest.raises(StoreUnavailable, match="not open"):
        await closed.process(key("one"))


async def test_what_is_queued_when_the_store_closes_is_finished(store: SqliteStore) -> None:
    writing = [asyncio.create_task(put(store, negotiation(f"p{number}"))) for number in range(200)]
    await asyncio.sleep(0)
    await store.close()
    await asyncio.gather(*writing)
    await store.open()
    assert (await store.processes(Kind.NEGOTIATION, "alice", Filter())).total == 200


async def test_more_callers_than_the_queue_holds_wait_their_turn(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "_MOST_QUEUED", 3)
    waiting = [asyncio.create_task(put(store, negotiation(f"p{number}"))) for number in range(30)]
    await asyncio.sleep(0)
    assert len(store._access._parts.writer._queued) == 3
    await asyncio.gather(*waiting)
    assert (await store.processes(Kind.NEGOTIATION, "alice", Filter())).total == 30


async def test_calls_that_come_together_share_a_commit(store: SqliteStore) -> None:
    commits: list[str] = []
    store._access._parts.writer.connection.set_trace_callback(lambda sql: commits.append(sql) if sql == "COMMIT" else None)
    await asyncio.gather(*(put(store, negotiation(f"p{number}")) for number in range(30)))
    assert len(commits) == 1
    await store.claim(NOW)
    await asyncio.gather(*(put(store, negotiation(f"q{number}")) for number in range(70)))
    assert len(commits) == 2 + 3
