"""The contract of the journal: what was appended stays as it is, in its order, and whatever is done to it shows."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from connector.errors import BadMessage
from connector.ports.journal import BEGINNING, Chain, Entry, Journal, Line, Link, holds, verify
from connector.ports.page import Page
from connector.ports.store import Store
from connector.testing.store_contract.values import NOW, SECOND, Nodes

ODD: dict[str, Any] = {"b": [1, -2.5, None, True, {"ü": "€😀\n"}], "a": {"z": 1, "A": 10**15}, "": ""}


def lines(*numbers: int) -> tuple[Line, ...]:
    """Lines that are a second apart."""
    return tuple(Line(at=NOW + number * SECOND, body={"n": number}) for number in numbers)


def _numbers(page: Page[Entry]) -> list[int]:
    return [entry.number for entry in page.items]


class Tampered:
    """A journal from which `change` takes, or in which it changes, what it likes."""

    def __init__(self, journal: Journal, change: Mapping[int, Entry | None]) -> None:
        self._journal = journal
        self._change = change

    def __getattr__(self, name: str) -> Any:
        return getattr(self._journal, name)

    async def page(self, *where: str, **how: Any) -> Page[Entry]:
        page = await self._journal.page(*where, **how)
        changed = [self._change.get(entry.number, entry) for entry in page.items]
        return replace(page, items=tuple(entry for entry in changed if entry is not None))


class JournalContract:
    """Appending, reading, trimming, verifying."""

    async def test_what_is_appended_is_numbered_chained_and_read_back(self, nodes: Nodes) -> None:
        here, there = await nodes("here"), await nodes("there")
        links = await here.journal.append("alice", "decisions", (*lines(1), Line(at=NOW, body=ODD)))
        links += await there.journal.append("alice", "decisions", [Line(at=NOW, body=b'{"a":[1],"b":"written already"}')])
        page = await here.journal.page("alice", "decisions")
        first, second, third = page.items
        assert links == tuple(Link(number=entry.number, sha256=entry.sha256) for entry in page.items)
        assert [entry.number for entry in (first, second, third)] == [1, 2, 3]
        assert (first.previous, second.previous, third.previous) == (BEGINNING.sha256, first.sha256, second.sha256)
        assert (second.participant, second.stream, second.at, second.body) == ("alice", "decisions", NOW, ODD)
        assert third.body == {"a": [1], "b": "written already"}
        assert page == Page(items=(first, second, third), total=3)
        last = Link(number=3, sha256=third.sha256)
        assert await there.journal.chain("alice", "decisions") == Chain(before=BEGINNING, last=last)
        verdict = await verify(here.journal, "alice", "decisions", noted=Link(number=2, sha256=second.sha256))
        assert (verdict.is_whole, verdict.checked, verdict.last) == (True, 3, last)

    async def test_the_digest_is_the_one_that_is_documented(self, store: Store) -> None:
        body = {"b": "ü", "a": [1]}
        at = datetime(1970, 1, 1, 0, 0, 1, 5, tzinfo=UTC)
        (link,) = await store.journal.append("alice", "s", (Line(at=at, body=body),))
        # sha256sum of the five lines and the body, made without this code
        assert link.sha256 == "a04257310f8e1a302e273bcb5691b5d03a96566fe3cc45c56a4af3c2f3e11abf"

    async def test_streams_and_contexts_are_apart(self, store: Store) -> None:
        for participant, stream in (("alice", "audit"), ("alice", "decisions"), ("bob", "audit")):
            (link,) = await store.journal.append(participant, stream, lines(1))
            assert link.number == 1
        assert await store.journal.streams("alice") == ("audit", "decisions")
        assert await store.journal.streams("carol") == ()
        assert (await store.journal.page("bob", "audit")).total == 1
        digests = {(await store.journal.page(p, s)).items[0].sha256 for p, s in (("alice", "audit"), ("bob", "audit"))}
        assert len(digests) == 2

    async def test_what_was_never_written_is_empty_and_whole(self, store: Store) -> None:
        assert await store.journal.append("alice", "audit", ()) == ()
        assert await store.journal.chain("alice", "audit") is None
        assert await store.journal.page("alice", "audit") == Page(items=(), total=0)
        assert (await verify(store.journal, "alice", "audit")).is_whole

    async def test_whether_an_append_is_written_can_be_asked_when_its_answer_was_lost(self, nodes: Nodes) -> None:
        here, there = await nodes("here"), await nodes("there")
        sent = (*lines(2, 1), Line(at=NOW, body=ODD))
        assert not await holds(here.journal, "alice", "audit", sent)
        await there.journal.append("alice", "audit", lines(1, 2))
        await here.journal.append("alice", "audit", sent)
        await there.journal.append("alice", "audit", [Line(at=NOW + SECOND, body=b'{"n":7}')])
        assert await holds(here.journal, "alice", "audit", sent)
        assert await holds(here.journal, "alice", "audit", [Line(at=NOW + SECOND, body=b'{"n":7}')])
        for other in (lines(3), lines(1, 1), (*sent, *lines(1)), [Line(at=NOW + 2 * SECOND, body={"n": 7})]):
            assert not await holds(here.journal, "alice", "audit", other)
        assert not await holds(here.journal, "bob", "audit", sent)

    async def test_replicas_that_append_at_once_make_one_chain(self, nodes: Nodes) -> None:
        stores = [await nodes(f"node-{number}") for number in range(3)]
        appended = await asyncio.gather(
            *(store.journal.append("alice", "audit", lines(n, n + 1)) for n, store in enumerate(stores * 5))
        )
        # each append stands together, and none is lost or doubled
        assert all(second.number == first.number + 1 for first, second in appended)
        assert sorted(link.number for pair in appended for link in pair) == list(range(1, 31))
        verdict = await verify(stores[0].journal, "alice", "audit")
        assert (verdict.fault, verdict.checked) == ("", 30)

    async def test_pages_go_both_ways_and_know_the_total(self, store: Store) -> None:
        await store.journal.append("alice", "audit", lines(*range(1, 8)))
        first = await store.journal.page("alice", "audit", limit=3)
        second = await store.journal.page("alice", "audit", limit=3, cursor=first.next_cursor)
        third = await store.journal.page("alice", "audit", limit=3, cursor=second.next_cursor)
        assert [_numbers(page) for page in (first, second, third)] == [[1, 2, 3], [4, 5, 6], [7]]
        assert [page.total for page in (first, second, third)] == [7] * 3
        assert third.next_cursor is None
        newest = await store.journal.page("alice", "audit", limit=4, is_newest_first=True)
        assert _numbers(newest) == [7, 6, 5, 4]
        rest = await store.journal.page("alice", "audit", limit=4, is_newest_first=True, cursor=newest.next_cursor)
        assert (_numbers(rest), rest.next_cursor) == ([3, 2, 1], None)

    async def test_a_page_can_be_of_a_time(self, store: Store) -> None:
        await store.journal.append("alice", "audit", lines(1, 2, 3, 4, 5))
        between = await store.journal.page("alice", "audit", since=NOW + 2 * SECOND, until=NOW + 4 * SECOND)
        assert (_numbers(between), between.total) == ([2, 3], 2)
        assert _numbers(await store.journal.page("alice", "audit", since=NOW + 5 * SECOND)) == [5]
        none = await store.journal.page("alice", "audit", until=NOW)
        assert (none.items, none.total) == ((), 0)
        late = await store.journal.page("alice", "audit", since=NOW + 2 * SECOND, limit=1)
        later = await store.journal.page("alice", "audit", since=NOW + 2 * SECOND, limit=1, cursor=late.next_cursor)
        assert (_numbers(late), _numbers(later), later.total) == ([2], [3], 4)

    async def test_a_foreign_cursor_is_refused(self, store: Store) -> None:
        await store.journal.append("alice", "audit", lines(1))
        with pytest.raises(BadMessage):
            await store.journal.page("alice", "audit", cursor="?")

    @pytest.mark.parametrize("name", ["", "Audit", "a b", "a\n", "1a", "a" * 65, "ä"])
    async def test_a_stream_has_a_plain_name(self, store: Store, name: str) -> None:
        with pytest.raises(BadMessage, match="no name of a journal's stream"):
            await store.journal.append("alice", name, lines(1))

    async def test_what_is_no_json_is_refused_and_nothing_is_written(self, store: Store) -> None:
        for odd in ({"a": object()}, {"a": 1 << 70}, {1: "number as a name"}, {"a": "\ud800"}):
            with pytest.raises(BadMessage, match="cannot be written to the journal"):
                await store.journal.append("alice", "audit", (*lines(1), Line(at=NOW, body=odd)))  # type: ignore[arg-type]
        assert await store.journal.chain("alice", "audit") is None

    async def test_a_removed_changed_or_moved_entry_is_found(self, store: Store) -> None:
        await store.journal.append("alice", "audit", lines(1, 2, 3, 4))
        _, _, third, fourth = (await store.journal.page("alice", "audit")).items
        for change, fault in (
            ({3: None}, "entry 3 is missing"),
            ({4: None}, "entry 4 and what follows it up to 4 are gone"),
            ({3: replace(third, body={"n": 33})}, "entry 3 is not what was written"),
            ({3: replace(third, at=NOW)}, "entry 3 is not what was written"),
            ({3: replace(third, sha256="0" * 64)}, "entry 3 is not what was written"),
            ({3: replace(fourth, number=3), 4: replace(third, number=4)}, "entry 3 does not follow"),
        ):
            verdict = await verify(Tampered(store.journal, change), "alice", "audit")
            assert fault in verdict.fault, verdict
            assert not verdict.is_whole

    async def test_a_stream_that_was_written_anew_does_not_hold_what_was_noted(self, store: Store) -> None:
        await store.journal.append("alice", "audit", lines(1, 2, 3))
        for noted, fault in ((2, "entry 2 has the digest"), (7, "entry 7 was noted, and the stream ends at 3")):
            verdict = await verify(store.journal, "alice", "audit", noted=Link(number=noted, sha256="f" * 64))
            assert fault in verdict.fault
        assert not (await verify(store.journal, "alice", "gone", noted=Link(number=1, sha256="f" * 64))).is_whole

    async def test_a_trimmed_stream_goes_on_and_is_whole(self, store: Store) -> None:
        links = await store.journal.append("alice", "audit", lines(1, 2, 5, 3, 6))
        assert await store.journal.trim("alice", "audit", NOW) == 0
        assert await store.journal.trim("alice", "audit", NOW + 4 * SECOND, limit=1) == 1
        # the entry of second 3 lies behind one that is kept, and is kept with it
        assert await store.journal.trim("alice", "audit", NOW + 4 * SECOND) == 1
        assert await store.journal.trim("alice", "audit", NOW + 4 * SECOND) == 0
        page = await store.journal.page("alice", "audit")
        assert (_numbers(page), page.total) == ([3, 4, 5], 3)
        before, last = links[1], links[4]
        assert await store.journal.chain("alice", "audit") == Chain(before=before, last=last)
        (added,) = await store.journal.append("alice", "audit", lines(7))
        assert added.number == 6
        assert (await verify(store.journal, "alice", "audit")).checked == 4
        assert await store.journal.trim("alice", "audit", NOW + 100 * SECOND) == 4
        await store.journal.append("alice", "audit", lines(8))
        (late,) = (await store.journal.page("alice", "audit")).items
        assert (late.number, late.previous) == (7, added.sha256)
        assert (await verify(store.journal, "alice", "audit", noted=last)).is_whole
        assert await store.journal.trim("carol", "audit", NOW) == 0
