"""Whoever cannot be proven is told nothing; the operator sees in the story of the process which check failed."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from connector.errors import Overloaded, Unauthenticated, Unproven
from connector.storage.memory import Memory
from connector.testing.clock import MovedClock
from connector.testing.dataspace import DataSpace
from connector.web.refusals import STREAM, Refusals
from tests.controlplane.scene import NOW, Node, PeerHost, assembled, running


def refused(check: str) -> Unauthenticated:
    fault = Unauthenticated("no valid token")
    fault.__cause__ = Unproven(f"what is wrong with {check}", check=check)
    return fault


async def test_a_refused_message_stands_in_the_story_of_its_process() -> None:
    async with DataSpace() as space:
        acme, beta = space.join("acme"), space.join("beta")
        agreed = await beta.negotiate(await acme.publish("weather"))
        pid = await acme.theirs(agreed)
        async with httpx.AsyncClient(trust_env=False) as http:
            for address in (f"{acme.address}/negotiations/{pid}", f"{acme.address}/negotiations/urn:uuid:nothing"):
                answer = await http.get(address, headers={"Authorization": "Bearer wrong"})
                assert answer.status_code == 401
                assert answer.json()["reason"] == [
                    "no valid token at `Authorization`; send the token agreed with this participant"
                ]
        (found,) = (await acme.timeline(pid)).refused
        assert (found.source, found.check) == ("127.0.0.1", "unauthenticated")
        assert (await beta.timeline(agreed.pid)).refused == []


@pytest.fixture
async def node() -> AsyncIterator[Node]:
    made = assembled({}, memory=Memory(), clock=MovedClock(NOW), host=PeerHost(), node="here")
    async with running(made) as found:
        await found.publish()
        yield found


async def test_the_exact_check_is_kept_and_only_the_last_of_each_process(node: Node) -> None:
    pid = (await node.started()).pid
    kept = Refusals(node.store, node.clock)
    for number in range(30):
        kept.note("alice", pid, refused(f"check-{number}"), source="192.0.2.1")
        node.clock.move(minutes=10)
        await kept.flush()
    kept.note("alice", pid, Overloaded("the sender cannot be proven at the moment"), source="192.0.2.1")
    # another replica, or the same node after a restart, shows the same
    for one in (kept, Refusals(node.store, node.clock)):
        found = await one.of("alice", pid)
        assert [refusal.check for refusal in found[-3:]] == ["check-28", "check-29", "overloaded"]
        assert (len(found), found[-2].words) == (10, "what is wrong with check-29")
        assert await one.of("other", pid) == ()
    # for a week
    node.clock.move(days=8)
    kept.note("alice", pid, refused("late"), source="192.0.2.1")
    assert [one.check for one in await kept.of("alice", pid)] == ["late"]


async def test_strangers_cannot_make_it_grow(node: Node) -> None:
    pid = (await node.started()).pid
    kept = Refusals(node.store, node.clock)
    for number in range(300):
        for name in (f"p{number}", "", "p" * 1_000, pid):
            kept.note("alice", name, refused("x"), source="192.0.2.1")
        if number % 100 == 0:
            await kept.flush()
    await kept.flush()
    # nothing of what is not there, and little of what is: the rest is in the log
    assert len((await node.store.journal.page("alice", STREAM, limit=1000)).items) == 10
