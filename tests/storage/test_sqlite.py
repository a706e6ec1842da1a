"""The SQLite store passes the contract of stores."""

from __future__ import annotations

from pathlib import Path

import pytest

from connector.storage.sqlite.store import SqliteStore
from connector.testing.store_contract import LEASE_S, NewStore, StoreContract


class TestSqliteStore(StoreContract):
    @pytest.fixture
    def new_store(self, tmp_path: Path) -> NewStore:
        return lambda node: SqliteStore(path=tmp_path / "kontor.db", node=node, lease_s=LEASE_S)
