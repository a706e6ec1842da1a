"""The usage ledger in the file of a SQLite store: a book and its postings, written by the one writer, in its transactions."""

from __future__ import annotations

import sqlite3
from datetime import datetime
from typing import Any

from connector.ports.ledger import Book, BookKey, DecideBook, Posted, Posting
from connector.ports.page import Page
from connector.storage import codec
from connector.storage.sqlite.access import Access
from connector.storage.sqlite.writes import SQL

_LAST = (1 << 63) - 1


class SqliteLedger:
    """The books in the file."""

    def __init__(self, access: Access) -> None:
        self._access = access

    async def post(self, participant: str, agreement: str, key: str, decide: DecideBook) -> Posted:
        return await self._access.write(lambda connection: _post(connection, participant, agreement, key, decide))

    async def book(self, participant: str, agreement: str) -> Book | None:
        return self._access.read(_book, participant, agreement)

    async def postings(self, participant: str, agreement: str, *, cursor: str | None = None, limit: int = 100) -> Page[Posting]:
        return await self._access.list(_postings, participant, agreement, cursor, limit)

    async def due(self, now: datetime, *, limit: int = 100) -> tuple[BookKey, ...]:
        return await self._access.list(_due, now, limit)

    async def next_moment(self) -> datetime | None:
        return self._access.read(_next_moment)


def _post(connection: sqlite3.Connection, participant: str, agreement: str, key: str, decide: DecideBook) -> Posted:
    row = connection.execute(SQL["book_to_post"], (participant, agreement, key)).fetchone()
    number, body, result = row if row is not None else (None, None, None)
    book = codec.decode_book(body) if body is not None else Book()
    if result is not None:
        return Posted(book=book, result=result, is_repeated=True)
    change = decide(book)
    if change.book is None:
        return Posted(book=book, result=change.result)
    after, text, facts = codec.written(book, key, change)
    next_at = codec.micros(change.next_at) if change.next_at is not None else None
    if number is None:
        number = connection.execute(SQL["insert_book"], (participant, agreement, next_at, text)).lastrowid
    else:
        connection.execute(SQL["update_book"], (next_at, text, number))
    assert change.at is not None
    line = (change.kind.value, codec.micros(change.at), facts, after.evidence, change.result)
    connection.execute(SQL["insert_posting"], (number, after.postings, key, *line))
    return Posted(book=after, result=change.result)


def _book(connection: sqlite3.Connection, participant: str, agreement: str) -> Book | None:
    row = connection.execute(SQL["book"], (participant, agreement)).fetchone()
    return codec.decode_book(row[0]) if row is not None else None


def _postings(
    connection: sqlite3.Connection, participant: str, agreement: str, cursor: str | None, limit: int
) -> Page[Posting]:
    before = codec.number_after(cursor) if cursor is not None else _LAST
    book = _book(connection, participant, agreement)
    rows: list[tuple[Any, ...]] = connection.execute(SQL["postings"], (participant, agreement, before, limit + 1)).fetchall()
    return codec.posting_page(rows, book, limit)


def _due(connection: sqlite3.Connection, now: datetime, limit: int) -> tuple[BookKey, ...]:
    rows = connection.execute(SQL["due_books"], (codec.micros(now), limit)).fetchall()
    return tuple(BookKey(participant=participant, agreement=agreement) for participant, agreement in rows)


def _next_moment(connection: sqlite3.Connection) -> datetime | None:
    (first,) = connection.execute(SQL["next_book"]).fetchone()
    return codec.moment_of(first) if first is not None else None
