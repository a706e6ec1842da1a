"""The SQLite store passes the contract of stores."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from connector.dsp.tables import State
from connector.dsp.values import replace
from connector.ports.store import Change
from connector.storage.sqlite.store import SqliteStore
from connector.testing.store_contract import LEASE_S, NewStore, StoreContract
from connector.testing.store_contract.values import always, negotiation, put


class TestSqliteStore(StoreContract):
    @pytest.fixture
    def new_store(self, tmp_path: Path) -> NewStore:
        return lambda node: SqliteStore(path=tmp_path / "kontor.db", node=node, lease_s=LEASE_S)


async def test_what_another_process_writes_to_the_file_is_read_at_once(tmp_path: Path) -> None:
    one, other = (SqliteStore(path=tmp_path / "kontor.db", node=name, lease_s=LEASE_S) for name in ("one", "other"))
    await one.open()
    await other.open()
    try:
        place = await put(one, negotiation("n"))
        for state in (State.OFFERED, State.AGREED):
            assert await one.process(place) == await one.process(place)
            moved = replace(negotiation("n"), state=state)
            await other.advance(place, always(Change(process=moved)))
            assert await one.process(place) == moved
    finally:
        await one.close()
        await other.close()


async def test_whether_somebody_has_written_is_asked_once_in_a_turn_of_the_loop(tmp_path: Path) -> None:
    store = SqliteStore(path=tmp_path / "kontor.db", node="one", lease_s=LEASE_S)
    await store.open()
    try:
        place = await put(store, negotiation("n"))
        await store.process(place)
        asked: list[str] = []
        opened = store._access._open
        assert opened is not None
        opened.rows.set_trace_callback(asked.append)
        for _ in range(2):
            await asyncio.sleep(0)
            # nothing waits in between
            assert [await store.process(place) is not None for _ in range(3)] == [True] * 3
        assert asked == ["PRAGMA data_version"] * 2
    finally:
        await store.close()
