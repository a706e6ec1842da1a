"""Webhooks of replicas: what happens at any of them is told in its order, although the one that tells is killed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from connector.api.webhooks import NewWebhook
from connector.client import operating
from tests.scenarios.replicas import CALLS, LEASE_S, Buyer, Replica, replicas, until

PROCESSES = 8


@pytest.fixture
def program() -> Iterator[Buyer]:
    """The operator's own program, which hears of everything."""
    found = Buyer()
    yield found
    found.close()


def happened(replica: Replica) -> dict[str, list[str]]:
    """The ids of what happened, by process and in its order."""
    found: dict[str, list[str]] = defaultdict(list)
    after = None
    while (page := replica.node.client.send(CALLS.events(after=after, limit=1000))).items:
        for event in page.items:
            found[event.pid].append(event.id)
        after = page.position
    return found


def told(program: Buyer) -> dict[str, list[str]]:
    """The same as the program has heard it; what came again counts once."""
    found: dict[str, list[str]] = defaultdict(list)
    for _, tree in list(program.received):
        event = tree["data"]
        if event["id"] not in found[event["pid"]]:
            found[event["pid"]].append(event["id"])
    return found


def test_what_happens_is_told_in_order_although_the_one_that_tells_is_killed(
    tmp_path: Path, buyer: Buyer, program: Buyer, database: str
) -> None:
    with replicas(tmp_path, database, ("one", "two")) as (one, two):
        one.publish()
        until(two.offers, "both offer it")
        one.node.client.send(operating.add_webhook("shop", NewWebhook(name="erp", url=program.url)))
        program.is_open.clear()
        for n in range(PROCESSES):
            assert (one, two)[n % 2].ask(buyer).status_code == 201
        until(lambda: len(set(buyer.got("ContractAgreementMessage"))) == PROCESSES, "each is agreed")

        until(lambda: bool(program.received), "it is told")
        teller, other = (one, two) if one.talks_to(program.url) else (two, one)
        heard = len(program.received)
        teller.kill()
        program.is_open.set()
        until(lambda: told(program) == happened(other), "all is told, and in order", LEASE_S + 10)
        assert len(told(program)) == PROCESSES
        assert heard < sum(map(len, happened(other).values()))
        # what the dead one had begun came again under the same id
        ids = [tree["id"] for _, tree in program.received]
        assert len(ids) > len(set(ids))
