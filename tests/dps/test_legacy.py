"""What EDC up to 0.17 speaks: its own messages are understood, and ours have the shapes that it reads."""

from __future__ import annotations

import json

import pytest

from connector.dps import legacy, standard
from connector.dps.addresses import from_properties
from connector.dps.flow import Call, FlowState
from connector.dps.messages import Dialect, Note, PlaneRegistration, Status
from connector.errors import BadMessage
from tests.dps.samples import ADDRESS, order

SOURCE = from_properties("HttpData", None, {f"{legacy.EDC}baseUrl": "https://up.example", f"{legacy.EDC}authCode": "s3cret"})


def test_the_two_dialects_of_one_address_are_told_apart() -> None:
    assert legacy.is_legacy(legacy.write_order(order()))
    assert not legacy.is_legacy(standard.write_order(order()))


@pytest.mark.parametrize("profile", ["HttpData-PULL", "HttpData-PUSH"])
def test_a_start_comes_back_with_what_this_dialect_says(profile: str) -> None:
    sent = order(profile=profile, source=SOURCE)
    read = legacy.read_order(legacy.write_order(sent))
    assert (read.call, read.flow_id, read.profile, read.source) == (Call.START, sent.flow_id, profile, SOURCE)
    assert (read.counter_party_id, read.participant_id, read.message_id) == ("did:web:theirs", "", None)
    assert (read.address is not None) is profile.endswith("PUSH")
    assert read.address is None or read.address.endpoint_url() == ADDRESS.endpoint


@pytest.mark.parametrize("state", [FlowState.STARTED, FlowState.STARTING])
def test_an_answer_says_whether_it_is_under_way(state: FlowState) -> None:
    answered = legacy.write_response(Status(state=state, address=None if state.is_underway else ADDRESS))
    # without this context EDC loses the address silently
    assert json.loads(answered)["@context"]["dspace"] == "https://w3id.org/dspace/v0.8/"
    read = legacy.read_response(answered, Call.START)
    assert read.state is state
    if read.address is not None:
        assert (read.address.endpoint_url(), read.address.property("authorization")) == (ADDRESS.endpoint, "t0k3n")


def test_notes_states_failures_and_registrations_come_back() -> None:
    assert legacy.read_note(legacy.write_note(Note(call=Call.SUSPEND, reason="why")), Call.SUSPEND).reason == "why"
    assert legacy.read_note(b"", Call.TERMINATE) == Note(call=Call.TERMINATE)
    for state in (FlowState.STARTED, FlowState.SUSPENDED, FlowState.COMPLETED, FlowState.TERMINATED):
        assert legacy.read_state(legacy.write_state(state)).state is state
    assert legacy.read_failure(legacy.write_failure("it broke")) == "it broke"
    plane = PlaneRegistration(
        dialect=Dialect.EDC, id="dp", endpoint="http://dp:9192/v1", profiles=("HttpData-PUSH",), source_types=("HttpData",)
    )
    assert legacy.read_plane(legacy.write_plane(plane)) == plane


def test_a_prepared_destination_is_read_in_edcs_own_shape() -> None:
    found = legacy.read_provisioned(
        json.dumps({"properties": {f"{legacy.EDC}type": "HttpData", f"{legacy.EDC}baseUrl": "https://in"}}).encode()
    )
    assert found is not None
    assert (found.endpoint_type, found.endpoint_url()) == ("HttpData", "https://in")
    assert legacy.read_provisioned(b"") is None


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"@context": {"dspace": "https://w3id.org/dspace/2025/1/"}}, "@context"),
        ({"@context": "https://example.org/mine"}, "@context"),
        ({"@type": "DataFlowSuspendMessage"}, "@type"),
        ({"flowType": None}, "flowType"),
        ({"flowType": "SIDEWAYS"}, "profile"),
        ({"sourceDataAddress": "here"}, "sourceDataAddress"),
    ],
)
def test_what_is_not_this_dialect_is_refused_with_its_place(changes: dict[str, object], where: str) -> None:
    tree = json.loads(legacy.write_order(order(source=SOURCE))) | changes
    with pytest.raises(BadMessage) as caught:
        legacy.read_order(json.dumps(tree).encode())
    assert caught.value.where == where
