"""The contract of lists: newest first, whole totals, pages that stay right while rows are added, nothing of another context."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from connector.dsp.process import Process
from connector.dsp.tables import Kind, Role, State
from connector.errors import BadMessage
from connector.ports.store import Change, Filter, Page, Store
from connector.testing.store_contract.values import always, key, negotiation, put, transfer


async def all_pages(ask: Callable[[str | None], Awaitable[Page[Any]]]) -> list[Any]:
    """The items of every page, in order; each page but the last is followed by its cursor."""
    items: list[Any] = []
    cursor: str | None = None
    while True:
        page = await ask(cursor)
        items += page.items
        cursor = page.next_cursor
        if cursor is None:
            return items


class ListContract:
    """Lists of processes."""

    async def test_an_empty_list_is_one_empty_page(self, store: Store) -> None:
        page = await store.processes(Kind.NEGOTIATION, "alice", Filter())
        assert page == Page(items=(), total=0, next_cursor=None)

    async def test_a_list_has_the_newest_first_and_only_its_own(self, store: Store) -> None:
        for pid in ("c", "a", "b"):
            await put(store, negotiation(pid))
        await put(store, transfer("t"))
        await put(store, negotiation("d", participant="carol"))
        page = await store.processes(Kind.NEGOTIATION, "alice", Filter())
        assert page == Page(items=(negotiation("b"), negotiation("a"), negotiation("c")), total=3, next_cursor=None)
        assert (await store.processes(Kind.TRANSFER, "alice", Filter())).items == (transfer("t"),)

    async def test_a_change_does_not_move_a_process_in_the_list(self, store: Store) -> None:
        for pid in ("one", "two"):
            await put(store, negotiation(pid))
        await store.advance(key("one"), always(Change(process=negotiation("one", state=State.AGREED))))
        page = await store.processes(Kind.NEGOTIATION, "alice", Filter())
        assert [process.pid for process in page.items] == ["two", "one"]

    @pytest.mark.parametrize(
        ("filter_", "found"),
        [
            (Filter(state=State.AGREED), ["agreed"]),
            (Filter(role=Role.CONSUMER), ["consumer"]),
            (Filter(peer="urn:dave"), ["dave"]),
            (Filter(dataset="urn:other"), ["other"]),
            (Filter(is_held=True), ["held"]),
            (Filter(is_held=False), ["other", "dave", "consumer", "agreed", "plain"]),
            (Filter(agreement_id="urn:agreement:7"), ["agreed"]),
            (Filter(state=State.REQUESTED, peer="urn:bob", is_held=False), ["other", "consumer", "plain"]),
            (Filter(state=State.AGREED, is_held=True), []),
        ],
    )
    async def test_a_filter_narrows_the_list_and_its_total(self, store: Store, filter_: Filter, found: list[str]) -> None:
        for process in (
            negotiation("plain"),
            negotiation("agreed", state=State.AGREED, agreement={"@id": "urn:agreement:7"}),
            negotiation("consumer", role=Role.CONSUMER),
            negotiation("dave", peer="urn:dave"),
            negotiation("other", dataset="urn:other"),
            negotiation("held", hold="wait"),
        ):
            await put(store, process)
        page = await store.processes(Kind.NEGOTIATION, "alice", filter_)
        assert [process.pid for process in page.items] == found
        assert page.total == len(found)

    async def test_a_filter_goes_by_what_a_process_is_now(self, store: Store) -> None:
        place = await put(store, negotiation("one", hold="wait"))

        async def count(filter_: Filter) -> int:
            return (await store.processes(Kind.NEGOTIATION, "alice", filter_)).total

        agreed = negotiation("one", state=State.AGREED, agreement={"@id": "urn:a"})
        await store.advance(place, always(Change(process=agreed)))
        assert await count(Filter(state=State.REQUESTED)) == 0
        assert await count(Filter(is_held=True)) == 0
        assert await count(Filter(state=State.AGREED, agreement_id="urn:a", is_held=False)) == 1
        await store.advance(place, always(Change(process=negotiation("one", state=State.AGREED, hold="again"))))
        assert await count(Filter(agreement_id="urn:a")) == 0
        assert await count(Filter(is_held=True)) == 1

    async def test_transfers_are_found_by_their_agreement(self, store: Store) -> None:
        await put(store, transfer("one"))
        await put(store, transfer("two", agreement_id="urn:other"))
        page = await store.processes(Kind.TRANSFER, "alice", Filter(agreement_id="urn:agreement:7"))
        assert [process.pid for process in page.items] == ["one"]

    async def test_pages_have_every_item_once_and_the_whole_total(self, store: Store) -> None:
        for number in range(7):
            await put(store, negotiation(f"p{number}"))
            await put(store, negotiation(f"x{number}", peer="urn:dave"))
        for limit in (1, 3, 7, 8):
            sizes: list[int] = []

            async def ask(cursor: str | None, limit: int = limit, sizes: list[int] = sizes) -> Page[Process]:
                page = await store.processes(Kind.NEGOTIATION, "alice", Filter(peer="urn:bob"), cursor=cursor, limit=limit)
                assert page.total == 7
                sizes.append(len(page.items))
                return page

            assert [process.pid for process in await all_pages(ask)] == [f"p{n}" for n in reversed(range(7))]
            assert all(size == limit for size in sizes[:-1])
            assert 0 < sizes[-1] <= limit

    async def test_pages_stay_right_while_processes_are_added(self, store: Store) -> None:
        for number in range(6):
            await put(store, negotiation(f"p{number}"))
        added = 0

        async def ask(cursor: str | None) -> Page[Process]:
            nonlocal added
            page = await store.processes(Kind.NEGOTIATION, "alice", Filter(), cursor=cursor, limit=2)
            await put(store, negotiation(f"late{added}"))
            added += 1
            return page

        assert [process.pid for process in await all_pages(ask)] == [f"p{n}" for n in reversed(range(6))]

    @pytest.mark.parametrize("cursor", ["", "?", "ü", "bm90IGEgbnVtYmVy", "LTE", "w6k", "OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk"])
    async def test_a_cursor_of_someone_elses_making_is_refused(self, store: Store, cursor: str) -> None:
        await put(store, negotiation("one"))
        with pytest.raises(BadMessage, match="cursor"):
            await store.processes(Kind.NEGOTIATION, "alice", Filter(), cursor=cursor)
