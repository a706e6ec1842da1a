"""A running node: its parts in their order, the workers, and who watches over them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Final, Self

from connector import observe
from connector.app.listening import Door, bound, is_loopback, listening, own_url, public_url
from connector.app.parts import known_vocabulary, opened_store, outbound_client, secrets_key
from connector.errors import KontorError
from connector.settings import Settings

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from connector.outbound.client import OutboundClient
    from connector.ports.clock import Clock

_RESTART_AFTER_S: Final = 1.0
_WARM_AFTER_S: Final = 0.25


class App:
    """A node. `async with App(settings) as app:` runs it; at the end everything is closed in reverse."""

    def __init__(self, settings: Settings, *, clock: Clock | None = None) -> None:
        self.settings = settings
        self._clock = clock
        self._stack = AsyncExitStack()
        self._down: dict[str, str] = {}
        self.public_url = ""
        """The address that peers reach; known once the node is open."""
        self.operator_url = ""

    async def __aenter__(self) -> Self:
        """Open everything in order; when this returns, both ports answer.

        Raises: ConfigurationError when the node cannot run as it is configured, StoreUnavailable.
        """
        try:
            await self._open(self._stack)
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def _open(self, stack: AsyncExitStack) -> None:
        settings = self.settings
        # 1. the ports, so that a second node on them stops before it touches the store; they answer at the very end
        public = stack.enter_context(bound(settings.public, "public"))
        operator = stack.enter_context(bound(settings.operator, "operator"))
        self.public_url = public_url(settings, public)
        self.operator_url = own_url(settings.operator, operator)
        for name in settings.unsafe():
            observe.warning("settings.unsafe", setting=name, mend="use it in closed networks and development only")
        if settings.operator.tls_certificate is None and not is_loopback(settings.operator.host):
            observe.warning(
                "operator.plain_http",
                host=settings.operator.host,
                mend="API keys travel readable: set `operator.tls_certificate`, or see that nobody else can listen on the way",
            )
        # 2. the parts
        public_app, operator_app, workers, outbound = await self._assembled(stack)
        # 3. workers before listeners: what comes in finds everything running, and the listeners end first
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        for name, work in workers.items():
            task = tasks.create_task(self._supervised(name, work), name=name)
            stack.callback(task.cancel)
        # 4. the listeners
        await stack.enter_async_context(
            listening(
                Door(app=public_app, settings=settings.public, at=public, section="public"),
                Door(app=operator_app, settings=settings.operator, at=operator, section="operator"),
            )
        )
        last = tasks.create_task(self._warm_and_check(outbound), name="public-url")
        stack.callback(last.cancel)
        observe.info("node.ready", node=settings.node.id, public_url=self.public_url, operator_url=self.operator_url)

    async def _assembled(
        self, stack: AsyncExitStack
    ) -> tuple[ASGIApp, ASGIApp, dict[str, Callable[[], Awaitable[None]]], OutboundClient]:
        """The parts, each opened after those it stands on: both applications, the workers, the way out."""
        from connector.controlplane.access import DataAccess
        from connector.controlplane.agreements import Agreements
        from connector.controlplane.catalog import Catalogs
        from connector.controlplane.clock import SystemClock
        from connector.controlplane.delivery import Delivery
        from connector.controlplane.negotiation import Negotiations
        from connector.controlplane.offerings import Offerings
        from connector.controlplane.participants import Participants, Revisions
        from connector.controlplane.peers import Peers
        from connector.controlplane.policy import Judge
        from connector.controlplane.secrets import Secrets
        from connector.controlplane.timers import Timers
        from connector.controlplane.transfer import Transfers
        from connector.dataplane.plane import BuiltInDataPlane, DataPlaneConfig
        from connector.dsp.tables import Kind
        from connector.identity.static import StaticTokens
        from connector.strict import Limits
        from connector.web import data
        from connector.web.callers import Callers
        from connector.web.operator.listener import operator_app
        from connector.web.operator.parts import Parts
        from connector.web.protocol import routes
        from connector.web.protocol.exchange import Exchange
        from connector.web.public import public_app

        settings, clock = self.settings, self._clock or SystemClock()
        key = secrets_key(settings)
        store = await stack.enter_async_context(opened_store(settings))
        await store.release()
        outbound = await stack.enter_async_context(outbound_client(settings))
        upstreams = await stack.enter_async_context(outbound_client(settings, is_for_upstreams=True))
        tokens = StaticTokens(settings.participants)
        peers = Peers(outbound, tokens, clock)
        revisions = Revisions(store, clock)
        participants = Participants(store, settings, revisions, clock, self.public_url)
        secrets_ = Secrets(store, key, clock)
        judge = Judge(known_vocabulary())
        delivery = Delivery(store, outbound, tokens, clock, settings.delivery, lease_s=settings.store.lease_s)
        store.listen(delivery.woken.set)
        plane = BuiltInDataPlane(
            DataPlaneConfig(
                public_url=self.public_url,
                data_dir=settings.node.data_dir,
                pull_token_ttl_s=settings.data.pull_token_ttl_s,
                max_push_bytes=settings.data.max_push_bytes,
                allowed_object_endpoints=settings.data.allowed_object_endpoints,
                push_attempts=settings.data.push_attempts,
                push_first_delay_s=settings.data.push_first_delay_s,
            ),
            peers=outbound,
            upstreams=upstreams,
            clock=clock,
        )
        offerings = Offerings(store, participants, revisions, plane, secrets_, clock)
        agreements = Agreements(store, participants, clock)
        negotiations = Negotiations(store, participants, offerings, agreements, judge, delivery, outbound, peers, tokens, clock)
        transfers = Transfers(store, participants, offerings, agreements, judge, delivery, outbound, tokens, plane, clock)
        access = DataAccess(store, participants, offerings, judge, tokens, clock)
        catalogs = Catalogs(participants, offerings, judge, peers, clock)
        plane.connect(access, transfers)
        await stack.enter_async_context(plane)
        await transfers.take_up()

        callers = Callers(participants, tokens)
        exchange = Exchange(callers=callers, limits=Limits(max_bytes=settings.public.max_body_bytes))
        table = routes.table(callers, catalogs, negotiations, transfers)
        public = public_app([*routes.routes(exchange, table), *data.routes(plane)])
        parts = Parts(
            settings=settings.operator,
            store=store,
            participants=participants,
            offerings=offerings,
            secrets=secrets_,
            catalogs=catalogs,
            negotiations=negotiations,
            transfers=transfers,
            agreements=agreements,
            data_plane=plane,
            faults=self.faults,
        )
        self._participants = participants
        timers = Timers(store, delivery, clock, {Kind.NEGOTIATION: negotiations, Kind.TRANSFER: transfers})
        workers: dict[str, Callable[[], Awaitable[None]]] = {"delivery": delivery.run, "timers": timers.run}
        return public, operator_app(parts), workers, outbound

    def faults(self) -> tuple[str, ...]:
        """What does not run at the moment, in words: why `/ready` is red."""
        return tuple(f"`{name}` has stopped and is started again: {cause}" for name, cause in self._down.items())

    async def _supervised(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        """Run a worker for ever: one that dies is seen, told, and started again."""
        while True:
            try:
                await work()
                fault: BaseException = RuntimeError("it came to an end")
            except Exception as found:  # noqa: BLE001 - whatever it is, the node must go on delivering
                fault = found
            self._down[name] = str(fault) or type(fault).__name__
            observe.error("worker.died", worker=name, restart_after_s=_RESTART_AFTER_S, fault=fault)
            await asyncio.sleep(_RESTART_AFTER_S)
            del self._down[name]

    async def _warm_and_check(self, outbound: OutboundClient) -> None:
        """Load what the first message would wait for; warn when the node does not reach itself by its own public address."""
        # whoever waited for the ports gets the first answer before a thread takes the interpreter for a tenth of a second
        await asyncio.sleep(_WARM_AFTER_S)
        await outbound.warm()
        url, cause = self.public_url, ""
        try:
            contexts = await self._participants.all()
            if not contexts:
                return
            url = f"{url}/{contexts[0].name}/.well-known/dspace-version"
            answer = await outbound.get(url, {"accept": "application/json"})
            if not answer.is_success or b"protocolVersions" not in answer.body:
                cause = f"it was answered {answer.status} by something else"
        except KontorError as fault:
            cause = str(fault)
        if cause:
            mend = "peers answer to this address: check `node.public_url`, the reverse proxy and the firewall"
            observe.warning("node.public_url_unreachable", url=url, cause=cause, mend=mend)
