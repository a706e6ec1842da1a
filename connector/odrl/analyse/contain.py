"""Does one policy lie within another, are two the same, do they have nothing in common: with a witness, or without an answer.

YES means: every request that the one permits, the other permits, at every stage. NO comes with a request for which the
evaluator itself says so, or with an obligation that one policy has and the other lacks. UNKNOWN says what cannot be decided:
terms that nobody knows, a difference that no request can show, or boxes beyond the cap. There is no guess among the answers.
Policies are compared as agreements, with duties of the same text fulfilled together, and with the taxonomies of the vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from connector.odrl.analyse.boxes import Beyond, Box, bounded, difference, intersection, union
from connector.odrl.analyse.normal import Forms, doubts, normal_forms
from connector.odrl.analyse.witness import Witness, is_sure, sample, stages, state
from connector.odrl.analyse.words import tell
from connector.odrl.canonical import rule_text
from connector.odrl.compile import Compiled, compile
from connector.odrl.evaluate import decide
from connector.odrl.expand import composed
from connector.odrl.model import Policy
from connector.odrl.vocabulary import Vocabulary

_MOST_TRIES = 8


class Answer(StrEnum):
    """What is known of a question about policies."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The answer, why, and for a no the request that shows it."""

    answer: Answer
    reasons: tuple[str, ...] = ()
    witness: Witness | None = None
    # the evaluator was asked about it; None for a yes, an unknown, and an obligation that is lacking


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """What `asked` permits and `terms` do not, as real boxes: none means contained."""

    forms: Forms
    boxes: tuple[Box, ...]
    is_sure: bool
    # at least one of them lies where every constraint can be judged


def gap(forms: Forms, terms: int, asked: int) -> Gap:
    """What policy number `asked` permits and number `terms` does not.

    Raises: Beyond when it takes too many boxes.
    """
    mine, theirs = forms.policies[terms], forms.policies[asked]
    boxes = union(difference(theirs.permits, mine.granted), intersection(theirs.permits, mine.forbidden))
    real = tuple(box for box in boxes if stages(forms.space, box))
    return Gap(forms=forms, boxes=real, is_sure=any(is_sure(forms.space, box) for box in real))


@bounded
def contains(terms: Policy, asked: Policy, vocabulary: Vocabulary) -> Comparison:
    """Whether `terms` permit everything that `asked` permits, and `asked` keeps every obligation of `terms`.

    Raises: PolicyError when a policy expands beyond all measure.
    """
    unsure = (*doubts(terms, "the terms", vocabulary), *doubts(asked, "what is asked", vocabulary))
    if unsure:
        return Comparison(answer=Answer.UNKNOWN, reasons=unsure)
    try:
        found = gap(normal_forms(vocabulary, terms, asked), 0, 1)
    except Beyond as beyond:
        return Comparison(answer=Answer.UNKNOWN, reasons=(str(beyond),))
    missing = lacking(terms, asked)
    if not found.boxes:
        if missing:
            return Comparison(answer=Answer.NO, reasons=missing)
        return Comparison(answer=Answer.YES, reasons=("everything that is asked is permitted",))
    witness = shown(found.forms, found.boxes, permitted=1, denied=0)
    if witness is not None:
        return Comparison(answer=Answer.NO, reasons=(*missing, _said(found.forms, found.boxes)), witness=witness)
    if missing:
        return Comparison(answer=Answer.NO, reasons=missing)
    why = "no request that the engine can judge shows it: " + _said(found.forms, found.boxes)
    return Comparison(answer=Answer.UNKNOWN, reasons=(why,))


@bounded
def equivalent(a: Policy, b: Policy, vocabulary: Vocabulary) -> Comparison:
    """Whether two policies permit the same and oblige to the same.

    Raises: PolicyError when a policy expands beyond all measure.
    """
    both = (contains(a, b, vocabulary), contains(b, a, vocabulary))
    for answer in (Answer.NO, Answer.UNKNOWN):
        for one in both:
            if one.answer is answer:
                return one
    return Comparison(answer=Answer.YES, reasons=("both permit the same",))


@bounded
def disjoint(a: Policy, b: Policy, vocabulary: Vocabulary) -> Comparison:
    """Whether no request is permitted by both; a no comes with one that is.

    Raises: PolicyError when a policy expands beyond all measure.
    """
    unsure = (*doubts(a, "the first", vocabulary), *doubts(b, "the second", vocabulary))
    if unsure:
        return Comparison(answer=Answer.UNKNOWN, reasons=unsure)
    try:
        forms = normal_forms(vocabulary, a, b)
        found = intersection(forms.policies[0].permits, forms.policies[1].permits)
    except Beyond as beyond:
        return Comparison(answer=Answer.UNKNOWN, reasons=(str(beyond),))
    real = [box for box in found if stages(forms.space, box)]
    if not real:
        return Comparison(answer=Answer.YES, reasons=("nothing is permitted by both",))
    witness = _first(forms, real, [(0, True), (1, True)])
    if witness is not None:
        return Comparison(answer=Answer.NO, reasons=("both permit something",), witness=witness)
    return Comparison(answer=Answer.UNKNOWN, reasons=("no request that the engine can judge shows what both permit",))


def lacking(terms: Policy, asked: Policy) -> tuple[str, ...]:
    """The obligations of `terms` that `asked` leaves out."""
    kept = {rule_text(rule) for rule in composed(asked).obligations}
    owed = composed(terms).obligations
    return tuple(f"the obligation `{rule.where}` is missing" for rule in owed if rule_text(rule) not in kept)


def shown(forms: Forms, boxes: Sequence[Box], *, permitted: int, denied: int) -> Witness | None:
    """A request in the boxes that the evaluator permits under one policy and not under the other; None when none is found."""
    return _first(forms, boxes, [(permitted, True), (denied, False)])


def _first(forms: Forms, boxes: Sequence[Box], wanted: Sequence[tuple[int, bool]]) -> Witness | None:
    compiled: dict[int, Compiled] = {
        number: compile(forms.policies[number].policy, forms.space.vocabulary, has_ledger=True) for number, _ in wanted
    }
    for box, stage in sample(forms.space, boxes)[:_MOST_TRIES]:
        witness = state(forms.space, box, stage)
        if all(
            decide(compiled[number], witness.request, witness.world, stage=stage).is_permitted is permits
            for number, permits in wanted
        ):
            return witness
    return None


def _said(forms: Forms, boxes: Sequence[Box]) -> str:
    return tell(forms.space, boxes[:3], whole=forms.policies[1].permits)
