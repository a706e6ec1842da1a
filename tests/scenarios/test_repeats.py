"""Messages that come twice, late, in the wrong state, or for another process: the same answer, and nothing changed."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from connector.errors import IllegalTransition
from connector.testing.dataspace import DataSpace, Member
from tests.scenarios.wire import Wire, message, request


async def began(space: DataSpace, wire: Wire, **members: Any) -> tuple[Member, Member, dict[str, Any], dict[str, Any]]:
    """A provider who waits for approval, a consumer, the request it sent, and the answer to it."""
    provider, consumer = space.join("provider", approval="manual"), space.join("consumer")
    offer = await provider.publish("weather")
    sent = request(offer.dataset, offer.offer_id, callback=consumer.address, **members)
    answer = await wire.send(provider, "negotiations/request", sent, caller=consumer)
    assert answer.status_code == 201, answer.text
    return provider, consumer, sent, answer.json()


async def how_many(provider: Member) -> int:
    return (await provider.send(provider.calls.negotiations())).total


@pytest.mark.parametrize("message_id", ["urn:m:1", None], ids=["with an id", "without one"])
async def test_a_repeated_request_gives_the_same_process(space: DataSpace, wire: Wire, message_id: str | None) -> None:
    provider, consumer, sent, first = await began(space, wire, **{"@id": message_id})
    assert first["@type"] == "ContractNegotiation"
    assert (first["consumerPid"], first["state"]) == ("urn:c:1", "REQUESTED")
    again = await wire.send(provider, "negotiations/request", sent, caller=consumer)
    assert again.json() == first
    other_id = await wire.send(provider, "negotiations/request", sent | {"@id": "urn:m:2"}, caller=consumer)
    assert other_id.json() == first
    assert await how_many(provider) == 1


async def test_the_same_consumer_pid_of_another_peer_is_another_process(space: DataSpace, wire: Wire) -> None:
    other = space.join("other")
    provider, _, sent, first = await began(space, wire)
    second = await wire.send(provider, "negotiations/request", sent | {"callbackAddress": other.address}, caller=other)
    assert second.status_code == 201
    assert second.json()["providerPid"] != first["providerPid"]
    assert await how_many(provider) == 2


@pytest.mark.parametrize("message_id", ["urn:m:9", None], ids=["with an id", "without one"])
async def test_a_repeated_termination_gets_its_first_answer_in_the_final_state(
    space: DataSpace, wire: Wire, message_id: str | None
) -> None:
    provider, consumer, _, first = await began(space, wire)
    pid = first["providerPid"]
    ended = message(
        "ContractNegotiationTerminationMessage",
        **{"@id": message_id, "providerPid": pid, "consumerPid": "urn:c:1", "reason": ["no more"]},
    )
    answers = [await wire.send(provider, f"negotiations/{pid}/termination", ended, caller=consumer) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].content == answers[1].content
    assert [one.event for one in (await provider.timeline(pid)).records] == ["request", "hold", "terminate"]


async def test_an_illegal_message_is_400_says_what_is_lawful_and_changes_nothing(space: DataSpace, wire: Wire) -> None:
    provider, consumer, _, first = await began(space, wire)
    pid = first["providerPid"]
    before = await provider.timeline(pid)
    verification = message("ContractAgreementVerificationMessage", providerPid=pid, consumerPid="urn:c:1")
    refused = await wire.send(provider, f"negotiations/{pid}/agreement/verification", verification, caller=consumer)
    assert refused.status_code == 400
    tree = refused.json()
    assert tree["@type"] == "ContractNegotiationError"
    assert (tree["providerPid"], tree["consumerPid"], tree["code"]) == (pid, "urn:c:1", "illegal-transition")
    assert "REQUESTED" in tree["reason"][0]
    assert await provider.timeline(pid) == before


async def test_pids_in_the_body_that_are_not_those_of_the_process_are_400(space: DataSpace, wire: Wire) -> None:
    provider, consumer, _, first = await began(space, wire)
    pid = first["providerPid"]
    for provider_pid, consumer_pid in ((pid, "urn:c:2"), ("urn:p:2", "urn:c:1")):
        ended = message("ContractNegotiationTerminationMessage", providerPid=provider_pid, consumerPid=consumer_pid)
        refused = await wire.send(provider, f"negotiations/{pid}/termination", ended, caller=consumer)
        assert refused.status_code == 400
        assert "Pid" in refused.json()["reason"][0]
    state = await wire.send(provider, f"negotiations/{pid}", caller=consumer)
    assert state.json()["state"] == "REQUESTED"


async def test_messages_cross_and_both_sides_end_alike(space: DataSpace) -> None:
    provider, consumer = space.join("provider", approval="manual"), space.join("consumer")
    begun = await consumer.request(await provider.publish("weather"))
    await consumer.until_negotiation(begun.pid, "REQUESTED")
    pid = await provider.theirs(begun)
    done = await asyncio.gather(
        consumer.act(begun.pid, "terminate", reason="ours"),
        provider.act(pid, "terminate", reason="theirs"),
        return_exceptions=True,
    )
    # whoever comes second may find it ended already
    assert all(not isinstance(one, BaseException) or isinstance(one, IllegalTransition) for one in done)
    for member, own in ((consumer, begun.pid), (provider, pid)):
        await member.until_negotiation(own, lambda n: n.state == "TERMINATED" and n.in_flight is None)
