"""The machine's clock: it says UTC, wakes for events and for moments, and looks again after a jump."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from connector.controlplane import clock as clocks
from connector.controlplane.clock import SystemClock
from connector.ports.clock import Clock

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class _Jumping(SystemClock):
    """A machine's clock that is put right: each look at it gives the next of these moments, the last one for ever."""

    def __init__(self, *moments: datetime) -> None:
        self._moments = list(moments)

    def now(self) -> datetime:
        return self._moments.pop(0) if len(self._moments) > 1 else self._moments[0]


async def test_now_is_the_present_in_utc() -> None:
    clock: Clock = SystemClock()
    assert clock.now().tzinfo is UTC
    assert abs(clock.now() - datetime.now(UTC)) < timedelta(seconds=10)


async def test_a_moment_that_has_come_is_not_waited_for() -> None:
    await SystemClock().wait_until(SystemClock().now() - timedelta(days=1), asyncio.Event())


async def test_a_moment_that_comes_ends_the_waiting() -> None:
    clock = SystemClock()
    moment = clock.now() + timedelta(milliseconds=5)
    await clock.wait_until(moment, asyncio.Event())
    assert clock.now() >= moment


@pytest.mark.parametrize("moment", [None, datetime(2999, 1, 1, tzinfo=UTC)])
async def test_an_event_ends_the_waiting_and_is_cleared(moment: datetime | None) -> None:
    wake = asyncio.Event()
    waiting = asyncio.create_task(SystemClock().wait_until(moment, wake))
    await asyncio.sleep(0)
    assert not waiting.done()
    wake.set()
    await waiting
    assert not wake.is_set()


async def test_an_event_that_is_set_already_is_seen_and_cleared() -> None:
    wake = asyncio.Event()
    wake.set()
    await SystemClock().wait_until(None, wake)
    assert not wake.is_set()


async def test_a_clock_that_jumps_forward_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clocks, "_LOOK_AGAIN_S", 0.001)
    year = timedelta(days=365)
    clock = _Jumping(NOW, NOW, NOW + 2 * year)
    async with asyncio.timeout(10):
        await clock.wait_until(NOW + year, asyncio.Event())


async def test_a_clock_that_is_put_back_keeps_nobody_waiting_for_longer_than_there_was_to_wait() -> None:
    # by a day, in the midst of a wait of a hundredth of a second: what a node does each second is done again a second later
    clock = _Jumping(NOW, NOW, NOW - timedelta(days=1))
    async with asyncio.timeout(10):
        await clock.wait_until(NOW + timedelta(seconds=0.01), asyncio.Event())


async def test_waiting_can_be_cancelled() -> None:
    waiting = asyncio.create_task(SystemClock().wait_until(None, asyncio.Event()))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
