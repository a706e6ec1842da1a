"""Our own contexts mean what the official ones mean: the same triples, for every official example and term by term."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connector import jsonld, packaged
from connector.dsp import wire
from tests.dsp import strategies
from tests.examples import examples
from tests.official import jsonld_with

DID = "https://www.w3.org/ns/did/v1"


@pytest.fixture
def ours() -> jsonld_with.Contexts:
    return {url: json.loads(packaged.vocab_file(name).read_bytes()) for url, name in jsonld.CONTEXTS.items()}


def foreign(theirs: jsonld_with.Contexts, ours: jsonld_with.Contexts) -> None:
    """Gives both sides the contexts that are not under test."""
    for contexts in (theirs, ours):
        contexts |= {
            DID: {"@context": {}},
            jsonld.EDC_CONTEXT: json.loads(packaged.vocab_file("contexts/edc-dspace.jsonld").read_bytes()),
        }


def test_every_official_example_gives_the_same_triples(
    examples: dict[str, bytes], official_contexts: jsonld_with.Contexts, ours: jsonld_with.Contexts
) -> None:
    theirs = dict(official_contexts)
    foreign(theirs, ours)
    checked = 0
    for name, text in examples.items():
        document = json.loads(text)
        if "@context" in document:
            expected = jsonld_with.triples(document, theirs)
            assert jsonld_with.triples(document, ours) == expected, name
            checked += bool(expected)
    assert checked >= 24


def test_every_recorded_edc_message_gives_the_same_triples(
    recordings: dict[str, Any], official_contexts: jsonld_with.Contexts, ours: jsonld_with.Contexts
) -> None:
    theirs = dict(official_contexts)
    foreign(theirs, ours)
    bodies = [body for one in recordings.values() for body in (one["request"], one["response"]) if body and "@context" in body]
    assert len(bodies) > 35
    for body in bodies:
        assert jsonld_with.triples(body, ours) == jsonld_with.triples(body, theirs) != ""


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=examples(8))
@given(strategies.messages)
def test_every_message_we_emit_gives_the_same_triples(
    official_contexts: jsonld_with.Contexts, ours: jsonld_with.Contexts, message: Any
) -> None:
    document = json.loads(wire.encode(message))
    assert jsonld_with.triples(document, ours) == jsonld_with.triples(document, official_contexts) != ""


def _terms(contexts: jsonld_with.Contexts) -> dict[str, set[str]]:
    """Every type with a scope of its own, and every term that any context defines."""
    dsp = contexts[jsonld.DSP_CONTEXT]["@context"]
    scoped = {name: one["@context"] for name, one in dsp.items() if isinstance(one, dict) and "@context" in one}
    names = {name for scope in (dsp, contexts[jsonld.DSP_ODRL_CONTEXT]["@context"], *scoped.values()) for name in scope}
    # the processor leaves a `_uuid` in contexts that it has seen
    return {"types": set(scoped), "names": {name for name in names if not name.startswith(("@", "_"))}}


@pytest.mark.parametrize(
    "value", ["use", "https://x.example/y", {"@id": "urn:a"}, ["a", "b"], {"@type": "DataAddress", "endpoint": "e"}]
)
def test_every_term_of_every_type_expands_alike(
    value: Any, official_contexts: jsonld_with.Contexts, ours: jsonld_with.Contexts
) -> None:
    terms = _terms(official_contexts)
    assert _terms(ours)["names"] == terms["names"]
    assert _terms(ours)["types"] == terms["types"]
    for type_ in sorted(terms["types"]):
        members = {name: value for name in terms["names"] if name not in ("id", "type")}
        for document in ({"@type": type_, **members}, {"@type": type_, "dct:x": {"@type": "odrl:Offer", **members}}):
            whole = {"@context": [jsonld.DSP_CONTEXT], **document}
            assert jsonld_with.expand(whole, ours) == jsonld_with.expand(whole, official_contexts), type_


def test_the_context_of_odrl_differs_in_two_slips_only(
    official_contexts: jsonld_with.Contexts, ours: jsonld_with.Contexts
) -> None:
    theirs = official_contexts[jsonld.ODRL_CONTEXT]["@context"]
    mine = ours[jsonld.ODRL_CONTEXT]["@context"]
    assert set(mine) == set(theirs)
    document = {"@context": jsonld.ODRL_CONTEXT, "uid": "urn:a", "type": "Offer"}
    for name in sorted(set(theirs) - {"uid", "type"}):
        for value in ("use", {"@id": "urn:b"}):
            both = [jsonld_with.expand({**document, name: value}, contexts) for contexts in (ours, official_contexts)]
            # the ontology has odrl:industry and odrl:neq; the official context writes odrl:industry: and odrl:neg
            assert (both[0] == both[1]) is (name not in ("industry", "neq")), name


def test_nothing_official_is_copied(official_contexts: jsonld_with.Contexts) -> None:
    texts = {packaged.vocab_file(name).read_text() for name in jsonld.CONTEXTS.values()}
    assert texts.isdisjoint(json.dumps(one, indent=indent) for one in official_contexts.values() for indent in (None, 2, 4))


@given(st.sampled_from(sorted(strategies.MESSAGES, key=lambda kind: kind.__name__)))
def test_every_message_has_a_scope_in_our_context(kind: type[Any]) -> None:
    assert kind.__name__ in json.loads(packaged.vocab_file("contexts/dsp-2025-1.jsonld").read_bytes())["@context"]
