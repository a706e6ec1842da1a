"""Which policy holds, and what it inherits: a policy together with everything that its parents, and theirs, say.

A policy that is replaced is void: the one that replaces it is processed instead, when it is at hand.

A child takes over the parents' assets, parties and actions of the whole policy, their profiles, conflict strategies and
rules; what has been accumulated so far (`status`) stays behind. Which policies there are is the caller's to know.
Source: ODRL Information Model 2.2, sections 2.8 (isReplacedBy) and 2.9.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TypeVar

from connector.odrl.model import (
    ActionRef,
    AnyConstraint,
    AssetRef,
    Constraint,
    Duty,
    PartyRef,
    Permission,
    Policy,
    Prohibition,
)
from connector.odrl.terms import stranger
from connector.odrl.truth import Code, Unknown

_MOST = 1_000
_Ref = TypeVar("_Ref", AssetRef, PartyRef, ActionRef)
_Rule = TypeVar("_Rule", Permission, Prohibition, Duty)
_Item = TypeVar("_Item")


def in_force(policy: Policy, known: Mapping[str, Policy]) -> Policy | Unknown:
    """The policy, or the one of `known` that replaces it, at any remove; an Unknown when that is not known or not one."""
    seen: set[str] = set()
    while policy.replaced_by:
        name = policy.replaced_by[0]
        if name in seen or len(seen) >= _MOST:
            return Unknown(code=Code.CYCLE, detail=f"the policy `{name}` replaces itself", needs=name)
        seen.add(name)
        successor = known.get(name) if len(policy.replaced_by) == 1 else None
        if successor is None:
            detail = f"the policy is replaced by `{'` and `'.join(policy.replaced_by[:3])}`"
            return Unknown(code=Code.REPLACED, detail=detail, needs=name)
        policy = successor
    return policy


def whole(policy: Policy, known: Mapping[str, Policy]) -> Policy | Unknown:
    """The policy that holds, with all that it inherits; an Unknown where `known` lacks one that it takes."""
    holding = in_force(policy, known)
    return holding if isinstance(holding, Unknown) else merged(holding, known)


def merged(policy: Policy, parents: Mapping[str, Policy]) -> Policy | Unknown:
    """The policy with all that it inherits, to any depth; an Unknown when a parent is not in `parents` or is its own ancestor."""
    if not policy.inherit_from:
        return policy
    whole = policy
    taken: set[str] = set()
    finished: set[str] = set()
    # (name of an ancestor, whether all of its own ancestors are done)
    waiting = [(name, False) for name in reversed(policy.inherit_from)]
    way = {policy.uid} if policy.uid else set()
    while waiting:
        name, is_done = waiting.pop()
        if is_done:
            way.discard(name)
            finished.add(name)
            continue
        if name in way:
            return Unknown(code=Code.CYCLE, detail=f"the policy `{name}` inherits from itself", needs=name)
        if name in finished:
            continue
        parent = parents.get(name)
        if parent is None or len(taken) >= _MOST:
            detail = f"the parent policy `{name}` is not known"
            return Unknown(code=Code.REFERENCE_UNRESOLVABLE, detail=detail, needs=name)
        if name not in taken:
            taken.add(name)
            whole = _added(whole, parent, name)
        way.add(name)
        waiting.append((name, True))
        waiting += [(above, False) for above in reversed(parent.inherit_from)]
    return replace(whole, inherit_from=())


def _added(child: Policy, parent: Policy, name: str) -> Policy:
    place = (parent.where, name)
    return replace(
        child,
        actions=_union(child.actions, tuple(_reference(each) for each in parent.actions)),
        targets=_union(child.targets, tuple(_reference(each) for each in parent.targets)),
        assigners=_union(child.assigners, tuple(_reference(each) for each in parent.assigners)),
        assignees=_union(child.assignees, tuple(_reference(each) for each in parent.assignees)),
        functions=_union(child.functions, tuple(replace(each, party=_reference(each.party)) for each in parent.functions)),
        relations=_union(child.relations, tuple(replace(each, asset=_reference(each.asset)) for each in parent.relations)),
        profiles=_union(child.profiles, parent.profiles),
        conflicts=_union(child.conflicts, parent.conflicts),
        permissions=child.permissions + tuple(_rule(each, place) for each in parent.permissions),
        prohibitions=child.prohibitions + tuple(_rule(each, place) for each in parent.prohibitions),
        obligations=child.obligations + tuple(_rule(each, place) for each in parent.obligations),
        # what a parent says that nobody understands is not understood of its children either
        extra=child.extra + tuple(each for each in parent.extra if stranger((each,)) is not None),
        warnings=child.warnings + parent.warnings,
    )


def _union(own: tuple[_Item, ...], inherited: tuple[_Item, ...]) -> tuple[_Item, ...]:
    return own + tuple(item for item in inherited if item not in own)


def _rule(rule: _Rule, place: tuple[str, str]) -> _Rule:
    """A rule as the child has it: without status, and told by the parent's name, for two policies may have the same paths."""
    there, name = place
    where = rule.where.replace(there, name, 1) if there and rule.where.startswith(there) else f"{name}.{rule.where}"
    found = replace(
        rule,
        where=where,
        actions=tuple(_reference(each) for each in rule.actions),
        targets=tuple(_reference(each) for each in rule.targets),
        assigners=tuple(_reference(each) for each in rule.assigners),
        assignees=tuple(_reference(each) for each in rule.assignees),
        functions=tuple(replace(each, party=_reference(each.party)) for each in rule.functions),
        relations=tuple(replace(each, asset=_reference(each.asset)) for each in rule.relations),
        constraints=tuple(_fresh(each) for each in rule.constraints),
    )
    if isinstance(found, Permission):
        return replace(found, duties=tuple(_rule(each, place) for each in found.duties))
    if isinstance(found, Prohibition):
        return replace(found, remedies=tuple(_rule(each, place) for each in found.remedies))
    return replace(found, consequences=tuple(_rule(each, place) for each in found.consequences))


def _reference(reference: _Ref) -> _Ref:
    return replace(reference, refinements=tuple(_fresh(each) for each in reference.refinements))


def _fresh(constraint: AnyConstraint) -> AnyConstraint:
    # 2.9: any state information of the parent MUST NOT be transferred
    if isinstance(constraint, Constraint):
        return replace(constraint, status=None)
    return replace(constraint, members=tuple(_fresh(member) for member in constraint.members))
