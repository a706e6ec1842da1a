"""The authority's keys are replaced and revoked while its space goes on: what was signed holds until its key is revoked."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest

from connector import jose
from connector.errors import CallerError, NotFound
from connector.identity import did as dids
from connector.identity.authority.keyring import Keyring
from connector.identity.authority.space import KEY_PURPOSES
from connector.identity.did import Relationship
from connector.identity.formats import read_credential
from connector.identity.keys import LEAD, KeyState, Purpose
from connector.identity.trustlists import Listing
from tests.identity.authority.scene import Scene, Someone, scene


@pytest.fixture
async def office() -> AsyncIterator[Scene]:
    async with scene() as found:
        yield found


async def holds(office: Scene, *raws: str) -> list[bool]:
    """Whether each token was signed by a key that the authority's document has now."""
    document = dids.read(office.office.space.did, json.dumps(await office.office.document()).encode())
    found: list[bool] = []
    for raw in raws:
        token = jose.read(raw, max_bytes=1 << 20)
        method = document.methods.get(token.key_id or "")
        found.append(method is not None)
    return found


async def lists(office: Scene) -> list[str]:
    """What is served now: the list of participants and a status list."""
    served = [await office.office.lists.served(Listing.PARTICIPANTS)]
    served.append(await office.office.status_lists.served("2021-revocation-1"))
    return [one.body.decode() for one in served]


def newest(someone: Someone) -> str:
    return str(someone.received[-1]["credentials"][0]["payload"])


def kid(raw: str) -> str:
    return str(jose.read(raw, max_bytes=1 << 20).key_id).rpartition("#")[2]


async def test_every_key_is_replaced_and_nothing_stops_meanwhile(office: Scene) -> None:
    keyring, anna = office.office.keyring, office.someone("anna")
    await anna.join()
    first = newest(anna)
    before = [first, *await lists(office)]
    made = {purpose: await keyring.rotate(purpose) for purpose in KEY_PURPOSES}
    # published at once, and the old ones sign until everybody has seen the new ones
    assert {one.state for one in made.values()} == {KeyState.CREATED}
    assert await holds(office, *before) == [True] * 3
    assert [kid(raw) for raw in await lists(office)] == ["trust-list-1", "status-list-1"]
    office.clock.move(seconds=LEAD.total_seconds())
    now = await lists(office)
    assert [kid(raw) for raw in now] == [made[one].id.rpartition("#")[2] for one in (Purpose.TRUST_LIST, Purpose.STATUS_LIST)]
    await anna.request(pid="h2")
    await office.work()
    assert kid(newest(anna)) == made[Purpose.CREDENTIAL].id.rpartition("#")[2]
    # what the old ones signed holds all the same, beside what the new ones do
    assert await holds(office, *before, *now, newest(anna)) == [True] * 6
    states = {one.id.rpartition("#")[2]: one.state for one in await keyring.all()}
    assert [states[f"{purpose}-1"] for purpose in KEY_PURPOSES] == [KeyState.ROTATED] * 4


async def test_a_revoked_key_for_credentials_has_members_offered_new_ones(office: Scene) -> None:
    keyring, anna, bert = office.office.keyring, office.someone("anna"), office.someone("bert")
    await anna.join()
    await bert.join()
    await office.office.registry.suspend(bert.did, by="olga", reason="test")
    first = newest(anna)
    # it was the only one: another signs from now on
    assert await keyring.revoke("credential-1") == 1
    await office.work()
    assert await holds(office, first) == [False]
    offered = [one for one in anna.received if one["type"] == "CredentialOfferMessage"]
    assert [one["credentials"][0]["offerReason"] for one in offered] == ["proof-key-revocation"]
    assert not any(one["type"] == "CredentialOfferMessage" for one in bert.received)
    await anna.request(pid="h2")
    await office.work()
    assert await holds(office, newest(anna)) == [True]
    assert read_credential(newest(anna)).subject == anna.did
    # once more changes nothing, and lists go on under another key
    assert await keyring.revoke("credential-1") == 0
    assert await keyring.revoke("trust-list-1") == 0
    assert await holds(office, *await lists(office)) == [True, True]


async def test_what_no_authority_signs_or_has_is_refused(office: Scene) -> None:
    keyring: Keyring = office.office.keyring
    with pytest.raises(CallerError, match="no key for `presentation`"):
        await keyring.rotate(Purpose.PRESENTATION)
    with pytest.raises(NotFound):
        await keyring.revoke("credential-9")


async def test_an_offered_key_of_another_type_signs_too(office: Scene) -> None:
    await office.someone("anna").join()
    made = await office.office.keyring.rotate(Purpose.TRUST_LIST, "Ed25519")
    office.clock.move(seconds=LEAD.total_seconds())
    raw, _ = await lists(office)
    assert jose.read(raw, max_bytes=1 << 20).key_id == made.id
    document = dids.read(office.office.space.did, json.dumps(await office.office.document()).encode())
    assert document.key(made.id, Relationship.ASSERTION).type == "Ed25519"
