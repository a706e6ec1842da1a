"""What external data planes report of the flows that they move: the port `FlowEvents`.

What lives here: reports in both dialects, and the agreement for the plane that holds a transfer. What does not: telling planes something
(`signals.py`), and who may report (`signaling/callers.py` proves that before).
`errored` reaches the operator and never the peer.
Source: Data Plane Signaling v1.0-RC3, "Control Plane Endpoint"; for the older dialect what EDC 0.15.1 does.
"""

from __future__ import annotations

import orjson

from connector.controlplane import flows
from connector.controlplane.decisions import Choice
from connector.controlplane.signals import Signals
from connector.controlplane.transfer import Transfers
from connector.controlplane.transfer_course import Desk
from connector.controlplane.usage import Usages
from connector.dps.flow import REPORTED, Call, FlowState, Report
from connector.dps.messages import Status
from connector.dsp.plain import DSP_CONTEXT
from connector.dsp.process import By, Cause, Record, Step
from connector.dsp.tables import Event, Role, State
from connector.dsp.transfer import Transfer
from connector.dsp.values import replace
from connector.errors import BadMessage, Conflict, NotFound
from connector.ports.clock import Clock
from connector.ports.store import Store


class Reports:
    """Told by data planes, for all contexts of this node."""

    def __init__(self, store: Store, transfers: Transfers, signals: Signals, usages: Usages, clock: Clock) -> None:
        self._store = store
        self._transfers = transfers
        self._signals = signals
        self._usages = usages
        self._clock = clock
        signals.connect(self.heard)

    async def reported(self, participant: str, pid: str, plane: str, report: Report, status: Status) -> None:
        """A data plane says how the flow of a transfer stands."""
        transfer = await self._held(participant, pid, plane)
        if report in REPORTED and status.state is not REPORTED[report]:
            what = f"`{report}` does not go with a flow that is {status.state}"
            raise BadMessage(what, where="state", mend=f"send {REPORTED[report]} there")
        await self.heard(transfer, report, status)

    async def failed(self, participant: str, pid: str, plane: str, reason: str) -> None:
        """Moving has failed for good: the transfer ends, and the peer is told."""
        transfer = await self._held(participant, pid, plane)

        def step(process: Transfer, desk: Desk) -> Step[Transfer]:
            if process.is_ended:
                raise Conflict("the transfer has ended", where=pid)
            cause = Cause(by=By.DATA_PLANE, code="data-plane", reasons=("the data plane failed",), whole=(reason,))
            return self._transfers.course.do(process, Choice(act=Event.TERMINATE, cause=cause))

        await self._signals.step(transfer, step)

    async def provisioned(self, participant: str, pid: str, plane: str, status: Status) -> None:
        """What was being provisioned is there."""
        transfer = await self._held(participant, pid, plane)
        if not transfer.is_provider:
            await self.heard(transfer, Report.PREPARED, status)
            return

        def step(process: Transfer, desk: Desk) -> Step[Transfer]:
            if process.is_ended or process.flow is None or process.flow.state != FlowState.STARTING:
                raise Conflict("nothing is being provisioned", where=pid)
            return Step(process=flows.again(process))

        await self._signals.step(transfer, step)

    async def agreement(self, participant: str, pid: str, plane: str) -> bytes:
        """The agreement of a transfer, for the plane that holds it."""
        transfer = await self._held(participant, pid, plane)
        found = await self._store.agreement(participant, transfer.agreement_id)
        if found is None:
            raise _unknown(pid)
        return orjson.dumps({"@context": [DSP_CONTEXT], **found.policy})

    async def heard(self, transfer: Transfer, report: Report, status: Status) -> None:
        """Take what was reported, or found out by asking."""
        if report is Report.COMPLETED:
            await self._completed(transfer)

        def step(process: Transfer, desk: Desk) -> Step[Transfer]:
            flow, now = process.flow, self._clock.now()
            assert flow is not None
            if report is Report.ERRORED:
                what = f"the data plane reports: {status.error or 'an error'}"
                record = Record(at=now, by=By.DATA_PLANE, event="errored", state=process.state, note=what)
                # no state changes by it, and the peer is not told: restart, a new transfer, or an end are for the operator
                return Step(process=replace(process, hold=what) if not process.is_ended else process, records=(record,))
            if flow.state == status.state and flow.since is None:
                # said before
                return Step(process=process)
            if process.is_ended:
                raise Conflict(f"the transfer is {process.state}", where=process.pid)
            record = Record(at=now, by=By.DATA_PLANE, event=f"reported {report}", state=process.state)
            if report is Report.COMPLETED:
                done = Step(process=flows.arrived(process, FlowState.COMPLETED), records=(record,))
                if process.state is not State.STARTED or process.in_flight is not None:
                    # said on as soon as the start is acknowledged
                    return done
                complete = Choice(act=Event.COMPLETE, cause=Cause(by=By.DATA_PLANE))
                return done.then(lambda p: self._transfers.course.do(p, complete))
            first = Call.START if process.is_provider else Call.PREPARE
            is_ours = process.role is (Role.PROVIDER if report is Report.STARTED else Role.CONSUMER)
            if not is_ours or not flow.is_wanted:
                raise Conflict(f"nobody waits for `{report}` of this transfer", where=process.pid)
            if flow.since is None:
                # it comes before the answer to the call that it is about
                call = Call.RESUME if flow.told == Call.SUSPEND else first
                done = Step(process=flows.taken(process, call, status, now), records=(record,))
            else:
                done = Step(process=flows.arrived(process, status.state), records=(record,))
            return done.then(lambda p: self._signals.follow(p, status))

        await self._signals.step(transfer, step)

    async def _completed(self, transfer: Transfer) -> None:
        """What was moved counts as a use, before anybody is told that it is over."""
        desk = await self._transfers.desk(flows.key_of(transfer.participant, transfer.pid), None)
        if transfer.is_provider and not transfer.is_ended and desk.agreement is not None:
            await self._usages.done(transfer, desk.case(desk.agreement), 0)

    async def _held(self, participant: str, pid: str, plane: str) -> Transfer:
        """The transfer, when `plane` moves its data.

        Raises: NotFound, the same for an unknown transfer and for one of another plane.
        """
        process = await self._store.process(flows.key_of(participant, pid))
        if not isinstance(process, Transfer) or process.flow is None or process.flow.plane != plane:
            raise _unknown(pid)
        return process


def _unknown(pid: str) -> NotFound:
    return NotFound("there is no such transfer", where=pid)
