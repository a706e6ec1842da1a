"""One look-up for all who ask the same at the same time.

What lives here: `Together`. Whatever is kept for a while is looked up again by hundreds of requests at once at the moment when it is no
longer good; a database would answer each of them, one after the other. What does not: how long something is kept, which whoever asks
decides by what it takes as the question.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

Q = TypeVar("Q", bound=Hashable)
A = TypeVar("A")


class Together(Generic[Q, A]):
    """Answers to questions, each looked up once for whoever asks while that is under way; nothing is kept beyond."""

    def __init__(self, look_up: Callable[[Q], Awaitable[A]]) -> None:
        self._look_up = look_up
        self._under_way: dict[Q, asyncio.Task[A]] = {}

    async def of(self, question: Q) -> A:
        """The answer: it may be as old as the look-up that was under way. Who stops waiting takes it from nobody else.

        Raises: whatever the look-up raises, to all who wait for it.
        """
        task = self._under_way.get(question)
        if task is None:
            task = self._under_way[question] = asyncio.create_task(self._looked_up(question))
            task.add_done_callback(lambda done: self._settled(question, done))
        return await asyncio.shield(task)

    async def _looked_up(self, question: Q) -> A:
        return await self._look_up(question)

    def _settled(self, question: Q, done: asyncio.Task[A]) -> None:
        del self._under_way[question]
        if not done.cancelled():
            # nobody may be left who takes the fault
            done.exception()
