"""Uses that are added up and posted together: each counts once, also those that come while others are posted."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from connector.controlplane.tallies import EVERY, Tallies
from connector.errors import StoreUnavailable
from connector.ports.ledger import Book, Posted
from connector.storage.memory import MemoryStore
from connector.testing.store_contract.values import NOW, SECOND

PLACE, RULES = ("alice", "urn:a"), ("permission",)


class Busy:
    """A ledger at which something happens whenever it is posted to."""

    def __init__(self, happens: Callable[[], None]) -> None:
        self._ledger = MemoryStore(node="one", lease_s=30).ledger
        self._happens = happens

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)

    async def post(self, *where: Any) -> Posted:
        self._happens()
        return await self._ledger.post(*where)

    async def kept(self) -> Book:
        book = await self._ledger.book(*PLACE)
        assert book is not None
        return book


async def test_what_comes_while_others_are_posted_waits_for_the_next_time() -> None:
    tallies: Tallies

    def one_more() -> None:
        tallies.began(PLACE, RULES, NOW + SECOND)

    ledger = Busy(one_more)
    tallies = Tallies(ledger)
    assert tallies.began(PLACE, RULES, NOW)
    assert not tallies.moved(PLACE, RULES, NOW + SECOND, 10)
    assert tallies.due_at == NOW + EVERY
    await tallies.post(NOW + EVERY)
    assert (await ledger.kept()).total.count == 1
    assert tallies.due_at == NOW + SECOND + EVERY
    await tallies.post(NOW + 2 * EVERY)
    total = (await ledger.kept()).total
    assert (total.count, total.moved_bytes, total.first_at, total.last_at) == (2, 10, NOW, NOW + SECOND)


async def test_what_could_not_be_posted_is_posted_later_once() -> None:
    faults = [StoreUnavailable("the disk is full")]

    def full() -> None:
        if faults:
            raise faults.pop()

    ledger = Busy(full)
    tallies = Tallies(ledger)
    for seconds in (3, 1, 2):
        tallies.began(PLACE, RULES, NOW + timedelta(seconds=seconds), 5)
    with pytest.raises(StoreUnavailable):
        await tallies.post(NOW)
    assert len(tallies) == 1
    await tallies.post(NOW)
    assert (len(tallies), tallies.due_at) == (0, None)
    total = (await ledger.kept()).total
    assert (total.count, total.moved_bytes, total.first_at, total.last_at) == (3, 15, NOW + SECOND, NOW + 3 * SECOND)


@pytest.mark.parametrize("fault", [StoreUnavailable("the connection was lost"), asyncio.CancelledError()])
async def test_what_was_posted_without_our_being_told_counts_once(fault: BaseException) -> None:
    faults = [fault]

    class Mute(Busy):
        async def post(self, *where: Any) -> Posted:
            posted = await super().post(*where)
            if faults:
                raise faults.pop()
            return posted

    ledger = Mute(lambda: None)
    tallies = Tallies(ledger)
    other = ("alice", "urn:b")
    for place in (PLACE, other):
        tallies.began(place, RULES, NOW, 5)
    with pytest.raises(type(fault)):
        await tallies.post(NOW)
    tallies.began(PLACE, RULES, NOW + SECOND, 5)
    assert (len(tallies), tallies.due_at) == (3, NOW + EVERY)
    await tallies.post(NOW + EVERY)
    assert (len(tallies), tallies.due_at) == (0, None)
    total = (await ledger.kept()).total
    assert (total.count, total.moved_bytes, total.last_at) == (2, 10, NOW + SECOND)
    others = await ledger.book(*other)
    assert others is not None
    assert others.total.count == 1
