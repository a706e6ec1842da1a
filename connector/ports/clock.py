"""Time as a part that tests can move, and how two clocks may differ."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Final, Protocol

MOST_AHEAD: Final = timedelta(seconds=2)
"""So far the clocks of machines may differ that work together: those that follow a time server differ by milliseconds."""


def how_far(ahead: timedelta) -> str:
    """`is 3 s ahead of`, or `is 3 s behind`."""
    return f"is {abs(ahead.total_seconds()):.0f} s {'ahead of' if ahead > timedelta() else 'behind'}"


class Clock(Protocol):
    """What time it is, and waiting until a moment."""

    def now(self) -> datetime:
        """The present moment, aware, in UTC."""
        ...

    async def wait_until(self, moment: datetime | None, wake: asyncio.Event) -> None:
        """Return when `wake` is set (it is cleared then) or `moment` has come; None waits for `wake` alone.

        A clock that jumps is noticed: no implementation sleeps longer than a minute without looking at the time again. One that is put
        back meanwhile keeps nobody waiting for longer than there was to wait: who waits looks at the time again afterwards.
        """
        ...
