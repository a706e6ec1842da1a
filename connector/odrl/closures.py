"""The closures that a compiled policy is made of: looking a value up, judging it at its stage, joining truths.

Each takes a `Frame` and gives a `Truth`; none keeps state. Which closures a policy needs is decided in `compile`.
Source: ODRL Formal Semantics (draft), "Satisfaction"; Kleene's strong three-valued logic.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from itertools import pairwise

from connector.odrl.model import AssetRef, Constraint, Operator, PartyRef
from connector.odrl.operands import left_side, matcher
from connector.odrl.terms import term
from connector.odrl.truth import Code, Request, Stage, Truth, Unknown, World
from connector.odrl.values import TICK, Relative, Span, Typed, moved
from connector.odrl.vocabulary import Operand, Source, SourceKind, ValueType


class Frame:
    """What a closure sees: one request, in one world, at one moment and stage."""

    __slots__ = ("now", "request", "stage", "world")

    def __init__(self, now: datetime, request: Request, stage: int, world: World) -> None:
        self.now = now
        self.request = request
        self.stage = stage
        self.world = world


Test = Callable[[Frame], Truth]


# --- premises


def constant(truth: Truth) -> Test:
    return lambda frame: truth


def names_of(collection: AssetRef | PartyRef) -> frozenset[str]:
    return frozenset(name for name in (collection.uid, collection.source) if name)


def belongs(asked: str, names: frozenset[str], world: World, part: str) -> Truth:
    if asked in names:
        return True
    collections = world.memberships.get(asked)
    if collections is None:
        return Unknown(code=Code.VALUE_MISSING, detail=f"it is not known which collections the {part} belongs to", needs=part)
    return not names.isdisjoint(collections)


def is_party(party: PartyRef | None) -> Test | None:
    if party is None:
        return None
    wanted, names, is_collection = party.uid, names_of(party), party.is_collection
    nobody = Unknown(code=Code.VALUE_MISSING, detail="the request names no party", needs="assignee")

    def test(frame: Frame) -> Truth:
        asked = frame.request.party
        if asked is None:
            return nobody
        return belongs(asked, names, frame.world, "party") if is_collection else asked == wanted

    return test


def at_stage(operand: Operand, judge: Test) -> Test:
    if len(operand.stages) == len(Stage):
        return judge
    waits = tuple(_waiting(operand, stage) for stage in Stage)

    def test(frame: Frame) -> Truth:
        waiting = waits[frame.stage]
        return judge(frame) if waiting is None else waiting

    return test


def is_judged(operand: Operand, stage: Stage) -> bool:
    """Whether an operand is judged at a stage: at its own, and past its last one, where what is not known denies."""
    return stage in operand.stages or operand.first_stage_after(stage) is None


def _waiting(operand: Operand, stage: Stage) -> Unknown | None:
    later = operand.first_stage_after(stage)
    if is_judged(operand, stage) or later is None:
        return None
    return Unknown(code=Code.STAGE_DEFERRED, detail=f"`{operand.short}` is judged from `{later}` on", needs=operand.name)


def clock_test(constraint: Constraint, right: tuple[Typed, ...]) -> Test | None:
    span = right[0]
    if not isinstance(span, Span):
        return None
    operator = constraint.operator
    if operator in ("lt", "gteq"):
        edge, is_before = span.start, operator == "lt"
    else:
        # `lteq` a day holds until the day ends; `lteq` a moment holds in that moment
        edge, is_before = span.end if not span.is_moment else after(span.end), operator == "lteq"
    if is_before:
        return lambda frame: frame.now < edge
    return lambda frame: frame.now >= edge


def after(moment: datetime) -> datetime:
    """The first moment after a moment; the last one of the calendar stays."""
    return moved(moment, TICK)


def value_test(constraint: Constraint, operand: Operand, right: tuple[Typed, ...], look_up: Callable[[Frame], object]) -> Test:
    match = matcher(constraint.operator, right, operand)
    missing = Unknown(code=Code.VALUE_MISSING, detail=f"nothing is known of `{operand.short}`", needs=operand.name)
    unset = Unknown(code=Code.STATE_MISSING, detail="it is not known when the agreement was made", needs="agreed_at")
    name = operand.name
    is_relative = any(isinstance(value, Relative) for value in right)
    satisfying = _spellings(constraint.operator, operand, right)

    def test(frame: Frame) -> Truth:
        fact = look_up(frame)
        if type(fact) is str and fact in satisfying:
            # the common case: one known word
            return True
        if fact is None or fact == "":
            return missing
        left = left_side(fact, operand)
        if isinstance(left, Unknown):
            return left
        world = frame.world
        taxonomy = world.taxonomies.get(name) if world.taxonomies else None
        if not is_relative:
            return match(left, taxonomy)
        if world.agreed_at is None:
            return unset
        fixed = tuple(resolve(value, world.agreed_at) for value in right)
        if any(value is None for value in fixed):
            return Unknown(code=Code.VALUE_TYPE, detail="a moment beyond the calendar")
        return matcher(constraint.operator, tuple(value for value in fixed if value is not None), operand)(left, taxonomy)

    return test


def _spellings(operator: Operator, operand: Operand, right: tuple[Typed, ...]) -> frozenset[str]:
    """Words that satisfy the constraint as they stand; others may too, after they are parsed."""
    if operand.value is not ValueType.STRING or operator not in (Operator.EQ, Operator.IS_ANY_OF):
        return frozenset()
    if operator is Operator.EQ and len(right) != 1:
        return frozenset()
    plain = {value for value in right if isinstance(value, str) and term(value) == value}
    coded = {spelling for spelling, value in operand.codes.spellings.items() if value in right} if operand.codes else set()
    return frozenset(plain | coded) - {""}


def resolve(value: Typed, agreed_at: datetime | None) -> Typed | None:
    """A typed value with its offset from the agreement worked out; None when that cannot be."""
    if not isinstance(value, Relative):
        return value
    if agreed_at is None:
        return None
    try:
        moment = (agreed_at + value.offset).astimezone(UTC)
    except OverflowError:
        return None
    return Span(moment, moment)


def reader(operand: Operand, part: str = "constraint") -> Callable[[Frame], object]:
    """A function that looks a left operand's value up; None when nobody knows it.

    A refinement of an asset asks for the asset's properties, one of a party first for the party's, then like any constraint.
    """
    if part == "target":
        return _property_reader(operand, is_party=False)
    looks = [_look(source, operand) for source in operand.sources if source.kind is not SourceKind.LEDGER]
    if part == "party":
        looks.insert(0, _property_reader(operand, is_party=True))
    if len(looks) == 1:
        return looks[0]

    def first(frame: Frame) -> object:
        return next((fact for look in looks if (fact := look(frame)) is not None), None)

    return first


def _property_reader(operand: Operand, *, is_party: bool) -> Callable[[Frame], object]:
    names = (operand.name, *operand.aliases)

    def look(frame: Frame) -> object:
        who = frame.request.party if is_party else frame.request.target
        known = frame.world.properties.get(who) if who is not None else None
        return None if known is None else next((known[name] for name in names if name in known), None)

    return look


def _look(source: Source, operand: Operand) -> Callable[[Frame], object]:
    if source.kind is SourceKind.CLOCK:
        return lambda frame: frame.now
    if source.kind is SourceKind.PARTY:
        return lambda frame: frame.request.party
    if source.compute is not None:
        compute = source.compute
        return lambda frame: compute(frame.request, frame.world)
    if source.kind is SourceKind.CLAIM:
        claim, proven = source.name, _property_reader(operand, is_party=True)

        def look(frame: Frame) -> object:
            fact = frame.world.claims.get(claim)
            return proven(frame) if fact is None and frame.world.properties else fact

        return look
    names = (source.name,) if source.name else (operand.name, *operand.aliases)
    if len(names) == 1:
        name = names[0]
        return lambda frame: frame.request.params.get(name)
    return lambda frame: next((fact for name in names if (fact := frame.request.params.get(name)) is not None), None)


# --- three-valued joins
# A permission must hold in the worst case of hard doubts and the best case of soft ones: false < hard < soft < true.
# A prohibition applies in the worst case of hard doubts, and waits for soft ones: false < soft < hard < true.


def all_for_permission(tests: tuple[Test, ...]) -> Test:
    if len(tests) == 1:
        return tests[0]
    if not tests:
        return constant(True)

    def test(frame: Frame) -> Truth:
        worst: Truth = True
        for each in tests:
            truth = each(frame)
            if truth is True:
                continue
            if truth is False:
                return False
            if worst is True or (truth.is_soft is False and isinstance(worst, Unknown) and worst.is_soft):
                worst = truth
        return worst

    return test


def all_for_prohibition(tests: tuple[Test, ...]) -> Test:
    if len(tests) == 1:
        return tests[0]
    if not tests:
        return constant(True)

    def test(frame: Frame) -> Truth:
        worst: Truth = True
        for each in tests:
            truth = each(frame)
            if truth is True:
                continue
            if truth is False:
                return False
            if worst is True or (truth.is_soft and isinstance(worst, Unknown) and not worst.is_soft):
                worst = truth
        return worst

    return test


def any_for_permission(tests: tuple[Test, ...]) -> Test:
    def test(frame: Frame) -> Truth:
        best: Truth = False
        for each in tests:
            truth = each(frame)
            if truth is True:
                return True
            if truth is not False and (best is False or truth.is_soft):
                best = truth
        return best

    return test


def any_for_prohibition(tests: tuple[Test, ...]) -> Test:
    def test(frame: Frame) -> Truth:
        best: Truth = False
        for each in tests:
            truth = each(frame)
            if truth is True:
                return True
            if truth is not False and (best is False or not truth.is_soft):
                best = truth
        return best

    return test


def exactly_one(tests: tuple[Test, ...]) -> Test:
    def test(frame: Frame) -> Truth:
        count = 0
        doubt: Unknown | None = None
        for each in tests:
            truth = each(frame)
            if truth is True:
                count += 1
                if count == 2:
                    return False
            elif truth is not False and (doubt is None or doubt.is_soft):
                doubt = truth
        return count == 1 if doubt is None else doubt

    return test


def in_order(tests: tuple[Test, ...], keys: tuple[str, ...], join: Callable[[tuple[Test, ...]], Test]) -> Test:
    """`andSequence`: all members hold, and the ledger knows of none that it first held after a later one.

    A member that is not on record holds for the first time now. Without any record the order is not judged.
    """
    together = join(tests)

    def test(frame: Frame) -> Truth:
        truth = together(frame)
        ledger = frame.world.ledger
        if truth is not True or ledger is None or not any(key in ledger.became_true for key in keys):
            return truth
        moments = [ledger.became_true.get(key, frame.now) for key in keys]
        return all(first <= second for first, second in pairwise(moments))

    return test


# --- time


def edges(operator: str, span: Span) -> tuple[datetime, ...]:
    following = span.end if not span.is_moment else after(span.end)
    if operator in ("lt", "gteq"):
        return (span.start,)
    if operator in ("lteq", "gt"):
        return (following,)
    return (span.start, following)
