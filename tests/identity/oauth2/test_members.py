"""Members of an authority get tokens by the keys of their DID documents, as long as they are ACTIVE and not a moment longer (M2)."""

from __future__ import annotations

import itertools
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio

from connector import jose
from connector.app.assembly.oauth2 import _member
from connector.identity import did as dids
from connector.identity.authority.members import Member, State
from connector.identity.authority.records import Records
from connector.identity.did import Relationship
from connector.identity.keys import Keys, Passphrase, Sealed
from connector.identity.oauth2 import assertions
from connector.identity.oauth2.clients import MemberClients
from connector.identity.oauth2.provider import Provider, ProviderRules
from connector.identity.resolver import Resolver, ResolverRules
from connector.outbound.client import OutboundClient
from connector.storage import open_store
from connector.testing.clock import MovedClock
from tests.identity.hosts import PATIENT, Host, host
from tests.identity.oauth2.conftest import ISSUER, NOW


@dataclass
class Space:
    """An authority's register, its provider, and two members with documents on a real host."""

    at: Host
    records: Records
    provider: Provider
    keys: dict[str, jose.SigningKey]
    ids: Any

    def did(self, name: str) -> str:
        return f"{self.at.did}:{name}"

    async def put(self, name: str, state: State) -> None:
        def changed(found: Member | None) -> Member:
            version = found.version if found else 0
            said = {"region": "EU", "iss": "x"}
            return Member(
                did=self.did(name), application="a", state=state, nonce="n", nonce_until=NOW, attributes=said, version=version
            )

        await self.records.change(self.did(name), changed)

    def form(self, name: str, *, key: jose.SigningKey | None = None, **changes: str) -> dict[str, str]:
        signer = key or self.keys[name]
        raw = assertions.written(signer, client=self.did(name), issuer=ISSUER, now=NOW, jti=f"j{next(self.ids)}")
        plain = {"grant_type": "client_credentials", "client_assertion_type": assertions.TYPE, "client_assertion": raw}
        return {**plain, "resource": self.did("beta"), **changes}

    async def outcome(self, name: str, **changes: Any) -> Any:
        reply = await self.provider.token(self.form(name, **changes))
        return reply.body.get("error", reply.status)


@pytest_asyncio.fixture
async def space() -> AsyncIterator[Space]:
    async with host() as at, OutboundClient(PATIENT) as outbound:
        clock, ids = MovedClock(NOW), itertools.count()
        store = open_store("memory:", node="n", lease_s=30)
        await store.open()
        records = Records(store, clock)
        resolver = Resolver(outbound, ResolverRules(unsafe_http=True, unsafe_local=True))
        keys = {name: jose.generate(f"{at.did}:{name}#key-1") for name in ("acme", "beta")}
        for name, key in keys.items():
            tree = dids.write(f"{at.did}:{name}", [(key.id, key.public, [Relationship.INVOCATION])], {})
            at.pages[f"/{name}/did.json"] = json.dumps(tree).encode()
        provider = Provider(
            ProviderRules(issuer=ISSUER),
            clients=MemberClients(lambda did: _member(records, did), resolver),
            keys=Keys(store, Sealed(Passphrase(b"a passphrase of tests")), clock, lambda: f"k{next(ids)}"),
            store=store,
            clock=clock,
            new_id=lambda: f"t{next(ids)}",
        )
        found = Space(at, records, provider, keys, ids)
        await found.put("beta", State.ACTIVE)
        yield found
        await resolver.close()
        await store.close()


@pytest.mark.parametrize("state", State)
async def test_only_an_active_member_gets_tokens(space: Space, state: State) -> None:
    await space.put("acme", state)
    assert await space.outcome("acme") == (200 if state is State.ACTIVE else "invalid_client")
    if state is not State.ACTIVE:
        assert space.at.connections == 0, "the document of somebody without rights was fetched"


@pytest.mark.parametrize("state", State)
async def test_tokens_are_for_active_members_alone(space: Space, state: State) -> None:
    await space.put("acme", State.ACTIVE)
    await space.put("beta", state)
    assert await space.outcome("acme") == (200 if state is State.ACTIVE else "invalid_target")


async def test_a_token_says_what_the_register_says_and_nothing_in_its_stead(space: Space) -> None:
    await space.put("acme", State.ACTIVE)
    reply = await space.provider.token(space.form("acme"))
    claims = jose.read(reply.body["access_token"], max_bytes=9000).claims
    assert (claims["iss"], claims["sub"], claims["region"], claims["membership"]) == (ISSUER, space.did("acme"), "EU", "ACTIVE")


async def test_a_live_token_of_a_member_that_is_suspended_holds_no_longer(space: Space) -> None:
    await space.put("acme", State.ACTIVE)
    raw = (await space.provider.token(space.form("acme"))).body["access_token"]
    for state, holds in ((State.SUSPENDED, False), (State.ACTIVE, True), (State.REVOKED, False)):
        await space.put("acme", state)
        reply = await space.provider.introspect(space.form("beta", token=raw))
        assert reply.body["active"] is holds


async def test_a_member_is_proven_by_its_own_document_alone(space: Space) -> None:
    await space.put("acme", State.ACTIVE)
    for key in (jose.generate(space.keys["acme"].id), space.keys["beta"]):
        assert await space.outcome("acme", key=key) == "invalid_client"
