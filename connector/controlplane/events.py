"""What happens in a context, followed as it happens: by the event stream, and by whoever asks again and again.

What lives here: waiting for news without polling the store. What does not: the feed itself (`ports/feed.py`), HTTP (`web/`).
A change that this node makes rings at once; what another node on the same store writes is noticed within a second.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Final

from connector.ports.clock import Clock
from connector.ports.feed import Feed, Stretch

_LOOK_AGAIN: Final = timedelta(seconds=1)
_MOST_FOLLOWERS: Final = 1000


class Events:
    """The feed, with a bell."""

    def __init__(self, feed: Feed, clock: Clock) -> None:
        self._feed = feed
        self._clock = clock
        self._followers: set[asyncio.Event] = set()
        self._is_over = False

    @property
    def followers(self) -> int:
        """How many wait for news."""
        return len(self._followers)

    @property
    def is_full(self) -> bool:
        """Whether nobody else may follow: each of them asks the store once a second."""
        return self.followers >= _MOST_FOLLOWERS

    def ring(self) -> None:
        """Something has happened: those who follow look now."""
        for bell in self._followers:
            bell.set()

    @contextmanager
    def bell(self) -> Iterator[asyncio.Event]:
        """Set when something has happened, for as long as the context is open."""
        bell = asyncio.Event()
        self._followers.add(bell)
        try:
            yield bell
        finally:
            self._followers.discard(bell)

    def close(self) -> None:
        """The node stops: whoever follows is let go, so that its connection ends in order."""
        self._is_over = True
        self.ring()

    async def end(self) -> str:
        """The position behind everything that has happened."""
        return await self._feed.end()

    async def page(self, participant: str, after: str | None, *, limit: int, wait: timedelta) -> Stretch:
        """What happened behind `after`; when that is nothing, what happens within `wait`.

        Raises: BadMessage for a position that is none.
        """
        began = self._clock.now()
        until = began + wait
        with self.bell() as bell:
            while True:
                stretch = await self._feed.after(participant, after, limit=limit)
                after = stretch.position
                now = self._clock.now()
                if stretch.happenings or not began <= now < until or self._is_over:
                    return stretch
                await self._clock.wait_until(min(until, now + _LOOK_AGAIN), bell)

    async def follow(self, participant: str, after: str | None, *, pause: timedelta) -> AsyncIterator[Stretch]:
        """Everything behind `after`, for as long as the node runs; an empty stretch after each `pause` in which nothing happens."""
        while not self._is_over:
            stretch = await self.page(participant, after, limit=100, wait=pause)
            after = stretch.position
            yield stretch
