"""The channel between processes of a node, and what a crew sees to: what was stopped moves nowhere, one worker alone receives."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import pytest

from connector import measures, observe
from connector.dataplane.addresses import PULL, PUSH
from connector.dataplane.channel import Channel, Gone
from connector.dataplane.remote import RemoteAuthorizer, RemoteEvents
from connector.dataplane.streams import Streams
from connector.dataplane.workers import Attached, Crew
from connector.dsp.tables import Role
from connector.dsp.transfer import Transfer
from connector.errors import Conflict, Forbidden, Overloaded, PeerAnswer
from connector.ports.dataplane import Event, Grant, Source, Use
from tests.dataplane.conftest import Desk, transfer

PLACE = ("acme", "urn:uuid:1")


@dataclass
class _Use:
    begun: int = 0
    ended: list[int] = field(default_factory=list)

    async def begin(self) -> None:
        self.begun += 1

    def end(self, moved_bytes: int) -> None:
        self.ended.append(moved_bytes)


@dataclass
class _Judge(Desk):
    """Grants everything as one use, unless it is told to refuse."""

    use: _Use = field(default_factory=_Use)
    refusal: Exception | None = None

    async def may_pull(self, participant: str, pid: str, token: str | None, *, is_look: bool = False) -> Grant:
        if self.refusal is not None:
            raise self.refusal
        return Grant(transfer=transfer(pid, PULL, Role.PROVIDER), source=Source(type="none"), use=self.use)

    async def may_stream(self, transfer: Transfer) -> Use | None:
        return self.use

    async def may_push(self, participant: str, pid: str, token: str | None):  # type: ignore[no-untyped-def]
        return transfer(pid, PULL, Role.CONSUMER)


class _Worker:
    """The worker's side of a channel, in this process."""

    def __init__(self, at: socket.socket) -> None:
        self.streams = Streams()
        self.streams.over = lambda participant, pid: self.channel.tell("over", participant, pid)
        self.orders: list[object] = []
        self.channel = Channel(
            at,
            answers={
                "stop": self.stop,
                "cut_uploads": self.streams.cut_uploads,
                "start": self.start,
                "over": self.over,
                "fetch": self.fetch,
            },
            hears={"begin": lambda *orders: self.orders.append(orders), "leave": lambda: self.orders.append("leave")},
        )
        self.authorizer = RemoteAuthorizer(self.channel)
        self.pushes: dict[tuple[str, str], asyncio.Event] = {}
        """What it pushes, and what is set when that is over."""
        self.content = asyncio.Event()
        """There is something to fetch."""

    async def start(self, transfer: Transfer, source: Source) -> None:
        self.pushes[transfer.participant, transfer.pid] = asyncio.Event()

    async def fetch(self, transfer: Transfer) -> tuple[int, str]:
        async with self.streams.running(transfer.participant, transfer.pid, 60):
            await self.content.wait()
        return 7, "digest"

    async def over(self, participant: str, pid: str) -> None:
        await self.pushes[participant, pid].wait()

    async def stop(self, participant: str, pid: str) -> None:
        await self.streams.cut(participant, pid)
        if (participant, pid) in self.pushes:
            self.pushes[participant, pid].set()


@asynccontextmanager
async def _employed(crew: Crew) -> AsyncIterator[tuple[_Worker, Attached]]:
    ours, theirs = socket.socketpair()
    with crew.attached(ours, "orders") as attached:
        worker = _Worker(theirs)
        serving = [asyncio.create_task(end.serve()) for end in (attached.channel, worker.channel)]
        while not worker.orders:  # noqa: ASYNC110 - it is there in a few turns of the loop
            await asyncio.sleep(0)
        try:
            yield worker, attached
        finally:
            for task in serving:
                task.cancel()
            await asyncio.gather(*serving, return_exceptions=True)


async def _flow(worker: _Worker, began: asyncio.Event, *, is_upload: bool = False) -> None:
    async with worker.streams.running(*PLACE, 60, is_upload=is_upload):
        if is_upload:
            await worker.authorizer.may_push(*PLACE, "token")
        else:
            await worker.authorizer.may_pull(*PLACE, "token")
        began.set()
        await asyncio.Event().wait()


async def _begun(worker: _Worker, *, is_upload: bool = False) -> asyncio.Task[None]:
    began = asyncio.Event()
    task = asyncio.create_task(_flow(worker, began, is_upload=is_upload))
    await began.wait()
    return task


async def test_what_is_granted_and_refused_there_is_so_here_and_uses_are_told_of() -> None:
    judge = _Judge()
    async with _employed(Crew(judge, judge)) as (worker, _):
        grant = await worker.authorizer.may_pull(*PLACE, "token")
        assert (grant.transfer.pid, grant.source.type) == (PLACE[1], "none")
        assert grant.use is not None
        await grant.use.begin()
        grant.use.end(7)
        grant.use.end(8)
        judge.refusal = Forbidden("the transfer is SUSPENDED", where="pid", mend="wait")
        with pytest.raises(Forbidden) as refused:
            await worker.authorizer.may_pull(*PLACE, "token")
        assert str(refused.value) == str(judge.refusal)
        assert (judge.use.begun, judge.use.ended) == (1, [7])
        # errors with fields of their own travel, too
        judge.refusal = PeerAnswer("refused", answer_status=409, where="there")
        with pytest.raises(PeerAnswer) as told:
            await worker.authorizer.may_pull(*PLACE, "token")
        assert told.value.answer_status == 409
        job, pulls, before = (("kind", "of a worker"), ("outcome", "done")), measures.PULLS, measures.PULLS.shown()
        worker.channel.tell("counted", {"jobs": {job: 2}})
        worker.channel.tell("measured", {pulls.name: {("provider",): [0.0] * len(pulls.bounds) + [1.0, 7200.0]}})
        await RemoteEvents(worker.channel).noted(*PLACE, "upload 7")
        assert judge.marks == ["upload 7"]
        await RemoteEvents(worker.channel).received(*PLACE, moved_bytes=3, digest="d")
        assert judge.told == [("received", PLACE[1], 3, "d")]
        # what was counted there counts here, too
        assert observe.counts()["jobs"][job] == 2
        counts, whole_s = pulls.shown()["provider",]
        counts_before, whole_s_before = before.get(("provider",), ((0,) * len(counts), 0.0))
        assert (counts[-1] - counts_before[-1], whole_s - whole_s_before) == (1, 7200.0)
        assert counts[:-1] == counts_before[:-1]


async def test_each_message_of_a_stream_is_asked_about_there() -> None:
    judge = _Judge(allowed_events=1)
    events = [Event(id=str(number), byte_size=1) for number in (1, 2)]
    async with _employed(Crew(judge, judge)) as (worker, _):
        assert await worker.authorizer.may_pass(transfer(PLACE[1], PULL, Role.PROVIDER), events) == 1
        with pytest.raises(Forbidden, match="at most 1 may pass"):
            await worker.authorizer.may_pass(transfer(PLACE[1], PULL, Role.PROVIDER), events[1:])
        use = await worker.authorizer.may_stream(transfer(PLACE[1], PULL, Role.PROVIDER))
        assert use is not None
        await use.begin()
        use.end(5)
        await worker.channel.call("may_pass", transfer(PLACE[1], PULL, Role.PROVIDER), ())  # what was told before is done
    assert (judge.passed, judge.use.begun, judge.use.ended) == (["1"], 1, [5])


async def test_what_is_stopped_moves_in_no_worker_when_stop_returns() -> None:
    judge = _Judge()
    crew = Crew(judge, judge)
    async with AsyncExitStack() as stack:
        workers = [(await stack.enter_async_context(_employed(crew)))[0] for _ in range(2)]
        flows = [await _begun(worker) for worker in workers]
        assert crew.places() == (PLACE,)
        await crew.stop(*PLACE)
        assert all(worker.streams.count(*PLACE) == 0 for worker in workers)
        for flow in flows:
            with pytest.raises(Conflict, match="stopped"):
                await flow
        while crew.places():  # noqa: ASYNC110 - each worker tells
            await asyncio.sleep(0)


async def test_one_worker_alone_receives_for_a_transfer() -> None:
    judge = _Judge()
    crew, cut_here = Crew(judge, judge), []

    async def cut(participant: str, pid: str) -> None:
        cut_here.append((participant, pid))

    crew.cut_here = cut
    async with _employed(crew) as (one, _), _employed(crew) as (two, _):
        earlier = await _begun(one, is_upload=True)
        later = await _begun(two, is_upload=True)
        with pytest.raises(Conflict):
            await earlier
        assert not later.done()
        assert cut_here == [PLACE, PLACE]
        later.cancel()


async def test_a_worker_that_dies_uses_nothing_any_more_and_one_without_its_node_serves_nothing() -> None:
    judge = _Judge()
    crew = Crew(judge, judge)
    async with _employed(crew) as (worker, attached):
        grant = await worker.authorizer.may_pull(*PLACE, "token")
        assert grant.use is not None
        await grant.use.begin()
    assert (judge.use.ended, crew.places(), crew.ready) == ([0], (), 0)
    with pytest.raises(Gone):
        await attached.channel.call("stop", *PLACE)
    with pytest.raises(Overloaded):
        await worker.authorizer.may_pull(*PLACE, "token")
    await crew.stop(*PLACE)


async def test_whoever_leaves_while_it_is_asked_gives_back_what_was_granted() -> None:
    judge = _Judge()
    async with _employed(Crew(judge, judge)) as (worker, _):
        asking = asyncio.create_task(worker.authorizer.may_pull(*PLACE, "token"))
        await asyncio.sleep(0)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        while not judge.use.ended:  # noqa: ASYNC110 - the answer comes, and goes back
            await asyncio.sleep(0)
    assert judge.use.ended == [0]


async def test_pushes_are_spread_over_those_who_listen_and_stopped_where_they_run() -> None:
    judge = _Judge()
    crew = Crew(judge, judge)
    first, second = (transfer(f"urn:uuid:{n}", PUSH, Role.PROVIDER) for n in (1, 2))
    source = Source(type="none")
    async with _employed(crew) as (one, _), _employed(crew) as (two, _):
        assert not await crew.start(first, source), "nobody listens yet"
        for worker in (one, two):
            worker.channel.tell("ready")
        while crew.ready < 2:  # noqa: ASYNC110 - both tell
            await asyncio.sleep(0)
        assert await crew.start(first, source)
        assert await crew.start(first, source), "it is started once"
        assert await crew.start(second, source)
        assert sorted(len(worker.pushes) for worker in (one, two)) == [1, 1]
        waiting = asyncio.create_task(crew.over(*PLACE))
        # it rests between two attempts, with nothing flowing: it is stopped all the same
        assert PLACE in crew.places()
        await crew.stop(*PLACE)
        await waiting
        assert crew.places() == (("acme", "urn:uuid:2"),)
    assert crew.places() == ()
    await crew.over("acme", "urn:uuid:2")


async def test_a_pull_is_fetched_by_one_who_listens_stopped_where_it_runs_and_by_the_node_when_there_is_none() -> None:
    judge = _Judge()
    crew = Crew(judge, judge)
    wanted = transfer(PLACE[1], PULL, Role.CONSUMER)
    async with _employed(crew) as (one, _):
        assert await crew.fetch(wanted) is None, "nobody listens yet"
        one.channel.tell("ready")
        while not crew.ready:  # noqa: ASYNC110 - it tells
            await asyncio.sleep(0)
        one.content.set()
        assert await crew.fetch(wanted) == (7, "digest")
        one.content.clear()
        fetching = asyncio.create_task(crew.fetch(wanted))
        while not one.streams.count(*PLACE):  # noqa: ASYNC110 - it is asked
            await asyncio.sleep(0)
        assert crew.places() == (PLACE,)
        await crew.stop(*PLACE)
        with pytest.raises(Conflict, match="stopped"):
            await fetching
        assert crew.places() == ()
        # it dies with a fetch under way: the node takes it itself
        fetching = asyncio.create_task(crew.fetch(wanted))
        while not one.streams.count(*PLACE):  # noqa: ASYNC110 - it is asked
            await asyncio.sleep(0)
    assert await fetching is None
