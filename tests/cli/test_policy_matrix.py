"""`kontor policy conformance` on case files of our own: they pass as a whole, and what they cover is told cell by cell."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from connector.cli import policy_cases, policy_matrix
from connector.errors import ConfigurationError
from tests.cli.conftest import Run

CASES = Path(__file__).parents[1] / "odrl" / "cases"
CASE = """
name: reading is permitted
section: ODRL Information Model 2.2, 2.6.1
policy: {permission: [{'@id': 'urn:may', action: read, constraint: [{leftOperand: purpose, operator: eq, rightOperand: research}]}]}
request: {action: read, params: {purpose: research}}
expect: permit
active: ['urn:may']
states: {'policy.permission[0].constraint[0]': satisfied}
"""
TURTLE = """
name: the same in Turtle
section: ODRL Information Model 2.2, 2.6.1
policy: |
  @prefix odrl: <http://www.w3.org/ns/odrl/2/> .
  <urn:p> a odrl:Set ; odrl:permission [ odrl:action odrl:read ; odrl:target <urn:t> ] .
request: |
  @prefix odrl: <http://www.w3.org/ns/odrl/2/> .
  <urn:r> a odrl:Request ; odrl:permission [ odrl:action odrl:read ; odrl:target <urn:t> ] .
state: |
  <http://example.com/request/currentTime> <http://purl.org/dc/terms/issued> "2026-11-22T12:00:00Z" .
expect: permit
"""


def folder(at: Path, index: str = "profiles: [base]", **cases: str) -> Path:
    """A folder of cases."""
    (at / policy_cases.INDEX).write_text(index)
    for name, text in cases.items():
        (at / f"{name}.yaml").write_text(text)
    return at


def test_our_own_cases_pass_and_no_lawful_cell_is_empty(run: Run) -> None:
    ran = run("policy", "conformance", "--json", str(CASES))
    told = json.loads(ran.out)
    assert (told["failures"], told["gaps"]) == ([], [])
    assert told["passed"] >= 500


def test_cases_in_yaml_and_turtle_pass_or_fail_as_a_whole(run: Run, tmp_path: Path) -> None:
    ran = run("policy", "conformance", str(folder(tmp_path, plain=CASE, turtle=TURTLE)))
    assert ran.out.splitlines() == ["cases: 2 passed, 0 failed"]


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (CASE.replace("expect: permit", "expect: deny"), "expect: expected deny, got permit"),
        (CASE.replace("active: ['urn:may']", "active: []"), "active: expected none, got urn:may"),
        (CASE.replace("]': satisfied", "]': unsatisfied"), "expected unsatisfied, got satisfied"),
        (CASE + "because: conflict", "because: expected conflict, got permitted, satisfied"),
        (CASE + "missing: [purpose]", "missing: expected purpose, got none"),
        (CASE + "deferred: [purpose]", "deferred: expected purpose, got none"),
        (CASE + "duties: [inform pending]", "duties: expected inform pending, got none"),
        (CASE + "valid_until: '2027-01-01T00:00:00Z'", "valid_until: expected 2027-01-01T00:00:00+00:00, got none"),
        (CASE.replace("expect: permit", "expect: perhaps"), "unknown word `perhaps`"),
        (CASE.replace("request:", "asked:"), "unknown word `asked`; did you mean"),
        (CASE.replace("policy:", "given:"), "a case without `policy`"),
        ("- just a list", "a case is a table"),
    ],
)
def test_a_case_that_is_not_so_is_told_with_the_difference(wrong: str, told: str, run: Run, tmp_path: Path) -> None:
    ran = run("policy", "conformance", str(folder(tmp_path, wrong=wrong)))
    assert ran.code == 1
    assert told.partition("; did")[0] in ran.out


def test_a_lawful_cell_without_a_case_fails_the_run(run: Run, tmp_path: Path) -> None:
    law = "profiles: [base]\nmatrix: {unlawful: [{operator: lt, kind: term, section: names have no order}]}"
    ran = run("policy", "conformance", str(folder(tmp_path, law, plain=CASE)))
    assert ran.code == 1
    assert "class x operator: Permission x neq lacks a case" in ran.out
    assert "operator x kind: lt x term" not in ran.out
    assert "operator x kind: eq x term" not in ran.out


def test_a_case_in_a_cell_that_is_ruled_out_fails_the_run(run: Run, tmp_path: Path) -> None:
    law = "profiles: [base]\nmatrix: {unlawful: [{operator: eq, kind: term, section: a slip}]}"
    ran = run("policy", "conformance", str(folder(tmp_path, law, plain=CASE)))
    assert "operator x kind: eq x term has a case and is said to be unlawful" in ran.out


@pytest.mark.parametrize(
    "row",
    [
        {"operator": "eq", "section": "one dimension"},
        {"operator": "eq", "kind": "term"},
        {"operator": "equals", "kind": "term", "section": "no such operator"},
        {"operator": "eq", "colour": "red", "section": "no such dimension"},
    ],
    ids=str,
)
def test_a_law_that_means_nothing_is_refused_with_its_place(row: dict[str, str]) -> None:
    vocabulary = policy_cases.open_folder(CASES).vocabulary
    with pytest.raises(ConfigurationError) as caught:
        policy_matrix.tables([], vocabulary, {"unlawful": [row]})
    assert caught.value.where == "matrix.unlawful[0]"


def test_the_law_agrees_with_the_vocabulary_about_operators() -> None:
    opened = policy_cases.open_folder(CASES)
    taken: dict[str, set[str]] = {}
    from connector.odrl.model import Constraint, Value

    for operand in (*opened.vocabulary.operands.values(), opened.vocabulary.operand("claim:any")):
        assert operand is not None
        for operator in operand.operators:
            for unit in (None, Value(text="GB")):
                one = Constraint(left=operand.name, operator=operator, right=(Value(text="x"),), unit=unit)
                kind = policy_matrix.kind_of(one, opened.vocabulary)
                assert kind is not None
                taken.setdefault(kind, set()).add(operator.value)
    assert opened.matrix is not None
    table = next(
        one
        for one in policy_matrix.tables([], opened.vocabulary, opened.matrix)
        if (one.rows, one.columns) == ("operator", "kind")
    )
    assert set(table.empty) == {(operator, kind) for kind, operators in taken.items() for operator in operators}
