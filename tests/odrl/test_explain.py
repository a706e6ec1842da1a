"""A decision in words, with no more in it than its reader may know."""

from __future__ import annotations

import json

import pytest

from connector.odrl import explain, jsonld
from connector.odrl.evaluate import decide
from connector.odrl.explain import Disclosure
from connector.odrl.truth import Code, Decision, Request, Stage, World
from connector.odrl.vocabulary import Vocabulary
from tests.odrl.casefile import NOON

TREE = {
    "@id": "urn:o",
    "permission": [
        {
            "action": "use",
            "constraint": [
                {"leftOperand": "dateTime", "operator": "lt", "rightOperand": "2027-01-01Z"},
                {"leftOperand": "purpose", "operator": "isAnyOf", "rightOperand": ["research", "education"]},
            ],
        }
    ],
}


def decision(vocabulary: Vocabulary, *, purpose: str | None = None, stage: Stage = Stage.REQUEST) -> Decision:
    params = {"purpose": purpose} if purpose else {}
    return decide(jsonld.read(TREE), Request(params=params), World(now=NOON), vocabulary, stage=stage)


def test_a_refusal_says_what_was_asked_and_what_was_there(vocabulary: Vocabulary) -> None:
    found = decision(vocabulary, purpose="marketing")
    assert explain.sentence(found) == "refused: purpose has to be one of research, education, and is marketing"
    assert explain.reasons(found) == ("purpose has to be one of research, education, and is marketing",)


@pytest.mark.parametrize(
    ("level", "says"),
    [
        (Disclosure.CODE, "refused: a value is not known"),
        (Disclosure.OPERANDS, "refused: a value is not known: purpose"),
        (Disclosure.FULL, "refused: purpose: nothing is known of `purpose`"),
    ],
)
def test_a_peer_learns_what_its_level_allows(level: Disclosure, says: str, vocabulary: Vocabulary) -> None:
    assert explain.sentence(decision(vocabulary), level) == says


def test_only_the_full_report_gives_values_away(vocabulary: Vocabulary) -> None:
    found = decision(vocabulary, purpose="marketing")
    for level in (Disclosure.CODE, Disclosure.OPERANDS):
        text = json.dumps(explain.report(found, level))
        assert "research" not in text
        assert "permission[0]" not in text
    assert "purpose" not in json.dumps(explain.report(found, Disclosure.CODE))
    full = explain.report(found)
    assert full["because"][-1] == {
        "code": "unsatisfied",
        "state": "unsatisfied",
        "part": "constraint",
        "where": "policy.permission[0].constraint[1]",
        "rule": "policy.permission[0]",
        "left": "purpose",
        "op": "isAnyOf",
        "right": ["research", "education"],
        "value": ["marketing"],
    }


def test_a_permit_says_until_when_and_what_is_left(vocabulary: Vocabulary) -> None:
    assert explain.sentence(decision(vocabulary, purpose="research")) == "permitted until 2027-01-01T00:00:00Z"
    assert explain.sentence(decision(vocabulary, stage=Stage.CATALOG)) == "permitted; judged later: dateTime, purpose"
    assert explain.report(decision(vocabulary, purpose="research")) == {
        "effect": "permit",
        "stage": "request",
        "sentence": "permitted until 2027-01-01T00:00:00Z",
        "policy": "urn:o",
        "rule": "policy.permission[0]",
        "valid_until": "2027-01-01T00:00:00Z",
    }


def test_what_is_missing_is_named(vocabulary: Vocabulary) -> None:
    assert explain.report(decision(vocabulary))["missing"] == [{"operand": "purpose", "how": "state or prove `purpose`"}]


def test_every_code_that_refuses_has_words() -> None:
    silent = {Code.SATISFIED, Code.PERMITTED, Code.OVERRIDDEN, Code.STAGE_DEFERRED, Code.LEGAL_ONLY}
    assert set(explain._REASONS) == set(Code) - silent
