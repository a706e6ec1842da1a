"""Policies in other engines' languages: Cedar answers what we answer, row filters pick what we permit, losses are told and safe."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connector.errors import PolicyError
from connector.odrl import cases, jsonld, yamlfmt
from connector.odrl.compile import compile
from connector.odrl.evaluate import decide
from connector.odrl.export import cedar, dcql, rego
from connector.odrl.export.logic import Logic, context, logic
from connector.odrl.export.sql import row_filter
from connector.odrl.model import Policy
from connector.odrl.truth import DutyState, Request, Stage, World
from connector.odrl.vocabulary import Vocabulary
from tests.examples import examples
from tests.odrl import strategies

_LAW = settings(max_examples=examples(12), deadline=None, suppress_health_check=list(HealthCheck))


def permitted_by_cedar(found: Logic, request: Request, world: World, vocabulary: Vocabulary) -> bool:
    import cedarpy

    text, _ = cedar.write(found)
    action = vocabulary.action(request.action)
    asked = {
        "principal": f"Party::{cedar._text(request.party or '')}",
        "action": f"Action::{cedar._text(action.name if action else request.action)}",
        "resource": f"Asset::{cedar._text(request.target or '')}",
        "context": cedar.context(context(found, request, world)),
    }
    answer = cedarpy.is_authorized(asked, text, [])
    assert not answer.diagnostics.errors, answer.diagnostics.errors
    return bool(answer.allowed)


def permitted(policy: Policy, request: Request, world: World, vocabulary: Vocabulary) -> bool:
    return decide(compile(policy, vocabulary), request, world, stage=Stage.REQUEST).is_permitted


@given(tree=strategies.policies(), request=strategies.requests(), world=strategies.worlds())
@_LAW
def test_cedar_answers_what_we_answer_and_never_more(
    tree: dict[str, Any], request: Request, world: World, everything: Vocabulary
) -> None:
    policy = jsonld.read(tree)
    found = logic(policy, everything)
    ours, theirs = permitted(policy, request, world, everything), permitted_by_cedar(found, request, world, everything)
    # INVARIANT: what an export cannot hold makes it stricter, never laxer
    assert ours or not theirs
    _, lost = cedar.write(found)
    if not any(one.severity == "error" for one in (*found.lost, *lost)):
        assert ours is theirs


@given(tree=strategies.policies(), request=strategies.requests(), world=strategies.worlds())
@settings(max_examples=examples(8), deadline=None, suppress_health_check=list(HealthCheck))
def test_rego_says_the_same_logic_twice(tree: dict[str, Any], request: Request, world: World, everything: Vocabulary) -> None:
    """That engines of Rego answer as Cedar does is tried by `python -m tests.rego`, which fetches one."""
    found = logic(jsonld.read(tree), everything)
    text = rego.write(found)
    assert text.count("default t_") == text.count("default f_")
    assert text.count("permitted if") == len(found.permits)
    assert text.count("forbidden if not") == len(found.forbids)
    assert max(map(len, text.splitlines())) < 1_000


def test_what_is_lost_is_named_and_permits_nothing(everything: Vocabulary) -> None:
    policy = yamlfmt.read("permit: [{action: use, when: count <= 10}]\noblige: [delete]", everything, "p.yaml")
    found = logic(policy, everything)
    assert [(one.severity, one.where) for one in found.lost] == [("error", "p.yaml:1:30"), ("warning", "p.yaml:2:10")]
    assert not permitted_by_cedar(found, Request(), World(now=cases.NOON), everything)
    forbidding = yamlfmt.read("permit: [use]\nforbid: [{action: use, when: count > 10}]", everything)
    assert not permitted_by_cedar(logic(forbidding, everything), Request(), World(now=cases.NOON), everything)


def test_a_duty_is_asked_for_by_its_name(everything: Vocabulary) -> None:
    found = logic(yamlfmt.read("permit: [{action: use, duty: {id: 'urn:d', action: inform}}]", everything), everything)
    world = World(now=cases.NOON)
    assert found.lost == ()
    assert not permitted_by_cedar(found, Request(), world, everything)
    assert permitted_by_cedar(found, Request(), replace(world, duties={"urn:d": DutyState.FULFILLED}), everything)


def test_a_number_that_cedar_cannot_hold_is_lost_and_permits_nothing(everything: Vocabulary) -> None:
    found = logic(yamlfmt.read("permit: [{action: use, when: securityLevel >= 1.00001}]", everything), everything)
    _, lost = cedar.write(found)
    assert [one.where for one in lost] == ["securityLevel"]
    assert not permitted_by_cedar(found, Request(), World(now=cases.NOON, claims={"securityLevel": 9}), everything)


# --- rows


_ROWS = st.fixed_dictionaries(
    {},
    optional={
        "artifactState": st.sampled_from(["released", "draft"]),
        "region": st.sampled_from(["EU", "DE", "US", "Atlantis"]),
        "securityLevel": st.integers(1, 4),
    },
)


def _joined(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    members = st.lists(inner, min_size=2, max_size=3)
    return st.builds(lambda word, found: {word: found}, st.sampled_from(["and", "or", "xone"]), members)


_PICKS = st.recursive(
    st.sampled_from([
        {"leftOperand": "artifactState", "operator": "eq", "rightOperand": "released"},
        {"leftOperand": "artifactState", "operator": "neq", "rightOperand": "draft"},
        {"leftOperand": "artifactState", "operator": "isNoneOf", "rightOperand": ["draft", "x'y"]},
        {"leftOperand": "region", "operator": "isPartOf", "rightOperand": "EU"},
        {"leftOperand": "region", "operator": "isAnyOf", "rightOperand": ["DE", "US"]},
        {"leftOperand": "region", "operator": "hasPart", "rightOperand": "DE"},
        {"leftOperand": "securityLevel", "operator": "gteq", "rightOperand": "2"},
        {"leftOperand": "securityLevel", "operator": "neq", "rightOperand": "3"},
    ]),
    _joined,
    max_leaves=4,
)  # fmt: skip
_CONDITIONS = st.sampled_from([
    [],
    [{"leftOperand": "membership", "operator": "eq", "rightOperand": "active"}],
    [{"leftOperand": "purpose", "operator": "eq", "rightOperand": "research"}],
])  # fmt: skip


def _rule() -> st.SearchStrategy[dict[str, Any]]:
    target = st.lists(_PICKS, min_size=1, max_size=2).map(lambda picks: {"source": "urn:catalog", "refinement": picks})
    return st.fixed_dictionaries({"action": st.sampled_from(["use", "read"]), "target": target, "constraint": _CONDITIONS})


@given(
    permit=st.lists(_rule(), min_size=1, max_size=2),
    forbid=st.lists(_rule(), max_size=1),
    rows=st.lists(_ROWS, min_size=1, max_size=5),
    claims=st.sampled_from([{}, {"membership": "active"}]),
    params=st.sampled_from([{}, {"purpose": "research"}]),
)
@settings(max_examples=examples(25), deadline=None, suppress_health_check=list(HealthCheck))
def test_a_row_filter_picks_the_rows_that_we_permit(
    permit: Any, forbid: Any, rows: Any, claims: Any, params: Any, everything: Vocabulary
) -> None:
    policy = jsonld.read({"permission": permit, "prohibition": forbid, "conflict": "prohibit"})
    request, world = Request(action="read", params=params), World(now=cases.NOON, claims=claims)
    found = row_filter(policy, everything, request, world)
    with closing(sqlite3.connect(":memory:")) as table:
        table.execute('CREATE TABLE asset (id INTEGER, "artifactState" TEXT, "region" TEXT, "securityLevel" NUMERIC)')
        for number, row in enumerate(rows):
            table.execute(
                "INSERT INTO asset VALUES (?, ?, ?, ?)",
                (number, row.get("artifactState"), row.get("region"), row.get("securityLevel")),
            )
        seen = {number for (number,) in table.execute(f"SELECT id FROM asset WHERE {found.text}")}
    names = {f"urn:{number}": row for number, row in enumerate(rows)}
    world = replace(world, memberships=dict.fromkeys(names, frozenset({"urn:catalog"})), properties=names)
    ours = {number for number, name in enumerate(names) if permitted(policy, replace(request, target=name), world, everything)}
    assert seen == ours


def test_a_row_filter_without_a_request_shows_nothing_that_depends_on_it(everything: Vocabulary) -> None:
    policy = yamlfmt.read(
        "permit: [{action: use, target: {members_of: 'urn:c', where: artifactState == released}, when: membership == active}]",
        everything,
    )
    found = row_filter(policy, everything, Request(), World(now=cases.NOON))
    assert found.text == "FALSE"
    assert "`membership` is not known" in found.lost[0].what
    known = World(now=cases.NOON, claims={"membership": "active"})
    named = row_filter(policy, everything, Request(), known, {"artifactState": 'st"ate'})
    assert named.text == """ "st""ate" = 'released' """.strip()


def test_a_condition_that_no_column_can_hold_is_lost_and_shows_nothing(everything: Vocabulary) -> None:
    policy = yamlfmt.read("permit: [{action: use, target: {members_of: 'urn:c', where: 'role all of [a, b]'}}]", everything)
    found = row_filter(policy, everything, Request(), World(now=cases.NOON))
    assert (found.text, found.lost[0].what) == ("NULL", "`isAllOf` of 2 values")


# --- credentials


def test_what_must_be_shown_is_asked_for(everything: Vocabulary) -> None:
    text = """
    permit:
      - action: use
        when:
          - any: [membership == active, "claim:BpnCredential.bpn in [A, B]"]
          - region within EU
          - purpose == research
    """
    tree, lost = dcql.query(yamlfmt.read(text, everything), everything)
    assert tree == {
        "credentials": [
            {"id": "c1", "format": "ldp_vc", "claims": [{"path": ["credentialSubject", "membership"], "values": ["active"]}]},
            {
                "id": "c2",
                "format": "ldp_vc",
                "meta": {"type_values": [["BpnCredential"]]},
                "claims": [{"path": ["credentialSubject", "bpn"], "values": ["A", "B"]}],
            },
            {"id": "c3", "format": "ldp_vc", "claims": [{"path": ["credentialSubject", "region"]}]},
        ],
        "credential_sets": [{"options": [["c1", "c3"], ["c2", "c3"]], "required": True}],
    }
    assert [one.what.split(":")[0] for one in lost] == ["`region isPartOf`", "`purpose`, which no credential says"]


def test_a_membership_of_catena_x_asks_for_its_credential(everything: Vocabulary) -> None:
    tree, _ = dcql.query(yamlfmt.read("permit: [{action: use, when: Membership == active}]", everything), everything)
    assert tree["credentials"][1]["meta"] == {"type_values": [["MembershipCredential"]]}


NOBODY_KNOWS = {"constraints": ["x"]}


@pytest.mark.parametrize(
    "rule",
    [
        {"action": "use", **NOBODY_KNOWS},
        {"action": {"@id": "use", **NOBODY_KNOWS}},
        {"action": "use", "target": {"@id": "urn:t", **NOBODY_KNOWS}},
        {"action": "use", "assignee": {"@id": "did:a", **NOBODY_KNOWS}},
        {"action": "use", "constraint": [{"leftOperand": "purpose", "operator": "eq", "rightOperand": "x", **NOBODY_KNOWS}]},
        {"action": "use", "https://w3id.org/gaia-x/ovc/1/constraint": ["x"]},
    ],
)
def test_what_may_have_been_meant_as_a_condition_permits_nothing_elsewhere_either(
    rule: dict[str, Any], everything: Vocabulary
) -> None:
    policy = jsonld.read({"@type": "Agreement", "permission": [rule]})
    request, world = Request(target="urn:t", party="did:a", params={"purpose": "x"}), World(now=strategies.START)
    found = logic(policy, everything)
    assert not permitted_by_cedar(found, request, world, everything)
    assert any("may have been meant" in one.what for one in found.lost)
    assert row_filter(policy, everything, request, world).text in ("FALSE", "NULL")


@pytest.mark.parametrize(
    "more",
    [
        NOBODY_KNOWS,
        {"@type": "urn:acme:Licence"},
        {"dct:isReplacedBy": "urn:other"},
        {"obligation": [{"@id": "urn:d", "action": "delete"}, {"@id": "urn:d", "action": "inform"}]},
    ],
)
def test_what_is_not_judged_as_a_whole_is_exported_in_no_part(more: dict[str, Any], everything: Vocabulary) -> None:
    policy = jsonld.read({"permission": [{"action": "use"}], **more})
    with pytest.raises(PolicyError):
        logic(policy, everything)
    with pytest.raises(PolicyError):
        row_filter(policy, everything, Request(), World(now=strategies.START))


@pytest.mark.parametrize(
    ("word", "text"),
    [("x' OR ''='", "\"version\" NOT IN ('x'' OR ''''=''')"), ("\\' OR 1=1 -- ", "NULL"), ("\\", "NULL")],
)
def test_a_value_ends_no_text_of_a_row_filter(word: str, text: str, everything: Vocabulary) -> None:
    refinement = [{"leftOperand": "version", "operator": "isNoneOf", "rightOperand": word}]
    picked = {"@type": "AssetCollection", "source": "urn:s", "refinement": refinement}
    policy = jsonld.read({"permission": [{"action": "use", "target": picked}]})
    assert row_filter(policy, everything, Request(), World(now=strategies.START)).text == text
