"""Programs and people who follow what happens: in parts, by waiting, and as a stream."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator

import aiohttp
import pytest

from connector.api.access import NewKey
from connector.api.events import Event
from connector.api.webhooks import NewWebhook
from connector.client import create_api_key, operating, revoke_api_key
from connector.errors import BadMessage
from connector.testing.dataspace import DataSpace, Member, api_key
from connector.web.operator import events as routes
from tests.scenarios.receiver import receiving


async def everything(member: Member, after: str | None = None) -> list[Event]:
    """What happened to a member, read in small parts."""
    found: list[Event] = []
    while True:
        page = await member.send(member.calls.events(after=after, limit=3))
        found += page.items
        if not page.items:
            return found
        after = page.position


async def test_what_happened_is_told_once_and_in_order_to_who_asks_and_to_a_program_signed(space: DataSpace) -> None:
    provider, consumer = space.join("provider"), space.join("consumer")
    offer = await provider.publish("weather")
    async with receiving() as receiver:
        made = await consumer.send(operating.add_webhook("consumer", NewWebhook(name="erp", url=receiver.url)))
        agreed = await consumer.negotiate(offer)
        events = await everything(consumer)
        await consumer.until(receiver.count, lambda count: count >= len(events))
    told = [json.loads(body)["data"] for _, body in receiver.taken]
    # which agreement a process has led to is told as of the moment of telling
    assert [one | {"agreement_id": None} for one in told] == [
        one.model_dump(mode="json") | {"agreement_id": None} for one in events
    ]
    key = base64.b64decode((made.key or "").removeprefix("whsec_"))
    for headers, body in receiver.taken:
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        shown = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
        assert headers["webhook-signature"] == f"v1,{shown}"
    tries = await consumer.send(operating.deliveries("consumer", "erp", limit=1000))
    assert {one.status for one in tries.items} == {204}
    assert [one.state for one in events if one.pid == agreed.pid and one.by != "policy"][-1] == "FINALIZED"
    assert [one.at for one in events] == sorted(one.at for one in events)
    assert len({one.id for one in events}) == len(events)
    assert {(one.kind, one.role, one.peer, one.dataset) for one in events} == {
        ("negotiation", "consumer", provider.id, "urn:provider:weather")
    }
    assert events[-1].agreement_id == agreed.agreement_id
    assert await everything(consumer, events[-1].position) == []


async def test_who_waits_hears_it_as_it_happens(space: DataSpace) -> None:
    provider, consumer = space.join("provider"), space.join("consumer")
    offer = await provider.publish("weather")
    start = await provider.send(provider.calls.events())
    asked = asyncio.create_task(provider.send(provider.calls.events(after=start.position, wait_s=20)))
    await consumer.request(offer)
    heard = await asyncio.wait_for(asked, 10)
    assert heard.items[0].state == "REQUESTED"


async def test_contexts_on_one_node_hear_nothing_of_each_other(space: DataSpace) -> None:
    provider, consumer = space.join("provider"), space.join("consumer")
    other = space.join("other", on=provider)
    await consumer.negotiate(await provider.publish("weather"))
    assert await everything(provider)
    assert await everything(other) == []


async def test_what_is_no_position_is_an_error(space: DataSpace) -> None:
    member = space.join("member")
    await space.begin()
    with pytest.raises(BadMessage, match="no position"):
        await member.send(member.calls.events(after="yesterday"))


async def lines(answer: aiohttp.ClientResponse) -> AsyncIterator[str]:
    async for line in answer.content:
        yield line.decode().rstrip("\n")


async def test_a_stream_tells_and_goes_on_where_it_broke_off(space: DataSpace) -> None:
    provider, consumer = space.join("provider"), space.join("consumer")
    offer = await provider.publish("weather")
    url = f"{provider.app.operator_url}/api/v1/participants/provider/events/stream"
    headers = {"X-Api-Key": api_key()}
    async with asyncio.timeout(20), aiohttp.ClientSession() as client:
        async with client.get(url, headers=headers) as answer:
            assert (answer.status, answer.content_type) == (200, "text/event-stream")
            told = lines(answer)
            await consumer.request(offer)
            seen = [line async for line in _until(told, "data: ")]
        first = json.loads(seen[-1].removeprefix("data: "))
        assert (first["kind"], first["state"]) == ("negotiation", "REQUESTED")
        position = next(line for line in seen if line.startswith("id: ") and line == f"id: {first['position']}")
        wish = NewKey(name="curious", role="read", participants=("provider",))
        headers = {"X-Api-Key": (await provider.send(create_api_key(wish))).key}
        async with client.get(url, headers={**headers, "Last-Event-ID": position.removeprefix("id: ")}) as answer:
            told = lines(answer)
            again = [line async for line in _until(told, "data: ")]
            # who came in by a key hears nothing of what happens when it is good for nothing any more
            await provider.send(revoke_api_key("curious"))
            await consumer.request(offer)
            late = [json.loads(line.removeprefix("data: ")) async for line in told if line.startswith("data: ")]
        assert json.loads(again[-1].removeprefix("data: "))["id"] != first["id"]
        assert {event["pid"] for event in late} <= {first["pid"]}


async def _until(told: AsyncIterator[str], start: str) -> AsyncIterator[str]:
    async for line in told:
        yield line
        if line.startswith(start):
            return


async def test_a_node_that_stops_lets_its_followers_go_and_one_key_does_not_take_all_streams(
    space: DataSpace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routes, "_MOST_OF_ONE", 1)
    member = space.join("member")
    await space.begin()
    url = f"{member.app.operator_url}/api/v1/participants/member/events/stream"
    async with (
        asyncio.timeout(8),
        aiohttp.ClientSession() as client,
        client.get(url, headers={"X-Api-Key": api_key()}) as answer,
    ):
        assert (await anext(lines(answer))).startswith((":", "id: "))
        async with client.get(url, headers={"X-Api-Key": api_key()}) as another:
            assert another.status == 429
        stopping = asyncio.create_task(space.stop(member))
        rest = [line async for line in lines(answer)]
        await stopping
    assert all(line.startswith((":", "id: ")) or not line for line in rest)
