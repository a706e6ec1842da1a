"""Credentials are kept sealed, one of a kind, and what does not open any more takes nothing else with it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from connector.controlplane.secrets import Seal
from connector.errors import NotFound
from connector.identity.formats import read_credential
from connector.identity.held import KIND, Held, place_of
from connector.storage.memory import Memory, MemoryStore
from connector.testing.clock import MovedClock
from tests.identity.space import NOW, credential_1, credential_2, tree_1


@pytest.fixture
async def store() -> AsyncIterator[MemoryStore]:
    found = MemoryStore(node="here", lease_s=1, memory=Memory())
    await found.open()
    yield found
    await found.close()


def held_in(store: MemoryStore, key: bytes = bytes(32)) -> Held:
    return Held(store, Seal(key), MovedClock(NOW))


async def test_a_new_one_takes_the_place_of_its_kind(store: MemoryStore) -> None:
    held, first = held_in(store), read_credential(credential_1())
    renewed = read_credential(credential_1(tree_1(id="urn:uuid:9"), jti="urn:uuid:9"))
    other = read_credential(credential_2())
    for one in (first, other, renewed):
        await held.put("anna", one)
    kept = await held.all("anna")
    assert {one.id for one in kept.values()} == {"urn:uuid:9", "urn:uuid:1"}
    assert set(kept) == {place_of(renewed), place_of(other)}
    assert await held.all("bert") == {}
    row = await store.document("anna", KIND, place_of(renewed))
    assert row is not None
    assert renewed.token is not None
    assert not [part for part in renewed.token.raw.split(".") if part in str(row.body)]
    await held.drop("anna", place_of(renewed))
    with pytest.raises(NotFound):
        await held.drop("anna", place_of(renewed))


async def test_one_that_was_moved_or_sealed_with_another_key_is_told_and_left_out(
    store: MemoryStore, caplog: pytest.LogCaptureFixture
) -> None:
    await held_in(store, b"x" * 32).put("anna", read_credential(credential_2()))
    await held_in(store).put("anna", read_credential(credential_1()))
    assert [one.model.name for one in (await held_in(store).all("anna")).values()] == ["V1"]
    assert [record.getMessage() for record in caplog.records] == ["identity.credential_lost"]
