"""A call that can wait goes to the disk with the next one, by itself when nobody comes, and before the store closes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from connector.ports.store import Change
from connector.storage.sqlite import writer
from connector.storage.sqlite.store import SqliteStore
from connector.testing.store_contract.values import LEASE_S, always, key, negotiation


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "kontor.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SqliteStore]:
    made = SqliteStore(path=path, node="here", lease_s=LEASE_S)
    await made.open()
    yield made
    await made.close()


def _counted(store: SqliteStore) -> list[str]:
    """The commits of the store from now on."""
    commits: list[str] = []
    store._access._parts.writer.connection.set_trace_callback(lambda said: commits.append(said) if said == "COMMIT" else None)
    return commits


async def _written(store: SqliteStore, pid: str, *, can_wait: bool) -> None:
    await store.advance(key(pid), always(Change(process=negotiation(pid))), can_wait=can_wait)


async def test_it_shares_the_commit_of_the_next_call(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "_PATIENCE_S", 60)
    commits = _counted(store)
    waiting = asyncio.create_task(_written(store, "a", can_wait=True))
    await asyncio.sleep(0)
    await _written(store, "b", can_wait=False)
    await waiting
    assert len(commits) == 1
    assert await store.process(key("a")) is not None


async def test_it_goes_alone_when_nobody_comes(store: SqliteStore) -> None:
    await _written(store, "a", can_wait=True)
    assert await store.process(key("a")) is not None


async def test_enough_of_them_are_company_for_each_other(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "_PATIENCE_S", 60)
    commits = _counted(store)
    await asyncio.gather(*(_written(store, f"p{number}", can_wait=True) for number in range(writer._COMPANY)))
    assert len(commits) == 1


async def test_one_that_comes_during_a_commit_is_kept_back_as_well(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "_PATIENCE_S", 60)
    commits = _counted(store)
    first = asyncio.create_task(_written(store, "a", can_wait=False))
    while not store._access._parts.writer.connection.in_transaction:  # noqa: ASYNC110 - turns of the loop are what is counted
        await asyncio.sleep(0)
    kept = asyncio.create_task(_written(store, "b", can_wait=True))
    await first
    await asyncio.sleep(0)
    assert not kept.done()
    await _written(store, "c", can_wait=False)
    await kept
    assert len(commits) == 2


async def test_calls_share_a_commit_for_as_long_as_each_turn_of_the_loop_brings_another(store: SqliteStore) -> None:
    commits = _counted(store)
    calls = []
    for number in range(10):
        calls.append(asyncio.create_task(_written(store, f"p{number}", can_wait=False)))
        await asyncio.sleep(0)
    await asyncio.gather(*calls)
    assert len(commits) == 1


async def test_closing_does_not_wait_for_others(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "_PATIENCE_S", 60)
    store = SqliteStore(path=path, node="here", lease_s=LEASE_S)
    await store.open()
    waiting = asyncio.create_task(_written(store, "a", can_wait=True))
    await asyncio.sleep(0)
    await store.close()
    await waiting
    await store.open()
    assert await store.process(key("a")) is not None
    await store.close()
