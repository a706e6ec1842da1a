"""Negotiations that two nodes bring to an end by themselves: terms within terms, counter-offers, concessions, and their bounds."""

from __future__ import annotations

from typing import Any

from connector.testing.dataspace import DataSpace, Member, Offer
from tests.scenarios.policies import only_for


def for_any(*purposes: str, **members: Any) -> dict[str, Any]:
    constraint = {"leftOperand": "purpose", "operator": "isAnyOf", "rightOperand": list(purposes)}
    return {"permission": [{"action": "use", "constraint": [constraint], **members}]}


async def until_settled(consumer: Member, offer: Offer, terms: dict[str, Any]) -> Any:
    return await consumer.negotiate(offer, terms=terms, purpose="research")


async def test_terms_within_ours_are_agreed(space: DataSpace) -> None:
    provider, consumer = space.join("provider"), space.join("consumer")
    offer = await provider.publish("weather", policy=for_any("research", "teaching"))
    done = await until_settled(consumer, offer, only_for("research"))
    assert done.state == "FINALIZED"
    assert done.agreement_id is not None
    agreement = await consumer.send(consumer.calls.agreement(done.agreement_id))
    assert agreement.policy["permission"] == only_for("research")["permission"]


async def test_what_both_permit_is_offered_and_accepted(space: DataSpace) -> None:
    provider, consumer = space.join("provider"), space.join("consumer")
    offer = await provider.publish("weather", policy=for_any("research", "teaching"))
    done = await until_settled(consumer, offer, for_any("research", "advertising"))
    assert (done.state, done.entries["REQUESTED"], done.entries["OFFERED"]) == ("FINALIZED", 1, 1)
    assert done.agreement_id is not None
    agreement = await consumer.send(consumer.calls.agreement(done.agreement_id))
    right = agreement.policy["permission"][0]["constraint"][0]["rightOperand"]
    assert "research" in str(right)
    assert "advertising" not in str(right)
    timeline = await provider.timeline(await provider.theirs(done))
    assert any("purpose" in record.note for record in timeline.records)


async def test_an_offer_that_adds_a_duty_waits_for_a_person(space: DataSpace) -> None:
    provider, consumer = space.join("provider"), space.join("consumer")
    offer = await provider.publish("weather", policy=for_any("research", duty=[{"action": "attribute"}]))
    held = await until_settled(consumer, offer, for_any("research"))
    assert (held.state, held.hold) == ("OFFERED", "the offer adds the duty to attribute")


async def test_terms_with_nothing_in_common_end_or_wait_and_are_never_agreed(space: DataSpace) -> None:
    provider, consumer = space.join("provider"), space.join("consumer")
    offer = await provider.publish("weather", policy=for_any("research"))
    done = await until_settled(consumer, offer, for_any("advertising"))
    assert done.state in ("TERMINATED", "OFFERED")
    assert done.agreement_id is None


async def test_a_consumer_concedes_to_a_provider_that_only_states_its_own_terms(space: DataSpace) -> None:
    provider, consumer = space.join("provider", approval="manual"), space.join("consumer")
    offer = await provider.publish("weather", policy=for_any("research", "teaching"))
    begun = await consumer.request(offer, terms=for_any("research", "advertising"), purpose="research")
    pid = await provider.theirs(begun)
    await provider.until_negotiation(pid, "REQUESTED")
    await provider.act(pid, "offer", offer=offer.terms())
    # what both permit comes back, and lies within the provider's terms
    again = await provider.until_negotiation(pid, lambda n: n.entries.get("REQUESTED") == 2)
    assert "advertising" not in str(again.offer["permission"])
    await provider.act(pid, "approve")
    assert (await consumer.until_negotiation(begun.pid, "FINALIZED")).agreement_id


async def test_concessions_are_bounded(space: DataSpace) -> None:
    provider, consumer = space.join("provider", approval="manual"), space.join("consumer")
    offer = await provider.publish("weather", policy=for_any("research", "teaching"))
    begun = await consumer.request(offer, terms=for_any("research", "advertising"), purpose="research")
    pid = await provider.theirs(begun)
    for n in range(1, 5):
        await provider.until_negotiation(
            pid, lambda found, n=n: found.entries.get("REQUESTED") == n and found.in_flight is None
        )
        await provider.act(pid, "offer", offer=offer.terms())
    held = await consumer.until_negotiation(begun.pid, lambda n: n.hold is not None)
    assert (held.state, held.entries["OFFERED"]) == ("OFFERED", 4)
