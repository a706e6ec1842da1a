"""The contract of `advance`: one transaction, all or nothing, nobody's update lost."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from connector.dsp.process import Process
from connector.dsp.tables import Kind, Role, State
from connector.dsp.values import replace
from connector.errors import Conflict, IllegalTransition, InternalError
from connector.ports.store import Change, Key, Snapshot, Store, Timeline
from connector.testing.store_contract.values import (
    LEASE,
    NOW,
    SECOND,
    Nodes,
    Seen,
    adding,
    agreement,
    always,
    attempt,
    due,
    full_negotiation,
    key,
    negotiation,
    outgoing,
    peer_key,
    put,
    record,
    transfer,
)


def _refuse(snapshot: Snapshot[Process]) -> Change[Process]:
    raise IllegalTransition("not now")


class ProcessContract:
    """One process, its keys, and what writes it."""

    async def test_a_process_is_read_as_it_was_written(self, store: Store) -> None:
        for process in (negotiation("plain"), full_negotiation("full"), transfer("moved")):
            place = await put(store, process)
            assert await store.process(place) == process

    async def test_what_was_read_can_be_changed_without_changing_the_store(self, store: Store) -> None:
        place = await put(store, negotiation("one"))
        first = await store.process(place)
        assert first is not None
        assert isinstance(first.entries, dict)
        first.entries["REQUESTED"] = 99
        second = await store.process(place)
        assert second is not None
        assert second.entries == {"REQUESTED": 1}

    async def test_a_transfer_is_opened_with_its_agreement_as_both_are_now(self, nodes: Nodes) -> None:
        here, there = await nodes("here"), await nodes("there")
        place = await put(here, transfer("moved", agreement_id="urn:a"))
        first = await there.opening("alice", "moved")
        assert first is not None
        assert (first.transfer, first.agreement) == (transfer("moved", agreement_id="urn:a"), None)
        await here.put_agreement(agreement("urn:a", negotiation=None), is_new=True)
        second = await there.opening("alice", "moved")
        assert second is not None
        assert (second.transfer, second.agreement) == (first.transfer, agreement("urn:a", negotiation=None))
        await here.put_agreement(agreement("urn:a", negotiation=None, ended_at=NOW), is_new=False)
        third = await there.opening("alice", "moved")
        assert third is not None
        assert third.agreement == agreement("urn:a", negotiation=None, ended_at=NOW)
        await put(here, transfer("another", agreement_id="urn:a"))
        again = await there.opening("alice", "moved")
        assert again is third, "neither of the two has changed"
        stopped = transfer("moved", agreement_id="urn:a", state=State.SUSPENDED)
        await here.advance(place, always(Change(process=stopped)))
        last = await there.opening("alice", "moved")
        assert last is not None
        assert last.transfer == stopped

    async def test_only_a_transfer_of_that_context_is_opened(self, store: Store) -> None:
        await put(store, transfer("moved"))
        await put(store, negotiation("one"))
        assert [await store.opening(*at) for at in (("bob", "moved"), ("alice", "one"), ("alice", "none"))] == [None] * 3

    async def test_the_caller_gets_the_change_and_decides_on_what_is_there(self, store: Store) -> None:
        process, change = negotiation("one"), Change(process=negotiation("one"), repeated=b"a result")
        creating, changing = Seen(always(change)), Seen(adding())
        assert await store.advance(key("one"), creating) is change
        await store.advance(key("one"), changing)
        assert creating.last == Snapshot(process=None)
        assert changing.last == Snapshot(process=process)

    async def test_a_change_without_a_process_leaves_it_as_it_is(self, store: Store) -> None:
        place = await put(store, negotiation("one"))
        await store.advance(place, always(Change(records=(record("looked at"),))))
        assert await store.process(place) == negotiation("one")
        assert (await store.timeline(place)).records == (record("looked at"),)

    async def test_nothing_is_written_where_nothing_is_and_nothing_comes(self, store: Store) -> None:
        await store.advance(key("one"), always(Change(removed=("m",))), received="urn:m")
        assert await store.process(key("one")) is None
        again = Seen(always(Change()))
        await store.advance(key("one"), again, received="urn:m")
        assert again.last == Snapshot(process=None, answer=None)

    async def test_a_key_names_context_kind_and_pid(self, store: Store) -> None:
        await put(store, negotiation("one"))
        for other in (key("two"), key("one", participant="carol"), key("one", kind=Kind.TRANSFER)):
            assert await store.process(other) is None
            seen = Seen(always(Change()))
            await store.advance(other, seen)
            assert seen.last.process is None

    async def test_contexts_do_not_share_pids(self, store: Store) -> None:
        hers = await put(store, negotiation("one"))
        theirs = await put(store, negotiation("one", participant="carol", state=State.AGREED))
        assert await store.process(hers) == negotiation("one")
        assert await store.process(theirs) == negotiation("one", participant="carol", state=State.AGREED)

    async def test_a_pid_belongs_to_one_process_of_a_context(self, store: Store) -> None:
        await put(store, negotiation("one"))
        with pytest.raises(Conflict):
            await put(store, transfer("one"))
        with pytest.raises(Conflict):
            await store.advance(
                peer_key("x", role=Role.CONSUMER), always(Change(process=negotiation("one", peer_pid="x", role=Role.CONSUMER)))
            )
        assert await store.process(key("one")) == negotiation("one")
        assert await store.find("alice", "one") == key("one")

    async def test_the_kind_of_a_pid_is_found(self, store: Store) -> None:
        await put(store, negotiation("one"))
        await put(store, transfer("two"))
        assert await store.find("alice", "one") == key("one")
        assert await store.find("alice", "two") == key("two", kind=Kind.TRANSFER)
        assert await store.find("alice", "three") is None
        assert await store.find("carol", "one") is None

    async def test_a_decision_that_raises_writes_nothing(self, store: Store) -> None:
        place = await put(store, negotiation("one"))
        with pytest.raises(IllegalTransition, match="not now"):
            await store.advance(key("two"), _refuse, received="urn:m")
        with pytest.raises(IllegalTransition):
            await store.advance(place, _refuse, received="urn:m")
        again = Seen(adding())
        await store.advance(place, again, received="urn:m")
        assert again.last == Snapshot(process=negotiation("one"), answer=None)

    async def test_a_change_that_cannot_be_written_whole_is_not_written_at_all(self, store: Store) -> None:
        place = await put(store, negotiation("one"), outgoing=(outgoing("m1"),))
        parts: dict[str, Any] = {
            "records": (record("lost"),),
            "attempts": (attempt("m0"),),
            "due": (due("agree", NOW),),
            "agreement": agreement("urn:a"),
            "removed": ("m1",),
        }
        changed = negotiation("one", state=State.AGREED)
        with pytest.raises(InternalError):
            await store.advance(
                place, always(Change(process=changed, outgoing=(outgoing("m2"), outgoing("m2")), **parts)), received="r"
            )
        assert await store.process(place) == negotiation("one")
        timeline = await store.timeline(place)
        assert (timeline.records, timeline.attempts, timeline.due) == ((), (), ())
        assert [message.outgoing.message_id for message in timeline.pending] == ["m1"]
        assert await store.agreement("alice", "urn:a") is None
        again = Seen(adding())
        await store.advance(place, again, received="r")
        assert again.last.answer is None

    async def test_a_change_for_another_process_is_refused(self, store: Store) -> None:
        place = await put(store, negotiation("one"))
        strays = (
            negotiation("two"),
            negotiation("one", participant="carol"),
            negotiation("one", peer="urn:mallory"),
            negotiation("one", role=Role.CONSUMER),
            transfer("one"),
        )
        for stray in strays:
            with pytest.raises(InternalError):
                await store.advance(place, always(Change(process=stray)))
        for stray in (negotiation("four"), negotiation("three", participant="carol"), transfer("three")):
            with pytest.raises(InternalError):
                await store.advance(key("three"), always(Change(process=stray)))
        for stray in (negotiation("five"), negotiation("five", peer_pid="p", peer="urn:mallory")):
            with pytest.raises(InternalError):
                await store.advance(peer_key("p"), always(Change(process=stray)))
        with pytest.raises(InternalError):
            await store.advance(place, adding(agreement=agreement("urn:a", participant="carol")))
        without: tuple[Change[Process], ...] = (
            Change(outgoing=(outgoing("m"),)),
            Change(records=(record("a"),)),
            Change(attempts=(attempt("m"),)),
            Change(due=(due("agree", NOW),)),
            Change(agreement=agreement("urn:a")),
        )
        for change in without:
            with pytest.raises(InternalError):
                await store.advance(key("three"), always(change))
        assert await store.agreement("alice", "urn:a") is None
        assert (await store.running(Kind.NEGOTIATION, tuple(State))) == (place,)

    async def test_no_update_is_lost(self, nodes: Nodes) -> None:
        stores = [await nodes("here"), await nodes("there")]
        place = await put(stores[0], negotiation("one", entries={}))

        def count(snapshot: Snapshot[Process]) -> Change[Process]:
            assert snapshot.process is not None
            return Change(process=replace(snapshot.process, entries={"n": snapshot.process.entries.get("n", 0) + 1}))

        await asyncio.gather(*(stores[i % 2].advance(place, count) for i in range(100)))
        for store in stores:
            found = await store.process(place)
            assert found is not None
            assert found.entries == {"n": 100}

    async def test_one_that_fails_takes_none_of_the_others_with_it(self, store: Store) -> None:
        def decide(pid: str) -> Change[Process]:
            twice = (outgoing("m"),) * (2 if pid.endswith("3") else 1)
            if pid.endswith("7"):
                raise IllegalTransition("not now")
            return Change(process=negotiation(pid), outgoing=twice, records=(record(pid),))

        pids = [f"p{i}" for i in range(40)]
        results = await asyncio.gather(
            *(store.advance(key(pid), lambda _, pid=pid: decide(pid)) for pid in pids),  # type: ignore[misc]
            return_exceptions=True,
        )
        for pid, result in zip(pids, results, strict=True):
            kept, lines = await store.process(key(pid)), (await store.timeline(key(pid))).records
            if pid.endswith("3"):
                assert isinstance(result, InternalError)
            elif pid.endswith("7"):
                assert isinstance(result, IllegalTransition)
            else:
                assert kept == negotiation(pid)
                assert lines == (record(pid),)
                continue
            assert kept is None
            assert lines == ()

    async def test_a_caller_that_stops_waiting_leaves_a_whole_process_or_none(self, store: Store) -> None:
        tasks = [
            asyncio.create_task(put(store, negotiation(f"p{i}"), records=(record(f"p{i}"),), outgoing=(outgoing("m"),)))
            for i in range(20)
        ]
        await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await put(store, negotiation("afterwards"))
        for number, task in enumerate(tasks):
            kept, timeline = await store.process(key(f"p{number}")), await store.timeline(key(f"p{number}"))
            assert kept is not None or task.cancelled()
            assert len(timeline.records) == len(timeline.pending) == (0 if kept is None else 1)

    async def test_the_timeline_is_in_order(self, store: Store) -> None:
        # two lines of one moment stay in the order in which they were written, and so do two transactions
        place = await put(store, negotiation("one"), records=(record("a"), record("b")), attempts=(attempt("m1"),))
        await put(store, negotiation("other"), records=(record("not mine"),))
        await store.advance(place, adding(records=(record("c"),), attempts=(attempt("m1", NOW + SECOND), attempt("m2"))))
        await store.advance(place, adding(due=(due("late", NOW + LEASE), due("soon", NOW + SECOND))))
        timeline = await store.timeline(place)
        assert [line.note for line in timeline.records] == ["a", "b", "c"]
        assert timeline.attempts == (attempt("m1"), attempt("m1", NOW + SECOND), attempt("m2"))
        assert timeline.due == (due("soon", NOW + SECOND), due("late", NOW + LEASE))

    async def test_a_timeline_belongs_to_its_context(self, store: Store) -> None:
        await put(store, negotiation("one"), records=(record("a"),), outgoing=(outgoing("m"),), due=(due("agree", NOW),))
        for other in (key("one", participant="carol"), key("one", kind=Kind.TRANSFER), key("two")):
            timeline = await store.timeline(other)
            assert (timeline.records, timeline.attempts, timeline.pending, timeline.due) == ((), (), (), ())

    async def test_where_little_is_free_nothing_is_given_back(self, store: Store) -> None:
        await put(store, transfer("one"))
        assert await store.give_back() == 0

    async def test_what_is_running_is_found_in_every_context(self, store: Store) -> None:
        await put(store, transfer("one"))
        await put(store, transfer("two", participant="carol", state=State.SUSPENDED))
        await put(store, transfer("three", state=State.COMPLETED))
        await put(store, transfer("unborn", state=None))
        await put(store, negotiation("four", state=State.AGREED))
        found = await store.running(Kind.TRANSFER, (State.STARTED, State.SUSPENDED))
        assert sorted(found, key=lambda k: k.pid) == [
            key("one", kind=Kind.TRANSFER),
            key("two", participant="carol", kind=Kind.TRANSFER),
        ]
        unborn = await store.running(Kind.TRANSFER, (None, State.COMPLETED))
        assert {place.pid for place in unborn} == {"unborn", "three"}
        await store.advance(key("one", kind=Kind.TRANSFER), always(Change(process=transfer("one", state=State.TERMINATED))))
        assert len(await store.running(Kind.TRANSFER, (State.STARTED, State.SUSPENDED))) == 1

    async def test_several_are_read_at_once(self, store: Store) -> None:
        await put(store, transfer("one"))
        await put(store, transfer("one", participant="carol"))
        await put(store, negotiation("four"))
        places = [("alice", "one"), ("carol", "one"), ("alice", "four"), ("bob", "one"), ("alice", "none")]
        found = await store.several(Kind.TRANSFER, places)
        assert sorted((process.participant, process.pid) for process in found) == [("alice", "one"), ("carol", "one")]
        assert await store.several(Kind.TRANSFER, []) == ()

    async def test_a_node_does_not_hear_its_own_notices(self, store: Store) -> None:
        heard: list[Key] = []
        store.heed(heard.append)
        store.notice(key("one", kind=Kind.TRANSFER))
        assert heard == []
        assert await store.running(Kind.TRANSFER, ()) == ()

    async def test_everything_is_there_after_a_restart(self, nodes: Nodes) -> None:
        before = await nodes("here")
        place = await put(
            before, full_negotiation("one"), records=(record("a"),), outgoing=(outgoing("m"),), due=(due("agree", NOW),)
        )
        await before.advance(place, adding(answer=b"done"), received="r")
        known = await before.timeline(place)
        await before.close()
        after = await nodes("here")
        assert await after.process(place) == full_negotiation("one")
        assert await after.timeline(place) == known
        again = Seen(adding())
        await after.advance(place, again, received="r")
        assert again.last.answer == b"done"

    async def test_closing_twice_is_harmless(self, store: Store) -> None:
        await store.close()
        await store.close()

    async def test_a_store_of_this_release_needs_no_migration(self, store: Store) -> None:
        before, after = await store.migrate()
        assert before == after

    async def test_what_has_ended_is_found_in_the_order_of_its_creation(self, store: Store) -> None:
        final = (State.COMPLETED, State.TERMINATED)
        for number in range(5):
            state = State.TERMINATED if number % 2 else State.COMPLETED
            await put(store, transfer(f"t{number}", participant="carol", state=state, created_at=NOW + number * SECOND))
        await put(store, transfer("running"))
        await put(store, negotiation("n", state=State.TERMINATED))
        first, after = await store.ended(Kind.TRANSFER, final, NOW + 4 * SECOND, limit=3)
        assert [process.pid for process in first] == ["t0", "t1", "t2"]
        rest, after = await store.ended(Kind.TRANSFER, final, NOW + 4 * SECOND, after=after, limit=3)
        assert ([process.pid for process in rest], after) == (["t3"], 0)
        assert await store.ended(Kind.TRANSFER, final, NOW) == ((), 0)

    async def test_what_has_ended_can_be_forgotten_and_nothing_else(self, store: Store) -> None:
        await put(store, transfer("done", state=State.COMPLETED), records=(record("r"),))
        await put(store, transfer("owes", state=State.TERMINATED), outgoing=(outgoing("m"),))
        await put(store, transfer("runs"))
        opened = peer_key("theirs")
        await store.advance(opened, always(Change(process=negotiation("ended", peer_pid="theirs", state=State.TERMINATED))))
        places = [("alice", name) for name in ("done", "owes", "runs", "ended", "none")]
        assert await store.forget(Kind.TRANSFER, places) == 1
        assert await store.forget(Kind.NEGOTIATION, places) == 1
        assert await store.process(key("done", kind=Kind.TRANSFER)) is None
        assert await store.timeline(key("done", kind=Kind.TRANSFER)) == Timeline(records=(), attempts=(), pending=(), due=())
        assert await store.process(key("owes", kind=Kind.TRANSFER)) is not None
        assert await store.process(key("runs", kind=Kind.TRANSFER)) is not None
        # the peer's pid is free again, and so is ours
        change = await store.advance(opened, always(Change(process=negotiation("ended", peer_pid="theirs"))))
        assert change.process is not None
        assert await store.forget(Kind.TRANSFER, []) == 0

    async def test_messages_of_what_has_ended_can_be_forgotten_and_its_records_stay(self, store: Store) -> None:
        ended = transfer("done", state=State.COMPLETED)
        place = await put(store, transfer("done"), records=(record("r"),))
        change: Change[Any] = Change(process=ended, answer=b"first", attempts=(attempt("a"),), records=(record("s"),))
        await store.advance(place, always(change), received="urn:m")
        assert await store.compact(Kind.TRANSFER, [("alice", "none")]) == 0
        assert await store.compact(Kind.TRANSFER, [("alice", "done")]) == 1
        assert await store.compact(Kind.TRANSFER, [("alice", "done")]) == 0
        timeline = await store.timeline(place)
        assert ([r.note for r in timeline.records], timeline.attempts) == (["r", "s"], ())
        seen = Seen(always(Change()))
        await store.advance(place, seen, received="urn:m")
        assert seen.last.answer is None
        await put(store, transfer("runs"), attempts=(attempt("a"),))
        assert await store.compact(Kind.TRANSFER, [("alice", "runs")]) == 0

    async def test_what_is_held_is_counted_peer_by_peer(self, store: Store) -> None:
        place = await put(store, negotiation("one", hold="a human looks"))
        await put(store, negotiation("two", hold="a human looks"))
        await put(store, negotiation("free"))
        await put(store, negotiation("theirs", peer="urn:eve", hold="a human looks"))
        await put(store, negotiation("other", participant="carol", hold="a human looks"))
        assert await store.held(Kind.NEGOTIATION, "alice", "urn:bob") == 2
        assert await store.held(Kind.TRANSFER, "alice", "urn:bob") == 0
        await store.advance(place, always(Change(process=negotiation("one"))))
        assert await store.held(Kind.NEGOTIATION, "alice", "urn:bob") == 1
