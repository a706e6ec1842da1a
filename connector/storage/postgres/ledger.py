"""The usage ledger in PostgreSQL: a posting locks the row of its book, so that whoever comes at the same time waits for it.

Reading, deciding and writing are one transaction of two statements; the lock is held for the round trip between them, and nothing
else is waited for meanwhile.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from connector.ports.ledger import Book, BookKey, DecideBook, Posted, Posting
from connector.ports.page import Page
from connector.storage import codec
from connector.storage.postgres.link import Link
from connector.storage.postgres.writes import SQL

_LAST: Final = (1 << 31) - 1
_EMPTY: Final = codec.encode(Book())


class _Nothing(Exception):
    """Nothing is written: the transaction is undone."""


class PostgresLedger:
    """The books in the database that `link` leads to."""

    def __init__(self, link: Link) -> None:
        self._link = link

    async def post(self, participant: str, agreement: str, key: str, decide: DecideBook) -> Posted:
        posted: Posted | None = None
        try:
            lane = ("book", participant, agreement)
            async with self._link.writing(lane) as connection, connection.transaction():
                number, body, result = await connection.fetchrow(SQL["book_to_post"], participant, agreement, key, _EMPTY)
                book = codec.decode_book(body)
                if result is not None:
                    return Posted(book=book, result=result, is_repeated=True)
                change = decide(book)
                if change.book is None:
                    posted = Posted(book=book, result=change.result)
                    raise _Nothing
                after, text, facts = codec.written(book, key, change)
                assert change.at is not None
                next_at = codec.micros(change.next_at) if change.next_at is not None else None
                line = (change.kind.value, codec.micros(change.at), facts, after.evidence, change.result)
                await connection.execute(SQL["write_posting"], number, next_at, text, after.postings, key, *line)
                posted = Posted(book=after, result=change.result)
        except _Nothing:
            assert posted is not None
        return posted

    async def book(self, participant: str, agreement: str) -> Book | None:
        async with self._link.connection() as connection:
            body = await connection.fetchval(SQL["book"], participant, agreement)
        return codec.decode_book(body) if body is not None else None

    async def postings(self, participant: str, agreement: str, *, cursor: str | None = None, limit: int = 100) -> Page[Posting]:
        before = min(codec.number_after(cursor), _LAST) if cursor is not None else _LAST
        async with self._link.connection() as connection:
            rows = await connection.fetch(SQL["postings"], participant, agreement, before, limit + 1)
        return codec.posting_page(rows, await self.book(participant, agreement), limit)

    async def due(self, now: datetime, *, limit: int = 100) -> tuple[BookKey, ...]:
        async with self._link.connection() as connection:
            rows = await connection.fetch(SQL["due_books"], codec.micros(now), limit)
        return tuple(BookKey(participant=participant, agreement=agreement) for participant, agreement in rows)

    async def next_moment(self) -> datetime | None:
        async with self._link.connection() as connection:
            first = await connection.fetchval(SQL["next_book"])
        return codec.moment_of(first) if first is not None else None
