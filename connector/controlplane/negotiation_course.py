"""What follows in a negotiation from the state it has entered: the change to commit, made of values gathered before.

What does not live here: gathering and committing (`negotiation.py`), and the rules of choosing (`decisions.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from connector.controlplane.agreements import agreed_tree, agreement_of
from connector.controlplane.decisions import Choice, Judgement, choose, negotiation_gate
from connector.controlplane.participants import Context
from connector.controlplane.policy import Judge
from connector.controlplane.process import DEADLINE, deadline_of, due_of, held, in_doubt, new_urn, waited_too_long, waiting
from connector.controlplane.shelf import Shelf
from connector.dsp import negotiation as steps
from connector.dsp.negotiation import Negotiation
from connector.dsp.process import By, Cause, Due, Step, entry
from connector.dsp.tables import Event, Kind, Role, State
from connector.dsp.values import Value, replace
from connector.errors import CallerError, Conflict
from connector.ports.clock import Clock
from connector.ports.store import Attempt, Change


class Desk(Value, frozen=True, kw_only=True):
    """Everything a decision may look at, gathered before the transaction."""

    context: Context
    shelf: Shelf
    claims: Mapping[str, Any]
    is_id_taken: bool = False
    """Whether the agreement that has just arrived has the id of another one."""


class NegotiationCourse:
    """Decides what follows; waits for nothing."""

    def __init__(self, judge: Judge, clock: Clock) -> None:
        self._judge = judge
        self._clock = clock

    def judgement(self, desk: Desk) -> Callable[[Negotiation], Judgement]:
        """What the engine says of the terms on the table, as a function of the negotiation."""

        def judge(process: Negotiation) -> Judgement:
            now = self._clock.now()
            if process.role is Role.CONSUMER:
                if process.state is State.AGREED:
                    return self._judge.agreement(
                        process, desk.context.id, desk.claims, now, desk.shelf.known, is_id_taken=desk.is_id_taken
                    )
                return self._judge.offer(process, desk.context.id, desk.claims, now, desk.shelf.known)
            terms = desk.shelf.terms_of(process.dataset, process.definition)
            return self._judge.request(process, terms, desk.claims, now, desk.context, desk.shelf.known)

        return judge

    def change(
        self,
        step: Step[Negotiation],
        desk: Desk,
        *,
        answer: bytes = b"",
        attempt: Attempt | None = None,
        is_first: bool = False,
    ) -> Change[Negotiation]:
        """The change that `step` amounts to, together with what follows from the state it entered."""
        due: tuple[Due, ...] = (deadline_of(step.process, desk.context.longest_wait),) if is_first else ()
        sends_finalize = any(o.event is Event.FINALIZE for o in step.outgoing)
        if step.entered and not step.process.is_ended and step.process.in_flight is None:
            choice = self._choice(step.process, desk)
            if choice.hold is not None:
                step = waiting(step, choice.hold, choice.cause.by, self._clock.now())
            elif choice.act is not None and choice.delay_s > 0:
                due = (*due, due_of(step.process, choice, self._clock.now()))
            elif choice.act is not None:
                step = self._followed(step, choice, desk)
                sends_finalize = any(o.event is Event.FINALIZE for o in step.outgoing)
        process = step.process
        is_final = step.entered and process.state is State.FINALIZED and process.role is Role.CONSUMER
        removed = step.cancelled + ((attempt.message_id,) if attempt else ())
        return Change(
            process=process,
            answer=answer,
            outgoing=step.outgoing,
            removed=removed,
            attempts=(attempt,) if attempt else (),
            records=step.records,
            due=due,
            # the provider keeps it as the finalisation leaves: a quick consumer's transfer request may overtake the ack
            agreement=agreement_of(process, *_left(process, desk), desk.shelf.known) if is_final or sends_finalize else None,
        )

    def _followed(self, step: Step[Negotiation], choice: Choice, desk: Desk) -> Step[Negotiation]:
        """`step` and then `choice`; an act that is impossible after all is held, so that the peer's message still counts."""
        try:
            return step.then(lambda process: self.do(process, choice, desk))
        except CallerError as fault:
            return waiting(step, f"`{choice.act}` is not possible: {fault}", choice.cause.by, self._clock.now())

    def _choice(self, process: Negotiation, desk: Desk) -> Choice:
        gate = negotiation_gate(process, self.judgement(desk))
        definition = desk.shelf.definitions.get(process.definition or "")
        is_manual = desk.context.is_approval_manual or (definition is not None and definition.approval == "manual")
        return choose(
            process,
            Kind.NEGOTIATION,
            participant_rules=desk.context.rules,
            definition_rules=definition.rules if definition else (),
            gate=gate,
            needs_approval=is_manual,
        )

    def due(self, process: Negotiation, row: Due, desk: Desk) -> Change[Negotiation]:
        """The change of a delayed act, unless the negotiation has moved on since, or a human holds it."""
        now = self._clock.now()
        if row.act == DEADLINE:
            return self._deadline(process, desk)
        if process.state is not row.state or entry(process) != row.entry or process.in_flight or process.hold is not None:
            return Change()
        if process.is_doubted:
            return in_doubt(row, now)
        event = Event(row.act)
        gate = negotiation_gate(process, self.judgement(desk))
        if not gate.allows(event):
            return held(process, f"`{event}` was due and is not allowed: {'; '.join(gate.refused[event])}", now)
        cause = Cause(by=By.RULE, reasons=(row.reason,) if row.reason else ())
        try:
            return self.change(self.do(process, Choice(act=event, cause=cause), desk), desk)
        except CallerError as fault:
            return held(process, f"`{event}` was due and is not possible: {fault}", now)

    def _deadline(self, process: Negotiation, desk: Desk) -> Change[Negotiation]:
        now, longest = self._clock.now(), desk.context.longest_wait
        if process.is_ended:
            return Change()
        again = deadline_of(process, longest)
        if again.at > now:
            return Change(due=(again,))
        try:
            step = steps.expire(process, message_id=new_urn(), now=now, cause=waited_too_long(process, longest))
        except CallerError:
            # a message of ours that ends it is on its way: delivery sees to that
            return Change(due=(replace(again, at=now + longest),))
        return self.change(step, desk)

    def do(self, process: Negotiation, choice: Choice, desk: Desk) -> Step[Negotiation]:
        """The step that carries out `choice`."""
        assert choice.act is not None
        offer, agreement = choice.offer, None
        now = self._clock.now()
        if choice.act is Event.OFFER and offer is None:
            terms = desk.shelf.terms_of(process.dataset, process.definition)
            if terms is None:
                raise Conflict(
                    f"`{process.dataset}` is no longer offered", where="offer", mend="give the terms with the act, or terminate"
                )
            offer = terms.offer()
        if choice.act is Event.AGREE:
            agreement = agreed_tree(process, new_urn(), provider=desk.context.id, now=now, known=desk.shelf.known)
        return steps.act(
            process, choice.act, message_id=new_urn(), now=now, cause=choice.cause, offer=offer, agreement=agreement
        )


def _left(process: Negotiation, desk: Desk) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The operands that a provider leaves to the law, and those that it leaves to the consumer's connector."""
    definition = desk.shelf.definitions.get(process.definition or "")
    if process.role is Role.CONSUMER or definition is None:
        return (), ()
    return definition.legal_only, desk.context.consumer_operands
