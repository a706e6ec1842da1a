"""The formal semantics' own words: its request, its state of the world, and its report, by the situations of its examples."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from connector import rdf
from tests.cli.conftest import Run

REPORT = "https://w3id.org/force/compliance-report#"
PREFIXES = """
@prefix odrl: <http://www.w3.org/ns/odrl/2/> .
@prefix rdf: <http://www.w3.org/1999/02/22-rdf-syntax-ns#> .
@prefix ex: <http://example.org/> .
@prefix sotw: <https://w3id.org/force/sotw#> .
@prefix fs: <https://w3id.org/odrl-fs#> .
@prefix pay: <https://www.epimorphics.com/guide-to-the-payments-ontology/> .
@prefix xsd: <http://www.w3.org/2001/XMLSchema#> .
"""
POLICY = """
ex:policy a odrl:Agreement ; odrl:permission ex:rule .
ex:rule odrl:assignee ex:billie ; odrl:target ex:song ; odrl:duty ex:condition ;
    odrl:action [ rdf:value odrl:play ; odrl:refinement ex:quality ] .
ex:quality odrl:leftOperand odrl:resolution ; odrl:operator odrl:lteq ; odrl:rightOperand 1200 .
ex:condition odrl:action odrl:compensate ; odrl:constraint ex:reason .
ex:reason odrl:leftOperand odrl:purpose ; odrl:operator odrl:eq ; odrl:rightOperand "commercial" .
"""
REQUEST = """
ex:asked a sotw:EvaluationRequest ; sotw:evaluatedAction odrl:play ; sotw:evaluatedParty ex:billie ; sotw:evaluatedTarget ex:song ;
    sotw:requestParameter [ sotw:describesFeature odrl:resolution ; sotw:value 1000 ] ,
        [ sotw:describesFeature odrl:purpose ; sotw:value "commercial" ] .
"""
STATE = 'ex:state a sotw:SotW ; sotw:currentTime "2025-08-03T00:00:00"^^xsd:dateTime .'
PAID = """
ex:state sotw:context [ a pay:Payment ; sotw:conditionID ex:condition ; pay:netAmount 5.00 ;
    pay:paymentDate "2025-07-23T00:00:00"^^xsd:dateTime ] .
"""


@pytest.fixture
def ask(run: Run, tmp_path: Path) -> Any:
    def asked(policy: str = POLICY, request: str = REQUEST, state: str = STATE, shape: str = "draft") -> rdf.Graph | str:
        for name, text in (("policy", policy), ("request", request), ("state", state)):
            (tmp_path / f"{name}.ttl").write_text(PREFIXES + text)
        files = (f"--{name}={tmp_path / name}.ttl" for name in ("policy", "request", "state"))
        ran = run("policy", "evaluate", *files, "--format", shape)
        assert ran.code == 0, ran.err
        return rdf.parse(ran.out, "report") if shape in ("draft", "turtle") else ran.out

    return asked


def states(graph: rdf.Graph, kind: str) -> dict[str, str]:
    """What a report of one class says of itself."""
    (node,) = graph.typed(REPORT + kind)
    return {
        name.removeprefix(REPORT): getattr(value, "text", "").removeprefix(REPORT)
        for name, values in graph.rows[node].items()
        for value in values
        if isinstance(value, rdf.Iri | rdf.Literal)
    }


def test_an_active_condition_that_is_not_fulfilled_keeps_its_permission_inactive(ask: Any) -> None:
    graph = ask()
    assert len(graph.typed(f"{REPORT}PolicyReport")) == 1
    assert states(graph, "PolicyReport")["behaviour"] == "Closed"
    rule = states(graph, "PermissionReport")
    assert (rule["activationState"], rule["controlState"]) == ("Inactive", "Deny")
    condition = states(graph, "ConditionReport")
    assert (condition["activationState"], condition["deonticState"]) == ("Active", "NotSet")


def test_a_payment_in_the_state_fulfils_the_condition(ask: Any) -> None:
    graph = ask(state=STATE + PAID)
    rule = states(graph, "PermissionReport")
    assert (rule["activationState"], rule["controlState"]) == ("Active", "Permit")
    assert states(graph, "ConditionReport")["deonticState"] == "Fulfilled"


def test_a_payment_that_is_still_to_come_fulfils_nothing(ask: Any) -> None:
    graph = ask(state=STATE + PAID.replace("2025-07-23", "2025-08-23"))
    assert states(graph, "PermissionReport")["controlState"] == "Deny"


def test_an_inactive_condition_does_not_keep_a_permission_from_being_active(ask: Any) -> None:
    graph = ask(request=REQUEST.replace('"commercial"', '"research"'))
    rule = states(graph, "PermissionReport")
    assert (rule["activationState"], rule["controlState"]) == ("Active", "Permit")
    condition = states(graph, "ConditionReport")
    assert (condition["activationState"], condition["deonticState"]) == ("Inactive", "NotSet")


@pytest.mark.parametrize(
    ("request_text", "told"),
    [
        (REQUEST.replace("value 1000", "value 1300"), {"typeReport": "true", "targetReport": "true", "partyReport": "true"}),
        (REQUEST.replace("odrl:play", "odrl:print"), {"typeReport": "false", "targetReport": "true", "partyReport": "true"}),
        (REQUEST.replace("ex:song", "ex:other"), {"typeReport": "true", "targetReport": "false", "partyReport": "true"}),
        (REQUEST.replace("ex:billie", "ex:holly"), {"typeReport": "true", "targetReport": "true", "partyReport": "false"}),
    ],
)
def test_a_permission_may_be_active_and_yet_deny(request_text: str, told: dict[str, str], ask: Any) -> None:
    graph = ask(request=request_text, state=STATE + PAID)
    rule = states(graph, "PermissionReport")
    assert (rule["activationState"], rule["controlState"]) == ("Active", "Deny")
    assert told.items() <= states(graph, "ActionReport").items()
    # the older model counts them into the activation
    older = rdf.parse(_older(ask, request_text), "report")
    assert states(older, "PermissionReport")["activationState"] == "Inactive"


def _older(ask: Any, request_text: str) -> str:
    return rdf.turtle(ask(request=request_text, state=STATE + PAID, shape="turtle").triples, {})


def test_a_prohibition_is_violated_by_what_it_prohibits_and_nothing_else(ask: Any) -> None:
    policy = "ex:policy a odrl:Set ; odrl:prohibition ex:rule . ex:rule odrl:action odrl:play ; odrl:target ex:song ."
    assert states(ask(policy=policy), "ProhibitionReport")["deonticState"] == "Violated"
    other = REQUEST.replace("odrl:play", "odrl:print")
    rule = states(ask(policy=policy, request=other), "ProhibitionReport")
    assert (rule["activationState"], rule["deonticState"]) == ("Active", "NotSet")


def test_the_other_namespace_of_the_group_says_the_same(ask: Any) -> None:
    request = (
        "ex:asked a fs:EvaluationRequest ; fs:requestedAction odrl:read ; fs:requestingParty ex:bob ; fs:requestedTarget ex:x ."
    )
    policy = """
    ex:policy a odrl:Set ; odrl:permission [ odrl:action odrl:use ; odrl:constraint
        [ odrl:leftOperand odrl:spatial ; odrl:operator odrl:eq ; odrl:rightOperand ex:lab ] ,
        [ odrl:leftOperand odrl:count ; odrl:operator odrl:lt ; odrl:rightOperand 3 ] ,
        [ odrl:leftOperand odrl:dateTime ; odrl:operator odrl:eq ; odrl:rightOperand "2026-11-22"^^xsd:date ] ] .
    """
    state = 'ex:s a fs:SotW ; fs:currentTime "2026-11-22"^^xsd:date ; fs:currentLocation ex:lab ; fs:count 2 .'
    assert ask(policy, request, state, "text").startswith("permit")
    assert ask(policy, request, state.replace("fs:count 2", "fs:count 3"), "text").startswith("deny")
    assert ask(policy, request, state.replace("ex:lab", "ex:canteen"), "text").startswith("deny")


def test_what_a_state_says_of_itself_holds_for_whoever_asks_unless_the_request_says_otherwise(ask: Any) -> None:
    policy = """ex:policy a odrl:Set ; odrl:permission [ odrl:action odrl:play ; odrl:constraint
        [ odrl:leftOperand odrl:purpose ; odrl:operator odrl:eq ; odrl:rightOperand "research" ] ] ."""
    plain = "ex:asked a sotw:EvaluationRequest ; sotw:evaluatedAction odrl:play ."
    state = STATE + ' ex:state odrl:purpose "research" .'
    assert ask(policy, plain, state, "text").startswith("permit")
    assert ask(policy, REQUEST, state, "text").startswith("deny")


def test_a_collection_may_be_typed_by_the_state_alone(ask: Any) -> None:
    policy = "ex:policy a odrl:Set ; odrl:permission ex:r . ex:r odrl:action odrl:play ; odrl:target ex:album ; odrl:assignee ex:fans ."
    state = STATE + " ex:song odrl:partOf ex:album . ex:billie odrl:partOf ex:fans ."
    assert ask(policy, REQUEST, state, "text").startswith("deny")
    typed = state + " ex:album a odrl:AssetCollection . ex:fans a odrl:PartyCollection ."
    assert ask(policy, REQUEST, typed, "text").startswith("permit")


def test_a_request_may_say_its_own_time(ask: Any) -> None:
    policy = """ex:policy a odrl:Set ; odrl:permission [ odrl:action odrl:play ; odrl:constraint
        [ odrl:leftOperand odrl:dateTime ; odrl:operator odrl:lt ; odrl:rightOperand "2020-01-01"^^xsd:date ] ] ."""
    request = """ex:asked a sotw:EvaluationRequest ; sotw:evaluatedAction odrl:play ; sotw:requestParameter
        [ sotw:describesFeature sotw:CurrentXSDDateTime ; sotw:value "2019-06-01T00:00:00"^^xsd:dateTime ] ."""
    assert ask(policy, request, STATE, "text").startswith("permit")


def test_a_state_without_a_time_is_about_now(ask: Any) -> None:
    policy = """ex:policy a odrl:Set ; odrl:permission [ odrl:action odrl:play ; odrl:constraint
        [ odrl:leftOperand odrl:dateTime ; odrl:operator odrl:gt ; odrl:rightOperand "2020-01-01"^^xsd:date ] ] ."""
    assert ask(policy, REQUEST, "ex:state a sotw:SotW .", "text").startswith("permit")
