"""The vocabulary is the standard's, and a profile that means nothing is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from connector.app.parts import known_vocabulary
from connector.errors import ConfigurationError
from connector.odrl import vocabulary as words
from connector.odrl.model import ODRL, Operator
from connector.odrl.truth import Stage
from connector.odrl.vocabulary import Vocabulary
from connector.packaged import vocab_file


def _short(iri: object) -> str:
    text = str(iri)
    return text[len(ODRL) :] if text.startswith(ODRL) else text


def _core() -> dict[str, Any]:
    tree: dict[str, Any] = json.loads(vocab_file("odrl.json").read_text(encoding="utf-8"))
    return tree


def test_our_vocabulary_is_the_one_of_the_standard(official: Path) -> None:
    import rdflib
    from rdflib.namespace import OWL, RDF, RDFS, SKOS

    odrl = rdflib.Namespace(ODRL)
    graph = rdflib.Graph().parse(official / "odrl" / "ODRL22.ttl")
    core = _core()
    actions = {
        _short(node): {
            "label": str(graph.value(node, RDFS.label)),
            "in": sorted(_short(parent) for parent in graph.objects(node, odrl.includedIn)),
            "implies": sorted(_short(other) for other in graph.objects(node, odrl.implies)),
            "exact": [_short(other) for other in graph.objects(node, SKOS.exactMatch)],
            "deprecated": bool(graph.value(node, OWL.deprecated)),
        }
        for node in graph.subjects(RDF.type, odrl.Action)
    }
    assert len(actions) == 72
    assert actions == {
        name: {
            "label": row["label"],
            "in": sorted(row.get("in", [])),
            "implies": sorted(row.get("implies", [])),
            "exact": [row["exact"]] if "exact" in row else [],
            "deprecated": row.get("deprecated", False),
        }
        for name, row in core["actions"].items()
    }
    operands = {_short(node): str(graph.value(node, RDFS.label)) for node in graph.subjects(RDF.type, odrl.LeftOperand)}
    assert len(operands) == 34
    assert operands == {name: row["label"] for name, row in core["operands"].items()}
    replaced = {_short(node) for node in graph.subjects(OWL.deprecated, None) if _short(node) in operands}
    assert replaced == {name for name, row in core["operands"].items() if row.get("deprecated")}
    operators = {_short(node) for node in graph.subjects(RDF.type, odrl.Operator)}
    assert operators == set(core["operators"]) == {operator.value for operator in Operator}


def test_the_operators_are_those_that_the_notes_ask_for(vocabulary: Vocabulary) -> None:
    asked = {"delayPeriod": "eq gt gteq", "elapsedTime": "eq lt lteq", "meteredTime": "eq lt lteq", "timeInterval": "eq"}
    for name, operators in asked.items():
        operand = vocabulary.operand(name)
        assert operand is not None
        assert operand.operators == {Operator(operator) for operator in operators.split()}


@pytest.mark.parametrize("spelling", ["use", "odrl:use", "http://www.w3.org/ns/odrl/2/use"])
def test_a_term_has_many_spellings(spelling: str, vocabulary: Vocabulary) -> None:
    action = vocabulary.action(spelling)
    assert action is not None
    assert action.name == "use"


def test_a_slip_of_the_official_context_is_understood(vocabulary: Vocabulary) -> None:
    operand = vocabulary.operand("http://www.w3.org/ns/odrl/2/industry:")
    assert operand is not None
    assert operand.name == "industry"


def test_a_deprecated_operand_stands_for_its_successor(vocabulary: Vocabulary) -> None:
    assert vocabulary.operand("device") is vocabulary.operand("systemDevice")


def test_any_claim_can_be_named(vocabulary: Vocabulary) -> None:
    operand = vocabulary.operand("claim:hat-size")
    assert operand is not None
    assert operand.sources[0].name == "hat-size"
    assert vocabulary.operand("claim:") is None


def test_the_stage_after_is_the_next_in_time(vocabulary: Vocabulary) -> None:
    operand = vocabulary.operand("dateTime")
    assert operand is not None
    assert operand.first_stage_after(Stage.CATALOG) is Stage.TRANSFER
    assert operand.first_stage_after(Stage.AFTER) is None


_GOOD = {"operators": ["eq"], "stages": ["request"], "source": ["request"]}


@pytest.mark.parametrize(
    "profile",
    [
        {"operands": {"urn:a": {}}},
        {"operands": {"urn:a": {**_GOOD, "operators": []}}},
        {"operands": {"urn:a": {**_GOOD, "operators": ["equals"]}}},
        {"operands": {"urn:a": {**_GOOD, "stages": ["later"]}}},
        {"operands": {"urn:a": {**_GOOD, "source": ["oracle"]}}},
        {"operands": {"urn:a": {**_GOOD, "source": ["claim"]}}},
        {"operands": {"urn:a": {**_GOOD, "source": ["clock:utc"]}}},
        {"operands": {"urn:a": {**_GOOD, "value": "colour"}}},
        {"operands": {"urn:a": {**_GOOD, "list": "nowhere"}}},
        {"operands": {"urn:a": {**_GOOD, "aliases": ["purpose"]}}},
        {"operands": {"urn:a": {"exact": "urn:b"}}},
        {"operands": {"urn:a": "eq"}},
        {"operands": ["urn:a"]},
        {"actions": {"urn:a": {"in": ["urn:b"]}}},
        {"actions": {"urn:a": {"in": ["urn:a"]}}},
        {"actions": {"urn:a": {"exact": "urn:b"}}},
        {"lists": {"l": {"a": {"in": ["b"]}}}},
        {"lists": {"l": {"a": {"aliases": ["x"]}, "b": {"aliases": ["x"]}}}},
    ],
    ids=str,
)
def test_a_profile_that_means_nothing_is_refused_with_its_place(profile: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        words.load(_core(), profile)
    assert caught.value.where


def test_a_profile_changes_only_what_it_names() -> None:
    plain = words.load(_core()).operand("purpose")
    changed = words.load(_core(), {"operands": {"odrl:purpose": {"legal_only": True}}}).operand("purpose")
    assert plain is not None
    assert changed is not None
    assert changed.is_legal_only
    assert changed.operators == plain.operators


def test_every_operand_says_what_it_is_in_three_languages() -> None:
    known = known_vocabulary()
    said = {name: set(operand.text) for name, operand in known.operands.items()}
    assert {name: texts for name, texts in said.items() if texts != {"en", "de", "zh"}} == {}


@pytest.mark.parametrize("section", ["operators", "conflicts", "functions"])
def test_what_a_profile_cannot_add_is_refused(section: str) -> None:
    with pytest.raises(ConfigurationError, match=f"a profile cannot add {section}"):
        words.load(json.loads(vocab_file("odrl.json").read_text(encoding="utf-8")), {"name": "acme", section: {}})
