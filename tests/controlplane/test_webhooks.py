"""Programs of the operator are told what happens: signed, in order per process, again until they take it, once from several nodes."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from connector.controlplane.events import Events
from connector.controlplane.jobs import Workers
from connector.controlplane.participants import NODE, Revisions
from connector.controlplane.webhook_delivery import PACE, Telling
from connector.controlplane.webhooks import KIND, Webhooks
from connector.errors import AddressRefused, BadMessage, Conflict, NotFound, Unreachable
from connector.outbound.client import Answer
from connector.outbound.rules import OutboundRules, vet
from tests.controlplane.conftest import NewNode
from tests.controlplane.scene import Node

URL = "https://erp.example/hook"


@dataclass
class Receiver:
    """Somebody else's program: takes what is posted, or answers what the test says next."""

    taken: list[dict[str, Any]] = field(default_factory=list)
    headers: list[Mapping[str, str]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    replies: list[Answer | Exception] = field(default_factory=list)
    hangs: asyncio.Event | None = None

    def vet(self, url: str) -> Any:
        return vet(url, OutboundRules())

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], *, max_bytes: int | None = None) -> Answer:
        self.headers.append(headers)
        self.bodies.append(body)
        if self.hangs is not None:
            await self.hangs.wait()
        reply = self.replies.pop(0) if self.replies else Answer(status=204, headers={}, body=b"")
        if isinstance(reply, Exception):
            raise reply
        if reply.is_success:
            self.taken.append(json.loads(body))
        return reply


def refused(status: int, **headers: str) -> Answer:
    return Answer(status=status, headers={name.replace("_", "-"): value for name, value in headers.items()}, body=b"no")


@dataclass
class Told:
    """The webhooks of a node, at work."""

    node: Node
    webhooks: Webhooks
    receiver: Receiver

    async def until(self, count: int) -> list[dict[str, Any]]:
        """What was taken, as soon as it is so much; time passes meanwhile."""
        for _ in range(3000):
            if len(self.receiver.taken) >= count:
                return self.receiver.taken
            await asyncio.sleep(0)
            self.node.clock.move(seconds=0.05)
        raise AssertionError(f"{len(self.receiver.taken)} messages came: {self.receiver.taken}")

    async def quiet(self) -> None:
        """Everything that can happen in some seconds has happened."""
        for _ in range(100):
            await asyncio.sleep(0)
            self.node.clock.move(seconds=0.05)


@asynccontextmanager
async def telling(node: Node, receiver: Receiver) -> AsyncIterator[Told]:
    outbound: Any = receiver
    events = Events(node.store.feed, node.clock)
    webhooks = Webhooks(node.store, node.participants, Revisions(node.store, node.clock), node.secrets, outbound, node.clock)
    workers = Workers(node.store.jobs, node.clock, lease_s=30)
    Telling(webhooks, node.store, events, node.participants, node.secrets, outbound, node.clock).register(workers)
    tasks = [asyncio.create_task(work()) for work in (workers.run, webhooks.keep)]
    try:
        yield Told(node, webhooks, receiver)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@pytest.fixture
async def told(node: Node) -> AsyncIterator[Told]:
    async with telling(node, Receiver()) as found:
        yield found


async def test_everything_is_told_in_order_and_signed(told: Told) -> None:
    made, key = await told.webhooks.add("alice", "erp", URL, events=(), secret=None)
    assert key.startswith("whsec_")
    begun = await told.node.begin()
    taken = await told.until(2)
    assert [one["type"] for one in taken] == ["kontor.negotiation.send-request", "kontor.negotiation.request"]
    assert {one["subject"] for one in taken} == {begun.pid}
    assert taken[0]["specversion"] == "1.0"
    assert taken[1]["data"]["state"] == "REQUESTED"
    assert len({one["id"] for one in taken}) == 2
    for body, headers in zip(told.receiver.bodies, told.receiver.headers, strict=True):
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        digest = hmac.new(base64.b64decode(key.removeprefix("whsec_")), signed, hashlib.sha256).digest()
        assert headers["webhook-signature"] == f"v1,{base64.b64encode(digest).decode()}"
        assert headers["webhook-id"] == json.loads(body)["id"]
    await told.quiet()
    tries = await told.webhooks.tries("alice", made.name, cursor=None, limit=10)
    assert [entry.body["status"] for entry in tries.items] == [204, 204]


async def test_only_what_is_wanted_and_only_what_comes_later_is_told(told: Told) -> None:
    await told.node.begin()
    await told.webhooks.add("alice", "erp", URL, events=("negotiation.request", "transfer.*"), secret=None)
    later = await told.node.begin()
    assert [(one["subject"], one["data"]["event"]) for one in await told.until(1)] == [(later.pid, "request")]
    await told.quiet()
    assert len(told.receiver.taken) == 1


async def test_a_receiver_that_fails_gets_the_same_message_again_and_the_next_one_waits_for_it(told: Told) -> None:
    told.receiver.replies += [Unreachable("nobody is there"), refused(500), refused(429, retry_after="7")]
    await told.webhooks.add("alice", "erp", URL, events=(), secret=None)
    await told.node.begin()
    taken = await told.until(2)
    ids = [headers["webhook-id"] for headers in told.receiver.headers]
    assert ids == [taken[0]["id"]] * 4 + [taken[1]["id"]]
    await told.quiet()
    tries = await told.webhooks.tries("alice", "erp", cursor=None, limit=10)
    assert [entry.body["cause"][:14] for entry in reversed(tries.items)] == [
        "nobody is ther",
        "answered 500: ",
        "answered 429: ",
        "",
        "",
    ]


async def test_a_receiver_that_is_gone_for_good_is_seen_in_the_jobs_and_holds_up_nobody(told: Told) -> None:
    told.receiver.replies += [refused(410)]
    await told.webhooks.add("alice", "erp", URL, events=(), secret=None)
    await told.node.begin()
    await told.until(1)
    await told.quiet()
    (job,) = (await told.node.store.jobs.page("alice", kind=KIND, is_given_up=True)).items
    assert job.failures[-1].cause == "answered 410: no"
    assert await told.node.store.jobs.revive("alice", KIND, job.id, told.node.clock.now())
    assert {one["id"] for one in await told.until(2)} == {job.body["event"]["id"], told.receiver.taken[0]["id"]}


async def test_one_that_hangs_holds_up_its_own_messages_alone(told: Told) -> None:
    told.receiver.hangs = asyncio.Event()
    await told.webhooks.add("alice", "erp", URL, events=(), secret=None)
    for _ in range(12):
        await told.node.begin()
    await told.quiet()
    assert 1 < len(told.receiver.bodies) <= 4
    told.receiver.hangs.set()
    assert len(await told.until(24)) == 24
    by_process: dict[str, list[str]] = {}
    for one in told.receiver.taken:
        by_process.setdefault(one["subject"], []).append(one["data"]["event"])
    assert all(events == ["send request", "request"] for events in by_process.values())


async def test_several_nodes_tell_each_thing_once_and_one_goes_on_where_another_stopped(new_node: NewNode) -> None:
    receiver = Receiver()
    one, two = await new_node("one"), await new_node("two")
    async with telling(two, receiver) as second:
        async with telling(one, receiver) as first:
            await first.webhooks.add("alice", "erp", URL, events=(), secret=None)
            await one.begin()
            await two.begin()
            await first.until(4)
            await first.quiet()
        two.clock.move(seconds=31)
        await two.begin()
        taken = await second.until(6)
        await second.quiet()
    assert len(taken) == len({one["id"] for one in taken}) == 6


async def test_what_is_no_webhook_is_refused_with_the_reason(told: Told) -> None:
    add = told.webhooks.add
    with pytest.raises(AddressRefused, match="metadata"):
        await add("alice", "erp", "https://169.254.169.254/x", events=(), secret=None)
    with pytest.raises(NotFound, match="no secret"):
        await add("alice", "erp", URL, events=(), secret="none")
    await told.node.secrets.put("alice", "short", "whsec_AAAA")
    with pytest.raises(BadMessage, match="no key to sign with"):
        await add("alice", "erp", URL, events=(), secret="short")
    await add("alice", "erp", URL, events=(), secret=None)
    with pytest.raises(Conflict, match="already"):
        await add("alice", "erp", URL, events=(), secret=None)
    with pytest.raises(NotFound):
        await told.webhooks.remove("alice", "other")


async def test_one_that_was_removed_is_told_nothing_more_and_its_key_is_gone(told: Told) -> None:
    await told.webhooks.add("alice", "erp", URL, events=(), secret=None)
    await told.webhooks.add("alice", "b", URL, events=(), secret=None)
    page = await told.webhooks.page("alice", cursor=None, limit=1)
    assert ([one.name for one in page.items], page.total, page.next_cursor) == (["b"], 2, "b")
    assert [one.name for one in (await told.webhooks.page("alice", cursor="b", limit=1)).items] == ["erp"]
    for name in ("erp", "b"):
        await told.webhooks.remove("alice", name)
    assert await told.node.secrets.names("alice") == ()
    await told.node.begin()
    await told.quiet()
    assert told.receiver.bodies == []
    assert await told.node.store.jobs.job(NODE, "webhook-plan", "plan") is None


async def test_one_that_is_added_anew_is_told_nothing_that_waited_for_the_removed_one(told: Told) -> None:
    await told.webhooks.add("alice", "erp", URL, events=("negotiation.request",), secret=None)
    told.receiver.replies = [refused(503)] * 9
    await told.node.begin()
    await told.quiet()
    told.receiver.replies.clear()
    await told.webhooks.remove("alice", "erp")
    await told.node.begin()
    await told.webhooks.add("alice", "erp", URL, events=("negotiation.request",), secret=None)
    later = await told.node.begin()
    assert [one["subject"] for one in await told.until(1)] == [later.pid]
    await told.quiet()
    told.node.clock.move(seconds=600)
    await told.quiet()
    assert [one["subject"] for one in told.receiver.taken] == [later.pid]


def test_a_message_is_tried_for_hours() -> None:
    pauses = [min(PACE.first_delay_s * 2**n, PACE.max_delay_s) for n in range(PACE.attempts - 1)]
    assert 2 * 3600 < sum(pauses) < 24 * 3600
