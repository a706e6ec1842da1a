"""Two nodes with wallets: a member gets the data by its credential, nobody does without one, and a revoked one is out."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from connector.api.identity import CredentialRequest, NewIdentityKey
from connector.errors import KontorError
from connector.identity.keys import LEAD
from connector.testing.clock import MovedClock
from connector.testing.dataspace import DataSpace, Member
from tests.identity.hosts import host
from tests.identity.issuer import MEMBER, Issuer
from tests.identity.space import V2

GOLD = {
    "permission": [{"action": "use", "constraint": [{"leftOperand": "claim:level", "operator": "eq", "rightOperand": "gold"}]}]
}
"""Use by whom a credential says so."""
SCOPE = "org.eclipse.dspace.dcp.vc.type:MembershipCredential"


@pytest.fixture
async def issuer() -> AsyncIterator[Issuer]:
    async with host() as served:
        yield Issuer(served)


def space_of(issuer: Issuer, clock: MovedClock | None = None, **identity: object) -> DataSpace:
    membership = {"trusted_issuers": [{"id": issuer.did}], "scopes": [SCOPE]}
    settings = {"identity": {"membership": membership, "keep_status_lists_s": 0, **identity}}
    return DataSpace(has_wallets=True, clock=clock, settings=settings)


async def joined(member: Member, issuer: Issuer, type_: str = MEMBER) -> None:
    """`member` has a credential, that of its membership unless it is told otherwise, as its operator would get one."""
    asked = await member.send(member.calls.request_credentials(CredentialRequest(issuer=issuer.did, types=[type_])))

    async def standing() -> str:
        page = await member.send(member.calls.credential_requests())
        return next(f"{one.state} {one.error}" for one in page.items if one.id == asked.id)

    await member.until(standing, lambda state: state.startswith("ISSUED"))


async def test_members_get_the_data_who_holds_nothing_does_not_and_a_revoked_one_no_longer(issuer: Issuer) -> None:
    # nothing shown is kept: each message is judged by what the list says now
    async with space_of(issuer, keep_presentations_s=0) as space:
        provider, member, nobody = space.join("provider"), space.join("member"), space.join("nobody")
        offer = await provider.publish("weather", content=b"sunny", policy=GOLD)
        await joined(provider, issuer)
        await joined(member, issuer)
        (held,) = (await member.send(member.calls.credentials())).items
        assert (held.types, held.claims["level"], held.is_valid_now) == ([MEMBER], "gold", True)
        assert (await nobody.negotiate(offer)).state == "TERMINATED"
        agreed = await member.negotiate(offer)
        transfer = await member.transfer(agreed)
        assert await member.get(transfer) == b"sunny"

        issuer.revoked.add(issuer.next_index)
        assert (await member.negotiate(offer)).state == "TERMINATED"
        # the contract is still there, and the data flows no more
        with pytest.raises(KontorError):
            await member.get(transfer)


async def test_what_was_proven_outlives_a_restart_and_a_wallet_its_node(issuer: Issuer) -> None:
    issuer.model = V2
    async with DataSpace(
        has_wallets=True,
        store="sqlite:///kontor.db",
        settings={"identity": {"membership": {"trusted_issuers": [{"id": issuer.did}], "profiles": ["vc20-bssl/jwt"]}}},
    ) as space:
        provider, member = space.join("provider"), space.join("member")
        offer = await provider.publish("weather", content=b"sunny", policy=GOLD)
        await joined(provider, issuer)
        await joined(member, issuer)
        transfer = await member.transfer(await member.negotiate(offer))
        keys = (await member.send(member.calls.keys())).items
        for one in (provider, member):
            await space.stop(one)
            await space.start(one)
        # the provider decides without a message of the member, by what it has proven before
        assert await member.get(transfer) == b"sunny"
        assert (await member.send(member.calls.keys())).items == keys
        assert (await member.negotiate(offer)).state == "FINALIZED"


async def test_keys_are_replaced_and_revoked_while_messages_go_on(issuer: Issuer) -> None:
    clock = MovedClock(datetime.now(UTC))
    async with space_of(issuer, clock) as space:
        provider, member = space.join("provider"), space.join("member")
        offer = await provider.publish("weather", content=b"sunny", policy=GOLD)
        await joined(provider, issuer)
        await joined(member, issuer)
        new = await member.send(member.calls.rotate_key(NewIdentityKey(purpose="token")))
        assert new.state == "CREATED"
        assert (await member.negotiate(offer)).state == "FINALIZED"
        clock.move(seconds=LEAD.total_seconds())
        assert (await member.negotiate(offer)).state == "FINALIZED"
        await member.send(member.calls.revoke_key("token-1"))
        states = {one.name: one.state for one in (await member.send(member.calls.keys())).items if one.purpose == "token"}
        assert states == {"token-1": "REVOKED", new.name: "ACTIVE"}
        assert (await member.negotiate(offer)).state == "FINALIZED"
        # one that is revoked at once is a key that the provider has never seen: it looks again
        clock.move(seconds=60)
        await member.send(member.calls.revoke_key(new.name))
        assert (await member.negotiate(offer)).state == "FINALIZED"
