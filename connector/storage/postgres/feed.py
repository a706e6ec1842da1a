"""The feed over the table `step`.

Ids are given before transactions end, so their order alone would skip what ends late. A position is therefore transaction and
id, and only transactions older than the oldest that is still open are read: nothing can come to stand before them any more. A
long transaction elsewhere in the server (a backup by dump) holds the feed back for as long as it lasts, and loses nothing.
What an archive brought stands in transaction 0, as numbers of transactions mean nothing in another server: a position from before
is one by its id alone, and what was told already is not told anew.
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
        async with self._link.connection() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
            last, number, coming, first, brought = await connection.fetchrow(SQL["feed_bounds"])
            end = (int(last), int(number)) if last is not None else (0, 0)
            xact, told = numbers(position, 2)
            is_of_here = first is not None and int(first) <= xact < int(coming) and told > (brought or 0)
            xact, told = min((xact if is_of_here else 0, told), end)
            rows = await connection.fetch(SQL["feed"], participant, str(xact), told, limit)
        reached = (int(rows[-1][0]), rows[-1][1]) if len(rows) == limit else end
        return Stretch(
            happenings=tuple(one for row in rows for one in happenings(f"{row[0]}-{row[1]}", tuple(row)[2:])),
            position=f"{reached[0]}-{reached[1]}",
        )

    async def end(self) -> str:
        async with self._link.connection() as connection:
            last = await connection.fetchrow(SQL["feed_end"])
        return f"{last[0]}-{last[1]}" if last is not None else "0-0"
