"""Signs of life of what runs as long as the node: a loop either rests until there is something to do, or is at it.

What lives here: `Pulse`, what a node knows of one of its workers, and `resting`, with which a worker says that it waits for work. A
worker that is at one thing for longer than its patience hangs: nothing else would tell, since a task that waits for ever is no fault to
anybody. What does not: who asks and what follows (`app/node.py`, `/ready`, `/health`).
Waiting by the clock rests by itself (`Clock.wait_until`); who waits otherwise says so.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextvars import ContextVar

_current: ContextVar[Pulse | None] = ContextVar("kontor.pulse", default=None)


class Pulse:
    """One worker: since when it is at what it does now. Made inside the task of the worker."""

    __slots__ = ("_monotonic", "patience_s", "since_s", "task")

    def __init__(self, patience_s: float, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self.patience_s = patience_s
        self.task = asyncio.current_task()
        self.since_s: float | None = monotonic()
        """None while it rests."""
        _current.set(self)

    def rest(self, *, is_over: bool = False) -> None:
        """It waits for work from now on; or does so no longer."""
        self.since_s = self._monotonic() if is_over else None

    def at_work_s(self) -> float:
        """How long it has been at one thing; 0 while it rests."""
        return self._monotonic() - self.since_s if self.since_s is not None else 0.0

    def hangs_s(self) -> float | None:
        """How long it has been at one thing, when that is longer than its patience."""
        at_work_s = self.at_work_s()
        return at_work_s if at_work_s > self.patience_s else None


class resting:
    """Say that the worker, whose own task this is, waits for work; in other tasks it says nothing."""

    __slots__ = ("_pulse",)

    def __enter__(self) -> None:
        found = _current.get()
        # what a worker has started inherits its context, and rests for itself alone
        self._pulse = found if found is not None and found.task is asyncio.current_task() else None
        if self._pulse is not None:
            self._pulse.rest()

    def __exit__(self, *_: object) -> None:
        if self._pulse is not None:
            self._pulse.rest(is_over=True)
