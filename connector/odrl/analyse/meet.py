"""What two policies both permit, as a policy: the largest offer that lies within both.

Each permission of one is joined with each of the other: the narrower action, the named target and party, all constraints
without those that the others imply, all duties. Prohibitions and obligations of both stay. The result is proven to permit
exactly what both permit before it is given out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from connector.odrl.analyse.boxes import Beyond, Box, bounded, difference, intersection
from connector.odrl.analyse.contain import lacking
from connector.odrl.analyse.normal import Forms, boxes_of, doubts, normal_forms
from connector.odrl.analyse.space import Placed, duties
from connector.odrl.analyse.witness import stages
from connector.odrl.canonical import constraint_text, rule_text
from connector.odrl.expand import composed, conjunction
from connector.odrl.model import ActionRef, AnyConstraint, AssetRef, Conflict, Constraint, PartyRef, Permission, Policy
from connector.odrl.operands import right_side
from connector.odrl.standing import restored
from connector.odrl.truth import Stage, Unknown
from connector.odrl.vocabulary import Vocabulary

_MOST_PAIRS = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Meet:
    """What both permit, or why there is no such policy."""

    policy: Policy | None
    reasons: tuple[str, ...] = ()
    is_empty: bool = False
    # True: it is known that both permit nothing


@bounded
def meet(a: Policy, b: Policy, vocabulary: Vocabulary) -> Meet:
    """The policy that permits exactly what both permit, in the words of `a` where both say the same.

    Raises: PolicyError when a policy expands beyond all measure.
    """
    unsure = (*doubts(a, "the first", vocabulary), *doubts(b, "the second", vocabulary))
    if unsure:
        return Meet(policy=None, reasons=unsure)
    a, b = composed(a), composed(b)
    try:
        forms = normal_forms(vocabulary, a, b)
        shared = intersection(forms.policies[0].permits, forms.policies[1].permits)
        if not any(Stage.REQUEST in stages(forms.space, box) for box in shared):
            return Meet(policy=None, reasons=("nothing is permitted by both",), is_empty=True)
        found = _joined(a, b, forms)
        if found is None or not _is_exact(a, b, found, vocabulary):
            return Meet(policy=None, reasons=("what both permit cannot be written as one policy",))
    except Beyond as beyond:
        return Meet(policy=None, reasons=(str(beyond),))
    return Meet(policy=restored(found, (a, b), vocabulary))


def _is_exact(a: Policy, b: Policy, found: Policy, vocabulary: Vocabulary) -> bool:
    forms = normal_forms(vocabulary, a, b, found)
    first, second, result = forms.policies
    shared = intersection(first.permits, second.permits)
    apart = (*difference(shared, result.permits), *difference(result.permits, shared))
    return (
        not any(Stage.REQUEST in stages(forms.space, box) for box in apart) and not lacking(a, found) and not lacking(b, found)
    )


def _joined(a: Policy, b: Policy, forms: Forms) -> Policy | None:
    first, second = ([one for one in rules if one.is_permission] for rules in forms.space.rules)
    if len(first) * len(second) > _MOST_PAIRS:
        raise Beyond("too many rules to join")
    is_apart = any(
        x and y and x != y for x, y in ((a.targets, b.targets), (a.assignees, b.assignees), (a.assigners, b.assigners))
    )
    permissions = [rule for x in first for y in second for rule in _pair(x, y, forms, is_apart=is_apart)]
    if not permissions:
        return None
    overridden = [set(policy.conflicts) == {Conflict.PERM} for policy in (a, b)]
    is_all = all(overridden)
    kept = [policy for policy, is_void in zip((a, b), overridden, strict=True) if is_all or not is_void]
    prohibitions = {
        rule_text(rule): replace(
            rule,
            actions=rule.actions or policy.actions,
            targets=rule.targets or (policy.targets if is_apart else ()),
            assignees=rule.assignees or (policy.assignees if is_apart else ()),
        )
        for policy in kept
        for rule in policy.prohibitions
    }
    return replace(
        a,
        actions=(),
        targets=() if is_apart else a.targets or b.targets,
        assignees=() if is_apart else a.assignees or b.assignees,
        permissions=tuple(permissions),
        prohibitions=tuple(prohibitions.values()),
        obligations=tuple({rule_text(rule): rule for rule in (*a.obligations, *b.obligations)}.values()),
        profiles=tuple(dict.fromkeys((*a.profiles, *b.profiles))),
        conflicts=(kept[0] if kept else a).conflicts,
    )


def _pair(a: Placed, b: Placed, forms: Forms, *, is_apart: bool) -> list[Permission]:
    space = forms.space
    base = a.rule.rule
    boxes = intersection(boxes_of(space, a), boxes_of(space, b))
    if not isinstance(base, Permission) or not any(Stage.REQUEST in stages(space, box) for box in boxes):
        return []
    named = {*base.targets, *b.rule.rule.targets, *base.assignees, *b.rule.rule.assignees}
    refinements = (*(a.rule.action.refinements if a.rule.action else ()), *(b.rule.action.refinements if b.rule.action else ()))
    both = _narrowed(
        [(one, a) for one in conjunction(base.constraints)], [(one, b) for one in conjunction(b.rule.rule.constraints)], forms
    )
    target, assignee = _one(a.rule.target, b.rule.target), _one(a.rule.assignee, b.rule.assignee)
    shared = {rule_text(duty): duty for duty in (*duties(a.rule), *duties(b.rule))}
    return [
        replace(
            base,
            actions=(action,),
            targets=(target,) if isinstance(target, AssetRef) and (is_apart or target in named) else (),
            assignees=(assignee,) if isinstance(assignee, PartyRef) and (is_apart or assignee in named) else (),
            functions=tuple(dict.fromkeys((*base.functions, *b.rule.rule.functions))),
            relations=tuple(dict.fromkeys((*base.relations, *b.rule.rule.relations))),
            constraints=both,
            duties=tuple(shared.values()),
        )
        for action in _actions(a.rule.action, b.rule.action, refinements, space.vocabulary)
    ]  # fmt: skip


def _one(a: AssetRef | PartyRef | None, b: AssetRef | PartyRef | None) -> AssetRef | PartyRef | None:
    # two different ones have nothing in common, or it cannot be said in one rule: the proof refuses it
    return b if a is None else a


def _actions(
    a: ActionRef | None, b: ActionRef | None, refinements: tuple[AnyConstraint, ...], words: Vocabulary
) -> list[ActionRef]:
    """The topmost actions that both cover."""
    if a is None or b is None:
        return [one for one in (a, b) if one is not None]
    first, second = words.action(a.name), words.action(b.name)
    refined = tuple({constraint_text(one): one for one in refinements}.values())
    if first is None or second is None or first == second:
        return [replace(a, refinements=refined)] if a.name == b.name or first == second else []
    below = [name for name, above in words.covering.items() if first.name in above and second.name in above]
    tops = [name for name in below if not any(other != name and other in words.covering[name] for other in below)]
    return [replace(b if name == b.name else a, name=name, refinements=refined) for name in tops]


# --- constraints


def _narrowed(
    first: Sequence[tuple[AnyConstraint, Placed]], second: Sequence[tuple[AnyConstraint, Placed]], forms: Forms
) -> tuple[AnyConstraint, ...]:
    """The constraints of both without those that the others imply; lists of words for one operand intersected."""
    merged: list[tuple[AnyConstraint, Placed]] = list(first)
    for constraint, placed in second:
        for number, (twin, owner) in enumerate(merged):
            shared = _common(twin, constraint, forms.space.vocabulary)
            if shared is not None:
                merged[number] = (shared, owner)
                break
        else:
            merged.append((constraint, placed))
    # an intersection is no constraint of either policy, and stays; the others go when they say nothing new
    known = {id(constraint) for constraint, _ in (*first, *second)}
    boxes = {id(one): boxes_of(forms.space, placed, (one,)) for one, placed in merged if id(one) in known}
    kept = list(merged)
    for one in merged[::-1]:
        others = [boxes[id(other)] for other, _ in kept if other is not one[0] and id(other) in known]
        if id(one[0]) in known and others and not difference(_all(forms, others), boxes[id(one[0])]):
            kept.remove(one)
    return tuple(constraint for constraint, _ in kept)


def _all(forms: Forms, parts: Sequence[list[Box]]) -> list[Box]:
    found: list[Box] = [forms.space.full]
    for boxes in parts:
        found = intersection(found, boxes)
    return found


def _common(a: AnyConstraint, b: AnyConstraint, words: Vocabulary) -> Constraint | None:
    """What two lists of words for one operand have in common, in the words of the first; None when they are no such lists."""
    if not isinstance(a, Constraint) or not isinstance(b, Constraint) or {a.operator, b.operator} != {"isAnyOf"}:
        return None
    operand = words.operand(a.left)
    if operand is None or operand.is_many or operand != words.operand(b.left) or a.extra or b.extra:
        return None
    allowed = right_side(b, operand)
    if isinstance(allowed, Unknown) or len(allowed) == 0:
        return None
    right = tuple(value for value in a.right if right_side(replace(a, right=(value,)), operand) in [(one,) for one in allowed])
    return replace(a, right=right) if right else None
