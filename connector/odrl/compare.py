"""Does one policy lie within another: what a connector asks before it agrees to what a peer wants.

1. The same canonical text is within.
2. What cannot be compared as a whole (inheritance, unknown profiles) is unknown.
3. Everything that we forbid or demand must be forbidden or demanded in what is asked.
4. What is asked must be permitted by our terms: the boxes of the one without those of the other are empty (`analyse`).
5. The right action, target and party with wider conditions is near: we can answer with what both can accept, or our terms.

The answer WITHIN is a promise: every request that `asked` permits, `terms` permits. The others promise nothing.
Whoever compares an offer puts its target into both policies first.
Source: none of ODRL's; facts of ODRL Information Model 2.2, sections 2.5 and 2.6, kept by construction.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from connector.odrl.analyse.boxes import Beyond, Box, bounded, difference, is_within
from connector.odrl.analyse.contain import gap, lacking
from connector.odrl.analyse.counter import counter_offer
from connector.odrl.analyse.normal import Forms, RuleBoxes, boxes_of, doubts, normal_forms, settled
from connector.odrl.analyse.space import conditions, describe, duties
from connector.odrl.analyse.witness import is_sure, stages
from connector.odrl.canonical import OFFER_TO_AGREEMENT, rule_text, same
from connector.odrl.expand import conjunction
from connector.odrl.model import AssetRef, PartyRef, Policy, Prohibition
from connector.odrl.vocabulary import Vocabulary


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


@bounded
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
    unsure = (*doubts(terms, "our terms", vocabulary), *doubts(asked, "what is asked", vocabulary))
    if unsure:
        return Verdict(kind=VerdictKind.UNKNOWN, reasons=unsure)
    if not asked.permissions:
        return Verdict(kind=VerdictKind.OUTSIDE, reasons=("what is asked permits nothing",))
    if not terms.permissions:
        return Verdict(kind=VerdictKind.OUTSIDE, reasons=("our terms permit nothing",))
    try:
        forms = normal_forms(vocabulary, terms, asked)
        return _verdict(terms, asked, forms)
    except Beyond as beyond:
        return Verdict(kind=VerdictKind.UNKNOWN, reasons=(str(beyond),))


def _verdict(terms: Policy, asked: Policy, forms: Forms) -> Verdict:
    # 3
    missing = (*lacking(terms, asked), *_lifted(forms))
    # 4
    found = gap(forms, 0, 1)
    if not found.boxes:
        if not missing:
            return Verdict(kind=VerdictKind.WITHIN, reasons=("each permission asked for lies within ours",))
        is_outside, reasons = False, missing
    else:
        is_outside, why = _explained(forms)
        reasons = (*missing, *dict.fromkeys(why))
    # 5
    if is_outside:
        return Verdict(kind=VerdictKind.OUTSIDE, reasons=reasons)
    if found.boxes and not found.is_sure:
        return Verdict(kind=VerdictKind.UNKNOWN, reasons=reasons)
    counter = counter_offer(terms, asked, forms.space.vocabulary)
    return Verdict(kind=VerdictKind.NEAR, reasons=reasons, counter=counter.policy)


def _lifted(forms: Forms) -> Iterator[str]:
    """The prohibitions of our terms that do not stand in what is asked, or stand there with less to remedy them."""
    ours, theirs = forms.policies
    for one in ours.prohibitions:
        owed = _remedies(one)
        # what remedies another prohibition remedies nothing of this one
        kept = [box for other in theirs.prohibitions if owed <= _remedies(other) for box in other.boxes]
        if any(stages(forms.space, box) for box in difference(one.boxes, kept)):
            yield f"the prohibition `{one.rule.rule.where}` is missing"


def _remedies(one: RuleBoxes) -> frozenset[str]:
    rule = one.rule.rule
    return frozenset(map(rule_text, rule.remedies)) if isinstance(rule, Prohibition) else frozenset()


# --- why not


def _explained(forms: Forms) -> tuple[bool, list[str]]:
    """Whether what is asked is about something else altogether, and what keeps it from lying within our terms."""
    ours, theirs = forms.policies
    reasons: list[str] = []
    is_outside = False
    for asked in theirs.permissions:
        left = [box for box in difference(asked.boxes, ours.granted) if stages(forms.space, box)]
        if not left:
            continue
        fitting = [rule for rule in ours.permissions if is_within(asked.head, rule.head)]
        if fitting:
            wider = [list(_wider(forms, asked, rule)) for rule in fitting]
            reasons += sorted(wider, key=len)[0]
        else:
            is_outside = is_outside or is_sure(forms.space, asked.head)
            reasons.append(_elsewhere(forms, asked, ours.permissions))
    if not reasons:
        reasons += [f"our prohibition `{rule.rule.rule.where}` forbids part of what is asked" for rule in ours.prohibitions]
    return is_outside, reasons


def _wider(forms: Forms, asked: RuleBoxes, ours: RuleBoxes) -> Iterator[str]:
    """The conditions of our rule that an asked rule does not keep to."""
    said = asked.rule.rule.where
    placed = next(one for one in forms.space.rules[0] if one.rule is ours.rule)

    def left(boxes: Sequence[Box]) -> list[Box]:
        return [box for box in difference(asked.boxes, boxes) if stages(forms.space, box)]

    for constraint in conjunction(conditions(ours.rule)):
        beyond = left(boxes_of(forms.space, placed, (constraint,)))
        if any(is_sure(forms.space, box) for box in beyond):
            yield f"`{said}` does not keep to {describe(constraint)}"
        elif beyond:
            yield f"whether `{said}` keeps to {describe(constraint)} cannot be decided"
    mine, theirs = ours.rule.rule, asked.rule.rule
    lost = [one.name for one in mine.functions if one not in theirs.functions]
    lost += [one.name for one in mine.relations if one not in theirs.relations]
    yield from (f"`{said}` names another `{name}`, or none" for name in lost)
    for duty in duties(ours.rule):
        if left(settled(forms.space, placed, duty)):
            yield f"`{said}` lacks the duty to {' and '.join(action.name for action in duty.actions) or 'act'}"


def _elsewhere(forms: Forms, asked: RuleBoxes, ours: Sequence[RuleBoxes]) -> str:
    said, words = asked.rule.rule.where, forms.space.vocabulary
    action = asked.rule.action
    known = words.action(action.name) if action is not None else None
    if action is not None and known is None:
        return f"unknown action `{action.name}`"
    for rule in ours:
        mine = rule.rule.action
        mine_known = words.action(mine.name) if mine is not None else None
        if mine is not None and (known is None or mine_known is None or mine_known.name not in words.covering[known.name]):
            return f"`{said}` asks for `{known.name if known else 'any action'}`, and we permit `{mine.name}`"
        if rule.rule.target is not None and rule.rule.target != asked.rule.target:
            return f"`{said}` is about another target"
    return f"`{said}` is for another party"


def _covers(ours: tuple[AssetRef | PartyRef, ...], asked: tuple[AssetRef | PartyRef, ...]) -> bool:
    return not ours or (bool(asked) and all(any(mine == one for mine in ours) for one in asked))
