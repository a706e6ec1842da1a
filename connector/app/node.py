"""A running node: ports, parts, workers in their order, and who watches over them. What the parts are stands in `assembly/`."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Final, Self

from connector import observe
from connector.app.assembly.ground import Ground, Signs, Worker
from connector.app.assembly.opened import opened
from connector.app.listening import Door, allow_files, bound, is_loopback, listening, own_url, public_url, signaling_url
from connector.errors import KontorError
from connector.ports.pulse import Pulse
from connector.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.routing import BaseRoute

    from connector.ports.clock import Clock

_RESTART_AFTER_S: Final = 1.0
_WARM_AFTER_S: Final = 0.25
_PATIENCE_S: Final = 120.0
"""A worker that is at one thing for longer hangs: no lease and no exchange with a peer lasts as long."""
_LONG_S: Final = 3600.0
"""The same for workers that look through everything."""


class App:
    """A node. `async with App(settings) as app:` runs it; at the end everything is closed in reverse."""

    def __init__(self, settings: Settings, *, clock: Clock | None = None) -> None:
        self.settings = settings
        self._clock = clock
        self._stack = AsyncExitStack()
        self._down: dict[str, str] = {}
        self._pulses: dict[str, Pulse] = {}
        self.public_url = ""
        """The address that peers reach; known once the node is open."""
        self.operator_url = ""
        self.signaling_url = ""
        """The address that planes reach; empty without a signaling listener."""
        self.routes: Mapping[str, tuple[BaseRoute, ...]] = {}
        """What the open node answers to peers (`public`) and to planes (`signaling`); the operator API describes itself."""

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
        allow_files()
        # 1. the ports, so that a second node on them stops before it touches the store; they answer at the very end
        public = stack.enter_context(bound(settings.public, "public"))
        operator = stack.enter_context(bound(settings.operator, "operator"))
        self.public_url = public_url(settings, public)
        self.operator_url = own_url(settings.operator, operator)
        planes = stack.enter_context(bound(settings.signaling, "signaling")) if settings.signaling is not None else None
        if planes is not None and settings.signaling is not None:
            self.signaling_url = signaling_url(settings.signaling, planes)
        for name in settings.unsafe():
            observe.warning("settings.unsafe", setting=name, mend="use it in closed networks and development only")
        if settings.operator.tls_certificate is None and not is_loopback(settings.operator.host):
            observe.warning(
                "operator.plain_http",
                host=settings.operator.host,
                mend="API keys travel readable: set `operator.tls_certificate`, or see that nobody else can listen on the way",
            )
        # 2. the parts; before them what watches over them
        if settings.telemetry.otlp_url is not None:
            from connector.app.parts import exported_traces

            stack.callback(exported_traces(settings))
        observe.gauge("worker_at_work_seconds", self._at_work)
        urls = (self.public_url, self.signaling_url)
        parts = await opened(settings, self._clock, urls, Signs(faults=self.faults, hung=self.hung), stack)
        self.routes = parts.routes
        # 3. workers before listeners: what comes in finds everything running, and the listeners end first
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        for name, work in parts.workers.items():
            task = tasks.create_task(self._supervised(name, work, _LONG_S if name in parts.sweeps else _PATIENCE_S), name=name)
            stack.callback(task.cancel)
        # 4. the listeners
        doors = [
            Door(app=parts.public, settings=settings.public, at=public, section="public"),
            Door(app=parts.operator, settings=settings.operator, at=operator, section="operator"),
        ]
        if planes is not None and settings.signaling is not None and parts.signaling is not None:
            doors.append(Door(app=parts.signaling, settings=settings.signaling, at=planes, section="signaling"))
        await stack.enter_async_context(listening(*doors))
        for leave in parts.leaving:
            stack.callback(leave)
        last = tasks.create_task(self._warm_and_check(parts.ground), name="public-url")
        stack.callback(last.cancel)
        observe.info("node.ready", node=settings.node.id, public_url=self.public_url, operator_url=self.operator_url)

    def faults(self) -> tuple[str, ...]:
        """What does not run at the moment, in words: why `/ready` is red."""
        stopped = [f"`{name}` has stopped and is started again: {cause}" for name, cause in self._down.items()]
        return (*stopped, *self.hung())

    def hung(self) -> tuple[str, ...]:
        """What hangs, in words: why `/health` is red."""
        found = [(name, pulse.hangs_s()) for name, pulse in self._pulses.items()]
        return tuple(f"`{name}` has been at one thing for {hangs_s:.0f} s" for name, hangs_s in found if hangs_s is not None)

    def _at_work(self) -> dict[observe.Series, float]:
        """How long each worker has been at what it does now."""
        found = {name: pulse.at_work_s() for name, pulse in self._pulses.items()} | dict.fromkeys(self._down, -1.0)
        return {(("worker", name),): seconds for name, seconds in found.items()}

    async def _supervised(self, name: str, work: Worker, patience_s: float) -> None:
        """Run a worker for ever: one that dies is seen, told, and started again; one that hangs is seen."""
        while True:
            self._pulses[name] = Pulse(patience_s)
            try:
                await work()
                fault: BaseException = RuntimeError("it came to an end")
            except Exception as found:  # noqa: BLE001 - whatever it is, the node must go on delivering
                fault = found
            self._down[name] = str(fault) or type(fault).__name__
            del self._pulses[name]
            observe.error("worker.died", worker=name, restart_after_s=_RESTART_AFTER_S, fault=fault)
            await asyncio.sleep(_RESTART_AFTER_S)
            del self._down[name]

    async def _warm_and_check(self, ground: Ground) -> None:
        """Load what the first message would wait for; warn when the node does not reach itself by its own public address."""
        # whoever waited for the ports gets the first answer before a thread takes the interpreter for a tenth of a second
        await asyncio.sleep(_WARM_AFTER_S)
        await ground.outbound.warm()
        url, cause = self.public_url, ""
        try:
            contexts = await ground.participants.all()
            if not contexts:
                return
            url = f"{url}/{contexts[0].name}/.well-known/dspace-version"
            answer = await ground.outbound.get(url, {"accept": "application/json"})
            if not answer.is_success or b"protocolVersions" not in answer.body:
                cause = f"it was answered {answer.status} by something else"
        except KontorError as fault:
            cause = str(fault)
        if cause:
            mend = "peers answer to this address: check `node.public_url`, the reverse proxy and the firewall"
            observe.warning("node.public_url_unreachable", url=url, cause=cause, mend=mend)
