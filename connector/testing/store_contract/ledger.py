"""The usage ledger: one writer a book, keys that count once, postings that stay, and moments at which something is due."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from connector.errors import Conflict, InternalError
from connector.odrl.truth import DutyState, Period
from connector.ports.ledger import (
    NO_EVIDENCE,
    Book,
    BookChange,
    BookKey,
    Consent,
    DecideBook,
    DutyEntry,
    OpenUse,
    PostingKind,
    Recent,
    Use,
    evidence,
)
from connector.ports.store import Store
from connector.storage import codec
from connector.testing.store_contract.values import NOW, SECOND, Nodes

FULL = Book(
    uses={"urn:rule:1": Use(count=3, metered=timedelta(seconds=1.5), moved_bytes=7, first_at=NOW, last_at=NOW + SECOND)},
    total=Use(
        count=3, paid={"EUR": Decimal("10.50"), "CNY": Decimal("1E+3")}, rates={"P1M": Recent(began=NOW - SECOND, count=2)}
    ),
    open={"use:1": OpenUse(rules=("urn:rule:1",), process="urn:t", since=NOW, until=NOW + SECOND, has_begun=True)},
    duties={"obligation/0": DutyEntry(state=DutyState.FULFILLED, at=NOW, note="gelöscht")},
    events={"urn:event": Period(began=NOW)},
    consents={"": Consent(given_at=NOW, withdrawn_at=NOW + SECOND)},
)


def counted(limit: int = 10, **members: Any) -> DecideBook:
    """Counts one in, while `limit` allows it."""

    def decide(book: Book) -> BookChange:
        if book.total.count >= limit:
            return BookChange(result="no")
        after = Book(total=Use(count=book.total.count + 1))
        return BookChange(
            book=after, kind=PostingKind.RESERVED, at=NOW, facts={"n": after.total.count}, result="yes", **members
        )

    return decide


class LedgerContract:
    """Adapters keep books."""

    async def test_a_book_keeps_every_value(self, store: Store) -> None:
        assert await store.ledger.book("alice", "urn:a") is None
        change = BookChange(book=FULL, kind=PostingKind.OPENED, at=NOW, result="first")
        posted = await store.ledger.post("alice", "urn:a", "k", lambda book: change)
        assert (posted.result, posted.is_repeated) == ("first", False)
        kept = await store.ledger.book("alice", "urn:a")
        assert kept == posted.book
        assert kept is not None
        assert (kept.uses, kept.total, kept.open, kept.duties) == (FULL.uses, FULL.total, FULL.open, FULL.duties)
        assert (kept.events, kept.consents, kept.postings) == (FULL.events, FULL.consents, 1)

    async def test_a_new_book_is_empty(self, store: Store) -> None:
        seen: list[Book] = []

        def decide(book: Book) -> BookChange:
            seen.append(book)
            return BookChange(result="nothing")

        posted = await store.ledger.post("alice", "urn:a", "k", decide)
        assert seen == [Book()]
        assert posted.result == "nothing"
        # nothing was written, and the key is as new as before
        assert await store.ledger.book("alice", "urn:a") is None
        assert (await store.ledger.post("alice", "urn:a", "k", counted())).is_repeated is False

    async def test_a_known_key_gives_the_first_result_again(self, store: Store) -> None:
        await store.ledger.post("alice", "urn:a", "k", counted(1))
        again = await store.ledger.post("alice", "urn:a", "k", counted(1))
        assert (again.result, again.is_repeated, again.book.total.count) == ("yes", True, 1)
        assert (await store.ledger.post("alice", "urn:a", "other", counted(1))).result == "no"

    async def test_keys_and_books_belong_to_their_agreement_and_context(self, store: Store) -> None:
        for participant, agreement in (("alice", "urn:a"), ("alice", "urn:b"), ("carol", "urn:a")):
            posted = await store.ledger.post(participant, agreement, "k", counted(1))
            assert (posted.result, posted.is_repeated) == ("yes", False)
        assert (await store.ledger.postings("carol", "urn:b")).items == ()

    async def test_of_a_hundred_at_once_exactly_ten_are_granted(self, nodes: Nodes) -> None:
        stores = [await nodes("here"), await nodes("there")]
        asked = (stores[n % 2].ledger.post("alice", "urn:a", f"use:{n}", counted(10)) for n in range(100))
        results = [posted.result for posted in await asyncio.gather(*asked)]
        assert results.count("yes") == 10
        assert results.count("no") == 90
        book = await stores[0].ledger.book("alice", "urn:a")
        assert book is not None
        assert (book.total.count, book.postings) == (10, 10)

    async def test_what_a_decision_raises_changes_nothing(self, store: Store) -> None:
        def refuse(book: Book) -> BookChange:
            raise Conflict("no")

        await store.ledger.post("alice", "urn:a", "k1", counted())
        with pytest.raises(Conflict):
            await store.ledger.post("alice", "urn:a", "k2", refuse)
        with pytest.raises(InternalError, match="without a book or a moment"):
            await store.ledger.post("alice", "urn:a", "k3", lambda book: BookChange(book=book))
        assert (await store.ledger.postings("alice", "urn:a")).total == 1

    async def test_postings_are_listed_newest_first_and_chained(self, store: Store) -> None:
        for n in range(5):
            await store.ledger.post("alice", "urn:a", f"k{n}", counted())
        first = await store.ledger.postings("alice", "urn:a", limit=2)
        assert ([p.number for p in first.items], first.total) == ([5, 4], 5)
        assert (first.items[0].key, first.items[0].kind, first.items[0].at) == ("k4", PostingKind.RESERVED, NOW)
        rest = await store.ledger.postings("alice", "urn:a", cursor=first.next_cursor, limit=10)
        assert ([p.number for p in rest.items], rest.next_cursor) == ([3, 2, 1], None)
        previous = NO_EVIDENCE
        for posting in reversed((*first.items, *rest.items)):
            change = BookChange(book=Book(), kind=posting.kind, at=posting.at)
            previous = evidence(previous, posting.key, change, codec.encode(dict(posting.facts)))
            assert posting.evidence == previous

    async def test_books_are_found_when_something_in_them_is_due(self, store: Store) -> None:
        assert await store.ledger.next_moment() is None
        await store.ledger.post("alice", "urn:a", "k", counted(next_at=NOW + 2 * SECOND))
        await store.ledger.post("carol", "urn:b", "k", counted(next_at=NOW + SECOND))
        await store.ledger.post("carol", "urn:c", "k", counted())
        assert await store.ledger.next_moment() == NOW + SECOND
        assert await store.ledger.due(NOW) == ()
        first, second = BookKey(participant="carol", agreement="urn:b"), BookKey(participant="alice", agreement="urn:a")
        assert await store.ledger.due(NOW + 2 * SECOND) == (first, second)
        assert await store.ledger.due(NOW + 2 * SECOND, limit=1) == (first,)
        await store.ledger.post("carol", "urn:b", "k2", counted())
        assert await store.ledger.due(NOW + 2 * SECOND) == (second,)
