"""The jobs in the database: claimed with `SKIP LOCKED`, told of to the other replicas; the order of a lane is kept by its lock."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

import asyncpg

from connector.ports.jobs import Failure, Job, NewJob
from connector.ports.page import Page
from connector.storage import codec
from connector.storage.postgres import faults
from connector.storage.postgres.link import Link
from connector.storage.postgres.writes import SQL, TRIES, job_values

_COLUMNS = "number, participant, kind, id, order_key, body, created_at, not_before, tries, turn, failures, node, given_up_at"
_NO_FAILURES = b"[]"


class PostgresJobs:
    """`Jobs`, on the store's connections; `tell` lets the other replicas know that something can be claimed at a moment."""

    def __init__(self, link: Link, *, node: str, lease_s: float, tell: Callable[[int], None]) -> None:
        self._link = link
        self._node = node
        self._lease = timedelta(seconds=lease_s) // timedelta(microseconds=1)
        self._tell = tell
        self._wakes: list[Callable[[], None]] = []

    async def put(self, jobs: Sequence[NewJob], now: datetime) -> int:
        if not jobs:
            return 0
        added = await self._call("put_jobs", *job_values(jobs, codec.micros(now)))
        if added:
            self.has_news(min(codec.micros(job.not_before or now) for job in jobs))
        return int(added)

    async def _call(self, name: str, *values: object) -> Any:
        """The one value of a statement, begun anew when the server undoes it for another's sake."""
        for tries in range(1, TRIES + 1):
            async with self._link.writing() as connection:
                try:
                    return await connection.fetchval(SQL[name], *values)
                except asyncpg.PostgresError as fault:
                    if faults.state(fault) not in faults.TRY_AGAIN or tries == TRIES:
                        raise
        raise AssertionError("the last try returns or raises")

    def has_news(self, moment: int) -> None:
        """Something that can be claimed at `moment` was put here."""
        self._tell(moment)
        self.hear()

    def hear(self) -> None:
        """There may be something to claim."""
        for wake in self._wakes:
            wake()

    async def claim(self, kinds: Sequence[str], now: datetime, *, limit: int = 16) -> tuple[Job, ...]:
        moment = codec.micros(now)
        async with self._link.writing() as connection:
            rows = await connection.fetch(SQL["claim_jobs"], list(kinds), moment, limit, self._node, moment + self._lease)
        return tuple(map(codec.job_of, rows))

    async def keep(self, job: Job, now: datetime) -> bool:
        return bool(await self._call("keep_job", job.number, job.turn, codec.micros(now) + self._lease))

    async def done(self, job: Job) -> bool:
        return await self._ended(job, None, None)

    async def give_up(self, job: Job, failure: Failure) -> bool:
        return await self._ended(job, codec.micros(failure.at), codec.failures(job, failure))

    async def _ended(self, job: Job, given_up_at: int | None, failures: bytes | None) -> bool:
        lane = (job.participant, job.kind, job.order_key)
        is_ours = bool(await self._call("end_job", job.number, job.turn, given_up_at, failures, *lane))
        if is_ours and job.order_key is not None:
            self.has_news(0)
        return is_ours

    async def put_off(self, job: Job, not_before: datetime, failure: Failure | None = None) -> bool:
        failures = codec.failures(job, failure) if failure is not None else _NO_FAILURES
        moment = codec.micros(not_before)
        is_ours = bool(await self._call("put_off_job", job.number, job.turn, moment, failures, failure is not None))
        if is_ours:
            self.has_news(moment)
        return is_ours

    async def revive(self, participant: str, kind: str, id_: str, now: datetime) -> bool:
        moment = codec.micros(now)
        is_new = bool(await self._call("revive_job", participant, kind, id_, moment))
        if is_new:
            self.has_news(moment)
        return is_new

    async def forget(self, participant: str, before: datetime) -> int:
        return int(await self._call("forget_jobs", participant, codec.micros(before)))

    async def drop(self, participant: str, kind: str, id_: str) -> bool:
        is_gone = bool(await self._call("drop_job", participant, kind, id_))
        if is_gone:
            self.has_news(0)
        return is_gone

    async def job(self, participant: str, kind: str, id_: str) -> Job | None:
        async with self._link.connection() as connection:
            row = await connection.fetchrow(SQL["job"], participant, kind, id_)
        return codec.job_of(row) if row is not None else None

    async def page(
        self,
        participant: str,
        *,
        kind: str | None = None,
        is_given_up: bool | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> Page[Job]:
        values: list[object] = [participant]
        where = "participant = $1"
        if kind is not None:
            values.append(kind)
            where += f" AND kind = ${len(values)}"
        if is_given_up is not None:
            where += f" AND given_up_at IS {'NOT ' if is_given_up else ''}NULL"
        behind = ""
        if cursor is not None:
            values.append(codec.number_after(cursor))
            behind = f" AND number < ${len(values)}"
        values.append(limit + 1)
        async with self._link.connection() as connection:
            rows = await connection.fetch(
                f"SELECT c.total, j.* FROM (SELECT count(*) AS total FROM job WHERE {where}) AS c LEFT JOIN ("
                f"SELECT {_COLUMNS} FROM job WHERE {where}{behind} ORDER BY number DESC LIMIT ${len(values)}"
                ") AS j ON true ORDER BY j.number DESC",
                *values,
            )
        found = [codec.job_of(tuple(row)[1:]) for row in rows if row["number"] is not None]
        return Page(
            items=tuple(found[:limit]),
            total=rows[0]["total"],
            next_cursor=codec.cursor(found[limit - 1].number) if len(found) > limit else None,
        )

    async def next_moment(self, kinds: Sequence[str]) -> datetime | None:
        async with self._link.connection() as connection:
            moment = await connection.fetchval(SQL["next_job"], list(kinds))
        return codec.moment_of(moment) if moment is not None else None

    async def release(self) -> None:
        async with self._link.connection() as connection:
            await connection.execute(SQL["release_jobs"], self._node)

    def listen(self, wake: Callable[[], None]) -> None:
        self._wakes.append(wake)
