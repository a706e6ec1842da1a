"""From a policy to closures and an index, once per policy text, so that a decision takes microseconds.

1. Refuse as a whole what cannot be judged as a whole: unknown profiles, parents that are not merged.
2. Expand to atomic rules.
3. Make of each constraint a closure `Frame -> Truth`; what is wrong with it by itself becomes a constant `Unknown`.
4. Join closures in three-valued logic. The join knows whether it serves a permission or a prohibition, because doubts of
   two kinds meet: hard ones (nobody knows) and soft ones (another stage or the law sees to it). Each side takes the worse.
5. Index the rules by target and action.

Looking rules up and weighing them is in `evaluate`.
Source: ODRL Information Model 2.2, sections 2.5, 2.6, 2.7, 3; ODRL Formal Semantics (draft), "Satisfaction", "Activation".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from connector.odrl.closures import (
    Frame,
    Test,
    all_for_permission,
    all_for_prohibition,
    any_for_permission,
    any_for_prohibition,
    at_stage,
    belongs,
    clock_test,
    constant,
    edges,
    exactly_one,
    is_judged,
    is_party,
    names_of,
    resolve,
    value_test,
)
from connector.odrl.expand import Atomic, atomic
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
    Permission,
    Policy,
    PolicyType,
    Severity,
)
from connector.odrl.operands import ORDERED, right_side
from connector.odrl.truth import Code, Stage, Truth, Unknown
from connector.odrl.values import Relative, Span, Typed, has_zone
from connector.odrl.vocabulary import Operand, Source, SourceKind, ValueType, Vocabulary


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticks:
    """The instants at which a comparison with the clock changes."""

    fixed: tuple[datetime, ...]
    relative: tuple[Relative, ...]
    # from the agreement; two instants each
    operator: Operator
    judged: tuple[bool, ...]
    # by stage


@dataclass(frozen=True, slots=True, kw_only=True)
class Atom:
    """One compiled constraint: its closure, and what a report or a timer wants to know about it."""

    constraint: Constraint
    operand: Operand | None
    test: Test
    part: str
    # constraint, refinement or party
    ticks: Ticks | None = None
    # when the clock changes its truth


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """One compiled logical constraint."""

    constraint: LogicalConstraint
    members: tuple[Tree, ...]
    test: Test


Tree = Atom | Group


@dataclass(frozen=True, slots=True, kw_only=True)
class CompiledDuty:
    """A condition of a permission, or an obligation; active when `test` is not False."""

    duty: Duty
    trees: tuple[Tree, ...]
    test: Test


@dataclass(frozen=True, slots=True, kw_only=True)
class CompiledRule:
    """An atomic permission or prohibition: the premises besides action and target."""

    atomic: Atomic
    is_permission: bool
    action: str | None
    # None: any action (a permission), or one that nobody knows (a prohibition)
    matches: Test
    # target refinements and party
    trees: tuple[Tree, ...]
    test: Test
    # `matches` and all constraints and refinements
    duties: tuple[CompiledDuty, ...]
    clock: tuple[Ticks, ...]
    # of its premises and of those of its duties


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiled:
    """A policy ready to be asked. Immutable; share it, and make a new one when policy or vocabulary changes."""

    policy: Policy
    vocabulary: Vocabulary
    fault: Unknown | None
    # why the policy as a whole grants nothing
    permissions: Mapping[tuple[str | None, str | None], tuple[CompiledRule, ...]]
    prohibitions: Mapping[tuple[str | None, str | None], tuple[CompiledRule, ...]]
    rules: tuple[CompiledRule, ...]
    obligations: tuple[CompiledDuty, ...]
    conflict: Conflict | None
    # None: several strategies contradict each other
    grants_access: bool
    # False for offers and requests, which only propose
    warnings: tuple[Diagnostic, ...]


def compile(policy: Policy, vocabulary: Vocabulary) -> Compiled:
    """The policy ready for `evaluate.decide`; `Compiled.warnings` says what in it can never be judged.

    Raises: PolicyError when the policy expands beyond all measure. Unknown terms do not raise: they deny, with a reason.
    """
    builder = _Builder(vocabulary)
    rules = [builder.rule(a, is_permission=True) for a in atomic(policy.permissions, policy)]
    rules += [builder.rule(a, is_permission=False) for a in atomic(policy.prohibitions, policy)]
    obligations = tuple(builder.duty(duty, "duty") for duty in policy.obligations)
    strategies = policy.conflicts or (Conflict.INVALID,)
    return Compiled(
        policy=policy,
        vocabulary=vocabulary,
        fault=_fault(policy, vocabulary),
        permissions=_index([rule for rule in rules if rule.is_permission]),
        prohibitions=_index([rule for rule in rules if not rule.is_permission]),
        rules=tuple(rules),
        obligations=obligations,
        conflict=strategies[0] if len(set(strategies)) == 1 else None,
        grants_access=policy.type not in (PolicyType.OFFER, PolicyType.REQUEST),
        warnings=(*policy.warnings, *builder.warnings),
    )


def _fault(policy: Policy, vocabulary: Vocabulary) -> Unknown | None:
    # Information Model 3: a processor that does not know a profile MUST stop processing
    for profile in policy.profiles:
        if profile not in vocabulary.profiles:
            return Unknown(code=Code.PROFILE_UNKNOWN, detail=f"the profile `{profile}` is not loaded", needs=profile)
    if policy.inherit_from:
        parent = policy.inherit_from[0]
        return Unknown(code=Code.REFERENCE_UNRESOLVABLE, detail=f"the parent policy `{parent}` is not merged", needs=parent)
    return None


def _index(rules: list[CompiledRule]) -> Mapping[tuple[str | None, str | None], tuple[CompiledRule, ...]]:
    found: dict[tuple[str | None, str | None], list[CompiledRule]] = {}
    for rule in rules:
        found.setdefault((_asset_key(rule.atomic.target), rule.action), []).append(rule)
    return {key: tuple(value) for key, value in found.items()}


def _asset_key(asset: AssetRef | None) -> str | None:
    # a collection has members that the index cannot know: its rules are asked for every target
    return None if asset is None or asset.is_collection else asset.uid


class _Builder:
    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary
        self.warnings: list[Diagnostic] = []

    def rule(self, a: Atomic, *, is_permission: bool) -> CompiledRule:
        join = all_for_permission if is_permission else all_for_prohibition
        fault: Unknown | None = None
        action: str | None = None
        if a.action is not None:
            known = self.vocabulary.action(a.action.name)
            action = known.name if known else None if not is_permission else a.action.name
            if known is None:
                hint = self.vocabulary.hint_action(a.action.name)
                fault = Unknown(
                    code=Code.ACTION_UNKNOWN, detail=f"unknown action `{a.action.name[:80]}`; {hint}", needs=a.action.name
                )
                self.warn(fault, a.action.where)
        matches = [
            test
            for test in (constant(fault) if fault is not None else None, self.asset(a.target), is_party(a.assignee))
            if test
        ]
        trees = [self.tree(c, "constraint", is_permission) for c in a.rule.constraints]
        trees += [self.tree(c, "refinement", is_permission) for c in (a.action.refinements if a.action else ())]
        trees += [self.tree(c, "party", is_permission) for c in (a.assignee.refinements if a.assignee else ())]
        match = join(tuple(matches))
        conditions = tuple(self.duty(duty, "duty") for duty in a.rule.duties) if isinstance(a.rule, Permission) else ()
        premises = (*trees, *(tree for duty in conditions for tree in duty.trees))
        return CompiledRule(
            atomic=a,
            is_permission=is_permission,
            action=action,
            matches=match,
            trees=tuple(trees),
            test=join((*matches, *(tree.test for tree in trees))),
            duties=conditions,
            clock=tuple(atom.ticks for tree in premises for atom in atoms(tree) if atom.ticks),
        )

    def duty(self, duty: Duty, part: str) -> CompiledDuty:
        trees = tuple(self.tree(constraint, part, False) for constraint in duty.constraints)
        return CompiledDuty(duty=duty, trees=trees, test=all_for_prohibition(tuple(tree.test for tree in trees)))

    def asset(self, asset: AssetRef | None) -> Test | None:
        """A test of what the index cannot decide about a target: that it is named, and that refinements pick it."""
        if asset is None:
            return None
        unnamed = Unknown(code=Code.VALUE_MISSING, detail="the request names no target", needs="target")
        if not asset.is_collection:
            return lambda frame: True if frame.request.target is not None else unnamed
        detail = "the properties of assets are not known to the engine, so a refinement cannot pick members"
        unpicked = Unknown(code=Code.SOURCE_UNAVAILABLE, detail=detail, needs="target")
        is_refined = bool(asset.refinements)
        names = names_of(asset)

        def test(frame: Frame) -> Truth:
            asked = frame.request.target
            found = unnamed if asked is None else belongs(asked, names, frame.world, "target")
            return unpicked if is_refined and found is True else found

        return test

    def tree(self, constraint: AnyConstraint, part: str, is_permission: bool) -> Tree:
        if isinstance(constraint, Constraint):
            return self.atom(constraint, part)
        members = tuple(self.tree(member, part, is_permission) for member in constraint.members)
        tests = tuple(member.test for member in members)
        if constraint.operand is LogicalOperand.OR:
            test = (any_for_permission if is_permission else any_for_prohibition)(tests)
        elif constraint.operand is LogicalOperand.XONE:
            test = exactly_one(tests)
        else:
            test = (all_for_permission if is_permission else all_for_prohibition)(tests)
            if constraint.operand is LogicalOperand.AND_SEQUENCE:
                what = "the order of `andSequence` is not judged without a record of when its members became true"
                self.warnings.append(
                    Diagnostic(
                        code="no-history", severity=Severity.WARNING, where=constraint.where, what=what, mend="write `and`"
                    )
                )
        return Group(constraint=constraint, members=members, test=test)

    def atom(self, constraint: Constraint, part: str) -> Atom:
        operand = self.vocabulary.operand(constraint.left)
        if operand is None:
            detail = f"unknown left operand `{constraint.left[:80]}`; {self.vocabulary.hint_operand(constraint.left)}"
            unknown = Unknown(code=Code.OPERAND_UNKNOWN, detail=detail, needs=constraint.left)
            return Atom(constraint=constraint, operand=None, test=self.never(unknown, constraint.where), part=part)
        right = right_side(constraint, operand)
        if isinstance(right, Unknown):
            return Atom(constraint=constraint, operand=operand, test=self.never(right, constraint.where), part=part)
        if operand.is_legal_only:
            unknown = Unknown(
                code=Code.LEGAL_ONLY, detail=f"`{operand.label}` is agreed, not technically enforced", needs=operand.name
            )
            return Atom(constraint=constraint, operand=operand, test=constant(unknown), part=part)
        if operand.sources[0].kind is SourceKind.LEDGER:
            unknown = Unknown(code=Code.STATE_MISSING, detail=f"nobody keeps count of `{operand.label}`", needs=operand.name)
            return Atom(constraint=constraint, operand=operand, test=self.never(unknown, constraint.where), part=part)
        is_clock = operand.sources == (Source(kind=SourceKind.CLOCK),)
        if operand.value is ValueType.DATE_TIME:
            self.zones(constraint)
        judge = clock_test(constraint, right) if is_clock and constraint.operator in ORDERED else None
        test = at_stage(operand, judge or value_test(constraint, operand, right))
        return Atom(
            constraint=constraint,
            operand=operand,
            test=test,
            part=part,
            ticks=_ticks(constraint, operand, right) if is_clock else None,
        )

    def never(self, unknown: Unknown, where: str) -> Test:
        self.warn(unknown, where)
        return constant(unknown)

    def warn(self, unknown: Unknown, where: str) -> None:
        self.warnings.append(Diagnostic(code=unknown.code, severity=Severity.ERROR, where=where, what=unknown.detail))

    def zones(self, constraint: Constraint) -> None:
        for value in constraint.right:
            if not has_zone(value.text) and value.text[:1].isdigit():
                what = f"`{value.text[:40]}` names no time zone and is read as UTC"
                mend = "write a `Z` or an offset behind it"
                self.warnings.append(
                    Diagnostic(code="W-TZ", severity=Severity.WARNING, where=constraint.where, what=what, mend=mend)
                )


def atoms(tree: Tree) -> tuple[Atom, ...]:
    """The atoms of a compiled constraint, in written order."""
    if isinstance(tree, Atom):
        return (tree,)
    return tuple(atom for member in tree.members for atom in atoms(member))


def _ticks(constraint: Constraint, operand: Operand, right: tuple[Typed, ...]) -> Ticks:
    return Ticks(
        fixed=tuple(edge for value in right if isinstance(value, Span) for edge in edges(constraint.operator, value)),
        relative=tuple(value for value in right if isinstance(value, Relative)),
        operator=constraint.operator,
        judged=tuple(is_judged(operand, stage) for stage in Stage),
    )


def flips(rule: CompiledRule, frame: Frame) -> list[datetime]:
    """The instants after now at which a premise of the rule changes by the clock, in no order."""
    now = frame.now
    found: list[datetime] = []
    for ticks in rule.clock:
        if not ticks.judged[frame.stage]:
            continue
        found += [edge for edge in ticks.fixed if edge > now]
        for offset in ticks.relative:
            span = resolve(offset, frame.world.agreed_at)
            if isinstance(span, Span):
                found += [edge for edge in edges(ticks.operator, span) if edge > now]
    return found
