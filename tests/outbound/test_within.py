"""A bound for how long something may take: it ends as a timeout, and a cancellation stays one."""

from __future__ import annotations

import asyncio

import pytest

from connector.outbound.within import within


async def test_what_takes_too_long_ends_as_a_timeout_and_the_task_goes_on() -> None:
    with pytest.raises(TimeoutError):
        async with within(asyncio.get_running_loop(), 0.001):
            await asyncio.Event().wait()
    await asyncio.sleep(0)
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_what_is_done_in_time_is_left_alone() -> None:
    async with within(asyncio.get_running_loop(), 60):
        await asyncio.sleep(0)
    with pytest.raises(KeyError):
        async with within(asyncio.get_running_loop(), 60):
            raise KeyError


@pytest.mark.parametrize("seconds", [0, 60])
async def test_a_cancellation_from_outside_stays_one(seconds: float) -> None:
    async def work() -> None:
        async with within(asyncio.get_running_loop(), seconds):
            await asyncio.Event().wait()

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelled()


async def test_the_outer_of_two_bounds_is_told_by_its_own_timeout() -> None:
    loop = asyncio.get_running_loop()

    async def outer() -> None:
        async with within(loop, 0.001), asyncio.timeout(60), within(loop, 60):
            await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        await outer()
