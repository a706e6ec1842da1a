"""The part of the contract about the feed: complete, in one order, readable from anywhere, across nodes."""

from __future__ import annotations

import asyncio

import pytest

from connector.dsp.process import By, Record
from connector.dsp.tables import Role, State
from connector.errors import BadMessage
from connector.ports.feed import Happening
from connector.ports.store import Change, Store
from connector.testing.store_contract.values import NOW, Nodes, key, negotiation


def _note(text: str) -> Record:
    return Record(at=NOW, by=By.OPERATOR, event="note", state=State.REQUESTED, note=text)


async def _tell(store: Store, pid: str, *texts: str, participant: str = "alice") -> None:
    process = negotiation(pid, participant=participant)
    change = Change(process=process, records=tuple(map(_note, texts)))
    await store.advance(key(pid, participant=participant), lambda _: change)


async def _all(store: Store, position: str | None = None, *, limit: int = 100, participant: str = "alice") -> list[Happening]:
    """Everything behind `position`, read in parts."""
    found: list[Happening] = []
    for _ in range(1000):
        stretch = await store.feed.after(participant, position, limit=limit)
        if stretch.position == position:
            break
        position = stretch.position
        found += stretch.happenings
    return found


class FeedContract:
    """What every store's feed does."""

    async def test_the_feed_tells_what_happened_in_order(self, store: Store) -> None:
        assert await _all(store) == []
        for n in range(5):
            await _tell(store, f"urn:p{n % 2}", f"first {n}", f"second {n}")
        found = await _all(store)
        assert [one.record.note for one in found] == [f"{word} {n}" for n in range(5) for word in ("first", "second")]
        assert [one.pid for one in found][:4] == ["urn:p0", "urn:p0", "urn:p1", "urn:p1"]
        assert len({one.id for one in found}) == 10
        assert (found[0].participant, found[0].role, found[0].peer) == ("alice", Role.PROVIDER, "urn:bob")

    @pytest.mark.parametrize("limit", [1, 2, 3])
    async def test_it_is_read_in_parts_of_any_size(self, store: Store, limit: int) -> None:
        for n in range(5):
            await _tell(store, "urn:p", f"{n}")
        whole = await _all(store)
        assert await _all(store, limit=limit) == whole
        assert await _all(store, whole[2].position, limit=limit) == whole[3:]

    async def test_one_context_reads_its_own_alone(self, store: Store) -> None:
        for n, participant in enumerate(("alice", "other", "other", "alice", "other")):
            await _tell(store, f"urn:{participant}", f"{n}", participant=participant)
        assert [one.record.note for one in await _all(store, participant="alice", limit=1)] == ["0", "3"]
        assert [one.record.note for one in await _all(store, participant="nobody")] == []

    async def test_the_end_is_where_the_next_thing_comes(self, store: Store) -> None:
        await _tell(store, "urn:p", "before")
        end = await store.feed.end()
        assert (await store.feed.after("alice", end)).happenings == ()
        await _tell(store, "urn:p", "after")
        assert [one.record.note for one in await _all(store, end)] == ["after"]

    async def test_who_follows_while_others_write_misses_nothing_and_sees_nothing_twice(self, nodes: Nodes) -> None:
        here, there = await nodes("here"), await nodes("there")
        seen: list[Happening] = []

        async def follow() -> None:
            position = await here.feed.end()
            while len(seen) < 60:
                stretch = await here.feed.after("alice", position, limit=7)
                seen.extend(stretch.happenings)
                position = stretch.position
                await asyncio.sleep(0.001)

        async def write(store: Store, name: str) -> None:
            for n in range(30):
                await _tell(store, f"urn:{name}:{n % 3}", f"{name} {n}")

        async with asyncio.timeout(20):
            await asyncio.gather(follow(), write(here, "here"), write(there, "there"))
        assert len({one.id for one in seen}) == 60
        for name in ("here", "there"):
            notes = [one.record.note for one in seen if one.record.note.startswith(f"{name} ")]
            assert notes == [f"{name} {n}" for n in range(30)]

    @pytest.mark.parametrize("position", ["", "x", "-1", "1-2-3", "1e3", "9" * 30])
    async def test_what_is_no_position_is_refused(self, store: Store, position: str) -> None:
        with pytest.raises(BadMessage, match="no position"):
            await store.feed.after("alice", position)
