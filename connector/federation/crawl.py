"""When each member is looked at, by how many at once, and what comes of it.

What lives here: `Crawler` with its two workers, one that keeps up the list of members, one that looks at those who are due. What does
not: a look itself (`looking.py`, `feed.py`).

A member is due when it is new, when it announced a change, and again after the interval, which is the safety net. So many members are
looked at at once, and so many of one host. One that fails waits twice as long each time, and harms nobody else. What good looks bring
is taken over in batches, many members in one transaction.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlsplit

from connector import observe
from connector.errors import KontorError, PeerAnswer, PeerMessage, Unreachable
from connector.federation.feed import Following
from connector.federation.judging import is_unjudged
from connector.federation.looking import Looked, Looking
from connector.ports.catalog import Entry, MemberKind, MemberRow, Records, Report, Snapshot
from connector.ports.clock import Clock
from connector.ports.members import Members

_TAKEN_AT_ONCE: Final = 256
_MOST_WAITING: Final = 2_048
"""Members that were taken to be looked at."""
_MOST_AT_HOST: Final = 256
"""Of them at one host; others there are taken later."""
_QUEUED: Final = 128
"""Good looks that wait to be taken over: the members' descriptions are in memory until then."""
_QUEUED_BYTES: Final = 128 << 20
"""Of them together, as far as nobody begins another look before."""
_FIRST_DELAY: Final = timedelta(seconds=30)
_NEW_DELAY: Final = timedelta(seconds=0.5)
"""Of a member that has just come, or come back: it may not have heard of us, or of itself, when we hear of it."""
_BETWEEN_NEW_S: Final = 0.1
"""Between two of them that are asked again, however many come at once and cannot be reached: whoever is there goes before."""
_MENDS: Final = {
    401: "let your connector take the token of the participant that runs this ledger",
    403: "let the participant that runs this ledger see your catalogue",
    404: "see that the address in the list of members is the base of your connector",
    429: "allow more requests of this ledger, or leave it: it comes again later",
}
"""What a member can do about an answer of its own connector."""
_LONGEST_ASKED_S: Final = 86_400
"""A member that asks to be left alone for longer is asked again after a day."""
_LIST_AGAIN: Final = timedelta(seconds=10)
"""A list that is kept costs nothing to look at, and one that changed is dropped from what is kept by whoever is told."""
_FORGET_AFTER: Final = timedelta(days=30)
_LOOK_AGAIN: Final = timedelta(seconds=1)
"""Another replica may have made a member due, which nobody tells us."""
_MOST_NAMED: Final = 100
_LONG: Final = timedelta(seconds=1)
"""A look that takes longer is followed by as long a rest, whatever the member announces: nobody has the ledger to itself."""
_MOST_RESTING: Final = 1_000
_TIDIED_EVERY: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How often, and how much at once."""

    interval: timedelta
    follow: timedelta
    """Between two questions to a member that is a catalogue: its feed tells what has changed since the last one."""
    parallel: int
    per_host: int
    within: timedelta
    """Longest time for one look."""


class Crawler:
    """Keeps the record as the members' catalogues are."""

    def __init__(
        self, records: Records, members: Members, looking: Looking, following: Following, clock: Clock, pace: Pace
    ) -> None:
        self._records = records
        self._members = members
        self._looking = looking
        self._following = following
        self._clock = clock
        self._pace = pace
        self._woken = asyncio.Event()
        self._list_woken = asyncio.Event()
        self._slots = asyncio.Semaphore(pace.parallel)
        self._hosts: dict[str, tuple[asyncio.Semaphore, int]] = {}
        self._named: dict[str, set[str] | None] = {}
        self._under_way = 0
        """Members that are looked at, or wait for it."""
        self._past_gate = 0
        """Of them those that do not wait for others at their host."""
        self._busy: set[str] = set()
        self._rests: dict[str, datetime] = {}
        """Until when members are not looked at again because they announce something."""
        self._latest_asked_s = 0.0
        self._turn_s = 0.0
        """When the last of the new members that could not be reached is asked again, by the event loop."""
        self._tidied: datetime | None = None
        self._standing: Mapping[str, int] = {}
        self._done: asyncio.Queue[Snapshot] = asyncio.Queue(_QUEUED)
        self._queued_bytes = 0
        self._drained = asyncio.Event()
        self._drained.set()
        self.changed: Callable[[], None] = lambda: None
        """Called when the record has changed."""
        self.unjudged: Callable[[Iterable[str]], Awaitable[None]] | None = None
        """Called with what was taken over and could not be judged, as `Entry.signed` says it."""
        self.room: Callable[[], Awaitable[None]] | None = None
        """Waited for before more is recorded: whoever follows the record may be behind."""

    # --- what wakes it

    async def announced(self, member: str, ids: tuple[str, ...]) -> bool:
        """A member says that these of its datasets have changed, or without any that something has; False when it is not listed."""
        known = self._named.get(member, set())
        if not ids or known is None or len(known) + len(ids) > _MOST_NAMED:
            self._named[member] = None
        else:
            self._named[member] = known | set(ids)
        now = self._clock.now()
        rest = self._rests.get(member, now)
        soon = rest if now < rest <= now + self._pace.within else now
        if not await self._records.hasten(member, soon) and not await self._has_joined(member):
            self._named.pop(member, None)
            return False
        self._woken.set()
        return True

    async def _has_joined(self, member: str) -> bool:
        """Whether one that we do not know is on the list by now: nobody is told of members that have just come, but they tell us."""
        try:
            listed = await self._members.listed(newcomer=member)
        except KontorError as fault:
            observe.warning("catalog.list_refused", cause=str(fault), mend="nothing changes until there is a good list")
            return False
        if not any(one.id == member and not one.is_suspended for one in listed):
            return False
        await self._records.list_members(listed, self._clock.now())
        return True

    def list_anew(self) -> None:
        """The list of members has changed: look at it now."""
        self._list_woken.set()

    # --- the list of members

    async def keep_list(self) -> None:
        """Keep up with the list of members, for ever."""
        is_anew = False
        observe.gauge("catalog_members", lambda: {(("state", name),): count for name, count in self._standing.items()})
        while True:
            is_anew = await self._list_once(is_anew=is_anew)

    async def _list_once(self, *, is_anew: bool) -> bool:
        now = self._clock.now()
        try:
            listed = await self._members.listed(anew=is_anew)
        except KontorError as fault:
            # stale, rolled back or forged: the members that we know stay, whatever a wrong list says
            observe.warning("catalog.list_refused", cause=str(fault), mend="nothing changes until there is a good list")
        else:
            before = await self._records.sequence()
            fresh = await self._records.list_members(listed, now)
            if fresh:
                observe.info("catalog.members", fresh=len(fresh), listed=len(listed))
                self._woken.set()
            if await self._records.sequence() != before:
                self.changed()
        self._standing = await self._records.standing()
        await self._records.forget(now - _FORGET_AFTER)
        if self._tidied is None or not timedelta() <= now - self._tidied < _TIDIED_EVERY:
            self._tidied = now
            await self._records.tidy()
            await self._records.give_back()
        await self._clock.wait_until(now + _LIST_AGAIN, self._list_woken)
        return self._clock.now() < now + _LIST_AGAIN

    # --- looks

    async def run(self) -> None:
        """Look at whoever is due, for ever."""
        await self._records.take_up(self._clock.now())
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._take_over())
            while True:
                # as many at once as are looked at at once: those that wait for a slot would wait all the same. Those that wait for their
                # host do not count: thousands of members at one that hangs hold up nobody at another
                free = min(self._pace.parallel * 4 - self._past_gate, _MOST_WAITING - self._under_way)
                has_room = free >= self._pace.parallel
                now = self._clock.now()
                rows = (
                    await self._records.claim_due(now, now + 2 * self._pace.within, free, self._latest(now)) if has_room else ()
                )
                late: list[str] = []
                for row in rows:
                    # one look at a time, or an older one could end last; the record makes due at its end what was announced meanwhile
                    if row.id in self._busy:
                        continue
                    host = urlsplit(row.address).netloc
                    gate, users = self._hosts.get(host) or (asyncio.Semaphore(self._pace.per_host), 0)
                    if users >= _MOST_AT_HOST:
                        late.append(row.id)
                        continue
                    self._hosts[host] = (gate, users + 1)
                    self._busy.add(row.id)
                    self._under_way += 1
                    tasks.create_task(self._see_to(row, host, gate))
                if late:
                    await self._records.postpone(late, now + _LOOK_AGAIN * random.uniform(0.5, 1.5))
                if not rows:
                    until = await self._records.next_due() if has_room else None
                    soon = now + _LOOK_AGAIN
                    await self._clock.wait_until(min(until, soon) if until else soon, self._woken)

    def _latest(self, now: datetime) -> datetime | None:
        """When the last member is due, whatever the pace: where one is due later, the clock was set back. Asked now and then."""
        now_s = asyncio.get_running_loop().time()
        if now_s < self._latest_asked_s:
            return None
        self._latest_asked_s = now_s + _LIST_AGAIN.total_seconds()
        return now + 1.25 * max(self._pace.interval, timedelta(seconds=_LONGEST_ASKED_S))

    async def _see_to(self, row: MemberRow, host: str, gate: asyncio.Semaphore) -> None:
        try:
            async with gate:
                self._past_gate += 1
                try:
                    async with self._slots:
                        await self._drained.wait()
                        await self._look(row)
                finally:
                    self._past_gate -= 1
        finally:
            _, users = self._hosts.pop(host)
            if users > 1:
                self._hosts[host] = (gate, users - 1)
            self._busy.discard(row.id)
            self._under_way -= 1
            self._woken.set()

    async def _look(self, row: MemberRow) -> None:
        named = self._named.pop(row.id, None)
        begun = self._clock.now()
        try:
            async with asyncio.timeout(self._pace.within.total_seconds()):
                found = await self._looked(row, named, begun)
        except TimeoutError:
            await self._failed(row, begun, f"it took longer than {self._pace.within.total_seconds():.0f} s")
        except KontorError as fault:
            asked_s = (fault.wait_s if isinstance(fault, PeerAnswer) else None) or 0
            await self._failed(row, begun, _cause(fault), min(asked_s, _LONGEST_ASKED_S))
        except Exception as fault:  # noqa: BLE001 - one broken member never harms the rest
            observe.error("catalog.look_broke", member=row.id, fault=fault)
            await self._failed(
                row, begun, f"it broke our reading ({type(fault).__name__}); the operator of the catalogue is told"
            )
        else:
            pause = self._pace.follow if "sequence" in (found.validators if found else row.validators) else self._pace.interval
            next_at = begun if found is not None and found.is_cut else begun + pause * random.uniform(0.9, 1.1)
            if found is None:
                before = row.report or Report(at=begun, is_good=True)
                report = Report(at=begun, is_good=True, entries=row.entries, left_out=before.left_out, notes=before.notes)
                await self._records.confirm(row.id, report, next_at, row.announced)
                observe.count("catalog_looks", outcome="unchanged")
            else:
                self._queue(found)
                await self._done.put(
                    Snapshot(
                        member=row.id,
                        entries=found.entries,
                        report=found.report,
                        validators=found.validators,
                        next_at=next_at,
                        is_partial=found.is_partial,
                        gone=found.gone,
                        part=found.part,
                        announced=row.announced,
                        again_at=self._rested(row.id, begun),
                    )
                )

    def _queue(self, found: Looked) -> None:
        self._queued_bytes += _size(found.entries)
        if self._queued_bytes > _QUEUED_BYTES:
            self._drained.clear()

    def _drain(self, batch: Iterable[Snapshot]) -> None:
        self._queued_bytes -= sum(_size(one.entries) for one in batch)
        if self._queued_bytes <= _QUEUED_BYTES:
            self._drained.set()

    def _rested(self, member: str, begun: datetime) -> datetime:
        """When a member that has announced something during a look may be looked at again."""
        now = self._clock.now()
        if now - begun < _LONG:
            self._rests.pop(member, None)
            return begun
        if len(self._rests) >= _MOST_RESTING:
            self._rests = {name: until for name, until in self._rests.items() if until > now}
        rest = self._rests[member] = now + (now - begun)
        return rest

    async def _looked(self, row: MemberRow, named: set[str] | None, now: datetime) -> Looked | None:
        if row.kind is MemberKind.CATALOG:
            try:
                return await self._following.look(row, now)
            except PeerAnswer as fault:
                if fault.answer_status != 404:
                    raise
        elif named and row.generation:
            return await self._looking.look_at(row, sorted(named), now)
        return await self._looking.look(row, now)

    async def _failed(self, row: MemberRow, begun: datetime, cause: str, asked_s: int = 0) -> None:
        """Tell why a look came to nothing; the next one is no sooner than the member asked for."""
        known = self._pace.follow if row.kind is MemberKind.CATALOG else _FIRST_DELAY
        first = known if row.validators else _NEW_DELAY
        pause = min(self._pace.interval, first * 2 ** min(row.failures, 20)) * random.uniform(0.8, 1.2)
        if not row.validators:
            now_s = asyncio.get_running_loop().time()
            self._turn_s = max(self._turn_s, now_s) + _BETWEEN_NEW_S
            pause = max(pause, timedelta(seconds=self._turn_s - now_s))
        pause = max(pause, timedelta(seconds=asked_s))
        observe.warning("catalog.look_failed", member=row.id, failures=row.failures + 1, cause=cause)
        before = row.report
        report = Report(at=begun, is_good=False, cause=cause, entries=row.entries, left_out=before.left_out if before else ())
        await self._records.failed(row.id, report, self._clock.now() + pause, row.announced)
        observe.count("catalog_looks", outcome="failed")

    async def _take_over(self) -> None:
        """Take good looks over into the record, as many as there are in one transaction."""
        while True:
            batch = [await self._done.get()]
            if self.room is not None:
                await self.room()
            while len(batch) < _TAKEN_AT_ONCE and not self._done.empty():
                batch.append(self._done.get_nowait())
            try:
                await self._take(batch)
            finally:
                self._drain(batch)

    async def _take(self, batch: list[Snapshot]) -> None:
        # of two looks at one member in a batch the later one follows in a transaction of its own
        last = {snapshot.member: snapshot for snapshot in batch}
        parts = [batch] if len(last) == len(batch) else [[snapshot] for snapshot in batch]
        while parts:
            part = parts.pop(0)
            try:
                changed = await self._records.swap(part, self._clock.now())
            except KontorError:
                raise
            except Exception as fault:  # noqa: BLE001 - one that cannot be kept never harms the rest
                if len(part) > 1:
                    parts = [[snapshot] for snapshot in part] + parts
                    continue
                await self._not_kept(part[0], fault)
                continue
            if changed:
                self.changed()
            observe.count("catalog_looks", len(part), outcome="good")
            waiting = {it.signed for snapshot in part for it in snapshot.entries if is_unjudged(it.signed)}
            if waiting and self.unjudged is not None:
                await self.unjudged(waiting)

    async def _not_kept(self, snapshot: Snapshot, fault: Exception) -> None:
        observe.error("catalog.look_not_kept", member=snapshot.member, fault=fault)
        cause = f"what it holds cannot be kept ({type(fault).__name__}); the operator of the catalogue is told"
        report = Report(at=snapshot.report.at, is_good=False, cause=cause, left_out=snapshot.report.left_out)
        await self._records.failed(snapshot.member, report, snapshot.next_at, snapshot.announced)
        observe.count("catalog_looks", outcome="failed")


def _size(entries: Iterable[Entry]) -> int:
    """Bytes of the descriptions."""
    return sum(len(one.tree) + len(one.offers) for one in entries)


def _cause(fault: KontorError) -> str:
    """Why a look came to nothing, in words for the member: what its own operator can mend is said as that."""
    what, mend = fault.what, fault.mend
    if isinstance(fault, PeerAnswer):
        what, mend = what.replace("the peer", "your connector", 1), _MENDS.get(fault.answer_status, "")
    elif isinstance(fault, Unreachable) and mend == "try again later":
        mend = "see that your connector can be reached there, and answers in time"
    elif isinstance(fault, PeerMessage) and "outbound." in mend:
        mend = "answer in smaller pages, each with a `Link` to the next one"
    # everybody reads why a look came to nothing, and not everybody may know of each dataset
    place = fault.where.partition("/catalog/datasets/")[0]
    where = f" at `{place}`" if place else ""
    return f"{what}{where}" + (f"; {mend}" if mend else "")
