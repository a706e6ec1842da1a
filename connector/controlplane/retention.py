"""Forgets what has been over for long enough, piece by piece, so that nothing grows without end.

What stays whatever the settings say: agreements, the negotiations that led to them with their timelines, and everything that has not
ended. What lives here: which things, and when. What does not: removing rows (`ports/store.py`) and files (the data plane).
Several replicas may sweep at once: what one has removed, another does not find.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Final, Protocol

from connector import observe
from connector.controlplane.participants import NODE, Participants
from connector.dsp.process import Process
from connector.dsp.tables import Kind, State
from connector.errors import StoreUnavailable
from connector.ports.clock import Clock
from connector.ports.store import Store
from connector.settings.retention import Retention as RetentionSettings

_FIRST_AFTER: Final = timedelta(seconds=30)
"""A node that starts has more urgent things to do."""
_AFTER_A_FAULT: Final = timedelta(minutes=1)
_BATCH: Final = 200
_OF_THE_NODE: Final = (NODE, "authority", "@catalog")
"""Where work stands that belongs to no participant."""
_ENDED: Final = {
    Kind.NEGOTIATION: (State.FINALIZED, State.TERMINATED),
    Kind.TRANSFER: (State.COMPLETED, State.TERMINATED),
}


class Inbox(Protocol):
    """Where pushes land."""

    async def received(self) -> tuple[tuple[str, str], ...]:
        """Participant and pid of each transfer of which something lies here."""
        ...

    async def forget(self, participant: str, pid: str, *, is_whole_kept: bool) -> bool:
        """Remove what lies here of a transfer, or only what has not arrived wholly; True when something was removed."""
        ...


class Retention:
    """Sweeps now and then."""

    def __init__(
        self, store: Store, participants: Participants, inbox: Inbox, settings: RetentionSettings, clock: Clock
    ) -> None:
        self._store = store
        self._participants = participants
        self._inbox = inbox
        self._settings = settings
        self._clock = clock

    async def run(self) -> None:
        """Sweep until cancelled."""
        never = asyncio.Event()
        pause = _FIRST_AFTER
        while True:
            await self._clock.wait_until(self._clock.now() + pause, never)
            try:
                await self.sweep()
                pause = timedelta(seconds=self._settings.sweep_every_s)
            except StoreUnavailable as fault:
                observe.error("retention.store_unavailable", cause=fault)
                pause = _AFTER_A_FAULT

    async def sweep(self) -> None:
        """Forget everything whose time is over."""
        now, settings = self._clock.now(), self._settings
        # 1. files first: of a transfer that is forgotten nobody knows any more when it ended
        files = await self._sweep_inbox(now)
        # 2. processes and their messages
        forgotten = compacted = 0
        for kind in _ENDED:
            forgotten += await self._sweep_processes(kind, now)
            compacted += await self._compact(kind, now)
        # 3. the journal and what was given up
        entries = jobs = 0
        for context in await self._participants.all():
            if settings.journal_days:
                for stream in await self._store.journal.streams(context.name):
                    while gone := await self._store.journal.trim(context.name, stream, _before(now, settings.journal_days)):
                        entries += gone
            if settings.processes_days:
                jobs += await self._store.jobs.forget(context.name, _before(now, settings.processes_days))
        for name in _OF_THE_NODE if settings.processes_days else ():
            jobs += await self._store.jobs.forget(name, _before(now, settings.processes_days))
        # 4. what is free now goes back to the disk, also what an earlier sweep could not give back
        given = await self._store.give_back()
        if given:
            observe.info("retention.given_back", bytes=given)
        if any((files, forgotten, compacted, entries, jobs)):
            observe.info("retention.swept", files=files, processes=forgotten, compacted=compacted, entries=entries, jobs=jobs)

    async def _ended(self, kind: Kind, days: int, now: datetime) -> AsyncIterator[list[Process]]:
        """The processes of all contexts that ended so many days ago, some at a time."""
        if not days:
            return
        before, after = _before(now, days), 0
        while True:
            found, after = await self._store.ended(kind, _ENDED[kind], before, after=after, limit=_BATCH)
            if found:
                yield [process for process in found if process.updated_at < before]
            if not after:
                return

    async def _sweep_processes(self, kind: Kind, now: datetime) -> int:
        count = 0
        async for processes in self._ended(kind, self._settings.processes_days, now):
            # INVARIANT: agreements and the negotiations that led to them always stay
            gone = [process for process in processes if kind is Kind.TRANSFER or process.state is State.TERMINATED]
            count += await self._store.forget(kind, [(process.participant, process.pid) for process in gone])
        return count

    async def _compact(self, kind: Kind, now: datetime) -> int:
        count = 0
        async for processes in self._ended(kind, self._settings.messages_days, now):
            count += await self._store.compact(kind, [(process.participant, process.pid) for process in processes])
        return count

    async def _sweep_inbox(self, now: datetime) -> int:
        settings = self._settings
        count = 0
        places = await self._inbox.received()
        for first in range(0, len(places), _BATCH):
            some = places[first : first + _BATCH]
            found = {(p.participant, p.pid): p for p in await self._store.several(Kind.TRANSFER, some)}
            for place in some:
                process = found.get(place)
                if process is not None and not process.is_ended:
                    continue
                ended_at = process.updated_at if process is not None else None
                is_over = _is_over(ended_at, settings.inbox_days, now)
                if is_over or _is_over(ended_at, settings.unfinished_days, now):
                    count += await self._inbox.forget(*place, is_whole_kept=not is_over)
        return count


def _before(now: datetime, days: int) -> datetime:
    return now - timedelta(days=days)


def _is_over(ended_at: datetime | None, days: int, now: datetime) -> bool:
    """Whether so many days have passed; of what nobody knows any more they have, unless it is kept for ever."""
    return bool(days) and (ended_at is None or ended_at < _before(now, days))
