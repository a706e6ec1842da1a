"""From a policy as it was written to atomic rules: references followed, what is said twice taken once, shared properties pushed
down, several actions, targets or parties multiplied.

Inheritance is resolved before that, in `inherit`.
Source: ODRL Information Model 2.2, sections 2.6.5 (one duty of several rules), 2.7 (policy rule composition: compact to atomic).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import product
from math import prod
from typing import Any, TypeVar

from connector.errors import PolicyError
from connector.odrl.canonical import rule_text
from connector.odrl.model import (
    ActionRef,
    AnyConstraint,
    AssetRef,
    Duty,
    DutyRole,
    LogicalConstraint,
    PartyRef,
    Permission,
    Policy,
    Prohibition,
    Rule,
    Shared,
)

MAX_ATOMS = 20_000
"""Rules that the multiplying of actions, targets and parties may add up to: a short text must not become a long judgement."""
_LAST = (DutyRole.REMEDY, DutyRole.CONSEQUENCE)
# neither has consequences (Information Model 2.6.6, 2.6.7)
_R = TypeVar("_R", Permission, Prohibition, Duty)


# --- whole rules


def composed(policy: Policy) -> Policy:
    """The policy with its rules whole and each of them once; the policy itself when it is written so.

    1. A duty that is no more than an identifier stands for the duty that is written out under it.
    2. A rule that says again, in the same words, what an earlier one says is left out: `canonical.same` takes them for one, so
       nobody gets ten uses more by writing `count <= 10` twice.
    3. Actions, functions and relations that the policy names for all of its rules stand in each that has none of its own.
       Targets, assigners and assignees are left to `atomic`: an offer and its agreement differ in them.
    """
    # 1
    written = {duty.uid: duty for duty in every_duty(policy) if not _is_reference(duty)}
    if any(_is_reference(duty) for duty in every_duty(policy)):
        policy = _linked(policy, written)
    # 2
    permissions, prohibitions = _once(policy.permissions), _once(policy.prohibitions)
    if len(permissions) != len(policy.permissions) or len(prohibitions) != len(policy.prohibitions):
        policy = replace(policy, permissions=permissions, prohibitions=prohibitions)
    # 3
    if policy.actions or policy.functions or policy.relations:
        policy = replace(
            policy,
            permissions=tuple(_shared(rule, policy) for rule in policy.permissions),
            prohibitions=tuple(_shared(rule, policy) for rule in policy.prohibitions),
            obligations=tuple(_shared(rule, policy) for rule in policy.obligations),
        )
    return policy


def torn(policy: Policy) -> str | None:
    """An identifier under which two different duties are written out; None when there is none.

    What is on record for the one would be taken for the other: a payment for a consent.
    """
    texts: dict[str, str] = {}
    for duty in every_duty(policy):
        if duty.uid is not None and not duty.uid.startswith("_:") and not _is_reference(duty):
            text = rule_text(duty)
            if texts.setdefault(duty.uid, text) != text:
                return duty.uid
    return None


def every_duty(policy: Policy) -> Iterator[Duty]:
    """The obligations, duties, remedies and consequences of a policy as they are written."""
    waiting = [*policy.obligations]
    waiting += (duty for rule in policy.permissions for duty in rule.duties)
    waiting += (duty for rule in policy.prohibitions for duty in rule.remedies)
    while waiting:
        duty = waiting.pop()
        yield duty
        waiting += duty.consequences


def _is_reference(duty: Duty) -> bool:
    return duty.uid is not None and duty == Duty(uid=duty.uid, role=duty.role)


def _linked(policy: Policy, written: Mapping[str | None, Duty]) -> Policy:
    def link(duty: Duty) -> Duty:
        found = written.get(duty.uid) if _is_reference(duty) else None
        if found is not None:
            consequences = () if duty.role in _LAST else found.consequences
            duty = replace(found, role=duty.role, where=duty.where, consequences=consequences)
        return replace(duty, consequences=tuple(map(link, duty.consequences))) if duty.consequences else duty

    return replace(
        policy,
        permissions=tuple(replace(rule, duties=tuple(map(link, rule.duties))) for rule in policy.permissions),
        prohibitions=tuple(replace(rule, remedies=tuple(map(link, rule.remedies))) for rule in policy.prohibitions),
        obligations=tuple(map(link, policy.obligations)),
    )


def _once(rules: tuple[_R, ...]) -> tuple[_R, ...]:
    if len(rules) < 2:
        return rules
    # what two rules of one text have in common, and few others: a text is made only where there may be a second one
    heads = [_head(rule) for rule in rules]
    times = Counter(heads)
    found: dict[object, _R] = {}
    for number, (rule, head) in enumerate(zip(rules, heads, strict=True)):
        # only conditions can ask what is on record under the name of the rule
        is_plain = not rule.constraints and not any(action.refinements for action in rule.actions)
        found.setdefault(number if is_plain or times[head] == 1 else rule_text(rule), rule)
    return tuple(found.values())


def _head(rule: Rule) -> tuple[frozenset[str | None], ...]:
    return (
        frozenset(action.name for action in rule.actions),
        frozenset(asset.uid for asset in rule.targets),
        frozenset(_lefts(rule.constraints)),
    )


def _lefts(constraints: tuple[AnyConstraint, ...]) -> Iterator[str]:
    for one in constraints:
        if isinstance(one, LogicalConstraint):
            yield from _lefts(one.members)
        else:
            yield one.left


def _shared(rule: _R, policy: Policy) -> _R:
    holder: Shared = rule
    parts: dict[str, Any] = {
        "actions": holder.actions or policy.actions,
        "functions": _and_shared(holder.functions, policy.functions),
        "relations": _and_shared(holder.relations, policy.relations),
    }
    return replace(rule, **parts)


def _and_shared(own: tuple[Any, ...], shared: tuple[Any, ...]) -> tuple[Any, ...]:
    # functions or relations
    names = {one.name for one in own}
    return (*own, *(one for one in shared if one.name not in names))


# --- atomic rules


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
