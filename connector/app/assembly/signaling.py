"""Data plane signaling of a node: what both sides share, and the control plane's side. Loaded where the settings ask for it."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from connector.app.assembly.ground import Ground, Role
from connector.dps.messages import Dialect
from connector.errors import ConfigurationError
from connector.identity.keysets import KeySet
from connector.outbound.client import OutboundClient
from connector.outbound.rules import OutboundRules
from connector.outbound.tls import Tls
from connector.settings import Proof, Signaling, proof_tree
from connector.signaling.admission import Admission
from connector.signaling.book import DATA_PLANE, Book
from connector.signaling.callers import Callers
from connector.signaling.entries import Entry, Owner, authorization_of
from connector.signaling.logins import Logins
from connector.signaling.planes import DataPlanes

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fastapi import APIRouter

    from connector.controlplane.signals import Signals
    from connector.ports.jobs import Job
    from connector.ports.seal import Sealer
    from connector.ports.signaling import FlowEvents

ANNOUNCE = "signal-announce"
"""The kind of the jobs that register us with a data plane."""
_CALLS: Final = 32
"""Calls to planes under way at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """What both sides of signaling stand on."""

    settings: Signaling
    url: str
    """Where planes reach us."""
    id: str
    """Who we are to them."""
    outbound: OutboundClient
    callers: Callers
    logins: Logins
    sealer: Sealer


async def opened_shared(ground: Ground, stack: AsyncExitStack) -> Shared:
    """What both sides stand on, for as long as `stack` is open.

    Raises: ConfigurationError.
    """
    from connector.controlplane.secrets import Seal

    settings, found = ground.settings.outbound, ground.settings.signaling
    if found is None:
        raise ConfigurationError(
            "the role `dataplane` is driven over signaling, and there is no such listener",
            where="signaling",
            mend="add the section",
        )
    # planes stand on private networks: what they may be is the list of each, not what is public
    rules = OutboundRules(
        allow_http=found.unsafe_allow_http,
        allow_loopback=True,
        allow_private=True,
        connect_s=settings.connect_timeout_s,
        read_s=settings.read_timeout_s,
        total_s=settings.total_timeout_s,
        max_answer_bytes=1 << 20,
    )
    tls = Tls(ca_file=settings.ca_file, certificate=settings.client_certificate, key=settings.client_key)
    outbound = await stack.enter_async_context(OutboundClient(rules, tls))
    sets: dict[str, KeySet] = {}

    def keys(url: str) -> KeySet:
        seconds = lambda: ground.clock.now().timestamp()  # noqa: E731
        return sets.setdefault(url, KeySet(issuer=url, outbound=outbound, url=url, seconds=seconds))

    return Shared(
        settings=found,
        url=ground.signaling_url,
        id=found.id or ground.settings.node.id,
        outbound=outbound,
        callers=Callers(ground.clock, ground.store.replay, keys),
        logins=Logins(outbound, ground.clock, found.workload_token),
        sealer=Seal(ground.key),
    )


def expected(
    proof: Proof, participant: str, id_: str, *, endpoint: str, hosts: tuple[str, ...], dialect: Dialect, allows_http: bool
) -> Entry:
    """A plane that the settings name, as an entry."""
    return Entry(
        participant=participant,
        id=id_,
        dialect=dialect,
        endpoint=endpoint,
        hosts=hosts,
        authorization=authorization_of(proof_tree(proof)),
        principal=proof.principal,
        is_unverified=proof.unsafe_unverified,
        owner=Owner.OPERATOR,
        allows_http=allows_http,
    )


def data_planes(ground: Ground, shared: Shared) -> DataPlanes:
    """The data planes under our control, known before the control plane that drives them."""
    book = Book(
        ground.store,
        shared.sealer,
        ground.clock,
        DATA_PLANE,
        allows_http=shared.settings.unsafe_allow_http,
        written=ground.revisions.forget,
    )
    return DataPlanes(book, shared.outbound, shared.logins, ground.clock, url=shared.url, id_=shared.id)


def control_role(ground: Ground, shared: Shared, planes: DataPlanes, signals: Signals, events: FlowEvents) -> Role:
    """What data planes reach of our control plane, and what its operator asks about them."""
    from connector.controlplane.flows import LOOK, SIGNAL
    from connector.controlplane.jobs import Workers
    from connector.controlplane.signals import PACE
    from connector.ports.jobs import NewJob
    from connector.web.signaling import control

    # workers of their own: neither long pushes nor a plane that hangs hold up anything else
    workers = Workers(ground.store.jobs, ground.clock, lease_s=ground.settings.store.lease_s, parallel=_CALLS)
    workers.register(SIGNAL, signals.signal, PACE)
    workers.register(LOOK, signals.look, PACE)

    async def announce(entry: Entry) -> None:
        if entry.is_announced:
            job = NewJob(participant=entry.participant, kind=ANNOUNCE, id=entry.id, body={})
            await ground.store.jobs.put([job], ground.clock.now())

    async def announced(job: Job) -> None:
        entry = await planes.book.find(job.participant, job.id)
        if entry is not None and entry.is_announced:
            await planes.announce(entry)

    async def begin() -> None:
        """Announce ourselves anew at each start, whatever a plane has forgotten or we have changed; then drive the flows."""
        for context in await ground.participants.all():
            for entry in await planes.book.all(context.name):
                await announce(entry)
        await workers.run()

    workers.register(ANNOUNCE, announced)
    http = shared.settings.unsafe_allow_http
    named = [
        expected(plane, name, plane.id, endpoint=shared.url, hosts=plane.hosts, dialect=Dialect.DPS, allows_http=http)
        for plane in shared.settings.planes
        for name in plane.participants
    ]
    admission = Admission(planes.book, shared.callers, named, id_=shared.id, announce=announce)

    def rooms() -> Iterable[APIRouter]:
        from connector.web.operator.dataplanes import routes

        return [routes(ground.participants, planes, announce, signals.held, allows_http=http)]

    return Role(
        signaling=control.routes(admission, events),
        rooms=[rooms],
        workers={"signals": begin},
    )


def patience(settings: Signaling) -> timedelta:
    """How long a data plane may take."""
    return timedelta(seconds=settings.patience_s)
