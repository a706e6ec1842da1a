"""The contract of background work: each job is one node's at a time, in its order, and is not forgotten before it ends."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from connector.errors import BadMessage, InternalError
from connector.ports.jobs import MOST_FAILURES, Failure, Job, NewJob
from connector.ports.store import Store
from connector.testing.store_contract.values import LEASE, NOW, SECOND, Nodes, adding, negotiation, outgoing, put

KINDS = ("crawl", "webhook")


def job(id_: str, **fields: Any) -> NewJob:
    return NewJob(**{"participant": "alice", "kind": "webhook", "id": id_, "body": {"n": id_, "ü": [1, None]}, **fields})


def _ids(jobs: tuple[Job, ...]) -> list[str]:
    return [found.id for found in jobs]


def _failure(cause: str = "503") -> Failure:
    return Failure(at=NOW, cause=cause)


class JobsContract:
    """Jobs: put, claimed, ended, ordered, shown."""

    async def test_a_job_is_kept_claimed_and_done(self, nodes: Nodes) -> None:
        here, there = await nodes("here"), await nodes("there")
        assert await here.jobs.put((job("a"), job("b", not_before=NOW + SECOND)), NOW) == 2
        kept = await there.jobs.job("alice", "webhook", "a")
        assert kept is not None
        assert (kept.node, kept.tries, kept.turn, kept.failures, kept.given_up_at) == (None, 0, 0, (), None)
        assert (kept.created_at, kept.not_before) == (NOW, NOW)
        (claimed,) = await there.jobs.claim(KINDS, NOW)
        assert (claimed.id, claimed.body, claimed.node, claimed.tries) == ("a", {"n": "a", "ü": [1, None]}, "there", 1)
        assert await here.jobs.claim(KINDS, NOW) == ()
        assert await there.jobs.done(claimed)
        assert await here.jobs.job("alice", "webhook", "a") is None
        assert not await there.jobs.done(claimed)
        assert _ids(await here.jobs.claim(KINDS, NOW + SECOND)) == ["b"]

    async def test_only_the_kinds_that_are_asked_for_are_claimed(self, store: Store) -> None:
        await store.jobs.put((job("a"), job("b", kind="crawl"), job("c", kind="other")), NOW)
        assert _ids(await store.jobs.claim(("crawl",), NOW)) == ["b"]
        assert _ids(await store.jobs.claim(KINDS, NOW)) == ["a"]
        assert await store.jobs.claim((), NOW) == ()
        assert await store.jobs.next_moment(("nothing",)) is None

    async def test_a_job_is_put_once(self, store: Store) -> None:
        assert await store.jobs.put((job("a"), job("a", body={"second": True})), NOW) == 1
        assert await store.jobs.put((job("a"), job("a", participant="bob"), job("a", kind="crawl")), NOW) == 2
        kept = await store.jobs.job("alice", "webhook", "a")
        assert kept is not None
        assert kept.body == {"n": "a", "ü": [1, None]}
        await store.jobs.claim(KINDS, NOW)
        assert await store.jobs.put((job("a"),), NOW) == 0
        assert await store.jobs.put((), NOW) == 0

    async def test_what_is_no_json_is_refused_and_nothing_is_kept(self, store: Store) -> None:
        with pytest.raises(BadMessage, match="cannot be the body of a job"):
            await store.jobs.put((job("a"), job("b", body={"a": object()})), NOW)
        assert await store.jobs.job("alice", "webhook", "a") is None

    async def test_the_job_of_a_dead_node_is_free_when_its_lease_is_over(self, nodes: Nodes) -> None:
        here, there = await nodes("here"), await nodes("there")
        await here.jobs.put((job("a"),), NOW)
        (lost,) = await here.jobs.claim(KINDS, NOW)
        assert await there.jobs.next_moment(KINDS) == NOW + LEASE
        assert await there.jobs.claim(KINDS, NOW + LEASE - SECOND) == ()
        (found,) = await there.jobs.claim(KINDS, NOW + LEASE)
        assert (found.tries, found.turn) == (2, 2)
        # who comes back late changes nothing
        assert not await here.jobs.done(lost)
        assert not await here.jobs.keep(lost, NOW + LEASE)
        assert not await here.jobs.put_off(lost, NOW, _failure())
        assert not await here.jobs.give_up(lost, _failure())
        assert await there.jobs.done(found)

    async def test_a_lease_can_be_kept_up(self, nodes: Nodes) -> None:
        here, there = await nodes("here"), await nodes("there")
        await here.jobs.put((job("a"),), NOW)
        (long,) = await here.jobs.claim(KINDS, NOW)
        assert await here.jobs.keep(long, NOW + LEASE - SECOND)
        assert await there.jobs.claim(KINDS, NOW + LEASE) == ()
        assert await here.jobs.done(long)

    async def test_a_node_that_starts_anew_gets_its_own_back_and_no_others(self, nodes: Nodes) -> None:
        here, there = await nodes("here"), await nodes("there")
        await here.jobs.put((job("a"), job("b", not_before=NOW + SECOND)), NOW)
        assert _ids(await here.jobs.claim(KINDS, NOW)) == ["a"]
        assert _ids(await there.jobs.claim(KINDS, NOW + SECOND)) == ["b"]
        await here.close()
        again = await nodes("here")
        await again.jobs.release()
        assert _ids(await again.jobs.claim(KINDS, NOW + SECOND)) == ["a"]

    async def test_a_job_that_failed_comes_again_with_what_was_said(self, store: Store) -> None:
        await store.jobs.put((job("a"),), NOW)
        later = NOW
        for n in range(MOST_FAILURES + 2):
            (claimed,) = await store.jobs.claim(KINDS, later)
            assert claimed.tries == n + 1
            later += SECOND
            assert await store.jobs.put_off(claimed, later, _failure(f"cause {n}"))
            assert await store.jobs.claim(KINDS, later - SECOND) == ()
        kept = await store.jobs.job("alice", "webhook", "a")
        assert kept is not None
        assert (kept.not_before, kept.node) == (later, None)
        assert [failure.cause for failure in kept.failures] == [f"cause {n}" for n in range(2, MOST_FAILURES + 2)]
        assert kept.failures[0].at == NOW

    async def test_a_job_that_comes_again_because_it_went_well_begins_anew(self, store: Store) -> None:
        await store.jobs.put((job("a"),), NOW)
        (claimed,) = await store.jobs.claim(KINDS, NOW)
        await store.jobs.put_off(claimed, NOW, _failure())
        (claimed,) = await store.jobs.claim(KINDS, NOW)
        assert await store.jobs.put_off(claimed, NOW + SECOND)
        (claimed,) = await store.jobs.claim(KINDS, NOW + SECOND)
        assert (claimed.tries, claimed.failures) == (1, ())

    async def test_a_job_that_was_given_up_is_shown_and_can_begin_anew(self, store: Store) -> None:
        await store.jobs.put((job("a"), job("b")), NOW)
        first, second = await store.jobs.claim(KINDS, NOW)
        assert await store.jobs.give_up(first, _failure("410"))
        assert await store.jobs.done(second)
        assert await store.jobs.claim(KINDS, NOW + 10 * LEASE) == ()
        assert await store.jobs.next_moment(KINDS) is None
        (shown,) = (await store.jobs.page("alice", is_given_up=True)).items
        assert (shown.id, shown.given_up_at, shown.failures, shown.node) == ("a", NOW, (_failure("410"),), None)
        assert not await store.jobs.revive("alice", "webhook", "unknown", NOW)
        assert await store.jobs.revive("alice", "webhook", "a", NOW + SECOND)
        assert not await store.jobs.revive("alice", "webhook", "a", NOW)
        (again,) = await store.jobs.claim(KINDS, NOW + SECOND)
        assert (again.id, again.body, again.tries, again.failures) == ("a", shown.body, 1, ())
        assert await store.jobs.give_up(again, _failure())
        # so does one that is put again
        assert await store.jobs.put((job("a", body={"new": True}),), NOW) == 1
        (again,) = await store.jobs.claim(KINDS, NOW)
        assert again.body == {"new": True}

    async def test_a_dropped_job_is_gone_and_its_worker_finishes_in_vain(self, store: Store) -> None:
        await store.jobs.put((job("a"),), NOW)
        (claimed,) = await store.jobs.claim(KINDS, NOW)
        assert await store.jobs.drop("alice", "webhook", "a")
        assert not await store.jobs.drop("alice", "webhook", "a")
        await store.jobs.put((job("a"),), NOW)
        (second,) = await store.jobs.claim(KINDS, NOW)
        # the new one has the turn of the old one, and is another
        assert not await store.jobs.done(claimed)
        assert await store.jobs.done(second)

    async def test_jobs_with_one_order_key_are_done_one_after_another(self, nodes: Nodes) -> None:
        here, there = await nodes("here"), await nodes("there")
        await here.jobs.put((job("a1", order_key="a"), job("b1", order_key="b"), job("a2", order_key="a")), NOW)
        await there.jobs.put((job("a3", order_key="a"), job("a9", order_key="a", participant="bob")), NOW)
        first = await here.jobs.claim(KINDS, NOW)
        assert _ids(first) == ["a1", "b1", "a9"]
        assert await there.jobs.claim(KINDS, NOW) == ()
        # nothing is to be had before the lease is over: nobody looks in vain
        assert await here.jobs.next_moment(KINDS) == NOW + LEASE
        # a failed one keeps its place
        await here.jobs.put_off(first[0], NOW + SECOND, _failure())
        assert await there.jobs.claim(KINDS, NOW) == ()
        (again,) = await there.jobs.claim(KINDS, NOW + SECOND)
        assert again.id == "a1"
        await there.jobs.done(again)
        (second,) = await here.jobs.claim(KINDS, NOW + SECOND)
        assert second.id == "a2"
        assert await there.jobs.claim(KINDS, NOW + SECOND) == ()
        # one that was given up holds up nobody, and begins anew at the end
        await here.jobs.give_up(second, _failure())
        await here.jobs.put((job("a4", order_key="a"),), NOW)
        await here.jobs.revive("alice", "webhook", "a2", NOW)
        for expected in ("a3", "a4", "a2"):
            (found,) = await there.jobs.claim(KINDS, NOW + SECOND)
            assert found.id == expected
            await there.jobs.done(found)

    async def test_dropping_the_first_frees_the_next(self, store: Store) -> None:
        await store.jobs.put((job("a1", order_key="a"), job("a2", order_key="a", not_before=NOW + SECOND)), NOW)
        await store.jobs.drop("alice", "webhook", "a1")
        assert await store.jobs.claim(KINDS, NOW) == ()
        assert _ids(await store.jobs.claim(KINDS, NOW + SECOND)) == ["a2"]

    async def test_nodes_that_work_at_once_share_nothing_and_keep_the_order(self, nodes: Nodes) -> None:
        stores = [await nodes(f"node-{number}") for number in range(3)]
        await asyncio.gather(
            *(
                store.jobs.put([job(f"{lane}-{n}-{s}", order_key=lane) for lane in "abc"], NOW)
                for s, store in enumerate(stores)
                for n in range(4)
            )
        )
        order = [found.id for found in reversed((await stores[0].jobs.page("alice")).items)]
        done: list[str] = []
        busy: set[str] = set()

        async def work(store: Store) -> None:
            while len(done) < 36:
                for claimed in await store.jobs.claim(KINDS, NOW, limit=2):
                    assert claimed.order_key is not None
                    assert claimed.order_key not in busy
                    busy.add(claimed.order_key)
                    await asyncio.sleep(0)
                    done.append(claimed.id)
                    busy.discard(claimed.order_key)
                    assert await store.jobs.done(claimed)
                await asyncio.sleep(0)

        await asyncio.gather(*map(work, stores))
        assert len(set(done)) == 36
        for lane in "abc":
            assert [id_ for id_ in done if id_[0] == lane] == [id_ for id_ in order if id_[0] == lane]

    async def test_a_claim_takes_what_waits_longest_and_no_more_than_asked(self, store: Store) -> None:
        await store.jobs.put((job("late", not_before=NOW - SECOND), job("c"), job("first", not_before=NOW - 2 * SECOND)), NOW)
        assert _ids(await store.jobs.claim(KINDS, NOW, limit=2)) == ["first", "late"]
        assert await store.jobs.next_moment(KINDS) == NOW

    async def test_lists_are_of_one_context_newest_first_with_totals(self, store: Store) -> None:
        await store.jobs.put([job(f"j{n}", kind=KINDS[n % 2]) for n in range(5)], NOW)
        await store.jobs.put((job("other", participant="bob"),), NOW)
        first = await store.jobs.page("alice", limit=2)
        assert (_ids(first.items), first.total) == (["j4", "j3"], 5)
        second = await store.jobs.page("alice", limit=3, cursor=first.next_cursor)
        assert (_ids(second.items), second.total, second.next_cursor) == (["j2", "j1", "j0"], 5, None)
        crawls = await store.jobs.page("alice", kind="crawl", is_given_up=False)
        assert (_ids(crawls.items), crawls.total) == (["j4", "j2", "j0"], 3)
        assert await store.jobs.job("carol", "webhook", "j1") is None
        with pytest.raises(BadMessage):
            await store.jobs.page("alice", cursor="?")

    async def test_whoever_listens_is_woken_when_there_is_something_to_claim(self, store: Store) -> None:
        woken: list[str] = []
        store.jobs.listen(lambda: woken.append("!"))
        await store.jobs.put((job("a1", order_key="a"), job("a2", order_key="a")), NOW)
        assert woken
        (first,) = await store.jobs.claim(KINDS, NOW)
        woken.clear()
        await store.jobs.done(first)
        assert woken

    async def test_a_job_is_put_with_the_change_that_wants_it_or_not_at_all(self, store: Store) -> None:
        woken: list[str] = []
        store.jobs.listen(lambda: woken.append("!"))
        place = await put(store, negotiation("one"), jobs=(job("a"), job("b", order_key="o")))
        assert woken
        assert _ids(await store.jobs.claim(KINDS, NOW)) == ["a", "b"]
        await store.advance(place, adding(jobs=(job("a"), job("c", order_key="o"))))
        assert (await store.jobs.page("alice")).total == 3
        # the message stands there twice: nothing of the change is written
        with pytest.raises(InternalError):
            await store.advance(place, adding(outgoing=(outgoing("m"), outgoing("m")), jobs=(job("d"),)))
        with pytest.raises(InternalError, match="a job of another context"):
            await store.advance(place, adding(jobs=(job("d", participant="bob"),)))
        with pytest.raises(BadMessage):
            await store.advance(place, adding(jobs=(job("d", body={"a": object()}),)))
        assert await store.jobs.job("alice", "webhook", "d") is None
        assert (await store.timeline(place)).pending == ()

    async def test_what_was_given_up_long_ago_can_be_forgotten(self, store: Store) -> None:
        await store.jobs.put((job("a"), job("b")), NOW)
        first, _ = await store.jobs.claim(KINDS, NOW)
        await store.jobs.give_up(first, _failure())
        assert await store.jobs.forget("alice", NOW) == 0
        assert await store.jobs.forget("bob", NOW + SECOND) == 0
        assert await store.jobs.forget("alice", NOW + SECOND) == 1
        assert (await store.jobs.page("alice")).total == 1
