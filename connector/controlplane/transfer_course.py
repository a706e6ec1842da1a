"""What follows in a transfer from the state it has entered: the change to commit, made of values gathered before.

What does not live here: gathering, committing, and telling the data plane (`transfer.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from connector.controlplane.decisions import Choice, Judgement, choose, transfer_gate
from connector.controlplane.participants import Context
from connector.controlplane.policy import Judge
from connector.controlplane.process import DEADLINE, deadline_of, due_of, held, new_urn, waited_too_long
from connector.controlplane.pushes import job_of
from connector.dsp import transfer as steps
from connector.dsp.copies import replace
from connector.dsp.negotiation import Agreement
from connector.dsp.process import By, Cause, Due, Step, entry
from connector.dsp.tables import Event, Kind, State
from connector.dsp.transfer import Transfer
from connector.errors import CallerError
from connector.odrl.truth import Stage
from connector.ports.clock import Clock
from connector.ports.dataplane import DataPlane
from connector.ports.store import Attempt, Change

REVIEW = "review"
"""A due row at the first instant at which the decision on a running transfer can flip."""
_SOON = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """Everything a decision may look at, gathered before the transaction."""

    context: Context
    agreement: Agreement | None
    claims: Mapping[str, Any]


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
            return self._review(process, desk)
        if row.act == DEADLINE:
            return self._deadline(process, desk)
        if process.state is not row.state or entry(process) != row.entry or process.in_flight or process.hold is not None:
            return Change()
        event, now = Event(row.act), self._clock.now()
        gate = transfer_gate(process, lambda p: self.judgement(p, desk)[0])
        if not gate.allows(event):
            return held(process, f"`{event}` was due and is not allowed: {'; '.join(gate.refused[event])}", now)
        cause = Cause(by=By.RULE, reasons=(row.reason,) if row.reason else ())
        return self.change(self.do(process, Choice(act=event, cause=cause)), desk)

    def _review(self, process: Transfer, desk: Desk) -> Change[Transfer]:
        judgement, valid_until = self.judgement(process, desk, Stage.ONGOING)
        if not judgement.is_acceptable:
            return self.change(self.do(process, _ended(judgement)), desk)
        return Change(due=_reviews(process, valid_until, self._clock.now()))

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

    def judgement(self, process: Transfer, desk: Desk, stage: Stage = Stage.TRANSFER) -> tuple[Judgement, datetime | None]:
        if desk.agreement is None:
            return Judgement(is_acceptable=False, is_refused=True, reasons=("the agreement is gone",)), None
        return self._judge.transfer(process, desk.agreement, desk.claims, self._clock.now(), stage, desk.context.disclosure)

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
            jobs=() if (job := job_of(step.process)) is None or not step.records else (job,),
        )

    def _followed(self, step: Step[Transfer], desk: Desk, resumed_by_peer: bool) -> tuple[Step[Transfer], tuple[Due, ...]]:
        process, now = step.process, self._clock.now()
        due: tuple[Due, ...] = ()
        if process.is_provider and process.state is State.STARTED:
            judgement, valid_until = self.judgement(process, desk, Stage.ONGOING)
            if not judgement.is_acceptable:
                # a consumer may resume whenever it likes; whether data may flow is asked each time
                return step.then(lambda p: self.do(p, _ended(judgement))), due
            due = _reviews(process, valid_until, now)
            if resumed_by_peer and not process.is_push:
                endpoint = self._data_plane.endpoint(process.participant, process.pid, process.format)
                if endpoint is not None:
                    step = step.then(lambda p: steps.renew(p, endpoint.address, endpoint.access, message_id=new_urn(), now=now))
        gate = transfer_gate(process, lambda p: self.judgement(p, desk)[0])
        choice = choose(process, Kind.TRANSFER, participant_rules=desk.context.rules, definition_rules=(), gate=gate)
        if choice.hold is not None:
            return replace(step, process=replace(step.process, hold=choice.hold)), due
        if choice.act is not None and choice.delay_s > 0:
            return step, (*due, due_of(step.process, choice, now))
        if choice.act is not None:
            try:
                return step.then(lambda p: self.do(p, choice)), due
            except CallerError as fault:
                return replace(step, process=replace(step.process, hold=f"`{choice.act}` is not possible: {fault}")), due
        return step, due

    def do(self, process: Transfer, choice: Choice) -> Step[Transfer]:
        """The step that carries out `choice`; a provider's start of a pull makes a fresh address."""
        assert choice.act is not None
        endpoint = None
        if choice.act is Event.START and process.is_provider and not process.is_push:
            endpoint = self._data_plane.endpoint(process.participant, process.pid, process.format)
        return steps.act(
            process,
            choice.act,
            message_id=new_urn(),
            now=self._clock.now(),
            cause=choice.cause,
            address=endpoint.address if endpoint else None,
            access=endpoint.access if endpoint else None,
        )


def _ended(judgement: Judgement) -> Choice:
    cause = Cause(by=By.POLICY, code="not-permitted", reasons=judgement.reasons, whole=judgement.whole)
    return Choice(act=Event.TERMINATE, cause=cause)


def _reviews(process: Transfer, valid_until: datetime | None, now: datetime) -> tuple[Due, ...]:
    if valid_until is None:
        return ()
    # never at once: a decision that flips at this very instant would be asked for without end
    return (Due(at=max(valid_until, now + _SOON), act=REVIEW, state=process.state, entry=entry(process)),)
