"""Keys are sealed at rest, have one purpose, and are replaced without a moment in which nothing can be proven."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import json
from collections.abc import AsyncIterator

import pytest

from connector import jose
from connector.errors import ConfigurationError, NotFound, Unproven
from connector.identity import did
from connector.identity.did import Relationship
from connector.identity.keys import KIND, LEAD, Keys, KeyState, Passphrase, Purpose, Sealed
from connector.storage.memory import Memory, MemoryStore
from connector.testing.clock import MovedClock
from tests.identity.space import NOW

DID = "did:web:anna.example"


@pytest.fixture
def clock() -> MovedClock:
    return MovedClock(NOW)


@pytest.fixture
async def store() -> AsyncIterator[MemoryStore]:
    found = MemoryStore(node="here", lease_s=1, memory=Memory())
    await found.open()
    yield found
    await found.close()


@pytest.fixture
def keys(store: MemoryStore, clock: MovedClock) -> Keys:
    ids = itertools.count()
    return Keys(store, Sealed(Passphrase(b"a long passphrase")), clock, lambda: str(next(ids)))


async def published(keys: Keys) -> did.Document:
    return did.read(DID, json.dumps(did.write(DID, await keys.published("anna"), {})).encode())


async def states(keys: Keys) -> list[KeyState]:
    return [one.state for one in await keys.all("anna")]


async def test_the_first_key_signs_at_once_and_only_for_its_purpose(keys: Keys) -> None:
    made = await keys.create("anna", DID, Purpose.TOKEN)
    signing = await keys.signing("anna", Purpose.TOKEN)
    assert (made.state, signing.id, signing.public.jwk()) == (KeyState.ACTIVE, made.id, made.public.jwk())
    assert signing.id == f"{DID}#token-0"
    document = await published(keys)
    assert document.key(made.id, Relationship.INVOCATION)
    with pytest.raises(Unproven):
        document.key(made.id, Relationship.AUTHENTICATION)
    with pytest.raises(ConfigurationError):
        await keys.signing("anna", Purpose.PRESENTATION)
    with pytest.raises(ConfigurationError):
        await keys.signing("bert", Purpose.TOKEN)


@pytest.mark.parametrize("kind", ["P-256", "P-384", "Ed25519"])
async def test_keys_of_each_type_are_kept(keys: Keys, kind: str) -> None:
    made = await keys.create("anna", DID, Purpose.CREDENTIAL, kind=kind)
    assert (await keys.signing("anna", Purpose.CREDENTIAL)).public.jwk() == made.public.jwk()


async def test_a_key_is_replaced_when_everybody_has_seen_the_new_one(keys: Keys, clock: MovedClock) -> None:
    old = await keys.create("anna", DID, Purpose.TOKEN)
    new = await keys.create("anna", DID, Purpose.TOKEN)
    assert await states(keys) == [KeyState.ACTIVE, KeyState.CREATED]
    assert (await keys.signing("anna", Purpose.TOKEN)).id == old.id
    assert {old.id, new.id} == set((await published(keys)).methods)
    clock.move(seconds=LEAD.total_seconds())
    assert await states(keys) == [KeyState.ROTATED, KeyState.ACTIVE]
    assert (await keys.signing("anna", Purpose.TOKEN)).id == new.id
    # what the old one signed still counts
    assert {old.id, new.id} == set((await published(keys)).methods)


async def test_a_revoked_key_is_gone_from_the_document_and_the_store(keys: Keys, store: MemoryStore) -> None:
    made = await keys.create("anna", DID, Purpose.TOKEN)
    await keys.signing("anna", Purpose.TOKEN)
    await keys.revoke("anna", made.id)
    assert await states(keys) == [KeyState.REVOKED]
    assert (await published(keys)).methods == {}
    with pytest.raises(ConfigurationError):
        await keys.signing("anna", Purpose.TOKEN)
    kept = await store.document("anna", KIND, made.id)
    assert kept is not None
    assert kept.body["sealed"] == ""
    # the next one is the first again
    assert (await keys.create("anna", DID, Purpose.TOKEN)).state is KeyState.ACTIVE
    with pytest.raises(NotFound):
        await keys.revoke("anna", "nothing")
    with pytest.raises(NotFound):
        await keys.revoke("bert", made.id)


async def test_keys_for_access_tokens_are_published_nowhere(keys: Keys) -> None:
    made = await keys.create("anna", DID, Purpose.ACCESS)
    assert made.id not in (await published(keys)).methods
    assert (await keys.create("anna", DID, Purpose.ACCESS)).state is KeyState.ACTIVE


async def test_what_is_kept_is_sealed(keys: Keys, store: MemoryStore, clock: MovedClock) -> None:
    made = await keys.create("anna", DID, Purpose.TOKEN)
    kept = await store.document("anna", KIND, made.id)
    assert kept is not None
    assert "ENCRYPTED PRIVATE KEY" in kept.body["sealed"]
    assert set(kept.body["public"]) == {"kty", "crv", "x", "y"}
    other = Keys(store, Sealed(Passphrase(b"another passphrase")), clock, lambda: "x")
    with pytest.raises(ConfigurationError):
        await other.signing("anna", Purpose.TOKEN)
    with pytest.raises(ConfigurationError):
        Keys(store, Sealed(Passphrase(b"short")), clock, lambda: "x")
    # guessing the passphrase costs a derivation that takes time and memory, not the 2,048 rounds of PKCS #8
    scheme, salt, pem = kept.body["sealed"].split(":", 2)
    assert scheme == "scrypt"
    with pytest.raises(ConfigurationError):
        jose.from_pem(made.id, pem.encode(), b"a long passphrase")
    derived = hashlib.scrypt(b"a long passphrase", salt=bytes.fromhex(salt), n=1 << 15, r=8, p=3, maxmem=64 << 20, dklen=32)
    assert jose.from_pem(made.id, pem.encode(), derived.hex().encode()).public.jwk() == made.public.jwk()


async def test_keys_of_an_earlier_release_open_and_those_under_a_drawn_key_are_not_stretched() -> None:
    key = jose.generate(f"{DID}#token-1")
    plain = key.to_pem(b"a long passphrase").decode()
    said, drawn = Passphrase(b"a long passphrase"), Passphrase(b"a long passphrase", is_random=True)
    assert drawn.seal(key).startswith("-----BEGIN")
    for kept in (plain, drawn.seal(key), said.seal(key)):
        assert said.unseal(key.id, kept).public.jwk() == key.public.jwk()
    for broken in ("", "scrypt:", "scrypt:xx:", "scrypt:00:x"):
        with pytest.raises(ConfigurationError):
            said.unseal(key.id, broken)


async def test_of_two_replicas_that_begin_together_one_makes_each_key(store: MemoryStore, clock: MovedClock) -> None:
    ids = itertools.count()
    replicas = [Keys(store, Sealed(Passphrase(b"a long passphrase")), clock, lambda: str(next(ids))) for _ in range(2)]
    purposes = (Purpose.TOKEN, Purpose.ACCESS)
    await asyncio.gather(*(one.ensure("anna", DID, purposes) for one in replicas))
    assert [one.id for one in await replicas[0].all("anna")] == [f"{DID}#access-1", f"{DID}#token-1"]
    first, second = [await one.signing("anna", Purpose.TOKEN) for one in replicas]
    assert first.public.jwk() == second.public.jwk()
    # the first one was revoked: another takes its place, under a name of its own
    await replicas[0].revoke("anna", f"{DID}#token-1")
    await replicas[1].ensure("anna", DID, purposes)
    assert (await replicas[1].signing("anna", Purpose.TOKEN)).id == f"{DID}#token-0"


async def test_when_the_signing_key_is_revoked_the_next_one_signs_at_once(keys: Keys) -> None:
    old = await keys.create("anna", DID, Purpose.TOKEN)
    new = await keys.create("anna", DID, Purpose.TOKEN)
    assert await keys.changes("anna") == NOW + LEAD
    await keys.revoke("anna", old.id)
    assert (await keys.signing("anna", Purpose.TOKEN)).id == new.id
    assert await keys.changes("anna") is None
    assert set(await keys.proving("anna", Purpose.TOKEN)) == {new.id}


async def test_a_participant_goes_on_signing_when_the_clock_is_put_back(keys: Keys, clock: MovedClock) -> None:
    """INVARIANT: while there is a key, one signs."""
    clock.move(hours=2)
    first = await keys.create("anna", DID, Purpose.TOKEN)
    await keys.create("anna", DID, Purpose.TOKEN)
    clock.set(NOW)
    assert (await keys.signing("anna", Purpose.TOKEN)).id == first.id
    assert await states(keys) == [KeyState.ACTIVE, KeyState.CREATED]
