"""Streams of events on a real NATS server: read over HTTP, and pushed to where a consumer says."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
import pytest
from nats.aio.client import Client
from nats.js.client import JetStreamContext

from connector.dataplane.addresses import NATS_PUSH, PULL, PUSH
from connector.dsp.messages import DataAddress
from connector.dsp.tables import Role, State
from connector.dsp.transfer import Transfer
from connector.dsp.values import replace
from connector.errors import SourceError
from connector.ports.dataplane import DataRequest, EventPlace, Source
from tests.dataplane.conftest import Node, Start, address, transfer
from tests.servers.nats import door_in

PID = "urn:uuid:3"


@dataclass
class Server:
    """A stream of ours and one of the consumer's, on one server."""

    url: str
    credentials: str
    name: str
    js: JetStreamContext

    def source(self, **changes: object) -> Source:
        values = {"url": self.url, "credentials": self.credentials, "stream": self.name, **changes}
        return Source(type="nats", events=EventPlace(**values), name=self.name)  # type: ignore[arg-type]

    def destination(self, below: str, **changes: str) -> DataAddress:
        user, _, password = self.credentials.partition(":")
        return address(self.url, **{"subject": f"{self.name}.{below}", "user": user, "password": password, **changes})

    async def publish(self, *numbers: int, subject: str = "a") -> None:
        for number in numbers:
            await self.js.publish(f"{self.name}.out.{subject}", b"%d" % number)

    async def taken(self, count: int) -> list[int]:
        """The first `count` messages that reached the consumer's stream."""
        async with asyncio.timeout(10):
            while (await self.js.stream_info(f"{self.name}-in")).state.messages < count:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.01)
        found = [await self.js.get_msg(f"{self.name}-in", seq) for seq in range(1, count + 1)]
        return [int(message.data or b"") for message in found]


@pytest.fixture
async def server(nats: str) -> AsyncIterator[Server]:
    import nats as library

    url, credentials = door_in(nats)
    user, _, password = credentials.partition(":")
    client: Client = await library.connect(url, user=user, password=password)
    name, js = f"t{secrets.token_hex(6)}", client.jetstream()
    await js.add_stream(name=name, subjects=[f"{name}.out.>"])
    await js.add_stream(name=f"{name}-in", subjects=[f"{name}.in.>"])
    try:
        yield Server(url, credentials, name, js)
    finally:
        await js.delete_stream(name)
        await js.delete_stream(f"{name}-in")
        await client.close()


@pytest.fixture
async def node(start: Start, server: Server) -> Node:
    return await start(allowed_event_endpoints=(server.url,))


def push(server: Server, below: str = "in.x", **changes: str) -> Transfer:
    return transfer(PID, NATS_PUSH, Role.PROVIDER, destination=server.destination(below, **changes))


class Reading:
    """What a consumer reads, event by event."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.response = response

    async def events(self, count: int) -> list[tuple[int, dict[str, object]]]:
        found: list[tuple[int, dict[str, object]]] = []
        async with asyncio.timeout(10):
            while len(found) < count:
                block = (await self.response.content.readuntil(b"\n\n")).decode()
                fields = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line and not line.startswith(":"))
                if "data" in fields:
                    found.append((int(fields["id"]), json.loads(fields["data"])))
        return found


@asynccontextmanager
async def reading(url: str, token: str, **headers: str) -> AsyncIterator[Reading]:
    asked = {"Authorization": token} | {name.replace("_", "-"): value for name, value in headers.items()}
    async with aiohttp.ClientSession() as client, client.get(url, headers=asked) as response:
        yield Reading(response)


def numbers(events: list[tuple[int, dict[str, object]]]) -> list[object]:
    return [event["data"] for _, event in events]


def test_a_stream_is_pulled_and_pushed_where_an_event_server_is_allowed(node: Node, server: Server) -> None:
    assert node.plane.formats(server.source()) == (PULL, NATS_PUSH)


async def test_a_consumer_reads_events_as_they_come(node: Node, server: Server) -> None:
    await server.publish(1, 2)
    await server.js.publish(f"{server.name}.out.b", b"\xff no JSON")
    async with reading(*node.offer(server.source())) as consumer:
        assert consumer.response.headers["content-type"] == "text/event-stream"
        found = await consumer.events(3)
        await server.publish(4)
        later = await consumer.events(1)
    assert [id_ for id_, _ in found + later] == [1, 2, 3, 4]
    assert found[0][1] | {"time": ""} == {
        "specversion": "1.0", "id": "1", "source": "d", "type": "nats.message", "subject": f"{server.name}.out.a", "time": "", "data": 1,
    }  # fmt: skip
    assert found[2][1]["data_base64"] == "/yBubyBKU09O"
    assert later[0][1]["data"] == 4


async def test_only_the_subject_that_is_offered_is_read_and_only_what_is_new(node: Node, server: Server) -> None:
    await server.publish(1)
    source = server.source(subject=f"{server.name}.out.b", is_new_only=True)
    async with reading(*node.offer(source)) as consumer:
        await consumer.response.content.readuntil(b"\n\n")
        await server.publish(2)
        await server.publish(3, subject="b")
        assert numbers(await consumer.events(1)) == [3]


async def test_a_reader_goes_on_where_it_stopped_or_where_it_says(node: Node, server: Server) -> None:
    at = node.offer(server.source())
    await server.publish(*range(1, 71))
    async with reading(*at) as consumer:
        # a batch that was taken whole is done; of the next nobody knows
        assert numbers(await consumer.events(70))[-1] == 70
    await node.plane.stop("acme", "urn:uuid:1")
    await server.publish(71)
    async with reading(*at) as consumer:
        first = (await consumer.events(1))[0][0]
        assert 64 < first <= 71
    async with reading(*at, Last_Event_ID="68") as consumer:
        assert numbers(await consumer.events(2)) == [69, 70]


async def test_each_event_counts_once_and_none_passes_beyond_what_the_terms_allow(node: Node, server: Server) -> None:
    node.desk.allowed_events = 3
    at = node.offer(server.source())
    await server.publish(1, 2, 3, 4)
    for _ in range(2):  # the second time they are the same ones
        async with reading(*at, Last_Event_ID="0") as consumer:
            assert numbers(await consumer.events(3)) == [1, 2, 3]
            with pytest.raises((aiohttp.ClientPayloadError, asyncio.IncompleteReadError)):
                await consumer.events(1)
    assert node.desk.passed == ["1", "2", "3"]


async def test_a_running_stream_is_cut_when_its_transfer_is_stopped(node: Node, server: Server) -> None:
    at = node.offer(server.source())
    await server.publish(1)
    async with reading(*at) as consumer:
        await consumer.events(1)
        node.move("urn:uuid:1", State.SUSPENDED)
        await node.plane.stop("acme", "urn:uuid:1")
        assert node.plane.running() == ()
        with pytest.raises((aiohttp.ClientPayloadError, asyncio.IncompleteReadError)):
            await consumer.events(1)
    async with reading(*at) as refused:
        assert refused.response.status == 403


async def test_a_slow_reader_holds_up_the_stream_and_not_the_memory(node: Node, server: Server) -> None:
    at = node.offer(server.source())
    payload = json.dumps("x" * 100_000).encode()
    for _ in range(300):
        await server.js.publish(f"{server.name}.out.a", payload)
    async with reading(*at) as consumer:
        await consumer.events(1)
        async with asyncio.timeout(10):
            before = -1
            while before != len(node.desk.passed):  # nothing moves any more
                before = len(node.desk.passed)
                await asyncio.sleep(0.2)
        assert before < 250
        assert len(await consumer.events(299)) == 299


async def test_what_is_no_stream_is_not_published(node: Node, server: Server) -> None:
    found = await node.plane.describe(server.source())
    assert (found.byte_size, found.digest, found.media_type) == (None, None, "text/event-stream")
    with pytest.raises(SourceError, match="stream not found"):
        await node.plane.describe(server.source(stream="gone"))
    with pytest.raises(SourceError, match="refuses us"):
        await node.plane.describe(server.source(credentials="kontor:wrong"))
    with pytest.raises(SourceError, match="failed"):
        await node.plane.describe(server.source(url="nats://127.0.0.1:9"))


async def test_a_bad_place_to_read_on_from_is_refused(node: Node, server: Server) -> None:
    async with reading(*node.offer(server.source()), Last_Event_ID="one") as answer:
        assert answer.response.status == 400


async def test_events_are_pushed_as_they_come_in_order_and_once(node: Node, server: Server) -> None:
    await server.publish(*range(100))
    await node.plane.start(push(server), server.source())
    assert await server.taken(100) == list(range(100))
    await server.publish(100)
    assert (await server.taken(101))[-1] == 100
    kept = await server.js.get_msg(f"{server.name}-in", 101)
    assert kept.headers is not None
    assert kept.headers["Nats-Msg-Id"] == f"{PID}:101"
    assert kept.headers["Content-Digest"].startswith("sha-256=:")
    assert node.desk.told == []  # it has no end by itself


async def test_a_push_of_events_that_was_stopped_goes_on_where_it_stopped(node: Node, server: Server) -> None:
    await server.publish(*range(10))
    await node.plane.start(push(server), server.source())
    await server.taken(10)
    await node.plane.stop("acme", PID)
    await server.publish(10, 11)
    await asyncio.sleep(0.05)
    assert (await server.js.stream_info(f"{server.name}-in")).state.messages == 10
    await node.plane.start(push(server), server.source())
    assert await server.taken(12) == list(range(12))
    assert set(node.desk.passed) == {str(n) for n in range(1, 13)}


async def test_another_node_goes_on_with_a_push_whose_node_died(node: Node, start: Start, server: Server) -> None:
    await server.publish(*range(10))
    await node.plane.start(push(server), server.source())
    await server.taken(10)
    other = await start("other", allowed_event_endpoints=(server.url,))
    # the first is still there, and does not know that it was taken for dead
    await other.plane.start(push(server), server.source())
    await server.publish(*range(10, 20))
    assert sorted(await server.taken(20)) == list(range(20))


async def test_subjects_are_kept_below_one_of_the_consumers(node: Node, server: Server) -> None:
    await server.publish(1, subject="oslo")
    await node.plane.start(push(server, "in.>"), server.source())
    await server.taken(1)
    assert (await server.js.get_msg(f"{server.name}-in", 1)).subject == f"{server.name}.in.{server.name}.out.oslo"


async def test_no_more_events_are_pushed_than_the_terms_allow(node: Node, server: Server) -> None:
    node.desk.allowed_events = 2
    await server.publish(1, 2, 3)
    await node.plane.start(push(server), server.source())
    assert "at most 2 may pass" in str((await node.desk.until("failed"))[2])
    assert await server.taken(2) == [1, 2]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"subject": ""}, "names no event server"),
        ({"subject": "a.*.b"}, "no address of an event server"),
        ({"subject": "$JS.API.STREAM.DELETE.x"}, "no address of an event server"),
        ({"password": "wrong"}, "takes nothing from us"),
        ({"subject": "nobody.listens"}, "takes nothing from us"),
    ],
)
async def test_a_place_that_takes_no_events_ends_the_push_with_the_reason(
    node: Node, server: Server, changes: dict[str, str], said: str
) -> None:
    await server.publish(1)
    await node.plane.start(push(server, **changes), server.source())
    assert said in str((await node.desk.until("failed"))[2])


async def test_an_event_server_that_the_operator_has_not_allowed_is_not_reached(start: Start, server: Server) -> None:
    node = await start("strict", allowed_event_endpoints=("tls://nats.example.org:4222",))
    await node.plane.start(push(server), server.source())
    assert "not on the allow list" in str((await node.desk.until("failed"))[2])


async def test_streams_take_no_turn_away_from_pushes(start: Start, server: Server, tmp_path: object) -> None:
    node, consumer = await start("one", push_parallel=1, allowed_event_endpoints=(server.url,)), await start("two")
    await server.publish(1)
    await node.plane.start(push(server), server.source())
    await server.taken(1)
    path = node.data_dir.parent / "a"
    path.write_bytes(b"a")
    pushed = replace(transfer("urn:uuid:4", PUSH, Role.PROVIDER, destination=consumer.expect()))
    await node.plane.start(pushed, Source(type="file", path=str(path)))
    assert (await node.desk.until("completed"))[1] == "urn:uuid:4"


async def test_the_consumers_own_people_read_events_through_their_node(node: Node, server: Server) -> None:
    url, token = node.offer(server.source())
    await server.publish(1, 2)
    pulled = transfer("urn:uuid:9", PULL, Role.CONSUMER, address=address(url, authorization=token))
    async with node.plane.collect(pulled, DataRequest(headers={"last-event-id": "1"})) as served:
        assert served.chunks is not None
        text = b""
        async with asyncio.timeout(10):
            async for chunk in served.chunks:
                text += chunk
                if b"id: 2" in text:
                    break
    assert b"id: 1\n" not in text
