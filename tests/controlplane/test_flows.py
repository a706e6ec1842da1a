"""What a data plane is told next: by where the transfer is and where the plane was, and not by what happened."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from connector.controlplane.flows import again, arrived, jobs_of, next_call, taken
from connector.dps.flow import Call, FlowState
from connector.dps.messages import Status
from connector.dsp.process import InFlight
from connector.dsp.tables import Event, Role, State
from connector.dsp.transfer import DataFlow, Transfer
from connector.dsp.values import replace

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def transfer(role: Role, state: State | None, told: str = "", *, flight: Event | None = None, **changes: object) -> Transfer:
    flow = DataFlow(
        plane="dp", told=told, is_wanted=bool(changes.pop("is_wanted", False)), state=str(changes.pop("flow_state", ""))
    )
    found = Transfer(
        participant="acme",
        pid="urn:t",
        role=role,
        peer="urn:peer",
        peer_address="https://peer.example",
        agreement_id="urn:a",
        dataset="urn:d",
        format="HttpData-PULL",
        state=state,
        flow=flow,
        in_flight=InFlight(message_id="m", event=flight, to=State.STARTED) if flight is not None else None,
        created_at=NOW,
        updated_at=NOW,
    )
    return replace(found, **changes)


P, C = Role.PROVIDER, Role.CONSUMER


@pytest.mark.parametrize(
    ("found", "call"),
    [
        # a consumer prepares before it asks, and is told when the provider has started
        (transfer(C, None, is_wanted=True), Call.PREPARE),
        (transfer(C, State.REQUESTED, "prepare"), None),
        (transfer(C, State.STARTED, "prepare"), Call.STARTED),
        (transfer(C, State.STARTED, "started"), None),
        # a provider starts once that is decided
        (transfer(P, State.REQUESTED), None),
        (transfer(P, State.REQUESTED, is_wanted=True), Call.START),
        (transfer(P, State.REQUESTED, is_wanted=True, flow_state="STARTING", told="start"), None),
        (transfer(P, State.REQUESTED, "start", flight=Event.START), None),
        # whoever suspends: the data stops as soon as it is decided
        (transfer(P, State.STARTED, "start", flight=Event.SUSPEND), Call.SUSPEND),
        (transfer(P, State.SUSPENDED, "start"), Call.SUSPEND),
        (transfer(C, State.SUSPENDED, "started"), Call.SUSPEND),
        (transfer(P, State.SUSPENDED, "suspend"), None),
        # and goes on when there is an address for it
        (transfer(P, State.SUSPENDED, "suspend", is_wanted=True), Call.RESUME),
        (transfer(P, State.STARTED, "suspend"), Call.RESUME),
        (transfer(C, State.STARTED, "suspend", has_resumed=True), None),
        (transfer(C, State.STARTED, "suspend"), Call.RESUME),
        (transfer(C, State.STARTED, "suspend", has_resumed=True, format="HttpData-PUSH"), Call.RESUME),
        # the end, told once
        (transfer(P, State.COMPLETED, "start"), Call.COMPLETED),
        (transfer(P, State.COMPLETED, "suspend"), Call.TERMINATE),
        (transfer(P, State.TERMINATED, "resume"), Call.TERMINATE),
        (transfer(C, State.TERMINATED, "prepare"), Call.TERMINATE),
        (transfer(P, State.TERMINATED, "start", flow_state="STARTING"), Call.TERMINATE),
        (transfer(C, State.COMPLETED, "completed"), None),
        (transfer(C, State.TERMINATED, "terminate"), None),
        # a start that may have arrived without an answer is ended; one that was never tried is not
        (transfer(P, State.TERMINATED, is_wanted=True), Call.TERMINATE),
        (transfer(P, State.TERMINATED), None),
    ],
)  # fmt: skip
def test_the_next_call(found: Transfer, call: Call | None) -> None:
    assert next_call(found) is call
    names = [(job.kind, job.id) for job in jobs_of(found, NOW)]
    assert names == ([("signal", f"urn:t#0#{call}")] if call is not None else [])


def test_what_the_built_in_data_plane_moves_needs_no_call() -> None:
    assert jobs_of(replace(transfer(P, State.STARTED), flow=None), NOW) == ()


def test_each_call_that_is_taken_has_a_number_and_what_takes_its_time_is_looked_at() -> None:
    begun = taken(transfer(P, State.REQUESTED, is_wanted=True), Call.START, Status(state=FlowState.STARTING), NOW)
    assert begun.flow is not None
    assert (begun.flow.told, begun.flow.calls, begun.flow.since) == ("start", 1, NOW)
    (job,) = jobs_of(begun, NOW)
    assert (job.kind, job.id, job.order_key) == ("signal-look", "urn:t#1", None)
    there = arrived(begun, FlowState.STARTED)
    assert there.flow is not None
    assert (there.flow.state, there.flow.since, jobs_of(there, NOW)) == ("STARTED", None, ())
    # a plane that has provisioned is told to start once more, under another number
    assert [job.id for job in jobs_of(again(begun), NOW)] == ["urn:t#1#start"]


def test_a_plane_that_says_that_it_is_done_is_not_told_so() -> None:
    done = arrived(transfer(P, State.STARTED, "start"), FlowState.COMPLETED)
    assert next_call(replace(done, state=State.COMPLETED)) is None
