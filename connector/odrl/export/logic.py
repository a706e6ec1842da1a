"""A policy as plain logic over one request: what Rego and Cedar are made of.

Each condition has two faces: surely true, and surely false; between them lies doubt. A permission holds when its conditions are
surely true; a prohibition applies unless one is surely false. So doubt permits nothing and forbids, as in our engine.

The request comes with a context: `now` and `agreed_at` in microseconds since 1970, `duties` that are performed, and for each
operand a key with its values as the vocabulary spells them (`Logic.keys`); what is not known is left out.
What a request is asked at another stage, and what only the law enforces, is named as not carried.
Source: ODRL Formal Semantics (draft), "Activation"; Kleene's strong three-valued logic.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType

from connector.errors import PolicyError
from connector.odrl.closures import Frame, after, edges, is_judged, reader
from connector.odrl.compile import compile
from connector.odrl.expand import Atomic, atomic, duty_key
from connector.odrl.inherit import merged
from connector.odrl.model import (
    AnyConstraint,
    AssetRef,
    Conflict,
    Constraint,
    Diagnostic,
    Duty,
    LogicalConstraint,
    LogicalOperand,
    Operator,
    PartyRef,
    Permission,
    Policy,
    Severity,
)
from connector.odrl.operands import IN_TREE, ORDERED, is_within, left_side, measured, right_side
from connector.odrl.terms import stranger
from connector.odrl.truth import STAGE_ORDER, DutyState, Request, Stage, Unknown, World
from connector.odrl.values import Relative, Span, Typed
from connector.odrl.vocabulary import Operand, Source, SourceKind, ValueType, Vocabulary

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TICK = timedelta(microseconds=1)
NO_PARENTS: Mapping[str, Policy] = MappingProxyType({})


class Set(StrEnum):
    """How the values of an operand, as a set, are held against others."""

    EQUAL = "equal"
    DIFFERENT = "different"
    ANY = "any"
    ALL = "all"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Sure:
    """True, false, or never known (None)."""

    truth: bool | None


@dataclass(frozen=True, slots=True)
class Among:
    """The values at `key` held against `values`."""

    key: str
    how: Set
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Within:
    """True when a value at `key` is one of `yes`; false when all are among `no`."""

    key: str
    yes: tuple[str, ...]
    no: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Number:
    """The number at `key` compared with another one."""

    key: str
    operator: Operator
    number: Decimal


@dataclass(frozen=True, slots=True)
class Clock:
    """Whether it is before a moment, or not; the moment in microseconds, from 1970 or from the agreement."""

    is_before: bool
    at: int
    is_relative: bool


@dataclass(frozen=True, slots=True)
class Performed:
    """Whether a duty is performed; known either way."""

    duty: str


@dataclass(frozen=True, slots=True)
class Named:
    """Whether the request names this asset (`resource`) or party (`principal`); in doubt where it names none."""

    part: str
    name: str


@dataclass(frozen=True, slots=True)
class Does:
    """Whether the action of the request is one of these."""

    actions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Join:
    """Conditions joined by `and`, `or` or `xone`."""

    operand: LogicalOperand
    members: tuple[Node, ...]


Node = Sure | Among | Within | Number | Clock | Performed | Named | Does | Join


@dataclass(frozen=True, slots=True, kw_only=True)
class Logic:
    """A policy as conditions, and what of it is not in them."""

    permits: tuple[Node, ...]
    forbids: tuple[Node, ...]
    keys: Mapping[str, Operand]
    lost: tuple[Diagnostic, ...] = field(default=())
    # errors make the logic stricter than the policy, warnings leave something to others


def ways(operand: LogicalOperand, yes: list[str], no: list[str]) -> tuple[list[list[str]], list[list[str]]]:
    """The ways in which a join is surely true, and those in which it is surely false: in each, all of what is named hold; `yes`
    and `no` name where each member is surely true, and surely false."""
    if operand is LogicalOperand.OR:
        return [[one] for one in yes], [no]
    if operand is LogicalOperand.XONE:
        count = len(yes)
        one = [[true, *(no[other] for other in range(count) if other != place)] for place, true in enumerate(yes)]
        two = [[yes[a], yes[b]] for a in range(count) for b in range(a + 1, count)]
        return one, [*two, no]
    return [yes], [[one] for one in no]


def logic(policy: Policy, vocabulary: Vocabulary, parents: Mapping[str, Policy] = NO_PARENTS) -> Logic:
    """The policy, as if it were agreed, at the time of a request.

    Raises: PolicyError when it cannot be judged as a whole: an unknown profile or parent, contradicting strategies.
    """
    whole = merged(policy, parents)
    if isinstance(whole, Unknown):
        raise PolicyError(whole.detail, where=policy.where, mend="give the parents in the same file", flaw=whole.code.value)
    for profile in whole.profiles:
        if profile not in vocabulary.profiles:
            raise PolicyError(f"the profile `{profile}` is not loaded", where=policy.where, mend="put it into vocab/profiles")
    if len(set(whole.conflicts)) > 1:
        raise PolicyError("several conflict strategies", where=policy.where, mend="keep one")
    compiled = compile(whole, vocabulary, parents=parents, has_ledger=True)
    if compiled.fault is not None:
        # what our engine does not judge as a whole, another one would judge by its parts
        raise PolicyError(compiled.fault.detail, where=policy.where, mend="mend it first", flaw=compiled.fault.code.value)
    return _Builder(vocabulary).logic(compiled.policy)


def context(found: Logic, request: Request, world: World) -> dict[str, object]:
    """The context that goes with a request: what our engine would find, with values spelled as the logic expects them.

    Numbers are `Decimal`, times integers; words and IRIs stand in sorted lists.
    """
    frame = Frame(world.now, request, STAGE_ORDER[Stage.REQUEST], world)
    done = [key for key, state in world.duties.items() if state in (DutyState.FULFILLED, DutyState.WAIVED)]
    tree: dict[str, object] = {"now": micros(world.now), "duties": sorted(done)}
    if world.agreed_at is not None:
        tree["agreed_at"] = micros(world.agreed_at)
    for key, operand in found.keys.items():
        fact = reader(operand)(frame)
        left = left_side(fact, operand) if fact is not None and fact != "" else None
        if left is None or isinstance(left, Unknown):
            continue
        if operand.value is ValueType.DECIMAL:
            if len(left) == 1 and isinstance(left[0], Decimal):
                tree[key] = left[0]
        else:
            tree[key] = sorted(map(word, left))
    return tree


def micros(moment: datetime) -> int:
    """A moment as microseconds since 1970."""
    return (moment - _EPOCH) // _TICK


def word(typed: Typed) -> str:
    """A typed value as the text that stands for it in a context."""
    return ("true" if typed else "false") if isinstance(typed, bool) else str(typed)


class _Builder:
    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary
        self.keys: dict[str, Operand] = {}
        self.lost: list[Diagnostic] = []

    def logic(self, policy: Policy) -> Logic:
        permits = tuple(self.rule(one, is_permission=True) for one in atomic(policy.permissions, policy))
        is_perm = set(policy.conflicts) == {Conflict.PERM}
        # where the permission wins, a prohibition takes nothing away that a closed world grants
        forbids = () if is_perm else tuple(self.rule(one, is_permission=False) for one in atomic(policy.prohibitions, policy))
        for duty in policy.obligations:
            self.say(Severity.WARNING, duty.where, "an obligation is owed whatever is asked, and decides nothing")
        for rule in policy.prohibitions:
            for remedy in rule.remedies:
                self.say(Severity.WARNING, remedy.where, "a remedy is owed after the fact, and decides nothing")
        unique = dict.fromkeys(self.lost)
        return Logic(permits=permits, forbids=forbids, keys=self.keys, lost=tuple(unique))

    def say(self, severity: Severity, where: str, what: str, mend: str = "ask our own engine for it") -> None:
        self.lost.append(Diagnostic(code="not-carried", severity=severity, where=where, what=what, mend=mend))

    def lose(self, where: str, what: str) -> Sure:
        self.say(Severity.ERROR, where, what)
        return Sure(None)

    # --- rules

    def rule(self, one: Atomic, *, is_permission: bool) -> Node:
        parts = [self.does(one, is_permission=is_permission), self.target(one.target), self.party(one.assignee)]
        constraints = (*one.rule.constraints, *(one.action.refinements if one.action else ()))
        parts += [self.condition(each, is_permission=is_permission) for each in constraints]
        if isinstance(one.rule, Permission):
            parts += [self.duty(duty) for duty in one.rule.duties]
        said = (part for part in (one.rule, one.action, one.target, one.assignee) if part is not None)
        parts += [self.strange(name, part.where) for part in said if (name := stranger(part.extra)) is not None]
        return Join(LogicalOperand.AND, tuple(part for part in parts if part != Sure(True)))

    def strange(self, name: str, where: str) -> Sure:
        return self.lose(where, f"a property `{name[:60]}` that may have been meant as a condition")

    def does(self, one: Atomic, *, is_permission: bool) -> Node:
        if one.action is None:
            return Sure(True)
        known = self.vocabulary.action(one.action.name)
        if known is None:
            what = f"an unknown action `{one.action.name[:60]}` permits nothing, and forbids everything"
            self.say(Severity.WARNING, one.action.where, what)
            return Sure(None)
        reach = self.vocabulary.covering if is_permission else self.vocabulary.forbidden_by
        return Does(tuple(sorted(name for name, above in reach.items() if known.name in above)))

    def target(self, asset: AssetRef | None) -> Node:
        if asset is None:
            return Sure(True)
        if asset.is_collection or asset.uid is None:
            return self.lose(asset.where, "a collection of assets")
        return Named("resource", asset.uid)

    def party(self, party: PartyRef | None) -> Node:
        if party is None:
            return Sure(True)
        if party.is_collection or party.uid is None:
            return self.lose(party.where, "a collection of parties")
        return Named("principal", party.uid)

    def duty(self, duty: Duty) -> Node:
        if duty.consequences:
            self.say(Severity.ERROR, duty.where, "a duty that is made good by its consequence")
        done = Performed(duty_key(duty))
        if not duty.constraints:
            return done
        # a duty that is surely not active does not block: its conditions are read as a prohibition's, and turned round
        return self.lose(duty.where, "a duty under conditions")

    # --- conditions

    def condition(self, one: AnyConstraint, *, is_permission: bool) -> Node:
        if (name := stranger(one.extra)) is not None:
            return self.strange(name, one.where)
        if isinstance(one, LogicalConstraint):
            operand = one.operand
            if operand is LogicalOperand.AND_SEQUENCE:
                self.say(Severity.WARNING, one.where, "the order of `andSequence`; it is judged as `and`")
                operand = LogicalOperand.AND
            return Join(operand, tuple(self.condition(member, is_permission=is_permission) for member in one.members))
        operand_ = self.vocabulary.operand(one.left)
        if operand_ is None:
            return self.lose(one.where, f"an unknown left operand `{one.left[:60]}`")
        right = right_side(one, operand_)
        if isinstance(right, Unknown):
            return self.lose(one.where, right.detail)
        if operand_.is_legal_only or not is_judged(operand_, Stage.REQUEST):
            said = "is for the law alone" if operand_.is_legal_only else "is judged at another time"
            self.say(Severity.WARNING, one.where, f"`{operand_.short}` {said}, and decides nothing here")
            return Sure(is_permission)
        return self.atom(one, measured(one, operand_), right)

    def atom(self, one: Constraint, operand: Operand, right: tuple[Typed, ...]) -> Node:
        if operand.sources == (Source(kind=SourceKind.CLOCK),):
            return self.clock(one, operand, right)
        if any(source.kind is SourceKind.LEDGER for source in operand.sources):
            return self.lose(one.where, f"`{operand.short}`, which is on record with us")
        if one.unit is not None and operand.unit is None:
            return self.lose(one.where, f"`{operand.short}` in `{one.unit.text}`")
        if operand.value is ValueType.DECIMAL:
            number = right[0]
            if len(right) != 1 or not isinstance(number, Decimal) or operand.is_many:
                return self.lose(one.where, f"several numbers of `{operand.short}`")
            if one.operator not in (*ORDERED, Operator.EQ, Operator.NEQ):
                return self.lose(one.where, f"`{one.operator}` between numbers")
            return Number(self.key(operand), one.operator, number)
        if one.operator in ORDERED or operand.value in (ValueType.DATE_TIME, ValueType.DURATION):
            return self.lose(one.where, f"`{operand.short} {one.operator}`")
        key = self.key(operand)
        if one.operator in IN_TREE:
            return self.tree(one, operand, key, tuple(map(word, right)))
        how = {
            Operator.EQ: Set.EQUAL,
            Operator.NEQ: Set.DIFFERENT,
            Operator.IS_ANY_OF: Set.ANY,
            Operator.IS_ALL_OF: Set.ALL,
            Operator.IS_NONE_OF: Set.NONE,
        }[one.operator]
        return Among(key, how, tuple(sorted(map(word, right))))

    def tree(self, one: Constraint, operand: Operand, key: str, wanted: tuple[str, ...]) -> Node:
        """What lies in what, written out from the code list."""
        known = operand.codes.taxonomy.parents if operand.codes else {}
        taxonomy = operand.codes.taxonomy if operand.codes else None

        def holds(value: str, other: str) -> bool | None:
            below, above = (other, value) if one.operator is Operator.HAS_PART else (value, other)
            return is_within(below, above, taxonomy)

        every = {*known, *wanted}
        yes = {value for value in every if any(holds(value, other) is True for other in wanted)}
        no = {value for value in every - yes if all(holds(value, other) is False for other in wanted)}
        return Within(key, tuple(sorted(yes)), tuple(sorted(no)))

    def clock(self, one: Constraint, operand: Operand, right: tuple[Typed, ...]) -> Node:
        value = right[0]
        if len(right) != 1 or not isinstance(value, (Span, Relative)):
            return self.lose(one.where, f"several moments of `{operand.short}`")
        is_relative = isinstance(value, Relative)
        if isinstance(value, Relative):
            start = _EPOCH + value.offset
            value = Span(start, start)
        first, following = value.start, (value.end if not value.is_moment else after(value.end))
        if one.operator in (Operator.EQ, Operator.NEQ):
            begin, end = (micros(edge) for edge in edges(one.operator, value))
            inside = (Clock(False, begin, is_relative), Clock(True, end, is_relative))
            outside = (Clock(True, begin, is_relative), Clock(False, end, is_relative))
            is_eq = one.operator is Operator.EQ
            return Join(LogicalOperand.AND, inside) if is_eq else Join(LogicalOperand.OR, outside)
        is_before = one.operator in (Operator.LT, Operator.LTEQ)
        edge = first if one.operator in (Operator.LT, Operator.GTEQ) else following
        return Clock(is_before, micros(edge), is_relative)

    def key(self, operand: Operand) -> str:
        """The name of an operand in the context."""
        plain = re.sub(r"[^A-Za-z0-9_]", "_", operand.short.rpartition("/")[2]) or "value"
        name = plain if plain[0].isalpha() and plain not in ("now", "duties", "agreed_at") else f"x_{plain}"
        while name in self.keys and self.keys[name].name != operand.name:
            name += "_"
        self.keys[name] = operand
        return name
