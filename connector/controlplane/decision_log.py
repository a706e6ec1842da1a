"""The decision log: every decision of the policy engine becomes an entry of the journal's stream `decisions`.

Whoever decides only notes: nothing on the way of a request waits for the disk. A worker takes what was noted meanwhile and
appends it, as one group a context, some ten times a second, in the same commit as what else is written then. A node that is killed
loses what it noted since, at most `_PAUSE_S` and one append: what the decisions led to is on the processes all the same. A journal
that cannot be written to loses what no longer fits into the buffer, and the stream says how many.
Source of the entries' form: `connector.ports.decisions`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import NamedTuple

from connector import observe
from connector.errors import KontorError, StoreUnavailable
from connector.ports.clock import Clock
from connector.ports.decisions import STREAM, Again, Made, Ruled, written
from connector.ports.journal import Entry, Journal, Line, holds
from connector.ports.page import Page
from connector.ports.pulse import resting

_PAUSE_S = 0.1
_MOST = 20_000
_AT_ONCE = 500
_MOST_LOOKS = 50
"""Pages of the journal that one page of a narrowed list looks through."""


class _Group(NamedTuple):
    """What is appended at once."""

    lines: list[Line]
    noted: int
    """Decisions among them."""
    lost: int


@dataclass(slots=True)
class _Waiting:
    """What one context has not written yet."""

    noted: deque[Made | Again | Ruled] = field(default_factory=deque)
    lost: int = 0
    sent: _Group | None = None
    """The first of it, which was handed to the journal and of which it has not said that it is written."""

    def group(self, now: datetime) -> _Group:
        noted = [Line(at=made.at, body=written(made)) for made in islice(self.noted, _AT_ONCE)]
        told = [Line(at=now, body={"lost": self.lost})] if self.lost else []
        return _Group([*noted, *told], len(noted), self.lost)


class DecisionLog:
    """What was decided, on its way into the journal."""

    def __init__(self, journal: Journal, clock: Clock) -> None:
        self._journal = journal
        self._clock = clock
        self._waiting: dict[str, _Waiting] = {}
        self._count = 0
        self._noted = asyncio.Event()
        self._writing = asyncio.Lock()

    def note(self, made: Made | Again | Ruled) -> None:
        """Have `made` written soon."""
        participant = made.subject.participant
        waiting = self._waiting.get(participant)
        if waiting is None:
            waiting = self._waiting[participant] = _Waiting()
        if self._count >= _MOST:
            waiting.lost += 1
            return
        # spelled out when it is written, many at once: that is a fifth of what it costs in the midst of a request
        waiting.noted.append(made)
        self._count += 1
        self._noted.set()

    async def run(self) -> None:
        """Write what is noted until cancelled, and what is left then."""
        try:
            while True:
                with resting():
                    await self._noted.wait()
                await asyncio.sleep(_PAUSE_S)
                try:
                    await self.flush()
                except StoreUnavailable as fault:
                    observe.error("decisions.not_written", waiting=self._count, cause=fault)
                    self._noted.set()
        finally:
            await self._last()

    async def _last(self) -> None:
        try:
            await self.flush()
        except KontorError as fault:
            observe.error("decisions.lost", count=self._count, cause=fault)

    async def flush(self) -> None:
        """Write all that was noted.

        Raises: StoreUnavailable; what was not written waits.
        """
        # INVARIANT: nobody who is stopped meanwhile takes back what is on its way to the disk: it would be written twice
        await asyncio.shield(self._written())

    async def _written(self) -> None:
        async with self._writing:
            self._noted.clear()
            for participant in tuple(self._waiting):
                waiting = self._waiting[participant]
                while waiting.noted or waiting.lost:
                    # INVARIANT: an append whose answer was lost is repeated as it was, and only when it is not in the journal
                    again, group = waiting.sent is not None, waiting.sent or waiting.group(self._clock.now())
                    waiting.sent = group
                    if not (again and await holds(self._journal, participant, STREAM, group.lines)):
                        await self._journal.append(participant, STREAM, group.lines, can_wait=True)
                    waiting.sent = None
                    for _ in range(group.noted):
                        waiting.noted.popleft()
                    self._count -= group.noted
                    waiting.lost -= group.lost
                # decisions that came while we wrote have set the event again
                if not waiting.noted and not waiting.lost:
                    self._waiting.pop(participant, None)

    async def found(
        self,
        participant: str,
        wanted: Mapping[str, str],
        *,
        cursor: str | None = None,
        limit: int = 100,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> Page[Entry]:
        """Logged decisions, newest first, whose body says what `wanted` says, with all that this node has decided up to now.

        The page may be short while there is a `next_cursor`.
        Raises: BadMessage for a cursor that is none of this list.
        """
        await self.flush()
        items: list[Entry] = []
        for _ in range(_MOST_LOOKS):
            page = await self._journal.page(
                participant, STREAM, since=since, until=until, cursor=cursor, limit=limit - len(items), is_newest_first=True
            )
            items += [one for one in page.items if all(one.body.get(name) == value for name, value in wanted.items())]
            cursor = page.next_cursor
            if cursor is None or len(items) >= limit:
                break
        return Page(items=tuple(items), total=page.total, next_cursor=cursor)
