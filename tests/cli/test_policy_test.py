"""`kontor policy test | list`: cases beside a policy, what they do not try, and changes that nobody notices."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Run

_POLICY = "policy: urn:p\npermit:\n  - action: use\n    when:\n      - count <= 10\n      - membership == active\n"
_GOOD = """
- name: a member, the third time
  given: {claims: {membership: active}, ledger: {total: {count: 3}}}
  expect: permit
- name: a stranger
  given: {claims: {membership: revoked}, ledger: {total: {count: 3}}}
  expect: deny
"""
_OVER = """
- name: once too often
  given: {claims: {membership: active}, ledger: {total: {count: 11}}}
  expect: deny
"""


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    path = tmp_path / "mine.yaml"
    path.write_text(_POLICY)
    (tmp_path / "mine.cases.yaml").write_text(_GOOD + _OVER)
    return path


def test_the_library_passes_and_is_listed(run: Run) -> None:
    told = run("policy", "test", "members-only", "until-date", "--mutate")
    assert told.code == 0
    assert told.out.splitlines()[-1] == "8 passed, 0 failed; 6 of 6 changes noticed"
    listed = {row["name"]: row["title"] for row in run("policy", "list", "--json").tree}
    assert listed["members-only"] == "Members only"
    assert len(listed) >= 30


def test_cases_that_try_everything_notice_every_change(run: Run, policy: Path) -> None:
    told = run("policy", "test", policy, "--mutate")
    assert told.code == 0
    assert told.out.splitlines()[0].endswith("3 of 3 cases pass; rules 1/1, conditions 2/2")


def test_what_is_not_tried_is_told_and_a_change_of_it_survives(run: Run, policy: Path) -> None:
    policy.with_suffix(".cases.yaml").write_text(_GOOD)
    told = run("policy", "test", policy)
    assert told.code == 0
    assert f"not tried: {policy}:5:9: `count <= 10` is never false" in told.out
    told = run("policy", "test", policy, "--mutate")
    assert told.code == 1
    assert f"not noticed: {policy}:5:9: condition `count <= 10` left out" in told.out
    assert "not noticed: " not in told.out.replace("condition `count <= 10` left out", "", 1).replace("not noticed: ", "", 1)


def test_a_case_that_fails_is_told_to_people_and_to_junit(run: Run, policy: Path, tmp_path: Path) -> None:
    policy.with_suffix(".cases.yaml").write_text(_GOOD.replace("expect: deny", 'expect: permit\n  because: "satisfied"'))
    report = tmp_path / "junit.xml"
    told = run("policy", "test", policy, "--junit", report)
    assert told.code == 1
    assert "failed: a stranger: expect: expected permit, got deny" in told.out
    assert report.read_text().splitlines() == [
        '<?xml version="1.0" encoding="UTF-8"?>',
        "<testsuites>",
        f'  <testsuite name="{policy}" tests="2" failures="1">',
        f'    <testcase classname="{policy}" name="a member, the third time"/>',
        f'    <testcase classname="{policy}" name="a stranger"><failure message="expect: expected permit, got deny"/></testcase>',
        "  </testsuite>",
        "</testsuites>",
    ]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no cases"),
        ("- [", "not YAML"),
        ("- name: x", "without `expect`"),
        ("- {expect: perhaps}", "unknown word `perhaps`"),
        ("- {expect: permit, gven: {}}", "did you mean `given`"),
    ],
)
def test_a_case_file_that_means_nothing_is_refused_with_its_place(run: Run, policy: Path, text: str, says: str) -> None:
    policy.with_suffix(".cases.yaml").write_text(text)
    told = run("policy", "test", policy)
    assert told.code == 1
    assert says in told.err
    assert "mine.cases.yaml" in told.err
