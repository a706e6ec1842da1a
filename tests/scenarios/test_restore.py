"""A node whose store is restored from an older backup: it asks its peers, and both sides end alike."""

from __future__ import annotations

import pathlib
from collections.abc import AsyncIterator

import pytest

from connector.api.reconciliation import Reconciliation
from connector.api.transfers import NewTransfer
from connector.app import archives
from connector.client import operating
from connector.errors import KontorError
from connector.settings import Settings
from connector.testing.dataspace import PULL, DataSpace, Member


@pytest.fixture
async def space() -> AsyncIterator[DataSpace]:
    """A data space whose members keep their state in SQLite files."""
    async with DataSpace(store="sqlite:///kontor.db") as found:
        yield found


def settings(space: DataSpace, member: Member) -> Settings:
    return Settings.model_validate(space.settings_of(member))


async def restored(space: DataSpace, member: Member, archive: pathlib.Path) -> Reconciliation:
    """The member's node on an older store, and what it has found out when it is done."""
    await space.stop(member)
    for file in (space.folder / member.name).glob("kontor.db*"):
        file.unlink()
    await archives.restore(settings(space, member), archive)
    await space.start(member)
    return await member.until(lambda: member.send(operating.reconciliation(member.name)), lambda found: found.is_done)


async def test_a_provider_that_is_restored_and_its_consumer_end_alike(space: DataSpace) -> None:
    provider, consumer = space.join("provider", approval="manual"), space.join("consumer")
    offer = await provider.publish("weather", content=b"rain")

    async def agreed() -> str:
        begun = await consumer.request(offer)
        await consumer.until_negotiation(begun.pid, "REQUESTED")
        await provider.act(await provider.theirs(begun), "approve")
        found = await consumer.until_negotiation(begun.pid, "FINALIZED")
        return found.agreement_id or ""

    async def started(agreement: str) -> str:
        begun = await consumer.send(consumer.calls.begin_transfer(NewTransfer(agreement=agreement, format=PULL)))
        return (await consumer.until_transfer(begun.pid, "STARTED")).pid

    # 1. the moment of the backup: three transfers run, and a request waits for a person
    first = await agreed()
    goes_on, rests, ends = [await started(first) for _ in range(3)]
    waiting = await consumer.request(offer)
    await consumer.until_negotiation(waiting.pid, "REQUESTED")
    archive = space.folder / "kontor.archive"
    await archives.backup(settings(space, provider), archive)

    # 2. life goes on: that is approved and final, one transfer is suspended, one ended, and something new is begun
    theirs = await provider.theirs(waiting)
    await provider.act(theirs, "approve")
    await consumer.until_negotiation(waiting.pid, "FINALIZED")
    await consumer.steer(rests, "suspend")
    await consumer.until_transfer(rests, "SUSPENDED")
    await consumer.steer(ends, "terminate", reason="enough")
    await consumer.until_transfer(ends, "TERMINATED")
    later = await agreed()
    unknown = await started(later)

    # 3. the provider is restored: what it can know of it, it knows
    told = await restored(space, provider, archive)
    assert told.cause.startswith("restored from a backup of 20")
    assert told.peers == {consumer.id: 4}
    assert (told.same, told.waiting) == (1, [])
    found = {one.pid: one for one in told.findings}
    for pid, state in ((goes_on, "STARTED"), (rests, "SUSPENDED"), (ends, "TERMINATED")):
        ours = await consumer.send(consumer.calls.transfer(pid))
        assert (await provider.send(provider.calls.transfer(ours.peer_pid or ""))).state == ours.state == state
    assert await consumer.get(await consumer.send(consumer.calls.transfer(goes_on))) == b"rain"
    await consumer.steer(rests, "resume")
    again = await consumer.until_transfer(rests, lambda one: one.state == "STARTED" and one.in_flight is None)
    theirs_again = await provider.until_transfer(again.peer_pid or "", "STARTED")
    assert theirs_again.is_open

    # 4. an agreement of which it has no memory is none, and a person is told
    assert (found[theirs].ours, found[theirs].theirs, found[theirs].needs_person) == ("REQUESTED", "FINALIZED", True)
    ended = await provider.send(provider.calls.negotiation(theirs))
    assert (ended.state, ended.agreement_id, ended.code) == ("TERMINATED", None, "states-differ")
    assert (await provider.send(provider.calls.agreements())).total == 1

    # 5. what was begun after the backup is unknown: answered as the protocol says, and told
    with pytest.raises(KontorError):
        await consumer.get(await consumer.send(consumer.calls.transfer(unknown)))
    await consumer.steer(unknown, "terminate")
    await consumer.until_transfer(unknown, "TERMINATED")
    refused = await consumer.send(consumer.calls.begin_transfer(NewTransfer(agreement=later, format=PULL)))
    assert (await consumer.until_transfer(refused.pid, "TERMINATED")).error
    shown = await provider.send(operating.reconciliation(provider.name))
    their_pid = (await consumer.send(consumer.calls.transfer(unknown))).peer_pid
    assert {(one.kind, one.id, one.peer) for one in shown.strays} >= {
        ("transfer", their_pid, consumer.id),
        ("agreement", later, consumer.id),
    }


async def test_a_consumer_that_is_restored_asks_for_the_start_that_it_has_lost(space: DataSpace) -> None:
    starts = [{"kind": "transfer", "on": "REQUESTED", "do": "hold", "role": "provider"}]
    provider, consumer = space.join("provider", rules=starts), space.join("consumer")
    agreed = await consumer.negotiate(await provider.publish("weather", content=b"rain"))
    begun = await consumer.send(consumer.calls.begin_transfer(NewTransfer(agreement=agreed.agreement_id or "", format=PULL)))
    await consumer.until_transfer(begun.pid, "REQUESTED")
    runs = await consumer.send(consumer.calls.begin_transfer(NewTransfer(agreement=agreed.agreement_id or "", format=PULL)))
    await consumer.until_transfer(runs.pid, "REQUESTED")
    await provider.steer(await provider.theirs(runs), "start")
    await consumer.until_transfer(runs.pid, "STARTED")
    archive = space.folder / "kontor.archive"
    await archives.backup(settings(space, consumer), archive)
    # 1. one is started after the backup, and another gets another token
    theirs = await provider.theirs(begun)
    await provider.steer(theirs, "start")
    await consumer.until_transfer(begun.pid, "STARTED")
    await provider.steer(await provider.theirs(runs), "suspend")
    await consumer.until_transfer(runs.pid, "SUSPENDED")
    await provider.steer(await provider.theirs(runs), "resume")
    await consumer.until_transfer(runs.pid, "STARTED")
    assert await consumer.get(runs) == b"rain"

    await space.stop(consumer)
    for file in (space.folder / consumer.name).glob("kontor.db*"):
        file.unlink()
    await archives.restore(settings(space, consumer), archive)
    await space.start(consumer)
    # 2. the start that is lost is asked for, and so is the address that opens the other now
    transfer = await consumer.until_transfer(begun.pid, "STARTED", "TERMINATED")
    assert (transfer.state, await consumer.get(transfer)) == ("STARTED", b"rain")

    async def data() -> bytes | KontorError:
        try:
            return await consumer.get(await consumer.send(consumer.calls.transfer(runs.pid)))
        except KontorError as fault:
            return fault

    await consumer.until(data, lambda found: found == b"rain")
    told = await consumer.send(operating.reconciliation(consumer.name))
    assert [one.finding for one in told.findings] == ["asked again"]
