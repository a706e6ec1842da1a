"""The usage ledger in plain dictionaries, for the memory store: calls run on the event loop without waiting, so each is a transaction."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from connector.ports.ledger import Book, BookKey, DecideBook, Posted, Posting
from connector.ports.page import Page
from connector.storage import codec


@dataclass(slots=True)
class _Kept:
    """A book as bytes, and its lines."""

    body: bytes
    next_at: datetime | None
    results: dict[str, str] = field(default_factory=dict)
    rows: list[tuple[Any, ...]] = field(default_factory=list)


Books = dict[BookKey, _Kept]
"""What the nodes of one memory store share."""


class MemoryLedger:
    """The books of a memory store."""

    def __init__(self, books: Books) -> None:
        self._books = books

    async def post(self, participant: str, agreement: str, key: str, decide: DecideBook) -> Posted:
        at = BookKey(participant=participant, agreement=agreement)
        kept = self._books.get(at)
        book = codec.decode_book(kept.body) if kept is not None else Book()
        if kept is not None and key in kept.results:
            return Posted(book=book, result=kept.results[key], is_repeated=True)
        change = decide(book)
        if change.book is None:
            return Posted(book=book, result=change.result)
        after, body, facts = codec.written(book, key, change)
        assert change.at is not None
        row = (after.postings, key, change.kind.value, codec.micros(change.at), facts, after.evidence)
        kept = self._books.setdefault(at, _Kept(body, change.next_at))
        kept.body, kept.next_at = body, change.next_at
        kept.results[key] = change.result
        kept.rows.append(row)
        return Posted(book=after, result=change.result)

    async def book(self, participant: str, agreement: str) -> Book | None:
        kept = self._books.get(BookKey(participant=participant, agreement=agreement))
        return codec.decode_book(kept.body) if kept is not None else None

    async def postings(self, participant: str, agreement: str, *, cursor: str | None = None, limit: int = 100) -> Page[Posting]:
        before = codec.number_after(cursor) if cursor is not None else None
        kept = self._books.get(BookKey(participant=participant, agreement=agreement))
        rows = [row for row in reversed(kept.rows) if before is None or row[0] < before] if kept is not None else []
        return codec.posting_page(rows[: limit + 1], await self.book(participant, agreement), limit)

    async def due(self, now: datetime, *, limit: int = 100) -> tuple[BookKey, ...]:
        waiting = sorted((kept.next_at, number, at) for number, (at, kept) in enumerate(self._books.items()) if kept.next_at)
        return tuple(at for next_at, _, at in waiting if next_at <= now)[:limit]

    async def next_moment(self) -> datetime | None:
        return min((kept.next_at for kept in self._books.values() if kept.next_at is not None), default=None)
