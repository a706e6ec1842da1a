"""From a constraint to its premise: a closure in three-valued logic, and what reports and timers want to know about it.

What is wrong with a constraint by itself (an unknown operand, a value of the wrong type) becomes a constant `Unknown` and a
warning. Constraints on the clock alone are joined into one list of times. Rules are put together in `compile`.
Source: ODRL Information Model 2.2, section 2.5; ODRL Formal Semantics (draft), "Satisfaction".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime

from connector.odrl.closures import (
    Frame,
    Test,
    all_for_permission,
    all_for_prohibition,
    any_for_permission,
    any_for_prohibition,
    at_stage,
    clock_test,
    constant,
    edges,
    exactly_one,
    in_order,
    is_judged,
    reader,
    resolve,
    value_test,
)
from connector.odrl.cycles import FREQUENCY
from connector.odrl.expand import constraint_key
from connector.odrl.ledger import NO_PERIOD, counted, period_of
from connector.odrl.model import (
    AnyConstraint,
    Constraint,
    Diagnostic,
    Extra,
    LogicalConstraint,
    LogicalOperand,
    Operator,
    Severity,
)
from connector.odrl.operands import ORDERED, measured, right_side
from connector.odrl.remarks import is_months_for_minutes
from connector.odrl.terms import PROPERTIES, Hints, nearest, stranger, term
from connector.odrl.truth import Code, Stage, Unknown
from connector.odrl.units import is_recorded
from connector.odrl.values import Duration, Relative, Span, Typed, has_zone
from connector.odrl.vocabulary import Operand, Source, SourceKind, ValueType, Vocabulary
from connector.odrl.windows import Times, intersection, union, within


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticks:
    """The instants at which the clock can change a premise."""

    fixed: tuple[datetime, ...] = ()
    # sorted
    moving: Callable[[Frame], tuple[datetime, ...]] | None = None
    # those that count from the agreement or from something on record
    judged: tuple[bool, ...]
    # by stage


@dataclass(frozen=True, slots=True, kw_only=True)
class Atom:
    """One compiled constraint: its closure, and what a report or a timer wants to know about it."""

    constraint: Constraint
    operand: Operand | None
    test: Test
    part: str
    # constraint, refinement, party, target or duty
    read: Callable[[Frame], object] | None = None
    # looks the left side up
    ticks: Ticks | None = None
    times: Times | None = None
    # when it holds, where that depends on nothing but the clock
    label: str = field(init=False)
    right: tuple[str, ...] = field(init=False)
    # as reports tell them

    def __post_init__(self) -> None:
        object.__setattr__(self, "label", self.operand.short if self.operand else "")
        told = tuple(value.text for value in self.constraint.right) or self.constraint.right_references
        if self.constraint.status is not None:
            told = tuple(f"{text} less {self.constraint.status.text}" for text in told)
        object.__setattr__(self, "right", told)


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """One compiled logical constraint."""

    constraint: LogicalConstraint
    members: tuple[Tree, ...]
    test: Test
    operand: Operand | None = None
    # the one clock operand of all its members, when it has `times`
    ticks: Ticks | None = None
    times: Times | None = None


Tree = Atom | Group


def atoms(tree: Tree) -> tuple[Atom, ...]:
    """The atoms of a compiled constraint, in written order."""
    if isinstance(tree, Atom):
        return (tree,)
    return tuple(atom for member in tree.members for atom in atoms(member))


def parts(tree: Tree) -> Iterator[Tree]:
    """The atoms of a compiled constraint; a group that is one list of times stands for its atoms."""
    if isinstance(tree, Group) and tree.times is None:
        for member in tree.members:
            yield from parts(member)
    else:
        yield tree


class Premises:
    """Compiles constraints against one vocabulary and remembers what is wrong with them."""

    def __init__(self, vocabulary: Vocabulary, *, has_ledger: bool) -> None:
        self.vocabulary = vocabulary
        self.has_ledger = has_ledger
        self.warnings: list[Diagnostic] = []
        self.hints = Hints()

    def tree(self, constraint: AnyConstraint, part: str, rule: str, *, is_permission: bool) -> Tree:
        """The premise of one constraint; `rule` is the key of the rule's record in the ledger."""
        if isinstance(constraint, Constraint):
            return self.atom(constraint, part, rule)
        strange = self.strange(constraint.extra, constraint.where)
        members = tuple(self.tree(member, part, rule, is_permission=is_permission) for member in constraint.members)
        tests = tuple(member.test for member in members)
        every = all_for_permission if is_permission else all_for_prohibition
        if constraint.operand is LogicalOperand.OR:
            test = (any_for_permission if is_permission else any_for_prohibition)(tests)
        elif constraint.operand is LogicalOperand.XONE:
            test = exactly_one(tests)
        elif constraint.operand is LogicalOperand.AND:
            test = every(tests)
        else:
            test = in_order(tests, tuple(constraint_key(member) for member in constraint.members), every)
            if not self.has_ledger:
                what = "the order of `andSequence` is not judged without a record of when its members became true"
                self.say("no-history", constraint.where, what, "write `and`")
        if strange is not None:
            return Group(constraint=constraint, members=members, test=constant(strange))
        return _joined(Group(constraint=constraint, members=members, test=test))

    def atom(self, constraint: Constraint, part: str, rule: str) -> Atom:
        operand = self.vocabulary.operand(constraint.left)
        if operand is None:
            detail = f"unknown left operand `{constraint.left[:80]}`{self.hint(self.vocabulary.hint_operand, constraint.left)}"
            unknown = Unknown(code=Code.OPERAND_UNKNOWN, detail=detail, needs=constraint.left)
            return Atom(constraint=constraint, operand=None, test=self.never(unknown, constraint.where), part=part)
        strange = self.strange(constraint.extra, constraint.where, is_told=False)
        right = strange if strange is not None else right_side(constraint, operand)
        operand = measured(constraint, operand)
        if isinstance(right, Unknown):
            return Atom(constraint=constraint, operand=operand, test=self.never(right, constraint.where), part=part)
        if operand.value is ValueType.DURATION:
            self.months(constraint, right)
        if operand.is_legal_only:
            code, said = (
                (Code.LEFT_TO_PEER, "is the other side's to judge")
                if operand.is_left_to_peer
                else (Code.LEGAL_ONLY, "is agreed, not technically enforced")
            )
            unknown = Unknown(code=code, detail=f"`{operand.short}` {said}", needs=operand.name)
            return Atom(constraint=constraint, operand=operand, test=constant(unknown), part=part)
        is_property = part == "target"
        if operand.sources[0].kind is SourceKind.LEDGER and not is_property:
            return self.counted(constraint, operand, right, part, rule)
        is_clock = operand.sources == (Source(kind=SourceKind.CLOCK),) and not is_property
        if operand.value is ValueType.DATE_TIME:
            self.zones(constraint)
        judge = clock_test(constraint, right) if is_clock and constraint.operator in ORDERED else None
        look_up = reader(operand, part)
        test = judge or value_test(constraint, operand, right, look_up)
        return Atom(
            constraint=constraint,
            operand=operand,
            # what an asset is like is known, or not, at every stage
            test=test if is_property else at_stage(operand, test),
            part=part,
            read=look_up,
            ticks=_ticks(constraint, operand, right) if is_clock else None,
            times=_times(constraint, right) if is_clock else None,
        )

    def counted(self, constraint: Constraint, operand: Operand, right: tuple[Typed, ...], part: str, rule: str) -> Atom:
        """The premise of a constraint on what the ledger knows."""
        if not self.has_ledger:
            # at no stage: nobody should agree on a count that nobody keeps
            unknown = Unknown(code=Code.STATE_MISSING, detail=f"nobody keeps count of `{operand.short}`", needs=operand.name)
            return Atom(constraint=constraint, operand=operand, test=self.never(unknown, constraint.where), part=part)
        if operand.name == "payAmount" and (constraint.unit is None or not is_recorded(term(constraint.unit.text))):
            said = f"`{constraint.unit.text[:40]}` is no currency" if constraint.unit else f"`{operand.short}` has no `unit`"
            unknown = Unknown(code=Code.UNIT_MISMATCH, detail=f"{said}; name one, such as `EUR`", needs=operand.name)
            return Atom(constraint=constraint, operand=operand, test=self.never(unknown, constraint.where), part=part)
        if operand.on_record == FREQUENCY and period_of(constraint) is None:
            unknown = Unknown(code=Code.UNIT_MISMATCH, detail=f"`{operand.short}`: {NO_PERIOD}", needs=operand.name)
            return Atom(constraint=constraint, operand=operand, test=self.never(unknown, constraint.where), part=part)
        found = counted(constraint, operand, right, rule)
        ticks = Ticks(moving=found.moving, judged=_judged(operand)) if found.moving else None
        test = at_stage(operand, found.test)
        return Atom(constraint=constraint, operand=operand, test=test, part=part, read=found.read, ticks=ticks)

    def strange(self, extra: Extra, where: str, *, is_told: bool = True) -> Unknown | None:
        """The doubt, and unless somebody else tells it the warning, that a word which ODRL does not have leaves."""
        name = stranger(extra)
        if name is None:
            return None
        hint = self.hint(lambda name: nearest(name, PROPERTIES), name)
        detail = f"ODRL has no property `{name[:80]}`, and it may have been meant as a condition{hint}"
        unknown = Unknown(code=Code.PROPERTY_UNKNOWN, detail=detail)
        if is_told:
            self.warn(unknown, where)
        return unknown

    def hint(self, find: Callable[[str], str], name: str) -> str:
        """What may have been meant by an unknown name, behind a semicolon; nothing after the first few: each is a search."""
        return self.hints.behind(find, name)

    def unlooked(self, where: str) -> Iterator[Diagnostic]:
        """How many unknown words were left without a hint."""
        if self.hints.more:
            what = f"{self.hints.more} unknown words more, of which no like ones were looked for"
            yield Diagnostic(code="more-unknown", severity=Severity.ERROR, where=where, what=what, mend="mend the first ones")

    def never(self, unknown: Unknown, where: str) -> Test:
        """A premise that is in doubt whatever happens, and a warning that says so."""
        self.warn(unknown, where)
        return constant(unknown)

    def warn(self, unknown: Unknown, where: str) -> None:
        self.warnings.append(Diagnostic(code=unknown.code, severity=Severity.ERROR, where=where, what=unknown.detail))

    def say(self, code: str, where: str, what: str, mend: str) -> None:
        self.warnings.append(Diagnostic(code=code, severity=Severity.WARNING, where=where, what=what, mend=mend))

    def months(self, constraint: Constraint, right: tuple[Typed, ...]) -> None:
        for written, value in zip(constraint.right, right, strict=False):
            if is_months_for_minutes(written.text, value) and isinstance(value, Duration):
                minutes = written.text.strip().replace("P", "PT", 1)
                what = f"`{written.text[:40]}` is {value.months} months"
                self.say("W-MONTHS", constraint.where, what, f"did you mean `{minutes[:40]}`, which is minutes")

    def zones(self, constraint: Constraint) -> None:
        for value in constraint.right:
            if not has_zone(value.text) and value.text[:1].isdigit():
                what = f"`{value.text[:40]}` names no time zone and is read as UTC"
                self.say("W-TZ", constraint.where, what, "write a `Z` or an offset behind it")


# --- time


def _judged(operand: Operand) -> tuple[bool, ...]:
    return tuple(is_judged(operand, stage) for stage in Stage)


def _ticks(constraint: Constraint, operand: Operand, right: tuple[Typed, ...]) -> Ticks:
    offsets = tuple(value for value in right if isinstance(value, Relative))
    operator = constraint.operator

    def moving(frame: Frame) -> tuple[datetime, ...]:
        spans = (resolve(offset, frame.world.agreed_at) for offset in offsets)
        return tuple(edge for span in spans if isinstance(span, Span) for edge in edges(operator, span))

    fixed = {edge for value in right if isinstance(value, Span) for edge in edges(operator, value)}
    return Ticks(fixed=tuple(sorted(fixed)), moving=moving if offsets else None, judged=_judged(operand))


def _times(constraint: Constraint, right: tuple[Typed, ...]) -> Times | None:
    """When a comparison of the clock with one moment or day holds; None when that depends on anything else."""
    span = right[0]
    if len(right) != 1 or not isinstance(span, Span):
        return None
    operator = constraint.operator
    if operator not in (*ORDERED, Operator.EQ, Operator.NEQ):
        return None
    return Times(operator in (Operator.LT, Operator.LTEQ, Operator.NEQ), edges(operator, span))


def _joined(group: Group) -> Group:
    """The group as one list of times, when all its members are times of one clock operand."""
    members = group.members
    operand = members[0].operand
    times = [member.times for member in members if member.times is not None and member.operand == operand]
    if operand is None or len(times) != len(members) or len(times) < 2:
        return group
    if group.constraint.operand not in (LogicalOperand.AND, LogicalOperand.OR):
        return group
    whole = (union if group.constraint.operand is LogicalOperand.OR else intersection)(times)
    return replace(
        group,
        operand=operand,
        times=whole,
        ticks=Ticks(fixed=whole.flips, judged=_judged(operand)),
        test=at_stage(operand, within(whole)),
    )
