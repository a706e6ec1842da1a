"""What a transfer does when its flow has got somewhere, where messages of both sides cross."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from connector.controlplane.signals import Signals
from connector.dps.flow import FlowState
from connector.dps.messages import Status
from connector.dsp.process import Step
from connector.dsp.tables import State
from connector.dsp.transfer import DataFlow, Transfer
from connector.dsp.values import replace
from connector.errors import Conflict
from tests.controlplane.scene import Node
from tests.dps.samples import ADDRESS


@pytest.fixture
async def transfer(node: Node) -> Transfer:
    """STARTED, as provider, with an external data plane."""
    await node.publish()
    return await node.started()


def followed(node: Node, transfer: Transfer, told: str, *, is_wanted: bool, status: Status) -> Step[Transfer]:
    nobody: Any = None
    signals = Signals(node.store, node.transfers, node.offerings, nobody, nobody, node.clock, patience=timedelta(minutes=1))
    flow = DataFlow(plane="dp", told=told, state=status.state.value, calls=2, is_wanted=is_wanted)
    return signals.follow(replace(transfer, flow=flow), status)


@pytest.mark.parametrize("is_wanted", [False, True])
async def test_a_consumer_that_resumes_gets_the_fresh_address_also_when_we_were_about_to(
    node: Node, transfer: Transfer, is_wanted: bool
) -> None:
    step = followed(node, transfer, "resume", is_wanted=is_wanted, status=Status(state=FlowState.STARTED, address=ADDRESS))
    (sent,) = step.outgoing
    assert (sent.event, sent.is_harmless) == ("start", True)
    assert step.process.address == ADDRESS
    assert step.process.flow is not None
    assert not step.process.flow.is_wanted


async def test_a_pull_without_an_address_is_no_pull(node: Node, transfer: Transfer) -> None:
    asked = replace(transfer, state=State.REQUESTED, in_flight=None)
    step = followed(node, asked, "start", is_wanted=True, status=Status(state=FlowState.STARTED))
    assert [sent.event for sent in step.outgoing] == ["terminate"]


async def test_an_end_that_came_meanwhile_stands(node: Node, transfer: Transfer) -> None:
    ended = replace(transfer, state=State.TERMINATED, in_flight=None)
    step = followed(node, ended, "start", is_wanted=True, status=Status(state=FlowState.STARTED, address=ADDRESS))
    assert step.outgoing == ()
    assert step.process.state is State.TERMINATED


async def test_a_start_waits_for_a_message_of_ours_that_is_on_its_way(node: Node, transfer: Transfer) -> None:
    suspended = replace(transfer, state=State.SUSPENDED)
    sent = followed(node, suspended, "resume", is_wanted=True, status=Status(state=FlowState.STARTED, address=ADDRESS))
    # the answer is asked for again later: the plane gives the same one
    with pytest.raises(Conflict):
        followed(node, sent.process, "resume", is_wanted=True, status=Status(state=FlowState.STARTED, address=ADDRESS))
