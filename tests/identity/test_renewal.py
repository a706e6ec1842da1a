"""Requests for credentials are sent until the issuer has them, looked after, and renewed before what they brought ends."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from connector import jose
from connector.errors import Conflict, NotFound
from connector.identity.holder import Wallet
from connector.identity.renewal import Renewal
from connector.identity.requests import Request, Requests, RequestState
from connector.identity.resolver import Resolver, ResolverRules
from connector.outbound.client import OutboundClient
from connector.storage.memory import Memory, MemoryStore
from connector.testing.clock import MovedClock
from tests.identity.hosts import PATIENT, Host, host
from tests.identity.issuer import MEMBER, Issuer
from tests.identity.registry import registry
from tests.identity.space import NOW

US = "did:web:us.example"


@dataclass
class Scene:
    served: Host
    issuer: Issuer
    clock: MovedClock
    requests: Requests
    renewals: list[Renewal]
    """Those of two nodes on one store."""

    async def add(self, **changes: Any) -> Request:
        plain = Request(id="one", issuer=self.issuer.did, types=(MEMBER,))
        return await self.requests.add("us", replace(plain, **changes))

    async def now(self, id_: str = "one") -> Request:
        found = await self.requests.get("us", id_)
        assert found is not None
        return found

    async def work(self) -> datetime:
        return await self.renewals[0].once()


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    async with host() as served, OutboundClient(PATIENT) as client:
        clock, ids = MovedClock(NOW), itertools.count()
        store = MemoryStore(node="here", lease_s=1, memory=Memory())
        keys = [jose.generate(f"{US}#{name}") for name in ("token", "presentation", "access")]
        wallet = Wallet(did=US, token_key=keys[0], presentation_key=keys[1], access_key=keys[2], held=(), grants=("x:y",))
        requests = Requests(store, clock)
        resolver = Resolver(client, ResolverRules(unsafe_http=True, unsafe_local=True), lambda: clock.now().timestamp())
        renewals = [
            Renewal(
                requests=requests,
                wallets=registry({"us": wallet}),
                resolver=resolver,
                outbound=client,
                clock=clock,
                new_id=lambda: str(next(ids)),
            )
            for _ in range(2)
        ]
        issuer = Issuer(served)
        served.pages["/issuer/credentials"] = lambda _head, _body: b""
        yield Scene(served, issuer, clock, requests, renewals)
        await resolver.close()


def asked(scene: Scene) -> int:
    return scene.served.asked["/issuer/credentials"]


async def test_of_two_nodes_one_sends_it_once(scene: Scene) -> None:
    await scene.add()
    await asyncio.gather(*(one.once() for one in scene.renewals))
    assert asked(scene) == 1
    assert (await scene.now()).state is RequestState.RECEIVED
    await scene.work()
    assert asked(scene) == 1


async def test_an_issuer_that_hangs_holds_up_nobody_elses_request(scene: Scene) -> None:
    """INVARIANT: an issuer that hangs holds up the participant that asks it, and no other."""
    (renewal, _), over = scene.renewals, asyncio.Event()
    own = await renewal.wallets("us")
    assert own is not None
    renewal.wallets = registry({"us": own, "neighbour": own})

    async def never(_head: str, _body: bytes) -> bytes:
        await over.wait()
        return b""

    hanging = Issuer(scene.served, name="hanging")
    scene.served.pages["/hanging/metadata"] = never
    for number in range(3):
        await scene.requests.add("neighbour", Request(id=f"n{number}", issuer=hanging.did, types=(MEMBER,)))
    running = asyncio.ensure_future(renewal.run())
    while not scene.served.asked["/hanging/metadata"]:
        scene.served.arrived.clear()
        await scene.served.arrived.wait()
    await scene.add()
    renewal.woken.set()
    while not asked(scene):
        scene.served.arrived.clear()
        await scene.served.arrived.wait()
    assert scene.served.asked["/hanging/metadata"] == 1
    running.cancel()
    over.set()
    await asyncio.gather(running, return_exceptions=True)


async def test_an_issuer_that_is_away_is_asked_again_and_again_and_then_has_it(scene: Scene) -> None:
    await scene.add()
    scene.served.statuses["/issuer/metadata"] = 503
    moments = []
    for _ in range(4):
        await scene.work()
        kept = await scene.now()
        assert (kept.state, bool(kept.error)) == (RequestState.REQUESTED, True)
        assert kept.next_at is not None
        moments.append(kept.next_at - scene.clock.now())
        scene.clock.move(seconds=moments[-1].total_seconds())
    assert moments == [timedelta(seconds=2 * 2**n) for n in range(4)]
    del scene.served.statuses["/issuer/metadata"]
    await scene.work()
    kept = await scene.now()
    assert (kept.state, kept.error, kept.tries) == (RequestState.RECEIVED, "", 0)


async def test_a_node_that_dies_while_it_asks_costs_a_minute(scene: Scene) -> None:
    kept = await scene.add()
    await scene.requests.put("us", replace(kept, next_at=scene.clock.now() + timedelta(minutes=1)))
    assert await scene.work() == scene.clock.now() + timedelta(minutes=1)
    assert asked(scene) == 0
    scene.clock.move(seconds=60)
    await scene.work()
    assert asked(scene) == 1


async def test_what_the_issuer_does_not_issue_is_said(scene: Scene) -> None:
    await scene.add(types=("Other",))
    await scene.work()
    assert "does not issue `Other`; it issues MembershipCredential" in (await scene.now()).error
    await scene.add(id="two", profile="vc20-bssl/jwt")
    await scene.work()
    assert "as `vc20-bssl/jwt`" in (await scene.now("two")).error


@pytest.mark.parametrize(
    ("status", "state"),
    [("REJECTED", RequestState.REJECTED), ("RECEIVED", RequestState.RECEIVED), ("ISSUED", RequestState.REQUESTED)],
)
async def test_a_request_of_which_nothing_comes_is_looked_after(scene: Scene, status: str, state: RequestState) -> None:
    kept = await scene.add()
    location = f"{scene.issuer.url}/requests/7"
    await scene.requests.put("us", replace(kept, state=RequestState.RECEIVED, location=location))
    tree = {"@context": ["https://w3id.org/dspace-dcp/v1.0/dcp.jsonld"], "type": "CredentialStatus", "status": status}
    scene.served.pages["/issuer/requests/7"] = json.dumps(tree).encode()
    await scene.work()
    assert (await scene.now()).state is state
    assert scene.served.asked["/issuer/requests/7"] == 1


async def test_a_location_elsewhere_is_never_asked_with_our_token(scene: Scene) -> None:
    await scene.add()
    scene.served.locations["/issuer/credentials"] = "https://evil.example/requests/7"
    await scene.work()
    kept = await scene.now()
    assert (kept.state, kept.location) == (RequestState.RECEIVED, "")


async def test_names_are_taken_once_and_what_ended_is_not_there(scene: Scene) -> None:
    await scene.add()
    with pytest.raises(Conflict):
        await scene.add()
    await scene.requests.drop("us", "one")
    with pytest.raises(NotFound):
        await scene.requests.drop("us", "one")
    await scene.work()
    assert asked(scene) == 0
