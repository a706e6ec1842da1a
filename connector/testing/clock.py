"""A clock that stands still until a test moves it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from connector.ports.pulse import resting


class MovedClock:
    """`connector.ports.clock.Clock` for tests: time is what the test says, and waiters wake at once when it has come."""

    def __init__(self, now: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._now = now
        self._waiting: list[tuple[datetime, asyncio.Event]] = []

    def now(self) -> datetime:
        """The moment the clock was last moved to."""
        return self._now

    def move(self, *, seconds: float = 0, **units: float) -> datetime:
        """The new present, after moving on by `seconds` and whatever else `timedelta` takes; waiters are woken."""
        return self.set(self._now + timedelta(seconds=seconds, **units))

    def set(self, moment: datetime) -> datetime:
        """The new present: `moment`, which may lie in the past, as with a clock that is put right; waiters are woken."""
        self._now = moment
        for until, woken in self._waiting:
            if until <= moment:
                woken.set()
        return moment

    @property
    def waiting_until(self) -> tuple[datetime, ...]:
        """The moments that someone waits for now, earliest first: what a test may move to."""
        return tuple(sorted(until for until, _ in self._waiting))

    async def wait_until(self, moment: datetime | None, wake: asyncio.Event) -> None:
        """Return when `wake` is set (it is cleared then) or the clock was moved to `moment`."""
        if moment is None or moment > self._now:
            entry = (moment, wake) if moment is not None else None
            if entry is not None:
                self._waiting.append(entry)
            try:
                with resting():
                    await wake.wait()
            finally:
                if entry is not None:
                    self._waiting.remove(entry)
        wake.clear()
