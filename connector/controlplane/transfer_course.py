"""What follows in a transfer from the state it has entered: the change to commit, made of values gathered before.

What does not live here: gathering, committing, and telling the data plane (`transfer.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from connector.controlplane.cases import EMPTY, Answer, Case
from connector.controlplane.decisions import Choice, Judgement, choose, transfer_gate
from connector.controlplane.flows import jobs_of
from connector.controlplane.participants import Context
from connector.controlplane.policy import Judge
from connector.controlplane.process import DEADLINE, deadline_of, due_of, held, in_doubt, new_urn, waited_too_long, waiting
from connector.controlplane.pushes import job_of
from connector.dps.flow import FlowState
from connector.dps.messages import Status
from connector.dsp import messages as m
from connector.dsp import transfer as steps
from connector.dsp import wire
from connector.dsp.negotiation import Agreement
from connector.dsp.process import By, Cause, Due, Record, Step, entry, may_send
from connector.dsp.tables import Event, Kind, State
from connector.dsp.transfer import Transfer
from connector.dsp.values import Value, replace
from connector.errors import CallerError
from connector.odrl.truth import Stage
from connector.ports.clock import Clock
from connector.ports.dataplane import DataPlane
from connector.ports.jobs import NewJob
from connector.ports.ledger import Book
from connector.ports.store import Attempt, Change

REVIEW = "review"
"""A due row at the first instant at which the decision on a running transfer can flip."""
_SOON = timedelta(milliseconds=1)


class Desk(Value, frozen=True, kw_only=True):
    """Everything a decision may look at, gathered before the transaction."""

    context: Context
    agreement: Agreement | None
    claims: Mapping[str, Any]
    book: Book = EMPTY
    """Under the agreement, as far as its terms ask for it."""

    def case(self, agreement: Agreement) -> Case:
        """What the judge looks at."""
        return Case(context=self.context, agreement=agreement, claims=self.claims, book=self.book)


class TransferCourse:
    """Decides what follows; waits for nothing."""

    def __init__(self, judge: Judge, data_plane: DataPlane, clock: Clock) -> None:
        self._judge = judge
        self._data_plane = data_plane
        self._clock = clock

    def due(self, process: Transfer, row: Due, desk: Desk) -> Change[Transfer]:
        """The change of a delayed act, of a review, or of a deadline, unless the transfer has moved on since."""
        if process.is_ended:
            return Change()
        if row.act == REVIEW:
            return self.review(replace(process, review_at=None), desk)
        if row.act == DEADLINE:
            return self._deadline(process, desk)
        if process.state is not row.state or entry(process) != row.entry or process.in_flight or process.hold is not None:
            return Change()
        event, now = Event(row.act), self._clock.now()
        if process.is_doubted:
            return in_doubt(row, now)
        gate = transfer_gate(process, lambda p: self.judgement(p, desk).judgement)
        if not gate.allows(event):
            return held(process, f"`{event}` was due and is not allowed: {'; '.join(gate.refused[event])}", now)
        cause = Cause(by=By.RULE, reasons=(row.reason,) if row.reason else ())
        return self.change(self.do(process, Choice(act=event, cause=cause)), desk)

    def review(self, process: Transfer, desk: Desk) -> Change[Transfer]:
        """The change when a running transfer is decided about again; none when all stays as it is.

        Raises: IllegalTransition, Conflict when it cannot be ended because it ends.
        """
        if process.is_ended or not process.is_provider or process.state not in (State.STARTED, State.SUSPENDED):
            return Change()
        answer = self.judgement(process, desk, Stage.ONGOING)
        if not answer.judgement.is_acceptable:
            return self.change(self.do(process, _ended(answer.judgement)), desk)
        process, due = _reviewed(process, answer.valid_until, self._clock.now())
        return Change(process=process, due=due) if due else Change()

    def _deadline(self, process: Transfer, desk: Desk) -> Change[Transfer]:
        if process.state not in (None, State.REQUESTED):
            # once it was started it ends by its agreement, or by whoever wants it to
            return Change()
        now, longest = self._clock.now(), desk.context.longest_wait
        again = deadline_of(process, longest)
        if again.at > now:
            return Change(due=(again,))
        try:
            step = self.do(process, Choice(act=Event.TERMINATE, cause=waited_too_long(process, longest)))
        except CallerError:
            # a termination of ours is on its way: delivery sees to that
            return Change(due=(replace(again, at=now + longest),))
        return self.change(step, desk)

    def judgement(self, process: Transfer, desk: Desk, stage: Stage = Stage.TRANSFER) -> Answer:
        """What the engine says of `process` at `stage`; before a transfer starts, one use more is counted in."""
        if desk.agreement is None:
            return Answer(judgement=Judgement(is_acceptable=False, is_refused=True, reasons=("the agreement is gone",)))
        return self._judge.transfer(
            process, desk.case(desk.agreement), self._clock.now(), stage, also=1 if stage is Stage.TRANSFER else 0
        )

    def change(
        self,
        step: Step[Transfer],
        desk: Desk,
        *,
        answer: bytes = b"",
        attempt: Attempt | None = None,
        resumed_by_peer: bool = False,
        is_first: bool = False,
    ) -> Change[Transfer]:
        """The change that `step` amounts to, together with what follows from the state it entered."""
        due: tuple[Due, ...] = (deadline_of(step.process, desk.context.longest_wait),) if is_first else ()
        if step.entered and not step.process.is_ended and step.process.in_flight is None:
            step, following = self._followed(step, desk, resumed_by_peer)
            due += following
        return Change(
            process=step.process,
            answer=answer,
            outgoing=step.outgoing,
            removed=step.cancelled + ((attempt.message_id,) if attempt else ()),
            attempts=(attempt,) if attempt else (),
            records=step.records,
            due=due,
            jobs=self._jobs(step),
        )

    def _jobs(self, step: Step[Transfer]) -> tuple[NewJob, ...]:
        if step.process.flow is not None:
            return jobs_of(step.process, self._clock.now())
        return () if (job := job_of(step.process)) is None or not step.records else (job,)

    def _followed(self, step: Step[Transfer], desk: Desk, resumed_by_peer: bool) -> tuple[Step[Transfer], tuple[Due, ...]]:
        process, now = step.process, self._clock.now()
        due: tuple[Due, ...] = ()
        if process.state is State.STARTED and process.flow is not None and process.flow.state == FlowState.COMPLETED:
            # the data plane was done before our start was acknowledged
            done = Choice(act=Event.COMPLETE, cause=Cause(by=By.DATA_PLANE))
            return step.then(lambda p: self.do(p, done)), due
        if process.is_provider and process.state is State.STARTED:
            answer = self.judgement(process, desk, Stage.ONGOING)
            if not answer.judgement.is_acceptable:
                # a consumer may resume whenever it likes; whether data may flow is asked each time
                return step.then(lambda p: self.do(p, _ended(answer.judgement))), due
            process, due = _reviewed(process, answer.valid_until, now)
            step = replace(step, process=process)
            if resumed_by_peer and not process.is_push and process.flow is None:
                endpoint = self._data_plane.endpoint(process.participant, process.pid, process.format)
                if endpoint is not None:
                    step = step.then(lambda p: steps.renew(p, endpoint.address, endpoint.access, message_id=new_urn(), now=now))
        gate = transfer_gate(process, lambda p: self.judgement(p, desk).judgement)
        choice = choose(process, Kind.TRANSFER, participant_rules=desk.context.rules, definition_rules=(), gate=gate)
        if choice.hold is not None:
            return waiting(step, choice.hold, choice.cause.by, now), due
        if choice.act is not None and choice.delay_s > 0:
            return step, (*due, due_of(step.process, choice, now))
        if choice.act is not None:
            try:
                return step.then(lambda p: self.do(p, choice)), due
            except CallerError as fault:
                return waiting(step, f"`{choice.act}` is not possible: {fault}", choice.cause.by, now), due
        return step, due

    def said_again(self, process: Transfer) -> Step[Transfer]:
        """The provider's start of a running transfer once more, with a fresh address where there is one; a refusal changes nothing.

        Nothing is said of a transfer that does not run, or that another data plane opens.
        """
        if not (process.is_provider and process.state is State.STARTED and process.is_open and process.flow is None):
            return Step(process=process)
        now, message_id = self._clock.now(), new_urn()
        endpoint = None
        if not process.is_push:
            endpoint = self._data_plane.endpoint(process.participant, process.pid, process.format)
        if endpoint is not None:
            return steps.renew(process, endpoint.address, endpoint.access, message_id=message_id, now=now)
        out = steps.said_again(process, Event.START, message_id, Cause(by=By.RULE))
        record = Record(at=now, by=By.RULE, event="send start", state=process.state, note="asked for again")
        return Step(process=process, outgoing=(out,), records=(record,))

    def do(self, process: Transfer, choice: Choice, *, ready: Status | None = None) -> Step[Transfer]:
        """The step that carries out `choice`; a provider's start of a pull makes a fresh address.

        Where an external data plane moves the data, a provider's start waits until that says that it is `ready`.
        """
        assert choice.act is not None
        if choice.act is Event.START and process.is_provider and process.flow is not None and ready is None:
            may_send(process, Kind.TRANSFER, Event.START)
            wanted = replace(process, flow=replace(process.flow, is_wanted=True), hold=None)
            record = Record(
                at=self._clock.now(),
                by=choice.cause.by,
                event="start the data plane",
                state=process.state,
                note=process.flow.plane,
            )
            return Step(process=wanted, records=(record,))
        address, access = ready.address if ready is not None else None, None
        if choice.act is Event.START and process.is_provider and not process.is_push and process.flow is None:
            endpoint = self._data_plane.endpoint(process.participant, process.pid, process.format)
            address, access = (endpoint.address, endpoint.access) if endpoint else (None, None)
        return steps.act(
            process,
            choice.act,
            message_id=new_urn(),
            now=self._clock.now(),
            cause=choice.cause,
            address=address,
            access=access,
        )


def _ended(judgement: Judgement) -> Choice:
    code = judgement.code or "not-permitted"
    cause = Cause(by=By.POLICY, code=code, reasons=judgement.reasons, whole=judgement.whole)
    return Choice(act=Event.TERMINATE, cause=cause)


def _reviewed(process: Transfer, valid_until: datetime | None, now: datetime) -> tuple[Transfer, tuple[Due, ...]]:
    """The transfer and its row for the next review; none when one waits already that comes in time."""
    known = process.review_at
    if valid_until is None or (known is not None and now < known <= valid_until):
        return process, ()
    # never at once: a decision that flips at this very instant would be asked for without end
    at = max(valid_until, now + _SOON)
    return replace(process, review_at=at), (Due(at=at, act=REVIEW, state=process.state, entry=entry(process)),)


def acknowledgement(process: Transfer) -> bytes:
    """The state of `process` as its peer may know it."""
    state = process.state or (process.in_flight.to if process.in_flight else State.TERMINATED)
    return wire.encode(
        m.TransferProcess(
            provider_pid=process.provider_pid or wire.NIL, consumer_pid=process.consumer_pid or wire.NIL, state=state
        )
    )
