"""The jobs in a SQLite file. Every write goes through the one writer, so that the order within a lane is the order of the puts."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from connector.ports.jobs import Failure, Job, NewJob
from connector.ports.page import Page
from connector.storage import codec
from connector.storage.sqlite.access import Access, one_view
from connector.storage.sqlite.writes import NO_FAILURES, SQL, job_at, put_job

_COLUMNS = "number, participant, kind, id, order_key, body, created_at, not_before, tries, turn, failures, node, given_up_at"


class SqliteJobs:
    """`Jobs`, on the store's connections."""

    def __init__(self, access: Access, *, node: str, lease_s: float) -> None:
        self._access = access
        self._node = node
        self._lease = timedelta(seconds=lease_s) // timedelta(microseconds=1)
        self._wakes: list[Callable[[], None]] = []

    async def put(self, jobs: Sequence[NewJob], now: datetime) -> int:
        rows = [(job, codec.job_body(job)) for job in jobs]
        moment = codec.micros(now)
        added = await self._access.write(lambda connection: sum(put_job(connection, job, body, moment) for job, body in rows))
        if added:
            self.tell()
        return added

    async def claim(self, kinds: Sequence[str], now: datetime, *, limit: int = 16) -> tuple[Job, ...]:
        moment = codec.micros(now)

        def write(connection: sqlite3.Connection) -> tuple[Job, ...]:
            found: list[tuple[object, ...]] = []
            for kind in dict.fromkeys(kinds):
                if len(found) < limit:
                    values = (kind, moment, limit - len(found), self._node)
                    found += connection.execute(SQL["free_jobs"], values).fetchall()
            connection.executemany(SQL["lease_job"], [(self._node, moment + self._lease, row[0]) for row in found])
            return tuple(map(codec.job_of, found))

        return await self._access.write(write)

    async def keep(self, job: Job, now: datetime) -> bool:
        free_at = codec.micros(now) + self._lease
        return await self._changed("keep_job", free_at, job.number, job.turn)

    async def done(self, job: Job) -> bool:
        return await self._changed("end_job", job.number, job.turn, lane=job)

    async def put_off(self, job: Job, not_before: datetime, failure: Failure | None = None) -> bool:
        failures = codec.failures(job, failure) if failure is not None else NO_FAILURES
        values = (codec.micros(not_before), failures, failure is not None, job.number, job.turn)
        return await self._changed("put_off_job", *values)

    async def give_up(self, job: Job, failure: Failure) -> bool:
        values = (codec.micros(failure.at), codec.failures(job, failure), job.number, job.turn)
        return await self._changed("give_up_job", *values, lane=job)

    async def _changed(self, statement: str, *values: object, lane: Job | None = None) -> bool:
        def write(connection: sqlite3.Connection) -> bool:
            is_changed = connection.execute(SQL[statement], values).rowcount == 1
            if is_changed and lane is not None:
                _free_next(connection, lane)
            return is_changed

        is_changed = await self._access.write(write)
        if is_changed:
            self.tell()
        return is_changed

    async def revive(self, participant: str, kind: str, id_: str, now: datetime) -> bool:
        def write(connection: sqlite3.Connection) -> bool:
            job = job_at(connection, participant, kind, id_)
            if job is None or job.given_up_at is None:
                return False
            new = NewJob(participant=participant, kind=kind, id=id_, body=job.body, order_key=job.order_key)
            return put_job(connection, new, codec.job_body(new), codec.micros(now))

        is_new = await self._access.write(write)
        if is_new:
            self.tell()
        return is_new

    async def forget(self, participant: str, before: datetime) -> int:
        values = (participant, codec.micros(before))
        return await self._access.write(lambda connection: connection.execute(SQL["forget_jobs"], values).rowcount)

    async def drop(self, participant: str, kind: str, id_: str) -> bool:
        def write(connection: sqlite3.Connection) -> bool:
            job = job_at(connection, participant, kind, id_)
            if job is None:
                return False
            connection.execute(SQL["drop_job"], (participant, kind, id_))
            _free_next(connection, job)
            return True

        is_gone = await self._access.write(write)
        if is_gone:
            self.tell()
        return is_gone

    async def job(self, participant: str, kind: str, id_: str) -> Job | None:
        return self._access.read(job_at, participant, kind, id_)

    async def page(
        self,
        participant: str,
        *,
        kind: str | None = None,
        is_given_up: bool | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> Page[Job]:
        where, values = "participant = ?", [participant]
        if kind is not None:
            where, values = f"{where} AND kind = ?", [*values, kind]
        if is_given_up is not None:
            where += f" AND given_up_at IS {'NOT ' if is_given_up else ''}NULL"
        behind, before = ("", []) if cursor is None else (" AND number < ?", [codec.number_after(cursor)])

        def read(connection: sqlite3.Connection) -> tuple[int, list[tuple[object, ...]]]:
            with one_view(connection):
                (total,) = connection.execute(f"SELECT count(*) FROM job WHERE {where}", values).fetchone()
                rows = connection.execute(
                    f"SELECT {_COLUMNS} FROM job WHERE {where}{behind} ORDER BY number DESC LIMIT ?",
                    [*values, *before, limit + 1],
                ).fetchall()
            return total, rows

        total, rows = await self._access.list(read)
        items = tuple(map(codec.job_of, rows[:limit]))
        return Page(items=items, total=total, next_cursor=codec.cursor(items[-1].number) if len(rows) > limit else None)

    async def next_moment(self, kinds: Sequence[str]) -> datetime | None:
        found = [self._access.read(_next, kind) for kind in kinds]
        return min((codec.moment_of(moment) for moment in found if moment is not None), default=None)

    async def release(self) -> None:
        await self._access.write(lambda connection: connection.execute(SQL["release_jobs"], (self._node,)).rowcount)

    def listen(self, wake: Callable[[], None]) -> None:
        self._wakes.append(wake)

    def tell(self) -> None:
        """There may be something to claim."""
        for wake in self._wakes:
            wake()


def _next(connection: sqlite3.Connection, kind: str) -> int | None:
    (moment,) = connection.execute(SQL["next_job"], (kind,)).fetchone()
    return int(moment) if moment is not None else None


def _free_next(connection: sqlite3.Connection, job: Job) -> None:
    if job.order_key is not None:
        connection.execute(SQL["free_next_job"], (job.participant, job.kind, job.order_key))
