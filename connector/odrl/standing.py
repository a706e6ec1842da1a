"""Constraints of a profile that stand for others: `DataUsageEndDate eq 2027-01-01` means use until then, not on that day.

A profile says it with its operand, by operator; `{}` is the value as it was written:

    "stands_for": {"eq": {"leftOperand": "inForceDate", "operator": "lteq", "rightOperand": "contractAgreement+{}d"}}

Policies are kept, compared for equality and sent as they were written; what is judged is what they stand for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from connector.odrl.model import (
    ActionRef,
    AnyConstraint,
    Constraint,
    Duty,
    LogicalConstraint,
    LogicalOperand,
    Operator,
    Permission,
    Policy,
    Prohibition,
    Rule,
    Value,
)
from connector.odrl.operands import right_side
from connector.odrl.terms import stranger
from connector.odrl.truth import Unknown
from connector.odrl.vocabulary import Vocabulary


def standing(policy: Policy, vocabulary: Vocabulary) -> Policy:
    """The policy with each constraint in place that another one stands for; the policy itself when there is none."""
    if vocabulary.standing.isdisjoint(_lefts(policy)):
        return policy
    return _Walk(lambda one: _stood_for(one, vocabulary)).policy(policy)


def restored(policy: Policy, written: Iterable[Policy], vocabulary: Vocabulary) -> Policy:
    """A policy put together from what `written` policies stand for, with their own constraints in place again: what goes to a
    peer is in the words that it used."""
    table: dict[AnyConstraint, AnyConstraint] = {}

    def note(one: AnyConstraint) -> AnyConstraint:
        found = _stood_for(one, vocabulary)
        if found is not one:
            table[found] = one
        return one

    for each in written:
        if not vocabulary.standing.isdisjoint(_lefts(each)):
            _Walk(note).policy(each)
    return _Walk(lambda one: table.get(one, one)).policy(policy) if table else policy


def _stood_for(one: AnyConstraint, vocabulary: Vocabulary) -> AnyConstraint:
    operand = vocabulary.operand(one.left) if isinstance(one, Constraint) else None
    if operand is None or not isinstance(one, Constraint):
        return one
    template = operand.stands_for.get(one.operator)
    # what its own profile does not allow stands for nothing: it stays, and is judged as what it is
    if template is None or len(one.right) != 1 or isinstance(right_side(one, operand), Unknown):
        return one
    if stranger(one.extra) is not None:
        # what may have been meant as a condition of it would be lost
        return one
    return _filled(template, one)


def _lefts(policy: Policy) -> Iterator[str]:
    """The left operands of all conditions and refinements of actions."""
    waiting: list[Rule] = [*policy.permissions, *policy.prohibitions, *policy.obligations]
    while waiting:
        rule = waiting.pop()
        yield from _leaves(rule.constraints)
        for action in rule.actions:
            yield from _leaves(action.refinements)
        waiting += (
            rule.duties
            if isinstance(rule, Permission)
            else rule.remedies
            if isinstance(rule, Prohibition)
            else rule.consequences
        )


def _leaves(constraints: tuple[AnyConstraint, ...]) -> Iterator[str]:
    for one in constraints:
        if isinstance(one, LogicalConstraint):
            yield from _leaves(one.members)
        else:
            yield one.left


class _Walk:
    """Puts another constraint in the place of each one that `change` changes; a join that it keeps is walked into."""

    def __init__(self, change: Callable[[AnyConstraint], AnyConstraint]) -> None:
        self.change = change

    def policy(self, policy: Policy) -> Policy:
        return replace(
            policy,
            permissions=tuple(map(self.permission, policy.permissions)),
            prohibitions=tuple(map(self.prohibition, policy.prohibitions)),
            obligations=tuple(map(self.duty, policy.obligations)),
        )

    def permission(self, rule: Permission) -> Permission:
        return replace(rule, **self.common(rule), duties=tuple(map(self.duty, rule.duties)))

    def prohibition(self, rule: Prohibition) -> Prohibition:
        return replace(rule, **self.common(rule), remedies=tuple(map(self.duty, rule.remedies)))

    def duty(self, rule: Duty) -> Duty:
        return replace(rule, **self.common(rule), consequences=tuple(map(self.duty, rule.consequences)))

    def common(self, rule: Rule) -> dict[str, Any]:
        return {
            "constraints": tuple(map(self.constraint, rule.constraints)),
            "actions": tuple(map(self.action, rule.actions)),
        }

    def action(self, action: ActionRef) -> ActionRef:
        if not action.refinements:
            return action
        return replace(action, refinements=tuple(map(self.constraint, action.refinements)))

    def constraint(self, one: AnyConstraint) -> AnyConstraint:
        found = self.change(one)
        if found is one and isinstance(one, LogicalConstraint):
            return replace(one, members=tuple(map(self.constraint, one.members)))
        return found


def _filled(template: Mapping[str, Any], one: Constraint) -> AnyConstraint:
    joins = [operand for operand in LogicalOperand if operand in template]
    if joins:
        members = tuple(_filled(member, one) for member in template[joins[0]])
        return LogicalConstraint(operand=joins[0], members=members, uid=one.uid, where=one.where)
    right = template["rightOperand"]
    texts = right if isinstance(right, list) else [right]
    return Constraint(
        left=template["leftOperand"],
        operator=Operator(template["operator"]),
        right=tuple(Value(text=str(text).replace("{}", one.right[0].text.strip())) for text in texts),
        uid=one.uid,
        where=one.where,
    )
