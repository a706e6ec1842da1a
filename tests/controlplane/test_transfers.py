"""Transfers on whole use cases: who may ask for what, resumes of both kinds, the data plane, agreements that end."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from connector.controlplane.shelving import ASSET, DEFINITION
from connector.controlplane.terms import TransferWish
from connector.dsp import messages as m
from connector.dsp.process import By
from connector.dsp.tables import Role, State
from connector.dsp.transfer import Transfer
from connector.dsp.values import replace
from connector.errors import (
    AddressRefused,
    BadMessage,
    CallerError,
    Conflict,
    Forbidden,
    Gone,
    IllegalTransition,
    NotFound,
    Unauthenticated,
)
from tests.controlplane.scene import (
    BASE,
    BOB,
    EVE,
    PULL,
    PUSH,
    Node,
    answer,
    before,
    imported,
    imported_tree,
    members_only,
    pids,
    transfer_request,
)


async def asked(node: Node, format_: str = PULL, **wanted: Any) -> Transfer:
    """A transfer of ours as consumer, acknowledged."""
    agreement = await imported(node)
    found = await node.transfers.start("alice", TransferWish(agreement=agreement, format=format_, **wanted))
    await node.rest()
    return await node.transfer(found.pid)


def resumes(transfer: Transfer) -> m.TransferStartMessage:
    return m.TransferStartMessage(**pids(transfer))


def suspends(transfer: Transfer) -> m.TransferSuspensionMessage:
    return m.TransferSuspensionMessage(**pids(transfer))


# --- who may ask for what


async def test_an_agreement_of_somebody_else_does_not_exist(node: Node) -> None:
    await node.publish()
    agreement = await node.agreed()
    for caller, named in ((EVE, agreement), (BOB, "urn:a:none")):
        with pytest.raises(NotFound, match="no such agreement"):
            await node.tell(transfer_request(named), caller=caller)


async def test_an_agreement_in_which_we_are_the_consumer_opens_nothing_of_ours(node: Node) -> None:
    agreement = await imported(node)
    with pytest.raises(NotFound):
        await node.tell(transfer_request(agreement))


async def test_a_request_repeated_is_the_same_transfer_and_its_pid_stands_for_one(node: Node) -> None:
    await node.publish()
    agreement, other = await node.agreed(), await node.agreed(consumer_pid="urn:c:2")
    first = await node.tell(transfer_request(agreement, id="urn:m:1"))
    for id_ in ("urn:m:1", "urn:m:2", "urn:m:2", None):
        assert (await node.tell(transfer_request(agreement, id=id_))).provider_pid == first.provider_pid
    with pytest.raises(BadMessage, match="belongs to another transfer"):
        await node.tell(transfer_request(other))
    # each time that it was asked, and not when a message came twice: "the provider should respond with an appropriate start"
    assert len(node.host.of("TransferStartMessage")) == 3


async def test_a_push_needs_an_address_that_we_may_reach(node: Node) -> None:
    await node.publish()
    agreement = await node.agreed()
    with pytest.raises(BadMessage, match="where to"):
        await node.tell(transfer_request(agreement, PUSH, data_address=None))
    inside = m.DataAddress(endpoint_type="urn:http", endpoint="https://10.0.0.1/")
    with pytest.raises(AddressRefused):
        await node.tell(transfer_request(agreement, PUSH, data_address=inside))


async def test_an_address_goes_with_a_push_alone(node: Node) -> None:
    """Dataspace Protocol 2025-1, "Transfer Request Message": `dataAddress` must only be provided if the format is a push."""
    there = m.DataAddress(endpoint_type="urn:http", endpoint="https://sink.example/")
    agreement = await imported(node)

    async def ask(format_: str, destination: m.DataAddress | None) -> None:
        await node.transfers.start("alice", TransferWish(agreement=agreement, format=format_, destination=destination))
        await node.rest()

    with pytest.raises(CallerError, match="a pull has no destination"):
        await ask(PULL, there)
    await ask(PULL, None)
    await ask(PUSH, there)
    pull, push = (sent.tree for sent in node.host.of("TransferRequestMessage"))
    assert ("dataAddress" in pull, push["dataAddress"]["endpoint"]) == (False, "https://sink.example/")


async def test_an_unknown_transfer_and_somebody_elses_look_alike(node: Node) -> None:
    await node.publish()
    transfer = await node.started()
    for caller, named in ((EVE, transfer.pid), (BOB, "urn:uuid:none")):
        with pytest.raises(NotFound, match="there is no such transfer"):
            await node.tell(suspends(transfer), named, caller)
        with pytest.raises(NotFound, match="there is no such transfer"):
            await node.transfers.answer("alice", caller, named)
    assert (await node.transfer(transfer.pid)).state is State.STARTED


async def test_a_format_that_is_not_offered_is_refused(node: Node) -> None:
    await node.publish()
    with pytest.raises(BadMessage, match="is not offered"):
        await node.tell(transfer_request(await node.agreed(), "Pigeon-PULL"))


async def test_what_the_agreement_forbids_is_terminated_with_the_reason(node: Node) -> None:
    await node.publish()
    agreement = await imported(node, Role.PROVIDER, **members_only() | {"target": "urn:d:1"})
    found = await node.tell(transfer_request(agreement))
    assert (await node.transfer(found.provider_pid)).state is State.STARTED
    other = await node.agreements.import_(
        "alice", role=Role.PROVIDER, peer=EVE.id, address=BASE,
        tree=imported_tree(**{"@id": "urn:a:10", "assigner": "urn:alice", "assignee": EVE.id}, **members_only()),
    )  # fmt: skip
    refused = await node.tell(transfer_request(other.id), caller=EVE)
    process = await node.transfer(refused.provider_pid)
    assert (process.state, process.code) == (State.TERMINATED, "not-permitted")


# --- resumes


async def test_a_consumers_resume_brings_a_fresh_address_and_the_old_token_lives_until_it_has_arrived(node: Node) -> None:
    await node.publish()
    transfer = await node.started()
    await node.tell(suspends(transfer), transfer.pid)
    with pytest.raises(Forbidden):
        await node.access.may_pull("alice", transfer.pid, "token-1")
    node.host.replies.append(hanging := asyncio.Event())
    await node.tell(resumes(transfer), transfer.pid)
    for token in ("token-1", "token-2"):
        await node.access.may_pull("alice", transfer.pid, token)
    hanging.set()
    await node.rest()
    await node.access.may_pull("alice", transfer.pid, "token-2")
    with pytest.raises(Unauthenticated):
        await node.access.may_pull("alice", transfer.pid, "token-1")
    first, second = node.host.of("TransferStartMessage")
    assert first.tree["dataAddress"] != second.tree["dataAddress"]


async def test_a_consumer_that_knows_no_start_in_started_keeps_its_token(node: Node) -> None:
    await node.publish()
    transfer = await node.started()
    await node.tell(suspends(transfer), transfer.pid)
    node.host.replies.append(answer(400))
    await node.tell(resumes(transfer), transfer.pid)
    found = await node.transfer(transfer.pid)
    assert (found.state, found.error) == (State.STARTED, None)
    await node.access.may_pull("alice", transfer.pid, "token-1")


async def test_a_fresh_address_that_could_not_be_sent_in_time_is_not_sent_later(node: Node) -> None:
    await node.publish()
    transfer = await node.started()
    await node.tell(suspends(transfer), transfer.pid)
    node.host.replies.append(answer(503))
    await node.tell(resumes(transfer), transfer.pid)
    await node.tell(suspends(transfer), transfer.pid)
    await node.pass_time(seconds=60)
    # the consumer would take it for a resume
    assert len(node.host.of("TransferStartMessage")) == 2
    assert (await node.timeline(transfer.pid)).pending == ()
    assert (await node.transfer(transfer.pid)).state is State.SUSPENDED


async def test_a_consumer_does_not_resume_what_is_forbidden_by_now(node: Node) -> None:
    await node.publish()
    transfer = await node.started(PUSH)
    await node.tell(suspends(transfer), transfer.pid)
    agreement = await node.store.agreement("alice", transfer.agreement_id)
    assert agreement is not None
    # an agreement that says less now, as if a membership had lapsed
    await node.store.put_agreement(replace(agreement, ended_at=node.clock.now()), is_new=False)
    node.plane.told.clear()
    await node.tell(resumes(transfer), transfer.pid)
    assert (await node.transfer(transfer.pid)).state is State.TERMINATED
    assert ("start", transfer.pid) not in node.plane.told


async def test_our_own_resume_as_consumer_takes_the_providers_fresh_address(node: Node) -> None:
    transfer = await asked(node)
    old, new = (m.DataAddress(endpoint_type="urn:http", endpoint=f"https://bob.example/{name}") for name in ("old", "new"))
    await node.tell(m.TransferStartMessage(**pids(transfer), data_address=old), transfer.pid)
    await node.transfers.act("alice", transfer.pid, "suspend", reason="later")
    await node.rest()
    await node.transfers.act("alice", transfer.pid, "resume")
    await node.rest()
    resumed = await node.transfer(transfer.pid)
    assert (resumed.state, resumed.has_resumed, resumed.address) == (State.STARTED, True, old)
    assert "dataAddress" not in node.host.of("TransferStartMessage")[0].tree
    await node.tell(m.TransferStartMessage(**pids(transfer), data_address=new), transfer.pid)
    assert (await node.transfer(transfer.pid)).address == new


async def test_a_resume_that_crosses_is_put_off_with_409_until_ours_is_settled(node: Node) -> None:
    await node.publish()
    transfer = await node.started()
    node.host.replies.append(hanging := asyncio.Event())
    await node.transfers.act("alice", transfer.pid, "suspend")
    await node.rest()
    await node.tell(suspends(transfer), transfer.pid)
    with pytest.raises(Conflict) as put_off:
        await node.tell(resumes(transfer), transfer.pid)
    assert put_off.value.status == 409
    hanging.set()
    await node.rest()
    await node.tell(resumes(transfer), transfer.pid)
    assert (await node.transfer(transfer.pid)).state is State.STARTED


async def test_the_same_suspension_without_an_id_again_after_our_resume_is_a_new_one(node: Node) -> None:
    await node.publish()
    transfer = await node.started()
    message = suspends(transfer)
    for times in (1, 2):
        await node.tell(message, transfer.pid)
        await node.tell(message, transfer.pid)
        found = await node.transfer(transfer.pid)
        assert (found.state, found.entries["SUSPENDED"]) == (State.SUSPENDED, times)
        await node.transfers.act("alice", transfer.pid, "resume")
        await node.rest()
        assert (await node.transfer(transfer.pid)).state is State.STARTED


# --- the data plane


async def test_the_data_plane_is_told_to_stop_as_soon_as_a_stop_is_decided(node: Node) -> None:
    await node.publish()
    transfer = await node.started(PUSH)
    assert node.plane.told[-1] == ("start", transfer.pid)
    node.host.replies.append(asyncio.Event())
    await node.transfers.act("alice", transfer.pid, "suspend")
    assert node.plane.told[-1] == ("stop", transfer.pid)


async def test_what_the_data_plane_reports_ends_the_transfer(node: Node) -> None:
    await node.publish()
    done, broken = await node.started(PUSH, "urn:t:1"), await node.started(PUSH, "urn:t:2")
    for _ in range(2):
        # told twice, as it may be
        await node.events.completed("alice", done.pid, moved_bytes=7, digest="d" * 64)
        await node.events.failed("alice", broken.pid, "the sink is full")
        await node.rest()
    found = await node.transfer(done.pid)
    assert (found.state, found.moved_bytes, found.digest) == (State.COMPLETED, 7, "d" * 64)
    found = await node.transfer(broken.pid)
    assert (found.state, found.code, found.reasons) == (State.TERMINATED, "data-plane", ("the sink is full",))
    assert any(record.by is By.DATA_PLANE for record in (await node.timeline(broken.pid)).records)
    await node.events.completed("alice", "urn:none", moved_bytes=1, digest=None)


async def test_what_arrived_is_noted_and_the_provider_says_when_it_is_complete(node: Node) -> None:
    transfer = await asked(node, PUSH)
    assert transfer.access is not None
    await node.tell(resumes(transfer), transfer.pid)
    await node.events.received("alice", transfer.pid, moved_bytes=9, digest="e" * 64)
    found = await node.transfer(transfer.pid)
    assert (found.state, found.moved_bytes) == (State.STARTED, 9)
    assert (await node.access.may_push("alice", transfer.pid, "token-1")).pid == transfer.pid
    with pytest.raises(Unauthenticated):
        await node.access.may_pull("alice", transfer.pid, "token-1")


async def test_a_push_without_its_data_is_terminated_with_the_reason(node: Node) -> None:
    await node.publish()
    agreement = await node.agreed()
    await node.offerings.delete("alice", DEFINITION, "def")
    await node.offerings.delete("alice", ASSET, "urn:d:1")
    found = await node.tell(transfer_request(agreement, PUSH))
    process = await node.transfer(found.provider_pid)
    assert (process.state, process.code) == (State.TERMINATED, "data-plane")
    assert "no asset" in process.reasons[0]


async def test_a_push_whose_secret_does_not_open_is_terminated_and_nobody_gets_an_error(node: Node) -> None:
    await node.publish()
    agreement = await node.agreed()
    await node.secrets.put("alice", "key", "hush")
    source = {"type": "http", "url": "https://up.example/", "secret": "key"}
    body = {"id": "urn:d:1", "title": "t", "source": source, "digest": "0" * 64, "byte_size": 1}
    await node.offerings.put("alice", ASSET, "urn:d:1", body)
    kept = await node.store.document("alice", "secret", "key")
    assert kept is not None
    await node.store.put_document(replace(kept, body={"sealed": "AAAA"}))
    found = await node.tell(transfer_request(agreement, PUSH))
    assert (await node.transfer(found.provider_pid)).state is State.TERMINATED


# --- who may read, now


async def test_each_request_for_data_is_judged_anew(node: Node) -> None:
    terms = before("2026-03-01T01:00:00Z")
    await node.publish(terms)
    found = await node.tell(transfer_request(await node.agreed(terms=terms)))
    grant = await node.access.may_pull("alice", found.provider_pid, "token-1")
    assert grant.source.path == "/d"
    node.clock.move(hours=1)
    with pytest.raises(Forbidden, match="dateTime"):
        await node.access.may_pull("alice", found.provider_pid, "token-1")
    for pid, token in ((found.provider_pid, "wrong"), (found.provider_pid, None), ("urn:none", "token-1")):
        with pytest.raises(Unauthenticated, match="opens nothing"):
            await node.access.may_pull("alice", pid, token)
    node.clock.move(days=366)
    await node.transfers.act("alice", found.provider_pid, "terminate")
    await node.rest()
    with pytest.raises(Gone):
        await node.access.may_pull("alice", found.provider_pid, "token-1")


async def test_a_token_has_its_time(node: Node) -> None:
    await node.publish()
    transfer = await node.started()
    node.clock.move(days=366)
    with pytest.raises(Gone, match="time is over"):
        await node.access.may_pull("alice", transfer.pid, "token-1")


@pytest.mark.parametrize(
    ("wanted", "fault"),
    [({"agreement": "urn:a:none"}, NotFound), ({"address": "https://127.0.0.1/"}, AddressRefused)],
)
async def test_a_transfer_of_ours_is_checked_before_it_begins(
    node: Node, wanted: dict[str, Any], fault: type[Exception]
) -> None:
    agreement = await imported(node)
    with pytest.raises(fault):
        await node.transfers.start("alice", TransferWish(**{"agreement": agreement, "format": PULL, **wanted}))
    await node.agreements.end("alice", agreement, "over")
    with pytest.raises(Conflict, match="has ended"):
        await node.transfers.start("alice", TransferWish(agreement=agreement, format=PULL))


async def test_an_unlawful_act_of_an_operator_changes_nothing(node: Node) -> None:
    transfer = await asked(node)
    for act in ("start", "suspend", "complete", "approve"):
        with pytest.raises(IllegalTransition):
            await node.transfers.act("alice", transfer.pid, act)
    assert await node.transfer(transfer.pid) == transfer
