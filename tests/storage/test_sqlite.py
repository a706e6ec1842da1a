"""The SQLite store passes the contract of stores."""

from __future__ import annotations

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
