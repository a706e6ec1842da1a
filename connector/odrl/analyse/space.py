"""The axes that policies share: what their rules ask for, gathered by operand, and cut where any of them cuts.

Counted operands are read as if all policies kept the same count; each further counting rule of a policy has its own.
How one operand is cut is in `axes`; how rules become boxes over the axes, in `normal`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from connector.odrl.analyse import axes, cells, record
from connector.odrl.analyse.axes import Axis, Kind, Masks
from connector.odrl.analyse.boxes import Beyond, Box
from connector.odrl.analyse.cells import ANOTHER, Test, Value
from connector.odrl.canonical import constraint_text, rule_text
from connector.odrl.cycles import FREQUENCY, Cycle
from connector.odrl.expand import Atomic, atomic
from connector.odrl.ledger import period_of
from connector.odrl.model import (
    AnyConstraint,
    AssetRef,
    Constraint,
    Duty,
    LogicalConstraint,
    LogicalOperand,
    Operator,
    PartyRef,
    Permission,
    Policy,
    Rule,
)
from connector.odrl.operands import ORDERED, measured, right_side
from connector.odrl.terms import term
from connector.odrl.truth import Unknown
from connector.odrl.units import base_of, currency
from connector.odrl.values import Duration, Relative
from connector.odrl.vocabulary import Operand, SourceKind, ValueType, Vocabulary

_PLACED = frozenset({ValueType.DATE_TIME, ValueType.DECIMAL, ValueType.DURATION})
# where the vocabulary asks for `eq` on a duration it means an allowance or a wait
_ALLOWANCES = frozenset({"elapsedTime", "meteredTime"})
_WAITS = frozenset({"delayPeriod", "timeInterval"})
_MOST_RULES = 4096
_MOST_AXES = 96
_Key = tuple[object, ...]
Place = tuple[int, Masks]
"""The axis of a condition, and where on it the condition holds."""


@dataclass(frozen=True, slots=True)
class Placed:
    """An atomic rule of a policy."""

    rule: Atomic
    is_permission: bool
    order: int
    # among the rules of its policy that count their use


def leaves(constraints: Iterable[AnyConstraint]) -> Iterator[Constraint]:
    """The single constraints inside constraints."""
    for constraint in constraints:
        if isinstance(constraint, Constraint):
            yield constraint
        else:
            yield from leaves(constraint.members)


def _groups(constraints: Iterable[AnyConstraint]) -> Iterator[LogicalConstraint]:
    for constraint in constraints:
        if isinstance(constraint, LogicalConstraint):
            yield constraint
            yield from _groups(constraint.members)


def conditions(rule: Atomic) -> tuple[AnyConstraint, ...]:
    """The constraints and refinements of a rule that ask for the request and its world."""
    return (*rule.rule.constraints, *(rule.action.refinements if rule.action else ()))


def describe(constraint: AnyConstraint) -> str:
    """A constraint in a few words, such as `purpose isAnyOf research, education`."""
    if isinstance(constraint, Constraint):
        right = ", ".join(value.text for value in constraint.right[:5]) or ", ".join(constraint.right_references[:5])
        return f"`{constraint.left} {constraint.operator.value} {right}`"
    return f"`{constraint.operand.value}` of " + ", ".join(describe(member) for member in constraint.members[:5])


class Space:
    """The axes that `policies` share; built once, then only read.

    Raises: Beyond when the rules are too many; PolicyError when a policy expands beyond all measure.
    """

    def __init__(self, vocabulary: Vocabulary, *policies: Policy) -> None:
        self.vocabulary = vocabulary
        self.axes: list[Axis] = []
        self._judged: dict[str, int] = {}
        self._masks: dict[object, Place] = {}
        self._tests: dict[_Key, tuple[Operand, dict[Test, None]]] = {}
        self._orders: dict[_Key, int] = {}
        self._events: dict[str, Operand] = {}
        self._cycles: dict[str, Cycle] = {}
        self._atoms: dict[tuple[Constraint, int, str], tuple[_Key, Test] | None] = {}
        self.rules = [self._gathered(policy) for policy in policies]
        everything = [placed for rules in self.rules for placed in rules]
        self._names(everything)
        self._cut()
        self._literals = {id(placed): tuple(self._of(placed)) for placed in everything}
        if len(self.axes) > _MOST_AXES:
            raise Beyond(f"the rules ask for more than {_MOST_AXES} different things")
        self.records = record.groups(self.axes)
        self.full: Box = tuple(axis.full for axis in self.axes)

    def atom(self, constraint: Constraint, order: int, part: str) -> Place:
        """Where a constraint of a rule holds."""
        place = self._atoms[(constraint, order, part)]
        return self._masks[place] if place in self._masks else self._open(f"{part}{constraint_text(constraint)}", "")

    def literals(self, placed: Placed) -> tuple[Place, ...]:
        """Where a rule's action, target, party, and whatever else it names without constraints, are met: the first three first."""
        return self._literals[id(placed)]

    def duty(self, duty: Duty) -> Place:
        """Where a duty is fulfilled or not due."""
        return self._masks[(Kind.DUTY, rule_text(duty))]

    def opened(self, constraint: LogicalConstraint) -> Place | None:
        """Where what a logical constraint asks beyond its members is met: its order, or a property that ODRL does not know."""
        return self._masks.get((Kind.OPEN, constraint_text(constraint))) if _is_more(constraint) else None

    # --- gathering

    def _gathered(self, policy: Policy) -> list[Placed]:
        rules: list[Placed] = []
        counting: list[str | Rule] = []
        for is_permission, group in ((True, policy.permissions), (False, policy.prohibitions)):
            for one in atomic(group, policy):
                # the record of use is kept by identifier: rules of one name share it
                name = one.rule if one.rule.uid is None or one.rule.uid.startswith("_:") else one.rule.uid
                if name not in counting and any(map(self._counts, leaves(conditions(one)))):
                    counting.append(name)
                order = counting.index(name) if name in counting else 0
                placed = Placed(one, is_permission, order)
                if len(rules) >= _MOST_RULES:
                    raise Beyond("too many rules to compare")
                rules.append(placed)
                inner = (*conditions(one), *(c for duty in duties(one) for c in duty.constraints))
                for constraint in leaves(inner):
                    self._gather(constraint, order)
                for constraint in leaves(one.assignee.refinements if one.assignee else ()):
                    self._gather(constraint, order, "party")
        return rules

    def _counts(self, constraint: Constraint) -> bool:
        operand = self.vocabulary.operand(constraint.left)
        return operand is not None and cells.is_counted(operand)

    def _gather(self, constraint: Constraint, order: int, part: str = "") -> None:
        atom = (constraint, order, part)
        if atom in self._atoms:
            return
        self._atoms[atom] = None
        operand = self.vocabulary.operand(constraint.left)
        right = right_side(constraint, operand) if operand is not None else ()
        if operand is None or isinstance(right, Unknown) or not right or constraint.extra:
            return
        if operand.name == "event" and constraint.operator in axes.TO_EVENTS and len(right) == 1:
            name = str(right[0])
            self._events[name] = operand
            self._atoms[atom] = ((Kind.OPERAND, name), Test(constraint.operator, right))
            return
        relative = [isinstance(value, Relative) for value in right]
        if any(relative) != all(relative) or (constraint.operator in ORDERED and operand.value not in _PLACED):
            return
        if constraint.operator is Operator.HAS_PART:
            # the taxonomies of a world may put any part into a value that the vocabulary does not list
            return
        is_counted = cells.is_counted(operand)
        if is_counted and any(isinstance(value, Duration) and value.months for value in right):
            # a ledger counts months by the calendar
            return
        operator = constraint.operator
        if is_counted and operator is Operator.EQ and operand.name in _ALLOWANCES | _WAITS:
            operator = Operator.LTEQ if operand.name in _ALLOWANCES else Operator.GTEQ
        sources = tuple((source.kind, source.name or operand.name) for source in operand.sources)
        clock = all(source.kind is SourceKind.CLOCK for source in operand.sources)
        unit = _unit(constraint, operand)
        # its values are numbers of one unit, whatever each constraint is written in
        operand = measured(constraint, operand)
        if operand.on_record == FREQUENCY:
            cycle = period_of(constraint)
            if cycle is None:
                return
            # a day is a day, however it is spelled
            unit = cycle.key
            self._cycles[unit] = cycle
        key = (
            *(part, (SourceKind.CLOCK,) if clock else sources, operand.value, operand.is_many, any(relative), unit),
            *(self._stages(operand), operand.is_legal_only, order if is_counted else 0, id(operand.codes)),
        )
        test = Test(operator, right)
        self._orders[key] = order if is_counted else 0
        self._tests.setdefault(key, (operand, {}))[1][test] = None
        self._atoms[atom] = (key, test)

    def _stages(self, operand: Operand) -> int:
        found = self._judged.get(operand.name)
        if found is None:
            found = self._judged[operand.name] = axes.stages_of(operand)
        return found

    def _names(self, rules: Sequence[Placed]) -> None:
        """The axes of action, target and party."""
        self._actions(rules)
        for kind, references in (
            (Kind.TARGET, [placed.rule.target for placed in rules]),
            (Kind.PARTY, [placed.rule.assignee for placed in rules]),
        ):
            names = [one.uid or "" for one in references if one is not None and not one.is_collection]
            if names:
                axis, masks = axes.named(kind, names, f"{ANOTHER}-{kind}")
                for name, mask in masks.items():
                    self._masks[(kind, name)] = (len(self.axes), mask)
                self.axes.append(axis)

    def _actions(self, rules: Sequence[Placed]) -> None:
        words = self.vocabulary
        literals: dict[tuple[str, bool], None] = {}
        for placed in rules:
            if placed.rule.action is not None:
                known = words.action(placed.rule.action.name)
                if known is not None or placed.is_permission:
                    literals[(known.name if known else placed.rule.action.name, placed.is_permission)] = None
        # an action that nobody knows is on the axis too, apart from all others
        actions = dict.fromkeys([*(name for name, _ in literals), *words.action_names.values()])
        kinds: dict[tuple[bool, ...], list[str]] = {}
        for action in actions:
            above, against = words.covering.get(action, (action,)), words.forbidden_by.get(action, (action,))
            kinds.setdefault(tuple(name in (above if grants else against) for name, grants in literals), []).append(action)
        found = [
            axes.Cell(
                values=tuple(Value(left=(name,), fact=name, text=name) for name in names),
                is_vague=words.action(names[0]) is None,
            )
            for names in kinds.values()
        ]
        for number, literal in enumerate(literals):
            mask = sum(1 << bit for bit, kind in enumerate(kinds) if kind[number])
            self._masks[(Kind.ACTION, *literal)] = (len(self.axes), Masks(mask))
        self.axes.append(Axis(kind=Kind.ACTION, name="action", cells=tuple(found)))

    def _cut(self) -> None:
        for key, (operand, tests) in self._tests.items():
            clock = all(source.kind is SourceKind.CLOCK for source in operand.sources)
            try:
                axis, masks = axes.cut(
                    operand, list(tests), is_clock=clock and not key[4], name=operand.name, is_party=key[0] == "party"
                )
            except Beyond:
                continue
            for test, mask in zip(tests, masks, strict=True):
                self._masks[(key, test)] = (len(self.axes), mask)
            unit, cycle = str(key[5]), self._cycles.get(str(key[5]))
            self.axes.append(replace(axis, unit=unit, order=self._orders[key], cycle=cycle))
        for name, operand in self._events.items():
            axis, ways = axes.event(operand, name)
            for place in self._atoms.values():
                if place is not None and place[0] == (Kind.OPERAND, name):
                    self._masks[place] = (len(self.axes), ways[place[1].operator])
            self.axes.append(axis)
        count = Counter(self._operand(constraint) for constraint, _, _ in self._atoms)
        for (constraint, _, part), place in self._atoms.items():
            if place not in self._masks:
                is_alone = count[self._operand(constraint)] == 1
                self._open(f"{part}{constraint_text(constraint)}", describe(constraint), is_alone=is_alone)

    def _operand(self, constraint: Constraint) -> str:
        operand = self.vocabulary.operand(constraint.left)
        return operand.name if operand is not None else constraint.left

    def _open(self, key: str, text: str, kind: Kind = Kind.OPEN, *, is_alone: bool = True) -> Place:
        """The axis of a condition that cannot be cut, made when it is first met."""
        found = self._masks.get((kind, key))
        if found is None:
            axis, masks = axes.undivided(kind, key, text, is_alone=is_alone)
            found = self._masks[(kind, key)] = (len(self.axes), masks)
            self.axes.append(axis)
        return found

    # --- what a rule names besides constraints

    def _of(self, placed: Placed) -> Iterator[Place]:
        rule, grants = placed.rule, placed.is_permission
        yield self._action(placed)
        yield self._reference(rule.target, Kind.TARGET, Kind.TARGET_COLLECTION)
        yield self._reference(rule.assignee, Kind.PARTY, Kind.PARTY_COLLECTION)
        if rule.action is not None and rule.action.extra:
            yield self._open(f"action{rule.action.extra}", f"what `{rule.action.extra[0][0]}` says of the action")
        for what, found in (("function", rule.rule.functions), ("relation", rule.rule.relations)):
            for one in found:
                yield self._open(f"{what}{one}", f"the {what} `{one.name}`")
        for group in _groups((*conditions(rule), *(c for duty in duties(rule) for c in duty.constraints))):
            if _is_more(group):
                self._open(constraint_text(group), describe(group))
        if grants:
            for duty in duties(rule):
                said = " and ".join(action.name for action in duty.actions) or "act"
                key = (Kind.DUTY, rule_text(duty))
                if key not in self._masks:
                    axis, masks = axes.duty(duty.uid or "", f"the duty to {said}")
                    self._masks[key] = (len(self.axes), masks)
                    self.axes.append(axis)

    def _action(self, placed: Placed) -> Place:
        action = placed.rule.action
        if action is None:
            return 0, Masks(self.axes[0].full)
        known = self.vocabulary.action(action.name)
        if known is None and not placed.is_permission:
            return self._open(f"action {action.name}", f"the unknown action `{action.name[:80]}`")
        return self._masks[(Kind.ACTION, known.name if known else action.name, placed.is_permission)]

    def _reference(self, one: AssetRef | PartyRef | None, kind: Kind, collection: Kind) -> Place:
        if one is None:
            return 0, Masks(self.axes[0].full)
        if not one.is_collection:
            return self._masks[(kind, one.uid or "")]
        names = tuple(sorted({name for name in (one.uid, one.source) if name}))
        if kind is Kind.TARGET and one.refinements:
            picked = " ".join(constraint_text(constraint) for constraint in one.refinements)
            return self._open(f"{kind} {names} {picked}", f"the {kind} is picked from `{' '.join(names)}`")
        return self._open(" ".join(names), f"the {kind} belongs to `{' '.join(names)}`", collection)


def _unit(constraint: Constraint, operand: Operand) -> str:
    """The unit that keeps what a constraint compares apart from other numbers of its operand; none where those convert into it."""
    if constraint.unit is None:
        return ""
    if cells.is_counted(operand):
        return currency(term(constraint.unit.text))
    return "" if operand.unit is not None else base_of(term(constraint.unit.text)) or constraint.unit.text


def duties(rule: Atomic) -> tuple[Duty, ...]:
    """The duties that condition a rule."""
    return rule.rule.duties if isinstance(rule.rule, Permission) else ()


def _is_more(group: LogicalConstraint) -> bool:
    return bool(group.extra) or group.operand is LogicalOperand.AND_SEQUENCE
