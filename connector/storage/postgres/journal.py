"""The journal in the database: an append is one call, and waits for the others of its stream at the stream's row."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from connector.ports.journal import Chain, Entry, Line, Link, canonical, vetted_stream
from connector.ports.page import Page
from connector.storage import codec
from connector.storage.postgres.link import Link as Database
from connector.storage.postgres.writes import SQL


class PostgresJournal:
    """`Journal`, on the store's connections."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def append(self, participant: str, stream: str, lines: Sequence[Line], *, can_wait: bool = False) -> tuple[Link, ...]:
        ats, bodies = [codec.micros(line.at) for line in lines], [canonical(line.body) for line in lines]
        vetted_stream(stream)
        if not bodies:
            return ()
        async with self._database.writing(("journal", participant, stream)) as connection:
            rows = await connection.fetch(SQL["append_to_journal"], participant, stream, ats, bodies)
        return tuple(Link(number=number, sha256=sha256) for number, _, sha256 in rows)

    async def page(
        self,
        participant: str,
        stream: str,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        cursor: str | None = None,
        limit: int = 100,
        is_newest_first: bool = False,
    ) -> Page[Entry]:
        values: list[object] = [participant, stream]
        where = "participant = $1 AND stream = $2"
        for operator, moment in ((">=", since), ("<", until)):
            if moment is not None:
                values.append(codec.micros(moment))
                where += f" AND at {operator} ${len(values)}"
        behind = ""
        if cursor is not None:
            values.append(codec.number_after(cursor))
            behind = f" AND number {'<' if is_newest_first else '>'} ${len(values)}"
        values.append(limit + 1)
        order = "DESC" if is_newest_first else "ASC"
        async with self._database.connection() as connection:
            rows = await connection.fetch(
                f"SELECT c.total, j.* FROM (SELECT count(*) AS total FROM journal WHERE {where}) AS c LEFT JOIN ("
                f"SELECT number, at, previous, sha256, body FROM journal WHERE {where}{behind} ORDER BY number {order}"
                f" LIMIT ${len(values)}) AS j ON true ORDER BY j.number {order}",
                *values,
            )
        found = [codec.entry_of(participant, stream, tuple(row)[1:]) for row in rows if row["body"] is not None]
        return Page(
            items=tuple(found[:limit]),
            total=rows[0]["total"],
            next_cursor=codec.cursor(found[limit - 1].number) if len(found) > limit else None,
        )

    async def chain(self, participant: str, stream: str) -> Chain | None:
        async with self._database.connection() as connection:
            row = await connection.fetchrow(SQL["journal_chain"], participant, stream)
        if row is None:
            return None
        return Chain(before=Link(number=row[0], sha256=row[1]), last=Link(number=row[2], sha256=row[3]))

    async def streams(self, participant: str) -> tuple[str, ...]:
        async with self._database.connection() as connection:
            return tuple(row[0] for row in await connection.fetch(SQL["journal_streams"], participant))

    async def trim(self, participant: str, stream: str, before: datetime, *, limit: int = 10_000) -> int:
        async with self._database.connection() as connection:
            return int(await connection.fetchval(SQL["trim_journal"], participant, stream, codec.micros(before), limit))
