"""What one node writes wakes the others, at once while they hear each other, and within a second in any case."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from datetime import timedelta

import asyncpg
import pytest

from connector.dsp.tables import Kind
from connector.ports.jobs import NewJob
from connector.ports.store import Key, Retry
from connector.storage.postgres import herald
from connector.storage.postgres.store import PostgresStore
from connector.testing.store_contract.values import LEASE, LEASE_S, NOW, adding, due, key, negotiation, outgoing, put

_WITHIN_S, _LOOK_S = 5.0, 0.005


async def becomes(is_so: Callable[[], bool]) -> None:
    """Returns when it is so."""
    for _ in range(int(_WITHIN_S / _LOOK_S)):
        if is_so():
            return
        await asyncio.sleep(_LOOK_S)
    raise AssertionError("it does not become so")


class Node:
    """A store, and how often its timers were woken."""

    def __init__(self, url: str, name: str) -> None:
        self.store = PostgresStore(url=url, node=name, lease_s=LEASE_S, connections=2)
        self.woken = asyncio.Event()
        self.store.listen(self.woken.set)

    async def hears(self) -> None:
        """Returns when it was woken since the last time."""
        async with asyncio.timeout(_WITHIN_S):
            await self.woken.wait()
        self.woken.clear()

    async def listens(self) -> None:
        """Returns when its herald has its connection."""
        await becomes(lambda: self.herald._connection is not None)

    @property
    def herald(self) -> herald.Herald:
        assert self.store._open is not None
        return self.store._open[1]


@pytest.fixture
async def nodes(database: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[list[Node]]:
    """Two nodes that hear each other and do not look by themselves."""
    monkeypatch.setattr(herald, "_LOOK_EVERY_S", 3600.0)
    async with AsyncExitStack() as stack:
        found = [Node(database, name) for name in ("here", "there")]
        for node in found:
            await node.store.open()
            stack.push_async_callback(node.store.close)
            await node.listens()
        yield found


async def test_messages_acts_and_retries_wake_the_other_node(nodes: list[Node]) -> None:
    here, there = nodes
    place = await put(here.store, negotiation("one"), outgoing=(outgoing("m"),))
    await there.hears()
    assert await there.store.next_moment() == NOW + LEASE
    await here.store.advance(place, adding(retries=(Retry(message_id="m", not_before=NOW + LEASE / 2),)))
    await there.hears()
    await here.store.advance(place, adding(due=(due("agree", NOW),)))
    await there.hears()
    # nobody wakes itself: what it writes it knows
    assert not here.woken.is_set()


async def test_work_that_a_new_start_frees_wakes_the_other_node(nodes: list[Node]) -> None:
    here, there = nodes
    await put(here.store, negotiation("one"), outgoing=(outgoing("m"),))
    await there.hears()
    await here.store.release()
    await there.hears()
    assert len(await there.store.claim(NOW)) == 1


async def test_what_is_later_than_what_was_told_is_not_told(nodes: list[Node]) -> None:
    here, there = nodes
    place = await put(here.store, negotiation("one"), due=(due("soon", NOW),))
    await there.hears()
    for number in range(20):
        await here.store.advance(place, adding(due=(due("later", NOW + number * timedelta(seconds=1)),)))
    await here.store.advance(place, adding(due=(due("sooner", NOW - LEASE),)))
    await there.hears()
    assert not there.woken.is_set()


async def test_what_a_node_has_stopped_is_noticed_by_the_other_and_jobs_wake_it(nodes: list[Node]) -> None:
    here, there = nodes
    noticed: list[Key] = []
    here.store.heed(noticed.append)
    there.store.heed(noticed.append)
    stopped = [key(f"urn:uuid:{n}", kind=Kind.TRANSFER) for n in range(3)]
    for one in stopped:
        here.store.notice(one)
    await becomes(lambda: noticed == stopped)
    woken = asyncio.Event()
    there.store.jobs.listen(woken.set)
    await here.store.jobs.put((NewJob(participant="alice", kind="k", id="1", body={}),), NOW)
    async with asyncio.timeout(_WITHIN_S):
        await woken.wait()


async def test_nodes_of_another_schema_are_not_woken(nodes: list[Node], postgres: str) -> None:
    from tests.servers.postgres import emptied

    here, _ = nodes
    async with emptied(postgres) as url:
        stranger = Node(url, "stranger")
        await stranger.store.open()
        await stranger.listens()
        await put(here.store, negotiation("one"), due=(due("agree", NOW),))
        await nodes[1].hears()
        assert not stranger.woken.is_set()
        await stranger.store.close()


async def test_a_node_looks_by_itself_whatever_it_hears(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(herald, "_LOOK_EVERY_S", 0.01)
    node = Node(database, "alone")
    await node.store.open()
    for _ in range(3):
        await node.hears()
    await node.store.close()


async def test_a_herald_that_was_cut_off_listens_again(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(herald, "_LOOK_EVERY_S", 0.01)
    here, there = Node(database, "here"), Node(database, "there")
    for node in (here, there):
        await node.store.open()
        await node.listens()
    heard: list[str] = []
    monkeypatch.setattr(there.herald, "_hear", lambda *arguments: heard.append(arguments[3]))
    first = there.herald._connection
    other = await asyncpg.connect(database)
    await other.execute("SELECT pg_terminate_backend($1)", first.get_server_pid())
    await becomes(lambda: there.herald._connection not in (None, first))
    await put(here.store, negotiation("one"), due=(due("agree", NOW),))
    await becomes(lambda: bool(heard))
    assert heard[0].startswith("here ")
    await other.close()
    for node in (here, there):
        await node.store.close()


async def test_a_listener_that_fails_ends_nothing(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(herald, "_LOOK_EVERY_S", 0.01)
    node, woken = Node(database, "here"), list[int]()

    def wake() -> None:
        woken.append(len(woken))
        if len(woken) == 1:
            raise RuntimeError("a fault of ours")

    node.store.listen(wake)
    await node.store.open()
    await becomes(lambda: len(woken) > 2)
    await node.listens()
    await node.store.close()


async def test_two_nodes_with_one_id_are_told(nodes: list[Node], database: str, caplog: pytest.LogCaptureFixture) -> None:
    def warnings() -> list[str]:
        return [record.__dict__["fields"]["node"] for record in caplog.records if record.getMessage() == "store.node_id_taken"]

    assert warnings() == []
    second = Node(database, "here")
    await second.store.open()
    await second.listens()
    assert warnings() == ["here"]
    await second.store.close()


async def test_what_others_say_on_the_channel_does_no_harm(nodes: list[Node], database: str) -> None:
    here, there = nodes
    other = await asyncpg.connect(database)
    for payload in ("", "nonsense", "here", "here soon"):
        await other.execute("SELECT pg_notify($1, $2)", there.herald._channel, payload)
    await other.close()
    await put(here.store, negotiation("one"), due=(due("agree", NOW),))
    await there.hears()
