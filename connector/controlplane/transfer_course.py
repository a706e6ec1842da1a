"""What follows in a transfer from the state it has entered: the change to commit, made of values gathered before.

What does not live here: gathering, committing, and telling the data plane (`transfer.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from connector.controlplane.decisions import Choice, Judgement, choose, transfer_gate
from connector.controlplane.participants import Context
from connector.controlplane.policy import Judge
from connector.controlplane.process import due_of, new_urn
from connector.dsp import transfer as steps
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

    def review(self, process: Transfer, desk: Desk, now: datetime) -> Change[Transfer]:
        judgement, valid_until = self.judgement(process, desk, Stage.ONGOING)
        if not judgement.is_acceptable:
            cause = Cause(by=By.POLICY, code="not-permitted", reasons=judgement.reasons, whole=judgement.whole)
            return self.change(self.do(process, Choice(act=Event.TERMINATE, cause=cause)), desk)
        return Change(process=process, due=_review(process, valid_until))

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
    ) -> Change[Transfer]:
        """The change that `step` amounts to, together with what follows from the state it entered."""
        due: tuple[Due, ...] = ()
        if step.entered and not step.process.is_ended and step.process.in_flight is None:
            step, due = self._followed(step, desk, resumed_by_peer)
        return Change(
            process=step.process,
            answer=answer,
            outgoing=step.outgoing,
            removed=step.cancelled + ((attempt.message_id,) if attempt else ()),
            attempts=(attempt,) if attempt else (),
            records=step.records,
            due=due,
        )

    def _followed(self, step: Step[Transfer], desk: Desk, resumed_by_peer: bool) -> tuple[Step[Transfer], tuple[Due, ...]]:
        process, now = step.process, self._clock.now()
        due: tuple[Due, ...] = ()
        if process.is_provider and process.state is State.STARTED:
            due = _review(process, self.judgement(process, desk, Stage.ONGOING)[1])
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


def _review(process: Transfer, valid_until: datetime | None) -> tuple[Due, ...]:
    if valid_until is None:
        return ()
    return (Due(at=valid_until, act=REVIEW, state=process.state, entry=entry(process)),)
