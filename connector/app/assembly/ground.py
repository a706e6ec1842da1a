"""What every role of a node stands on, and what a role gives back: values, and the opening of the first of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from connector.app.parts import opened_store, outbound_client, secrets_key
from connector.settings import Settings

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

    from connector.controlplane.jobs import Workers
    from connector.controlplane.limits import Limiter
    from connector.controlplane.participants import Participants, Revisions
    from connector.outbound.client import OutboundClient
    from connector.ports.clock import Clock
    from connector.ports.store import Store
    from connector.web.operator.listener import Rooms

Worker = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Signs:
    """What the node sees of its own workers, in words."""

    faults: Callable[[], tuple[str, ...]]
    """What does not run at the moment: why the node is not ready."""
    hung: Callable[[], tuple[str, ...]]
    """Of these, what hangs and does not get better by itself: why the node should be started anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What every role stands on."""

    settings: Settings
    clock: Clock
    store: Store
    key: bytes
    """Seals what the store keeps secret."""
    outbound: OutboundClient
    """The way to peers."""
    upstreams: OutboundClient
    """The way to what our own operators name."""
    public_url: str
    signaling_url: str
    """Where planes reach us; empty without a signaling listener."""
    revisions: Revisions
    participants: Participants
    jobs: Workers
    """Does background work; a role registers the kinds that it knows how to do."""
    limiter: Limiter
    signs: Signs


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """What a subject adds to a node."""

    routes: Iterable[BaseRoute] = ()
    """Of the public listener; the first that fits a path answers."""
    signaling: Iterable[BaseRoute] = ()
    """Of the signaling listener, where there is one."""
    rooms: Iterable[Rooms] = ()
    """Of the operator API; built when somebody first asks it something."""
    workers: Mapping[str, Worker] = field(default_factory=dict)
    """What runs as long as the node, by name."""
    sweeps: frozenset[str] = frozenset()
    """Names of the workers that may be at one thing for long: they look through everything, or wait for many others."""
    faults: Callable[[], tuple[str, ...]] | None = None
    """What of it does not run at the moment, in words, beside its workers."""
    leaving: Callable[[], None] | None = None
    """Called when the node begins to stop, before the listeners close: lets go of those who would keep their connection."""


async def opened_ground(
    settings: Settings, clock: Clock | None, urls: tuple[str, str], signs: Signs, stack: AsyncExitStack
) -> Ground:
    """The ground of a node, for as long as `stack` is open; `urls` are its public address and the one that planes reach.

    Raises: ConfigurationError, SchemaTooNew, StoreUnavailable.
    """
    from connector.controlplane.clock import SystemClock
    from connector.controlplane.jobs import Workers
    from connector.controlplane.limits import Limiter
    from connector.controlplane.participants import Participants, Revisions

    public_url, signaling_url = urls
    clock = clock or SystemClock()
    key = secrets_key(settings)
    store = await stack.enter_async_context(opened_store(settings))
    await store.release()
    await store.jobs.release()
    revisions = Revisions(store, clock)
    return Ground(
        settings=settings,
        clock=clock,
        store=store,
        key=key,
        outbound=await stack.enter_async_context(outbound_client(settings)),
        upstreams=await stack.enter_async_context(outbound_client(settings, is_for_upstreams=True)),
        public_url=public_url,
        signaling_url=signaling_url,
        revisions=revisions,
        participants=Participants(store, settings, revisions, clock, public_url),
        jobs=Workers(store.jobs, clock, lease_s=settings.store.lease_s),
        limiter=Limiter(settings, store),
        signs=signs,
    )
