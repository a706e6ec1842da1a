"""What moves under a control plane of others: what the built-in data plane asks and tells about it, and what is reported.

What lives here: the ports `Authorizer` and `TransferEvents` for the flows that we serve, and the jobs that get them ready, move their data,
report and forget them. What does not: calls of control planes (`table.py`).
Terms are the control plane's matter: a flow that it has started may be read by whoever holds its token, and one that it has stopped by
nobody. A report goes out after the answer that it follows, and is tried for a day. `started` never comes from a consumer's side.
Source: Data Plane Signaling v1.0-RC3, "Control Plane Endpoint"; the older dialect as EDC 0.15.1 speaks it.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

from connector import observe
from connector.dps import legacy, standard
from connector.dps.flow import REPORTED, FlowState, Report
from connector.dps.messages import Dialect, Status
from connector.dsp.process import below
from connector.dsp.transfer import Access, Transfer
from connector.errors import Conflict, Forbidden, Gone, KontorError, NotFound, PeerAnswer, StoreUnavailable, Unauthenticated
from connector.outbound.client import OutboundClient
from connector.outbound.rules import shown
from connector.ports.clock import Clock
from connector.ports.dataplane import DataPlane, Event, Grant, Use
from connector.ports.jobs import Job, NewJob
from connector.ports.store import Store
from connector.signaling.drivers import Drivers
from connector.signaling.entries import vet
from connector.signaling.flows import HOME, Flow
from connector.signaling.logins import Logins
from connector.signaling.shelf import Flows
from connector.signaling.table import FlowTable, Sources

REPORT: Final = "flow-report"
"""The kind of the jobs that tell a control plane something."""
_NAMESPACE: Final = uuid.UUID("a2c0c6de-6c4e-4a35-9d3d-51d7c1a0f7e4")


class Serving:
    """The flows that our data plane serves, as far as data is concerned."""

    def __init__(
        self,
        table: FlowTable,
        store: Store,
        data_plane: DataPlane,
        outbound: OutboundClient,
        drivers: Drivers,
        logins: Logins,
        clock: Clock,
        *,
        sources: Sources,
        lease: timedelta = timedelta(seconds=30),
    ) -> None:
        """`lease`: how long what moves here goes on while the store cannot be asked whether it may."""
        self._table = table
        self._flows: Flows = table.flows
        self._store = store
        self._data_plane = data_plane
        self._outbound = outbound
        self._drivers = drivers
        self._logins = logins
        self._clock = clock
        self._sources = sources
        self._lease = lease
        self._looked_at = clock.now()
        self._pauses: dict[str, int] = {}
        """Of what moves here: how often its flow had been suspended when it began."""
        self._moving: set[str] = set()

    # --- port Authorizer

    async def may_pull(self, participant: str, pid: str, token: str | None, *, is_look: bool = False) -> Grant:
        """What a consumer that shows `token` may read."""
        flow = await self._proven(pid, token)
        if not flow.is_provider or flow.is_push:
            raise Unauthenticated("no such data")
        self._pauses.setdefault(flow.id, flow.pauses)
        return Grant(transfer=flow.transfer(), source=self._sources(flow))

    async def renew(self, participant: str, pid: str, token: str | None, access: Access) -> None:
        """Let `access` open the flow, too, for whoever shows `token`."""
        await self._proven(pid, token)
        await self._flows.change(pid, lambda flow: replace(flow, upcoming=access) if flow.state is FlowState.STARTED else flow)

    async def may_stream(self, transfer: Transfer) -> Use | None:
        """Nothing is counted here: the uses of a flow are its control plane's."""
        return None

    async def may_pass(self, transfer: Transfer, events: Sequence[Event]) -> int:
        """All of them, for as long as the flow is started."""
        return len(events)

    async def may_push(self, participant: str, pid: str, token: str | None) -> Transfer:
        """The flow into which a provider that shows `token` may write; it may come before we are told that it was started."""
        flow = await self._proven(pid, token, FlowState.PREPARED)
        if flow.is_provider or not flow.is_push:
            raise Unauthenticated("no such data")
        self._pauses.setdefault(flow.id, flow.pauses)
        return flow.transfer()

    async def _proven(self, pid: str, token: str | None, *also: FlowState) -> Flow:
        flow = await self._flows.find(pid)
        digest = hashlib.sha256((token or "").encode()).hexdigest()
        known = (flow.access, flow.upcoming) if flow is not None else ()
        access = next((one for one in known if one is not None and hmac.compare_digest(digest, one.token_sha256)), None)
        if flow is None or access is None:
            raise Unauthenticated("this token opens nothing here", mend="use the token of the latest data address")
        if flow.state not in (FlowState.STARTED, *also):
            raise Forbidden(f"the flow is {flow.state}", where=pid, mend="wait for it to be started")
        if access.expires_at <= self._clock.now():
            raise Gone("the token's time is over", where=pid, mend="renew it")
        if access == flow.upcoming:
            # INVARIANT: a renewed token is the only one from its first use on
            return await self._flows.change(
                pid, lambda now: replace(now, access=access, upcoming=None) if now.upcoming == access else now
            )
        return flow

    # --- port TransferEvents

    async def completed(self, participant: str, pid: str, *, moved_bytes: int, digest: str | None) -> None:
        """All bytes of a push are with the receiver, or all of a pull are here: the flow is over, and its control plane hears of it."""
        # INVARIANT: the report stands in the jobs before the state does: a node that dies in between owes nothing that nobody knows of
        await self._report(await self.find(pid), Report.COMPLETED)
        await self._table.see_to(await self._flows.change(pid, lambda flow: _done(flow, moved_bytes, digest)))

    async def received(self, participant: str, pid: str, *, moved_bytes: int, digest: str) -> None:
        """All bytes of a push have arrived here; the provider's side says when it is complete."""
        await self._flows.change(pid, lambda flow: replace(flow, moved_bytes=moved_bytes, digest=digest))

    async def failed(self, participant: str, pid: str, reason: str) -> None:
        """Moving has failed for good: the control plane decides what becomes of it."""
        flow = await self._flows.change(pid, lambda flow: replace(flow, reason=reason))
        if not flow.state.is_over:
            await self._report(flow, Report.ERRORED, reason)

    async def attempted(self, participant: str, pid: str, *, url: str, cause: str) -> None:
        """An attempt to move data has failed: the control plane of others hears of the end alone."""
        observe.info("signaling.attempt_failed", flow=pid, url=url, cause=cause)

    async def noted(self, participant: str, pid: str, mark: str) -> None:
        """What a receiver calls an upload: any node on the same store goes on with it."""
        await self._flows.change(pid, lambda flow: replace(flow, mark=mark))

    # --- jobs

    async def ready(self, job: Job) -> None:
        """Wait for what a flow needs; then it is where it was going, and that is reported.

        Raises: KontorError, to be called again.
        """
        flow = await self._flows.find(str(job.body["flow"]))
        if flow is None or not flow.state.is_underway:
            return
        try:
            await self._table.wait(flow)
        except KontorError as fault:
            if job.tries < _LAST_TRY:
                raise
            await self.failed(HOME, flow.id, str(fault))
            return
        await self._report(flow, Report.STARTED if flow.is_provider else Report.PREPARED)
        await self._table.arrived(flow.id)

    async def move(self, job: Job) -> None:
        """Push as provider, or fetch as consumer, unless the flow has moved on.

        Raises: KontorError, to be called again.
        """
        flow = await self._flows.find(str(job.body["flow"]))
        if flow is None or flow.state is not FlowState.STARTED or not flow.moves:
            return
        moved: tuple[int, str] | None = None
        self._pauses[flow.id] = flow.pauses
        self._moving.add(flow.id)
        try:
            if flow.is_provider:
                await self._data_plane.start(flow.transfer(), self._sources(flow))
                await self._data_plane.over(HOME, flow.id)
            else:
                moved = await self._data_plane.fetch(flow.transfer())
        except KontorError as fault:
            if job.tries < _LAST_TRY:
                raise
            await self.failed(HOME, flow.id, str(fault))
            return
        finally:
            await self._data_plane.stop(HOME, flow.id)
            self._moving.discard(flow.id)
            self.over(HOME, flow.id)
        if moved is not None:
            await self.completed(HOME, flow.id, moved_bytes=moved[0], digest=moved[1])
            return
        now = await self._flows.find(flow.id)
        if now is not None and now.state is FlowState.STARTED and now.pauses == flow.pauses and not now.reason:
            # neither complete nor failed nor stopped: it was cut because the store could not be asked
            raise Conflict("the push was cut before its end", where=flow.id)

    async def watch(self) -> None:
        """Cut what moves here and was stopped at another node on the same store, until cancelled."""
        never = asyncio.Event()
        while True:
            await self.look()
            await self._clock.wait_until(self._clock.now() + _LOOK_EVERY, never)

    async def look(self) -> None:
        """Cut what moves here and may not any more; nothing moves on for longer than a lease while the store cannot be asked."""
        running, now = self._data_plane.running(), self._clock.now()
        try:
            for participant, pid in running:
                if not self._may_move(await self._flows.find(pid), pid):
                    observe.info("data.cut", participant=participant, pid=pid)
                    await self._data_plane.stop(participant, pid)
            self._looked_at = now
        except StoreUnavailable as fault:
            if now - self._looked_at < self._lease:
                return
            observe.error("data.flows_cut", count=len(running), cause=fault, mend="the state of the flows cannot be seen")
            for participant, pid in running:
                await self._data_plane.stop(participant, pid)

    def over(self, participant: str, pid: str) -> None:
        """Nothing of a flow moves here any more: what begins next is another matter."""
        if pid not in self._moving:
            self._pauses.pop(pid, None)

    def _may_move(self, flow: Flow | None, pid: str) -> bool:
        """Whether what moves here for a flow goes on: it was never suspended since that began, however short."""
        # a push may come in before we are told that it was started
        is_open = flow is not None and flow.state in (FlowState.STARTED, FlowState.PREPARED)
        return flow is not None and is_open and flow.pauses == self._pauses.get(pid, flow.pauses)

    async def forget(self, job: Job) -> None:
        """Drop a flow that has been over for long."""
        await self._flows.forget(str(job.body["flow"]))

    async def report(self, job: Job) -> None:
        """Tell the control plane.

        Raises: KontorError, to be called again.
        """
        flow = await self._flows.find(str(job.body["flow"]))
        if flow is None:
            return
        report, error = Report(str(job.body["report"])), job.body.get("error")
        if flow.state is FlowState.TERMINATED or (report is not Report.COMPLETED and flow.state.is_over):
            # it has ended meanwhile, by the control plane's own word
            return
        if report in REPORTED and flow.state is not REPORTED[report] and report is not Report.ERRORED:
            if flow.state.is_underway or report is Report.COMPLETED:
                raise Conflict("the flow is not there yet", where=flow.id)
            # it was there, and has been moved on since: the control plane knows
            return
        driver = await self._drivers.get(flow.control_plane)
        vet(flow.callback, driver, "callbackAddress")
        url, body = _written(flow, report, str(error) if error is not None else None)
        headers: Mapping[str, str] = {
            **await self._logins.headers(driver),
            **({"Content-Type": "application/json"} if body is not None else {}),
        }
        answer = await self._outbound.post(url, body or b"", headers, max_bytes=64 << 10)
        if not answer.is_success:
            if answer.status == 401:
                self._logins.forget(driver)
            raise PeerAnswer(f"the control plane answers {answer.status}", answer_status=answer.status, where=shown(url))

    async def _report(self, flow: Flow, report: Report, error: str | None = None) -> None:
        body: dict[str, Any] = {"flow": flow.id, "report": report.value, "error": error}
        name = f"{flow.id}#{report}" + (f"#{flow.updated_at.isoformat()}" if report is Report.ERRORED else "")
        now = self._clock.now()
        job = NewJob(
            participant=HOME, kind=REPORT, id=name, body=body, order_key=f"report:{flow.id}", not_before=now + _AFTER_THE_ANSWER
        )
        await self._store.jobs.put([job], now)
        observe.info("signaling.reports", flow=flow.flow_id, control_plane=flow.control_plane, report=report)

    async def find(self, id_: str) -> Flow:
        """The flow with our id.

        Raises: NotFound.
        """
        flow = await self._flows.find(id_)
        if flow is None:
            raise NotFound("there is no such data flow", where=id_)
        return flow


_AFTER_THE_ANSWER: Final = timedelta(seconds=0.05)
"""A report waits for the answer that it follows to be sent, and for its own state to be kept."""
_LOOK_EVERY: Final = timedelta(seconds=0.3)
_LAST_TRY: Final = 10
"""Tries after which what does not come is reported; until then it is ours to sit out."""


def _done(flow: Flow, moved_bytes: int, digest: str | None) -> Flow:
    if flow.state is not FlowState.STARTED:
        return flow
    return replace(
        flow,
        state=FlowState.COMPLETED,
        access=None,
        upcoming=None,
        refresh_sha256=None,
        made=None,
        moved_bytes=moved_bytes,
        digest=digest,
    )


def _written(flow: Flow, report: Report, error: str | None) -> tuple[str, bytes | None]:
    """Address and body of a report, in the control plane's dialect."""
    if flow.dialect is Dialect.EDC:
        base = below(flow.callback, "transferprocess", flow.flow_id)
        if report is Report.ERRORED:
            return f"{base}/fail", legacy.write_failure(error or "moving the data has failed")
        return (f"{base}/complete", None) if report is Report.COMPLETED else (f"{base}/provisioned", b"{}")
    message_id = uuid.uuid5(_NAMESPACE, f"{flow.id}#{report}#{flow.updated_at.isoformat()}").urn
    address = flow.made if report in (Report.PREPARED, Report.STARTED) else None
    status = Status(state=flow.state, message_id=message_id, flow_id=flow.flow_id, address=address, error=error)
    return below(flow.callback, "transfers", flow.flow_id, "dataflow", report), standard.write_status(status)
