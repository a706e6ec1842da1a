"""Does one policy lie within another: what a connector asks before it agrees to what a peer wants.

1. The same canonical text is within.
2. Outside the fragment (inheritance, unknown profiles, exclusive alternatives on other terms) the answer is unknown.
3. Everything that we forbid or demand must be forbidden or demanded in what is asked.
4. Each permission asked for must lie within one of ours: action, target, party, and each of our constraints implied.
5. The right action and target with wider constraints is near: we can answer with our terms, or with what both can accept.

The answer WITHIN is a promise: every request that `asked` permits, `terms` permits. The others promise nothing.
Whoever compares an offer puts its target into both policies first.
Source: none of ODRL's; facts of ODRL Information Model 2.2, sections 2.5 and 2.6, kept by construction.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

from connector.odrl.canonical import OFFER_TO_AGREEMENT, rule_text, same
from connector.odrl.expand import Atomic, atomic, conjunction
from connector.odrl.implication import implied
from connector.odrl.model import AnyConstraint, AssetRef, Conflict, Constraint, Duty, PartyRef, Permission, Policy, Prohibition
from connector.odrl.operands import right_side
from connector.odrl.truth import Unknown
from connector.odrl.values import Typed
from connector.odrl.vocabulary import Operand, Vocabulary

_MOST_RULES = 512
_FOR_READERS = frozenset({"http://purl.org/dc/terms/title", "http://purl.org/dc/terms/description"})
"""Properties of a policy that name and describe it: they change nothing of what it permits."""


class VerdictKind(StrEnum):
    """How what is asked lies to what we offer."""

    WITHIN = "within"
    NEAR = "near"
    OUTSIDE = "outside"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The answer, why, and for `near` the policy to answer with."""

    kind: VerdictKind
    reasons: tuple[str, ...] = ()
    counter: Policy | None = None


@dataclass(frozen=True, slots=True)
class _Match:
    """How one asked permission lies to one of ours."""

    kind: VerdictKind
    reasons: tuple[str, ...]
    distance: int = 0


def within(terms: Policy, asked: Policy, vocabulary: Vocabulary) -> Verdict:
    """Whether `asked` permits nothing that `terms` does not; NEAR carries a counter-offer.

    Raises: PolicyError when a policy expands beyond all measure.
    """
    # 1
    if (
        same(terms, asked, OFFER_TO_AGREEMENT)
        and _covers(terms.targets, asked.targets)
        and _covers(terms.assignees, asked.assignees)
    ):
        return Verdict(kind=VerdictKind.WITHIN, reasons=("the terms are the same",))
    # 2
    doubts = tuple(_doubts(terms, asked, vocabulary))
    if doubts:
        return Verdict(kind=VerdictKind.UNKNOWN, reasons=doubts)
    if not asked.permissions:
        return Verdict(kind=VerdictKind.OUTSIDE, reasons=("what is asked permits nothing",))
    # 3
    lacking = _lacking(terms, asked)
    # 4
    ours = list(atomic(terms.permissions, terms))
    theirs = list(atomic(asked.permissions, asked))
    if len(ours) * len(theirs) > _MOST_RULES**2:
        return Verdict(kind=VerdictKind.UNKNOWN, reasons=("too many rules to compare",))
    matches = [_best(rule, ours, vocabulary) for rule in theirs]
    reasons = (*lacking, *dict.fromkeys(reason for match in matches for reason in match.reasons))
    kinds = {match.kind for match in matches}
    if VerdictKind.OUTSIDE in kinds:
        return Verdict(kind=VerdictKind.OUTSIDE, reasons=reasons)
    if VerdictKind.UNKNOWN in kinds:
        return Verdict(kind=VerdictKind.UNKNOWN, reasons=reasons)
    if not lacking and kinds == {VerdictKind.WITHIN}:
        return Verdict(kind=VerdictKind.WITHIN, reasons=("each permission asked for lies within ours",))
    # 5
    return Verdict(kind=VerdictKind.NEAR, reasons=reasons, counter=_counter(terms, asked, vocabulary))


def _doubts(terms: Policy, asked: Policy, vocabulary: Vocabulary) -> Iterator[str]:
    for policy, whose in ((terms, "our terms"), (asked, "what is asked")):
        if policy.inherit_from:
            yield f"{whose} inherit from `{policy.inherit_from[0]}`, which is not merged"
        for profile in policy.profiles:
            if profile not in vocabulary.profiles:
                yield f"{whose} use the profile `{profile}`, which is not loaded"
        if len(set(policy.conflicts)) > 1:
            yield f"{whose} name several conflict strategies"
        if strange := [name for name, _ in policy.extra if name not in _FOR_READERS]:
            yield f"{whose} have a property `{strange[0]}` that ODRL does not know"
        for rule in (*policy.permissions, *policy.prohibitions):
            if rule.extra:
                yield f"{whose} have a rule with a property `{rule.extra[0][0]}` that ODRL does not know"


def _lacking(terms: Policy, asked: Policy) -> tuple[str, ...]:
    """What our terms demand or forbid and what is asked leaves out."""
    found: list[str] = []
    has = {rule_text(rule) for rule in asked.prohibitions}
    found += [f"the prohibition `{rule.where}` is missing" for rule in terms.prohibitions if rule_text(rule) not in has]
    has = {rule_text(rule) for rule in asked.obligations}
    found += [f"the obligation `{rule.where}` is missing" for rule in terms.obligations if rule_text(rule) not in has]
    if terms.prohibitions and not _shares_prohibitions(terms, asked):
        found.append("the prohibitions are part of policies about different things")
    if terms.prohibitions and _strategies(terms) != _strategies(asked):
        found.append("the conflict strategies differ")
    return tuple(found)


def _strategies(policy: Policy) -> set[Conflict]:
    return set(policy.conflicts) or {Conflict.INVALID}


def _shares_prohibitions(terms: Policy, asked: Policy) -> bool:
    """Whether a prohibition with the same text means the same in both, or more where only `asked` permits anything."""
    if terms.actions != asked.actions:
        return False
    rules: tuple[Permission | Prohibition, ...] = (*asked.permissions, *asked.prohibitions)
    are_plain = not any(rule.targets or rule.assignees for rule in rules)
    pairs: tuple[tuple[tuple[AssetRef | PartyRef, ...], tuple[AssetRef | PartyRef, ...]], ...]
    pairs = ((terms.targets, asked.targets), (terms.assignees, asked.assignees))
    return all(mine == theirs or (not mine and are_plain) for mine, theirs in pairs)


def _best(asked: Atomic, ours: list[Atomic], vocabulary: Vocabulary) -> _Match:
    ranks = {VerdictKind.WITHIN: 0, VerdictKind.NEAR: 1, VerdictKind.UNKNOWN: 2, VerdictKind.OUTSIDE: 3}
    best = _Match(VerdictKind.OUTSIDE, ("our terms permit nothing",))
    for rule in ours:
        match = _match(asked, rule, vocabulary)
        if match.kind is VerdictKind.WITHIN:
            return match
        if (ranks[match.kind], match.distance) < (ranks[best.kind], best.distance) or best.reasons == (
            "our terms permit nothing",
        ):
            best = match
    return best


def _match(asked: Atomic, ours: Atomic, vocabulary: Vocabulary) -> _Match:
    said = asked.rule.where
    if ours.action is None or asked.action is None:
        return _Match(VerdictKind.UNKNOWN, (f"`{said}` or our rule `{ours.rule.where}` names no action",))
    theirs, known = vocabulary.action(asked.action.name), vocabulary.action(ours.action.name)
    if theirs is None or known is None:
        name = asked.action.name if theirs is None else ours.action.name
        return _Match(VerdictKind.UNKNOWN, (f"unknown action `{name}`",))
    if known.name not in vocabulary.covering[theirs.name]:
        return _Match(VerdictKind.OUTSIDE, (f"`{said}` asks for `{theirs.name}`, and we permit `{known.name}`",))
    if not _covers_one(ours.target, asked.target):
        return _Match(VerdictKind.OUTSIDE, (f"`{said}` is about another target",))
    if not _covers_one(ours.assignee, asked.assignee):
        return _Match(VerdictKind.OUTSIDE, (f"`{said}` is for another party",))
    wider: list[str] = []
    unsure: list[str] = []
    known_constraints = list(conjunction((*asked.rule.constraints, *asked.action.refinements)))
    for constraint in conjunction((*ours.rule.constraints, *ours.action.refinements)):
        verdict = implied(constraint, known_constraints, vocabulary)
        if verdict is False:
            wider.append(f"`{said}` does not keep to {describe(constraint)}")
        elif verdict is None:
            unsure.append(f"whether `{said}` keeps to {describe(constraint)} cannot be decided")
    duties = {rule_text(duty) for duty in asked.rule.duties} if isinstance(asked.rule, Permission) else set()
    for duty in ours.rule.duties if isinstance(ours.rule, Permission) else ():
        if rule_text(duty) not in duties or not _is_self_contained(duty):
            wider.append(f"`{said}` lacks the duty to {' and '.join(action.name for action in duty.actions) or 'act'}")
    if unsure:
        return _Match(VerdictKind.UNKNOWN, (*unsure, *wider), len(unsure))
    return _Match(VerdictKind.NEAR, tuple(wider), len(wider)) if wider else _Match(VerdictKind.WITHIN, ())


def _is_self_contained(duty: Duty) -> bool:
    # a duty without an identifier is fulfilled at its path, which two policies do not share
    return duty.uid is not None and not duty.uid.startswith("_:")


def _covers(ours: tuple[AssetRef | PartyRef, ...], asked: tuple[AssetRef | PartyRef, ...]) -> bool:
    return not ours or (bool(asked) and all(any(_covers_one(mine, theirs) for mine in ours) for theirs in asked))


def _covers_one(ours: AssetRef | PartyRef | None, asked: AssetRef | PartyRef | None) -> bool:
    return ours is None or ours == asked


def describe(constraint: AnyConstraint) -> str:
    """A constraint in a few words, such as `purpose isAnyOf research, education`."""
    if isinstance(constraint, Constraint):
        right = ", ".join(value.text for value in constraint.right[:5]) or ", ".join(constraint.right_references[:5])
        return f"`{constraint.left} {constraint.operator.value} {right}`"
    return f"`{constraint.operand.value}` of " + ", ".join(describe(member) for member in constraint.members[:5])


# --- what both can accept


def _counter(terms: Policy, asked: Policy, vocabulary: Vocabulary) -> Policy:
    """The meet of both where it is simple and proves to lie within both; otherwise our terms. It is about what was asked."""
    terms = replace(terms, targets=terms.targets or asked.targets, assignees=terms.assignees or asked.assignees)
    meet = _meet(terms, asked, vocabulary)
    if meet is not None:
        in_terms = within(terms, meet, vocabulary)
        in_asked = within(asked, meet, vocabulary)
        if in_terms.kind is VerdictKind.WITHIN and in_asked.kind is VerdictKind.WITHIN:
            return meet
    return terms


def _meet(terms: Policy, asked: Policy, vocabulary: Vocabulary) -> Policy | None:
    if len(terms.permissions) != 1 or len(asked.permissions) != 1 or asked.prohibitions or asked.obligations:
        return None
    ours, theirs = terms.permissions[0], asked.permissions[0]
    if theirs.duties or any(action.refinements for action in (*ours.actions, *theirs.actions, *terms.actions, *asked.actions)):
        return None
    joined = [*conjunction(ours.constraints), *conjunction(theirs.constraints)]
    narrowed = _narrow(joined, vocabulary)
    if narrowed is None:
        return None
    actions = theirs.actions or asked.actions
    permission = replace(ours, actions=actions, constraints=tuple(narrowed))
    return replace(terms, actions=(), permissions=(permission,))


def _narrow(constraints: list[AnyConstraint], vocabulary: Vocabulary) -> list[AnyConstraint] | None:
    """The constraints without those that the others imply, sets of words intersected; None when nothing is left of a set."""
    merged: list[AnyConstraint] = []
    for constraint in constraints:
        twin = next((other for other in merged if _are_sets_of_one(other, constraint, vocabulary)), None)
        if isinstance(twin, Constraint) and isinstance(constraint, Constraint):
            common = _common(twin, constraint, vocabulary)
            if common is None:
                return None
            merged[merged.index(twin)] = common
        else:
            merged.append(constraint)
    kept = list(merged)
    for constraint in merged:
        others = [other for other in kept if other is not constraint]
        if len(others) < len(kept) and implied(constraint, others, vocabulary):
            kept = others
    return kept


def _are_sets_of_one(a: AnyConstraint, b: AnyConstraint, vocabulary: Vocabulary) -> bool:
    if not isinstance(a, Constraint) or not isinstance(b, Constraint) or a.operator != "isAnyOf" or b.operator != "isAnyOf":
        return False
    operand = vocabulary.operand(a.left)
    return operand is not None and not operand.is_many and operand == vocabulary.operand(b.left)


def _common(a: Constraint, b: Constraint, vocabulary: Vocabulary) -> Constraint | None:
    operand = vocabulary.operand(a.left)
    if operand is None:
        return None
    allowed = right_side(b, operand)
    if isinstance(allowed, Unknown):
        return None
    right = tuple(value for value in a.right if _is_among(replace(a, right=(value,)), allowed, operand))
    return replace(a, right=right) if right else None


def _is_among(constraint: Constraint, allowed: tuple[Typed, ...], operand: Operand) -> bool:
    found = right_side(constraint, operand)
    return not isinstance(found, Unknown) and found[0] in allowed
