"""`kontor events` and `kontor approvals`: what happened, and what waits for a person."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.conftest import Run, Space


def test_a_request_is_seen_in_the_events_and_waits_in_the_inbox(run: Run, space: Space, tmp_path: Path) -> None:
    data = tmp_path / "data.csv"
    data.write_text("a\n1\n")
    words = ("publish", data, "--policy", "open", "--id", "urn:x:inbox", "--approval", "manual")
    assert run(*words, *space.provider.options).code == 0
    asked = run(
        "negotiate",
        space.peer[0],
        "urn:x:inbox",
        *space.peer[1:],
        "--wait",
        "0.3",
        "--purpose",
        "research",
        *space.consumer.options,
    )
    assert asked.code != 0
    inbox = run("approvals", *space.provider.options)
    assert inbox.code == 0
    line = next(line for line in inbox.out.splitlines() if "urn:x:inbox" in line)
    assert "urn:example:consumer" in line
    assert "kontor approvals approve" in inbox.err
    events = [json.loads(line) for line in run("events", "--json", "--limit", "1000", *space.provider.options).out.splitlines()]
    mine = [one for one in events if one["dataset"] == "urn:x:inbox"]
    assert mine[0]["state"] == "REQUESTED"
    assert "hold" in [one["event"] for one in mine]
    assert run("approvals", "approve", line.split()[0], *space.provider.options).code == 0
    later = run("events", "--after", mine[-1]["position"], *space.provider.options)
    assert "agree by operator" in later.out
    assert "urn:x:inbox" not in run("approvals", *space.provider.options).out


def test_work_that_waits_is_listed_and_work_that_there_is_not_is_told(run: Run, space: Space) -> None:
    assert run("jobs", "--given-up", *space.provider.options).code == 0
    assert run("jobs", "list", "--of", "node", "--json", *space.provider.options).tree["total"] == 0
    for word in ("retry", "drop"):
        refused = run("jobs", word, "webhook", "nothing", *space.provider.options)
        assert refused.code == 1
        assert "webhook" in refused.err


def test_a_contract_is_negotiated_once_and_got_again(run: Run, space: Space, tmp_path: Path) -> None:
    data = tmp_path / "again.csv"
    data.write_text("a\n1\n")
    assert run("publish", data, "--policy", "open", "--id", "urn:x:again", *space.provider.options).code == 0
    words = ("negotiate", space.peer[0], "urn:x:again", *space.peer[1:], "--reuse", "--json", *space.consumer.options)
    first = run(*words).tree
    assert first["negotiation"]["state"] == "FINALIZED"
    again = run(*words).tree
    assert (again["agreement"], again["negotiation"]) == (first["agreement"], None)


def test_a_rejection_says_why_and_only_what_waits_can_be_rejected(run: Run, space: Space, tmp_path: Path) -> None:
    data = tmp_path / "rejected.csv"
    data.write_text("a\n1\n")
    words = ("publish", data, "--policy", "open", "--id", "urn:x:rejected", "--approval", "manual")
    assert run(*words, *space.provider.options).code == 0
    run("negotiate", space.peer[0], "urn:x:rejected", *space.peer[1:], "--wait", "0.2", *space.consumer.options)
    inbox = run("approvals", "list", "--json", *space.provider.options).tree
    pid = next(one["process"]["pid"] for one in inbox["items"] if one["process"]["dataset"] == "urn:x:rejected")
    ended = run("approvals", "reject", pid, "--reason", "not in this quarter", *space.provider.options)
    assert ended.code == 0
    again = run("approvals", "reject", pid, "--reason", "still not", *space.provider.options)
    assert again.code == 1
    assert "waits for nobody" in again.err
    assert run("approvals", "--kind", "transfer", *space.provider.options).code == 0


def test_a_webhook_is_added_listed_and_removed(run: Run, space: Space) -> None:
    options = space.provider.options
    made = run("webhooks", "add", "erp", "http://127.0.0.1:1/kontor", "--event", "transfer.*", *options)
    assert made.code == 0
    assert made.out.startswith("whsec_")
    assert "transfer.*" in run("webhooks", *options).out
    assert run("webhooks", "deliveries", "erp", *options).code == 0
    assert run("webhooks", "add", "erp", "http://127.0.0.1:1/kontor", *options).code == 1
    assert run("webhooks", "add", "ERP", "http://127.0.0.1:1/kontor", *options).code == 2
    assert run("webhooks", "remove", "erp", *options).code == 0
    assert run("webhooks", "remove", "erp", *options).code == 1
