"""Messages of a stream of events: each is a use, once."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from connector.controlplane.pushes import STREAM, job_of
from connector.dsp.tables import Role
from connector.dsp.values import replace
from connector.errors import Forbidden
from connector.ports.dataplane import Event
from tests.controlplane.scene import PUSH, USE, Node
from tests.controlplane.test_usage import COUNT_2, pulling, use_when


def events(*ids: int) -> list[Event]:
    return [Event(id=str(id_), byte_size=10) for id_ in ids]


async def test_no_more_messages_pass_than_the_terms_allow_and_none_counts_twice(node: Node) -> None:
    transfer = await pulling(node, COUNT_2)
    assert await node.access.may_pass(transfer, events(1, 2, 3)) == 2
    await node.usages.work()
    # a message that is read again was paid for
    assert await node.access.may_pass(transfer, events(2, 3)) == 1
    await node.usages.work()
    with pytest.raises(Forbidden, match="count"):
        await node.access.may_pass(transfer, events(3))
    book = await node.store.ledger.book("alice", transfer.agreement_id)
    assert book is not None
    assert (book.total.count, book.total.moved_bytes, book.open) == (2, 20, {})


async def test_a_message_whose_node_died_before_it_was_handed_over_passes_later(node: Node) -> None:
    transfer = await pulling(node, COUNT_2)
    case = await node.access._case(transfer, {})
    await node.usages.reserve(transfer, case, key=f"event:{transfer.pid}:1")
    node.clock.set(node.clock.now() + timedelta(minutes=5))
    assert await node.access.may_pass(transfer, events(1)) == 1
    book = await node.store.ledger.book("alice", transfer.agreement_id)
    assert book is not None
    assert book.total.count == 1


async def test_where_nothing_is_limited_messages_are_tallied(node: Node) -> None:
    transfer = await pulling(node, USE)
    assert await node.access.may_pass(transfer, events(*range(100))) == 100
    node.clock.set(node.clock.now() + timedelta(seconds=10))
    await node.usages.work()
    book = await node.store.ledger.book("alice", transfer.agreement_id)
    assert book is not None
    assert (book.total.count, book.total.moved_bytes) == (100, 1000)


@pytest.mark.parametrize(("terms", "is_use"), [(USE, False), (COUNT_2, False), (use_when("meteredTime", "lteq", "PT1H"), True)])
async def test_the_stream_itself_is_a_use_only_where_time_is_limited(node: Node, terms: dict[str, Any], is_use: bool) -> None:
    transfer = await pulling(node, terms)
    assert (await node.access.may_stream(transfer) is not None) is is_use


async def test_a_push_without_end_is_another_kind_of_job(node: Node) -> None:
    await node.publish()
    transfer = await node.started(PUSH)
    job = job_of(replace(transfer, format="NATS-PUSH"))
    assert job is not None
    assert job.kind == STREAM
    assert transfer.role is Role.PROVIDER
