"""Renewed tokens of a pull on whole use cases: current from their first use on, and what a resume makes of them."""

from __future__ import annotations

import asyncio
import hashlib
from datetime import timedelta

import pytest

from connector.dsp import messages as m
from connector.dsp.transfer import Access
from connector.errors import Conflict, Forbidden, Unauthenticated
from tests.controlplane.scene import Node, pids


def opening(token: str, node: Node) -> Access:
    return Access(token_sha256=hashlib.sha256(token.encode()).hexdigest(), expires_at=node.clock.now() + timedelta(hours=1))


async def test_a_renewed_token_is_current_from_its_first_use_on_and_the_old_one_lives_until_then(node: Node) -> None:
    await node.publish()
    transfer = await node.started()
    for token in ("lost", "arrived"):
        await node.access.renew("alice", transfer.pid, "token-1", opening(token, node))
    await node.access.may_pull("alice", transfer.pid, "token-1")
    with pytest.raises(Unauthenticated):
        await node.access.may_pull("alice", transfer.pid, "lost")
    await node.access.may_pull("alice", transfer.pid, "arrived")
    await node.access.may_pull("alice", transfer.pid, "arrived")
    with pytest.raises(Unauthenticated):
        await node.access.may_pull("alice", transfer.pid, "token-1")
    with pytest.raises(Unauthenticated):
        await node.access.renew("alice", transfer.pid, "token-1", opening("again", node))


async def test_a_resume_ends_a_renewed_token_that_was_not_used(node: Node) -> None:
    await node.publish()
    transfer = await node.started()
    await node.access.renew("alice", transfer.pid, "token-1", opening("renewed", node))
    await node.tell(m.TransferSuspensionMessage(**pids(transfer)), transfer.pid)
    with pytest.raises(Forbidden):
        await node.access.renew("alice", transfer.pid, "token-1", opening("other", node))
    node.host.replies.append(hanging := asyncio.Event())
    await node.tell(m.TransferStartMessage(**pids(transfer)), transfer.pid)
    with pytest.raises(Unauthenticated):
        await node.access.may_pull("alice", transfer.pid, "renewed")
    with pytest.raises(Conflict):
        await node.access.renew("alice", transfer.pid, "token-1", opening("other", node))
    hanging.set()
    await node.rest()
    await node.access.renew("alice", transfer.pid, "token-2", opening("other", node))
    await node.access.may_pull("alice", transfer.pid, "other")
