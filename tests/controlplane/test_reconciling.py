"""A restored store asks its peers before anything goes on; a peer that hangs, lies or is elsewhere harms nobody."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from connector.controlplane.jobs import Failed
from connector.controlplane.process import new_urn
from connector.controlplane.reconciled import Reconciled, reconciled
from connector.controlplane.reconciling import RECONCILE, Reconciling, restored_mark
from connector.controlplane.terms import TransferWish
from connector.dsp import messages as m
from connector.dsp import wire
from connector.dsp.process import InFlight, Process, acknowledged
from connector.dsp.tables import Event, Kind, State
from connector.dsp.values import replace
from connector.errors import Overloaded, PeerAnswer, StoreUnavailable, Unreachable
from connector.outbound.client import Answer
from connector.ports.store import Change, Filter
from tests.controlplane.scene import BASE, BOB, PUSH, Node, answer, imported, key, transfer_request


def reconciling(node: Node) -> Reconciling:
    return Reconciling(node.store, node.negotiations, node.transfers, node.agreements, node.peers, node.clock)


async def work(node: Node, within: int = 1) -> list[Failed | None]:
    """Do the jobs that are due, and those they lead to, as long as the clock of `within` looks allows."""
    found: list[Failed | None] = []
    use = reconciling(node)
    for look in range(within):
        if look:
            node.clock.move(seconds=130)
        for job in await node.store.jobs.claim((RECONCILE,), node.clock.now(), limit=100):
            found.append(await use.compare(job))
            await node.store.jobs.done(job)
        await node.rest()
    return found


async def restore(node: Node) -> None:
    """What a start after a restore does."""
    await node.store.jobs.put([restored_mark("2026-02-28T00:00:00+00:00")], node.clock.now())
    await reconciling(node).take_up()


async def report(node: Node) -> Reconciled:
    found = await reconciled(node.store, "alice")
    assert found is not None
    return found


def says(node: Node, process: Process, state: State | None, **wrong: Any) -> None:
    """What the peer will say of `process`; None: that it does not know it."""
    kind = "transfers" if hasattr(process, "format") else "negotiations"
    url = f"{BASE}/{kind}/{process.peer_pid}"
    if state is None:
        error: Any = m.TransferError() if kind == "transfers" else m.ContractNegotiationError()
        node.host.documents[url] = answer(404, wire.encode(error))
        return
    pids = {"provider_pid": process.provider_pid, "consumer_pid": process.consumer_pid, "state": state} | wrong
    told: Any = m.TransferProcess(**pids) if kind == "transfers" else m.ContractNegotiation(**pids)
    node.host.documents[url] = answer(200, wire.encode(told))


async def test_nothing_is_given_out_until_the_peer_has_said_that_it_stands(node: Node) -> None:
    await node.publish()
    transfer = await node.started()
    token = node.plane.token(node.plane.count)
    await node.access.may_pull("alice", transfer.pid, token)
    await restore(node)
    with pytest.raises(Overloaded, match="restored a moment ago"):
        await node.access.may_pull("alice", transfer.pid, token)
    # 1. a peer that cannot be reached leaves it so, and is asked again
    node.host.documents[f"{BASE}/transfers/{transfer.peer_pid}"] = Unreachable("gone")
    (failed,) = await work(node)
    assert failed is not None
    assert not failed.is_final
    with pytest.raises(Overloaded):
        await node.access.may_pull("alice", transfer.pid, token)
    # 2. one that says the same lets it go on
    says(node, transfer, State.STARTED)
    await reconciling(node).begin("alice")
    await work(node)
    await node.access.may_pull("alice", transfer.pid, token)
    assert (await report(node)).same == 1


async def test_one_that_the_peer_fails_to_answer_about_holds_up_no_other(node: Node) -> None:
    await node.publish()
    stuck, fine = await node.started(consumer_pid="urn:t:1"), await node.started(consumer_pid="urn:t:2")
    await restore(node)
    node.host.documents[f"{BASE}/transfers/{stuck.peer_pid}"] = PeerAnswer("it fails", answer_status=500)
    says(node, fine, State.STARTED)
    assert await work(node) == [None]
    assert (await node.transfer(fine.pid)).is_open
    assert not (await node.transfer(stuck.pid)).is_open
    # and it is asked about again, apart
    node.clock.move(seconds=130)
    (failed,) = await work(node)
    assert failed is not None
    assert not failed.is_final


async def test_what_was_terminated_or_suspended_meanwhile_is_so_here(node: Node) -> None:
    await node.publish()
    ended, rests = await node.started(consumer_pid="urn:t:1"), await node.started(consumer_pid="urn:t:2")
    await restore(node)
    says(node, ended, State.TERMINATED)
    says(node, rests, State.SUSPENDED)
    await work(node)
    assert (await node.transfer(ended.pid)).state is State.TERMINATED
    assert (await node.transfer(rests.pid)).state is State.SUSPENDED
    found = {one["pid"]: one for one in (await report(node)).found}
    assert (found[ended.pid]["ours"], found[ended.pid]["theirs"], found[ended.pid]["finding"]) == (
        "STARTED",
        "TERMINATED",
        "followed",
    )
    assert (await node.timeline(rests.pid)).records[-1].note == "as the peer says when asked"
    # what rests is started again by whoever wants it, and is judged then
    await node.tell(m.TransferStartMessage(provider_pid=rests.pid, consumer_pid="urn:t:2"), rests.pid)
    assert (await node.transfer(rests.pid)).is_open


@pytest.mark.parametrize("lie", ["pid", "html", "state", "nothing", "elsewhere"])
async def test_a_peer_that_says_nothing_plainly_is_believed_in_nothing(node: Node, lie: str) -> None:
    await node.publish()
    pid = await node.requested(terms={"permission": [{"action": "use"}]})
    process = await node.negotiation(pid)
    url = f"{BASE}/negotiations/{process.peer_pid}"
    await restore(node)
    process = await node.negotiation(pid)
    told = {
        "html": answer(404, b"<html>not here</html>"),
        "nothing": answer(200, b""),
        "elsewhere": answer(404, b'{"detail":"Not Found"}'),
        "state": answer(
            200,
            b'{"@type":"ContractNegotiation","providerPid":"%s","consumerPid":"urn:c:1","state":"COMPLETED"}' % pid.encode(),
        ),
    }
    if lie == "pid":
        says(node, process, State.FINALIZED, consumer_pid="urn:c:2")
    else:
        node.host.documents[url] = told[lie]
    await work(node, within=4)
    after = await node.negotiation(pid)
    assert (after.state, after.is_doubted) == (process.state, True)
    (one,) = (await report(node)).found
    assert (one["finding"], one["needs_person"]) == ("not told", True)


async def test_an_agreement_that_is_not_known_here_is_not_believed(node: Node) -> None:
    await node.publish(approval="manual")
    pid = await node.requested()
    process = await node.negotiation(pid)
    assert process.hold is not None
    await restore(node)
    says(node, process, State.FINALIZED)
    await work(node)
    after = await node.negotiation(pid)
    assert (after.state, after.agreement_id) == (State.TERMINATED, None)
    assert (await node.store.agreements("alice", Filter())).total == 0
    (one,) = (await report(node)).found
    assert one["needs_person"]
    assert "POST" in one["words"]


async def test_an_agreement_whose_text_we_hold_is_final_when_the_consumer_says_so(node: Node) -> None:
    await node.publish()
    pid = await node.requested()
    process = await node.negotiation(pid)
    assert process.state is State.AGREED
    await restore(node)
    says(node, process, State.FINALIZED)
    await work(node)
    after = await node.negotiation(pid)
    assert (after.state, after.in_flight) == (State.FINALIZED, None)
    assert await node.store.agreement("alice", process.agreement_id or "") is not None
    # nobody sends the consumer what it has
    assert node.host.of("ContractNegotiationEventMessage") == []


async def test_sides_apart_are_ended_on_both_and_a_process_unknown_there_here_alone(node: Node) -> None:
    await node.publish(approval="manual")
    apart, lost = await node.requested("urn:c:1"), await node.requested("urn:c:2")
    await restore(node)
    says(node, await node.negotiation(apart), State.VERIFIED)
    says(node, await node.negotiation(lost), None)
    await work(node)
    for pid, code in ((apart, "states-differ"), (lost, "unknown-to-peer")):
        process = await node.negotiation(pid)
        assert (process.state, process.code) == (State.TERMINATED, code)
    (told,) = node.host.of("ContractNegotiationTerminationMessage")
    assert told.tree["consumerPid"] == "urn:c:1"


async def test_a_start_that_is_lost_here_is_asked_for_and_ended_when_it_never_comes(node: Node) -> None:
    await imported(node)
    begun = await node.transfers.start("alice", TransferWish(agreement="urn:a:9", format="HttpData-PULL"))
    await node.rest()
    transfer = await node.transfer(begun.pid)
    assert transfer.state is State.REQUESTED
    await restore(node)
    says(node, transfer, State.STARTED)
    await work(node)
    assert len(node.host.of("TransferRequestMessage")) == 2
    assert (await report(node)).found[0]["finding"] == "asked again"
    await work(node, within=4)
    after = await node.transfer(begun.pid)
    assert after.state is State.TERMINATED
    assert len(node.host.of("TransferTerminationMessage")) == 1


async def test_a_consumer_of_ours_that_asks_again_gets_a_start_with_a_fresh_address(node: Node) -> None:
    await node.publish()
    transfer = await node.started()
    starts = len(node.host.of("TransferStartMessage"))
    again = transfer_request(transfer.agreement_id, consumer_pid=transfer.peer_pid or "", id="urn:m:again")
    told = await node.tell(again)
    assert (told.provider_pid, told.state) == (transfer.pid, State.STARTED)
    assert len(node.host.of("TransferStartMessage")) == starts + 1
    await node.access.may_pull("alice", transfer.pid, node.plane.token(node.plane.count))


async def test_a_consumer_that_cannot_be_asked_is_suspended_until_it_wants_to_go_on(node: Node) -> None:
    await node.publish()
    runs = await node.started(PUSH)
    await restore(node)
    node.host.documents[f"{BASE}/transfers/{runs.peer_pid}"] = answer(405, b"")
    await work(node)
    assert (await node.transfer(runs.pid)).state is State.SUSPENDED
    (told,) = node.host.of("TransferSuspensionMessage")
    assert told.tree["code"] == "restored"
    await node.tell(m.TransferStartMessage(provider_pid=runs.pid, consumer_pid=runs.peer_pid or ""), runs.pid)
    assert (await node.transfer(runs.pid)).is_open


async def test_what_has_just_moved_is_let_be_and_a_dry_run_changes_nothing(node: Node) -> None:
    await node.publish(approval="manual")
    pid = await node.requested()
    process = await node.negotiation(pid)
    says(node, process, State.AGREED)
    await reconciling(node).begin("alice", peer=BOB.id, is_dry=True)
    await work(node)
    assert (await report(node)).found[0]["finding"] == "underway"
    node.clock.move(seconds=11)
    run = await reconciling(node).begin("alice", is_dry=True)
    await work(node)
    found = await reconciled(node.store, "alice", run)
    assert found is not None
    assert (found.is_dry, found.found[0]["finding"], found.is_done) == (True, "ended", True)
    assert await node.negotiation(pid) == process
    await reconciling(node).begin("alice")
    await work(node)
    assert (await node.negotiation(pid)).state is State.TERMINATED
    assert (await report(node)).is_done


async def test_a_process_that_moves_while_its_peer_is_asked_is_not_touched(node: Node) -> None:
    await node.publish(approval="manual")
    pid = await node.requested()
    await restore(node)
    process = await node.negotiation(pid)
    says(node, process, State.AGREED)
    url = f"{BASE}/negotiations/{process.peer_pid}"
    real, moved = node.host.get, []

    async def get(address: str, headers: Any, **more: Any) -> Answer:
        if address == url and not moved:
            moved.append(address)
            await node.negotiations.act("alice", pid, "offer")
            await node.rest()
        return await real(address, headers, **more)

    node.host.get = get  # type: ignore[method-assign]
    await work(node)
    assert (await node.negotiation(pid)).state is State.OFFERED
    assert (await report(node)).found[0]["words"] == "it has moved while its peer was asked"


async def test_an_agreement_ends_whose_negotiation_the_consumer_terminated(node: Node) -> None:
    await node.publish()
    agreement = await node.agreed()
    transfer = await node.tell(transfer_request(agreement))
    process = (await node.store.processes(Kind.NEGOTIATION, "alice", Filter())).items[0]
    node.clock.move(seconds=60)
    says(node, process, State.TERMINATED)
    says(node, await node.transfer(transfer.provider_pid), State.STARTED)
    await reconciling(node).begin("alice")
    await work(node)
    kept = await node.store.agreement("alice", agreement)
    assert kept is not None
    assert kept.ended_at is not None
    assert not (await node.transfer(transfer.provider_pid)).is_open


async def test_what_is_on_its_way_is_looked_at_until_it_has_arrived(node: Node) -> None:
    hangs = asyncio.Event()
    node.host.replies.append(hangs)
    begun = await node.begin()
    assert begun.state is None
    await restore(node)
    await work(node, within=5)
    (late,) = (await report(node)).waiting
    assert late.not_before - node.clock.now() > timedelta(minutes=5)
    hangs.set()
    await node.rest()
    process = await node.negotiation(begun.pid)
    # an answer of then says nothing of now
    assert (process.state, process.is_doubted) == (State.REQUESTED, True)
    says(node, process, State.REQUESTED)
    node.clock.move(minutes=10)
    await work(node)
    assert not (await node.negotiation(begun.pid)).is_doubted
    assert (await report(node)).is_done


async def test_a_peer_that_hangs_is_given_up_for_this_time(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connector.controlplane.asking._WITHIN_S", 0.01)
    await node.publish(approval="manual")
    pid = await node.requested()
    await restore(node)

    async def hangs(*_: Any, **__: Any) -> Answer:
        await asyncio.Event().wait()
        raise AssertionError

    node.host.get = hangs  # type: ignore[method-assign]
    (failed,) = await work(node)
    assert failed is not None
    assert ("no answer within" in failed.cause, failed.is_final) == (True, False)
    assert (await node.negotiation(pid)).is_doubted


async def test_a_slow_peer_takes_turns_with_others(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connector.controlplane.reconciling._TURN_S", 0)
    await node.publish(approval="manual")
    for number in range(3):
        says(node, await node.negotiation(await node.requested(f"urn:c:{number}")), State.REQUESTED)
    await reconciling(node).begin("alice")
    for left in (2, 1, 0):
        await work(node)
        assert sum(len(job.body["places"]) for job in (await report(node)).waiting) == left
    assert (await report(node)).same == 3


async def test_delayed_acts_wait_while_their_process_is_in_doubt(node: Node) -> None:
    await node.publish(rules=({"on": "REQUESTED", "do": "agree", "delay_s": 30},))
    pid = await node.requested()
    await restore(node)
    await node.pass_time(seconds=31)
    assert (await node.negotiation(pid)).in_flight is None
    assert (await node.negotiation(pid)).state is State.REQUESTED
    says(node, await node.negotiation(pid), State.REQUESTED)
    await work(node)
    await node.pass_time(seconds=11)
    assert (await node.negotiation(pid)).state is State.AGREED


async def test_a_refusal_of_what_was_on_its_way_ends_nothing_that_is_in_doubt(node: Node) -> None:
    await node.publish()
    node.host.always = lambda sent: answer(503)
    pid = await node.requested()
    # the backup was made; then the agreement arrived, was verified and is final: said once more it is refused
    node.host.always = lambda sent: answer(400)
    await restore(node)
    await node.pass_time(seconds=60)
    process = await node.negotiation(pid)
    assert process.in_flight is not None
    assert process.in_flight.to is State.AGREED
    says(node, process, State.FINALIZED)
    await work(node)
    assert (await node.negotiation(pid)).state is State.FINALIZED
    assert (await node.timeline(pid)).pending == ()


async def test_the_longest_wait_begins_anew_where_a_process_is_in_doubt(node: Node) -> None:
    await node.publish()
    pid = await node.requested()
    process = await node.negotiation(pid)
    # the backup is older than anybody waits: the consumer has verified the agreement since, and it is final
    node.clock.move(days=31)
    await restore(node)
    await node.pass_time(seconds=1)
    assert (await node.negotiation(pid)).state is State.AGREED
    says(node, process, State.FINALIZED)
    await work(node)
    assert (await node.negotiation(pid)).state is State.FINALIZED
    assert await node.store.agreement("alice", process.agreement_id or "") is not None


async def test_what_nobody_can_compare_ends_when_its_time_is_over(node: Node) -> None:
    await node.publish()
    pid = await node.requested()
    await restore(node)
    await node.pass_time(days=31)
    assert (await node.negotiation(pid)).code == "waited-too-long"


async def test_a_message_from_before_the_restore_proves_nothing_when_it_is_answered(node: Node) -> None:
    await node.publish()
    transfer = await node.started()
    # as the backup had it: the start on its way
    seen = replace(transfer, state=State.REQUESTED, entries={"REQUESTED": 1}, is_doubted=True)
    flown = replace(seen, in_flight=InFlight(message_id="urn:m:1", event=Event.START, to=State.STARTED))
    landed = acknowledged(flown, node.clock.now()).process
    assert (landed.state, landed.is_open) == (State.STARTED, False)
    # what the peer says to us now does
    await node.store.advance(key(transfer.pid, Kind.TRANSFER), lambda found: Change(process=replace(transfer, is_doubted=True)))
    told = m.TransferSuspensionMessage(id=new_urn(), provider_pid=transfer.pid, consumer_pid=transfer.peer_pid or "")
    await node.tell(told, transfer.pid)
    assert not (await node.transfer(transfer.pid)).is_doubted


async def _gone(*_: Any, **__: Any) -> Any:
    raise StoreUnavailable("gone")


async def test_the_mark_of_a_restore_goes_last_and_is_taken_up_twice_without_harm(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    await node.publish()
    transfer = await node.started()
    await node.store.jobs.put([restored_mark("2026-02-28T00:00:00+00:00")], node.clock.now())
    use = reconciling(node)
    with monkeypatch.context() as away:
        away.setattr(node.store.journal, "append", _gone)
        with pytest.raises(StoreUnavailable):
            await use.take_up()
    assert (await node.transfer(transfer.pid)).is_doubted
    await use.take_up()
    await use.take_up()
    assert (await node.store.jobs.page("@node")).total == 0
    assert (await node.store.jobs.page("alice", kind=RECONCILE)).total == 1
