"""How long it takes until a suspension is in the lists, and until the connectors of 1,000 members have been told of it.

What lives here: `figures_of`, which `identity.py` calls. Documents and wallets of the members are at hand: what is measured is the
authority over SQLite, not the network. Members are taken in before, by the whole way.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from dataclasses import dataclass, field
from typing import Any

from connector import jose
from connector.controlplane.clock import SystemClock
from connector.controlplane.jobs import Workers
from connector.identity import did, tokens
from connector.identity.authority import applications
from connector.identity.authority.kinds import CredentialType
from connector.identity.authority.members import State
from connector.identity.authority.office import Office, office
from connector.identity.authority.space import Space
from connector.identity.did import Relationship
from connector.identity.keys import Keys, Passphrase, Sealed
from connector.identity.places import PlaceRules
from connector.identity.resolver import Resolver, ResolverRules
from connector.identity.senders import Senders
from connector.outbound.client import Answer
from connector.outbound.rules import OutboundRules, Target, vet
from connector.storage.replay import MemoryReplay
from connector.storage.sqlite.store import SqliteStore
from tests.bench import figures
from tests.bench.asked import Asked
from tests.bench.load import on_loop

_URL = "https://authority.example"
_AT_ONCE = 32
_ALL_AT_ONCE = ResolverRules(places=PlaceRules(at_once=1000, per_host=1000, per_asker=1000))
_KEY = jose.generate("one key for all applicants: making keys is their work, not the authority's")


@dataclass
class _Members:
    """A way out to members whose documents and wallets cost nothing, and what they were sent."""

    rules: OutboundRules = field(default_factory=OutboundRules)
    delivered: int = 0
    noticed: int = 0
    awaited: int = 0
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when as many deliveries or notices as are awaited have come."""

    def vet(self, url: str) -> Target:
        return vet(url, self.rules)

    async def get(self, url: str, headers: Any, *, max_bytes: int | None = None) -> Answer:
        name = url.removeprefix("https://").partition(".")[0]
        key = _key(name)
        tree = did.write(
            _did(name), [(key.id, key.public, [Relationship.INVOCATION])], {"CredentialService": f"https://{name}.example/dcp"}
        )
        return Answer(status=200, headers={}, body=json.dumps(tree).encode())

    async def post(self, url: str, body: bytes, headers: Any, *, max_bytes: int | None = None) -> Answer:
        if url.endswith("/credentials"):
            self.delivered += 1
        else:
            self.noticed += 1
        if self.awaited in (self.delivered, self.noticed):
            self.arrived.set()
        return Answer(status=200, headers={}, body=b"")


def figures_of(asked: Asked) -> list[figures.Figure]:
    """The figures."""
    return on_loop(lambda: _measured(asked))


async def _measured(asked: Asked) -> list[figures.Figure]:
    count = asked.of(1000)
    members, clock = _Members(awaited=count), SystemClock()
    store = SqliteStore(path=asked.folder / "suspension.db", node="bench", lease_s=30)
    await store.open()
    found = _office(store, members, clock)
    await found.ready()
    workers = Workers(store.jobs, clock, lease_s=30)
    for kind, work in found.work.items():
        workers.register(kind, work)  # type: ignore[arg-type]
    working = asyncio.create_task(workers.run())
    gate = asyncio.Semaphore(_AT_ONCE)

    async def onboard(name: str) -> None:
        async with gate:
            await _onboarded(found, name, clock)

    async with asyncio.TaskGroup() as tasks:
        for number in range(count):
            tasks.create_task(onboard(f"member-{number}"))
    await members.arrived.wait()
    assert len(await found.registry.members(State.ACTIVE)) == count

    members.arrived.clear()
    begin = time.perf_counter()
    await found.registry.suspend(_did("member-0"), by="bench", reason="figure")
    listed = time.perf_counter() - begin
    await members.arrived.wait()
    told = time.perf_counter() - begin
    working.cancel()
    await asyncio.gather(working, return_exceptions=True)
    await store.close()
    return [
        figures.plain(18, "suspension: bits and lists say so", [listed], unit="s", must=2),
        figures.plain(18, f"suspension: {count} connectors are told", [told], unit="s", must=2),
    ]


async def _onboarded(found: Office, name: str, clock: SystemClock) -> None:
    application = applications.written(_did(name), notices=f"https://{name}.example/notices", attributes={"name": name})
    member = await found.registry.apply(application)
    await found.registry.prove(member.application, _token(found, name, clock, nonce=member.nonce))
    await found.registry.approve(_did(name), by="bench")
    body = {
        "@context": ["https://w3id.org/dspace-dcp/v1.0/dcp.jsonld"],
        "type": "CredentialRequestMessage",
        "holderPid": "1",
        "credentials": [{"id": "membership"}],
    }
    await found.issuer.request(_token(found, name, clock), json.dumps(body).encode())


def _office(store: SqliteStore, members: Any, clock: SystemClock) -> Office:
    ids = itertools.count()
    kind = CredentialType(type="MembershipCredential", id="membership", fixed={"memberOf": "urn:space:bench"})
    return office(
        Space(id="urn:space:bench", title="", public_url=_URL, kinds=(kind,)),
        store=store,
        keys=Keys(store, Sealed(Passphrase(b"a passphrase of the bench")), clock, lambda: f"k{next(ids)}"),
        senders=Senders(
            resolver=Resolver(members, _ALL_AT_ONCE),
            replay=MemoryReplay(),
            clock=clock,
        ),
        outbound=members,
        clock=clock,
        new_id=lambda: f"id-{next(ids)}",
    )


def _did(name: str) -> str:
    return f"did:web:{name}.example"


def _key(name: str) -> jose.SigningKey:
    return jose.SigningKey(id=f"{_did(name)}#key-1", numbers=_KEY.numbers)


_JTI = itertools.count()


def _token(found: Office, name: str, clock: SystemClock, nonce: str | None = None) -> str:
    raw = tokens.self_issued(
        _key(name), sender=_did(name), receiver=found.space.did, now=clock.now(), jti=str(next(_JTI)), nonce=nonce
    )
    return f"Bearer {raw}"
