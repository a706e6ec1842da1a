"""A push is one node's at a time: taken over from the dead, stopped wherever it runs, begun anew when it is resumed."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from connector.controlplane.decisions import Choice
from connector.controlplane.pushes import take_up
from connector.controlplane.shelving import ASSET, DEFINITION
from connector.controlplane.watch import LOOK_EVERY
from connector.dsp.process import By, Cause
from connector.dsp.tables import Event, Kind, State
from connector.dsp.transfer import Transfer
from connector.dsp.values import replace
from connector.errors import StoreUnavailable
from connector.ports.store import Change, Snapshot
from tests.controlplane.conftest import NewNode
from tests.controlplane.scene import PUSH, Node, key, transfer_request
from tests.controlplane.test_usage import COUNT_2


async def _pair(new_node: NewNode) -> tuple[Node, Node]:
    here, there = await new_node("here"), await new_node("there")
    await here.publish()
    return here, there


async def test_of_two_nodes_one_pushes_and_a_start_of_the_other_changes_nothing(new_node: NewNode) -> None:
    here, there = await _pair(new_node)
    await here.started(PUSH)
    await take_up(there.store, there.clock.now())
    await here.rest()
    assert len(here.plane.moving) + len(there.plane.moving) == 1


async def test_the_push_of_a_dead_node_is_taken_over_when_its_lease_is_over(new_node: NewNode) -> None:
    here = await new_node("here")
    await here.publish()
    transfer = await here.started(PUSH)
    (taken,) = (await here.store.jobs.page("alice", kind="push")).items
    assert taken.node == "here"
    # as if it had died: it does not renew what it had
    lost = await here.store.jobs.claim(("push",), here.clock.now() + timedelta(days=1))
    assert [job.id for job in lost] == [taken.id]
    there = await new_node("there")
    here.clock.set(here.clock.now() + timedelta(days=1, seconds=40))
    await there.rest()
    assert ("alice", transfer.pid) in there.plane.moving
    # and the one that was not dead, after all, has noticed that it is not its own any more
    assert here.plane.moving == {}


async def test_a_stop_at_one_node_cuts_what_runs_at_the_other_at_once(new_node: NewNode) -> None:
    here, there = await _pair(new_node)
    transfer = await here.started(PUSH)
    for node in (here, there):
        node.plane.moving.setdefault(("alice", transfer.pid), asyncio.Event())
    await here.transfers.act("alice", transfer.pid, "suspend")
    await here.rest()
    assert (here.plane.moving, there.plane.moving) == ({}, {})


async def test_a_stop_that_nobody_told_of_is_found_by_looking(new_node: NewNode) -> None:
    here, there = await _pair(new_node)
    transfer = await here.started(PUSH)
    here.store.notice = lambda key: None  # type: ignore[method-assign]
    there.plane.moving["alice", transfer.pid] = asyncio.Event()
    await here.transfers.act("alice", transfer.pid, "terminate")
    await here.rest()
    assert there.plane.moving
    here.clock.set(here.clock.now() + LOOK_EVERY)
    await there.rest()
    assert there.plane.moving == {}


async def test_what_may_run_goes_on_whatever_is_noticed(new_node: NewNode) -> None:
    here, there = await _pair(new_node)
    transfer = await here.started(PUSH)
    for node in (here, there):
        node.watch.notice(key(transfer.pid))
        node.watch.notice(key(transfer.pid, Kind.TRANSFER))
        await node.watch.look()
    assert len(here.plane.moving) + len(there.plane.moving) == 1


async def test_what_was_resumed_is_pushed_again(new_node: NewNode) -> None:
    here = await new_node("here")
    await here.publish()
    transfer = await here.started(PUSH)
    await here.transfers.act("alice", transfer.pid, "suspend")
    await here.rest()
    assert here.plane.moving == {}
    assert (await here.store.jobs.page("alice", kind="push")).total == 0
    await here.transfers.act("alice", transfer.pid, "resume")
    await here.rest()
    assert ("alice", transfer.pid) in here.plane.moving
    assert (await here.transfer(transfer.pid)).state is State.STARTED


async def test_a_push_that_ends_without_a_word_is_tried_again(new_node: NewNode) -> None:
    here = await new_node("here")
    await here.publish()
    transfer = await here.started(PUSH)
    here.plane.moving["alice", transfer.pid].set()
    await here.rest()
    (job,) = (await here.store.jobs.page("alice", kind="push")).items
    assert [failure.cause for failure in job.failures] == ["the push ended, and nobody was told"]
    here.clock.move(seconds=1)
    await here.rest()
    assert ("alice", transfer.pid) in here.plane.moving


async def test_attempts_of_the_data_plane_stand_among_those_of_messages(new_node: NewNode) -> None:
    here, _ = await _pair(new_node)
    transfer = await here.started(PUSH)
    url, cause = "https://bob.example/sink", "the receiver answers 503; 7 bytes are there"
    await here.events.attempted("alice", transfer.pid, url=url, cause=cause)
    await here.events.attempted("alice", "urn:uuid:none", url=url, cause=cause)
    told = (await here.store.timeline(key(transfer.pid, Kind.TRANSFER))).attempts[-1]
    assert (told.event, told.url, told.cause, told.is_final, told.message_id) == ("data", url, cause, False, "")
    assert (await here.transfer(transfer.pid)).state is transfer.state


async def test_what_a_receiver_calls_an_upload_is_known_to_every_node(new_node: NewNode) -> None:
    here, other = await _pair(new_node)
    transfer = await here.started(PUSH)
    await here.events.noted("alice", transfer.pid, "upload 7")
    await here.events.noted("alice", "urn:uuid:none", "upload 8")
    found = await other.store.process(key(transfer.pid, Kind.TRANSFER))
    assert isinstance(found, Transfer)
    assert (found.mark, found.state) == ("upload 7", transfer.state)


async def test_a_push_that_is_complete_leaves_no_job(new_node: NewNode) -> None:
    here = await new_node("here")
    await here.publish()
    transfer = await here.started(PUSH)
    end = here.plane.moving["alice", transfer.pid]
    await here.events.completed("alice", transfer.pid, moved_bytes=1, digest=None)
    end.set()
    await here.rest()
    assert (await here.transfer(transfer.pid)).state is State.COMPLETED
    assert (await here.store.jobs.page("alice")).total == 0


async def test_a_push_that_began_without_a_job_is_taken_up_after_a_start(new_node: NewNode) -> None:
    here = await new_node("here")
    await here.publish()
    transfer = await here.started(PUSH)
    # an earlier release put none
    await here.store.jobs.drop("alice", "push", f"{transfer.pid}#1")
    await here.plane.stop("alice", transfer.pid)
    await here.rest()
    await take_up(here.store, here.clock.now())
    await here.rest()
    assert ("alice", transfer.pid) in here.plane.moving


async def test_a_push_whose_asset_is_gone_at_the_next_start_is_terminated(new_node: NewNode) -> None:
    here = await new_node("here")
    await here.publish()
    transfer = await here.started(PUSH)
    await here.plane.stop("alice", transfer.pid)
    await here.offerings.delete("alice", DEFINITION, "def")
    await here.offerings.delete("alice", ASSET, "urn:d:1")
    await here.rest()
    here.clock.move(seconds=1)
    await here.rest()
    found = await here.transfer(transfer.pid)
    assert (found.state, found.code) == (State.TERMINATED, "data-plane")


async def test_what_cannot_be_looked_at_is_cut_after_a_lease(new_node: NewNode) -> None:
    here = await new_node("here")
    await here.publish()
    transfer = await here.started(PUSH)
    lease = timedelta(seconds=here.settings.store.lease_s)

    async def away(*_: object) -> tuple[()]:
        raise StoreUnavailable("the server is away")

    here.store.several = away  # type: ignore[method-assign]
    here.clock.set(here.clock.now() + lease / 8)
    await here.rest()
    assert ("alice", transfer.pid) in here.plane.moving
    stops = len(here.plane.told)
    here.clock.set(here.clock.now() + lease)
    await here.rest()
    assert ("stop", transfer.pid) in here.plane.told[stops:]


async def test_of_two_changes_that_became_durable_together_the_earlier_cuts_nothing(new_node: NewNode) -> None:
    here = await new_node("here")
    await here.publish()
    transfer = await here.started(PUSH)
    suspended = replace(transfer, state=State.SUSPENDED, entries={**transfer.entries, "SUSPENDED": 1})
    stops = here.plane.told.count(("stop", transfer.pid))
    # whoever committed the suspension hears of it only now, when the transfer was resumed already
    await here.transfers._drive(suspended)
    assert here.plane.told.count(("stop", transfer.pid)) == stops
    await here.transfers._drive(replace(transfer, state=State.REQUESTED, entries={"REQUESTED": 1}))
    assert here.plane.told.count(("stop", transfer.pid)) == stops
    await here.transfers.act("alice", transfer.pid, "suspend")
    assert here.plane.told.count(("stop", transfer.pid)) > stops


async def test_a_push_that_a_dying_node_has_stopped_is_no_use(new_node: NewNode) -> None:
    here, there = await _pair(new_node)
    await here.publish(COUNT_2)
    agreement = await here.agreed(terms=COUNT_2)
    transfer = await here.transfer((await here.tell(transfer_request(agreement, PUSH))).provider_pid)
    book = await here.store.ledger.book("alice", agreement)
    assert book is not None
    assert len(book.open) == 1
    course, desk = there.transfers.course, await there.transfers.desk(key(transfer.pid, Kind.TRANSFER), None)
    end = Choice(act=Event.TERMINATE, cause=Cause(by=By.OPERATOR))

    def decide(found: Snapshot[Transfer]) -> Change[Transfer]:
        assert found.process is not None
        return course.change(course.do(found.process, end), desk)

    # this is committed, and nothing of what follows is done
    await there.store.advance(key(transfer.pid, Kind.TRANSFER), decide)
    here.clock.set(here.clock.now() + LOOK_EVERY)
    await here.rest()
    book = await here.store.ledger.book("alice", agreement)
    assert book is not None
    assert book.open == {}


async def test_a_push_in_doubt_waits_and_is_taken_up_as_the_same(new_node: NewNode) -> None:
    here = await new_node("here")
    await here.publish()
    transfer = await here.started(PUSH)

    async def doubted(is_doubted: bool) -> None:
        def decide(snapshot: Snapshot[Transfer]) -> Change[Transfer]:
            assert snapshot.process is not None
            return Change(process=replace(snapshot.process, is_doubted=is_doubted))

        await here.store.advance(key(transfer.pid, Kind.TRANSFER), decide)

    # its node died, and the store was restored
    await doubted(True)
    await here.store.jobs.claim(("push",), here.clock.now() + timedelta(days=1))
    here.clock.set(here.clock.now() + timedelta(days=1, seconds=40))
    there = await new_node("there")
    await there.rest()
    assert here.plane.moving == there.plane.moving == {}
    await doubted(False)
    there.clock.move(seconds=60)
    await there.rest()
    assert ("alice", transfer.pid) in here.plane.moving | there.plane.moving
