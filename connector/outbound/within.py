"""A bound for how long something may take, for what happens with each message.

What lives here: `within`, which is `asyncio.timeout` for a loop that is known. The library asks the system three times which loop
runs, and keeps a state that can be looked at and moved; nobody does either here.
"""

from __future__ import annotations

import asyncio
from types import TracebackType


class within:
    """Cancel what is done inside after `seconds`, and have that raised as TimeoutError; a cancellation from outside stays one."""

    __slots__ = ("_before", "_is_over", "_loop", "_seconds", "_task", "_timer")

    def __init__(self, loop: asyncio.AbstractEventLoop, seconds: float) -> None:
        self._loop = loop
        self._seconds = seconds

    async def __aenter__(self) -> None:
        task = asyncio.current_task(self._loop)
        assert task is not None
        self._task: asyncio.Task[object] = task
        self._before = task.cancelling()
        self._is_over = False
        self._timer = self._loop.call_later(max(self._seconds, 0.0), self._end)

    def _end(self) -> None:
        self._is_over = True
        self._task.cancel()

    async def __aexit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        # whoever else has cancelled the task meanwhile is heeded
        if self._is_over and self._task.uncancel() <= self._before and kind is asyncio.CancelledError:
            raise TimeoutError from fault
