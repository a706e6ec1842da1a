"""Who leaves a node ends what is open and tells its peers first; then it is not there, and what it offered is gone."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from connector.controlplane.events import Events
from connector.controlplane.leaving import Leaving
from connector.controlplane.participants import NODE, Participants, Revisions
from connector.controlplane.shelving import ASSET
from connector.controlplane.webhooks import Webhooks
from connector.dsp.tables import State
from connector.errors import Conflict, NotFound
from connector.ports.jobs import NewJob
from connector.ports.store import Document
from connector.settings import Settings
from tests.controlplane.scene import Node


async def leaving(node: Node) -> tuple[Leaving, Participants, Webhooks]:
    """The node, with a participant that was added while it ran."""
    settings = Settings.model_validate({"node": {"public_url": "https://own.example"}})
    revisions, now = Revisions(node.store, node.clock), node.clock.now()
    await node.store.put_document(
        Document(participant=NODE, kind="participant", id="alice", body={"id": "urn:alice"}, created_at=now, updated_at=now)
    )
    participants = Participants(node.store, settings, revisions, node.clock, "https://own.example")
    outbound: Any = node.host
    webhooks = Webhooks(node.store, participants, revisions, node.secrets, outbound, node.clock)
    events = Events(node.store.feed, node.clock)
    found = Leaving(node.store, participants, revisions, node.negotiations, node.transfers, webhooks, events, node.clock)
    return found, participants, webhooks


async def test_what_is_open_keeps_it_here_until_it_is_ended_and_told(node: Node) -> None:
    found, participants, webhooks = await leaving(node)
    await node.publish()
    await webhooks.add("alice", "erp", "https://erp.example/hook", events=(), secret=None)
    await node.store.jobs.put([NewJob(participant="alice", kind="errand", id="1", body={})], node.clock.now())
    agreement = await node.agreed()
    begun = await node.begin()
    with pytest.raises(Conflict, match="1 negotiations and transfers have not ended"):
        await found.remove("alice", is_ending=False)
    assert (await participants.context("alice")).id == "urn:alice"

    hangs = asyncio.Event()
    node.host.replies.append(hangs)
    removing = asyncio.create_task(found.remove("alice", is_ending=True))
    await node.rest()
    node.clock.move(seconds=21)
    with pytest.raises(Conflict, match="have not been told yet"):
        await removing
    hangs.set()
    await node.rest()
    again = asyncio.create_task(found.remove("alice", is_ending=True))
    await node.rest()
    node.clock.move(seconds=1)
    await again
    assert (await node.negotiation(begun.pid)).state is State.TERMINATED
    assert len(node.host.of("ContractNegotiationTerminationMessage")) >= 1
    with pytest.raises(NotFound):
        await participants.context("alice")
    for kind in (ASSET, "secret"):
        assert (await node.store.documents("alice", kind)).total == 0
    assert (await node.store.jobs.page("alice")).total == 0
    assert await webhooks.all() == ()
    assert await node.store.agreement("alice", agreement) is not None
