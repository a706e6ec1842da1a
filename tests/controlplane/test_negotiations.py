"""The rules that the protocol teaches, on whole use cases: repeats, crossings, strangers, lies, ends."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from connector.dsp import messages as m
from connector.dsp import wire
from connector.dsp.negotiation import Negotiation
from connector.dsp.tables import Role, State
from connector.errors import AddressRefused, BadMessage, CallerError, Conflict, IllegalTransition, NotFound, TooMany
from connector.ports.store import Filter, Kind
from connector.testing.clock import MovedClock
from tests.controlplane.conftest import NewNode
from tests.controlplane.scene import (
    BOB,
    EVE,
    NOW,
    USE,
    Node,
    agreement_tree,
    answer,
    counter,
    only_for,
    pids,
    request,
    transfer_request,
    verification,
)


def ended(process: Any, **members: Any) -> m.ContractNegotiationTerminationMessage:
    return m.ContractNegotiationTerminationMessage(**pids(process), **members)


async def offered(node: Node) -> str:
    """A negotiation in which our near offer lies on the table."""
    await node.publish(only_for("research"), rules=({"on": "REQUESTED", "do": "offer"},))
    pid = await node.requested(terms=only_for("research"), purpose="research")
    assert (await node.negotiation(pid)).state is State.OFFERED
    return pid


async def test_less_than_we_permit_with_our_prohibitions_in_it_is_agreed(node: Node) -> None:
    forbidden = {"prohibition": [{"action": "distribute"}]}
    await node.publish({**USE, **forbidden})
    for number, members in enumerate(({}, {"assignee": "did:web:bob-by-another-name.example"})):
        pid = await node.requested(
            f"urn:c:{number}", terms={**only_for("research"), **forbidden, **members}, purpose="research"
        )
        assert (await node.negotiation(pid)).state is State.AGREED


@pytest.mark.parametrize(
    "more",
    [
        {"obligation": [{"action": "compensate", "assignee": "urn:alice"}]},
        {"prohibition": [{"action": "sell", "assignee": "urn:alice"}]},
        {"dct:description": "The provider is liable for all that comes of it."},
    ],
)
async def test_terms_that_would_bind_us_are_for_a_person_however_little_they_permit(node: Node, more: dict[str, Any]) -> None:
    await node.publish()
    process = await node.negotiation(await node.requested(terms={**only_for("research"), **more}, purpose="research"))
    assert (process.state, node.host.sent) == (State.REQUESTED, [])
    assert process.hold is not None
    assert any(word in process.hold for word in ("urn:alice", "description"))


# --- committed before it is answered, and answered alike when repeated


async def test_what_is_answered_is_committed_and_what_follows_goes_out_afterwards(node: Node) -> None:
    await node.publish()
    received = wire.decode(wire.encode(request()), m.ContractRequestMessage)
    body = await node.negotiations.receive_first("alice", BOB, received)
    found = wire.decode(body, m.ContractNegotiation).message
    process = await node.negotiation(found.provider_pid)
    assert (process.state, found.state) == (State.REQUESTED, State.REQUESTED)
    assert node.host.sent == []
    assert [p.outgoing.event.value for p in (await node.timeline(process.pid)).pending] == ["agree"]
    await node.rest()
    assert [sent.path for sent in node.host.sent] == ["/negotiations/urn:c:1/agreement"]


async def test_a_first_message_repeated_gives_the_same_process_whatever_its_id(node: Node) -> None:
    await node.publish()
    first = await node.tell(request(id="urn:m:1"))
    assert (await node.tell(request(id="urn:m:1"))) == first
    for _ in range(3):
        # it has gone on meanwhile: the same process, as it stands
        again = await node.tell(request(id="urn:m:2"))
        assert (again.provider_pid, again.consumer_pid) == (first.provider_pid, "urn:c:1")
    assert (await node.store.processes(Kind.NEGOTIATION, "alice", Filter())).total == 1


async def test_first_messages_at_once_give_one_process(node: Node) -> None:
    await node.publish()
    answers = await asyncio.gather(*(node.tell(request()) for _ in range(5)))
    assert len({found.provider_pid for found in answers}) == 1
    assert len(node.host.of("ContractAgreementMessage")) == 1


async def test_a_pid_of_the_peer_stands_for_one_negotiation(node: Node) -> None:
    await node.publish()
    await node.publish(id_="urn:d:2", name="two")
    await node.requested()
    with pytest.raises(BadMessage, match="belongs to another negotiation"):
        await node.tell(request(dataset="urn:d:2", offer_id="two:urn:d:2"))


async def test_a_later_message_repeated_gets_its_first_answer(node: Node) -> None:
    await node.publish()
    pid = await node.requested()
    message = verification(await node.negotiation(pid), id="urn:m:7")
    first = await node.tell(message, pid)
    assert first.state is State.VERIFIED
    assert (await node.negotiation(pid)).state is State.FINALIZED
    assert await node.tell(message, pid) == first


async def test_a_repeated_message_without_an_id_is_known_until_ours_has_followed_it(node: Node) -> None:
    pid = await offered(node)
    again = counter(await node.negotiation(pid), only_for("research"))
    node.host.replies.append(hanging := asyncio.Event())
    assert (await node.tell(again, pid)).state is State.REQUESTED
    # the answer was lost and it comes again while our offer is still on its way: nothing happens twice
    assert (await node.tell(again, pid)).state is State.REQUESTED
    hanging.set()
    await node.rest()
    process = await node.negotiation(pid)
    assert (process.state, process.entries["REQUESTED"]) == (State.OFFERED, 2)
    # the consumer insists: the same bytes are a new message now
    await node.tell(again, pid)
    assert (await node.negotiation(pid)).entries["REQUESTED"] == 3


# --- who may say what


async def test_an_unknown_process_and_somebody_elses_look_alike(node: Node) -> None:
    await node.publish()
    pid = await node.requested()
    process = await node.negotiation(pid)
    for caller, asked in ((EVE, pid), (BOB, "urn:uuid:none")):
        with pytest.raises(NotFound, match="there is no such negotiation"):
            await node.tell(verification(process), asked, caller)
        with pytest.raises(NotFound, match="there is no such negotiation"):
            await node.negotiations.answer("alice", caller, asked)
    assert (await node.negotiation(pid)).state is State.AGREED


async def test_an_illegal_message_changes_nothing_in_final_states_too(node: Node) -> None:
    await node.publish()
    pid = await node.requested()
    process = await node.negotiation(pid)
    await node.tell(ended(process), pid)
    before, story = await node.negotiation(pid), await node.timeline(pid)
    with pytest.raises(IllegalTransition):
        await node.tell(verification(process), pid)
    assert (await node.negotiation(pid), await node.timeline(pid)) == (before, story)


async def test_an_unknown_offer_is_an_error(node: Node) -> None:
    await node.publish()
    with pytest.raises(BadMessage, match="no such offer"):
        await node.requested(offer_id="urn:o:other")


@pytest.mark.parametrize(
    "callback",
    [
        "https://127.0.0.1/dsp",
        "https://169.254.169.254/latest",
        "http://bob.example/dsp",
        "https://user:pass@bob.example/",
        "https://2130706433/dsp",
        "https://bob.example:0/dsp",
    ],
)
async def test_a_callback_that_we_may_not_reach_is_refused_and_nothing_is_kept(node: Node, callback: str) -> None:
    await node.publish()
    with pytest.raises(AddressRefused):
        await node.requested(callback=callback)
    assert (await node.store.processes(Kind.NEGOTIATION, "alice", Filter())).total == 0


async def test_texts_of_a_peer_do_not_make_lines_of_their_own_in_the_log(
    node: Node, capsys: pytest.CaptureFixture[str]
) -> None:
    await node.publish(approval="manual")
    pid = await node.requested()
    await node.tell(ended(await node.negotiation(pid), code="x\nevil=1", reason=("a\nb",)), pid)
    process = await node.negotiation(pid)
    assert (process.code, process.reasons) == ("x\nevil=1", ("a\nb",))
    assert not [line for line in capsys.readouterr().err.splitlines() if line.startswith("evil")]


async def test_a_purpose_longer_than_any_is_refused(node: Node) -> None:
    await node.publish()
    with pytest.raises(BadMessage, match="too long"):
        await node.requested(purpose="p" * 100_000)


# --- as consumer


async def test_the_usual_course_of_a_consumer(node: Node) -> None:
    process = await node.begin()
    assert (process.state, process.peer_pid) == (State.REQUESTED, "urn:theirs:1")
    await node.tell(m.ContractAgreementMessage(**pids(process), agreement=agreement_tree(process)), process.pid)
    assert (await node.negotiation(process.pid)).state is State.VERIFIED
    await node.tell(m.ContractNegotiationEventMessage(**pids(process), event_type="FINALIZED"), process.pid)
    agreement = await node.agreements.get("alice", "urn:a:1")
    assert (agreement.role, agreement.peer, agreement.ended_at) == (Role.CONSUMER, "urn:bob", None)


async def test_an_agreement_on_other_terms_is_terminated_and_says_why(node: Node) -> None:
    process = await node.begin()
    other = agreement_tree(process, only_for("teaching")) | {"assignee": "urn:eve"}
    await node.tell(m.ContractAgreementMessage(**pids(process), agreement=other), process.pid)
    found = await node.negotiation(process.pid)
    assert (found.state, found.code) == (State.TERMINATED, "agreement-differs")
    assert any("assignee" in reason for reason in found.reasons)
    assert any("rules" in reason for reason in found.reasons)


@pytest.mark.parametrize(
    ("dated", "state"),
    [
        ("2026-01-20T00:00:00Z", State.TERMINATED),
        ("2026-02-28T23:30:00Z", State.VERIFIED),
        ("2026-03-01T00:30:00Z", State.VERIFIED),
        ("2027-03-01T00:00:00Z", State.TERMINATED),
    ],
)
async def test_terms_that_count_from_the_agreement_ask_that_it_is_dated_when_it_was_made(
    node: Node, dated: str, state: State
) -> None:
    # thirty days from a date that is forty days back are over before they begin
    ends = {"leftOperand": "edc:inForceDate", "operator": "lteq", "rightOperand": "contractAgreement+30d"}
    terms = {"permission": [{"action": "use", "constraint": [ends]}]}
    process = await node.begin(offer=terms | {"@id": "urn:o:1"})
    agreement = agreement_tree(process, terms) | {"timestamp": dated}
    await node.tell(m.ContractAgreementMessage(**pids(process), agreement=agreement), process.pid)
    found = await node.negotiation(process.pid)
    assert found.state is state, found.reasons
    # terms that count from nothing of the kind leave the date to the provider
    process = await node.begin()
    agreement = agreement_tree(process, id_="urn:a:2") | {"timestamp": dated}
    await node.tell(m.ContractAgreementMessage(**pids(process), agreement=agreement), process.pid)
    assert (await node.negotiation(process.pid)).state is State.VERIFIED


async def test_an_agreement_with_the_id_of_another_one_is_never_taken(node: Node) -> None:
    async def agreed() -> Negotiation:
        process = await node.begin()
        await node.tell(m.ContractAgreementMessage(**pids(process), agreement=agreement_tree(process)), process.pid)
        return await node.negotiation(process.pid)

    async def finalize(process: Negotiation) -> None:
        await node.tell(m.ContractNegotiationEventMessage(**pids(process), event_type="FINALIZED"), process.pid)

    # of two that are under way at once the first that is final takes it
    first, second = await agreed(), await agreed()
    await finalize(first)
    with pytest.raises(Conflict):
        await finalize(second)
    assert (await node.negotiation(second.pid)).state is State.VERIFIED
    # who comes later is told at once, and not when its provider finalises
    later = await agreed()
    assert (later.state, later.code) == (State.TERMINATED, "agreement-differs")
    assert any("another agreement" in reason for reason in later.reasons)
    assert (await node.agreements.get("alice", "urn:a:1")).negotiation == first.pid


async def test_an_agreement_may_overtake_the_answer_to_our_request(node: Node) -> None:
    node.host.replies.append(hanging := asyncio.Event())
    process = await node.begin()
    assert process.state is None
    known = {"provider_pid": "urn:theirs:1", "consumer_pid": process.pid}
    await node.tell(m.ContractAgreementMessage(**known, agreement=agreement_tree(process)), process.pid)
    assert (await node.negotiation(process.pid)).state is State.VERIFIED
    hanging.set()
    await node.rest()
    assert (await node.negotiation(process.pid)).state is State.VERIFIED
    # what was proven delivered is not sent again
    assert (await node.timeline(process.pid)).pending == ()


async def test_a_peer_that_asks_before_our_first_message_is_settled_is_told_what_it_must_know(node: Node) -> None:
    node.host.replies.append(asyncio.Event())
    process = await node.begin()
    body = await node.negotiations.answer("alice", BOB, process.pid)
    assert wire.decode(body, m.ContractNegotiation).message.state is State.REQUESTED


async def test_an_end_before_the_first_acknowledgement_is_told_when_that_comes(node: Node) -> None:
    node.host.replies.append(hanging := asyncio.Event())
    process = await node.begin()
    gone = await node.negotiations.act("alice", process.pid, "terminate", code="changed-plans", reason="no more")
    assert (gone.state, len(node.host.sent) - 2) == (State.TERMINATED, 1)
    hanging.set()
    await node.rest()
    (told,) = node.host.of("ContractNegotiationTerminationMessage")
    assert (told.tree["providerPid"], told.tree["code"], told.tree["reason"]) == ("urn:theirs:1", "changed-plans", ["no more"])


async def test_who_neither_names_terms_nor_an_offer_is_told(node: Node) -> None:
    with pytest.raises(CallerError, match="neither terms nor an offer id"):
        await node.begin(offer_id=None)


# --- the finalisation, and what already lives by it


async def verified(node: Node) -> tuple[str, str, asyncio.Event]:
    """A negotiation whose finalisation hangs at the consumer, its agreement, and what lets the consumer answer."""
    await node.publish()
    pid = await node.requested()
    process = await node.negotiation(pid)
    node.host.replies.append(hanging := asyncio.Event())
    await node.tell(verification(process), pid)
    found = await node.negotiation(pid)
    assert found.in_flight is not None
    assert found.state is State.VERIFIED
    return pid, found.agreement_id or "", hanging


async def test_a_transfer_request_may_overtake_the_answer_to_our_finalisation(node: Node) -> None:
    _, agreement, hanging = await verified(node)
    acknowledged = await node.tell(transfer_request(agreement))
    assert (await node.transfer(acknowledged.provider_pid)).state is State.STARTED
    hanging.set()


async def test_an_agreement_whose_finalisation_cannot_be_delivered_ends_with_all_that_runs_under_it(node: Node) -> None:
    await node.publish()
    pid = await node.requested()
    process = await node.negotiation(pid)
    answers = [answer(503), answer(400)]
    node.host.always = lambda sent: answers.pop(0) if sent.path.endswith("/events") else None
    await node.tell(verification(process), pid)
    agreement = process.agreement_id or ""
    running = await node.tell(transfer_request(agreement))
    assert (await node.transfer(running.provider_pid)).state is State.STARTED
    await node.pass_time(seconds=10)
    assert (await node.negotiation(pid)).state is State.TERMINATED
    over = await node.agreements.get("alice", agreement)
    assert over.ended_at is not None
    assert over.end_reason == "the finalisation could not be delivered"
    found = await node.transfer(running.provider_pid)
    assert (found.state, found.code) == (State.TERMINATED, "agreement-ended")


async def test_a_consumer_that_terminates_instead_of_taking_the_finalisation_has_no_agreement(node: Node) -> None:
    pid, agreement, hanging = await verified(node)
    running = await node.tell(transfer_request(agreement))
    await node.tell(ended(await node.negotiation(pid)), pid)
    assert (await node.negotiation(pid)).state is State.TERMINATED
    assert (await node.agreements.get("alice", agreement)).ended_at is not None
    hanging.set()
    await node.rest()
    assert (await node.transfer(running.provider_pid)).state is State.TERMINATED
    refused = await node.tell(transfer_request(agreement, consumer_pid="urn:t:2"))
    assert "ended" in " ".join((await node.transfer(refused.provider_pid)).reasons)


# --- restart


async def test_a_node_that_stopped_before_it_sent_sends_when_it_runs_again(new_node: Any) -> None:
    first = await new_node()
    await first.publish()
    received = wire.decode(wire.encode(request()), m.ContractRequestMessage)
    # committed, and never handed over: the process died
    first.delivery.handover = lambda *_: None
    await first.negotiations.receive_first("alice", BOB, received)
    second = await new_node()
    await second.store.release()
    await second.timers.work()
    await second.rest()
    assert len(second.host.of("ContractAgreementMessage")) == 1
    assert isinstance(second.clock, MovedClock)
    assert second.clock.now() == NOW


async def test_another_operator_act_while_one_is_on_its_way_is_a_conflict(node: Node) -> None:
    await node.publish(approval="manual")
    pid = await node.requested()
    node.host.replies.append(asyncio.Event())
    await node.negotiations.act("alice", pid, "offer", offer=dict(USE))
    with pytest.raises(Conflict, match="on its way"):
        await node.negotiations.act("alice", pid, "agree")
    for unknown in ("dance", "REQUEST"):
        with pytest.raises(CallerError, match="no act"):
            await node.negotiations.act("alice", pid, unknown)


async def test_a_peer_piles_up_no_more_held_negotiations_than_it_may(new_node: NewNode) -> None:
    node = await new_node(alice={"most_held_per_peer": 2})
    await node.publish(approval="manual")
    first, second = await node.requested("urn:c:1"), await node.requested("urn:c:2")
    assert (await node.negotiation(second)).hold is not None
    with pytest.raises(TooMany, match="2 negotiations of yours wait for a human here"):
        await node.requested("urn:c:3")
    # what is known is answered as before, and so are others
    assert await node.requested("urn:c:2") == second
    await node.publish(name="open", id_="urn:d:2")
    await node.requested("urn:c:4", dataset="urn:d:2", offer_id="open:urn:d:2")
    # one that is decided makes room
    await node.negotiations.act("alice", first, "terminate")
    await node.rest()
    third = await node.requested("urn:c:3")
    assert (await node.negotiation(third)).hold is not None
