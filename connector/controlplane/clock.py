"""The time of the machine, as `connector.ports.clock` asks for it."""

from __future__ import annotations

import asyncio
import math
import time
from datetime import UTC, datetime

from connector.ports.pulse import resting

_LOOK_AGAIN_S = 60.0
"""A clock that is put right while somebody waits is noticed within this time."""


class SystemClock:
    """The machine's clock, in UTC."""

    def now(self) -> datetime:
        """The present moment."""
        return datetime.now(UTC)

    async def wait_until(self, moment: datetime | None, wake: asyncio.Event) -> None:
        """Return when `wake` is set (it is cleared then) or `moment` has come; None waits for `wake` alone."""
        over_at = time.monotonic() + (moment - self.now()).total_seconds() if moment is not None else math.inf
        with resting():
            while not wake.is_set():
                left = (moment - self.now()).total_seconds() if moment is not None else _LOOK_AGAIN_S
                # INVARIANT: a clock that is put back keeps nobody waiting for longer than there was to wait
                left = min(left, over_at - time.monotonic())
                if left <= 0:
                    break
                try:
                    async with asyncio.timeout(min(left, _LOOK_AGAIN_S)):
                        await wake.wait()
                except TimeoutError:
                    continue
        wake.clear()
