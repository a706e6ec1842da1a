"""Policies as unions of boxes: which requests each permits, over axes that all policies at hand share.

1. Make the rules whole (`expand.composed`), and give duties without an identifier the name of what they ask: a duty of the same
   text is the same duty in every policy.
2. Cut the axes (`space`).
3. Make each rule the union of boxes in which it grants or applies: `and` intersects, `or` joins, `xone` joins what lies in
   exactly one, in the three-valued logic of the engine with its two kinds of doubt.
4. What a policy permits is its permissions without its prohibitions, save under the strategy `perm`.

# INVARIANT: a request lies in the boxes of its policy exactly when the evaluator permits it under an agreement of that text.
Source: ODRL Information Model 2.2, sections 2.5 to 2.10; ODRL Formal Semantics (draft), "Satisfaction", "Activation".
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum

from connector.odrl.analyse.boxes import Box, difference, intersection, union
from connector.odrl.analyse.space import Place, Placed, Space, conditions, duties
from connector.odrl.canonical import rule_text
from connector.odrl.compile import TWO_DUTIES
from connector.odrl.expand import Atomic, composed, torn
from connector.odrl.model import (
    AnyConstraint,
    Conflict,
    Constraint,
    Duty,
    LogicalConstraint,
    LogicalOperand,
    Policy,
    PolicyType,
)
from connector.odrl.standing import standing
from connector.odrl.vocabulary import Vocabulary

_TYPES = frozenset(PolicyType)
_FOR_READERS = frozenset({"http://purl.org/dc/terms/title", "http://purl.org/dc/terms/description"})
"""Properties of a policy that name and describe it: they change nothing of what it permits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleBoxes:
    """One atomic rule, and where it grants (a permission) or applies (a prohibition)."""

    rule: Atomic
    boxes: list[Box]
    head: Box
    # action, target and party alone


@dataclass(frozen=True, slots=True, kw_only=True)
class Normal:
    """A policy as boxes."""

    policy: Policy
    # as an agreement, its duties named
    permissions: tuple[RuleBoxes, ...]
    prohibitions: tuple[RuleBoxes, ...]
    granted: list[Box]
    forbidden: list[Box]
    # empty under the strategy `perm`
    permits: list[Box]


def doubts(policy: Policy, whose: str, vocabulary: Vocabulary) -> Iterator[str]:
    """Why a policy as a whole cannot be compared; nothing when it can."""
    if policy.inherit_from:
        yield f"{whose} inherit from `{policy.inherit_from[0]}`, which is not merged"
    if policy.replaced_by:
        yield f"{whose} are replaced by `{policy.replaced_by[0]}`"
    for profile in policy.profiles:
        if profile not in vocabulary.profiles:
            yield f"{whose} use the profile `{profile}`, which is not loaded"
    if policy.type not in _TYPES:
        yield f"{whose} are of the unknown type `{policy.type[:80]}`"
    if len(set(policy.conflicts)) > 1:
        yield f"{whose} name several conflict strategies"
    if (name := torn(policy)) is not None:
        yield f"in {whose} {TWO_DUTIES} `{name[:80]}`"
    if strange := [name for name, _ in policy.extra if name not in _FOR_READERS]:
        yield f"{whose} have a property `{strange[0]}` that ODRL does not know"
    for rule in (*policy.permissions, *policy.prohibitions):
        if rule.extra:
            yield f"{whose} have a rule with a property `{rule.extra[0][0]}` that ODRL does not know"


def named(policy: Policy) -> Policy:
    """The policy as an agreement in which each duty has a name: the same duty has the same one in every policy."""
    permissions = tuple(
        replace(rule, duties=tuple(map(_named_duty, rule.duties))) if rule.duties else rule for rule in policy.permissions
    )
    return replace(policy, type=PolicyType.AGREEMENT, permissions=permissions)


def _named_duty(duty: Duty) -> Duty:
    if duty.uid is not None and not duty.uid.startswith("_:"):
        return duty
    return replace(duty, uid="urn:kontor:duty:" + hashlib.sha256(rule_text(duty).encode()).hexdigest())


class Rank(IntEnum):
    """How true a condition has to be. Permissions and prohibitions order the two kinds of doubt each their own way."""

    NOT_FALSE = 1
    COUNTS = 2
    # true, or in the doubt that counts like it: soft for a permission, hard for a prohibition
    TRUE = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Forms:
    """Policies as boxes in one space."""

    space: Space
    policies: tuple[Normal, ...]


def normal_forms(vocabulary: Vocabulary, *policies: Policy) -> Forms:
    """The policies as boxes in the one space that they share.

    Raises: Beyond when the boxes are too many; PolicyError when a policy expands beyond all measure.
    """
    agreed = [named(standing(composed(policy), vocabulary)) for policy in policies]
    space = Space(vocabulary, *agreed)
    return Forms(space=space, policies=tuple(_normal(space, *pair) for pair in zip(agreed, space.rules, strict=True)))


def _normal(space: Space, policy: Policy, rules: Sequence[Placed]) -> Normal:
    found = [_rule(space, placed) for placed in rules]
    permissions = tuple(one for one, placed in zip(found, rules, strict=True) if placed.is_permission)
    prohibitions = tuple(one for one, placed in zip(found, rules, strict=True) if not placed.is_permission)
    granted = union(*(one.boxes for one in permissions))
    is_overridden = set(policy.conflicts) == {Conflict.PERM}
    forbidden = [] if is_overridden else union(*(one.boxes for one in prohibitions))
    return Normal(
        policy=policy,
        permissions=permissions,
        prohibitions=prohibitions,
        granted=granted,
        forbidden=forbidden,
        permits=difference(granted, forbidden),
    )


def _rule(space: Space, placed: Placed) -> RuleBoxes:
    reader = _Reader(space, placed)
    literals = space.literals(placed)
    head = reader.all_of(literals[:3])
    boxes = intersection(head, reader.all_of(literals[3:])) if literals[3:] else head
    for constraints, part in _premises(placed.rule):
        boxes = intersection(boxes, reader.every(constraints, Rank.COUNTS, part))
    for duty in duties(placed.rule):
        if boxes:
            boxes = intersection(boxes, reader.settled(duty))
    return RuleBoxes(rule=placed.rule, boxes=boxes, head=head[0] if head else ())


def boxes_of(space: Space, placed: Placed, constraints: Sequence[AnyConstraint] | None = None) -> list[Box]:
    """Where a rule of the space grants or applies, or where some of its own constraints alone hold.

    Raises: Beyond when the boxes are too many.
    """
    if constraints is None:
        return _rule(space, placed).boxes
    return _Reader(space, placed).every(constraints, Rank.COUNTS, "")


def settled(space: Space, placed: Placed, duty: Duty) -> list[Box]:
    """Where a duty of a rule of the space does not block it.

    Raises: Beyond when the boxes are too many.
    """
    return _Reader(space, placed).settled(duty)


def _premises(rule: Atomic) -> Iterator[tuple[tuple[AnyConstraint, ...], str]]:
    if found := conditions(rule):
        yield found, ""
    if rule.assignee is not None and rule.assignee.refinements:
        yield rule.assignee.refinements, "party"


class _Reader:
    """Makes boxes of the conditions of one rule."""

    def __init__(self, space: Space, placed: Placed) -> None:
        self.space = space
        self.placed = placed
        self.grants = placed.is_permission

    def all_of(self, places: Sequence[Place]) -> list[Box]:
        cells = list(self.space.full)
        for place in places:
            cells[place[0]] &= self.mask(place, Rank.COUNTS)
        return [tuple(cells)] if all(cells) else []

    def mask(self, place: Place, rank: Rank) -> int:
        masks = place[1]
        if rank is Rank.TRUE:
            return masks.true
        if rank is Rank.COUNTS:
            return masks.true | (masks.soft if self.grants else masks.hard)
        return masks.true | masks.hard | masks.soft

    def box(self, place: Place, rank: Rank) -> list[Box]:
        cells = self.mask(place, rank)
        full = self.space.full
        return [(*full[: place[0]], cells, *full[place[0] + 1 :])] if cells else []

    def every(self, constraints: Sequence[AnyConstraint], rank: Rank, part: str) -> list[Box]:
        # single constraints first, in one box
        cells = list(self.space.full)
        groups: list[LogicalConstraint] = []
        for constraint in constraints:
            if isinstance(constraint, Constraint):
                place = self.space.atom(constraint, self.placed.order, part)
                cells[place[0]] &= self.mask(place, rank)
            else:
                groups.append(constraint)
        boxes: list[Box] = [tuple(cells)] if all(cells) else []
        for group in groups:
            if boxes:
                boxes = intersection(boxes, self.at(group, rank, part))
        return boxes

    def at(self, constraint: AnyConstraint, rank: Rank, part: str) -> list[Box]:
        """Where a constraint is at least as true as `rank`."""
        if isinstance(constraint, Constraint):
            return self.box(self.space.atom(constraint, self.placed.order, part), rank)
        if constraint.operand is LogicalOperand.OR:
            boxes = union(*(self.at(member, rank, part) for member in constraint.members))
        elif constraint.operand is LogicalOperand.XONE:
            boxes = self.one_of(constraint.members, rank, part)
        else:
            boxes = self.every(constraint.members, rank, part)
        more = self.space.opened(constraint)
        return boxes if more is None else intersection(boxes, self.box(more, rank))

    def one_of(self, members: Sequence[AnyConstraint], rank: Rank, part: str) -> list[Box]:
        """Where exactly one member is true: two true ones make it false, any doubt makes it doubtful, the hard kind first."""
        everything = [self.space.full]
        true = [self.at(member, Rank.TRUE, part) for member in members]
        counts = [self.at(member, Rank.COUNTS, part) for member in members]
        possible = [self.at(member, Rank.NOT_FALSE, part) for member in members]
        false = [difference(everything, boxes) for boxes in possible]
        alone = union(*(self.except_(true, number, false) for number in range(len(members))))
        if rank is Rank.TRUE:
            return alone
        at_most_one = union(
            *(
                self.except_([everything] * len(members), n, [difference(everything, b) for b in true])
                for n in range(len(members))
            )
        )
        if rank is Rank.NOT_FALSE:
            return intersection(at_most_one, union(*possible))
        doubtful = [difference(a, b) for a, b in zip(counts, true, strict=True)]
        if self.grants:
            # no hard doubt anywhere: one member true or soft, all others false or soft
            calm = [union(a, b) for a, b in zip(false, doubtful, strict=True)]
            return union(*(self.except_(counts, number, calm) for number in range(len(members))))
        return union(alone, intersection(at_most_one, union(*doubtful)))

    @staticmethod
    def except_(chosen: Sequence[list[Box]], number: int, others: Sequence[list[Box]]) -> list[Box]:
        """Where member `number` is as in `chosen` and every other as in `others`."""
        boxes = chosen[number]
        for other, allowed in enumerate(others):
            if other != number:
                boxes = intersection(boxes, allowed)
        return boxes

    def settled(self, duty: Duty) -> list[Box]:
        """Where a duty does not block: fulfilled, not due yet, or not active."""
        fulfilled = self.box(self.space.duty(duty), Rank.TRUE)
        if not duty.constraints:
            return fulfilled
        # the conditions of a duty are read as those of a prohibition: a doubt keeps it active
        active = _Reader(self.space, Placed(self.placed.rule, False, self.placed.order))
        return union(fulfilled, difference([self.space.full], active.every(duty.constraints, Rank.NOT_FALSE, "")))
