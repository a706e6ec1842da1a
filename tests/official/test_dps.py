"""Data plane signaling against the standard's own schemas, and against what a real EDC 0.15.1 was recorded to send."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Callable
from typing import Any

import pytest

from connector.dps import addresses, legacy, standard
from connector.dps.flow import HTTP_PULL, Call, FlowState
from connector.dps.messages import ControlPlaneRegistration, Dialect, Note, PlaneRegistration, Status
from tests.dps.samples import ADDRESS, order
from tests.dps.schemas import validators

Errors = Callable[[str, bytes], list[str]]


@pytest.fixture
def errors(official: pathlib.Path) -> Errors:
    """What the official schema finds wrong with a message."""
    found = validators(official)
    return lambda name, body: [error.message for error in found[name].iter_errors(json.loads(body))]


@pytest.mark.parametrize("profile", ["HttpData-PULL", "HttpData-PUSH", HTTP_PULL])
def test_orders_are_valid(errors: Errors, profile: str) -> None:
    assert errors("DataFlowPrepareMessage", standard.write_order(order(Call.PREPARE, profile))) == []
    assert errors("DataFlowStartMessage", standard.write_order(order(Call.START, profile))) == []
    bare = order(Call.START, profile, claims={}, labels=(), metadata={}, callback=None)
    assert errors("DataFlowStartMessage", standard.write_order(bare)) == []


@pytest.mark.parametrize("address", [None, ADDRESS])
def test_notes_are_valid(errors: Errors, address: Any) -> None:
    for call, name in ((Call.STARTED, "DataFlowStartedNotificationMessage"), (Call.RESUME, "DataFlowResumeMessage")):
        assert errors(name, standard.write_note(Note(call=call, message_id="m", address=address))) == []
    for call, name in ((Call.SUSPEND, "DataFlowSuspendMessage"), (Call.TERMINATE, "DataFlowTerminateMessage")):
        assert errors(name, standard.write_note(Note(call=call, message_id="m", reason="why"))) == []


@pytest.mark.parametrize("state", list(FlowState))
def test_each_status_is_valid_as_an_answer_and_as_a_report(errors: Errors, state: FlowState) -> None:
    for address, error in ((None, None), (ADDRESS, "why")):
        body = standard.write_status(Status(state=state, message_id="m", flow_id="f", address=address, error=error))
        assert errors("DataFlowStatusMessage", body) == []
        assert errors("DataFlowStatusResponseMessage", body) == []


def test_registrations_are_valid(errors: Errors) -> None:
    plane = PlaneRegistration(
        dialect=Dialect.DPS, id="dp", endpoint="https://dp.example", profiles=("HttpData-PULL",), labels=("eu",)
    )
    assert errors("DataPlaneRegistrationMessage", standard.write_plane(plane)) == []
    cp = ControlPlaneRegistration(id="cp", endpoint="https://cp.example")
    assert errors("ControlPlaneRegistrationMessage", standard.write_control_plane(cp)) == []


def test_the_schema_can_fail(errors: Errors) -> None:
    assert errors("DataFlowStatusMessage", b'{"state": "RUNNING"}') != []
    assert errors("DataFlowStartMessage", b'{"processId": "p"}') != []


def test_an_address_is_valid_by_the_http_profile(errors: Errors) -> None:
    properties = {"authorization": "t", "authType": "bearer"}
    found = addresses.from_properties(HTTP_PULL, "https://data.example/flow", properties)
    assert errors("HttpProfile", json.dumps(addresses.tree_of(found)).encode()) == []


def _recorded(folder: pathlib.Path, number: int) -> dict[str, Any]:
    path = next((folder / "dps/recorded").glob(f"{number:02d}-*.json"))
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def test_edcs_control_plane_is_understood(official: pathlib.Path) -> None:
    pull, again, push, prepare = (
        legacy.read_order(json.dumps(_recorded(official, n)["request"]).encode()) for n in (2, 4, 5, 7)
    )
    assert pull == again
    assert (pull.call, pull.profile, pull.counter_party_id) == (Call.START, "HttpData-PULL", "consumer")
    assert pull.source is not None
    assert (pull.source.endpoint_url(), pull.source.property("authCode")) == ("http://localhost:9999/data", "SOURCESECRET")
    assert pull.callback == "http://localhost:39192/control"
    assert push.address is not None
    assert (push.profile, push.address.endpoint_url()) == ("HttpData-PUSH", "http://localhost:9997/")
    assert (prepare.call, prepare.profile) == (Call.PREPARE, "HttpData-PUSH")
    assert prepare.address is not None
    for number, call in ((3, Call.SUSPEND), (6, Call.TERMINATE)):
        assert legacy.read_note(json.dumps(_recorded(official, number)["request"]).encode(), call) == Note(call=call)


def test_edcs_data_plane_is_understood(official: pathlib.Path) -> None:
    plane = legacy.read_plane(json.dumps(_recorded(official, 8)["request"]).encode())
    assert (plane.id, plane.endpoint) == ("edc-dp", "http://localhost:39292/control/v1")
    assert (plane.profiles, plane.source_types) == (("HttpData-PULL", "HttpData-PUSH"), ("HttpData",))
    assert "ConnectException" in legacy.read_failure(json.dumps(_recorded(official, 10)["request"]).encode())


def test_what_edc_takes_as_an_answer_is_what_we_give(official: pathlib.Path) -> None:
    taken = _recorded(official, 2)["response"]
    ours = json.loads(legacy.write_response(Status(state=FlowState.STARTED, address=ADDRESS)))
    assert ours.keys() == taken.keys()
    assert {k: v for k, v in ours["@context"].items() if k != "odrl"} == taken["@context"]
    assert {entry["@type"] for entry in ours["dataAddress"]["dspace:endpointProperties"]} == {"dspace:EndpointProperty"}
    assert legacy.read_response(json.dumps(taken).encode(), Call.START).address is not None
