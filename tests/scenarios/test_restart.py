"""Nodes that are stopped and started again: what was promised is kept."""

from __future__ import annotations

import pathlib
from collections.abc import AsyncIterator

import pytest

from connector.api.transfers import NewTransfer
from connector.testing.dataspace import PUSH, DataSpace


@pytest.fixture
async def space(tmp_path: pathlib.Path) -> AsyncIterator[DataSpace]:
    """A data space whose members keep their state in SQLite files."""
    async with DataSpace(store="sqlite:///kontor.db") as found:
        yield found


async def test_the_main_job_on_sqlite_and_everything_is_there_after_a_restart(space: DataSpace) -> None:
    provider, consumer = space.join("provider"), space.join("consumer")
    agreed = await consumer.negotiate(await provider.publish("weather", content=b"rain"))
    transfer = await consumer.transfer(agreed)
    assert await consumer.get(transfer) == b"rain"
    before = await consumer.timeline(agreed.pid)

    for member in (provider, consumer):
        await space.stop(member)
    for member in (provider, consumer):
        await space.start(member)

    assert await consumer.timeline(agreed.pid) == before
    # the token is good, the agreement stands, and a new transfer under it too
    assert await consumer.get(transfer) == b"rain"
    assert await consumer.get(await consumer.transfer(agreed)) == b"rain"


async def test_a_message_that_the_peer_was_not_there_for_is_delivered_when_it_is_back(space: DataSpace) -> None:
    provider, consumer = space.join("provider", approval="manual"), space.join("consumer")
    begun = await consumer.request(await provider.publish("weather"))
    await consumer.until_negotiation(begun.pid, "REQUESTED")
    pid = await provider.theirs(begun)
    await space.stop(consumer)
    await provider.act(pid, "approve")
    failed = await provider.until_negotiation(pid, lambda n: n.error is not None)
    assert (failed.state, failed.in_flight) == ("REQUESTED", "agree")
    await space.start(consumer)
    assert (await consumer.until_negotiation(begun.pid, "FINALIZED")).agreement_id


async def test_a_message_in_the_outbox_survives_the_stop_of_its_own_node(space: DataSpace) -> None:
    provider, consumer = space.join("provider"), space.join("consumer")
    offer = await provider.publish("weather")
    await space.stop(provider)
    begun = await consumer.request(offer)
    await consumer.until_negotiation(begun.pid, lambda n: n.error is not None)
    await space.stop(consumer)
    await space.start(provider)
    await space.start(consumer)
    assert (await consumer.until_negotiation(begun.pid, "FINALIZED", "TERMINATED")).state == "FINALIZED"


async def test_a_push_that_was_running_is_taken_up_again(space: DataSpace) -> None:
    provider, consumer = space.join("provider"), space.join("consumer")
    offer = await provider.publish("weather", content=b"rain" * 1000)
    agreed = await consumer.negotiate(offer)
    # the consumer has gone when the bytes come
    begun = await consumer.send(consumer.calls.begin_transfer(NewTransfer(agreement=agreed.agreement_id or "", format=PUSH)))
    await consumer.until_transfer(begun.pid, "STARTED", "COMPLETED")
    theirs = await provider.theirs(begun)
    await space.stop(provider)
    await space.start(provider)
    assert (await provider.until_transfer(theirs, "COMPLETED", "TERMINATED")).state == "COMPLETED"
    done = await consumer.until_transfer(begun.pid, "COMPLETED")
    assert await consumer.get(done) == b"rain" * 1000
