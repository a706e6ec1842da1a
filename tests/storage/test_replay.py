"""Used tokens are remembered, within bounds."""

from __future__ import annotations

from datetime import timedelta

import pytest

from connector.errors import Overloaded
from connector.ports.replay import ReplayStore
from connector.storage.replay import MemoryReplay
from connector.testing.replay_contract import NOW, SOON, ReplayContract


class TestMemoryReplay(ReplayContract):
    @pytest.fixture
    def replays(self) -> tuple[ReplayStore, ReplayStore]:
        store = MemoryReplay()
        return store, store


async def test_when_it_is_full_it_refuses_until_something_ends() -> None:
    store = MemoryReplay(most=2)
    assert await store.use("anna", "did:web:a", "1", SOON, NOW)
    assert await store.use("anna", "did:web:a", "2", SOON + timedelta(minutes=1), NOW)
    with pytest.raises(Overloaded):
        await store.use("anna", "did:web:a", "3", SOON, NOW)
    assert not await store.use("anna", "did:web:a", "1", SOON, NOW)
    assert await store.use("anna", "did:web:a", "3", SOON + timedelta(minutes=1), SOON)


async def test_what_is_over_already_costs_nothing() -> None:
    store = MemoryReplay(most=1)
    for jti in "123":
        assert await store.use("anna", "did:web:a", jti, NOW, NOW)
