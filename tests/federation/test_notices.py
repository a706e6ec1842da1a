"""Members are told of what is new for them, by feed and by webhook, and see who wants what they have."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from connector.controlplane.clock import SystemClock
from connector.controlplane.jobs import Workers
from connector.errors import AddressRefused
from connector.federation import notices as subject
from connector.federation.notices import Notices
from connector.federation.reading import entry_of
from connector.outbound.client import OutboundClient
from connector.outbound.rules import OutboundRules
from connector.ports.catalog import Report, Snapshot
from connector.ports.identity import Caller
from connector.storage.memory import MemoryStore
from connector.web.catalog import notices as doors
from connector.web.public import public_app
from tests.bench import crowd
from tests.web.catalog.stand import Stand, stand

ANNA = Caller(id=crowd.participant_id(0))


class Scene:
    """A ledger with notices, and a server that webhooks go to."""

    def __init__(self, there: Stand, store: MemoryStore, outbound: OutboundClient, folder: Path) -> None:
        self.there = there
        self.store = store
        self.clock = SystemClock()
        self.notices = Notices(store, there.records, there.ledger, there.indexer, outbound, self.clock)
        self.workers = Workers(store.jobs, self.clock, lease_s=30)
        self.workers.register(subject.KIND, self.notices.tell)
        self.heard: list[Any] = []

    async def publish(self, member: int, id_: str, title: str) -> None:
        """Member `member` offers one thing more."""
        tree = {**crowd.product(member, 0, 0), "@id": id_, "dct:title": title, "dct:description": title}
        entry = entry_of(tree, origin=crowd.participant_id(member), endpoint="https://x.example/dsp")
        now = self.clock.now()
        report = Report(at=now, is_good=True)
        one = Snapshot(member=entry.origin, entries=(entry,), report=report, next_at=now, is_partial=True)
        await self.there.records.swap([one], now)
        while await self.there.indexer.catch_up():
            pass

    async def hook(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.partition(b"content-length:")[2].split(b"\r\n")[0])
        self.heard.append(json.loads(await reader.readexactly(length)))
        writer.write(b"HTTP/1.1 204 X\r\nconnection: close\r\n\r\n")
        await writer.drain()
        writer.close()


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    rules = OutboundRules(allow_http=True, allow_loopback=True)
    async with stand(tmp_path, members=4) as there, OutboundClient(rules) as outbound:
        yield Scene(there, MemoryStore(node="n", lease_s=30), outbound, tmp_path)


async def test_a_saved_search_tells_what_came_since_and_nothing_else(scene: Scene) -> None:
    saved = await scene.notices.save(ANNA, {"q": ["platypus"]}, None)
    assert await scene.notices.news(ANNA, saved.id, saved.after) == ([], saved.after, False)
    await scene.publish(1, "urn:p", "A platypus census")
    await scene.publish(2, "urn:q", "Something else")
    found, last, has_more = await scene.notices.news(ANNA, saved.id, saved.after)
    assert ([one.entry.id for one in found], has_more) == (["urn:p"], False)
    assert (await scene.notices.news(ANNA, saved.id, last))[0] == []
    with pytest.raises(Exception, match="no such thing of yours"):
        await scene.notices.news(Caller(id="did:web:other"), saved.id, 0)
    await scene.notices.drop(ANNA.id, subject.SEARCHES, saved.id)
    assert await scene.notices.saved(ANNA.id) == []


async def test_a_webhook_is_told_once_of_each_change_and_only_where_it_may_stand(scene: Scene) -> None:
    with pytest.raises(AddressRefused):
        await scene.notices.save(ANNA, {"q": ["x"]}, "http://169.254.169.254/latest")
    server = await asyncio.start_server(scene.hook, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, asyncio.TaskGroup() as tasks:
        await scene.notices.save(ANNA, {"q": ["platypus"]}, f"http://127.0.0.1:{port}/hook")
        await scene.publish(1, "urn:p", "A platypus census")
        running = [tasks.create_task(work()) for work in (scene.notices.run, scene.workers.run)]
        async with asyncio.timeout(10):
            while not scene.heard:  # noqa: ASYNC110 - what is waited for lies behind a socket
                await asyncio.sleep(0.01)
            await scene.publish(1, "urn:r", "Another platypus")
            while len(scene.heard) < 2:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        for task in running:
            task.cancel()
    assert [[item["id"] for item in body["items"]] for body in scene.heard] == [["urn:p"], ["urn:r"]]


async def test_a_demand_is_seen_by_all_and_says_to_a_provider_that_it_fits(scene: Scene) -> None:
    await scene.publish(1, "urn:p", "A platypus census")
    await scene.notices.want(ANNA, "Platypus census", "")
    other = Caller(id=crowd.participant_id(2))
    assert [one.fits for one in await scene.notices.demands(Caller(id=crowd.participant_id(1)))] == [True]
    assert [one.title for one in await scene.notices.demands(other)] == ["Platypus census"]
    assert [one.fits for one in await scene.notices.demands(None)] == [None]


async def test_members_leave_and_take_away_over_http_and_strangers_do_not(scene: Scene) -> None:
    app = public_app(doors.routes(scene.notices, scene.there.viewers, "http://l.example/catalog"), most=1000)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://l.example/catalog/api") as client:
        member = {"authorization": "member"}
        for path, body in {"/searches": {"fields": {"q": ["x"]}}, "/demands": {"title": "Wanted"}}.items():
            assert (await client.post(path, json=body)).status_code == 404
            left = await client.post(path, json=body, headers=member)
            assert left.status_code == 201
            listed = (await client.get(path, headers=member)).json()["items"]
            assert [one["id"] for one in listed] == [left.json()["id"]]
            if path == "/searches":
                news = (await client.get(f"/searches/{left.json()['id']}/news?after=0", headers=member)).json()
                assert set(news) == {"items", "sequence", "hasMore"}
            assert (await client.delete(f"{path}/{left.json()['id']}", headers=member)).status_code == 204
            assert (await client.delete(f"{path}/{left.json()['id']}", headers=member)).status_code == 404
        for path, wrong in (
            ("/searches", {"fields": {"colour": ["red"]}}), ("/searches", {"fields": "q"}), ("/searches", {"fields": {"q": []}}),
            ("/searches", []), ("/demands", {"title": ""}), ("/demands", {"title": 7}), ("/demands", {"title": "x" * 301}),
        ):  # fmt: skip
            assert (await client.post(path, json=wrong, headers=member)).status_code == 400, wrong
