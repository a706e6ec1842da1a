"""`kontor policy simulate`: what another policy would have decided, from a file of decisions and from a node's own log."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Run, Space


def entry(number: int, *, count: int | None = None, **more: Any) -> dict[str, Any]:
    given: dict[str, Any] = {"now": "2026-11-22T12:00:00Z", "claims": {"membership": "active"}}
    if count is not None:
        given["ledger"] = {"total": {"count": count}}
    case = {"stage": "request", "given": given, "request": {"party": "did:web:b.example"}, "expect": "permit"}
    body = {
        "question": "request",
        "effect": "permit",
        "about": "a1",
        "peer": "did:web:b.example",
        "dataset": "wind",
        "case": case,
    }
    return {"number": number, "at": f"2026-11-22T12:00:0{number}Z", **body, **more}


def _terms(path: Path) -> Path:
    path.write_text("permit: [{action: use, when: [membership == active, count <= 10]}]\n")
    return path


def test_what_would_have_been_decided_is_listed(run: Run, tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    entries = [entry(1, count=3), entry(2, count=11), entry(3, count=12, about="a2"), {"number": 4, "lost": 2}, {"number": 5}]
    log.write_text("\n".join(map(json.dumps, entries)) + "\n")
    told = run("policy", "simulate", _terms(tmp_path / "new.yaml"), "--log", log)
    assert told.code == 0
    first, *rest = told.out.splitlines()
    assert first == "2 of 3 decisions change; 2 were never logged; 1 entries are no decisions"
    assert rest[0].startswith(
        "2026-11-22T12:00:02Z did:web:b.example wind: permit -> deny: refused: count has to be at most 10"
    )
    tree = run("policy", "simulate", tmp_path / "new.yaml", "--log", log, "--about", "a2", "--json").tree
    assert (tree["asked"], [row["about"] for row in tree["changes"]]) == (1, ["a2"])


def test_the_answer_of_the_node_is_a_log_too(run: Run, tmp_path: Path) -> None:
    log = tmp_path / "log.json"
    bare = entry(2)
    del bare["case"]
    lost = {"number": 3, "at": "2026-11-22T12:00:03Z", "effect": None, "case": None, "lost": 2}
    log.write_text(json.dumps({"items": [entry(1, count=3), {**bare, "case": None}, lost]}, indent=2))
    told = run("policy", "simulate", _terms(tmp_path / "new.yaml"), "--log", log)
    assert told.out.strip() == "0 of 1 decisions change; 1 were logged without what they were made from; 2 were never logged"
    log.write_text(json.dumps([{"at": "2026-11-22T12:00:00Z", "body": entry(1, count=99)}]))
    assert run("policy", "simulate", tmp_path / "new.yaml", "--log", log).out.startswith("1 of 1 decisions change")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "no JSON"),
        ("[" * 100_000, "no JSON"),
        ("[1]", "no JSON object"),
        ('{"effect": "permit", "case": {}}', "without `expect`"),
    ],
)
def test_a_log_that_is_none_is_refused_with_its_place(text: str, says: str, run: Run, tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    log.write_text(text)
    told = run("policy", "simulate", "open", "--log", log)
    assert told.code == 1
    assert says in told.err
    assert "log.jsonl" in told.err


def test_an_entry_that_counts_many_offers_is_as_many_decisions_and_a_comparison_none(run: Run, tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    seen = {**entry(1, count=11), "count": 40, "offers": ["o1", "o2"], "question": "catalog"}
    compared = {"number": 2, "question": "agree", "effect": "deny", "about": "o2"}
    log.write_text(json.dumps(seen) + "\n" + json.dumps(compared))
    told = run("policy", "simulate", _terms(tmp_path / "new.yaml"), "--log", log)
    assert told.out.startswith("40 of 40 decisions change; 1 compared two policies and asked neither\n")
    assert run("policy", "simulate", tmp_path / "new.yaml", "--log", log, "--about", "o2").out.startswith("40 of 40")


def test_the_log_of_a_node_is_asked_again_without_a_file(run: Run, space: Space, tmp_path: Path) -> None:
    data, options = tmp_path / "fog.csv", space.provider.options
    data.write_text("1\n")
    assert run("publish", data, "--policy", "open", "--id", "urn:fog", *options).code == 0
    agreed = run("negotiate", space.peer[0], "urn:fog", *space.peer[1:], "--json", *space.consumer.options)
    assert agreed.code == 0, agreed.err
    listed = run("decisions", "--question", "negotiate", "--limit", 200, "--json", *options).tree["items"]
    logged = next(one for one in listed if one["dataset"] == "urn:fog")
    (tmp_path / "none.yaml").write_text("permit: [{action: use, when: [membership == revoked]}]\n")
    tree = run("policy", "simulate", tmp_path / "none.yaml", "--about", logged["about"], "--json", *options).tree
    assert [(row["before"], row["after"]) for row in tree["changes"]] == [("permit", "deny")]
    assert run("policy", "simulate", "open", "--log", tmp_path / "none.yaml", "--since", "2026-01-01T00:00:00Z").code == 2
