"""Members are told of what is new for them, by feed and by webhook, and see who wants what they have."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from connector.controlplane.clock import SystemClock
from connector.controlplane.jobs import Workers
from connector.controlplane.secrets import Seal
from connector.controlplane.webhook_delivery import WATCH_PACE
from connector.errors import AddressRefused
from connector.federation import notices as subject
from connector.federation.ledger import Ledger
from connector.federation.notices import Notices, Readers
from connector.federation.query import Query
from connector.federation.reading import entry_of
from connector.outbound.client import OutboundClient
from connector.outbound.rules import OutboundRules
from connector.outbound.signing import key_of, signed
from connector.ports.catalog import Report, Snapshot
from connector.ports.identity import Caller
from connector.storage.catalog.records import CatalogRecords
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
        self.notices = Notices(store, there.records, there.ledger, there.indexer, outbound, Seal(bytes(32)), self.clock)
        self.workers = self.working()
        self.heard: list[tuple[dict[str, str], bytes]] = []
        self.answers: list[bytes] = []
        """Statuses that the receiver gives first; then it takes everything."""
        self.outbound = outbound

    def working(self) -> Workers:
        """What does the jobs: that of one node, or of another after it."""
        found = Workers(self.store.jobs, self.clock, lease_s=30)
        found.register(subject.KIND, self.notices.tell)
        found.register(subject.WATCH, self.notices.watch, WATCH_PACE)
        return found

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
        lines = (await reader.readuntil(b"\r\n\r\n")).decode().splitlines()[1:-1]
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        self.heard.append((headers, await reader.readexactly(int(headers["content-length"]))))
        status = self.answers.pop(0) if self.answers else b"204"
        writer.write(b"HTTP/1.1 %s X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n" % status)
        await writer.drain()
        writer.close()

    async def heard_of(self, count: int) -> list[list[str]]:
        """What the webhook was told, once there are so many messages."""
        async with asyncio.timeout(20):
            while len(self.heard) < count:  # noqa: ASYNC110 - what is waited for lies behind a socket
                await asyncio.sleep(0.01)
        return [[item["id"] for item in json.loads(body)["items"]] for _, body in self.heard]


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    rules = OutboundRules(allow_http=True, allow_loopback=True)
    async with stand(tmp_path, members=4) as there, OutboundClient(rules) as outbound:
        yield Scene(there, MemoryStore(node="n", lease_s=30), outbound, tmp_path)


async def test_a_saved_search_tells_what_came_since_and_nothing_else(scene: Scene) -> None:
    saved, key = await scene.notices.save(ANNA, {"q": ["platypus"]}, None)
    assert key == ""
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


async def test_a_webhook_is_told_once_of_each_change_signed_and_only_where_it_may_stand(scene: Scene) -> None:
    with pytest.raises(AddressRefused):
        await scene.notices.save(ANNA, {"q": ["x"]}, "http://169.254.169.254/latest")
    async with await asyncio.start_server(scene.hook, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
        saved, key = await scene.notices.save(ANNA, {"q": ["platypus"]}, url)
        assert key not in str(await scene.store.documents(subject.CONTEXT, subject.SEARCHES))
        await scene.publish(1, "urn:p", "A platypus census")
        # the receiver is away at first: it is told again, under the same id
        scene.answers.append(b"503")
        working = asyncio.create_task(scene.workers.run())
        assert await scene.heard_of(2) == [["urn:p"], ["urn:p"]]
        assert len({headers["webhook-id"] for headers, _ in scene.heard}) == 1
        for headers, body in scene.heard:
            wanted = signed(key_of(key, ""), headers["webhook-id"], int(headers["webhook-timestamp"]), body, "application/json")
            assert headers["webhook-signature"] == wanted["webhook-signature"]
        working.cancel()
        # what came while nobody looked is told by whoever looks next
        await scene.publish(2, "urn:other", "Something else")
        await scene.publish(1, "urn:r", "Another platypus")
        await scene.store.jobs.release()
        working = asyncio.create_task(scene.working().run())
        assert (await scene.heard_of(3))[2:] == [["urn:r"]]
        await scene.notices.drop(ANNA.id, subject.SEARCHES, saved.id)
        async with asyncio.timeout(20):
            while (await scene.store.jobs.page(subject.CONTEXT, limit=1)).total:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        working.cancel()


async def test_saved_searches_are_read_once_each_change_once_and_one_that_cannot_be_asked_harms_no_other(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    documents, changes = MemoryStore.documents, CatalogRecords.changes

    async def counted(self: MemoryStore, participant: str, kind: str, **more: Any) -> Any:
        read.append(kind)
        return await documents(self, participant, kind, **more)

    async def told(self: CatalogRecords, after: int, limit: int) -> Any:
        read.extend(["changes"] if limit == 1_000 else [])
        return await changes(self, after, limit)

    monkeypatch.setattr(MemoryStore, "documents", counted)
    monkeypatch.setattr(CatalogRecords, "changes", told)
    async with await asyncio.start_server(scene.hook, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
        # of an earlier release, which compared prices of different currencies
        older, _ = await scene.notices.save(ANNA, {"q": ["platypus"]}, url)
        document = await scene.store.document(subject.CONTEXT, subject.SEARCHES, older.id)
        assert document is not None
        await scene.store.put_document(replace(document, body={**document.body, "fields": {"price_at_most": ["10"]}}))
        for number in range(8):
            await scene.publish(number % 3 + 1, f"urn:q{number}", "Something else")
            await scene.notices.save(Caller(id=f"did:web:{number}"), {"q": ["platypus"]}, url)
        await scene.publish(1, "urn:p", "A platypus census")
        read.clear()
        working = asyncio.create_task(scene.workers.run())
        assert await scene.heard_of(8) == [["urn:p"]] * 8
        working.cancel()
        assert read.count(subject.SEARCHES) <= 1
        assert read.count("changes") <= 3
    with pytest.raises(Exception, match="cannot be compared"):
        await scene.notices.news(ANNA, older.id, older.after)


async def test_a_demand_is_seen_by_whom_it_fits_and_by_all_where_its_owner_says_so(scene: Scene) -> None:
    await scene.publish(1, "urn:p", "A platypus census")
    await scene.publish(2, "urn:q", "Counting rivers")
    fitting, other = (Caller(id=crowd.participant_id(number)) for number in (1, 2))
    await scene.notices.want(ANNA, "Yearly platypus census wanted", "")
    for viewer, seen in ((fitting, [True]), (other, []), (ANNA, [False]), (None, [])):
        assert [one.fits for one in await scene.notices.demands(viewer)] == seen
    await scene.notices.want(ANNA, "鸭嘴兽普查", "", Readers.EVERYBODY)
    assert [one.title for one in await scene.notices.demands(other)] == ["鸭嘴兽普查"]
    assert [one.fits for one in await scene.notices.demands(None)] == [None]


async def test_a_full_board_costs_its_reader_each_word_once_and_who_offers_nothing_none(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    await scene.publish(1, "urn:p", "A yearly platypus census")
    fitting, other = Caller(id=crowd.participant_id(1)), Caller(id="did:web:offers-nothing.example")
    for number in range(30):
        await scene.notices.want(ANNA, f"Yearly platypus census of {2000 + number} wanted", "")
    asked: list[str] = []
    numbers = Ledger.numbers

    async def counted(self: Ledger, query: Query, viewer: Caller | None) -> tuple[int, ...]:
        asked.append(query.text)
        return await numbers(self, query, viewer)

    monkeypatch.setattr(Ledger, "numbers", counted)
    assert len(await scene.notices.demands(fitting)) == 30
    assert len(asked) == len(set(asked)) == 1 + 4 + 30
    asked.clear()
    assert (await scene.notices.demands(other), asked) == ([], [""])


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
            ("/searches", []), ("/demands", {"title": ""}), ("/demands", {"title": 7}), ("/demands", {"title": "a", "readers": "me"}),
            ("/demands", {"title": "x" * 301}),
        ):  # fmt: skip
            assert (await client.post(path, json=wrong, headers=member)).status_code == 400, wrong
