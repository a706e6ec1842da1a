"""What is over for long enough is forgotten; agreements and what led to them stay."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from connector.controlplane.retention import Retention
from connector.dsp.tables import Kind, State
from connector.errors import NotFound, StoreUnavailable
from connector.ports.jobs import Failure, NewJob
from connector.ports.journal import Line, verify
from connector.ports.store import Filter
from connector.settings.retention import Retention as RetentionSettings
from tests.controlplane.scene import PUSH, Node, key


class Inbox:
    """Notes what it is told to forget."""

    def __init__(self, *places: tuple[str, str]) -> None:
        self.places = places
        self.told: list[tuple[str, bool]] = []

    async def received(self) -> tuple[tuple[str, str], ...]:
        return self.places

    async def forget(self, participant: str, pid: str, *, is_whole_kept: bool) -> bool:
        self.told.append((pid, is_whole_kept))
        return True


def retention(node: Node, inbox: Inbox | None = None, **settings: Any) -> Retention:
    return Retention(node.store, node.participants, inbox or Inbox(), RetentionSettings(**settings), node.clock)


async def _failed(node: Node) -> str:
    """Our pid of a negotiation that led to nothing."""
    pid = (await node.begin()).pid
    await node.negotiations.act("alice", pid, "terminate")
    await node.rest()
    assert (await node.negotiation(pid)).state is State.TERMINATED
    return pid


async def _ended(node: Node) -> tuple[str, str, str]:
    """Pids of a negotiation that led to an agreement, one that did not, and a transfer: all over."""
    await node.publish()
    transfer = await node.started(PUSH)
    await node.transfers.act("alice", transfer.pid, "terminate")
    pid = await _failed(node)
    page = await node.store.processes(Kind.NEGOTIATION, "alice", Filter(state=State.FINALIZED))
    return page.items[0].pid, pid, transfer.pid


async def test_ended_processes_go_and_agreements_with_their_negotiations_stay(node: Node) -> None:
    agreed, failed, transfer = await _ended(node)
    records = (await node.timeline(agreed)).records
    node.clock.move(days=364)
    await retention(node).sweep()
    assert (await node.transfer(transfer)).is_ended
    node.clock.move(days=2)
    await retention(node).sweep()
    for find, pid in ((node.transfers.get, transfer), (node.negotiations.get, failed)):
        with pytest.raises(NotFound):
            await find("alice", pid)
    assert (await node.negotiation(agreed)).state is State.FINALIZED
    assert (await node.store.agreements("alice", Filter())).total == 1
    assert (await node.timeline(agreed)).records == records


async def test_messages_go_sooner_and_the_timeline_stays(node: Node) -> None:
    agreed, _, transfer = await _ended(node)
    before = await node.timeline(transfer)
    assert before.attempts
    node.clock.move(days=91)
    await retention(node).sweep()
    after = await node.timeline(transfer)
    assert (after.records, after.attempts) == (before.records, ())
    assert (await node.timeline(agreed)).attempts == ()


async def test_what_is_kept_for_ever_is_kept(node: Node) -> None:
    _, failed, transfer = await _ended(node)
    node.clock.move(days=36_500)
    inbox = Inbox(("alice", transfer))
    await retention(node, inbox, processes_days=0, messages_days=0, inbox_days=0, unfinished_days=0, journal_days=0).sweep()
    assert (await node.timeline(transfer)).attempts
    assert (await node.negotiation(failed)).is_ended
    assert inbox.told == []


async def test_what_runs_is_not_touched_however_old(node: Node) -> None:
    await node.publish()
    transfer = await node.started()
    node.clock.move(days=10_000)
    inbox = Inbox(("alice", transfer.pid))
    await retention(node, inbox, inbox_days=1).sweep()
    assert (await node.transfer(transfer.pid)).state is State.STARTED
    assert inbox.told == []


async def test_received_data_goes_when_its_time_is_over_and_parts_of_it_sooner(node: Node) -> None:
    _, _, ended = await _ended(node)
    inbox = Inbox(("alice", ended), ("alice", "urn:unknown"))
    await retention(node, inbox, inbox_days=30).sweep()
    # of what nobody knows any more
    assert inbox.told == [("urn:unknown", False)]
    inbox.told.clear()
    node.clock.move(days=8)
    await retention(node, inbox, inbox_days=30).sweep()
    assert (ended, True) in inbox.told
    inbox.told.clear()
    node.clock.move(days=23)
    await retention(node, inbox, inbox_days=30).sweep()
    assert (ended, False) in inbox.told


async def test_the_journal_is_trimmed_in_sight_and_given_up_work_is_forgotten(node: Node) -> None:
    now = node.clock.now()
    await node.store.journal.append("alice", "audit", [Line(at=now + timedelta(days=n), body={"n": n}) for n in range(3)])
    await node.store.jobs.put((NewJob(participant="alice", kind="k", id="1", body={}),), now)
    (job,) = await node.store.jobs.claim(("k",), now)
    await node.store.jobs.give_up(job, Failure(at=now, cause="no"))
    node.clock.move(days=366)
    await retention(node, journal_days=365).sweep()
    page = await node.store.journal.page("alice", "audit")
    assert [entry.number for entry in page.items] == [2, 3]
    assert (await verify(node.store.journal, "alice", "audit")).is_whole
    assert (await node.store.jobs.page("alice")).total == 0


async def test_a_long_list_is_swept_in_parts(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connector.controlplane.retention._BATCH", 2)
    await node.publish()
    for _ in range(5):
        await _failed(node)
    node.clock.move(days=366)
    await retention(node).sweep()
    assert (await node.store.processes(Kind.NEGOTIATION, "alice", Filter())).total == 0


async def test_the_loop_outlives_a_store_that_is_away(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    _, _, transfer = await _ended(node)
    faults = [StoreUnavailable("gone")]
    real = node.store.ended

    async def ended(*args: Any, **kwargs: Any) -> Any:
        if faults:
            raise faults.pop()
        return await real(*args, **kwargs)

    monkeypatch.setattr(node.store, "ended", ended)
    task = asyncio.create_task(retention(node).run())
    for days in (366, 1):
        await node.rest()
        node.clock.move(days=days)
    await node.rest()
    task.cancel()
    assert faults == []
    assert await node.store.process(key(transfer, Kind.TRANSFER)) is None
