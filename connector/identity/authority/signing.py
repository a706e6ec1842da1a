"""When the authority signs its lists: a moment after something changed, and by timer before they grow old.

What lives here: `Signing`, whose jobs sign every list that needs it. What does not: the lists (`signedlists.py`, `statuslists.py`), which
also sign when they are asked for and nobody has yet: a reader gets what is true, job or not.

Two jobs of one kind: one repeats for ever; the other follows a change, and many changes within a moment are one.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from connector import observe
from connector.identity.authority.records import AUTHORITY, LISTS, Records
from connector.identity.authority.signedlists import SignedLists
from connector.identity.authority.statuslists import StatusLists
from connector.identity.trustlists import Listing
from connector.ports.clock import Clock
from connector.ports.jobs import Job, Jobs, NewJob

JOB: Final = "authority.sign"
EVERY: Final = timedelta(minutes=30)
"""Lists live for a day and more, and are signed anew when half of that is over: none is ever found old."""
_A_MOMENT: Final = timedelta(seconds=1)
_TIMER: Final = "timer"
_CHANGE: Final = "change"


class Signing:
    """Sees that the lists of one authority are signed."""

    def __init__(self, records: Records, lists: SignedLists, status_lists: StatusLists, jobs: Jobs, clock: Clock) -> None:
        self._records = records
        self._lists = lists
        self._status_lists = status_lists
        self._jobs = jobs
        self._clock = clock

    async def begin(self) -> None:
        """Let the timer run; one that runs already goes on."""
        await self._put(_TIMER, timedelta(0))

    async def changed(self) -> None:
        """Have the lists signed a moment later: what they say has changed."""
        await self._put(_CHANGE, _A_MOMENT)

    async def work(self, job: Job) -> datetime | None:
        """Sign what needs it; when to come again, None for a job that followed a change."""
        for listing in Listing:
            await self._lists.served(listing)
        names = [one.id async for one in self._records.all(LISTS, "status-list")]
        for name in names:
            await self._status_lists.served(name)
        observe.debug("authority.signed", lists=len(Listing) + len(names), job=job.id)
        return self._clock.now() + EVERY if job.id == _TIMER else None

    async def _put(self, id_: str, later: timedelta) -> None:
        now = self._clock.now()
        await self._jobs.put([NewJob(participant=AUTHORITY, kind=JOB, id=id_, body={}, not_before=now + later)], now)
