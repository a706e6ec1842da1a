"""Keeps to the bounds of streams: how many run at once, and how many bytes a second they move together.

What lives here: `Lanes`, counted by each process for itself, in memory; `Lane`, the place of one stream; `Turns`, those of pushes,
which wait for one and are never refused. A participant has bounds for
all that runs for it, and for each of its peers. One stream too many is refused and told when to come again; bytes are never refused:
streams wait for each other, and their senders and receivers with them.
What does not: the bounds themselves (`settings/limits.py`), those of requests and transfers (`controlplane/limits.py`).
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass
from weakref import WeakValueDictionary

from connector import observe
from connector.errors import Overloaded, TooMany
from connector.settings import Bounds

_BURST_S = 0.25
"""Bytes of so long may go at once after a pause."""
_STEP_S = 1.0
"""Longest wait at a time: whoever waits shows now and then that it is not dead."""
_COME_AGAIN_S = 5
_MOST_KNOWN = 65_536
_MOST_ASKING = 256
"""Of all peers: what one process can look up in less than a second."""

BoundsOf = Callable[[str, str | None], Bounds]
"""The bounds of a participant, or of one peer of it."""


@dataclass(slots=True)
class _Track:
    """All streams of a participant, or of one peer of it."""

    bounds: Bounds
    running: int = 0
    due_at: float = -math.inf
    """When the bytes that have gone would have gone at the pace that is allowed."""

    def is_full(self) -> bool:
        return self.bounds.streams_at_once is not None and self.running >= self.bounds.streams_at_once

    def moved(self, count: int, now: float) -> float:
        """How long whoever moved `count` bytes has to wait."""
        if self.bounds.bytes_per_s is None:
            return 0.0
        self.due_at = max(self.due_at, now - _BURST_S) + count / self.bounds.bytes_per_s
        return self.due_at - now


class Lane:
    """Where the streams of one peer run; entered as a context a place in it is taken, and free again afterwards."""

    __slots__ = ("_lanes", "is_bounded", "own", "whole")

    def __init__(self, lanes: Lanes, own: _Track, whole: _Track) -> None:
        self._lanes = lanes
        self.own = own
        self.whole = whole
        self.is_bounded = own.bounds.bytes_per_s is not None or whole.bounds.bytes_per_s is not None
        """Whether its bytes may have to wait."""

    def __enter__(self) -> Lane:
        self.own.running += 1
        self.whole.running += 1
        return self

    def __exit__(self, *_: object) -> None:
        self.own.running -= 1
        self.whole.running -= 1

    async def pace(self, count: int, still_here: Callable[[], None]) -> None:
        """Return when the next bytes may go, after `count` that went; `still_here` is called while it waits."""
        now = self._lanes.now()
        wait_s = max(self.own.moved(count, now), self.whole.moved(count, now))
        while wait_s > 0:
            await self._lanes.sleep(min(wait_s, _STEP_S))
            still_here()
            wait_s -= _STEP_S


class _Asking:
    """Those who ask, counted while they do."""

    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count = 0

    def __enter__(self) -> None:
        if self.count >= _MOST_ASKING:
            observe.count("streams_refused", code=Overloaded.code)
            raise Overloaded("too many ask for data at once", mend="come again in a moment")
        self.count += 1

    def __exit__(self, *_: object) -> None:
        self.count -= 1


class Lanes:
    """All streams of a data plane."""

    def __init__(
        self,
        bounds: BoundsOf,
        *,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._bounds = bounds
        self.now = now
        self.sleep = sleep
        self._tracks: dict[tuple[str, str | None], _Track] = {}
        self._lanes: dict[tuple[str, str], Lane] = {}
        """Made of the tracks: what runs in a lane is counted there."""
        self._asking = _Asking()

    def asking(self) -> AbstractContextManager[None]:
        """A request of which nobody knows yet whose it is, and whether it is allowed.

        Raises, on entering: Overloaded.
        """
        return self._asking

    def taken(self, participant: str, peer: str) -> Lane:
        """The place of a stream between a participant and a peer; enter it at once.

        Raises: TooMany when the peer has as many as it may have, Overloaded when the participant has.
        """
        lane = self.ours(participant, peer)
        own, whole = lane.own, lane.whole
        if own.is_full():
            observe.count("streams_refused", code=TooMany.code)
            mend = f"at most {own.bounds.streams_at_once} may run at once"
            raise TooMany("too many streams of yours are running", mend=mend, retry_after_s=_COME_AGAIN_S)
        if whole.is_full():
            observe.count("streams_refused", code=Overloaded.code)
            raise Overloaded("too many streams are running", mend="come again in a moment")
        return lane

    def ours(self, participant: str, peer: str) -> Lane:
        """As `taken`, for a stream that we begin ourselves: it counts, and nobody is there to be refused."""
        found = self._lanes.get((participant, peer))
        if found is None:
            found = Lane(self, self._track(participant, peer), self._track(participant, None))
            self._lanes[participant, peer] = found
        return found

    def _track(self, participant: str, peer: str | None) -> _Track:
        found = self._tracks.get((participant, peer))
        if found is None:
            if len(self._tracks) >= _MOST_KNOWN:
                now = self.now()
                self._tracks = {at: one for at, one in self._tracks.items() if one.running or one.due_at > now}
                self._lanes.clear()
            found = self._tracks[participant, peer] = _Track(self._bounds(participant, peer))
        return found


class Turns:
    """So many pushes move at once, and no more than half of them to one peer: who takes nothing of what it is sent keeps out itself."""

    def __init__(self, most: int) -> None:
        self._whole = asyncio.Semaphore(most)
        self._most_of_one = max(1, most // 2)
        self._own: WeakValueDictionary[tuple[str, str], asyncio.Semaphore] = WeakValueDictionary()
        """Of each peer that has a turn or waits for one."""

    @asynccontextmanager
    async def taken(self, participant: str, peer: str) -> AsyncIterator[None]:
        """Wait for a turn, and have it meanwhile; of those of one peer, and of all who may have one, whoever waits longest is next."""
        place = participant, peer
        own = self._own.get(place)
        if own is None:
            own = self._own[place] = asyncio.Semaphore(self._most_of_one)
        async with own, self._whole:
            yield
