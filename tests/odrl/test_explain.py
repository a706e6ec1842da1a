"""A decision in words, with no more in it than its reader may know."""

from __future__ import annotations

import json

import pytest

from connector.odrl import explain, jsonld
from connector.odrl.evaluate import decide
from connector.odrl.explain import Disclosure
from connector.odrl.model import Operator
from connector.odrl.phrases import PHRASES, Language
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
    silent = {Code.SATISFIED, Code.PERMITTED, Code.OVERRIDDEN, Code.STAGE_DEFERRED, Code.LEGAL_ONLY, Code.LEFT_TO_PEER}
    assert set(PHRASES[Language.EN].reasons) == set(Code) - silent


MEMBERS = {
    "permission": [{"action": "use", "constraint": [{"leftOperand": "membership", "operator": "eq", "rightOperand": "active"}]}]
}


def test_a_missing_claim_is_told_by_its_short_name(vocabulary: Vocabulary) -> None:
    long = jsonld.read(json.loads(json.dumps(MEMBERS).replace('"membership"', '"https://w3id.org/kontor/ns/membership"')))
    for policy in (jsonld.read(MEMBERS), long):
        found = decide(policy, Request(), World(now=NOON), vocabulary)
        assert explain.sentence(found) == "refused: membership: nothing is known of `membership`"
        (missing,) = explain.report(found)["missing"]
        assert missing == {
            "operand": "https://w3id.org/kontor/ns/membership",
            "label": "membership",
            "how": "state or prove `membership`",
        }


@pytest.mark.parametrize(
    ("language", "refused", "unknown", "permitted"),
    [
        (
            Language.EN,
            "refused: purpose has to be one of research, education, and is marketing",
            "refused: purpose: nothing is known of `purpose`",
            "permitted until 2027-01-02T00:00:00Z",
        ),
        (
            Language.DE,
            "abgelehnt: „der Zweck der Nutzung“ muss eines von research, education sein, ist aber marketing",
            "abgelehnt: „der Zweck der Nutzung“: ein Wert ist nicht bekannt",
            "erlaubt bis 2027-01-02T00:00:00Z",
        ),
        (
            Language.ZH,
            "拒绝：“数据的使用目的” 须为 research、education 之一，实际为 marketing",
            "拒绝：“数据的使用目的”：缺少所需的值",
            "允许，有效至 2027-01-02T00:00:00Z",
        ),
    ],
)
def test_a_sentence_comes_in_three_languages(
    language: Language, refused: str, unknown: str, permitted: str, vocabulary: Vocabulary
) -> None:
    def told(purpose: str | None) -> str:
        return explain.sentence(decision(vocabulary, purpose=purpose), language=language)

    assert told("marketing") == refused
    assert told(None) == unknown
    assert told("research") in (permitted, permitted.replace("01-02", "01-01"))


def test_every_language_has_words_for_the_same_things() -> None:
    english = PHRASES[Language.EN]
    assert set(PHRASES) == set(Language)
    for words in PHRASES.values():
        assert words.operators.keys() == english.operators.keys() == set(Operator)
        assert words.reasons.keys() == english.reasons.keys()
        for operator, sentence in words.operators.items():
            assert sentence.count("{left}") == sentence.count("{right}") == 1, operator


@pytest.mark.parametrize("language", [Language.DE, Language.ZH])
def test_no_term_of_odrl_stands_raw_in_a_sentence_that_is_not_english(language: Language, everything: Vocabulary) -> None:
    """For every left operand and, as a duty, every action of the core vocabulary and of the profiles that have words."""
    for operand in everything.operands.values():
        if not operand.text or operand.is_deprecated or operand.stands_for:
            continue
        operator = sorted(operand.operators)[0]
        one = {"leftOperand": operand.name, "operator": operator, "rightOperand": "1"}
        said = sentence_of({"permission": [{"action": "use", "constraint": [one]}]}, language, everything)
        assert operand.text[language][:4] in said, (operand.name, said)
        assert operand.short not in said, said
    named = [action for action in everything.actions.values() if ":" not in action.name or action.text]
    assert len([action for action in named if ":" not in action.name or "creativecommons" in action.name]) == 72
    for action in named:
        said = sentence_of({"permission": [{"action": "use", "duty": [{"action": action.name}]}]}, language, everything)
        known = everything.action(action.name)
        assert known is not None
        assert known.text[language].split("（")[0].split(",")[0] in said, said
        assert action.name not in said, said


def sentence_of(tree: dict[str, object], language: Language, vocabulary: Vocabulary) -> str:
    return explain.sentence(decide(jsonld.read(tree), Request(), World(now=NOON), vocabulary), language=language)
