"""Background work: done once it is put, tried again with growing pauses, given up where it shows, taken over from the dead."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from connector.controlplane.jobs import Again, Failed, Handler, Pace, Workers
from connector.errors import PeerError, StoreUnavailable
from connector.ports.jobs import Job, NewJob
from connector.storage.memory import Memory, MemoryStore
from connector.testing.clock import MovedClock
from tests.controlplane.scene import NOW

LEASE_S = 30.0
PACE = Pace(attempts=3, first_delay_s=10, max_delay_s=15, timeout_s=3600)


def job(id_: str, order_key: str | None = None) -> NewJob:
    return NewJob(participant="alice", kind="errand", id=id_, body={}, order_key=order_key)


class Scene:
    """Nodes that share their jobs and a clock."""

    def __init__(self) -> None:
        self.memory = Memory()
        self.clock = MovedClock(NOW)
        self.jobs = self.node("here").jobs

    def node(self, name: str) -> MemoryStore:
        return MemoryStore(node=name, lease_s=LEASE_S, memory=self.memory)

    @asynccontextmanager
    async def working(
        self, handler: Handler, *, name: str = "here", pace: Pace = PACE, parallel: int = 4
    ) -> AsyncIterator[None]:
        workers = Workers(self.node(name).jobs, self.clock, lease_s=LEASE_S, parallel=parallel)
        workers.register("errand", handler, pace)
        task = asyncio.create_task(workers.run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def until(self, is_so: Callable[[], bool]) -> None:
        for _ in range(100_000):
            if is_so():
                return
            await asyncio.sleep(0)
        raise AssertionError("it never came true")

    async def put(self, *jobs: NewJob) -> None:
        await self.jobs.put(jobs, self.clock.now())

    def has_given_up(self, id_: str) -> bool:
        return self.memory.jobs.rows["alice", "errand", id_].given_up_at is not None

    async def kept(self, id_: str = "a") -> Job | None:
        return await self.jobs.job("alice", "errand", id_)

    async def quiet(self) -> None:
        """Everything that can happen now has happened."""
        for _ in range(50):
            await asyncio.sleep(0)


@pytest.fixture
def scene() -> Scene:
    return Scene()


async def test_a_job_is_done_as_soon_as_it_is_put_and_forgotten(scene: Scene) -> None:
    seen: list[str] = []

    async def handler(found: Job) -> None:
        seen.append(found.id)

    async with scene.working(handler):
        await scene.quiet()
        await scene.put(job("a"), job("b"))
        await scene.quiet()
    assert seen == ["a", "b"]
    assert (await scene.jobs.page("alice")).total == 0


async def test_a_failed_job_is_tried_after_growing_pauses_and_then_shown_as_given_up(scene: Scene) -> None:
    tries: list[float] = []

    async def handler(_: Job) -> Failed | None:
        tries.append((scene.clock.now() - NOW).total_seconds())
        if len(tries) == 1:
            raise PeerError("it does not answer", where="https://bob.example")
        if len(tries) == 2:
            raise ValueError("a slip of ours")
        return Failed(cause="answered 410")

    await scene.put(job("a"))
    async with scene.working(handler):
        for _ in range(60):
            await scene.quiet()
            scene.clock.move(seconds=1)
    # after 10 s, then after 15 s: 20 s would be more than the longest pause
    assert tries == [0, 10, 25]
    kept = await scene.kept()
    assert kept is not None
    assert kept.given_up_at == NOW + timedelta(seconds=25)
    assert [failure.cause for failure in kept.failures] == [
        "it does not answer at `https://bob.example`",
        "ValueError: a slip of ours",
        "answered 410",
    ]


async def test_a_final_failure_is_not_tried_again(scene: Scene) -> None:
    async def handler(_: Job) -> Failed:
        return Failed(cause="refused", is_final=True)

    await scene.put(job("a"))
    async with scene.working(handler):
        await scene.quiet()
    kept = await scene.kept()
    assert kept is not None
    assert (kept.tries, kept.given_up_at) == (1, NOW)


async def test_a_peer_that_asks_for_a_longer_pause_gets_it(scene: Scene) -> None:
    async def handler(_: Job) -> Failed:
        return Failed(cause="busy", not_before=NOW + timedelta(minutes=9))

    await scene.put(job("a"))
    async with scene.working(handler):
        await scene.quiet()
    kept = await scene.kept()
    assert kept is not None
    assert kept.not_before == NOW + timedelta(minutes=9)


async def test_a_job_that_repeats_comes_again_and_forgets_its_failures(scene: Scene) -> None:
    seen: list[int] = []

    async def handler(found: Job) -> Again:
        seen.append(found.tries)
        if len(seen) == 1:
            raise PeerError("not yet")
        return Again(at=scene.clock.now() + timedelta(hours=1))

    await scene.put(job("a"))
    async with scene.working(handler):
        for seconds in (0, 10, 3600, 3600):
            scene.clock.move(seconds=seconds)
            await scene.quiet()
    assert seen == [1, 2, 1, 1]


async def test_no_more_jobs_run_at_once_than_allowed_and_each_lane_runs_in_order(scene: Scene) -> None:
    running: list[str] = []
    seen: list[str] = []
    most = 0
    go_on = asyncio.Event()

    async def handler(found: Job) -> None:
        nonlocal most
        running.append(found.order_key or found.id)
        assert len(set(running)) == len(running)
        most = max(most, len(running))
        await go_on.wait()
        running.remove(found.order_key or found.id)
        seen.append(found.id)

    await scene.put(*(job(f"{lane}{n}", lane) for n in range(3) for lane in "abcde"))
    async with scene.working(handler, parallel=3):
        await scene.until(lambda: most == 3)
        await scene.quiet()
        go_on.set()
        await scene.until(lambda: len(seen) == 15)
    assert most == 3
    assert all([id_ for id_ in seen if id_[0] == lane] == [f"{lane}{n}" for n in range(3)] for lane in "abcde")


async def test_a_long_job_keeps_its_lease(scene: Scene) -> None:
    go_on = asyncio.Event()
    seen: list[str] = []

    async def handler(_: Job) -> None:
        seen.append("begun")
        await go_on.wait()

    await scene.put(job("a"))
    async with scene.working(handler), scene.working(handler, name="there"):
        for _ in range(20):
            await scene.quiet()
            scene.clock.move(seconds=LEASE_S / 3)
        assert seen == ["begun"]
        go_on.set()
        await scene.quiet()
    assert await scene.kept() is None


async def test_work_that_another_node_has_by_now_is_stopped(scene: Scene) -> None:
    stopped: list[str] = []

    async def handler(found: Job) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            stopped.append(found.id)
            raise

    await scene.put(job("a"))
    async with scene.working(handler):
        await scene.quiet()
        await scene.jobs.drop("alice", "errand", "a")
        scene.clock.move(seconds=LEASE_S / 3)
        await scene.until(lambda: stopped == ["a"])


async def test_a_job_that_does_not_end_is_stopped_in_its_time(scene: Scene) -> None:
    async def handler(_: Job) -> None:
        await asyncio.Event().wait()

    await scene.put(job("a"))
    async with scene.working(handler, pace=Pace(attempts=1, timeout_s=0.01)):
        await scene.until(lambda: scene.has_given_up("a"))
    kept = await scene.kept()
    assert kept is not None
    assert kept.failures[0].cause == "not done within 0.01 s"


async def test_a_job_that_kills_its_node_is_given_up_in_the_end(scene: Scene) -> None:
    await scene.put(job("a"))
    for n in range(PACE.attempts):
        assert await scene.jobs.claim(("errand",), NOW + n * timedelta(seconds=LEASE_S))
    scene.clock.move(seconds=PACE.attempts * LEASE_S)

    async def handler(_: Job) -> None:
        raise AssertionError("not once more")

    async with scene.working(handler):
        await scene.quiet()
    kept = await scene.kept()
    assert kept is not None
    assert kept.failures[0].cause == "the node ended each time while it was at this"


async def test_a_store_that_is_away_costs_nothing_but_time(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    async def handler(found: Job) -> None:
        seen.append(found.id)

    real, is_away = MemoryStore(node="here", lease_s=LEASE_S, memory=scene.memory).jobs, True
    claim = type(real).claim

    async def away(*args: object, **kwargs: object) -> object:
        if is_away:
            raise StoreUnavailable("the disk is full")
        return await claim(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(type(real), "claim", away)
    await scene.put(job("a"))
    async with scene.working(handler):
        await scene.quiet()
        is_away = False
        scene.clock.move(seconds=1)
        await scene.until(lambda: seen == ["a"])


def test_a_kind_has_one_handler(scene: Scene) -> None:
    async def handler(_: Job) -> None:
        """Nothing."""

    workers = Workers(scene.jobs, scene.clock, lease_s=LEASE_S)
    assert workers.is_idle
    workers.register("errand", handler)
    with pytest.raises(ValueError, match="somebody does the jobs of kind `errand` already"):
        workers.register("errand", handler)
