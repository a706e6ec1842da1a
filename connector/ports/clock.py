"""Time as a part that tests can move."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """What time it is, and waiting until a moment."""

    def now(self) -> datetime:
        """The present moment, aware, in UTC."""
        ...

    async def wait_until(self, moment: datetime | None, wake: asyncio.Event) -> None:
        """Return when `wake` is set (it is cleared then) or `moment` has come; None waits for `wake` alone.

        A clock that jumps is noticed: no implementation sleeps longer than a minute without looking at the time again.
        """
        ...
