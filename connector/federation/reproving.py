"""Proving again what was proven once: a credential may be withdrawn while nothing changes at whoever carries it.

What lives here: `Reproving`: going through what participants say of themselves and what others attest of them, round by round, as durable
jobs. What does not: proofs (`origins.py`), what could not be judged yet (`rejudging.py`), and lists of what is withdrawn, each of which is
fetched once for all that stand on it (`identity/evidence.py`).

A round is a chain of jobs, each of which puts the next one before it begins: what hangs in one page holds up no other. What cannot be
judged at the moment stays as it was judged. A description that is the same proves the same, so a changed verdict is a change like any
other: in the feed for whoever follows, in the report for the member.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from connector import observe
from connector.errors import BadMessage
from connector.federation import origins
from connector.federation.judging import Judge, Round, is_unjudged
from connector.federation.reading import kept
from connector.federation.rejudging import CONTEXT
from connector.ports.catalog import Held, Records, Verdict
from connector.ports.clock import Clock
from connector.ports.jobs import Job, Jobs, NewJob

KIND: Final = "catalog.prove"
FIRST: Final = "first"
"""The job that begins each round."""
WITHIN_S: Final = 600.0
_PAGE: Final = 100
_AT_ONCE: Final = 8
_PAUSE: Final = timedelta(seconds=2)
"""Between two pages: a round is never the only thing that a node does."""


class Reproving:
    """Proves again what the record holds, once in each `interval`."""

    def __init__(self, records: Records, jobs: Jobs, judge: Judge, clock: Clock, interval: timedelta) -> None:
        self._records = records
        self._jobs = jobs
        self._judge = judge
        self._clock = clock
        self._interval = interval
        self.changed: Callable[[], None] = lambda: None
        """Called when the record has changed."""

    async def take_up(self) -> None:
        """Have rounds begin, if they do not yet."""
        await self._put(FIRST, {}, self._interval)

    async def work(self, job: Job) -> datetime | None:
        """Prove a page again; when the job is due again, which is the first one of a round alone.

        Raises: StoreUnavailable.
        """
        begun = self._clock.now()
        after = (int(job.body.get("number", 0)), str(job.body.get("member", "")))
        held = await self._records.themselves(after, _PAGE)
        if len(held) == _PAGE:
            last = held[-1]
            await self._put(f"{last.number} {last.member}", {"number": last.number, "member": last.member}, _PAUSE)
        gate = asyncio.Semaphore(_AT_ONCE)
        found = [one for one in await asyncio.gather(*(self._verdict(one, gate) for one in held)) if one is not None]
        if found and await self._records.judge(found, self._clock.now()):
            self.changed()
            observe.info("catalog.proven_again", looked_at=len(held), changed=len(found))
        return begun + self._interval if job.id == FIRST else None

    async def _put(self, id_: str, body: dict[str, int | str], pause: timedelta) -> None:
        now = self._clock.now()
        await self._jobs.put([NewJob(participant=CONTEXT, kind=KIND, id=id_, body=body, not_before=now + pause)], now)

    async def _verdict(self, held: Held, gate: asyncio.Semaphore) -> Verdict | None:
        """What has changed about what was judged once; None when nothing has, or when that cannot be told now."""
        entry = held.entry
        whose = "" if held.member == entry.origin else f"`{entry.origin[:100]}`: "
        async with gate:
            await asyncio.sleep(0)
            try:
                found, notes, fault = await origins.entry_of(
                    kept(entry)["carried"],
                    entry.origin,
                    self._judge.prover,
                    Round(),
                    via=entry.via,
                    origin_seen_at=entry.origin_seen_at,
                )
            except BadMessage as refused:
                return Verdict(held=held, entry=None, told=f"{whose}left out what it says of itself: {refused}")
        if is_unjudged(found.signed) or found.digest == entry.digest:
            return None
        came = "; ".join((f"not shown: {fault}" if fault else origins.read(found).state, *notes))
        told = f"{whose}what it says of itself was judged again at {self._clock.now():%Y-%m-%d %H:%M} UTC: {came}"
        return Verdict(held=held, entry=found, told=told, over=(f"{whose}what it says of itself was judged",))
