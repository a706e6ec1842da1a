"""`kontor policy convert`: policies in other languages, with their losses named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from connector.cli.policy_files import policy_in
from connector.cli.terms import load
from tests.cli.conftest import Run

_CONTRACT = {
    "contractId": "C1",
    "contractName": "Wind",
    "contractStatus": "0301",
    "signMode": "01",
    "contractPolicies": {
        "permissionPolicies": [
            {
                "subjectInfo": {"dataProductId": "urn:asset:wind"},
                "executionNodeInfo": {"providerNodeId": "5A", "consumerNodeId": "5B"},
                "actions": ["read"],
                "constraints": [{"constraintName": "region", "constraintOperator": "09", "constraintValue": "EU"}],
                "expansionItem": {"purpose": [{"operator": "07", "value": ["research"]}]},
            }
        ]
    },
}


@pytest.mark.parametrize(("to", "suffix"), [("yaml", ".yaml"), ("json-ld", ".json"), ("turtle", ".ttl")])
def test_a_policy_in_another_spelling_is_the_same_policy(to: str, suffix: str, run: Run, tmp_path: Path) -> None:
    told = run("policy", "convert", "several-ways", "--to", to)
    assert (told.code, told.err) == (0, "")
    path = tmp_path / f"again{suffix}"
    path.write_text(told.out)
    again = load(str(path)).policy if suffix == ".yaml" else policy_in(path).policy
    assert again == load("several-ways").policy


def test_a_digital_contract_is_read_and_written(run: Run, tmp_path: Path) -> None:
    contract, yaml = tmp_path / "contract.json", tmp_path / "contract.yaml"
    contract.write_text(json.dumps(_CONTRACT))
    told = run("policy", "convert", contract, "--to", "yaml")
    assert "when:" in told.out
    yaml.write_text(told.out)
    back = run("policy", "convert", yaml, "--to", "tds")
    assert json.loads(back.out) == _CONTRACT
    assert "it is carried in `expansionItem`" in back.err


@pytest.mark.parametrize(
    ("to", "begins", "lost"),
    [
        ("rego", "package kontor.policy", 2),
        ("cedar", "permit(principal, action, resource)", 2),
        ("sql", "FALSE", 1),
        ("dcql", '"credentials"', 1),
    ],
)
def test_what_is_lost_is_named_and_fails_unless_that_is_allowed(
    to: str, begins: str, lost: int, run: Run, tmp_path: Path
) -> None:
    path = tmp_path / "p.yaml"
    path.write_text("permit: [{action: use, when: [membership == active, count <= 10]}]\noblige: [delete]\n")
    told = run("policy", "convert", path, "--to", to)
    assert told.code == 1
    assert begins in told.out
    assert len([line for line in told.err.splitlines() if line.startswith("not carried: ")]) >= lost
    assert run("policy", "convert", path, "--to", to, "--allow-loss").code == 0
    assert run("policy", "convert", path, "--to", to, "--allow-loss", "--json").tree["lost"]


def test_a_row_filter_is_made_for_who_asks(run: Run, tmp_path: Path) -> None:
    asking = tmp_path / "asking.json"
    asking.write_text(json.dumps({"action": "read", "claims": {"membership": "active"}, "now": "2026-11-22T12:00:00Z"}))
    told = run(
        "policy", "convert", "graded-data", "--to", "sql", "--request", asking, "--column", "grade=data_grade", "--allow-loss"
    )
    assert told.out.strip() == "\"data_grade\" = 'general'"
    assert run("policy", "convert", "graded-data", "--to", "sql", "--column", "grade").code == 2


def test_a_language_that_nobody_speaks_is_wrong_usage(run: Run) -> None:
    told = run("policy", "convert", "open", "--to", "xacml")
    assert told.code == 2
    assert "yaml, json-ld, turtle, tds, rego, cedar, sql, dcql" in " ".join(told.err.split())
