"""Agreements: imported from elsewhere, and ended together with everything that runs under them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from connector.controlplane.terms import TransferWish
from connector.dsp import messages as m
from connector.dsp.tables import Event, Kind, Role, State
from connector.errors import CallerError, Conflict, NotFound, PolicyError, StoreUnavailable
from connector.ports.store import Filter
from connector.storage.memory import MemoryStore
from tests.controlplane.conftest import NewNode
from tests.controlplane.scene import BOB, PULL, PUSH, Node, imported, pids, transfer_request


@pytest.mark.parametrize(
    ("members", "fault"),
    [
        ({"@id": None}, CallerError),
        ({"target": None}, CallerError),
        ({"assigner": "urn:eve"}, CallerError),
        ({"assignee": "urn:eve"}, CallerError),
        ({"permission": "yes"}, PolicyError),
    ],
)
async def test_an_import_says_what_is_wrong_with_it(node: Node, members: dict[str, Any], fault: type[Exception]) -> None:
    with pytest.raises(fault):
        await imported(node, **members)
    assert (await node.store.agreements("alice", Filter())).total == 0


async def test_an_agreement_is_imported_once(node: Node) -> None:
    await imported(node)
    with pytest.raises(Conflict):
        await imported(node)
    with pytest.raises(NotFound):
        await node.agreements.get("alice", "urn:a:none")


async def test_an_ended_agreement_ends_every_transfer_under_it_in_whichever_state(new_node: NewNode) -> None:
    node = await new_node(alice={"rules": [{"kind": "transfer", "on": "REQUESTED", "party": BOB.id, "do": "hold", "nth": 1}]})
    await node.publish()
    agreement = await node.agreed()
    pids_ = []
    for number in range(4):
        found = await node.tell(transfer_request(agreement, consumer_pid=f"urn:t:{number}"))
        pids_.append(found.provider_pid)
    waiting, started, suspended, completing = pids_
    for pid in (started, suspended, completing):
        await node.transfers.act("alice", pid, "start")
        await node.rest()
    await node.tell(m.TransferSuspensionMessage(**pids(await node.transfer(suspended))), suspended)
    # one that is about to complete does not stop the others from being ended
    node.host.replies.append(asyncio.Event())
    await node.transfers.act("alice", completing, "complete")
    await node.rest()
    ended = await node.agreements.end("alice", agreement, "misuse")
    await node.rest()
    assert ended.end_reason == "misuse"
    for pid in (waiting, started, suspended):
        process = await node.transfer(pid)
        assert (process.state, process.code, process.reasons) == (State.TERMINATED, "agreement-ended", ("misuse",))
    flight = (await node.transfer(completing)).in_flight
    assert flight is not None
    assert flight.event is Event.COMPLETE
    with pytest.raises(Conflict, match="ended at"):
        await node.agreements.end("alice", agreement, "again")
    with pytest.raises(NotFound):
        await node.agreements.end("alice", "urn:a:none", "x")


async def test_what_runs_under_an_ended_agreement_ends_also_when_the_store_went_away_in_between(node: Node) -> None:
    agreement = await imported(node)
    found = await node.transfers.start("alice", TransferWish(agreement=agreement, format=PULL))
    await node.rest()
    real, faults = node.store.processes, [StoreUnavailable("the primary has moved")]

    async def fails(*values: Any, **more: Any) -> Any:
        if faults:
            raise faults.pop()
        return await real(*values, **more)

    node.store.processes = fails  # type: ignore[method-assign]
    with pytest.raises(StoreUnavailable):
        await node.agreements.end("alice", agreement, "misuse")
    # whoever asks again is told that it is done already
    with pytest.raises(Conflict, match="ended at"):
        await node.agreements.end("alice", agreement, "misuse")
    assert (await node.transfer(found.pid)).in_flight is None
    node.clock.move(seconds=10)
    await node.rest()
    process = await node.transfer(found.pid)
    assert (process.state, process.code) == (State.TERMINATED, "agreement-ended")
    assert len(node.host.of("TransferTerminationMessage")) == 1


async def test_a_request_of_ours_that_nobody_acknowledged_yet_ends_with_its_agreement(node: Node) -> None:
    agreement = await imported(node)
    node.host.replies.append(asyncio.Event())
    found = await node.transfers.start("alice", TransferWish(agreement=agreement, format=PULL))
    await node.agreements.end("alice", agreement, "over")
    assert (await node.transfer(found.pid)).state is State.TERMINATED


@pytest.mark.parametrize("role", list(Role))
async def test_nothing_begins_under_an_agreement_that_ends_while_it_is_looked_at(
    node: Node, role: Role, monkeypatch: pytest.MonkeyPatch
) -> None:
    await node.publish()
    agreement = await node.agreed() if role is Role.PROVIDER else await imported(node)
    real = MemoryStore.advance
    is_first = [True]

    async def late(self: MemoryStore, *args: Any, **given: Any) -> Any:
        # the operator is quicker than the transaction
        if is_first.pop() if is_first else False:
            await node.agreements.end("alice", agreement, "misuse")
        return await real(self, *args, **given)

    monkeypatch.setattr(MemoryStore, "advance", late)
    if role is Role.PROVIDER:
        await node.tell(transfer_request(agreement, PUSH))
    else:
        await node.transfers.start("alice", TransferWish(agreement=agreement, format=PULL))
        await node.rest()
    (process,) = (await node.store.processes(Kind.TRANSFER, "alice", Filter())).items
    assert (process.state, process.code) == (State.TERMINATED, "agreement-ended")
    assert ("start", process.pid) not in node.plane.told
