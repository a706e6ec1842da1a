"""Laws of comparing policies, against sampled requests: boxes are what the evaluator permits, answers are promises."""

from __future__ import annotations

import random
from typing import Any

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from connector.odrl import canonical, jsonld
from connector.odrl.analyse.boxes import Beyond, common, difference
from connector.odrl.analyse.contain import Answer, contains, disjoint, equivalent
from connector.odrl.analyse.diff import diff
from connector.odrl.analyse.meet import meet
from connector.odrl.analyse.normal import named, normal_forms
from connector.odrl.analyse.witness import place
from connector.odrl.compile import compile
from connector.odrl.evaluate import decide
from connector.odrl.truth import Stage
from connector.odrl.vocabulary import Vocabulary
from tests.examples import examples
from tests.odrl import histories, laws
from tests.odrl.analyse import strategies as some

# a failing pair of policies is shown as it was found: making it smaller takes minutes
FEW = settings(max_examples=examples(6), phases=(Phase.explicit, Phase.reuse, Phase.generate))
ASKS = st.lists(some.asks(), min_size=10, max_size=25)


# INVARIANT: a request lies in the boxes of its policy exactly when the evaluator permits it under an agreement of that text.
@FEW
@given(pair=some.pairs(), asks=ASKS)
def test_a_request_lies_in_the_boxes_exactly_when_it_is_permitted(
    pair: tuple[dict[str, Any], dict[str, Any]], asks: list[some.Ask], vocabulary: Vocabulary
) -> None:
    try:
        forms = normal_forms(vocabulary, *map(jsonld.read, pair))
    except Beyond:
        return
    for form in forms.policies:
        compiled = compile(form.policy, vocabulary, has_ledger=True)
        for request, world, stage in asks:
            box = place(forms.space, request, world, stage)
            assert box is not None
            assert all(box), "every request has its place"
            is_permitted = decide(compiled, request, world, stage=stage).is_permitted
            if not difference([box], form.permits):
                assert is_permitted
            elif not any(common(box, one) for one in form.permits):
                assert not is_permitted


@FEW
@given(pair=some.pairs(), asks=ASKS)
def test_what_is_contained_permits_nothing_more_and_a_no_is_shown(
    pair: tuple[dict[str, Any], dict[str, Any]], asks: list[some.Ask], vocabulary: Vocabulary
) -> None:
    terms, asked = map(jsonld.read, pair)
    answer = contains(terms, asked, vocabulary)
    wide, narrow = compile(named(terms), vocabulary, has_ledger=True), compile(named(asked), vocabulary, has_ledger=True)
    if answer.answer is Answer.YES:
        for request, world, stage in asks:
            if decide(narrow, request, world, stage=stage).is_permitted:
                assert decide(wide, request, world, stage=stage).is_permitted
    elif answer.witness is not None:
        seen = answer.witness
        assert answer.answer is Answer.NO
        assert decide(narrow, seen.request, seen.world, stage=seen.stage).is_permitted
        assert not decide(wide, seen.request, seen.world, stage=seen.stage).is_permitted
    else:
        assert answer.reasons


@FEW
@given(pair=some.pairs(), asks=ASKS)
def test_what_is_disjoint_has_nothing_in_common(
    pair: tuple[dict[str, Any], dict[str, Any]], asks: list[some.Ask], vocabulary: Vocabulary
) -> None:
    first, second = map(jsonld.read, pair)
    answer = disjoint(first, second, vocabulary)
    both = [compile(named(policy), vocabulary, has_ledger=True) for policy in (first, second)]
    if answer.answer is Answer.YES:
        for request, world, stage in asks:
            assert not all(decide(one, request, world, stage=stage).is_permitted for one in both)
    elif answer.witness is not None:
        seen = answer.witness
        assert all(decide(one, seen.request, seen.world, stage=seen.stage).is_permitted for one in both)


@FEW
@given(pair=some.pairs())
def test_the_same_text_is_equivalent(pair: tuple[dict[str, Any], dict[str, Any]], vocabulary: Vocabulary) -> None:
    first, second = map(jsonld.read, pair)
    assert equivalent(first, first, vocabulary).answer is Answer.YES
    if canonical.same(first, second, frozenset()):
        assert equivalent(first, second, vocabulary).answer is Answer.YES
    # containment orders policies: two that contain each other are equivalent
    both = contains(first, second, vocabulary).answer, contains(second, first, vocabulary).answer
    assert (equivalent(first, second, vocabulary).answer is Answer.YES) == (both == (Answer.YES, Answer.YES))


@FEW
@given(pair=some.pairs(), asks=ASKS)
def test_what_both_permit_is_permitted_by_the_meet_and_nothing_else(
    pair: tuple[dict[str, Any], dict[str, Any]], asks: list[some.Ask], vocabulary: Vocabulary
) -> None:
    first, second = map(jsonld.read, pair)
    found = meet(first, second, vocabulary)
    if found.policy is None:
        assert found.reasons
        return
    both = [compile(named(policy), vocabulary, has_ledger=True) for policy in (first, second)]
    result = compile(named(found.policy), vocabulary, has_ledger=True)
    for request, world, _ in asks:
        # when data is asked for, everything is judged
        permitted = all(decide(one, request, world, stage=Stage.REQUEST).is_permitted for one in both)
        assert decide(result, request, world, stage=Stage.REQUEST).is_permitted is permitted


@FEW
@given(pair=some.pairs(), asks=ASKS)
def test_what_is_gained_and_lost_agrees_with_sampled_requests(
    pair: tuple[dict[str, Any], dict[str, Any]], asks: list[some.Ask], vocabulary: Vocabulary
) -> None:
    found = diff(*map(jsonld.read, pair), vocabulary)
    if found.forms is None:
        return
    old, new = (compile(form.policy, vocabulary, has_ledger=True) for form in found.forms.policies)
    for request, world, stage in asks:
        box = place(found.forms.space, request, world, stage)
        assert box is not None
        before, after = (decide(one, request, world, stage=stage).is_permitted for one in (old, new))
        for boxes, has_changed in ((found.gained, after and not before), (found.lost, before and not after)):
            if not difference([box], boxes):
                assert has_changed
            elif not any(common(box, one) for one in boxes):
                assert not has_changed


@settings(max_examples=examples(8), deadline=None, phases=(Phase.explicit, Phase.reuse, Phase.generate))
@given(pair=histories.pairs())
def test_what_is_contained_grants_nothing_more_however_often_data_is_used(
    pair: tuple[dict[str, Any], dict[str, Any]], everything: Vocabulary
) -> None:
    # `python -m tests.odrl.laws` follows thousands of histories
    assert all(histories.first_step_beyond(*pair, everything, random.Random(number)) is None for number in range(3))


@settings(max_examples=examples(3), phases=(Phase.explicit, Phase.reuse, Phase.generate))
@given(pair=some.pairs())
def test_the_laws_hold_of_hundreds_of_requests_at_once(
    pair: tuple[dict[str, Any], dict[str, Any]], vocabulary: Vocabulary
) -> None:
    # `python -m tests.odrl.laws` asks ten thousand of each pair
    assert sum(laws.checked(*pair, laws.sampled(random.Random(1), 300), vocabulary).values()) == 3
