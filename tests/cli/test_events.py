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
    assert "kontor approve" in inbox.err
    events = [json.loads(line) for line in run("events", "--json", "--limit", "1000", *space.provider.options).out.splitlines()]
    mine = [one for one in events if one["dataset"] == "urn:x:inbox"]
    assert mine[0]["state"] == "REQUESTED"
    assert run("approve", line.split()[0], *space.provider.options).code == 0
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
