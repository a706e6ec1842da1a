"""Drives the external data planes of transfers: tells them what is next, hears what they report, and goes on with the transfer.

What lives here: the two jobs (`SIGNAL`, `LOOK`), and what a transfer does when its flow has got somewhere. What does not: which call is
next (`flows.py`), what planes report by themselves (`reports.py`), HTTP and dialects (`signaling/`).

Each call is a durable job, put by the transaction that needs it, with a message id that repetitions share. Its answer is taken in one
transaction together with what follows; an answer that a report has overtaken changes nothing. A data plane that fails or knows nothing
never holds up the end of a transfer.
Source: Data Plane Signaling v1.0-RC3, "Control Plane"; for the older dialect what EDC 0.15.1 does.
"""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final

from connector import observe
from connector.controlplane import flows
from connector.controlplane.decisions import Choice
from connector.controlplane.jobs import Again, Failed, Pace
from connector.controlplane.offerings import Offerings
from connector.controlplane.process import new_urn
from connector.controlplane.transfer import Transfers
from connector.controlplane.transfer_course import Desk
from connector.dps.flow import Call, FlowState, Report
from connector.dps.messages import Note, Order, Status
from connector.dsp import transfer as steps
from connector.dsp import transfer_opening as openings
from connector.dsp.process import By, Cause, Record, Step
from connector.dsp.tables import Event, Kind, State
from connector.dsp.transfer import Transfer
from connector.dsp.values import replace
from connector.errors import (
    BadMessage,
    CallerError,
    ConfigurationError,
    Conflict,
    KontorError,
    NotFound,
    PeerAnswer,
    SourceError,
)
from connector.ports.clock import Clock
from connector.ports.dataplane import Source
from connector.ports.identity import TokenSource
from connector.ports.jobs import Job
from connector.ports.signaling import Planes, Telling
from connector.ports.store import Change, Filter, Snapshot, Store

PACE: Final = Pace(attempts=1_000_000, first_delay_s=0.5, max_delay_s=30, timeout_s=90)
"""Patience is a matter of time here, not of tries."""
_CONTEXT: Final = "dataspace-protocol-http:2025-1"
_AGAIN: Final = frozenset({404, 408, 409, 425, 429})
"""Answers that may be another one later: a flow that is not there yet, a plane that is busy."""
_MOST_BETWEEN: Final = timedelta(seconds=60)
_OPEN: Final = (State.REQUESTED, State.STARTED, State.SUSPENDED)
_NAMESPACE: Final = uuid.UUID("6c1f6a52-6c1b-4d0c-9b1e-2f4f5d2f6f0a")


class Signals:
    """The flows of external data planes, for all contexts of this node."""

    def __init__(
        self,
        store: Store,
        transfers: Transfers,
        offerings: Offerings,
        tokens: TokenSource,
        planes: Planes,
        clock: Clock,
        *,
        patience: timedelta,
    ) -> None:
        """`patience`: how long a data plane may take, or be away, before a transfer that waits for it ends."""
        self._store = store
        self._transfers = transfers
        self._offerings = offerings
        self._tokens = tokens
        self._planes = planes
        self._clock = clock
        self._patience = patience
        self._hear: Callable[[Transfer, Report, Status], Awaitable[None]] | None = None

    def connect(self, hear: Callable[[Transfer, Report, Status], Awaitable[None]]) -> None:
        """Have what is found out by asking taken as if it had been reported."""
        self._hear = hear

    async def held(self, participant: str, plane: str) -> int:
        """How many transfers that have not ended a data plane moves."""
        count = 0
        for state in _OPEN:
            cursor: str | None = None
            while True:
                page = await self._store.processes(Kind.TRANSFER, participant, Filter(state=state), cursor=cursor, limit=1000)
                count += sum(
                    isinstance(one, Transfer) and one.flow is not None and one.flow.plane == plane for one in page.items
                )
                cursor = page.next_cursor
                if cursor is None:
                    break
        return count

    # --- telling

    async def signal(self, job: Job) -> Failed | None:
        """Tell the data plane what is next, unless it knows by now."""
        transfer = await self._transfer(job)
        call = flows.next_call(transfer) if transfer is not None else None
        if transfer is None or transfer.flow is None or call is None:
            return None
        try:
            status = await self._planes.tell(transfer.participant, transfer.flow.plane, await self._said(transfer, call))
        except (SourceError, ConfigurationError) as fault:
            await self._given_up(transfer, call, str(fault))
            return None
        except PeerAnswer as fault:
            return await self._refused(job, transfer, call, fault)
        except KontorError as fault:
            return await self._unanswered(job, transfer, call, fault)
        await self._answered(transfer, call, status)
        return None

    async def look(self, job: Job) -> Again | None:
        """Ask how a flow stands that is getting there; its report may be lost."""
        transfer = await self._transfer(job)
        if transfer is None or transfer.flow is None or transfer.flow.since is None or transfer.is_ended:
            return None
        flow, now = transfer.flow, self._clock.now()
        waited = now - (flow.since or now)
        if waited > self._patience:
            await self._given_up(transfer, Call(flow.told), f"the data plane was {flow.state} for {waited}")
            return None
        again = Again(at=now + min(max(waited, flows.FIRST_LOOK), _MOST_BETWEEN))
        try:
            status = await self._planes.look(transfer.participant, flow.plane, transfer.pid)
        except KontorError as fault:
            observe.info("signaling.not_seen", pid=transfer.pid, plane=flow.plane, cause=fault)
            return again
        if status.state.is_underway:
            return again
        report = {FlowState.PREPARED: Report.PREPARED, FlowState.STARTED: Report.STARTED}.get(status.state)
        if report is None:
            await self._given_up(transfer, Call(flow.told), f"the data plane says that the flow is {status.state}")
        else:
            try:
                status = await self._addressed(transfer, Call(flow.told), status)
            except KontorError as fault:
                observe.info("signaling.not_seen", pid=transfer.pid, plane=flow.plane, cause=fault)
                return again
            assert self._hear is not None
            await self._hear(transfer, report, status)
        return None

    async def _said(self, transfer: Transfer, call: Call) -> Telling:
        """What `call` says, with everything that either dialect needs for it."""
        desk = await self._transfers.desk(flows.key_of(transfer.participant, transfer.pid), None)
        item = (await self._offerings.shelf(transfer.participant)).assets.get(transfer.dataset)
        first = Call.START if transfer.is_provider else Call.PREPARE
        flow = transfer.flow
        assert flow is not None
        message_id = uuid.uuid5(_NAMESPACE, f"{transfer.pid}#{flow.calls}#{call}").urn
        order = Order(
            call=first,
            message_id=message_id,
            flow_id=transfer.pid,
            participant_id=desk.context.id,
            counter_party_id=transfer.peer,
            dataspace_context=_CONTEXT,
            agreement_id=transfer.agreement_id,
            dataset_id=transfer.dataset,
            profile=transfer.format,
            claims=desk.claims,
            labels=item.source.labels if item is not None and transfer.is_provider else (),
            address=transfer.destination if transfer.is_provider else None,
        )
        note = None
        if call is not first:
            address = transfer.address if call in (Call.STARTED, Call.RESUME) and _owns_none(transfer) else None
            reason = "; ".join(transfer.reasons) or None
            note = Note(
                call=call,
                message_id=message_id,
                reason=reason if call in (Call.SUSPEND, Call.TERMINATE) else None,
                address=address,
            )
        return Telling(order=order, note=note, is_provider=transfer.is_provider, source=await self._source(transfer, call))

    async def _source(self, transfer: Transfer, call: Call) -> Source | None:
        if not transfer.is_provider or call not in (Call.START, Call.RESUME):
            return None
        try:
            return await self._offerings.source(transfer.participant, transfer.dataset)
        except NotFound as fault:
            raise SourceError(fault.what, where=fault.where, mend=fault.mend) from fault

    async def _answered(self, transfer: Transfer, call: Call, status: Status) -> None:
        flow = transfer.flow
        assert flow is not None

        def step(process: Transfer, desk: Desk) -> Step[Transfer]:
            if not flows.waits(process, flow):
                # a report was quicker than the answer
                return Step(process=process)
            now = self._clock.now()
            record = Record(at=now, by=By.DATA_PLANE, event=f"took {call}", state=process.state, note=status.state.value)
            done = Step(process=flows.taken(process, call, status, now), records=(record,))
            return done.then(lambda p: self.follow(p, status))

        await self.step(transfer, step)

    def follow(self, process: Transfer, status: Status) -> Step[Transfer]:
        """What the transfer does now that its flow is where `status` says."""
        flow, now = process.flow, self._clock.now()
        assert flow is not None
        if process.is_ended or not flow.is_wanted or process.state is State.STARTED:
            # what was wanted has come about without us: a consumer may resume while we are at it
            process = replace(process, flow=replace(flow, is_wanted=False))
            if process.is_provider and status.address is not None and flow.told == Call.RESUME and process.is_open:
                # the consumer has resumed, and waits for what opens the data from now on
                return steps.renew(process, status.address, None, message_id=new_urn(), now=now)
            return Step(process=process)
        if not process.is_provider and status.state is FlowState.PREPARED:
            ready = replace(process, flow=replace(flow, is_wanted=False), destination=status.address or process.destination)
            return openings.request(ready, message_id=new_urn(), now=now)
        if process.is_provider and status.state is FlowState.STARTED:
            ready = replace(process, flow=replace(flow, is_wanted=False))
            if not process.is_push and status.address is None:
                cause = Cause(by=By.DATA_PLANE, code="data-plane", reasons=("the data plane gave no address",))
                return self._transfers.course.do(ready, Choice(act=Event.TERMINATE, cause=cause))
            start = Choice(act=Event.START, cause=Cause(by=By.DATA_PLANE))
            return self._transfers.course.do(
                ready, start, ready=status if not process.is_push else replace(status, address=None)
            )
        return Step(process=process)

    async def _refused(self, job: Job, transfer: Transfer, call: Call, fault: PeerAnswer) -> Failed | None:
        """What comes of an answer that is no success."""
        status = fault.answer_status
        is_end = call in (Call.COMPLETED, Call.TERMINATE)
        if is_end and status == 404:
            await self._answered(transfer, call, Status(state=FlowState.TERMINATED))
            return None
        if job.tries > 1 and call in (Call.PREPARE, Call.START, Call.RESUME) and (found := await self._found(transfer, call)):
            await self._answered(transfer, call, found)
            return None
        if status in _AGAIN or status >= 500:
            return await self._unanswered(job, transfer, call, fault)
        await self._given_up(transfer, call, str(fault))
        return None

    async def _found(self, transfer: Transfer, call: Call) -> Status | None:
        """How the flow stands after all, when an earlier answer was lost; an address that was lost with it is made anew.

        None when it does not stand, or cannot be asked.
        """
        flow = transfer.flow
        assert flow is not None
        try:
            status = await self._planes.look(transfer.participant, flow.plane, transfer.pid)
            if status.state not in (FlowState.PREPARED, FlowState.PREPARING, FlowState.STARTED, FlowState.STARTING):
                return None
            return await self._addressed(transfer, call, status)
        except KontorError as fault:
            observe.info("signaling.not_seen", pid=transfer.pid, plane=flow.plane, cause=fault)
            return None

    async def _addressed(self, transfer: Transfer, call: Call, status: Status) -> Status:
        """How the flow stands, with the address of a provider's pull: made anew where a question for the state does not tell it.

        Raises: KontorError.
        """
        flow = transfer.flow
        assert flow is not None
        is_told = status.address is not None or call is Call.PREPARE or not transfer.is_provider or transfer.is_push
        if is_told or status.state is not FlowState.STARTED:
            return status
        said = await self._said(transfer, call)
        for again in (Call.SUSPEND, Call.RESUME):
            note = Note(call=again, message_id=uuid.uuid5(_NAMESPACE, f"{said.order.message_id}#{again}").urn)
            status = await self._planes.tell(transfer.participant, flow.plane, replace(said, note=note))
        return status

    async def _unanswered(self, job: Job, transfer: Transfer, call: Call, fault: KontorError) -> Failed | None:
        """Try again, for as long as there is patience."""
        if self._clock.now() - job.created_at < self._patience:
            return Failed(cause=str(fault))
        await self._given_up(transfer, call, str(fault))
        return None

    async def _given_up(self, transfer: Transfer, call: Call, reason: str) -> None:
        """The data plane does not take `call`: a transfer that needs it ends, one that has ended is done with it."""
        observe.warning(
            "signaling.given_up", pid=transfer.pid, plane=transfer.flow and transfer.flow.plane, call=call, cause=reason
        )
        flow = transfer.flow
        assert flow is not None

        def step(process: Transfer, desk: Desk) -> Step[Transfer]:
            if not flows.waits(process, flow):
                return Step(process=process)
            now = self._clock.now()
            note = Record(at=now, by=By.DATA_PLANE, event=f"refused {call}", state=process.state, note=reason)
            if process.is_ended:
                return Step(process=flows.taken(process, call, Status(state=FlowState.TERMINATED), now), records=(note,))
            cause = Cause(by=By.DATA_PLANE, code="data-plane", reasons=("the data plane failed",), whole=(reason,))
            failed = Step(process=process, records=(note,))
            return failed.then(lambda p: self._transfers.course.do(p, Choice(act=Event.TERMINATE, cause=cause)))

        await self.step(transfer, step)

    async def _transfer(self, job: Job) -> Transfer | None:
        process = await self._store.process(flows.key_of(job.participant, str(job.body["pid"])))
        return process if isinstance(process, Transfer) else None

    async def step(self, transfer: Transfer, step: Callable[[Transfer, Desk], Step[Transfer]]) -> None:
        """Commit the change that `step` amounts to, with everything that follows from it.

        Raises: BadMessage, Conflict; nothing has changed then.
        """
        key = flows.key_of(transfer.participant, transfer.pid)
        desk = await self._transfers.desk(key, None)

        def decide(snapshot: Snapshot[Transfer]) -> Change[Transfer]:
            if snapshot.process is None or snapshot.process.flow is None:
                return Change()
            try:
                return self._transfers.course.change(step(snapshot.process, desk), desk)
            except (BadMessage, Conflict):
                raise
            except CallerError as fault:
                # the transfer has moved on meanwhile, and does not go where the flow would lead
                raise Conflict(fault.what, where=fault.where, mend=fault.mend) from fault

        await self._transfers.advance(key, decide)


def _owns_none(transfer: Transfer) -> bool:
    """True when the other side makes the address of the data, so that our data plane has to be given it."""
    return not transfer.is_provider and not transfer.is_push
