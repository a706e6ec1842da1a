"""The role `connector`: catalogue, negotiations, transfers, agreements, the data plane, and the API over them."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Final

from connector import observe
from connector.app.assembly.data import opened_data_side
from connector.app.assembly.ground import Ground, Role, Worker
from connector.app.assembly.identity import Identity
from connector.app.parts import known_vocabulary

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from fastapi import APIRouter

    from connector.app.assembly.signaling import Shared


_PUSHES: Final = 2048
"""Pushes that this node has taken at once, those that wait for their turn or their next try too: one peer's leave room for others'."""
_STREAMS: Final = 1024
"""Those without an end. How many move at once is the data plane's matter."""


async def opened_connector(ground: Ground, identity: Identity, shared: Shared | None, stack: AsyncExitStack) -> Role:
    """The connector's part of a node, for as long as `stack` is open; `shared` is what external data planes need, if there may be any.

    Raises: ConfigurationError, StoreUnavailable.
    """
    from connector.controlplane.access import DataAccess
    from connector.controlplane.agreements import ENDING, ENDING_PACE, Agreements
    from connector.controlplane.catalog import Catalogs
    from connector.controlplane.decision_log import DecisionLog
    from connector.controlplane.delivery import Delivery
    from connector.controlplane.describing import Describing
    from connector.controlplane.events import Events
    from connector.controlplane.jobs import Workers
    from connector.controlplane.ledgers import Ledgers
    from connector.controlplane.negotiation import Negotiations
    from connector.controlplane.offerings import Offerings
    from connector.controlplane.peers import Peers
    from connector.controlplane.policy import Judge
    from connector.controlplane.pushes import PACE as PUSH_PACE
    from connector.controlplane.pushes import PUSH, STREAM, Pushes, take_up
    from connector.controlplane.reconciling import PACE as RECONCILE_PACE
    from connector.controlplane.reconciling import PARALLEL as RECONCILED_AT_ONCE
    from connector.controlplane.reconciling import RECONCILE, Reconciling
    from connector.controlplane.records import Records
    from connector.controlplane.retention import Retention
    from connector.controlplane.reviews import Noticing, Reviews
    from connector.controlplane.secrets import Secrets
    from connector.controlplane.standing import Moving, Standings
    from connector.controlplane.strays import Strays
    from connector.controlplane.timers import Timers
    from connector.controlplane.transfer import Transfers
    from connector.controlplane.transfer_events import BuiltInEvents
    from connector.controlplane.usage import Usages
    from connector.controlplane.watch import Watch
    from connector.controlplane.webhook_delivery import PARALLEL, Telling
    from connector.controlplane.webhooks import Webhooks
    from connector.dsp.tables import Kind
    from connector.strict import Limits
    from connector.web import data, described
    from connector.web.callers import Callers
    from connector.web.protocol import routes
    from connector.web.protocol.exchange import Exchange
    from connector.web.refusals import Refusals

    settings, store, clock, outbound = ground.settings, ground.store, ground.clock, ground.outbound
    participants, revisions, tokens = ground.participants, ground.revisions, identity.tokens
    peers = Peers(outbound, tokens, clock)
    secrets_ = Secrets(store, ground.key, clock)
    log = DecisionLog(store.journal, clock)
    vocabulary = known_vocabulary(settings.profiles, settings.plugins)
    judge = Judge(vocabulary, log.note)
    reviews = Reviews(store, clock)
    usages = Usages(store, judge, reviews, clock)
    delivery = Delivery(store, outbound, tokens, clock, settings.delivery, lease_s=settings.store.lease_s)
    store.listen(delivery.woken.set)
    data_side = opened_data_side(ground, stack)
    plane = data_side.plane
    offerings = Offerings(store, participants, revisions, plane, secrets_, vocabulary, clock)
    agreements = Agreements(store, participants, offerings, clock)
    records = Records(store, participants, agreements, judge, reviews, clock)
    negotiations = Negotiations(store, participants, offerings, agreements, judge, delivery, outbound, peers, tokens, clock)
    planes = None
    if shared is not None:
        from connector.app.assembly import signaling

        planes = signaling.data_planes(ground, shared)
        offerings.connect(planes)
    transfers = Transfers(
        store,
        participants,
        offerings,
        agreements,
        judge,
        delivery,
        outbound,
        tokens,
        plane,
        usages,
        reviews,
        ground.limiter,
        clock,
        planes,
    )
    access = DataAccess(store, participants, offerings, judge, usages, tokens, clock)
    describing = Describing(store, participants, revisions, identity.attests, plane, vocabulary, clock)
    catalogs = Catalogs(participants, offerings, describing, judge, peers, clock)
    events = Events(store.feed, clock)
    delivery.announce_to(events.ring)
    catalogs_of = {name: one.catalogs for name, one in settings.participants.items() if one.catalogs}
    ledgers = Ledgers(participants, peers, catalogs_of)
    more: dict[str, Worker] = {}
    if catalogs_of:
        from connector.controlplane import announcing

        announcer = announcing.Announcer(store.jobs, offerings, describing, revisions, peers, clock, catalogs_of)
        ground.jobs.register(announcing.KIND, announcer.tell, announcing.PACE)
        revisions.written = announcer.woken.set
        more["announcer"] = announcer.run
    telling = {name: found for name, found in catalogs_of.items() if settings.participants[name].report_agreements}
    if telling:
        from connector.controlplane import reporting

        reporter = reporting.Reporter(store, peers, clock, telling)
        ground.jobs.register(reporting.KIND, reporter.tell, reporting.PACE)
        more["agreements-report"] = reporter.run
    moved = BuiltInEvents(store, transfers, usages, clock)
    more |= data_side.connected(access, moved)
    usages.connect(plane.withdraw)
    await stack.enter_async_context(plane)
    reconciling = Reconciling(store, negotiations, transfers, agreements, peers, clock)
    # before anybody is answered, and before any push goes on: a restored store may be behind
    await reconciling.take_up()
    reconcilers = Workers(store.jobs, clock, lease_s=settings.store.lease_s, parallel=RECONCILED_AT_ONCE)
    reconcilers.register(RECONCILE, reconciling.compare, RECONCILE_PACE)
    strays = Strays(store, clock)
    await take_up(store, clock.now())
    workers = Workers(store.jobs, clock, lease_s=settings.store.lease_s, parallel=_PUSHES)
    pushes = Pushes(store, offerings, plane, access, moved)
    workers.register(PUSH, pushes.push, PUSH_PACE)
    workers.register(ENDING, agreements.ending, ENDING_PACE)
    # streams have no end: they run beside the pushes, and no push waits for one of them
    streams = Workers(store.jobs, clock, lease_s=settings.store.lease_s, parallel=_STREAMS)
    streams.register(STREAM, pushes.push, PUSH_PACE)
    retention = Retention(store, participants, plane, settings.retention, clock)
    watch = Watch(store, plane, clock, lease_s=settings.store.lease_s)

    # what operators name may stand on our private network
    webhooks = Webhooks(store, participants, revisions, secrets_, ground.upstreams, clock)
    tellers = Workers(store.jobs, clock, lease_s=settings.store.lease_s, parallel=PARALLEL)
    Telling(webhooks, store, events, participants, secrets_, ground.upstreams, clock).register(tellers)

    observe.gauge("deliveries_waiting", _one(lambda: delivery.waiting))
    observe.gauge("requests_under_way", _one(lambda: ground.limiter.under_way))
    observe.gauge("streams_running", _one(lambda: len(plane.running())))
    observe.gauge("event_followers", _one(lambda: events.followers))

    callers = Callers(participants, Noticing(identity.verifier, reviews))
    refusals = Refusals(store, clock)
    limits = Limits(max_bytes=settings.public.max_body_bytes)
    exchange = Exchange(callers=callers, limits=limits, limiter=ground.limiter, refusals=refusals, strays=strays)
    table = routes.table(callers, catalogs, negotiations, transfers)
    side = Role()
    moving: Moving = plane
    if shared is not None and planes is not None:
        from connector.controlplane.outer import OuterFlows
        from connector.controlplane.reports import Reports
        from connector.controlplane.signals import Signals

        signals = Signals(store, transfers, offerings, tokens, planes, clock, patience=signaling.patience(shared.settings))
        moving = outer = OuterFlows(store, transfers, plane, clock)
        more["outer-flows"] = outer.run
        side = signaling.control_role(ground, shared, planes, signals, Reports(store, transfers, signals, usages, clock))

    def rooms() -> Iterable[APIRouter]:
        from connector.controlplane.collecting import Collecting
        from connector.controlplane.explaining import Explaining
        from connector.controlplane.leaving import Leaving
        from connector.controlplane.obtaining import Obtaining
        from connector.web.operator.connector import routers
        from connector.web.operator.parts import Parts

        by_tokens = frozenset(name for name, one in settings.participants.items() if one.oauth2 is not None)
        parts = Parts(
            store=store,
            participants=participants,
            offerings=offerings,
            secrets=secrets_,
            catalogs=catalogs,
            ledgers=ledgers,
            describing=describing,
            negotiations=negotiations,
            transfers=transfers,
            agreements=agreements,
            events=events,
            data_plane=plane,
            collecting=Collecting(plane=plane, access=access, peers=peers, clock=clock, by_tokens=by_tokens),
            access=access,
            records=records,
            decisions=log,
            refusals=refusals,
            explaining=Explaining(store, participants, offerings, judge, usages, tokens, clock),
            webhooks=webhooks,
            leaving=Leaving(store, participants, revisions, negotiations, transfers, webhooks, events, clock),
            reconciling=reconciling,
            strays=strays,
            obtaining=Obtaining(store, participants, catalogs, negotiations, judge, usages, events, clock),
        )
        return routers(parts)

    def leave() -> None:
        events.close()
        data_side.leave()

    timers = Timers(store, delivery, clock, {Kind.NEGOTIATION: negotiations, Kind.TRANSFER: transfers})
    return Role(
        # looked through from the first on: the most frequent requests stand there
        routes=[*data.routes(plane), *routes.routes(exchange, table), *described.routes(describing)],
        rooms=[rooms, *side.rooms],
        signaling=side.signaling,
        faults=data_side.faults,
        leaving=leave,
        sweeps=frozenset({"retention", "reviews", "duties"}),
        workers={
            "delivery": delivery.run,
            "timers": timers.run,
            "pushes": workers.run,
            "streams": streams.run,
            "watch": watch.run,
            "standings": Standings(store, moving, tokens, reviews, clock, identity.changed).run,
            "usage": usages.run,
            "refusals": refusals.run,
            "strays": strays.run,
            "reconciling": reconcilers.run,
            "reviews": reviews.run,
            "duties": records.run,
            "webhooks": tellers.run,
            "webhook-plan": webhooks.keep,
            "decisions": log.run,
            **more,
            **side.workers,
            "retention": retention.run,
        },
    )


def _one(read: Callable[[], int]) -> Callable[[], Mapping[observe.Series, float]]:
    """A gauge without labels."""
    return lambda: {(): float(read())}
