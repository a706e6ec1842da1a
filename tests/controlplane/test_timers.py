"""What waits for a moment: delayed acts, reviews and deadlines, before and after a restart."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest

from connector.controlplane.delivery import LOOK_AGAIN
from connector.controlplane.shelving import DEFINITION
from connector.controlplane.watch import LOOK_EVERY
from connector.dsp import messages as m
from connector.dsp.tables import Event, State
from connector.errors import IllegalTransition, StoreUnavailable
from connector.ports.store import DueRow
from tests.controlplane.conftest import NewNode
from tests.controlplane.scene import NOW, Node, answer, before, counter, only_for, pids, transfer_request, verification

DAY = 86_400


async def due(node: Node, pid: str) -> list[tuple[str, datetime]]:
    return [(row.act, row.at) for row in (await node.timeline(pid)).due]


# --- delayed acts


async def test_a_delayed_act_is_a_row_that_outlives_the_node(new_node: NewNode) -> None:
    rule = {"on": "REQUESTED", "do": "agree", "delay_s": 3600, "reason": "think it over"}
    first = await new_node(alice={"rules": [rule]})
    await first.publish()
    pid = await first.requested()
    assert ("agree", NOW + timedelta(hours=1)) in await due(first, pid)
    # another process on the same store, as after a restart
    second = await new_node(alice={"rules": [rule]})
    await second.store.release()
    await second.pass_time(seconds=3599)
    assert (await second.negotiation(pid)).state is State.REQUESTED
    await second.pass_time(seconds=1)
    assert (await second.negotiation(pid)).state is State.AGREED
    # it was carried out, and is not again
    assert [act for act, _ in await due(second, pid)] == ["deadline"]


async def test_a_delayed_act_is_decided_again_when_it_is_due(new_node: NewNode) -> None:
    node = await new_node(alice={"rules": [{"on": "REQUESTED", "do": "agree", "delay_s": 60}]})
    await node.publish()
    pid = await node.requested()
    await node.offerings.delete("alice", DEFINITION, "def")
    await node.pass_time(seconds=60)
    process = await node.negotiation(pid)
    assert process.state is State.REQUESTED
    assert "not allowed" in (process.hold or "")


async def test_a_delayed_act_is_dropped_when_the_process_has_moved_on(new_node: NewNode) -> None:
    node = await new_node(alice={"rules": [{"on": "REQUESTED", "do": "terminate", "delay_s": 60, "nth": 1}]})
    await node.publish()
    pid = await node.requested()
    await node.negotiations.act("alice", pid, "offer")
    await node.rest()
    await node.tell(counter(await node.negotiation(pid)), pid)
    # it is in REQUESTED once more, but not for the first time
    assert (await node.negotiation(pid)).entries["REQUESTED"] == 2
    await node.pass_time(seconds=61)
    assert (await node.negotiation(pid)).state is State.AGREED


async def test_acts_of_one_process_that_are_due_together_follow_each_other(
    new_node: NewNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    rule = {"on": "REQUESTED", "do": "agree", "delay_s": 60}
    node = await new_node(alice={"rules": [rule], "longest_wait_s": 3600})
    await node.publish()
    pid, carry_out = await node.requested(), node.negotiations.due

    async def slow(row: DueRow) -> None:
        # what is asked about the peer takes a while for the first of them
        for _ in range(100 if row.due.act == "agree" else 0):
            await asyncio.sleep(0)
        await carry_out(row)

    monkeypatch.setattr(node.negotiations, "due", slow)
    # the node was down for a day: the agreement was due long before the time to wait was over
    await node.pass_time(seconds=DAY)
    assert (await node.negotiation(pid)).state is State.AGREED


async def test_a_human_who_holds_stops_a_delayed_act_too(new_node: NewNode) -> None:
    node = await new_node(alice={"rules": [{"on": "REQUESTED", "do": "agree", "delay_s": 60}]})
    await node.publish()
    pid = await node.requested()
    await node.negotiations.act("alice", pid, "hold", reason="ask the lawyers")
    await node.pass_time(seconds=120)
    process = await node.negotiation(pid)
    assert (process.state, process.hold) == (State.REQUESTED, "ask the lawyers")
    await node.negotiations.act("alice", pid, "approve")
    await node.rest()
    assert (await node.negotiation(pid)).state is State.AGREED


async def test_a_delayed_act_that_became_impossible_is_held_and_says_why(new_node: NewNode) -> None:
    node = await new_node(alice={"rules": [{"on": "REQUESTED", "do": "offer", "delay_s": 60}]})
    await node.publish(only_for("research"))
    pid = await node.requested(terms=only_for("research"), purpose="research")

    def fails(*_: Any) -> Any:
        raise IllegalTransition("there is nothing to offer")

    node.negotiations.course.do = fails  # type: ignore[method-assign]
    await node.pass_time(seconds=60)
    assert "there is nothing to offer" in ((await node.negotiation(pid)).hold or "")


async def test_an_ended_process_cannot_be_held(node: Node) -> None:
    await node.publish(approval="manual")
    pid = await node.requested()
    await node.negotiations.act("alice", pid, "terminate")
    await node.rest()
    with pytest.raises(IllegalTransition, match="has ended"):
        await node.negotiations.act("alice", pid, "hold")


# --- deadlines


async def test_every_process_has_one_deadline_from_its_beginning(node: Node) -> None:
    await node.publish(approval="manual")
    ours, theirs = await node.begin(), await node.requested()
    for pid in (ours.pid, theirs):
        assert await due(node, pid) == [("deadline", NOW + timedelta(days=30))]


@pytest.mark.parametrize("role", ["provider", "consumer"])
async def test_a_negotiation_that_waits_too_long_is_terminated_and_the_peer_told(node: Node, role: str) -> None:
    await node.publish(approval="manual")
    pid = (await node.begin()).pid if role == "consumer" else await node.requested()
    await node.pass_time(days=30)
    process = await node.negotiation(pid)
    assert (process.state, process.code) == (State.TERMINATED, "waited-too-long")
    assert "nothing has happened since 2026-03-01T00:00:00" in process.reasons[0]
    (told,) = node.host.of("ContractNegotiationTerminationMessage")
    assert (told.tree["code"], told.tree["reason"]) == ("waited-too-long", list(process.reasons))
    assert await due(node, pid) == []


async def test_the_deadline_counts_from_the_last_time_that_something_happened(node: Node) -> None:
    await node.publish(approval="manual")
    pid = await node.requested()
    await node.pass_time(days=20)
    await node.negotiations.act("alice", pid, "agree")
    await node.rest()
    await node.pass_time(days=10)
    assert (await node.negotiation(pid)).state is State.AGREED
    assert await due(node, pid) == [("deadline", NOW + timedelta(days=50))]
    await node.pass_time(days=20)
    # the diagram leaves the end of AGREED to the consumer: it ends here, and the consumer is told all the same
    assert (await node.negotiation(pid)).state is State.TERMINATED
    assert len(node.host.of("ContractNegotiationTerminationMessage")) == 1


async def test_a_process_that_ends_leaves_no_deadline_behind(node: Node) -> None:
    await node.publish()
    await node.agreed()
    assert await node.store.next_moment() is None


async def test_how_long_is_a_setting_of_the_participant(new_node: NewNode) -> None:
    node = await new_node(alice={"longest_wait_s": 60, "approval": "manual"})
    await node.publish()
    pid = await node.requested()
    await node.pass_time(seconds=59)
    assert (await node.negotiation(pid)).state is State.REQUESTED
    await node.pass_time(seconds=1)
    assert (await node.negotiation(pid)).state is State.TERMINATED


async def test_a_deadline_waits_for_a_message_that_ends_the_process_anyway(new_node: NewNode) -> None:
    node = await new_node(alice={"longest_wait_s": 60})
    await node.publish()
    pid = await node.requested()
    hanging = asyncio.Event()
    node.host.always = lambda sent: hanging
    await node.tell(verification(await node.negotiation(pid)), pid)
    await node.pass_time(seconds=61)
    process = await node.negotiation(pid)
    assert process.in_flight is not None
    assert (process.state, process.in_flight.event) == (State.VERIFIED, Event.FINALIZE)
    assert await due(node, pid) == [("deadline", NOW + timedelta(seconds=121))]


async def test_a_transfer_that_nobody_starts_is_terminated_and_the_peer_told(new_node: NewNode) -> None:
    node = await new_node(alice={"rules": [{"kind": "transfer", "on": "REQUESTED", "do": "hold"}]})
    await node.publish()
    found = await node.tell(transfer_request(await node.agreed()))
    await node.pass_time(days=31)
    process = await node.transfer(found.provider_pid)
    assert (process.state, process.code) == (State.TERMINATED, "waited-too-long")
    assert len(node.host.of("TransferTerminationMessage")) == 1


async def test_a_started_transfer_has_no_deadline(node: Node) -> None:
    await node.publish()
    transfer = await node.started()
    await node.pass_time(days=31)
    assert (await node.transfer(transfer.pid)).state is State.STARTED
    assert await due(node, transfer.pid) == []


# --- reviews


async def test_a_running_transfer_is_reviewed_when_its_decision_can_flip(new_node: NewNode) -> None:
    node = await new_node()
    terms = before("2026-03-01T01:00:00Z")
    await node.publish(terms)
    agreement = await node.agreed(terms=terms)
    found = await node.tell(transfer_request(agreement))
    hour = NOW + timedelta(hours=1)
    assert ("review", hour) in await due(node, found.provider_pid)
    again = await new_node()
    await again.store.release()
    await again.pass_time(seconds=3599)
    assert (await again.transfer(found.provider_pid)).state is State.STARTED
    await again.pass_time(seconds=1)
    process = await again.transfer(found.provider_pid)
    assert (process.state, process.code) == (State.TERMINATED, "not-permitted")
    assert "dateTime" in process.reasons[0]
    assert ("stop", process.pid) in again.plane.told


async def test_a_review_at_the_very_last_instant_asks_again_and_not_for_ever(node: Node) -> None:
    terms = before("2026-03-01T01:00:00Z", "lteq")
    await node.publish(terms)
    found = await node.tell(transfer_request(await node.agreed(terms=terms)))
    async with asyncio.timeout(10):
        await node.pass_time(hours=1)
    assert (await node.transfer(found.provider_pid)).state is State.STARTED
    await node.pass_time(seconds=1)
    assert (await node.transfer(found.provider_pid)).state is State.TERMINATED


async def test_a_suspended_transfer_is_reviewed_too(node: Node) -> None:
    terms = before("2026-03-01T01:00:00Z")
    await node.publish(terms)
    found = await node.tell(transfer_request(await node.agreed(terms=terms)))
    transfer = await node.transfer(found.provider_pid)
    await node.tell(m.TransferSuspensionMessage(**pids(transfer)), transfer.pid)
    await node.pass_time(hours=1)
    assert (await node.transfer(transfer.pid)).state is State.TERMINATED


# --- the loop


class _Looped:
    """The timers of a node at work, until the test ends."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> _Looped:
        self.task = asyncio.create_task(self.node.timers.run())
        await self.node.rest()
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self.task is not None
        assert not self.task.done()
        self.task.cancel()
        await asyncio.wait([self.task])


async def test_the_loop_wakes_at_the_moment_that_the_store_names(new_node: NewNode) -> None:
    node = await new_node(alice={"rules": [{"on": "REQUESTED", "do": "agree", "delay_s": 5}]})
    await node.publish()
    async with _Looped(node):
        pid = await node.requested()
        assert NOW + timedelta(seconds=5) in node.clock.waiting_until
        node.clock.move(seconds=5)
        await node.rest()
        assert (await node.negotiation(pid)).state is State.AGREED


async def test_what_is_due_much_later_wakes_nobody_and_is_found_in_time(new_node: NewNode) -> None:
    node = await new_node(alice={"rules": [{"on": "REQUESTED", "do": "agree", "delay_s": 3600}]})
    await node.publish()
    async with _Looped(node):
        pid = await node.requested()
        assert not node.delivery.woken.is_set()
        # the timers and the jobs; what flows is looked at every half second
        assert node.clock.waiting_until == (NOW + LOOK_EVERY, NOW + LOOK_AGAIN, NOW + LOOK_AGAIN)
        node.clock.move(seconds=3600)
        await node.rest()
        assert (await node.negotiation(pid)).state is State.AGREED


async def test_the_loop_outlives_a_store_that_is_not_there_for_a_while(node: Node) -> None:
    real, faults = node.store.next_moment, [StoreUnavailable("gone")] * 2

    async def fails() -> Any:
        if faults:
            raise faults.pop()
        return await real()

    node.store.next_moment = fails  # type: ignore[method-assign]
    async with _Looped(node):
        for _ in range(3):
            node.clock.move(seconds=1)
            await node.rest()
        assert faults == []


async def test_one_act_that_fails_does_not_hold_up_the_others(new_node: NewNode) -> None:
    node = await new_node(alice={"rules": [{"on": "REQUESTED", "do": "agree", "delay_s": 60}]})
    await node.publish()
    broken, whole = await node.requested("urn:c:1"), await node.requested("urn:c:2")
    real = node.negotiations.due

    async def fails(row: DueRow) -> None:
        if row.key.pid == broken and node.clock.now() < NOW + timedelta(seconds=90):
            raise ZeroDivisionError("a fault of ours")
        await real(row)

    node.negotiations.due = fails  # type: ignore[method-assign]
    await node.pass_time(seconds=60)
    assert (await node.negotiation(whole)).state is State.AGREED
    assert (await node.negotiation(broken)).state is State.REQUESTED
    await node.pass_time(seconds=node.settings.store.lease_s)
    assert (await node.negotiation(broken)).state is State.AGREED


async def test_one_act_that_takes_its_time_holds_up_neither_other_acts_nor_messages(new_node: NewNode) -> None:
    node = await new_node(alice={"rules": [{"on": "REQUESTED", "do": "agree", "delay_s": 60}]})
    await node.publish()
    slow, quick = await node.requested("urn:c:1"), await node.requested("urn:c:2")
    put_off = await node.requested("urn:c:3")
    node.host.replies.append(answer(503))
    await node.negotiations.act("alice", put_off, "offer")
    await node.rest()
    real, answers = node.negotiations.due, asyncio.Event()

    async def asks(row: DueRow) -> None:
        if row.key.pid == slow:
            # such as the list of an issuer that does not answer
            await answers.wait()
        await real(row)

    node.negotiations.due = asks  # type: ignore[method-assign]
    async with _Looped(node):
        node.clock.move(seconds=60)
        await node.rest()
        assert (await node.negotiation(quick)).state is State.AGREED
        assert (await node.negotiation(put_off)).state is State.OFFERED
        assert (await node.negotiation(slow)).state is State.REQUESTED
        answers.set()
        await node.rest()
    assert (await node.negotiation(slow)).state is State.AGREED
