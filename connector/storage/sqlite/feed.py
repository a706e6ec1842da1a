"""The feed over the table `step`, whose ids are the order of the transactions: one writer, one after another."""

from __future__ import annotations

import sqlite3

from connector.ports.feed import Stretch
from connector.storage.positions import happenings, numbers
from connector.storage.sqlite.access import Access, one_view
from connector.storage.sqlite.writes import SQL


class SqliteFeed:
    """`Feed`, on the store's connection for lists."""

    def __init__(self, access: Access) -> None:
        self._access = access

    async def after(self, participant: str, position: str | None, *, limit: int = 100) -> Stretch:
        return await self._access.list(_after, participant, position, limit)

    async def end(self) -> str:
        return str(await self._access.list(_last))


def _after(connection: sqlite3.Connection, participant: str, position: str | None, limit: int) -> Stretch:
    (start,) = numbers(position, 1)
    with one_view(connection):
        last = _last(connection)
        rows = connection.execute(SQL["feed"], (participant, min(start, last), limit)).fetchall()
    reached = rows[-1][0] if len(rows) == limit else last
    found = tuple(one for row in rows for one in happenings(str(row[0]), row[1:]))
    return Stretch(happenings=found, position=str(reached))


def _last(connection: sqlite3.Connection) -> int:
    return int(connection.execute(SQL["feed_end"]).fetchone()[0])
