"""What a peer has proven is remembered sealed and judged anew: by another node, after a restart, when something was withdrawn."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest

from connector import jose
from connector.controlplane.secrets import Seal
from connector.errors import StoreUnavailable
from connector.identity import did
from connector.identity.credentials import Asked, Failure, Proven, Trust
from connector.identity.did import Relationship
from connector.identity.evidence import EvidenceSource
from connector.identity.formats import read_credential
from connector.identity.known import KIND, Known, context_of
from connector.identity.resolver import Resolver, ResolverRules
from connector.outbound.client import OutboundClient
from connector.storage.memory import Memory, MemoryStore
from connector.testing.clock import MovedClock
from tests.identity.hosts import LOCAL, Host, host
from tests.identity.space import HOLDER, MEMBER, NOW, VERIFIER, Party, credential_1, entry, list_2, tree_1


@dataclass
class Scene:
    served: Host
    clock: MovedClock
    store: MemoryStore
    resolver: Resolver
    client: OutboundClient
    issuer: jose.SigningKey
    revoked: tuple[int, ...] = ()

    @property
    def issuer_did(self) -> str:
        return f"{self.served.did}:issuer"

    @property
    def asked(self) -> Asked:
        return Asked(verifier=VERIFIER, holder=HOLDER.did, scopes=(MEMBER,))

    @property
    def trust(self) -> Trust:
        return Trust(issuers={self.issuer_did: frozenset({"MembershipCredential"})})

    def node(self) -> Known:
        """What a node knows that has just started."""
        evidence = EvidenceSource(self.client, self.resolver, keep_lists=timedelta(0))
        return Known(self.store, Seal(bytes(32)), evidence)

    def proven(self, **changes: Any) -> Proven:
        status = entry("7", statusListCredential=f"{self.served.url}/status")
        raw = credential_1(
            tree_1(issuer=self.issuer_did, credentialStatus=status), iss=self.issuer_did, by=Party("", self.issuer), **changes
        )
        return Proven(holder=HOLDER.did, credentials=(read_credential(raw),), valid_until=NOW + timedelta(days=90))

    def publish(self) -> None:
        document = did.write(self.issuer_did, [(self.issuer.id, self.issuer.public, [Relationship.ASSERTION])], {})
        self.served.pages["/issuer/did.json"] = json.dumps(document).encode()

    def listed(self, _head: str, _body: bytes) -> bytes:
        by = Party("", self.issuer)
        return list_2(*self.revoked, by=by, issuer=self.issuer_did, id=f"{self.served.url}/status")

    async def still(self, known: Known) -> Proven | None:
        found = await known.still("us", self.asked, self.trust, self.clock.now())
        return found if isinstance(found, Proven) else None


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    async with host() as served, OutboundClient(LOCAL) as client:
        clock = MovedClock(NOW)
        resolver = Resolver(client, ResolverRules(unsafe_http=True, unsafe_local=True), lambda: clock.now().timestamp())
        store = MemoryStore(node="here", lease_s=1, memory=Memory())
        found = Scene(served, clock, store, resolver, client, jose.generate(f"{served.did}:issuer#key-1"))
        found.publish()
        served.pages["/status"] = found.listed
        yield found
        await resolver.close()


async def test_another_node_judges_it_anew_and_asks_the_peer_nothing(scene: Scene) -> None:
    proven = scene.proven()
    await scene.node().put("us", scene.asked, proven, NOW)
    (row,) = (await scene.store.documents(context_of("us"), KIND)).items
    assert "eyJ" not in str(row.body)
    other = scene.node()
    found = await scene.still(other)
    assert found is not None
    assert [one.token for one in found.credentials] == [one.token for one in proven.credentials]
    assert scene.served.asked == {"/issuer/did.json": 1, "/status": 1}
    # a message of the peer needs more than that
    assert other.fresh("us", scene.asked, NOW) is None
    assert await scene.still(other) == found
    assert scene.served.asked["/status"] == 1
    # nothing is known of it elsewhere, or of others
    assert await other.still("them", scene.asked, scene.trust, NOW) is None
    assert await other.still("us", replace(scene.asked, holder="did:web:other.example"), scene.trust, NOW) is None


async def test_what_was_withdrawn_counts_no_more_a_minute_later_or_at_once(scene: Scene) -> None:
    known = scene.node()
    await known.put("us", scene.asked, scene.proven(), NOW)
    scene.revoked = (7,)
    assert await scene.still(known) is not None
    scene.clock.move(seconds=60)
    assert known.fresh("us", scene.asked, scene.clock.now()) is None
    assert known.is_shown("us", scene.asked, scene.clock.now())
    assert await scene.still(known) is None
    # nor does it spare the next message the question
    assert not known.is_shown("us", scene.asked, scene.clock.now())
    scene.revoked = ()
    assert await scene.still(known) is not None
    scene.revoked = (7,)
    known.forget(HOLDER.did)
    assert known.fresh("us", scene.asked, scene.clock.now()) is None
    assert await scene.still(known) is None


async def test_what_is_over_or_no_longer_believed_counts_no_more(scene: Scene) -> None:
    known = scene.node()
    await known.put("us", scene.asked, scene.proven(), NOW)
    scene.clock.move(seconds=60)
    found = await known.still("us", scene.asked, Trust(issuers={}), scene.clock.now())
    assert isinstance(found, Failure)
    assert found.check == "trust"
    scene.clock.move(days=91)
    assert await scene.still(known) is None


async def test_an_issuers_new_key_is_looked_up_once(scene: Scene) -> None:
    known = scene.node()
    await scene.still(known)
    old = await known.still("us", scene.asked, scene.trust, NOW)
    assert old is None
    await scene.resolver.resolve(scene.issuer_did)
    scene.issuer = jose.generate(scene.issuer.id)
    scene.publish()
    scene.clock.move(seconds=60)
    await scene.node().put("us", scene.asked, scene.proven(), NOW)
    assert await scene.still(scene.node()) is not None


async def test_the_same_is_written_once_and_a_store_that_is_away_costs_the_memory_alone(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    known, proven = scene.node(), scene.proven()
    for _ in range(3):
        await known.put("us", scene.asked, proven, NOW)
    (row,) = (await scene.store.documents(context_of("us"), KIND)).items
    assert row.version == 1

    async def away(*_: object, **__: object) -> None:
        raise StoreUnavailable("connection refused")

    monkeypatch.setattr(scene.store, "document", away)
    await known.put("us", scene.asked, proven, NOW)
    assert known.fresh("us", scene.asked, NOW) == proven


async def test_a_clock_that_is_put_back_makes_nothing_last_longer(scene: Scene) -> None:
    """INVARIANT: a clock that is put back makes nothing last longer."""
    known = scene.node()
    scene.clock.move(hours=2)
    await known.put("us", scene.asked, scene.proven(), scene.clock.now())
    assert known.fresh("us", scene.asked, scene.clock.now()) is not None
    scene.revoked = (7,)
    scene.clock.set(NOW)
    assert known.fresh("us", scene.asked, NOW) is None
    assert not known.is_shown("us", scene.asked, NOW)
    assert await scene.still(known) is None
