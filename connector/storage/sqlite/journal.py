"""The journal in a SQLite file. Appends of all callers go through the one writer, which is what keeps a chain a chain."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from datetime import datetime

from connector.ports.journal import BEGINNING, Chain, Entry, Line, Link, canonical, digest, vetted_stream
from connector.ports.page import Page
from connector.storage import codec
from connector.storage.sqlite.access import Access, one_view
from connector.storage.sqlite.writes import SQL


class SqliteJournal:
    """`Journal`, on the store's connections."""

    def __init__(self, access: Access) -> None:
        self._access = access

    async def append(self, participant: str, stream: str, lines: Sequence[Line], *, can_wait: bool = False) -> tuple[Link, ...]:
        bodies = [(line.at, canonical(line.body)) for line in lines]
        vetted_stream(stream)
        if not bodies:
            return ()
        return await self._access.write(lambda connection: _append(connection, participant, stream, bodies), can_wait=can_wait)

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
        where, values = "participant = ? AND stream = ?", [participant, stream]
        moments = [codec.micros(moment) for moment in (since, until) if moment is not None]
        where += (" AND at >= ?" if since is not None else "") + (" AND at < ?" if until is not None else "")
        asked: list[object] = [*values, *moments]
        behind, after = "", []
        if cursor is not None:
            behind, after = f" AND number {'<' if is_newest_first else '>'} ?", [codec.number_after(cursor)]
        order = "DESC" if is_newest_first else "ASC"

        def read(connection: sqlite3.Connection) -> tuple[int, list[tuple[object, ...]]]:
            with one_view(connection):
                (total,) = connection.execute(f"SELECT count(*) FROM journal WHERE {where}", asked).fetchone()
                rows = connection.execute(
                    f"SELECT number, at, previous, sha256, body FROM journal WHERE {where}{behind} ORDER BY number {order} LIMIT ?",
                    [*asked, *after, limit + 1],
                ).fetchall()
            return total, rows

        total, rows = await self._access.list(read)
        items = tuple(codec.entry_of(participant, stream, row) for row in rows[:limit])
        return Page(items=items, total=total, next_cursor=codec.cursor(items[-1].number) if len(rows) > limit else None)

    async def chain(self, participant: str, stream: str) -> Chain | None:
        return self._access.read(_chain, participant, stream)

    async def streams(self, participant: str) -> tuple[str, ...]:
        rows = await self._access.list(lambda connection: connection.execute(SQL["journal_streams"], (participant,)).fetchall())
        return tuple(name for (name,) in rows)

    async def trim(self, participant: str, stream: str, before: datetime, *, limit: int = 10_000) -> int:
        moment = codec.micros(before)
        return await self._access.write(lambda connection: _trim(connection, participant, stream, moment, limit), can_wait=True)


def _chain(connection: sqlite3.Connection, participant: str, stream: str) -> Chain | None:
    row = connection.execute(SQL["journal_chain"], (participant, stream)).fetchone()
    if row is None:
        return None
    return Chain(before=Link(number=row[0], sha256=row[1]), last=Link(number=row[2], sha256=row[3]))


def _keep_chain(connection: sqlite3.Connection, participant: str, stream: str, chain: Chain) -> None:
    before, last = chain.before, chain.last
    values = (participant, stream, before.number, before.sha256, last.number, last.sha256)
    connection.execute(SQL["put_journal_chain"], values)


def _append(
    connection: sqlite3.Connection, participant: str, stream: str, bodies: list[tuple[datetime, bytes]]
) -> tuple[Link, ...]:
    chain = _chain(connection, participant, stream) or Chain(before=BEGINNING, last=BEGINNING)
    last, rows, links = chain.last, [], []
    for at, body in bodies:
        number = last.number + 1
        sha256 = digest(last.sha256, participant, stream, number, at, body)
        rows.append((participant, stream, number, codec.micros(at), last.sha256, sha256, body))
        last = Link(number=number, sha256=sha256)
        links.append(last)
    connection.executemany(SQL["insert_journal_entry"], rows)
    _keep_chain(connection, participant, stream, Chain(before=chain.before, last=last))
    return tuple(links)


def _trim(connection: sqlite3.Connection, participant: str, stream: str, before: int, limit: int) -> int:
    chain = _chain(connection, participant, stream)
    gone = None
    count = 0
    for number, at, sha256 in connection.execute(SQL["oldest_journal_entries"], (participant, stream, limit)):
        if at >= before:
            break
        gone, count = Link(number=number, sha256=sha256), count + 1
    if chain is None or gone is None:
        return 0
    connection.execute(SQL["trim_journal"], (participant, stream, gone.number))
    _keep_chain(connection, participant, stream, Chain(before=gone, last=chain.last))
    return count
