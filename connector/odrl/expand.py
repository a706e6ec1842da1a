"""From a policy as it was written to atomic rules: shared properties pushed down, several actions, targets or parties multiplied.

Inheritance is resolved before that, in `inherit`.
Source: ODRL Information Model 2.2, sections 2.7 (policy rule composition: compact to atomic).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from math import prod

from connector.errors import PolicyError
from connector.odrl.model import ActionRef, AnyConstraint, AssetRef, Duty, LogicalConstraint, PartyRef, Policy, Rule

MAX_ATOMS = 20_000
"""Rules that the multiplying of actions, targets and parties may add up to: a short text must not become a long judgement."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Atomic:
    """One rule with one action, at most one target, and at most one party on either side."""

    rule: Rule
    action: ActionRef | None
    target: AssetRef | None
    assigner: PartyRef | None
    assignee: PartyRef | None


def atomic(rules: tuple[Rule, ...], policy: Policy) -> Iterator[Atomic]:
    """The atomic rules of `rules`, each of which stands in `policy`. What a rule leaves out it takes from the policy.

    Raises: PolicyError when the product is too large to be meant.
    """
    shapes = [
        (
            rule.actions or policy.actions or (None,),
            rule.targets or policy.targets or (None,),
            rule.assigners or policy.assigners or (None,),
            rule.assignees or policy.assignees or (None,),
        )
        for rule in rules
    ]
    multiplied = 0
    for rule, shape in zip(rules, shapes, strict=True):
        count = prod(map(len, shape))
        # what stands alone was counted when it was read
        multiplied += count if count > 1 else 0
        if multiplied > MAX_ATOMS:
            raise PolicyError(f"more than {MAX_ATOMS} atomic rules", where=rule.where, mend="use collections")
    for rule, shape in zip(rules, shapes, strict=True):
        for action, target, assigner, assignee in product(*shape):
            yield Atomic(rule=rule, action=action, target=target, assigner=assigner, assignee=assignee)


def conjunction(constraints: tuple[AnyConstraint, ...]) -> Iterator[AnyConstraint]:
    """The constraints that must all hold, with every `and` among them flattened: several constraints are a conjunction."""
    for constraint in constraints:
        if isinstance(constraint, LogicalConstraint) and constraint.operand == "and":
            yield from conjunction(constraint.members)
        else:
            yield constraint


def rule_key(rule: Rule) -> str:
    """The name under which the use of a rule is recorded: its identifier, or else the path at which it stands in its policy."""
    return rule.uid if rule.uid and not rule.uid.startswith("_:") else rule.where


def duty_key(duty: Duty) -> str:
    """The name under which the fulfilment of a duty is recorded: that of a rule, so that a duty shared by several rules is
    fulfilled once for all (Information Model 2.6.5)."""
    return rule_key(duty)


def constraint_key(constraint: AnyConstraint) -> str:
    """The name under which it is recorded when a constraint first held."""
    return constraint.uid if constraint.uid and not constraint.uid.startswith("_:") else constraint.where
