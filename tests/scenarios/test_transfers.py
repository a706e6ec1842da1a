"""Transfers that are stopped, taken up again and ended."""

from __future__ import annotations

import logging

import pytest

from connector.api.transfers import NewTransfer, Transfer
from connector.errors import Conflict, KontorError, NotFound
from connector.testing.dataspace import PUSH, DataSpace, Member


async def running(space: DataSpace) -> tuple[Member, Member, Transfer, str]:
    """Provider, consumer, a pull that is STARTED, and the provider's pid of it."""
    provider, consumer = space.join("provider"), space.join("consumer")
    transfer = await consumer.transfer(await consumer.negotiate(await provider.publish("weather", content=b"rain")))
    return provider, consumer, transfer, await provider.theirs(transfer)


@pytest.mark.parametrize("who", ["provider", "consumer"])
async def test_a_suspended_transfer_gives_nothing_and_a_resumed_one_a_fresh_address(space: DataSpace, who: str) -> None:
    provider, consumer, transfer, theirs = await running(space)
    actor, pid = (provider, theirs) if who == "provider" else (consumer, transfer.pid)
    before = await consumer.send(consumer.calls.data_address(transfer.pid))
    await actor.steer(pid, "suspend", code="maintenance", reason="back in an hour")
    for member, own in ((provider, theirs), (consumer, transfer.pid)):
        stopped = await member.until_transfer(own, "SUSPENDED")
        assert (stopped.code, stopped.reasons, stopped.is_open) == ("maintenance", ["back in an hour"], False)
    with pytest.raises(KontorError):
        await consumer.get(transfer)

    await actor.steer(pid, "resume")
    await consumer.until_transfer(transfer.pid, lambda t: t.state == "STARTED" and t.is_open)
    await provider.until_transfer(theirs, "STARTED")

    # a consumer's resume brings the fresh address with a start of the provider's own, a moment later
    await consumer.until(lambda: consumer.send(consumer.calls.data_address(transfer.pid)), lambda found: found != before)
    assert await consumer.get(transfer) == b"rain"


@pytest.mark.parametrize("who", ["provider", "consumer"])
async def test_either_side_ends_a_transfer_and_nothing_flows_afterwards(space: DataSpace, who: str) -> None:
    provider, consumer, transfer, theirs = await running(space)
    actor, pid = (provider, theirs) if who == "provider" else (consumer, transfer.pid)
    await actor.steer(pid, "terminate", code="enough", reason="the project is over")
    for member, own in ((provider, theirs), (consumer, transfer.pid)):
        ended = await member.until_transfer(own, "TERMINATED")
        assert (ended.code, ended.reasons) == ("enough", ["the project is over"])
    with pytest.raises(KontorError):
        await consumer.get(transfer)


@pytest.mark.parametrize("who", ["provider", "consumer"])
async def test_either_side_ends_an_agreement_and_all_that_runs_under_it(space: DataSpace, who: str) -> None:
    provider, consumer, transfer, theirs = await running(space)
    actor = provider if who == "provider" else consumer
    ended = await actor.send(actor.calls.end_agreement(transfer.agreement_id, "the project is over"))
    assert (ended.ended_at is not None, ended.end_reason) == (True, "the project is over")
    for member, own in ((provider, theirs), (consumer, transfer.pid)):
        over = await member.until_transfer(own, "TERMINATED")
        assert (over.code, over.reasons, over.is_open) == ("agreement-ended", ["the project is over"], False)
    with pytest.raises(KontorError):
        await consumer.get(transfer)
    with pytest.raises(Conflict, match="ended"):
        await actor.send(actor.calls.end_agreement(transfer.agreement_id, "once more"))
    with pytest.raises(NotFound):
        await actor.send(actor.calls.end_agreement("urn:uuid:none", "there is none"))
    # whoever knows of the end asks no more; the other one is refused
    agreement = await consumer.send(consumer.calls.agreement(transfer.agreement_id))
    if who == "provider":
        assert (await consumer.transfer(agreement)).state == "TERMINATED"
    else:
        with pytest.raises(Conflict):
            await consumer.transfer(agreement)


async def test_the_line_about_data_names_participant_and_transfer_and_no_token(
    space: DataSpace, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="kontor")
    _, consumer, transfer, theirs = await running(space)
    token = (await consumer.send(consumer.calls.data_address(transfer.pid))).properties["authorization"]
    caplog.clear()
    await consumer.get(transfer)
    lines = [record.__dict__["fields"] for record in caplog.records if record.getMessage() == "http.request"]
    (line,) = [line for line in lines if "/data/pull/" in line["path"]]
    assert (line["participant"], line["pid"], line["status"]) == ("provider", theirs, 200)
    assert token.split()[-1] not in str([record.__dict__ for record in caplog.records])


async def test_a_format_that_is_not_offered_is_refused(space: DataSpace) -> None:
    provider, consumer = space.join("provider"), space.join("consumer")
    agreed = await consumer.negotiate(await provider.publish("weather"))
    refused = await consumer.transfer(agreed, format="Carrier-Pigeon-PULL")
    assert refused.state == "TERMINATED"
    assert "Carrier-Pigeon-PULL" in (refused.error or "")


async def test_a_provider_cannot_ask_itself_for_a_transfer(space: DataSpace) -> None:
    provider, consumer = space.join("provider"), space.join("consumer")
    agreed = await consumer.negotiate(await provider.publish("weather"))
    await provider.until_negotiation(await provider.theirs(agreed), "FINALIZED")
    with pytest.raises(Conflict, match="provider"):
        await provider.transfer(agreed)


async def test_before_a_push_has_arrived_there_is_no_data(space: DataSpace) -> None:
    provider = space.join("provider", rules=[{"kind": "transfer", "on": "REQUESTED", "do": "hold"}])
    consumer = space.join("consumer")
    agreed = await consumer.negotiate(await provider.publish("weather"))
    assert agreed.agreement_id is not None
    begun = await consumer.send(consumer.calls.begin_transfer(NewTransfer(agreement=agreed.agreement_id, format=PUSH)))
    await consumer.until_transfer(begun.pid, "REQUESTED")
    with pytest.raises((NotFound, Conflict)):
        await consumer.get(begun)
    await provider.steer(await provider.theirs(begun), "start")
    done = await consumer.until_transfer(begun.pid, "COMPLETED")
    assert await consumer.get(done) == b"the data of weather\n"
