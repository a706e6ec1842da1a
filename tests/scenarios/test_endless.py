"""Transfers without an end of their own: an API and a stream of events, open for as long as the agreement is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest
from starlette.types import Receive, Scope, Send

from connector.api.sources import AssetSource, Passes
from connector.api.transfers import DataAddress, Transfer
from connector.client import records
from connector.errors import KontorError
from connector.testing.clock import MovedClock
from connector.testing.dataspace import DataSpace, Member
from tests.dataplane.conftest import listening
from tests.dataplane.test_events import Server, server  # noqa: F401 - a fixture
from tests.scenarios.policies import until

NATS_PUSH = "NATS-PUSH"


@asynccontextmanager
async def counting_api() -> AsyncIterator[str]:
    """An API that counts how often it is read; below `live` it tells something now and never ends."""
    count = 0

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal count
        count += 1
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
        is_live = scope["path"].endswith("live")
        await send({"type": "http.response.body", "body": b"%d" % count, "more_body": is_live})
        if is_live:
            await receive()  # the request
            await receive()  # until whoever reads is gone

    async with listening(app) as url:
        yield url


async def read(address: DataAddress, token: str, path: str = "") -> tuple[int, bytes]:
    async with (
        aiohttp.ClientSession() as http,
        http.get(f"{address.endpoint}{path}", headers={"Authorization": token}) as answer,
    ):
        return answer.status, await answer.read()


async def test_an_api_is_open_until_its_agreement_ends_and_what_runs_then_is_cut() -> None:
    clock = MovedClock(datetime(2026, 3, 1, tzinfo=UTC))
    async with counting_api() as url, DataSpace(clock=clock) as space, aiohttp.ClientSession() as http:
        provider, consumer = space.join("provider"), space.join("consumer")
        source = AssetSource(type="http", url=url, passes=Passes(path=True))
        offer = await provider.publish("api", source=source, policy=until("2026-03-01T02:00:00Z"))
        transfer = await consumer.transfer(await consumer.negotiate(offer))
        # no reading is the last one
        first, second = [int(await consumer.get(transfer)) for _ in range(2)]
        assert first < second
        for member, pid in ((consumer, transfer.pid), (provider, await provider.theirs(transfer))):
            assert (await member.until_transfer(pid, "STARTED")).is_open
        # its token ends before the agreement does: the consumer gets new ones, and an answer that is lost costs nothing
        address = await consumer.send(consumer.calls.data_address(transfer.pid))
        token, renewal = address.properties["authorization"], address.properties["https://w3id.org/kontor/ns/renewal"]
        for _ in range(2):
            clock.move(minutes=50)
            for _ in ("lost", "found"):
                async with http.post(renewal, headers={"Authorization": token}) as answer:
                    renewed = (await answer.json())["authorization"]
            assert (await read(address, token))[0] == 200
            assert (await read(address, renewed))[0] == 200
            assert (await read(address, token))[0] == 401
            token = renewed
        # what is being read when the agreement ends, ends with it
        async with http.get(f"{address.endpoint}/live", headers={"Authorization": token}) as live:
            assert await live.content.readany()
            clock.move(minutes=20, seconds=1)
            ended = await consumer.until_transfer(transfer.pid, "TERMINATED")
            assert "dateTime" in " ".join(ended.reasons)
            with pytest.raises(aiohttp.ClientPayloadError):
                await asyncio.wait_for(live.content.readany(), 5)
        assert (await read(address, token))[0] == 410
        with pytest.raises(KontorError):
            await consumer.get(transfer)


async def streaming(provider: Member, consumer: Member, server: Server, policy: dict[str, Any]) -> Transfer:  # noqa: F811
    """A stream of the provider's, pushed into the consumer's."""
    await provider.space.begin()
    await provider.send(provider.calls.put_secret("nats", server.credentials))
    source = AssetSource(type="nats", url=server.url, stream=server.name, secret="nats")
    agreed = await consumer.negotiate(await provider.publish("events", source=source, policy=policy))
    user, _, password = server.credentials.partition(":")
    properties = {"subject": f"{server.name}.in.x", "user": user, "password": password}
    wanted = DataAddress(endpoint_type="NATS", endpoint=server.url, properties=properties)
    return await consumer.transfer(agreed, format=NATS_PUSH, destination=wanted)


def allowing(server: Server) -> dict[str, Any]:  # noqa: F811
    return {"data": {"allowed_event_endpoints": [server.url]}}


async def test_events_flow_until_the_agreement_ends_and_wait_while_it_is_suspended(server: Server) -> None:  # noqa: F811
    clock = MovedClock(datetime(2026, 3, 1, tzinfo=UTC))
    async with DataSpace(clock=clock, settings=allowing(server)) as space:
        provider, consumer = space.join("provider"), space.join("consumer")
        await server.publish(1, 2)
        transfer = await streaming(provider, consumer, server, until("2026-03-01T02:00:00Z"))
        theirs = await provider.theirs(transfer)
        assert await server.taken(2) == [1, 2]
        await provider.steer(theirs, "suspend", reason="maintenance")
        await consumer.until_transfer(transfer.pid, "SUSPENDED")
        await server.publish(3)
        assert (await server.js.stream_info(f"{server.name}-in")).state.messages == 2
        await provider.steer(theirs, "resume")
        assert await server.taken(3) == [1, 2, 3]
        clock.move(hours=2, seconds=1)
        await consumer.until_transfer(transfer.pid, "TERMINATED")
        await server.publish(4)
        assert (await server.js.stream_info(f"{server.name}-in")).state.messages == 3


async def test_each_event_is_a_use_and_the_last_one_ends_the_transfer(server: Server) -> None:  # noqa: F811
    async with DataSpace(settings=allowing(server)) as space:
        provider, consumer = space.join("provider"), space.join("consumer")
        await server.publish(*range(5))
        limit = {"leftOperand": "count", "operator": "lteq", "rightOperand": "3"}
        terms = {"permission": [{"action": "use", "constraint": [limit]}]}
        transfer = await streaming(provider, consumer, server, terms)
        ended = await consumer.until_transfer(transfer.pid, "TERMINATED")
        assert "count" in " ".join(ended.reasons)
        assert await server.taken(3) == [0, 1, 2]
        assert (await server.js.stream_info(f"{server.name}-in")).state.messages == 3
        used = await provider.until(
            lambda: provider.send(records.usage("provider", transfer.agreement_id)), lambda usage: usage.total.count == 3
        )
        assert used.total.moved_bytes == 3
