"""The memory store passes the contract of stores."""

from __future__ import annotations

import pytest

from connector.storage.memory import Memory, MemoryStore
from connector.testing.store_contract import LEASE_S, NewStore, StoreContract


class TestMemoryStore(StoreContract):
    @pytest.fixture
    def new_store(self) -> NewStore:
        memory = Memory()
        return lambda node: MemoryStore(node=node, lease_s=LEASE_S, memory=memory)
