"""Negotiations that take more than a request and an answer: approvals, counter-offers, offers of the provider, ends."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from connector.api.negotiations import NewNegotiation
from connector.api.participants import Rules
from connector.errors import Conflict, IllegalTransition
from connector.settings import Rule
from connector.testing.clock import MovedClock
from connector.testing.dataspace import USE, DataSpace
from tests.scenarios.policies import only_for


async def test_a_request_waits_for_a_person_who_approves(space: DataSpace) -> None:
    provider, consumer = space.join("provider", approval="manual"), space.join("consumer")
    begun = await consumer.request(await provider.publish("weather"))
    await consumer.until_negotiation(begun.pid, "REQUESTED")
    pid = await provider.theirs(begun)
    waiting = await provider.until_negotiation(pid, lambda n: n.hold is not None)
    assert waiting.state == "REQUESTED"
    await provider.act(pid, "approve")
    # approval is asked for where terms are agreed on, not again at every step
    assert (await consumer.until_negotiation(begun.pid, "FINALIZED")).agreement_id


async def test_a_definition_can_ask_for_approval_by_itself(space: DataSpace) -> None:
    provider, consumer = space.join("provider"), space.join("consumer")
    begun = await consumer.request(await provider.publish("weather", approval="manual"))
    await consumer.until_negotiation(begun.pid, "REQUESTED")
    await provider.until_negotiation(await provider.theirs(begun), lambda n: n.hold is not None)
    assert (await consumer.negotiate(await provider.publish("open"))).state == "FINALIZED"


async def test_a_provider_counters_from_the_api_and_the_consumer_accepts(space: DataSpace) -> None:
    provider, consumer = space.join("provider", approval="manual"), space.join("consumer", approval="manual")
    offer = await provider.publish("weather", policy=only_for("research"))
    begun = await consumer.request(offer, purpose="research")
    await consumer.until_negotiation(begun.pid, "REQUESTED")
    pid = await provider.theirs(begun)
    await provider.act(pid, "offer", offer=offer.terms(only_for("teaching")))
    offered = await consumer.until_negotiation(begun.pid, "OFFERED")
    assert offered.offer["permission"] == only_for("teaching")["permission"]
    assert offered.offered_by == "provider"
    await consumer.act(begun.pid, "accept")
    await provider.until_negotiation(pid, "ACCEPTED")
    await provider.act(pid, "agree")
    done = await consumer.until_negotiation(begun.pid, "FINALIZED")
    assert done.agreement_id is not None
    agreement = await consumer.send(consumer.calls.agreement(done.agreement_id))
    assert agreement.policy["permission"] == only_for("teaching")["permission"]


async def test_a_consumer_answers_an_offer_with_a_counter_offer(space: DataSpace) -> None:
    provider, consumer = space.join("provider", approval="manual"), space.join("consumer", approval="manual")
    offer = await provider.publish("weather")
    begun = await consumer.request(offer)
    await consumer.until_negotiation(begun.pid, "REQUESTED")
    pid = await provider.theirs(begun)
    await provider.act(pid, "offer", offer=offer.terms(only_for("teaching")))
    await consumer.until_negotiation(begun.pid, "OFFERED")
    await consumer.act(begun.pid, "counter", offer=offer.terms(only_for("research")))
    again = await provider.until_negotiation(pid, lambda n: n.entries.get("REQUESTED") == 2)
    assert again.offer["permission"] == only_for("research")["permission"]
    await provider.act(pid, "terminate", code="too-far-apart", reason="we cannot meet")
    ended = await consumer.until_negotiation(begun.pid, "TERMINATED")
    assert (ended.code, ended.reasons) == ("too-far-apart", ["we cannot meet"])


async def test_a_provider_begins_with_an_offer(space: DataSpace) -> None:
    provider, consumer = space.join("provider"), space.join("consumer")
    offer = await provider.publish("weather")
    wanted = NewNegotiation(
        address=consumer.address, peer=consumer.id, dataset=offer.dataset, offer_id=offer.offer_id, role="provider"
    )
    begun = await provider.send(provider.calls.negotiate(wanted))
    assert begun.role == "provider"
    await provider.until_negotiation(begun.pid, "OFFERED")
    pid = await consumer.theirs(begun)
    # nobody here asked for it: a person decides
    held = await consumer.until_negotiation(pid, lambda n: n.hold is not None)
    assert (held.role, held.state) == ("consumer", "OFFERED")
    await consumer.act(pid, "accept")
    assert (await provider.until_negotiation(begun.pid, "FINALIZED")).agreement_id


@pytest.mark.parametrize("who", ["provider", "consumer"])
async def test_either_side_terminates_with_code_and_reason(space: DataSpace, who: str) -> None:
    provider, consumer = space.join("provider", approval="manual"), space.join("consumer")
    begun = await consumer.request(await provider.publish("weather"))
    await consumer.until_negotiation(begun.pid, "REQUESTED")
    theirs = await provider.theirs(begun)
    pids = {"provider": (provider, theirs, consumer, begun.pid), "consumer": (consumer, begun.pid, provider, theirs)}
    actor, own, other, other_pid = pids[who]
    await actor.act(own, "terminate", code="changed-plans", reason="not needed any more")
    for member, pid in ((actor, own), (other, other_pid)):
        ended = await member.until_negotiation(pid, "TERMINATED")
        assert (ended.code, ended.reasons) == ("changed-plans", ["not needed any more"])
    with pytest.raises(IllegalTransition, match="nothing is lawful"):
        await actor.act(own, "terminate")


async def test_an_act_that_the_state_forbids_is_refused_and_says_what_is_lawful(space: DataSpace) -> None:
    provider, consumer = space.join("provider", approval="manual"), space.join("consumer")
    begun = await consumer.request(await provider.publish("weather"))
    await consumer.until_negotiation(begun.pid, "REQUESTED")
    with pytest.raises(IllegalTransition) as refused:
        await consumer.act(begun.pid, "verify")
    assert "terminate" in refused.value.mend
    assert (await consumer.until_negotiation(begun.pid, "REQUESTED")).entries == {"REQUESTED": 1}


async def test_a_rule_holds_and_the_operator_goes_on(space: DataSpace) -> None:
    provider = space.join("provider", rules=[{"on": "VERIFIED", "do": "hold", "reason": "four eyes"}])
    consumer = space.join("consumer")
    begun = await consumer.request(await provider.publish("weather"))
    await consumer.until_negotiation(begun.pid, "VERIFIED")
    pid = await provider.theirs(begun)
    held = await provider.until_negotiation(pid, lambda n: n.hold is not None)
    assert "four eyes" in (held.hold or "")
    await provider.act(pid, "approve")
    await consumer.until_negotiation(begun.pid, "FINALIZED")


async def test_a_delayed_act_happens_when_its_time_has_come_and_not_before() -> None:
    clock = MovedClock(datetime(2026, 3, 1, tzinfo=UTC))
    async with DataSpace(clock=clock) as space:
        provider, consumer = space.join("provider"), space.join("consumer")
        await provider.send(provider.calls.set_rules(Rules((Rule(on="REQUESTED", do="agree", delay_s=3600),))))
        begun = await consumer.request(await provider.publish("weather"))
        await consumer.until_negotiation(begun.pid, "REQUESTED")
        pid = await provider.theirs(begun)
        timeline = await provider.timeline(pid)
        assert [(d.act, d.at) for d in timeline.due if d.act != "deadline"] == [("agree", datetime(2026, 3, 1, 1, tzinfo=UTC))]
        clock.move(seconds=3599)
        assert (await provider.until_negotiation(pid, "REQUESTED")).in_flight is None
        clock.move(seconds=2)
        assert (await consumer.until_negotiation(begun.pid, "FINALIZED")).agreement_id


async def test_a_peer_that_cannot_be_reached_is_seen_with_every_attempt_and_its_cause(space: DataSpace) -> None:
    consumer, other = space.join("consumer"), space.join("other")
    await space.begin()
    wanted = NewNegotiation(
        address=other.address.replace("/other/", "/nobody/"),
        peer=other.id,
        dataset="d",
        offer={"@id": "o", "target": "d", **USE},
    )
    begun = await consumer.send(consumer.calls.negotiate(wanted))
    ended = await consumer.until_negotiation(begun.pid, "TERMINATED")
    assert "404" in (ended.error or "")
    timeline = await consumer.timeline(begun.pid)
    assert len(timeline.attempts) == 3
    assert [attempt.is_final for attempt in timeline.attempts] == [False, False, True]
    assert {attempt.status for attempt in timeline.attempts} == {404}
    assert all("participant" in attempt.cause for attempt in timeline.attempts)


async def test_what_is_in_use_cannot_be_taken_away(space: DataSpace) -> None:
    provider = space.join("provider")
    offer = await provider.publish("weather")
    for call in (provider.calls.delete_asset(offer.dataset), provider.calls.delete_policy("weather-terms")):
        with pytest.raises(Conflict, match="weather"):
            await provider.send(call)
    await provider.send(provider.calls.delete_definition("weather"))
    await provider.send(provider.calls.delete_asset(offer.dataset))
    await provider.send(provider.calls.delete_policy("weather-terms"))
