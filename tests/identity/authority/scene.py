"""An authority over a store in memory, and members whose documents and wallets stand on a real socket."""

from __future__ import annotations

import asyncio
import itertools
import json
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from connector import jose
from connector.identity import did as dids
from connector.identity import tokens
from connector.identity.authority import applications
from connector.identity.authority.kinds import CredentialType
from connector.identity.authority.members import Member
from connector.identity.authority.office import Office, office
from connector.identity.authority.space import Space
from connector.identity.did import Relationship
from connector.identity.formats import Credential, Model, read_credential
from connector.identity.keys import Keys, Passphrase, Sealed
from connector.identity.resolver import Resolver, ResolverRules
from connector.identity.senders import Senders
from connector.outbound.client import OutboundClient
from connector.ports.jobs import Job
from connector.storage.memory import MemoryStore
from connector.storage.replay import MemoryReplay
from connector.testing.clock import MovedClock
from tests.identity.hosts import PATIENT, Host, host

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
SPACE = "urn:space:test"
KINDS = (
    CredentialType(type="MembershipCredential", id="membership", fixed={"memberOf": SPACE}),
    CredentialType(type="RegionCredential", id="region", model=Model.V2, attributes=("region",)),
)
Json = dict[str, Any]


@dataclass
class Someone:
    """A member, or one who wants to be: its key, its document, and what its wallet was sent."""

    scene: Scene
    name: str
    received: list[Json] = field(default_factory=list)
    invited: list[Json] = field(default_factory=list)
    """Offers of membership that came when it was taken in."""
    authorizations: list[str] = field(default_factory=list)
    noticed: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.key = jose.generate(f"{self.did}#key-1")
        uses = (Relationship.INVOCATION,)
        services = {"CredentialService": f"{self.scene.host.url}/{self.name}/dcp"}
        pages = self.scene.host.pages
        pages[f"/{self.name}/did.json"] = json.dumps(
            dids.write(self.did, [(self.key.id, self.key.public, uses)], services)
        ).encode()
        pages[f"/{self.name}/dcp/credentials"] = self._take
        pages[f"/{self.name}/dcp/offers"] = self._take
        pages[f"/{self.name}/notices"] = self._notice

    @property
    def did(self) -> str:
        return f"{self.scene.host.did}:{self.name}"

    @property
    def credentials(self) -> list[Credential]:
        return [read_credential(one["payload"]) for message in self.received for one in message.get("credentials", [])]

    def _take(self, head: str, body: bytes) -> bytes:
        message = json.loads(body)
        is_invited = [one.get("offerReason") for one in message.get("credentials", [])] == ["issue"]
        (self.invited if is_invited else self.received).append(message)
        self.authorizations += [
            line.partition(": ")[2] for line in head.split("\r\n") if line.lower().startswith("authorization")
        ]
        return b"{}"

    def _notice(self, head: str, body: bytes) -> bytes:
        self.noticed.append(body.decode())
        return b"{}"

    def token(self, **changes: Any) -> str:
        """An `Authorization` header for the authority."""
        at = int(self.scene.clock.now().timestamp())
        claims = {"iss": self.did, "sub": self.did, "aud": self.scene.office.space.did, "iat": at, "exp": at + 60}
        claims |= {"jti": self.scene.new_id(), **changes}
        return f"Bearer {jose.sign(self.key, {k: v for k, v in claims.items() if v is not ...})}"

    async def apply(self, **attributes: Any) -> Member:
        notices = f"{self.scene.host.url}/{self.name}/notices"
        application = applications.written(
            self.did, address=f"https://{self.name}.example", notices=notices, attributes=attributes
        )
        return await self.scene.office.registry.apply(application)

    async def prove(self, application: Member) -> Member:
        return await self.scene.office.registry.prove(application.application, self.token(nonce=application.nonce))

    async def request(self, *ids: str, pid: str = "h1", **changes: Any) -> str:
        body = {
            "@context": ["https://w3id.org/dspace-dcp/v1.0/dcp.jsonld"],
            "type": "CredentialRequestMessage",
            "holderPid": pid,
            "credentials": [{"id": one} for one in ids or ("membership",)],
        }
        address = await self.scene.office.issuer.request(self.token(**changes), json.dumps(body).encode())
        return address.rpartition("/")[2]

    async def join(self, **attributes: Any) -> Member:
        """Everything up to its first credential."""
        await self.prove(await self.apply(**{"name": self.name, **attributes}))
        await self.scene.office.registry.approve(self.did, by="olga")
        await self.request()
        await self.scene.work()
        return await self.scene.office.registry.member(self.did)


@dataclass
class Scene:
    """The authority and its surroundings."""

    host: Host
    outbound: OutboundClient
    clock: MovedClock = field(default_factory=lambda: MovedClock(NOW))
    store: MemoryStore = field(default_factory=lambda: MemoryStore(node="n", lease_s=30))
    space: Json = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._ids = itertools.count(1)
        self.office = self.restarted()

    def new_id(self) -> str:
        return f"id-{next(self._ids)}"

    def restarted(self, draw: Callable[[int], int] = secrets.randbelow, **changes: Any) -> Office:
        """The office of another run, or of another replica."""
        keys = Keys(self.store, Sealed(Passphrase(b"a passphrase of the tests")), self.clock, self.new_id)
        resolver = Resolver(self.outbound, ResolverRules(unsafe_http=True, unsafe_local=True))
        parts = {"id": SPACE, "title": "Test", "public_url": self.host.url, "kinds": KINDS, **self.space, **changes}
        return office(
            Space(**parts),
            store=self.store,
            keys=keys,
            senders=Senders(resolver=resolver, replay=MemoryReplay(), clock=self.clock),
            outbound=self.outbound,
            clock=self.clock,
            new_id=self.new_id,
            draw=draw,
        )

    def someone(self, name: str) -> Someone:
        return Someone(self, name)

    async def work(self, office_: Office | None = None) -> list[Exception]:
        """Do the jobs that can be done now, each once; what went wrong."""
        faults: list[Exception] = []
        trades = (office_ or self.office).work
        while jobs := await self.store.jobs.claim([*trades], self.clock.now()):
            for job in jobs:
                await self._done(trades[job.kind], job, faults)
        return faults

    async def _done(self, work: Any, job: Job, faults: list[Exception]) -> None:
        try:
            at = await work(job)
        except Exception as fault:  # noqa: BLE001 - the story says what it expects
            faults.append(fault)
            await self.store.jobs.put_off(job, self.clock.now() + timedelta(minutes=1))
        else:
            await (self.store.jobs.done(job) if at is None else self.store.jobs.put_off(job, at))


@asynccontextmanager
async def scene(**space: Any) -> AsyncIterator[Scene]:
    """An open authority, with its keys."""
    async with host() as found, OutboundClient(PATIENT) as outbound:
        made = Scene(found, outbound, space=space)
        await made.office.ready()
        found.pages["/authority/did.json"] = json.dumps(await made.office.document()).encode()
        yield made


async def together(*ways: Any) -> list[Any]:
    """All of these at once, faults as values."""
    return await asyncio.gather(*ways, return_exceptions=True)


__all__ = ["KINDS", "NOW", "SPACE", "Scene", "Someone", "scene", "together", "tokens"]
