"""The role `dataplane`: the built-in data plane, driven over signaling by control planes of others. Loaded where a node has that role."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import AsyncExitStack
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

from connector.app.assembly.data import opened_data_side
from connector.app.assembly.ground import Ground, Role
from connector.app.assembly.signaling import Shared, expected
from connector.app.parts import resolver_rules
from connector.controlplane.jobs import Pace, Workers
from connector.dps import legacy, standard
from connector.dps.messages import Dialect, PlaneRegistration
from connector.errors import PeerAnswer
from connector.identity.did import Relationship
from connector.identity.resolver import Resolver
from connector.ports.jobs import NewJob
from connector.signaling.book import CONTROL_PLANE, Book
from connector.signaling.drivers import Drivers
from connector.signaling.entries import vet
from connector.signaling.flows import HOME, Flow
from connector.signaling.renewal import Renewal
from connector.signaling.serving import REPORT, Serving
from connector.signaling.shelf import Flows
from connector.signaling.sources import source_of
from connector.signaling.table import FORGET, FORMATS, MOVE, READY, FlowTable
from connector.web import data
from connector.web.signaling import data as addresses

if TYPE_CHECKING:
    from fastapi import APIRouter

    from connector.jose import PublicKey
    from connector.ports.jobs import Job
    from connector.settings.signaling import Registration

REGISTER: Final = "flow-register"
"""The kind of the jobs that register our data plane at a control plane."""
_REPORTS: Final = Pace(attempts=36, first_delay_s=1, max_delay_s=3600)
"""Within a minute often, then hourly, for a day."""
_MOVED_AT_ONCE: Final = 2048
"""Those that wait for their turn or their next try too."""
_MOVES: Final = Pace(attempts=1_000_000, first_delay_s=1, max_delay_s=60, timeout_s=None)


async def opened_dataplane(ground: Ground, shared: Shared, stack: AsyncExitStack) -> Role:
    """The data plane's part of a node, for as long as `stack` is open.

    Raises: ConfigurationError, StoreUnavailable.
    """
    settings, clock, store = ground.settings.dataplane, ground.clock, ground.store
    side = opened_data_side(ground, stack, home=HOME)
    plane = side.plane
    named = [
        expected(
            one,
            HOME,
            one.id,
            endpoint=one.endpoint,
            hosts=one.hosts,
            dialect=Dialect(one.dialect),
            allows_http=shared.settings.unsafe_allow_http,
        )
        for one in settings.control_planes
    ]
    for entry in named:
        entry.vet()
    allows_http = shared.settings.unsafe_allow_http
    book = Book(store, shared.sealer, clock, CONTROL_PLANE, allows_http=allows_http, written=ground.revisions.forget)
    drivers = Drivers(book, shared.callers, named, id_=shared.id)
    flows = Flows(store, shared.sealer, clock)
    sources = partial(source_of, settings=settings)

    async def ready(flow: Flow) -> None:
        """What a provider serves can be read; a consumer needs nothing."""
        if flow.is_provider:
            await plane.describe(sources(flow), with_digest=False)

    table = FlowTable(
        flows,
        store,
        plane,
        ground.outbound,
        clock,
        public_url=ground.public_url,
        answer_within_s=settings.answer_within_s,
        sources=sources,
        ready=ready,
    )
    lease = timedelta(seconds=ground.settings.store.lease_s)
    serving = Serving(table, store, plane, shared.outbound, drivers, shared.logins, clock, sources=sources, lease=lease)
    data_workers = side.connected(serving, serving)
    plane.tell_over(serving.over)
    await stack.enter_async_context(plane)

    workers = Workers(store.jobs, clock, lease_s=ground.settings.store.lease_s, parallel=64)
    workers.register(READY, serving.ready, Pace(attempts=1_000_000, first_delay_s=0.2, max_delay_s=30))
    workers.register(FORGET, serving.forget)
    workers.register(REPORT, serving.report, _REPORTS)
    # moves beside them: one whose other end takes its time keeps nobody from being answered
    movers = Workers(store.jobs, clock, lease_s=ground.settings.store.lease_s, parallel=_MOVED_AT_ONCE)
    movers.register(MOVE, serving.move, _MOVES)
    at = {one.url: one for one in settings.register_at}

    async def registered(job: Job) -> None:
        if (found := at.get(job.id)) is not None:
            await _register(found, drivers, shared, ground)

    workers.register(REGISTER, registered, Pace(attempts=1_000_000, first_delay_s=0.5, max_delay_s=60))

    async def run() -> None:
        """Take up what was under way and tell control planes where we are, at each start; then work."""
        await table.take_up()
        await store.jobs.put([NewJob(participant=HOME, kind=REGISTER, id=url, body={}) for url in at], clock.now())
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(workers.run())
            tasks.create_task(movers.run())

    resolver = Resolver(ground.outbound, resolver_rules(ground.settings), lambda: clock.now().timestamp())
    stack.push_async_callback(resolver.close)

    async def key_of(did: str, key_id: str | None) -> PublicKey:
        return (await resolver.resolve(did)).key(key_id, Relationship.AUTHENTICATION)

    renewal = Renewal(flows, store.replay, key_of, clock, ttl_s=ground.settings.data.pull_token_ttl_s)

    def rooms() -> Iterable[APIRouter]:
        from connector.web.operator.dataflows import routes

        return [routes(flows, plane)]

    return Role(
        routes=[*addresses.renewal(renewal, ground.limiter), *data.routes(plane, HOME)],
        signaling=addresses.routes(drivers, table),
        rooms=[rooms],
        faults=side.faults,
        leaving=side.leave,
        workers={"flows": run, "flows-watch": serving.watch, **data_workers},
    )


async def _register(found: Registration, drivers: Drivers, shared: Shared, ground: Ground) -> None:
    """Tell a control plane where our data plane is.

    Raises: KontorError, to be tried again.
    """
    driver = await drivers.get(found.control_plane)
    vet(found.url, driver, "dataplane.register_at")
    settings = ground.settings.dataplane
    is_legacy = found.form == "edc-legacy"
    # only planes of ours speak of a shared secret
    secret = driver.authorization.secret if found.form == "dps" else None
    mine = PlaneRegistration(
        dialect=Dialect.EDC if is_legacy else Dialect.DPS,
        id=shared.id,
        endpoint=f"{shared.url}/v1",
        profiles=FORMATS,
        labels=settings.labels,
        authorization={"type": "shared_secret", "secret": secret} if secret is not None else None,
        source_types=("HttpData",),
    )
    body = legacy.write_plane(mine) if is_legacy else standard.write_plane(mine, is_edc=found.form == "edc")
    proof = {"X-Api-Key": found.api_key} if found.api_key is not None else await shared.logins.headers(driver)
    headers = {**proof, "Content-Type": "application/json"}
    answer = await shared.outbound.request("POST" if is_legacy else "PUT", found.url, body, headers, max_bytes=64 << 10)
    if not answer.is_success:
        what = f"the control plane does not register us: it answers {answer.status}"
        raise PeerAnswer(what, answer_status=answer.status, where=found.url)
