"""The jobs in this process's memory, for the memory store. Calls run on the event loop without waiting, so each is a transaction."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from connector.ports.jobs import Failure, Job, NewJob
from connector.ports.page import Page
from connector.storage import codec


@dataclass(slots=True)
class _Row:
    number: int
    participant: str
    kind: str
    id: str
    order_key: str | None
    body: bytes
    created_at: datetime
    not_before: datetime
    free_at: datetime | None
    """When it may be claimed; None while it stands behind another, and when it was given up."""
    tries: int = 0
    turn: int = 0
    failures: bytes = b"[]"
    node: str | None = None
    given_up_at: datetime | None = None

    @property
    def lane(self) -> tuple[str, str, str] | None:
        return (self.participant, self.kind, self.order_key) if self.order_key is not None else None


@dataclass(slots=True)
class MemoryJobRows:
    """What the nodes of one memory share."""

    rows: dict[tuple[str, str, str], _Row] = field(default_factory=dict)
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    wakes: list[Callable[[], None]] = field(default_factory=list)


class MemoryJobs:
    """A node's view of the jobs."""

    def __init__(self, shared: MemoryJobRows, *, node: str, lease: timedelta) -> None:
        self._shared = shared
        self._node = node
        self._lease = lease

    async def put(self, jobs: Sequence[NewJob], now: datetime) -> int:
        return self.put_all([(job, codec.job_body(job)) for job in jobs], now)

    def put_all(self, jobs: Sequence[tuple[NewJob, bytes]], now: datetime) -> int:
        """How many of these jobs, with their bodies as JSON, are new."""
        return sum(self._put(job, body, now) for job, body in jobs)

    def _put(self, job: NewJob, body: bytes, now: datetime) -> bool:
        place = (job.participant, job.kind, job.id)
        kept = self._shared.rows.get(place)
        if kept is not None:
            if kept.given_up_at is None:
                return False
            del self._shared.rows[place]
        moment = job.not_before or now
        row = _Row(next(self._shared.numbers), *place, job.order_key, body, now, moment, moment)
        if row.lane is not None and any(other.given_up_at is None for other in self._in_lane(row)):
            row.free_at = None
        self._shared.rows[place] = row
        self._tell()
        return True

    def _in_lane(self, row: _Row) -> list[_Row]:
        return [other for other in self._shared.rows.values() if row.lane is not None and other.lane == row.lane]

    def _tell(self) -> None:
        for wake in list(self._shared.wakes):
            wake()

    async def claim(self, kinds: Sequence[str], now: datetime, *, limit: int = 16) -> tuple[Job, ...]:
        free = [r for r in self._shared.rows.values() if r.kind in kinds and r.free_at is not None and r.free_at <= now]
        free.sort(key=lambda r: (r.free_at, r.number))
        for row in free[:limit]:
            row.node, row.free_at, row.tries, row.turn = self._node, now + self._lease, row.tries + 1, row.turn + 1
        return tuple(map(_job, free[:limit]))

    def _ours(self, job: Job) -> _Row | None:
        row = self._shared.rows.get((job.participant, job.kind, job.id))
        if row is None or (row.number, row.turn) != (job.number, job.turn) or row.node is None:
            return None
        return row

    async def keep(self, job: Job, now: datetime) -> bool:
        row = self._ours(job)
        if row is not None:
            row.free_at = now + self._lease
        return row is not None

    async def done(self, job: Job) -> bool:
        row = self._ours(job)
        if row is not None:
            self._remove(row)
        return row is not None

    def _remove(self, row: _Row) -> None:
        del self._shared.rows[row.participant, row.kind, row.id]
        self._next_in_lane(row)

    def _next_in_lane(self, row: _Row) -> None:
        waiting = [other for other in self._in_lane(row) if other.given_up_at is None]
        if waiting and (first := min(waiting, key=lambda other: other.number)).free_at is None:
            first.free_at = first.not_before
            self._tell()

    async def put_off(self, job: Job, not_before: datetime, failure: Failure | None = None) -> bool:
        row = self._ours(job)
        if row is None:
            return False
        row.node, row.not_before, row.free_at = None, not_before, not_before
        row.failures = codec.failures(job, failure) if failure is not None else b"[]"
        row.tries = row.tries if failure is not None else 0
        self._tell()
        return True

    async def give_up(self, job: Job, failure: Failure) -> bool:
        row = self._ours(job)
        if row is None:
            return False
        row.node, row.free_at, row.given_up_at = None, None, failure.at
        row.failures = codec.failures(job, failure)
        self._next_in_lane(row)
        return True

    async def revive(self, participant: str, kind: str, id_: str, now: datetime) -> bool:
        row = self._shared.rows.get((participant, kind, id_))
        if row is None or row.given_up_at is None:
            return False
        job = NewJob(participant=participant, kind=kind, id=id_, body={}, order_key=row.order_key)
        return self._put(job, row.body, now)

    async def forget(self, participant: str, before: datetime) -> int:
        rows = self._shared.rows.items()
        gone = [k for k, r in rows if k[0] == participant and r.given_up_at is not None and r.given_up_at < before]
        for place in gone:
            del self._shared.rows[place]
        return len(gone)

    async def drop(self, participant: str, kind: str, id_: str) -> bool:
        row = self._shared.rows.get((participant, kind, id_))
        if row is not None:
            self._remove(row)
        return row is not None

    async def job(self, participant: str, kind: str, id_: str) -> Job | None:
        row = self._shared.rows.get((participant, kind, id_))
        return _job(row) if row is not None else None

    async def page(
        self,
        participant: str,
        *,
        kind: str | None = None,
        is_given_up: bool | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> Page[Job]:
        before = codec.number_after(cursor) if cursor is not None else None
        fitting = [
            row
            for row in sorted(self._shared.rows.values(), key=lambda r: -r.number)
            if row.participant == participant
            and kind in (None, row.kind)
            and is_given_up in (None, row.given_up_at is not None)
        ]
        behind = [row for row in fitting if before is None or row.number < before]
        return Page(
            items=tuple(map(_job, behind[:limit])),
            total=len(fitting),
            next_cursor=codec.cursor(behind[limit - 1].number) if len(behind) > limit else None,
        )

    async def next_moment(self, kinds: Sequence[str]) -> datetime | None:
        return min((r.free_at for r in self._shared.rows.values() if r.kind in kinds and r.free_at is not None), default=None)

    async def release(self) -> None:
        for row in self._shared.rows.values():
            if row.node == self._node:
                row.node, row.free_at = None, row.not_before

    def listen(self, wake: Callable[[], None]) -> None:
        self._shared.wakes.append(wake)


def _job(row: _Row) -> Job:
    micros = codec.micros
    moments = (micros(row.created_at), micros(row.not_before), row.tries, row.turn, row.failures, row.node)
    given_up_at = micros(row.given_up_at) if row.given_up_at is not None else None
    return codec.job_of((row.number, row.participant, row.kind, row.id, row.order_key, row.body, *moments, given_up_at))
