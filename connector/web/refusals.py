"""Requests about a process whose sender could not be proven: for the operator who wonders why the peer is silent.

What lives here: `Refusals`, the last few of each process, in a stream of the journal: a restart or another replica shows them, too. To
the outside every refusal reads the same; here stands the check that failed.

Strangers set them off, so they are bounded: nothing is written of a process that is not there, little of one that is, few at once, and
for a week. What is over the bound is in the log all the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from connector.controlplane.bounded_notes import BoundedNotes, Bounds
from connector.errors import KontorError, Unproven
from connector.ports.clock import Clock
from connector.ports.store import Store

STREAM: Final = "refused"
_MOST_OF_ONE: Final = 10
"""Of one process, within an hour."""
_BOUNDS: Final = Bounds(stream=STREAM, most_of_one=_MOST_OF_ONE, kept=timedelta(days=7))
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
        self._notes = BoundedNotes(store, clock, _BOUNDS, self._told)
        self.run, self.flush = self._notes.run, self._notes.flush

    def note(self, participant: str, pid: str, fault: KontorError, *, source: str) -> None:
        """Have it remembered that a request about `pid` was refused, and why."""
        if pid and len(pid) <= _MOST_ID:
            cause = fault.__cause__ if isinstance(fault.__cause__, KontorError) else fault
            check, words = (cause.check, cause.words) if isinstance(cause, Unproven) else (cause.code, str(cause))
            self._notes.add(participant, pid, Refusal(at=self._clock.now(), source=source, check=check, words=words))

    async def _told(self, participant: str, pid: str, one: Refusal) -> Mapping[str, Any] | None:
        """What is written of it, if there is such a process."""
        if await self._store.find(participant, pid) is None:
            return None
        return {"pid": pid, "source": one.source, "check": one.check, "words": one.words}

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
