"""Judging again what could not be judged when it came: a durable job for each signer whose key could not be had.

What lives here: `Rejudging`: putting the jobs, and doing one. What does not: proofs (`judging.py`, `origins.py`), and what the record does
with a verdict (`ports/catalog.py`).

The pause grows from half a minute to six hours; after about two days the job is given up, which the reports of the members tell that
carry the entries, and it begins anew with the next description of that signer. Nothing is judged by a job but what the record still
holds as it was judged: what changed meanwhile was judged when it came.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

from connector import observe
from connector.errors import BadMessage, Overloaded
from connector.federation import origins
from connector.federation.judging import Judge, Round, is_unjudged
from connector.federation.reading import entry_of, kept
from connector.ports.catalog import ITSELF, UNJUDGED, Entry, Held, Records, Verdict
from connector.ports.clock import Clock
from connector.ports.jobs import Job, Jobs, NewJob

KIND: Final = "catalog.judge"
CONTEXT: Final = "@catalog"
"""The context of the ledger's own jobs; no participant can have this name."""
ATTEMPTS: Final = 17
FIRST_DELAY_S: Final = 30.0
MAX_DELAY_S: Final = 6 * 3600.0
WITHIN_S: Final = 600.0
_AT_ONCE: Final = 200


class Rejudging:
    """Asks again for keys that could not be had."""

    def __init__(self, records: Records, jobs: Jobs, judge: Judge, clock: Clock) -> None:
        self._records = records
        self._jobs = jobs
        self._judge = judge
        self._clock = clock
        self.changed: Callable[[], None] = lambda: None
        """Called when the record has changed."""

    async def take_up(self) -> None:
        """Have everything judged again that is not judged: whoever took it over may have died before it said so."""
        await self.put(await self._records.waiting())

    async def put(self, waiting: Iterable[str]) -> None:
        """Have judged again what is `signed` so; a job that waits for the same signer already stays as it is."""
        now = self._clock.now()
        later = now + timedelta(seconds=FIRST_DELAY_S)
        jobs = [NewJob(participant=CONTEXT, kind=KIND, id=one, body={}, not_before=later) for one in sorted(set(waiting))]
        if jobs:
            await self._jobs.put(jobs, now)

    async def work(self, job: Job) -> None:
        """Judge what waits for one signer.

        Raises: Overloaded when some of it cannot be judged yet: it is tried again.
        """
        after, round_, is_last = (0, ""), Round(), job.tries >= ATTEMPTS
        left, cause = 0, ""
        while held := await self._records.unjudged(job.id, after, _AT_ONCE):
            after = (held[-1].number, held[-1].member)
            found = [await self._verdict(one, round_) for one in held]
            cause = next((one.told for one in found if one.entry is not None and is_unjudged(one.entry.signed)), cause)
            open_ = [one for one in found if one.entry is not None and is_unjudged(one.entry.signed)]
            left += len(open_)
            if is_last:
                found = [_given_up(one) if one in open_ else one for one in found]
            elif open_:
                found = [one for one in found if one not in open_]
            if found and await self._records.judge(found, self._clock.now()):
                self.changed()
            observe.info("catalog.judged", signer=job.id.removeprefix(UNJUDGED), judged=len(held) - len(open_), left=left)
        if left:
            raise Overloaded(f"{left} of them cannot be judged yet: {cause}")

    async def _verdict(self, held: Held, round_: Round) -> Verdict:
        """What came of judging one entry."""
        await asyncio.sleep(0)
        entry = held.entry
        return await (self._itself if entry.id == ITSELF else self._product)(held, entry, kept(entry), round_)

    async def _product(self, held: Held, entry: Entry, tree: dict[str, Any], round_: Round) -> Verdict:
        over = (f"the signature of `{entry.id[:100]}` could not be judged",)
        try:
            bare = entry_of(
                tree, origin=entry.origin, endpoint=entry.endpoint, via=entry.via, origin_seen_at=entry.origin_seen_at
            )
            found, note = await self._judge.proven(bare, tree, round_)
        except BadMessage as fault:
            return Verdict(held=held, entry=None, told=f"left out a data set: {fault}", over=over)
        if not is_unjudged(found.signed):
            note = note or f"the signature of `{entry.id[:100]}` was judged {self._when()}: it is that of `{found.signed}`"
        return Verdict(held=held, entry=found, told=note, over=over)

    async def _itself(self, held: Held, entry: Entry, tree: dict[str, Any], round_: Round) -> Verdict:
        whose = "" if held.member == entry.origin else f"`{entry.origin[:100]}`: "
        over = (f"{whose}what it says of itself cannot be judged now", f"{whose}an attestation cannot be judged now")
        try:
            found, notes, fault = await origins.entry_of(
                tree["carried"],
                entry.origin,
                self._judge.prover,
                round_,
                via=entry.via,
                origin_seen_at=entry.origin_seen_at,
            )
        except BadMessage as refused:
            return Verdict(held=held, entry=None, told=f"{whose}left out what it says of itself: {refused}", over=over)
        if is_unjudged(found.signed):
            return Verdict(held=held, entry=found, told=f"{whose}{notes[-1]}", over=over)
        came = f"not shown: {fault}" if fault else origins.read(found).state
        told = f"{whose}what it says of itself was judged {self._when()}: {came}"
        return Verdict(held=held, entry=found, told=told, over=over)

    def _when(self) -> str:
        return f"at {self._clock.now():%Y-%m-%d %H:%M} UTC"


def _given_up(one: Verdict) -> Verdict:
    return replace(
        one,
        entry=one.held.entry,
        told=f"{one.told}; it was tried {ATTEMPTS} times, and is tried again when its signer describes something anew",
    )
