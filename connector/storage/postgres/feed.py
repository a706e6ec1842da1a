"""The feed over the table `step`.

Ids are given before transactions end, so their order alone would skip what ends late. A position is therefore transaction and
id, and only transactions older than the oldest that is still open are read: nothing can come to stand before them any more. A
long transaction elsewhere in the server (a backup by dump) holds the feed back for as long as it lasts, and loses nothing.
"""

from __future__ import annotations

from connector.ports.feed import Stretch
from connector.storage.positions import happenings, numbers
from connector.storage.postgres.link import Link
from connector.storage.postgres.writes import SQL


class PostgresFeed:
    """Implements the port `Feed`."""

    def __init__(self, link: Link) -> None:
        self._link = link

    async def after(self, participant: str, position: str | None, *, limit: int = 100) -> Stretch:
        xact, number = numbers(position, 2)
        async with self._link.connection() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
            last = await connection.fetchrow(SQL["feed_end"])
            rows = await connection.fetch(SQL["feed"], participant, str(xact), number, limit)
        end = (int(last[0]), int(last[1])) if last is not None else (0, 0)
        reached = (int(rows[-1][0]), rows[-1][1]) if len(rows) == limit else end
        return Stretch(
            happenings=tuple(one for row in rows for one in happenings(f"{row[0]}-{row[1]}", tuple(row)[2:])),
            position=f"{reached[0]}-{reached[1]}",
        )

    async def end(self) -> str:
        async with self._link.connection() as connection:
            last = await connection.fetchrow(SQL["feed_end"])
        return f"{last[0]}-{last[1]}" if last is not None else "0-0"
