"""The duties of a policy as they stand: which there are, from when each is due, until when, and what follows when it is not done.

    inactive    its own conditions do not hold
    pending     it will have to be done
    due         from now on it has to be done (its beginning has come, or it has none)
    fulfilled, violated, waived         as recorded; violated, too, once its deadline has passed without a record

A duty begins and ends by its constraints and by the refinements of its action on the clock, on the time since first use, or on
the delay since the agreement; those inside `or`, `xone` and `andSequence` condition it and set no date. What is due in
consequence of a violated duty is a duty besides it.
Who records what was done is not here; nor what a duty keeps from being permitted (`evaluate`).
Source: ODRL Information Model 2.2, sections 2.6.3 to 2.6.7.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from connector.odrl.closures import Frame, resolve
from connector.odrl.compile import Compiled, CompiledDuty
from connector.odrl.expand import conjunction
from connector.odrl.ledger import later
from connector.odrl.model import AnyConstraint, Constraint, DutyRole, Operator
from connector.odrl.operands import right_side
from connector.odrl.terms import term
from connector.odrl.truth import STAGE_ORDER, DutyState, Request, Stage, Unknown, World
from connector.odrl.units import currency
from connector.odrl.values import TICK, Duration, Relative, Span, moved
from connector.odrl.vocabulary import ValueType, Vocabulary

_PAY = "payAmount"
_ANCHORED = ("elapsedTime", "delayPeriod")


class Phase(StrEnum):
    """How a duty stands."""

    INACTIVE = "inactive"
    PENDING = "pending"
    DUE = "due"
    FULFILLED = "fulfilled"
    VIOLATED = "violated"
    WAIVED = "waived"


_RECORDED = {
    DutyState.FULFILLED: Phase.FULFILLED,
    DutyState.VIOLATED: Phase.VIOLATED,
    DutyState.WAIVED: Phase.WAIVED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One duty, now."""

    key: str
    role: DutyRole
    actions: tuple[str, ...]
    where: str
    phase: Phase
    due_at: datetime | None = None
    # when it becomes due; None: at once, or nobody knows yet
    deadline: datetime | None = None
    # the first moment at which it is too late; None: it has none, or nobody knows yet
    parent: str | None = None
    # the duty that this one is the consequence of


def standings(compiled: Compiled, request: Request, world: World) -> tuple[Standing, ...]:
    """All duties of the policy as they stand at `world.now`, conditions of permissions first; consequences once they are on record.

    `world.ledger` and `world.duties` are what is on record.
    """
    return tuple(_all(compiled, request, world))


def _all(compiled: Compiled, request: Request, world: World) -> Iterator[Standing]:
    for duty in duties_of(compiled):
        yield from _with_consequences(duty, compiled.vocabulary, request, world, None)


def duties_of(compiled: Compiled) -> tuple[CompiledDuty, ...]:
    """The conditions of the permissions and the obligations; one that several rules share is one (Information Model 2.6.5)."""
    found = (*(duty for rule in compiled.rules for duty in rule.duties), *compiled.obligations)
    return tuple({duty.key: duty for duty in found}.values())


def with_consequences(duties: Iterable[CompiledDuty]) -> Iterator[CompiledDuty]:
    """`duties` and everything that may be due in consequence."""
    for duty in duties:
        yield duty
        yield from with_consequences(duty.consequences)


def prices(duty: CompiledDuty, vocabulary: Vocabulary) -> tuple[tuple[str, Decimal], ...]:
    """Currency and amount of what a duty asks to be paid; paid that much, it is fulfilled."""
    return tuple(_price(duty, vocabulary))


def _with_consequences(
    duty: CompiledDuty, vocabulary: Vocabulary, request: Request, world: World, parent: str | None
) -> Iterator[Standing]:
    one = _standing(duty, vocabulary, request, world, parent)
    yield one
    for consequence in duty.consequences:
        if one.phase is Phase.VIOLATED or consequence.key in world.duties:
            yield from _with_consequences(consequence, vocabulary, request, world, duty.key)


def _standing(duty: CompiledDuty, vocabulary: Vocabulary, request: Request, world: World, parent: str | None) -> Standing:
    begin, deadline = _dates(duty, vocabulary, world)
    recorded = world.duties.get(duty.key)
    phase = _RECORDED.get(recorded) if recorded is not None else None
    if phase is None:
        # what a date has ended was active up to it
        asked_at = min(world.now, moved(deadline, -TICK)) if deadline is not None else world.now
        is_active = duty.test(Frame(asked_at, request, STAGE_ORDER[Stage.AFTER], world)) is not False
        waits = begin is not None and begin > world.now
        if deadline is not None and deadline <= world.now and (is_active or waits):
            phase = Phase.VIOLATED
        elif waits:
            phase = Phase.PENDING
        else:
            phase = Phase.DUE if is_active else Phase.INACTIVE
    return Standing(
        key=duty.key,
        role=duty.duty.role,
        actions=tuple(action.name for action in duty.duty.actions),
        where=duty.duty.where,
        phase=phase,
        due_at=begin,
        deadline=deadline,
        parent=parent,
    )


def _conditions(duty: CompiledDuty) -> Iterator[AnyConstraint]:
    yield from conjunction(duty.duty.constraints)
    for action in duty.duty.actions:
        yield from conjunction(action.refinements)


def _dates(duty: CompiledDuty, vocabulary: Vocabulary, world: World) -> tuple[datetime | None, datetime | None]:
    """When a duty becomes due, and the first moment at which it is too late."""
    begins: list[datetime] = []
    ends: list[datetime] = []
    for constraint in _conditions(duty):
        span = _span(constraint, duty.key, vocabulary, world) if isinstance(constraint, Constraint) else None
        if span is None:
            continue
        assert isinstance(constraint, Constraint)
        past = moved(span.end, TICK) if span.is_moment else span.end
        match _operator(constraint):
            case Operator.LT:
                ends.append(span.start)
            case Operator.LTEQ:
                ends.append(past)
            case Operator.GT:
                begins.append(past)
            case Operator.GTEQ:
                begins.append(span.start)
            case Operator.EQ:
                begins.append(span.start)
                ends.append(past)
            case _:
                pass
    return max(begins, default=None), min(ends, default=None)


def has_deadline(conditions: Iterable[AnyConstraint], vocabulary: Vocabulary) -> bool:
    """Whether a duty with these conditions can be late, once all that its dates count from is known."""
    ends = [one for one in conditions if isinstance(one, Constraint) and _operator(one) in _ENDS]
    counted = (vocabulary.operand(one.left) for one in ends)
    return any(one is not None and (one.value is ValueType.DATE_TIME or one.name in _ANCHORED) for one in counted)


def _operator(constraint: Constraint) -> Operator:
    """`elapsedTime eq P30D` allows thirty days, `delayPeriod eq P1D` asks that a day has passed (see `ledger`)."""
    if constraint.operator is Operator.EQ and term(constraint.left) == "elapsedTime":
        return Operator.LTEQ
    if constraint.operator is Operator.EQ and term(constraint.left) == "delayPeriod":
        return Operator.GTEQ
    return constraint.operator


def _span(constraint: Constraint, key: str, vocabulary: Vocabulary, world: World) -> Span | None:
    """The moment or day that a constraint compares the clock with; None when that is not known, or it is about something else."""
    operand = vocabulary.operand(constraint.left)
    right = right_side(constraint, operand) if operand is not None else None
    if operand is None or right is None or isinstance(right, Unknown) or len(right) != 1:
        return None
    value = right[0]
    if operand.value is ValueType.DATE_TIME and isinstance(value, Span | Relative):
        found = resolve(value, world.agreed_at) if isinstance(value, Relative) else value
        return found if isinstance(found, Span) else None
    if operand.name in _ANCHORED and isinstance(value, Duration) and world.ledger is not None:
        usage = world.ledger.usage(key)
        start = None
        if usage is not None:
            start = usage.first_used_at if operand.name == "elapsedTime" else usage.triggered_at
        end = later(start, value) if start is not None else None
        return Span(end, end) if end is not None else None
    return None


def _price(duty: CompiledDuty, vocabulary: Vocabulary) -> Iterator[tuple[str, Decimal]]:
    for constraint in _conditions(duty):
        if not isinstance(constraint, Constraint) or constraint.unit is None:
            continue
        operand = vocabulary.operand(constraint.left)
        right = right_side(constraint, operand) if operand is not None and operand.name == _PAY else None
        unit = currency(term(constraint.unit.text))
        if right is None or isinstance(right, Unknown) or unit is None or constraint.operator not in _ENOUGH:
            continue
        yield from ((unit, value) for value in right if isinstance(value, Decimal))


_ENDS = (Operator.LT, Operator.LTEQ, Operator.EQ)
_ENOUGH = (Operator.EQ, Operator.GTEQ)
