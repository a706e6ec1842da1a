"""Requests about a process whose sender could not be proven: for the operator who wonders why the peer is silent.

What lives here: `Refusals`, the last few of each process, in a stream of the journal: a restart or another replica shows them, too. To
the outside every refusal reads the same; here stands the check that failed.

Strangers set them off, so they are bounded: nothing is written of a process that is not there, little of one that is, few at once, and
for a week. What is over the bound is in the log all the same.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from connector import observe
from connector.errors import KontorError, Unproven
from connector.ports.clock import Clock
from connector.ports.journal import Line
from connector.ports.store import Store

STREAM: Final = "refused"
_EVERY: Final = timedelta(seconds=1)
_MOST_AT_ONCE: Final = 50
"""Refusals that wait to be written; what comes meanwhile is in the log alone."""
_MOST_PROCESSES: Final = 2_000
_MOST_OF_ONE: Final = 10
"""Of one process, within an hour."""
_HOUR: Final = timedelta(hours=1)
_KEPT: Final = timedelta(days=7)
_MOST_ID: Final = 200
_PAGES: Final = 5
"""Of 200 entries each, which are looked through for one process."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """One request that was refused."""

    at: datetime
    source: str
    """The machine that it came from."""
    check: str
    words: str


class Refusals:
    """Remembers the last refusals of each process."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._noted: deque[tuple[str, str, Refusal]] = deque()
        self._written: OrderedDict[tuple[str, str], deque[datetime]] = OrderedDict()
        """When something was written of a process, as far as it is not an hour ago."""
        self._trimmed: dict[str, datetime] = {}
        self._woken = asyncio.Event()
        self._writing = asyncio.Lock()

    def note(self, participant: str, pid: str, fault: KontorError, *, source: str) -> None:
        """Have it remembered that a request about `pid` was refused, and why."""
        if not pid or len(pid) > _MOST_ID or len(self._noted) >= _MOST_AT_ONCE:
            return
        cause = fault.__cause__ if isinstance(fault.__cause__, KontorError) else fault
        check, words = (cause.check, cause.words) if isinstance(cause, Unproven) else (cause.code, str(cause))
        self._noted.append((participant, pid, Refusal(at=self._clock.now(), source=source, check=check, words=words)))
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
                observe.warning("refusals.not_written", cause=fault)

    async def flush(self) -> None:
        """Write what is noted of processes that there are.

        Raises: StoreUnavailable; what was noted is in the log alone then.
        """
        async with self._writing:
            noted, self._noted = self._noted, deque()
            lines: dict[str, list[Line]] = {}
            for participant, pid, one in noted:
                if self._may_write((participant, pid), one.at) and await self._store.find(participant, pid) is not None:
                    body = {"pid": pid, "source": one.source, "check": one.check, "words": one.words}
                    lines.setdefault(participant, []).append(Line(at=one.at, body=body))
            for participant, group in lines.items():
                await self._store.journal.append(participant, STREAM, group, can_wait=True)
                await self._trim(participant)

    async def of(self, participant: str, pid: str) -> tuple[Refusal, ...]:
        """The last refusals, oldest first. Raises: StoreUnavailable."""
        await self.flush()
        found: list[Refusal] = []
        cursor: str | None = None
        for _ in range(_PAGES):
            page = await self._store.journal.page(participant, STREAM, cursor=cursor, limit=200, is_newest_first=True)
            for entry in page.items:
                said = entry.body
                if said["pid"] == pid:
                    found.append(Refusal(at=entry.at, source=said["source"], check=said["check"], words=said["words"]))
            cursor = page.next_cursor
            if cursor is None or len(found) >= _MOST_OF_ONE:
                break
        return tuple(reversed(found[:_MOST_OF_ONE]))

    def _may_write(self, place: tuple[str, str], at: datetime) -> bool:
        written = self._written.setdefault(place, deque())
        self._written.move_to_end(place)
        while len(self._written) > _MOST_PROCESSES:
            self._written.popitem(last=False)
        while written and written[0] + _HOUR <= at:
            written.popleft()
        if len(written) >= _MOST_OF_ONE:
            return False
        written.append(at)
        return True

    async def _trim(self, participant: str) -> None:
        now = self._clock.now()
        before = self._trimmed.get(participant)
        if before is None or before + _HOUR <= now:
            self._trimmed[participant] = now
            await self._store.journal.trim(participant, STREAM, now - _KEPT)
