"""Damaged policies do no harm: a small run of `python -m tests.odrl.fuzz`, and what longer runs have found."""

from __future__ import annotations

import json
import random
import time
from typing import Any

import pytest

from connector.cli.policy_turtle import turtle
from connector.errors import KontorError, PolicyError
from connector.odrl import jsonld
from connector.odrl.compile import compile
from connector.odrl.vocabulary import Vocabulary
from tests.odrl import fuzz, monsters


def test_what_is_damaged_is_whole_before(vocabulary: Vocabulary) -> None:
    tree = {key: value for key, value in fuzz._TREE.items() if key != "@context"}
    for language, text in (("json", json.dumps(fuzz._TREE)), ("yaml", fuzz._YAML), ("turtle", turtle(jsonld.read(tree)))):
        assert fuzz.check(language, text, vocabulary, is_guarded=True) == "denied"


def test_damaged_policies_neither_hang_nor_crash_nor_permit_by_accident(vocabulary: Vocabulary) -> None:
    found = {
        fuzz.check(language, text, vocabulary, is_guarded=is_guarded)
        for language, text, is_guarded in fuzz.inputs(random.Random(3), 250)
    }
    assert {"refused", "denied"} <= found


def test_the_worst_texts_are_refused_by_the_work_they_would_make(vocabulary: Vocabulary) -> None:
    refusals = dict.fromkeys(("characters", "parts", "objects", "words of Turtle", "values", "atomic rules"), 0)
    for language, text in monsters.bombs():
        with pytest.raises(KontorError) as caught:
            compile(fuzz.read(language, text, vocabulary), vocabulary)
        refusals[next(what for what in refusals if what in str(caught.value))] += 1
    assert all(refusals.values()), refusals


def test_hints_are_searched_for_the_first_unknown_words_only(vocabulary: Vocabulary) -> None:
    unknown = [{"leftOperand": f"purpos{number}", "operator": "eq", "rightOperand": "x"} for number in range(30)]
    warnings = compile(jsonld.read({"permission": [{"action": "use", "constraint": unknown}]}), vocabulary).warnings
    assert [warning.what.endswith("did you mean `purpose`") for warning in warnings[:-1]] == [True] * 20 + [False] * 10
    assert warnings[-1].what == "10 unknown words more, of which no like ones were looked for"


@pytest.mark.parametrize("tree", [{"permission": [{"action": "use"}]}, {"permission": [{"action": "use", "constraint": []}]}])
def test_a_permit_that_rests_on_nothing_is_found(tree: dict[str, Any], vocabulary: Vocabulary) -> None:
    with pytest.raises(fuzz.FindingError, match="it permits by accident"):
        fuzz.check("json", json.dumps(tree), vocabulary, is_guarded=True)


def test_what_takes_too_long_is_broken_off() -> None:
    begin = time.process_time()

    def endless() -> None:
        while time.process_time() - begin < 5:
            pass

    with pytest.raises(fuzz.FindingError, match="it takes longer"), fuzz._within(0.01):
        endless()


@pytest.mark.parametrize("empty", [{"@list": []}, {"@list": None}])
def test_an_empty_list_is_no_way_to_have_no_constraint(empty: dict[str, Any]) -> None:
    for constraint in (empty, [empty]):
        with pytest.raises(PolicyError, match="an empty list"):
            jsonld.read({"permission": [{"action": "use", "constraint": constraint}]})


@pytest.mark.parametrize(
    "text", ['{"permission":' * 5_000 + "1" + "}" * 5_000, '{"@id": "\\ud800", "permission": [{"action": "use"}]}']
)
def test_json_that_is_too_deep_or_has_half_a_character_is_refused(text: str, vocabulary: Vocabulary) -> None:
    assert fuzz.check("json", text, vocabulary, is_guarded=False) == "refused"


@pytest.mark.parametrize("name", ["urn:a b", "urn:<x>", 'urn:"', "urn:\\"])
def test_a_name_that_is_no_iri_is_not_written_as_one(name: str) -> None:
    with pytest.raises(PolicyError, match="is no IRI"):
        turtle(jsonld.read({"@id": name, "permission": [{"action": "use"}]}))
