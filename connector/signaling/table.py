"""The calls of control planes of others, and what they make of the flows of our data plane.

What lives here: prepare, start and the short messages, in both dialects. What does not: proving the caller (`callers.py`), moving data and
reporting (`serving.py`).
A repeated order gets its first answer; another one for a flow that is there is refused. What cannot be had at once is under way, and
reported when it is done: under an EDC every other answer would end the transfer. An address goes only where one belongs.
Source: Data Plane Signaling v1.0-RC3, "Data Plane Endpoint"; the older dialect as EDC 0.15.1 speaks it.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Final

from connector.dps import addresses
from connector.dps.flow import ARRIVED, HTTP_PULL, Call, FlowState, follow, format_of
from connector.dps.messages import Dialect, Note, Order, Status
from connector.dsp.messages import DataAddress, EndpointProperty
from connector.dsp.process import below
from connector.dsp.tables import Role
from connector.errors import BadMessage, Conflict, KontorError, NotFound
from connector.outbound.client import OutboundClient
from connector.ports.clock import Clock
from connector.ports.dataplane import DataPlane, Source
from connector.ports.jobs import NewJob
from connector.ports.store import Store
from connector.signaling.entries import Entry, is_below
from connector.signaling.flows import HOME, Flow, begun, own_id
from connector.signaling.shelf import Flows

FORMATS: Final = ("HttpData-PULL", "HttpData-PUSH")
"""What our data plane serves under others."""
READY, MOVE, FORGET = "flow-ready", "flow-move", "flow-forget"
"""The jobs: getting a flow ready, moving its data, dropping one that is over."""
KEPT_FOR: Final = timedelta(days=7)
Ready = Callable[[Flow], Awaitable[None]]
"""Returns when what a flow needs is there."""
Sources = Callable[[Flow], Source]
"""Where the data of a flow lies. Raises: BadMessage for a dataset that is not served."""


class FlowTable:
    """Serves control planes."""

    def __init__(
        self,
        flows: Flows,
        store: Store,
        data_plane: DataPlane,
        peers: OutboundClient,
        clock: Clock,
        *,
        public_url: str,
        answer_within_s: float,
        sources: Sources,
        ready: Ready,
    ) -> None:
        self.flows = flows
        self._store = store
        self._data_plane = data_plane
        self._peers = peers
        self._clock = clock
        self._public_url = public_url
        self._within_s = answer_within_s
        self._sources = sources
        self._ready = ready

    async def order(self, caller: Entry, order: Order) -> Status:
        """How a flow stands after it was prepared or started.

        Raises: BadMessage for a profile or dataset that is not served; Conflict when there is such a flow already.
        """
        role = Role.PROVIDER if order.call is Call.START else Role.CONSUMER
        if format_of(order.profile) not in FORMATS:
            mend = f"ask for one of: {', '.join(FORMATS)}"
            raise BadMessage(f"the profile `{order.profile}` is not served here", where="profile", mend=mend)
        known = await self.flows.find(own_id(caller.id, order.flow_id))
        if known is not None:
            return await self._repeated(caller, order, known)
        flow = begun(
            order,
            control_plane=caller.id,
            dialect=caller.dialect,
            role=role,
            callback=_callback(caller, order),
            now=self._clock.now(),
        )
        if flow.is_provider:
            self._sources(flow)
        if (url := flow.destination.endpoint_url() if flow.destination is not None else None) is not None:
            # the peer named it
            self._peers.vet(url)
        flow = replace(flow, state=follow(flow.state, order.call, is_ready=await self._is_ready(flow)))
        if not flow.state.is_underway:
            flow = self.opened(flow)
        await self.flows.add(flow)
        await self.see_to(flow)
        return flow.status(order.message_id)

    async def _repeated(self, caller: Entry, order: Order, known: Flow) -> Status:
        is_same = (known.message_id == order.message_id) or caller.dialect is Dialect.EDC
        is_first = known.is_provider == (order.call is Call.START)
        if not is_same or not is_first or known.state.is_over or known.profile != order.profile:
            raise Conflict("there is such a data flow already", where=order.flow_id, mend="use a new id")
        if caller.dialect is Dialect.EDC and known.state is FlowState.SUSPENDED:
            # this dialect resumes by the same start again
            return await self.note(caller, order.flow_id, Note(call=Call.RESUME, address=order.address))
        # whoever asks again may do so because we died before its job was kept
        await self.see_to(known)
        return known.status(order.message_id)

    async def wait(self, flow: Flow) -> None:
        """Returns when what the flow needs is there.

        Raises: KontorError.
        """
        await self._ready(flow)

    async def _is_ready(self, flow: Flow) -> bool:
        """Whether what the flow needs is there in time; trouble that may pass is ours to sit out."""
        try:
            async with asyncio.timeout(self._within_s):
                await self._ready(flow)
        except (TimeoutError, KontorError):
            return False
        return True

    def opened(self, flow: Flow) -> Flow:
        """`flow` with a fresh address, where it is ours to make one."""
        if flow.is_provider is flow.is_push:
            return flow
        endpoint = self._data_plane.endpoint(HOME, flow.id, format_of(flow.profile))
        assert endpoint is not None
        address, refresh = endpoint.address, None
        if flow.profile == HTTP_PULL:
            refresh = secrets.token_urlsafe(32)
            address = _renewable(address, refresh, below(self._public_url, HOME, "refresh", flow.id))
        digest = hashlib.sha256(refresh.encode()).hexdigest() if refresh is not None else None
        if flow.access is not None and flow.is_push:
            # what the provider holds opens the inbox until it uses the new one: it may never hear of it
            return replace(flow, made=address, upcoming=endpoint.access, refresh_sha256=digest)
        return replace(flow, made=address, access=endpoint.access, upcoming=None, refresh_sha256=digest)

    async def note(self, caller: Entry, flow_id: str, note: Note) -> Status:
        """How a flow stands after one of the short messages.

        Raises: NotFound, also for another control plane's flow; IllegalTransition, BadMessage; nothing has changed then.
        """
        if note.address is not None and (url := note.address.endpoint_url()) is not None:
            self._peers.vet(url)

        def decide(flow: Flow) -> Flow:
            if caller.dialect is Dialect.EDC and note.call is Call.TERMINATE and flow.state.is_over:
                return flow
            return self._noted(flow, note)

        flow = await self.flows.change(own_id(caller.id, flow_id), decide)
        if flow.state is not FlowState.STARTED:
            await self._data_plane.stop(HOME, flow.id)
        await self.see_to(flow)
        return (
            flow.status(note.message_id)
            if note.call is Call.RESUME
            else Status(state=flow.state, message_id=note.message_id, flow_id=flow.flow_id)
        )

    def _noted(self, flow: Flow, note: Note) -> Flow:
        to = follow(flow.state, note.call)
        if note.call is Call.STARTED and flow.is_provider:
            raise BadMessage("only a consumer's flow is told that it was started", where="started")
        is_again = to is flow.state
        reason = (note.reason or "") if note.call in (Call.SUSPEND, Call.TERMINATE) else ""
        changed = replace(flow, state=to, reason=reason, updated_at=self._clock.now())
        if to.is_over:
            # within the second, and for good
            return replace(changed, access=None, upcoming=None, refresh_sha256=None, made=None)
        if to is FlowState.SUSPENDED:
            changed = changed if is_again else replace(changed, pauses=flow.pauses + 1)
            # the token of a pull dies; a push goes on with the one that its provider holds
            return changed if flow.is_push else replace(changed, access=None, upcoming=None, refresh_sha256=None)
        if note.address is not None:
            if flow.is_provider is not flow.is_push:
                raise BadMessage("the address of this flow is made by its data plane", where="dataAddress", mend="leave it out")
            if flow.is_provider:
                changed = replace(changed, destination=note.address)
            else:
                addresses.check_pull(flow.profile, note.address)
                changed = replace(changed, address=note.address)
        if note.call is Call.RESUME and not is_again:
            changed = self.opened(changed)
        return changed if not is_again or note.address is not None else flow

    async def status(self, caller: Entry, flow_id: str) -> Status:
        """How a flow stands.

        Raises: NotFound, also for another control plane's flow.
        """
        flow = await self.flows.find(own_id(caller.id, flow_id))
        if flow is None:
            raise NotFound("there is no such data flow", where=flow_id)
        return Status(state=flow.state, flow_id=flow.flow_id)

    # --- what follows

    async def see_to(self, flow: Flow) -> None:
        """Put the job that a flow needs now; again: nothing happens."""
        jobs = job_of(flow)
        if jobs is not None:
            delay = KEPT_FOR if jobs.kind == FORGET else timedelta(0)
            await self._store.jobs.put([replace(jobs, not_before=self._clock.now() + delay)], self._clock.now())

    async def take_up(self) -> None:
        """After a start: every flow that should be moving, or getting ready, has its job."""
        async for flow in self.flows.all():
            if not flow.state.is_over:
                await self.see_to(flow)

    async def arrived(self, flow_id: str) -> Flow:
        """A flow that was getting ready, and now is.

        Raises: NotFound.
        """

        def decide(flow: Flow) -> Flow:
            to = ARRIVED.get(flow.state)
            return self.opened(replace(flow, state=to, updated_at=self._clock.now())) if to is not None else flow

        flow = await self.flows.change(flow_id, decide)
        await self.see_to(flow)
        return flow


def job_of(flow: Flow) -> NewJob | None:
    """The job of a flow in its present state."""
    kind, name = None, flow.id
    if flow.state.is_underway:
        kind = READY
    elif flow.state.is_over:
        kind = FORGET
    elif flow.state is FlowState.STARTED and flow.moves:
        # each time that it is set going is a job of its own, one after the other
        kind, name = MOVE, f"{flow.id}#{flow.updated_at.isoformat()}"
    if kind is None:
        return None
    return NewJob(participant=HOME, kind=kind, id=name, body={"flow": flow.id}, order_key=flow.id if kind == MOVE else None)


def _callback(caller: Entry, order: Order) -> str:
    """Where the control plane hears reports: what it says itself only where it has said so beforehand.

    Raises: BadMessage.
    """
    said = (order.callback or "").rstrip("/")
    if not said:
        return caller.endpoint
    if not is_below(said, caller.endpoint):
        raise BadMessage(
            "`callbackAddress` does not lie below the registered endpoint", where="callbackAddress", mend="register that first"
        )
    return said


def _renewable(address: DataAddress, refresh: str, url: str) -> DataAddress:
    """An address of the standard's own HTTP profile, with what renews its token."""
    named = {name: address.property(name) or "" for name in ("authorization", "authType", "expiresIn")}
    named |= {"refreshToken": refresh, "refreshEndpoint": url}
    entries = tuple(EndpointProperty(name=name, value=value) for name, value in named.items())
    return DataAddress(endpoint_type=HTTP_PULL, endpoint=address.endpoint, endpoint_properties=entries)
