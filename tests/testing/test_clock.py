"""The moved clock: it stands still, and whoever waits wakes at once when it has come to the moment."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from connector.ports.clock import Clock
from connector.testing.clock import MovedClock

SECOND = timedelta(seconds=1)


async def settled(*tasks: asyncio.Task[None]) -> list[bool]:
    """Whether each task is done, after everything that was ready has run."""
    for _ in range(5):
        await asyncio.sleep(0)
    return [task.done() for task in tasks]


def test_time_stands_still_until_it_is_moved() -> None:
    clock = MovedClock(datetime(2026, 5, 1, tzinfo=UTC))
    as_seen: Clock = clock
    assert as_seen.now() == as_seen.now() == datetime(2026, 5, 1, tzinfo=UTC)
    assert clock.move(seconds=1, days=1) == datetime(2026, 5, 2, 0, 0, 1, tzinfo=UTC)
    assert clock.set(datetime(2025, 1, 1, tzinfo=UTC)) == clock.now()


async def test_waiters_wake_when_their_moment_has_come_and_not_before() -> None:
    clock = MovedClock()
    tasks = [asyncio.create_task(clock.wait_until(clock.now() + n * SECOND, asyncio.Event())) for n in (1, 2, 3)]
    assert await settled(*tasks) == [False, False, False]
    assert clock.waiting_until == tuple(clock.now() + n * SECOND for n in (1, 2, 3))
    clock.move(seconds=2)
    assert await settled(*tasks) == [True, True, False]
    assert clock.waiting_until == (clock.now() + SECOND,)
    clock.move(seconds=1)
    assert await settled(*tasks) == [True, True, True]


async def test_a_moment_that_has_come_is_not_waited_for() -> None:
    clock = MovedClock()
    await clock.wait_until(clock.now(), asyncio.Event())


async def test_an_event_wakes_and_is_cleared() -> None:
    clock = MovedClock()
    for moment in (None, clock.now() + SECOND):
        wake = asyncio.Event()
        waiting = asyncio.create_task(clock.wait_until(moment, wake))
        assert await settled(waiting) == [False]
        wake.set()
        assert await settled(waiting) == [True]
        assert not wake.is_set()
        assert clock.waiting_until == ()


async def test_a_clock_that_is_moved_back_wakes_nobody() -> None:
    clock = MovedClock()
    waiting = asyncio.create_task(clock.wait_until(clock.now() + SECOND, asyncio.Event()))
    await settled(waiting)
    clock.set(clock.now() - SECOND)
    assert await settled(waiting) == [False]
    waiting.cancel()
    await asyncio.wait([waiting])
    assert clock.waiting_until == ()
