"""All parts of a node together: the ground, identity, and the roles that the settings name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from connector.app.assembly.access import opened_access
from connector.app.assembly.doctor import doctor_role
from connector.app.assembly.ground import Ground, Role, Signs, Worker, opened_ground
from connector.app.assembly.identity import opened_identity
from connector.settings import Settings

if TYPE_CHECKING:
    from starlette.routing import BaseRoute
    from starlette.types import ASGIApp

    from connector.ports.clock import Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A node that is whole and does not listen yet."""

    ground: Ground
    public: ASGIApp
    operator: ASGIApp
    signaling: ASGIApp | None
    """None: no section asks for the listener."""
    routes: Mapping[str, tuple[BaseRoute, ...]]
    """What answers at the public listener and at that for planes, by listener."""
    workers: Mapping[str, Worker]
    sweeps: frozenset[str]
    """Names of the workers that may be at one thing for long."""
    leaving: tuple[Callable[[], None], ...]
    """Called, in this order, when the node begins to stop."""


async def opened(settings: Settings, clock: Clock | None, urls: tuple[str, str], signs: Signs, stack: AsyncExitStack) -> Opened:
    """The parts of a node, open for as long as `stack` is; `urls` are its public address and the one that planes reach.

    Raises: ConfigurationError when the node cannot run as it is configured, SchemaTooNew, StoreUnavailable.
    """
    from connector.web.operator.listener import operator_app
    from connector.web.public import public_app

    ground = await opened_ground(settings, clock, urls, signs, stack)
    identity = await opened_identity(ground, stack)
    access = opened_access(ground)
    roles: list[Role] = [identity.role, access.role, doctor_role(ground, identity.parts)]
    if "authority" in settings.node.roles:
        from connector.app.assembly.authority import opened_authority

        # its addresses come first: no participant may stand in their way
        roles.insert(0, await opened_authority(ground, identity))
    if "catalog" in settings.node.roles:
        from connector.app.assembly.catalog import opened_catalog

        roles.insert(0, await opened_catalog(ground, identity, stack))
    shared = None
    if settings.signaling is not None or "dataplane" in settings.node.roles:
        from connector.app.assembly.signaling import opened_shared

        shared = await opened_shared(ground, stack)
    if "dataplane" in settings.node.roles and shared is not None:
        from connector.app.assembly.dataplane import opened_dataplane

        # its addresses come before those of participants
        roles.append(await opened_dataplane(ground, shared, stack))
    if "connector" in settings.node.roles:
        from connector.app.assembly.connector import opened_connector

        roles.append(await opened_connector(ground, identity, shared, stack))
    if not ground.jobs.is_idle:
        roles.append(Role(workers={"jobs": ground.jobs.run}))
    routes = {
        # those of wallets last: nothing else is called as seldom, and none of them is another one's
        "public": tuple(route for role in sorted(roles, key=lambda role: role is identity.role) for route in role.routes),
        "signaling": tuple(route for role in roles for route in role.signaling) if shared is not None else (),
    }
    return Opened(
        ground=ground,
        public=public_app(routes["public"], most=settings.public.requests_at_once),
        operator=operator_app(
            settings.operator,
            access.operators,
            access.audit,
            ground.store,
            lambda: (*signs.faults(), *(words for role in roles if role.faults is not None for words in role.faults())),
            signs.hung,
            [room for role in roles for room in role.rooms],
        ),
        signaling=_signaling(routes["signaling"], ground, shared.settings.max_body_bytes) if shared is not None else None,
        routes=routes,
        workers={name: work for role in roles for name, work in role.workers.items()},
        sweeps=frozenset().union(*(role.sweeps for role in roles)),
        leaving=tuple(role.leaving for role in roles if role.leaving is not None),
    )


def _signaling(routes: Iterable[BaseRoute], ground: Ground, max_body_bytes: int) -> ASGIApp:
    from connector.signaling.flows import HOME
    from connector.web.signaling.door import signaling_app

    # planes have bounds of their own: what peers ask for does not stand in their way
    return signaling_app([*routes], max_body_bytes=max_body_bytes, counted=lambda: ground.limiter.request(HOME))
