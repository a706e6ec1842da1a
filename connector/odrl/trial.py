"""How well cases test a policy: which rules and conditions they try both ways, and which small changes they would not notice.

A rule is tried when some case makes it apply; a condition or duty when it holds in one case and does not in another. A mutant
is the policy with one operator turned round, or one condition, duty or rule left out; the cases kill it when one of them fails.
Clauses that only the law enforces decide nothing, so neither counts them.
Files and reports are the business of `kontor policy test`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from connector.odrl.cases import Case, answer, compiled, differences
from connector.odrl.model import (
    ActionRef,
    AnyConstraint,
    AssetRef,
    Constraint,
    Duty,
    LogicalConstraint,
    Operator,
    PartyRef,
    Permission,
    Policy,
    Prohibition,
)
from connector.odrl.truth import Code, State
from connector.odrl.vocabulary import Vocabulary
from connector.odrl.yamlline import SIGNS

_TURNED = {
    Operator.EQ: Operator.NEQ,
    Operator.NEQ: Operator.EQ,
    Operator.LT: Operator.GTEQ,
    Operator.GTEQ: Operator.LT,
    Operator.LTEQ: Operator.GT,
    Operator.GT: Operator.LTEQ,
    Operator.IS_ANY_OF: Operator.IS_NONE_OF,
    Operator.IS_NONE_OF: Operator.IS_ANY_OF,
    Operator.IS_ALL_OF: Operator.IS_NONE_OF,
    Operator.IS_PART_OF: Operator.NEQ,
    Operator.IS_A: Operator.NEQ,
    Operator.HAS_PART: Operator.NEQ,
}
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """What cases try of a policy; each gap is a place and what was never seen there."""

    rules: int
    rules_tried: int
    conditions: int
    conditions_tried: int
    gaps: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """A policy changed in one place."""

    where: str
    change: str
    policy: Policy


def coverage(policy: Policy, cases: Sequence[Case], vocabulary: Vocabulary) -> Coverage:
    """What the cases try of a policy.

    Raises: PolicyError when the policy expands beyond all measure.
    """
    applied: set[str] = set()
    held: set[str] = set()
    failed: set[str] = set()
    for case in cases:
        decision = answer(case, compiled(case, vocabulary))
        if decision.is_permitted:
            applied.add(decision.rule)
        for reason in decision.reasons:
            if reason.part == "rule" and reason.code in (Code.PERMITTED, Code.PROHIBITED):
                applied.add(reason.where)
            (held if reason.state is State.SATISFIED else failed).add(reason.where)
    for rule in _rules(policy):
        if rule.where in applied:
            # a report tells what picks a target only where it picks another one
            held |= {leaf.where for asset in rule.targets for leaf in _leaves(asset.refinements)}
    # a prohibition of clauses for the law alone applies nowhere but in court
    rules = [
        rule.where
        for rule in _rules(policy)
        if isinstance(rule, Permission)
        or not rule.constraints
        or not all(_is_legal(leaf, vocabulary) for leaf in _leaves(rule.constraints))
    ]
    conditions = list(dict.fromkeys(_conditions(policy, vocabulary)))
    gaps = [f"{where}: the rule never applies" for where in rules if where not in applied]
    for where, text in conditions:
        missed = [word for word, seen in (("true", held), ("false", failed)) if where not in seen]
        if missed:
            gaps.append(f"{where}: `{text}` is never {' nor '.join(missed)}")
    return Coverage(
        rules=len(rules),
        rules_tried=sum(where in applied for where in rules),
        conditions=len(conditions),
        conditions_tried=sum(where in held and where in failed for where, _ in conditions),
        gaps=tuple(gaps),
    )


def mutants(policy: Policy, vocabulary: Vocabulary) -> Iterator[Mutant]:
    """The policy with each one of its operators turned, and without each one of its conditions, duties and rules."""
    for where, change, changed in _Mutator(vocabulary).policy(policy):
        yield Mutant(where=where, change=change, policy=changed)


def survives(mutant: Mutant, cases: Sequence[Case], vocabulary: Vocabulary) -> bool:
    """True when no case notices the change."""
    changed = (replace(case, policy=mutant.policy) for case in cases)
    return not any(differences(case, compiled(case, vocabulary)) for case in changed)


def _rules(policy: Policy) -> tuple[Permission | Prohibition, ...]:
    return (*policy.permissions, *policy.prohibitions)


def _conditions(policy: Policy, vocabulary: Vocabulary) -> Iterator[tuple[str, str]]:
    for rule in _rules(policy):
        refined: tuple[ActionRef | AssetRef | PartyRef, ...] = (*rule.actions, *rule.assignees, *rule.targets)
        for leaf in _leaves((*rule.constraints, *(one for part in refined for one in part.refinements))):
            if not _is_legal(leaf, vocabulary):
                yield leaf.where, text_of(leaf)
        for duty in rule.duties if isinstance(rule, Permission) else ():
            yield duty.where, f"duty to {' and '.join(action.name for action in duty.actions) or 'act'}"


def text_of(one: AnyConstraint) -> str:
    """A condition in short, for people."""
    if isinstance(one, LogicalConstraint):
        return f"{one.operand.value}(...)"
    right = [value.text for value in one.right] or list(one.right_references)
    shown = right[0] if len(right) == 1 else f"[{', '.join(right)}]"
    return f"{one.left.rpartition('/')[2]} {SIGNS[one.operator]} {shown}"


def _leaves(constraints: Sequence[AnyConstraint]) -> Iterator[Constraint]:
    for one in constraints:
        if isinstance(one, LogicalConstraint):
            yield from _leaves(one.members)
        else:
            yield one


def _is_legal(one: AnyConstraint, vocabulary: Vocabulary) -> bool:
    operand = vocabulary.operand(one.left) if isinstance(one, Constraint) else None
    return operand is not None and operand.is_legal_only


_Change = tuple[str, str, Any]


class _Mutator:
    """Each method gives the thing once for each way to change it: place, what was changed, the changed thing."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary

    def policy(self, policy: Policy) -> Iterator[_Change]:
        for name, one in (("permissions", self.permission), ("prohibitions", self.prohibition), ("obligations", self.duty)):
            yield from self.inside(policy, name, one, "rule")

    def permission(self, rule: Permission) -> Iterator[_Change]:
        yield from self.rule(rule)
        yield from self.inside(rule, "duties", self.duty, "duty")

    def prohibition(self, rule: Prohibition) -> Iterator[_Change]:
        yield from self.rule(rule)

    def duty(self, rule: Duty) -> Iterator[_Change]:
        yield from self.rule(rule)

    def rule(self, rule: Permission | Prohibition | Duty) -> Iterator[_Change]:
        yield from self.inside(rule, "constraints", self.constraint, "condition")
        # who and what a rule is about is left out only as a whole; a refinement may be
        for name in ("actions", "assignees", "targets"):
            yield from self.inside(rule, name, self.refined, "")

    def refined(self, part: ActionRef | AssetRef | PartyRef) -> Iterator[_Change]:
        yield from self.inside(part, "refinements", self.constraint, "refinement")

    def constraint(self, one: AnyConstraint) -> Iterator[_Change]:
        if isinstance(one, LogicalConstraint):
            yield from self.inside(one, "members", self.constraint, "condition")
        else:
            turned = _TURNED[one.operator]
            yield one.where, f"`{text_of(one)}` turned into `{SIGNS[turned]}`", replace(one, operator=turned)

    def inside(self, holder: _T, name: str, change: Callable[[Any], Iterator[_Change]], what: str) -> Iterator[_Change]:
        """The changes of a field with several parts: each part changed, and where `what` names one, each left out."""
        parts: tuple[Any, ...] = getattr(holder, name)
        for number, part in enumerate(parts):
            if _is_legal(part, self.vocabulary):
                continue
            for where, said, changed in change(part):
                rest = (*parts[:number], changed, *parts[number + 1 :])
                yield where, said, replace(holder, **{name: rest})  # type: ignore[type-var]
            if what:
                left = f" `{text_of(part)}`" if isinstance(part, (Constraint, LogicalConstraint)) else ""
                rest = (*parts[:number], *parts[number + 1 :])
                yield part.where, f"{what}{left} left out", replace(holder, **{name: rest})  # type: ignore[type-var]
