"""The Eclipse standard on the wire: plain JSON, read with every spelling that planes in the field use, written for all of them.

What lives here: bytes to values and back. What does not: the older dialect (`legacy.py`), HTTP.
The flow is `processId` in v1.0-RC3 and `dataFlowId` from RC4 on; the profile is `transferType` in RC1, RC2, EDC and its Java SDK, and
`profiles` of a registration are `transferTypes` there. Both names are written, either is read. What is null is not there.
Source: Data Plane Signaling v1.0-RC3, schemas and OpenAPI of both sides; RC4 as the Rust SDK 0.1.3 speaks it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson

from connector.dps import addresses
from connector.dps.flow import Call, Direction, FlowState, direction_of
from connector.dps.messages import ControlPlaneRegistration, Dialect, Note, Order, PlaneRegistration, Status, endpoint_of
from connector.errors import BadMessage
from connector.strict import DEFAULT, Limits, scan, shown

_MOST: Final = 2048
_STATES: Final = {state.value: state for state in FlowState} | {
    # how the SDKs call the first state
    "INITIATING": FlowState.INITIALIZED,
    "UNINITIALIZED": FlowState.INITIALIZED,
}
# the Go SDK writes its states as numbers
_NUMBERS: Final = {
    0: FlowState.INITIALIZED,
    50: FlowState.PREPARING,
    100: FlowState.PREPARED,
    150: FlowState.STARTING,
    200: FlowState.STARTED,
    250: FlowState.COMPLETED,
    300: FlowState.SUSPENDED,
    350: FlowState.TERMINATED,
}


# --- control plane to data plane


def read_order(body: bytes, call: Call, limits: Limits = DEFAULT) -> Order:
    """Prepare or start.

    Raises: BadMessage, TooLarge.
    """
    tree = _object(body, limits)
    profile = _profile(tree)
    address = addresses.read(tree.get("dataAddress"))
    direction = direction_of(profile)
    if call is Call.START and (address is None) is (direction is Direction.PUSH):
        what = "a push needs an address" if address is None else "the address of a pull is made by the data plane"
        mend = "send where to push to" if address is None else "leave it out"
        raise BadMessage(what, where="dataAddress", mend=mend)
    if call is Call.PREPARE and address is not None:
        raise BadMessage("an address is made by the data plane", where="dataAddress", mend="leave it out")
    return Order(
        call=call,
        message_id=_text(tree, "messageId"),
        flow_id=_needed(tree, "processId", "dataFlowId", "processID", "dataFlowID"),
        participant_id=_needed(tree, "participantId"),
        counter_party_id=_needed(tree, "counterPartyId"),
        dataspace_context=_text(tree, "dataspaceContext") or "",
        agreement_id=_needed(tree, "agreementId"),
        dataset_id=_needed(tree, "datasetId"),
        profile=profile,
        claims=_mapping(tree, "claims"),
        labels=_texts(tree, "labels"),
        metadata=_mapping(tree, "metadata"),
        callback=_text(tree, "callbackAddress"),
        address=address,
    )


def write_order(order: Order) -> bytes:
    """Prepare or start, for planes of every release candidate."""
    tree: dict[str, Any] = {
        "messageId": order.message_id,
        "participantId": order.participant_id,
        "counterPartyId": order.counter_party_id,
        "dataspaceContext": order.dataspace_context,
        "processId": order.flow_id,
        "dataFlowId": order.flow_id,
        "agreementId": order.agreement_id,
        "datasetId": order.dataset_id,
        "profile": order.profile,
        "transferType": order.profile,
        "claims": dict(order.claims),
        "callbackAddress": order.callback,
        "labels": list(order.labels) or None,
        "metadata": dict(order.metadata) or None,
        "dataAddress": addresses.tree_of(order.address) if order.address is not None else None,
    }
    return _written(tree)


def read_note(body: bytes, call: Call, limits: Limits = DEFAULT) -> Note:
    """One of the short messages; an empty body says nothing more than the path. A `processId` in it is not looked at.

    Raises: BadMessage, TooLarge.
    """
    tree = _object(body, limits) if body.strip() else {}
    return Note(
        call=call,
        message_id=_text(tree, "messageId"),
        reason=_text(tree, "reason"),
        address=addresses.read(tree.get("dataAddress")) if call in (Call.STARTED, Call.RESUME) else None,
    )


def write_note(note: Note) -> bytes:
    """One of the short messages; `completed` has no members of its own."""
    if note.call is Call.COMPLETED:
        return b"{}"
    address = addresses.tree_of(note.address) if note.address is not None else None
    return _written({"messageId": note.message_id, "reason": note.reason, "dataAddress": address})


# --- data plane to control plane


def read_status(body: bytes, limits: Limits = DEFAULT) -> Status:
    """An answer or a report; most planes leave out something of what the schema asks for.

    Raises: BadMessage, TooLarge.
    """
    tree = _object(body, limits)
    said = tree.get("state")
    state = _NUMBERS.get(said) if isinstance(said, int) and not isinstance(said, bool) else None
    if isinstance(said, str):
        state = _STATES.get(said.upper())
    if state is None:
        raise BadMessage(f"{shown(said)} is no state of a data flow", where="state", mend="send one of the standard's states")
    return Status(
        state=state,
        message_id=_text(tree, "messageId"),
        flow_id=_text(tree, "dataFlowId", "dataFlowID"),
        address=addresses.read(tree.get("dataAddress")),
        error=_text(tree, "error") or None,
    )


def write_status(status: Status) -> bytes:
    """An answer or a report, as the schema wants it."""
    address = addresses.tree_of(status.address) if status.address is not None else None
    return _written({
        "messageId": status.message_id,
        "dataFlowId": status.flow_id,
        "state": status.state.value,
        "dataAddress": address,
        "error": status.error,
    })  # fmt: skip


# --- registrations


def read_plane(body: bytes, limits: Limits = DEFAULT) -> PlaneRegistration:
    """A data plane that offers itself.

    Raises: BadMessage, TooLarge.
    """
    tree = _object(body, limits)
    profiles = _texts(tree, "profiles") or _texts(tree, "transferTypes")
    if not profiles:
        raise BadMessage("the data plane names no profiles", where="profiles", mend="name the transfer profiles that it serves")
    for profile in profiles:
        direction_of(profile)
    return PlaneRegistration(
        dialect=Dialect.DPS,
        id=_needed(tree, "dataplaneId"),
        endpoint=endpoint_of(_needed(tree, "endpoint")),
        profiles=profiles,
        labels=_texts(tree, "labels"),
        authorization=_mapping(tree, "authorization") or None,
    )


def write_plane(plane: PlaneRegistration, *, is_edc: bool = False) -> bytes:
    """A registration; EDC wants an endpoint that ends in `/dataflows`, and no authorization that has no type."""
    return _written({
        "dataplaneId": plane.id,
        "endpoint": f"{plane.endpoint}/dataflows" if is_edc else plane.endpoint,
        "profiles": list(plane.profiles),
        "transferTypes": list(plane.profiles),
        "labels": list(plane.labels) or None,
        "authorization": dict(plane.authorization or {}) if plane.authorization or not is_edc else None,
    })  # fmt: skip


def read_control_plane(body: bytes, limits: Limits = DEFAULT) -> ControlPlaneRegistration:
    """A control plane that announces itself.

    Raises: BadMessage, TooLarge.
    """
    tree = _object(body, limits)
    return ControlPlaneRegistration(
        id=_needed(tree, "controlplaneId"),
        endpoint=_needed(tree, "endpoint").rstrip("/"),
        authorization=_mapping(tree, "authorization") or None,
    )


def write_control_plane(plane: ControlPlaneRegistration) -> bytes:
    """An announcement."""
    tree = {"controlplaneId": plane.id, "endpoint": plane.endpoint, "authorization": dict(plane.authorization or {})}
    return _written(tree)


# --- members


def _written(tree: Mapping[str, Any]) -> bytes:
    return orjson.dumps({name: value for name, value in tree.items() if value is not None}, default=_plain)


def _plain(value: object) -> object:
    """What claims may hold beside plain JSON: mappings that cannot be changed."""
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} is no JSON")


def _object(body: bytes, limits: Limits) -> dict[str, Any]:
    tree = scan(body, limits)
    if not isinstance(tree, dict):
        raise BadMessage("the body is no object", mend="send a JSON object")
    return tree


def _text(tree: Mapping[str, Any], *names: str) -> str | None:
    for name in names:
        value = tree.get(name)
        if value is None:
            continue
        if not isinstance(value, str):
            raise BadMessage(f"{shown(value)} is no text", where=name, mend="send a text")
        if len(value) > _MOST and name != "error":
            raise BadMessage("the text is too long", where=name, mend=f"use at most {_MOST} characters")
        return value
    return None


def _needed(tree: Mapping[str, Any], *names: str) -> str:
    value = _text(tree, *names)
    if not value:
        raise BadMessage(f"member `{names[0]}` is missing", where=names[0], mend="the standard requires it")
    return value


def _texts(tree: Mapping[str, Any], name: str) -> tuple[str, ...]:
    value = tree.get(name)
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise BadMessage("expected an array of texts", where=name, mend="send an array of texts, or leave it out")
    return tuple(value)


def _mapping(tree: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = tree.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise BadMessage("expected an object", where=name, mend="send an object")
    return value


def _profile(tree: Mapping[str, Any]) -> str:
    """The transfer profile, under whichever name; two SDKs of 2025 sent it in two parts."""
    kind = tree.get("transferType")
    if isinstance(kind, dict) and tree.get("profile") is None:
        return f"{_needed(kind, 'destinationType')}-{_needed(kind, 'flowType').upper()}"
    return _needed(tree, "profile", "transferType")
