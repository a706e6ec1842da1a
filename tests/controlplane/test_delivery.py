"""Deliveries: which answer means what, pauses, leases, peers that hang or lie, and a store that takes no writes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from connector import tracing
from connector.controlplane import delivery as deliveries
from connector.dsp import messages as m
from connector.dsp.negotiation import Negotiation
from connector.dsp.process import Outgoing
from connector.dsp.tables import Event, Kind, State
from connector.errors import AddressRefused, PeerMessage, StoreUnavailable, Unreachable
from connector.outbound.client import Answer
from connector.ports.store import Attempt, Message
from tests.controlplane.conftest import NewNode
from tests.controlplane.scene import BASE, BOB, EVE, NOW, Node, answer, key, pids, request, verification


async def refused(node: Node, *answers: Answer | Exception) -> str:
    """A negotiation whose agreement met `answers` one after the other, the clock moved past each pause."""
    await node.publish()
    node.host.replies.extend(answers)
    pid = await node.requested()
    for _ in answers[1:]:
        await node.pass_time(seconds=600)
    return pid


async def attempts(node: Node, pid: str) -> list[tuple[str, int | None, bool]]:
    return [(a.event, a.status, a.is_final) for a in (await node.timeline(pid)).attempts]


def unreachable() -> Unreachable:
    return Unreachable("no whole answer: refused", where=BASE, mend="try again later")


# --- what an answer means


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
async def test_any_2xx_is_an_acknowledgement_with_or_without_a_body(node: Node, status: int) -> None:
    pid = await refused(node, answer(status))
    assert (await node.negotiation(pid)).state is State.AGREED
    assert await attempts(node, pid) == [("agree", status, True)]


@pytest.mark.parametrize("status", [404, 408, 409, 425, 429, 500, 502, 503])
async def test_what_may_pass_is_tried_again_with_the_same_message(node: Node, status: int) -> None:
    pid = await refused(node, answer(status))
    process = await node.negotiation(pid)
    assert process.state is State.REQUESTED
    assert process.error is not None
    assert str(status) in process.error
    await node.pass_time(seconds=1)
    process = await node.negotiation(pid)
    assert (process.state, process.error) == (State.AGREED, None)
    first, second = node.host.of("ContractAgreementMessage")
    assert (first.url, first.body) == (second.url, second.body)
    assert await attempts(node, pid) == [("agree", status, False), ("agree", 200, True)]


async def test_a_message_stays_in_its_trace_when_it_is_tried_again_and_by_another_node(new_node: NewNode) -> None:
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    node = await new_node()
    with tracing.received("POST public", f"00-{trace}-00f067aa0ba902b7-01"):
        await refused(node, answer(503), answer(503))
    other = await new_node("there")
    await other.pass_time(seconds=600)
    sent = node.host.of("ContractAgreementMessage")
    assert len(sent) == 3
    assert {one.headers["traceparent"].split("-")[1] for one in sent} == {trace}


@pytest.mark.parametrize("fault", [unreachable(), PeerMessage("the answer is larger than 10 bytes")])
async def test_no_answer_is_tried_again(node: Node, fault: Exception) -> None:
    pid = await refused(node, fault)
    assert (await node.negotiation(pid)).error == str(fault)
    await node.pass_time(seconds=1)
    assert (await node.negotiation(pid)).state is State.AGREED


@pytest.mark.parametrize("status", [301, 400, 401, 403, 410, 415, 422])
async def test_any_other_refusal_is_final_and_the_peer_is_told_of_the_end(node: Node, status: int) -> None:
    pid = await refused(node, answer(status, b'{"code":"no","reason":["it is monday"]}'))
    process = await node.negotiation(pid)
    assert (process.state, process.code) == (State.TERMINATED, "delivery-failed")
    assert f"answered {status}: no: it is monday" in process.reasons[0]
    (told,) = node.host.of("ContractNegotiationTerminationMessage")
    assert "it is monday" in told.tree["reason"][0]
    assert await attempts(node, pid) == [("agree", status, True), ("terminate", 200, True)]


async def test_an_address_that_turns_out_forbidden_is_final(node: Node) -> None:
    pid = await refused(node, AddressRefused("`bob.example` resolves to an address that is refused"))
    assert "resolves to" in (await node.negotiation(pid)).reasons[0]


async def test_a_peer_without_a_token_of_ours_is_final_and_says_where_to_mend_it(node: Node) -> None:
    process = await node.begin(peer="urn:nobody")
    assert process.state is State.TERMINATED
    assert "unsafe_static_tokens" in (process.error or "")
    assert not [sent for sent in node.host.sent if sent.method == "POST"]


async def test_a_termination_answered_404_is_done(node: Node) -> None:
    await node.publish(approval="manual")
    pid = await node.requested()
    node.host.replies.append(answer(404))
    await node.negotiations.act("alice", pid, "terminate", code="enough")
    await node.rest()
    process = await node.negotiation(pid)
    assert (process.state, process.code, process.error, process.in_flight) == (State.TERMINATED, "enough", None, None)
    assert await attempts(node, pid) == [("terminate", 404, True)]


async def test_a_first_message_answered_404_is_given_up_sooner(node: Node) -> None:
    node.host.replies.extend(answer(404) for _ in range(3))
    process = await node.begin()
    for _ in range(2):
        await node.pass_time(seconds=600)
    process = await node.negotiation(process.pid)
    assert process.state is State.TERMINATED
    assert await attempts(node, process.pid) == [("request", 404, False), ("request", 404, False), ("request", 404, True)]
    # it never knew us: nobody is told
    assert node.host.of("ContractNegotiationTerminationMessage") == []


async def test_after_so_many_tries_it_is_over_with_every_attempt_and_its_cause(new_node: NewNode) -> None:
    node = await new_node(delivery={"attempts": 4})
    pid = await refused(node, *(unreachable() for _ in range(4)))
    process = await node.negotiation(pid)
    assert process.state is State.TERMINATED
    story = (await node.timeline(pid)).attempts
    assert [a.cause for a in story] == [str(unreachable())] * 4 + [""]
    assert [a.is_final for a in story] == [False, False, False, True, True]


# --- pauses


async def pause(node: Node) -> float:
    moment = await node.store.next_moment()
    assert moment is not None
    return (moment - node.clock.now()).total_seconds()


async def test_pauses_double_up_to_the_longest(new_node: NewNode) -> None:
    node = await new_node(delivery={"first_delay_s": 1, "max_delay_s": 5, "attempts": 10})
    await node.publish()
    node.host.always = lambda sent: answer(503)
    await node.requested()
    seen = []
    for _ in range(5):
        seen.append(await pause(node))
        await node.pass_time(seconds=seen[-1])
    assert seen == [1, 2, 4, 5, 5]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [("3", 3), ("0", 0.2), ("999999", 300), ("9" * 400, 300), ("soon", 0.2), ("²", 0.2), ("-1", 0.2), ("Fri, 01 Jan 2027", 0.2), ("", 0.2)],
)  # fmt: skip
async def test_a_peer_may_ask_for_a_pause_within_bounds(node: Node, asked: str, expected: float) -> None:
    await node.publish()
    node.host.replies.append(answer(429, retry_after=asked))
    await node.requested()
    assert await pause(node) == expected


# --- leases, nodes, queues


async def test_another_node_sends_what_this_one_left_when_the_lease_is_over(new_node: NewNode) -> None:
    here, there = await new_node("here"), await new_node("there")
    await here.publish()
    # this one dies between the commit and the first attempt
    here.delivery.handover = lambda *_: None  # type: ignore[method-assign]
    pid = await here.requested()
    await there.timers.work()
    assert await there.store.claim(NOW) == ()
    await there.pass_time(seconds=here.settings.store.lease_s)
    assert len(there.host.of("ContractAgreementMessage")) == 1
    assert (await there.negotiation(pid)).state is State.AGREED


async def test_what_waited_here_longer_than_its_lease_is_left_to_whoever_claims_it(node: Node) -> None:
    await node.publish()
    pid = await node.requested()
    sent = len(node.host.sent)
    node.delivery.submit((Message(key=key(pid), peer=BOB.id, outgoing=outgoing(), tries=0, created_at=NOW),))
    node.clock.move(seconds=60)
    await node.rest()
    assert len(node.host.sent) == sent


def outgoing() -> Outgoing:
    return Outgoing(message_id="urn:m:stale", event=Event.AGREE, url=f"{BASE}/negotiations/x/agreement", body=b"{}")


async def test_a_full_queue_leaves_the_rest_in_the_outbox_and_it_comes_again(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    await node.publish()
    monkeypatch.setattr(deliveries, "_MOST_QUEUED", 0)
    pid = await node.requested()
    assert node.host.of("ContractAgreementMessage") == []
    monkeypatch.undo()
    await node.pass_time(seconds=node.settings.store.lease_s)
    assert (await node.negotiation(pid)).state is State.AGREED


async def test_a_peer_that_hangs_holds_up_its_own_messages_alone(new_node: NewNode) -> None:
    node = await new_node(delivery={"parallel": 3, "parallel_per_peer": 2})
    await node.publish()
    hanging = asyncio.Event()
    node.host.always = lambda sent: hanging if "urn:bad" in sent.url else None
    for number in range(10):
        await node.requested(f"urn:bad:{number}")
    assert len(node.host.of("ContractAgreementMessage")) == 2
    good = await node.tell(request("urn:good:1"), caller=EVE)
    assert (await node.negotiation(good.provider_pid)).state is State.AGREED
    # and when it answers at last, all of it goes on
    hanging.set()
    await node.rest()
    assert len(node.host.of("ContractAgreementMessage")) == 11
    assert node.delivery._lanes == {}


async def test_an_attempt_ends_before_its_lease_does(new_node: NewNode) -> None:
    node = await new_node(store={"lease_s": 0.05})
    await node.publish()
    node.host.replies.append(asyncio.Event())
    pid = await node.requested()
    await asyncio.wait([asyncio.create_task(noticed(node))], timeout=10)
    assert "store.lease_s" in ((await node.negotiation(pid)).error or "")
    await node.pass_time(seconds=1)
    assert (await node.negotiation(pid)).state is State.AGREED


async def test_an_attempt_that_gets_no_token_ends_before_its_lease_does(
    new_node: NewNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = await new_node(store={"lease_s": 0.05})
    await node.publish()

    async def hangs(*_: str) -> str | None:
        await asyncio.Event().wait()
        return None

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(node.delivery._tokens, "authorization", hangs)
        pid = await node.requested()
        await asyncio.wait([asyncio.create_task(noticed(node))], timeout=10)
        assert "store.lease_s" in ((await node.negotiation(pid)).error or "")
        assert node.host.of("ContractAgreementMessage") == []
    await node.pass_time(seconds=1)
    assert (await node.negotiation(pid)).state is State.AGREED


# --- what cannot be dealt with


async def noticed(node: Node) -> None:
    """Until timers are told to look again."""
    await node.delivery.woken.wait()


def failing(node: Node, method: str, fault: Exception, times: int) -> None:
    """The store fails so many times at `method`."""
    real: Callable[..., Any] = getattr(node.store, method)
    left = [times]

    async def fails(*args: Any, **given: Any) -> Any:
        if left[0] > 0:
            left[0] -= 1
            raise fault
        return await real(*args, **given)

    setattr(node.store, method, fails)


@pytest.mark.parametrize("reply", [answer(200), answer(503), answer(400)], ids=["settling", "putting off", "giving up"])
async def test_a_store_that_takes_no_writes_loses_no_message(node: Node, reply: Answer) -> None:
    await node.publish(approval="manual")
    pid = await node.requested()
    node.host.replies.append(hanging := asyncio.Event())
    await node.negotiations.act("alice", pid, "agree")
    await node.rest()
    failing(node, "advance", StoreUnavailable("the disk is full"), 1)
    hanging.set()
    await node.rest()
    assert (await node.negotiation(pid)).state is State.REQUESTED
    await node.pass_time(seconds=node.settings.store.lease_s)
    assert (await node.negotiation(pid)).state is State.AGREED
    first, second = node.host.of("ContractAgreementMessage")
    assert first.body == second.body


async def test_a_message_that_cannot_be_dealt_with_does_not_stop_the_others(node: Node) -> None:
    await node.publish()

    async def breaks(key_: Any, attempt: Attempt, body: bytes) -> None:
        raise ZeroDivisionError("a fault of ours")

    real, node.negotiations.settled = node.negotiations.settled, breaks  # type: ignore[method-assign]
    first = await node.requested("urn:c:1")
    node.negotiations.settled = real  # type: ignore[method-assign]
    second = await node.requested("urn:c:2")
    assert (await node.negotiation(first)).state is State.REQUESTED
    assert (await node.negotiation(second)).state is State.AGREED
    # its row has kept its lease: it is tried again when that is over
    await node.pass_time(seconds=node.settings.store.lease_s)
    assert (await node.negotiation(first)).state is State.AGREED


async def test_an_error_of_a_message_that_lost_its_sense_is_no_error_of_the_process(node: Node) -> None:
    await node.publish()
    node.host.replies.append(hanging := asyncio.Event())
    pid = await node.requested()
    process = await node.negotiation(pid)
    # the consumer has our agreement, whatever became of the answer
    await node.tell(verification(process), pid)
    node.host.always = lambda sent: unreachable() if sent.path.endswith("/agreement") else None
    hanging.set()
    await node.rest()
    found = await node.negotiation(pid)
    assert isinstance(found, Negotiation)
    assert (found.state, found.error) == (State.FINALIZED, None)


async def test_a_harmless_message_given_up_ends_nothing(node: Node) -> None:
    await node.publish()
    transfer = await node.started()
    await node.tell(m.TransferSuspensionMessage(**pids(transfer)), transfer.pid)
    node.host.replies.append(answer(400, b"not now"))
    await node.tell(m.TransferStartMessage(**pids(transfer)), transfer.pid)
    found = await node.transfer(transfer.pid)
    assert (found.state, found.error, found.renewal) == (State.STARTED, None, None)
    assert (await attempts(node, transfer.pid))[-1] == ("start", 400, True)
    assert await node.store.running(Kind.TRANSFER, (State.STARTED,)) == (key(transfer.pid, Kind.TRANSFER),)


async def test_what_a_peer_says_is_cut_before_it_is_kept(node: Node) -> None:
    pid = await refused(node, answer(400, b"<html>\n" + b"x" * 60_000))
    story = (await node.timeline(pid)).attempts
    assert len(story[0].cause) < 700
    assert "\n" not in story[0].cause


async def test_our_token_goes_with_every_message(node: Node) -> None:
    await node.publish()
    await node.requested()
    (sent,) = node.host.of("ContractAgreementMessage")
    assert sent.headers["authorization"] == "to urn:bob"


def test_timers_look_again_before_anything_waits_long() -> None:
    assert timedelta(seconds=1) < deliveries.LOOK_AGAIN < timedelta(minutes=1)
