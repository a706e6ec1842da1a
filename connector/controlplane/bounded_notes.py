"""Notes that peers set off, in a stream of the journal, so that a restart or another replica shows them, too.

What lives here: `BoundedNotes`, the bounds and the writer. Nobody fills a store by them: few wait at once, little is written about one
key in an hour, and it is kept for a while. What does not: what is noted and for whom (`strays.py`, `web/refusals.py`).
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Generic, Protocol, TypeVar

from connector import observe
from connector.errors import KontorError
from connector.ports.clock import Clock
from connector.ports.journal import Line
from connector.ports.store import Store

_EVERY: Final = timedelta(seconds=1)
_HOUR: Final = timedelta(hours=1)
_MOST_WAITING: Final = 50
_MOST_KEYS: Final = 2_000


class Note(Protocol):
    """Something that was seen."""

    @property
    def at(self) -> datetime:
        """When."""
        ...


N = TypeVar("N", bound=Note)
Body = Callable[[str, str, N], Awaitable[Mapping[str, Any] | None]]
"""What is written of a note of a participant about a key; None: nothing is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """Of one kind of notes."""

    stream: str
    """Of the journal."""
    most_of_one: int
    """Notes about one key within an hour."""
    kept: timedelta


class BoundedNotes(Generic[N]):
    """Takes notes at once and writes them a little later; what is over a bound is left out."""

    def __init__(self, store: Store, clock: Clock, bounds: Bounds, body: Body[N]) -> None:
        self._store = store
        self._clock = clock
        self._bounds = bounds
        self._body = body
        self._waiting: deque[tuple[str, str, N]] = deque()
        self._written: OrderedDict[tuple[str, str], deque[datetime]] = OrderedDict()
        """When something was written about a key of a participant, as far as it is not an hour ago."""
        self._trimmed: dict[str, datetime] = {}
        self._woken = asyncio.Event()
        self._writing = asyncio.Lock()

    def add(self, participant: str, key: str, note: N) -> None:
        """Have `note` written about `key`, unless too many wait already."""
        if len(self._waiting) < _MOST_WAITING:
            self._waiting.append((participant, key, note))
            self._woken.set()

    async def run(self) -> None:
        """Write what is noted until cancelled, at most once a second."""
        never = asyncio.Event()
        while True:
            await self._clock.wait_until(None, self._woken)
            await self._clock.wait_until(self._clock.now() + _EVERY, never)
            try:
                await self.flush()
            except KontorError as fault:
                observe.warning("notes.not_written", stream=self._bounds.stream, cause=fault)

    async def flush(self) -> None:
        """Write what is noted.

        Raises: StoreUnavailable; what was noted is in the log alone then.
        """
        async with self._writing:
            waiting, self._waiting = self._waiting, deque()
            lines: dict[str, list[Line]] = {}
            for participant, key, note in waiting:
                if self._may_write((participant, key), note.at):
                    body = await self._body(participant, key, note)
                    if body is not None:
                        lines.setdefault(participant, []).append(Line(at=note.at, body=body))
            for participant, group in lines.items():
                await self._store.journal.append(participant, self._bounds.stream, group, can_wait=True)
                await self._trim(participant)

    def _may_write(self, place: tuple[str, str], at: datetime) -> bool:
        written = self._written.setdefault(place, deque())
        self._written.move_to_end(place)
        while len(self._written) > _MOST_KEYS:
            self._written.popitem(last=False)
        while written and written[0] + _HOUR <= at:
            written.popleft()
        if len(written) >= self._bounds.most_of_one:
            return False
        written.append(at)
        return True

    async def _trim(self, participant: str) -> None:
        now = self._clock.now()
        before = self._trimmed.get(participant)
        if before is None or before + _HOUR <= now:
            self._trimmed[participant] = now
            await self._store.journal.trim(participant, self._bounds.stream, now - self._bounds.kept)
