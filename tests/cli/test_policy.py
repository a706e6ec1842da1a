"""`kontor policy`: the engine's answer with its reasons, the library by name, files with faults."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run


def test_a_policy_of_the_library_is_judged(run: Run) -> None:
    asked = ("policy", "evaluate", "--policy", "members-only")
    assert run(*asked, "--claim", "membership=active").out.startswith("permit: ")
    refused = run(*asked)
    assert refused.code == 0
    assert refused.out.startswith("deny: ")
    assert "membership" in refused.out


def test_the_answer_is_json_with_the_reasons(run: Run) -> None:
    tree = run("policy", "evaluate", "--policy", "purpose-research", "--purpose", "marketing", "--json").tree
    assert tree["effect"] == "deny"
    assert any(reason.get("left") == "purpose" and reason.get("value") == ["marketing"] for reason in tree["because"])


def test_a_request_can_come_from_a_file_and_options_go_before_it(run: Run, tmp_path: Path) -> None:
    policy = tmp_path / "p.json"
    condition = {"leftOperand": "dateTime", "operator": "lt", "rightOperand": "2027-01-01T00:00:00Z"}
    policy.write_text(json.dumps({"permission": [{"action": "use", "constraint": [condition]}]}))
    request = tmp_path / "r.json"
    request.write_text(json.dumps({"action": "use", "now": "2026-12-31T23:59:59Z"}))
    asked = ("policy", "evaluate", "--policy", policy, "--request", request, "--json")
    tree = run(*asked).tree
    assert (tree["effect"], tree["valid_until"]) == ("permit", "2027-01-01T00:00:00Z")
    assert run(*asked, "--at", "2027-01-01T00:00:00Z").tree["effect"] == "deny"


def test_a_claim_may_have_several_values(run: Run, tmp_path: Path) -> None:
    policy = tmp_path / "p.yaml"
    policy.write_text("policy: urn:p\npermit:\n  - action: use\n    when: role all of [operator, auditor]\n")
    asked = ("policy", "evaluate", "--policy", policy, "--claim", "role=operator")
    assert run(*asked, "--json").tree["effect"] == "deny"
    assert run(*asked, "--claim", "role=auditor", "--json").tree["effect"] == "permit"


def test_the_tree_is_shown_with_its_values(run: Run, tmp_path: Path) -> None:
    policy = tmp_path / "p.yaml"
    policy.write_text("permit: [{action: use, when: [membership == active, any: [region within EU, dateTime < 2027-01-01Z]]}]")
    told = run(
        "policy", "explain", "--policy", policy, "--claim", "membership=active", "--claim", "region=CH", "--at", "2026-06-01"
    )
    lines = told.out.splitlines()
    assert lines[0] == "p: permit"
    assert "    Membership eq active   [satisfied: it is active]" in lines
    assert "    at least one of   [satisfied]" in lines
    assert "      Region isPartOf EU   [unsatisfied: it is CH]" in lines
    tree = run("policy", "explain", "--policy", policy, "--claim", "membership=none", "--json").tree
    assert (tree["effect"], tree["rules"][1]["value"]) == ("deny", "unsatisfied: it is none")


def test_a_policy_is_explained_with_who_knows_what(run: Run) -> None:
    told = run("policy", "explain", "--policy", "members-only")
    assert told.code == 0
    assert "may use, when" in told.out
    assert "attested" in told.out
    assert run("policy", "explain", "--policy", "members-only", "--json").tree["policy"]["permission"]


def test_an_unknown_operand_is_told_to_be_one(run: Run, tmp_path: Path) -> None:
    policy = tmp_path / "p.json"
    condition = {"leftOperand": "porpose", "operator": "eq", "rightOperand": "x"}
    policy.write_text(json.dumps({"permission": [{"action": "use", "constraint": [condition]}]}))
    assert "did you mean `purpose`" in run("policy", "explain", "--policy", policy).out


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("p.json", "{", "this is no JSON"),
        ("p.json", "[]", "this is no JSON object"),
        (
            "p.json",
            '{"permission": [{"action": "use"}], "prohibition": [{"action": "use"}], "prohibition": []}',
            "stands twice",
        ),
        ("p.yaml", "permit:\n  - action: use\n    when: porpose == x\n", "did you mean `purpose`"),
    ],
)
def test_a_fault_in_a_file_is_named_with_the_file(run: Run, tmp_path: Path, name: str, text: str, said: str) -> None:
    (tmp_path / name).write_text(text)
    failed = run("policy", "evaluate", "--policy", tmp_path / name)
    assert failed.code == 1
    assert said in failed.err
    assert str(tmp_path / name) in failed.err


def test_an_unknown_policy_is_answered_with_those_there_are(run: Run, tmp_path: Path) -> None:
    failed = run("policy", "evaluate", "--policy", "members")
    assert failed.code == 1
    assert "`members-only`" in failed.err
    assert run("policy", "evaluate", "--policy", tmp_path / "none.json").code == 1


def test_wrong_words_are_wrong_usage(run: Run) -> None:
    assert run("policy", "evaluate", "--policy", "open", "--stage", "never").code == 2
    assert run("policy", "evaluate", "--policy", "open", "--claim", "membership").code == 2
    assert run("policy", "evaluate", "--policy", "open", "--at", "tomorrow").code == 2
