"""What external data planes move is stopped like what we move ourselves, when its peer may do nothing in the space any more."""

from __future__ import annotations

import asyncio

import pytest

from connector.controlplane.outer import OuterFlows
from connector.controlplane.standing import Standings
from connector.dsp.tables import Kind, State
from connector.dsp.transfer import DataFlow, Transfer
from connector.dsp.values import replace
from connector.ports.identity import ACTIVE, STANDING
from connector.ports.store import Change, Key
from tests.controlplane.scene import Node


class _Tokens:
    def __init__(self, standing: str) -> None:
        self.standing = standing

    async def claims_of(self, participant: str, peer: str) -> dict[str, str]:
        return {STANDING: self.standing}


@pytest.mark.parametrize(("standing", "is_suspended"), [(ACTIVE, False), ("SUSPENDED", True)])
async def test_a_suspended_peers_transfer_is_suspended_at_its_external_plane(
    node: Node, standing: str, is_suspended: bool
) -> None:
    await node.publish()
    transfer = await node.started()
    key = Key(kind=Kind.TRANSFER, participant="alice", pid=transfer.pid)
    flow = DataFlow(plane="dp", told="start", state="STARTED", calls=1)
    await node.store.advance(key, lambda found: Change(process=replace(found.process, flow=flow)))
    outer = OuterFlows(node.store, node.transfers, node.plane, node.clock)  # type: ignore[arg-type]
    await outer.look()
    assert ("alice", transfer.pid) in outer.running()
    await Standings(node.store, outer, _Tokens(standing), node.reviews, node.clock, asyncio.Event()).look()  # type: ignore[arg-type]
    await node.rest()
    found = await node.store.process(key)
    assert isinstance(found, Transfer)
    assert (found.state is State.SUSPENDED) is is_suspended
    jobs = (await node.store.jobs.page("alice", kind="signal")).items
    assert [job.id.rpartition("#")[2] for job in jobs] == (["suspend"] if is_suspended else [])
