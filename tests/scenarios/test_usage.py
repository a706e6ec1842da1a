"""Terms that ask how data was used, between two whole nodes: both keep count, the clock ends what runs, people record the rest."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest

from connector.api.usage import NewPosting
from connector.client import records
from connector.errors import Forbidden, KontorError, PolicyError
from connector.testing.clock import MovedClock
from connector.testing.dataspace import PUSH, DataSpace


def use_when(left: str, operator: str, right: str, **members: Any) -> dict[str, Any]:
    constraint = {"leftOperand": left, "operator": operator, "rightOperand": right, **members}
    return {"permission": [{"action": "use", "constraint": [constraint]}]}


COUNT_2 = use_when("count", "lteq", "2")


async def test_both_sides_count_and_neither_hands_out_more_than_was_agreed(space: DataSpace) -> None:
    provider, consumer = space.join("provider"), space.join("consumer")
    agreed = await consumer.negotiate(await provider.publish("weather", content=b"rain", policy=COUNT_2))
    transfer = await consumer.transfer(agreed)
    address = await consumer.send(consumer.calls.data_address(transfer.pid))
    assert await consumer.get(transfer) == b"rain"
    # the consumer's own book: the address that was given away is a use, too
    with pytest.raises(Forbidden, match="count has to be at most 2, and is 3"):
        await consumer.get(transfer)
    # a consumer whose connector does not count: the provider's does
    async with httpx.AsyncClient() as http:
        headers = {"Authorization": address.properties["authorization"]}
        answers = [await http.get(address.endpoint, headers=headers) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 403]
    assert agreed.agreement_id is not None
    found = await provider.until(
        lambda: provider.send(records.usage("provider", str(agreed.agreement_id))),
        lambda usage: not usage.open and usage.total.moved_bytes == 8,
    )
    assert found.total.count == 2
    assert [clause.enforced for clause in found.clauses] == [["transfer", "running"]]
    assert (await provider.send(records.postings("provider", agreed.agreement_id))).total == found.postings
    refused = await provider.until(
        lambda: provider.send(records.decisions("provider", effect="deny")), lambda page: bool(page.items)
    )
    assert refused.items[0].because[0]["operand"] == "count"
    said = await provider.send(records.explanation("provider", await provider.theirs(transfer), "de"))
    assert said.sentence.startswith("erlaubt")


async def test_a_push_counts_once_and_a_second_one_is_refused(space: DataSpace) -> None:
    provider, consumer = space.join("provider"), space.join("consumer")
    offer = await provider.publish("weather", content=b"rain", policy=use_when("count", "lteq", "1"))
    agreed = await consumer.negotiate(offer)
    first = await consumer.transfer(agreed, format=PUSH)
    await consumer.until_transfer(first.pid, "COMPLETED")
    second = await consumer.transfer(agreed, format=PUSH)
    assert (second.state, second.reasons) == ("TERMINATED", ["a condition is not met: count"])


async def test_data_flows_when_it_is_paid_for_and_what_is_recorded_twice_counts_once(space: DataSpace) -> None:
    provider, consumer = space.join("provider"), space.join("consumer")
    policy = use_when("payAmount", "gteq", "500", unit="http://dbpedia.org/resource/Euro")
    agreed = await consumer.negotiate(await provider.publish("weather", policy=policy))
    assert (await consumer.transfer(agreed)).state == "TERMINATED"
    assert agreed.agreement_id is not None
    for key in ("invoice-1", "invoice-1", "invoice-2"):
        posting = NewPosting(kind="payment", amount=Decimal(250), currency="EUR", key=key)
        usage = await provider.send(records.post("provider", agreed.agreement_id, posting))
    assert usage.total.paid == {"EUR": "500"}
    assert (await consumer.transfer(agreed)).state == "STARTED"


@pytest.mark.parametrize("disclosure", ["code", "operands", "full"])
async def test_a_peer_learns_no_more_of_a_refusal_than_it_may(space: DataSpace, disclosure: str) -> None:
    provider = space.join("provider", disclosure=disclosure)
    consumer = space.join("consumer", claims={"clearance": "low"})
    offer = await provider.publish("weather", policy=use_when("claim:clearance", "eq", "top-secret"))
    ended = await consumer.negotiate(offer)
    told = "; ".join(ended.reasons)
    assert ("clearance" in told) is (disclosure != "code")
    assert ("top-secret" in told) is (disclosure == "full")
    theirs = await provider.timeline(await provider.theirs(ended))
    assert "top-secret" in " ".join(record.note for record in theirs.records)


async def test_terms_that_nobody_would_enforce_are_not_published(space: DataSpace) -> None:
    provider = space.join("provider", consumer_operands=["product"])
    consumer = space.join("consumer", environment={"product": "urn:p"})
    policy = use_when("spatial", "eq", "https://example.org/eu")
    policy["permission"][0]["constraint"].append({"leftOperand": "product", "operator": "eq", "rightOperand": "urn:p"})
    with pytest.raises(PolicyError, match="nobody would enforce `spatial eq"):
        await provider.publish("weather", policy=policy)
    offer = await provider.publish("weather", policy=policy, legal_only=("spatial",))
    agreed = await consumer.negotiate(offer)
    transfer = await consumer.transfer(agreed)
    assert await consumer.get(transfer)
    said = await provider.send(records.explanation("provider", await provider.theirs(transfer)))
    assert said.legal_only == ["spatial"]
    # what the consumer's connector knows is its own to judge, and is not said to be left to the law
    assert [one.enforced for one in said.clauses] == [["legal-only"], ["consumer"]]
    assert said.sentence == "permitted; judged by the other side: product; agreed but not technically enforced: spatial"


async def test_what_runs_ends_within_a_second_of_its_end_after_a_restart_too() -> None:
    async with DataSpace(store="sqlite:///kontor.db") as space:
        provider, consumer = space.join("provider"), space.join("consumer")
        offer = await provider.publish("weather", policy=use_when("elapsedTime", "lteq", "PT2S"))
        transfer = await consumer.transfer(await consumer.negotiate(offer))
        theirs = await provider.theirs(transfer)
        used = [datetime.now(UTC)]
        await consumer.get(transfer)
        used.append(datetime.now(UTC))
        await provider.until(lambda: provider.timeline(theirs), lambda line: any(one.act == "review" for one in line.due))
        await space.stop(provider)
        await space.start(provider)
        ended = await consumer.until_transfer(transfer.pid, "TERMINATED")
        over = datetime.now(UTC) - timedelta(seconds=2)
        assert used[0] <= over < used[1] + timedelta(seconds=1)
        assert "elapsedTime" in ended.reasons[0]


async def test_the_time_since_first_use_ends_what_runs_to_the_instant() -> None:
    clock = MovedClock()
    async with DataSpace(clock=clock) as space:
        provider, consumer = space.join("provider"), space.join("consumer")
        offer = await provider.publish("weather", content=b"rain", policy=use_when("elapsedTime", "lteq", "PT30M"))
        transfer = await consumer.transfer(await consumer.negotiate(offer))
        clock.move(minutes=20)
        assert await consumer.get(transfer) == b"rain"
        theirs = await provider.theirs(transfer)
        # the review waits as a row of its transfer
        await provider.until(lambda: provider.timeline(theirs), lambda line: any(one.act == "review" for one in line.due))
        clock.move(minutes=30)
        assert (await consumer.until_transfer(transfer.pid, "STARTED")).state == "STARTED"
        clock.move(seconds=1)
        await consumer.until_transfer(transfer.pid, "TERMINATED")
        with pytest.raises(KontorError):
            await consumer.get(transfer)
