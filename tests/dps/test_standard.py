"""The standard's messages: what we write we read, and whatever planes in the field write is understood."""

from __future__ import annotations

import json
from types import MappingProxyType

import pytest

from connector.dps import addresses, standard
from connector.dps.flow import HTTP_PULL, Call, FlowState
from connector.dps.messages import ControlPlaneRegistration, Dialect, Note, PlaneRegistration, Status, endpoint_of
from connector.errors import BadMessage
from tests.dps.samples import ADDRESS, order


@pytest.mark.parametrize("call", [Call.PREPARE, Call.START])
@pytest.mark.parametrize("profile", ["HttpData-PULL", "HttpData-PUSH"])
def test_an_order_comes_back_as_it_was(call: Call, profile: str) -> None:
    sent = order(call, profile)
    assert standard.read_order(standard.write_order(sent), call) == sent


@pytest.mark.parametrize("call", [call for call in Call if call not in (Call.PREPARE, Call.START)])
def test_a_note_comes_back_with_what_its_kind_carries(call: Call) -> None:
    carries = call in (Call.STARTED, Call.RESUME)
    sent = Note(call=call, message_id="m", reason=None, address=ADDRESS if carries else None)
    read = standard.read_note(standard.write_note(sent), call)
    assert read == (Note(call=call) if call is Call.COMPLETED else sent)


@pytest.mark.parametrize("state", list(FlowState))
def test_a_status_comes_back_as_it_was(state: FlowState) -> None:
    sent = Status(state=state, message_id="m", flow_id="f", address=ADDRESS, error="why")
    assert standard.read_status(standard.write_status(sent)) == sent


def test_registrations_come_back_as_they_were() -> None:
    plane = PlaneRegistration(
        dialect=Dialect.DPS,
        id="dp",
        endpoint="https://dp.example/v1",
        profiles=("a-pull",),
        labels=("eu",),
        authorization={"type": "x"},
    )
    assert standard.read_plane(standard.write_plane(plane)) == plane
    assert standard.read_plane(standard.write_plane(plane, is_edc=True)) == plane
    cp = ControlPlaneRegistration(id="cp", endpoint="https://cp.example", authorization={"type": "x"})
    assert standard.read_control_plane(standard.write_control_plane(cp)) == cp


@pytest.mark.parametrize("name", ["processId", "dataFlowId", "processID"])
def test_the_flow_is_known_by_each_of_its_names(name: str) -> None:
    tree = json.loads(standard.write_order(order()))
    del tree["processId"], tree["dataFlowId"]
    assert standard.read_order(json.dumps({**tree, name: "flow"}).encode(), Call.START).flow_id == "flow"


def test_an_order_carries_both_names_of_the_flow_and_of_the_profile() -> None:
    tree = json.loads(standard.write_order(order()))
    assert tree["processId"] == tree["dataFlowId"]
    assert tree["profile"] == tree["transferType"]
    assert None not in tree.values()


@pytest.mark.parametrize(
    ("sent", "profile"),
    [("HttpData-PUSH", "HttpData-PUSH"), ({"destinationType": "HttpData", "flowType": "push"}, "HttpData-PUSH")],
)
def test_older_names_of_the_profile_are_read(sent: object, profile: str) -> None:
    tree = json.loads(standard.write_order(order(profile="HttpData-PUSH")))
    del tree["profile"]
    assert standard.read_order(json.dumps({**tree, "transferType": sent}).encode(), Call.START).profile == profile


def test_claims_that_cannot_be_changed_travel_as_what_they_are() -> None:
    sent = order(claims={"address": MappingProxyType({"country": "DE"})})
    assert json.loads(standard.write_order(sent))["claims"] == {"address": {"country": "DE"}}


def test_what_is_null_is_not_there() -> None:
    tree = json.loads(standard.write_order(order()))
    tree |= {"callbackAddress": None, "labels": None, "metadata": None, "dataAddress": None, "claims": None}
    read = standard.read_order(json.dumps(tree).encode(), Call.START)
    assert (read.callback, read.labels, read.address, read.claims) == (None, (), None, {})


@pytest.mark.parametrize(("said", "state"), [(50, "PREPARING"), (200, "STARTED"), (350, "TERMINATED"), ("started", "STARTED")])
def test_states_are_read_as_numbers_and_in_any_case(said: object, state: str) -> None:
    assert standard.read_status(json.dumps({"dataFlowID": "f", "state": said, "error": ""}).encode()) == Status(
        state=FlowState(state), flow_id="f"
    )


@pytest.mark.parametrize("said", [None, True, "RUNNING", 7, {}])
def test_a_status_without_a_state_of_the_standard_is_refused(said: object) -> None:
    with pytest.raises(BadMessage, match="no state"):
        standard.read_status(json.dumps({"state": said}).encode())


@pytest.mark.parametrize(
    "tree",
    [
        {"endpointType": "HTTP", "endpoint": "https://a.example"},
        {"endpointType": "HTTP", "endpoint": "https://a.example", "endpointProperties": []},
        {"@type": "DataAddress", "endpointType": "HTTP", "endpoint": "https://a.example", "endpointProperties": None},
    ],
)
def test_an_address_is_read_as_loosely_as_it_is_found(tree: object) -> None:
    found = addresses.read(tree)
    assert found is not None
    assert found.endpoint_url() == "https://a.example"
    assert "endpointProperties" not in addresses.tree_of(found)


@pytest.mark.parametrize("tree", [None, {}])
def test_no_address_is_none(tree: object) -> None:
    assert addresses.read(tree) is None


@pytest.mark.parametrize(
    ("tree", "where"),
    [
        ([], "dataAddress"),
        ({"endpoint": "https://a.example"}, "dataAddress.endpointType"),
        ({"endpointType": "HTTP", "endpoint": 7}, "dataAddress.endpoint"),
        ({"endpointType": "HTTP", "endpointProperties": {}}, "dataAddress.endpointProperties"),
        ({"endpointType": "HTTP", "endpointProperties": [{"name": "a"}]}, "dataAddress.endpointProperties"),
    ],
)
def test_a_broken_address_is_refused_with_its_place(tree: object, where: str) -> None:
    with pytest.raises(BadMessage) as caught:
        addresses.read(tree)
    assert caught.value.where == where


@pytest.mark.parametrize(
    ("call", "profile", "has_address"),
    [(Call.START, "HttpData-PULL", True), (Call.START, "HttpData-PUSH", False), (Call.PREPARE, "HttpData-PUSH", True)],
)
def test_an_address_on_the_wrong_side_is_refused(call: Call, profile: str, has_address: bool) -> None:
    tree = json.loads(standard.write_order(order(call, profile, address=None)))
    if has_address:
        tree["dataAddress"] = addresses.tree_of(ADDRESS)
    with pytest.raises(BadMessage) as caught:
        standard.read_order(json.dumps(tree).encode(), call)
    assert caught.value.where == "dataAddress"


@pytest.mark.parametrize("member", ["participantId", "counterPartyId", "agreementId", "datasetId"])
@pytest.mark.parametrize("value", [None, "", 7, "x" * 3000])
def test_an_order_without_what_the_schema_requires_is_refused(member: str, value: object) -> None:
    tree = {**json.loads(standard.write_order(order())), member: value}
    with pytest.raises(BadMessage) as caught:
        standard.read_order(json.dumps(tree).encode(), Call.START)
    assert caught.value.where == member


def test_an_address_of_the_standards_own_profile_can_be_renewed() -> None:
    addresses.check_pull("HttpData-PULL", ADDRESS)
    with pytest.raises(BadMessage, match="refreshToken"):
        addresses.check_pull(HTTP_PULL, ADDRESS)


@pytest.mark.parametrize(
    "url",
    ["https://a.example/v1", "https://a.example/v1/", "https://a.example/v1/dataflows", "https://a.example/v1/dataflows/"],
)
def test_an_endpoint_has_one_form(url: str) -> None:
    assert endpoint_of(url) == "https://a.example/v1"


def test_what_opens_data_is_not_shown() -> None:
    sent = order(profile="HttpData-PUSH")
    assert (
        "t0k3n"
        not in f"{sent!r} {Status(state=FlowState.STARTED, address=ADDRESS)!r} {Note(call=Call.STARTED, address=ADDRESS)!r}"
    )
