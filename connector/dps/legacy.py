"""What EDC up to 0.17 and Tractus-X speak with data planes: JSON-LD of a few fixed shapes, without message ids and without logins.

What lives here: bytes to values and back. What does not: the standard (`standard.py`), HTTP.
Not JSON-LD processing: members are found by their last word, with the prefixes that EDC uses and with full IRIs; any other context
is refused. Success is 200 or 204 and nothing else; a resume is the same start again; repeats are known by `processId` alone.
Written with the context that EDC 0.15.1 was measured to need: without it the address of an answer is silently lost.
Source: recorded exchanges with EDC 0.15.1 (`dps/recorded`), and its own API as far as that agrees with them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson

from connector.dps import addresses
from connector.dps.flow import Call, FlowState, direction_of
from connector.dps.messages import Dialect, Note, Order, PlaneRegistration, Status, endpoint_of
from connector.dsp.messages import DataAddress
from connector.errors import BadMessage
from connector.strict import DEFAULT, Limits, scan, shown

EDC: Final = "https://w3id.org/edc/v0.0.1/ns/"
_DSPACE: Final = "https://w3id.org/dspace/v0.8/"
_CONTEXT: Final = {"@vocab": EDC, "dspace": _DSPACE, "odrl": "http://www.w3.org/ns/odrl/2/"}
_KNOWN: Final = (EDC, _DSPACE, "dspace:", "edc:")
_OWN: Final = frozenset({"transferTypeDestination", "allowedSourceTypes", "allowedTransferTypes"})
_OTHER: Final = frozenset({"profile", "profiles", "transferType", "transferTypes", "counterPartyId"})
"""What only one of the two dialects says."""
_STATES: Final = {
    "PROVISIONING": FlowState.PREPARING,
    "PROVISIONED": FlowState.PREPARED,
    "RECEIVED": FlowState.STARTING,
    "STARTED": FlowState.STARTED,
    "COMPLETED": FlowState.COMPLETED,
    "SUSPENDED": FlowState.SUSPENDED,
    "TERMINATED": FlowState.TERMINATED,
    "FAILED": FlowState.TERMINATED,
    "NOTIFIED": FlowState.COMPLETED,
}


def is_legacy(body: bytes, limits: Limits = DEFAULT) -> bool:
    """Whether an order or a registration is in this dialect: both dialects come to the same addresses.

    Told by what only this dialect says. The standard's messages are open for more, `@context` and `@type` among it.

    Raises: BadMessage, TooLarge.
    """
    tree = scan(body, limits)
    names = {_short(name) for name in tree} if isinstance(tree, dict) else set()
    return bool(names & _OWN) or ("@type" in names and not names & _OTHER)


def read_order(body: bytes, limits: Limits = DEFAULT) -> Order:
    """A start or a prepare, told apart by `@type`.

    Raises: BadMessage, TooLarge.
    """
    tree = _object(body, limits)
    kind = _short(_text(tree, "@type") or "")
    if kind not in ("DataFlowStartMessage", "DataFlowProvisionMessage"):
        raise BadMessage(
            f"`@type` is {shown(kind)}", where="@type", mend="send a DataFlowStartMessage or DataFlowProvisionMessage"
        )
    is_start = kind == "DataFlowStartMessage"
    profile = f"{_needed(tree, 'transferTypeDestination')}-{_needed(tree, 'flowType').upper()}"
    direction_of(profile)
    return Order(
        call=Call.START if is_start else Call.PREPARE,
        flow_id=_needed(tree, "processId"),
        # the consumer in both roles; whose data plane it is is not said
        counter_party_id=_needed(tree, "participantId"),
        agreement_id=_text(tree, "agreementId") or "",
        dataset_id=_text(tree, "datasetId") or "",
        profile=profile,
        callback=_text(tree, "callbackAddress"),
        address=_address(tree.get("destinationDataAddress" if is_start else "destination"), "destinationDataAddress"),
        source=_address(tree.get("sourceDataAddress"), "sourceDataAddress") if is_start else None,
    )


def write_order(order: Order) -> bytes:
    """A start or a prepare. The party named is the consumer, as EDC names it."""
    destination, _, flow_type = order.profile.rpartition("-")
    is_start = order.call is Call.START
    tree: dict[str, Any] = {
        "@context": _CONTEXT,
        "@type": "DataFlowStartMessage" if is_start else "DataFlowProvisionMessage",
        "processId": order.flow_id,
        "datasetId": order.dataset_id,
        "agreementId": order.agreement_id,
        "participantId": order.counter_party_id,
        "transferTypeDestination": destination,
        "flowType": flow_type.upper(),
        "properties": {},
        "callbackAddress": order.callback,
    }
    if order.source is not None:
        tree["sourceDataAddress"] = _address_tree(order.source)
    if order.address is not None:
        tree["destinationDataAddress" if is_start else "destination"] = _address_tree(order.address)
    return orjson.dumps({name: value for name, value in tree.items() if value is not None})


def read_note(body: bytes, call: Call, limits: Limits = DEFAULT) -> Note:
    """A suspend or a terminate; its body may be empty.

    Raises: BadMessage, TooLarge.
    """
    tree = _object(body, limits) if body.strip() else {}
    return Note(call=call, reason=_text(tree, "reason"))


def write_note(note: Note) -> bytes:
    """A suspend or a terminate."""
    name = {Call.SUSPEND: "DataFlowSuspendMessage", Call.TERMINATE: "DataFlowTerminateMessage"}[note.call]
    return orjson.dumps({"@context": _CONTEXT, "@type": name} | ({"reason": note.reason} if note.reason else {}))


def read_response(body: bytes, call: Call, limits: Limits = DEFAULT) -> Status:
    """The answer to a start or prepare: under way while the data plane provisions.

    Raises: BadMessage, TooLarge.
    """
    tree = _object(body, limits)
    if tree.get("provisioning") in (True, "true"):
        return Status(state=FlowState.PREPARING if call is Call.PREPARE else FlowState.STARTING)
    state = FlowState.PREPARED if call is Call.PREPARE else FlowState.STARTED
    return Status(state=state, address=_address(tree.get("dataAddress"), "dataAddress"))


def write_response(status: Status) -> bytes:
    """The answer to a start or prepare."""
    tree: dict[str, Any] = {
        "@context": _CONTEXT,
        "@type": "DataFlowResponseMessage",
        "provisioning": status.state.is_underway,
    }
    if status.address is not None:
        tree["dataAddress"] = _address_tree(status.address)
    return orjson.dumps(tree)


def read_state(body: bytes, limits: Limits = DEFAULT) -> Status:
    """The answer to a question for the state.

    Raises: BadMessage, TooLarge.
    """
    said = _text(_object(body, limits), "state") or ""
    state = _STATES.get(said.upper())
    if state is None:
        raise BadMessage(f"{shown(said)} is no state of a data flow", where="state", mend="send one of EDC's states")
    return Status(state=state)


def write_state(state: FlowState) -> bytes:
    """The answer to a question for the state."""
    said = next((name for name, one in _STATES.items() if one is state), "RECEIVED")
    return orjson.dumps({"@context": _CONTEXT, "@type": "DataFlowState", "state": said})


def read_failure(body: bytes, limits: Limits = DEFAULT) -> str:
    """Why a data plane says that a transfer failed.

    Raises: BadMessage, TooLarge.
    """
    return _needed(_object(body, limits), "errorMessage")


def write_failure(reason: str) -> bytes:
    """Why a transfer failed."""
    return orjson.dumps({"errorMessage": reason})


def read_provisioned(body: bytes, limits: Limits = DEFAULT) -> DataAddress | None:
    """The destination that a data plane has prepared: an address in EDC's own shape, or nothing.

    Raises: BadMessage, TooLarge.
    """
    tree = _object(body, limits) if body.strip() else {}
    properties = tree.get("properties")
    if not isinstance(properties, dict) or not properties:
        return None
    texts = {str(name): value for name, value in properties.items() if isinstance(value, str)}
    kind = next((value for name, value in texts.items() if _short(name) == "type"), "HttpData")
    return addresses.from_properties(kind, None, texts)


def read_plane(body: bytes, limits: Limits = DEFAULT) -> PlaneRegistration:
    """A data plane that offers itself.

    Raises: BadMessage, TooLarge.
    """
    tree = _object(body, limits)
    id_, url = tree.get("@id"), _needed(tree, "url")
    if not isinstance(id_, str) or not id_:
        raise BadMessage("member `@id` is missing", where="@id", mend="name the data plane")
    sources, transfers = _texts(tree, "allowedSourceTypes"), _texts(tree, "allowedTransferTypes")
    if not sources or not transfers:
        raise BadMessage("the data plane serves nothing", where="allowedTransferTypes", mend="name source and transfer types")
    return PlaneRegistration(
        dialect=Dialect.EDC,
        id=id_,
        endpoint=endpoint_of(url),
        # `HttpData-PULL-HttpData` names a way back, which nobody here uses
        profiles=tuple(one for one in transfers if one.count("-") == 1),
        source_types=sources,
        provision_types=_texts(tree, "destinationProvisionTypes"),
    )


def write_plane(plane: PlaneRegistration) -> bytes:
    """A registration, with full IRIs as EDC's own data plane writes it."""
    return orjson.dumps({
        "@context": {"@vocab": EDC},
        "@id": plane.id,
        "@type": f"{EDC}DataPlaneInstance",
        f"{EDC}url": f"{plane.endpoint}/dataflows",
        f"{EDC}allowedSourceTypes": list(plane.source_types),
        f"{EDC}allowedTransferTypes": list(plane.profiles),
        f"{EDC}destinationProvisionTypes": list(plane.provision_types),
    })  # fmt: skip


def write_id(id_: str) -> bytes:
    """The answer to a registration."""
    return orjson.dumps({"@context": _CONTEXT, "@type": "IdResponse", "@id": id_})


# --- members


def _short(name: str) -> str:
    return next((name.removeprefix(prefix) for prefix in _KNOWN if name.startswith(prefix)), name)


def _object(body: bytes, limits: Limits) -> dict[str, Any]:
    """The members of the body by their short names.

    Raises: BadMessage for a context that gives them another meaning.
    """
    tree = scan(body, limits)
    if not isinstance(tree, dict):
        raise BadMessage("the body is no object", mend="send a JSON object")
    context = tree.get("@context", {})
    for part in context if isinstance(context, list) else [context]:
        vocabulary, dspace = (
            (part.get("@vocab", EDC), part.get("dspace", _DSPACE)) if isinstance(part, dict) else (part, _DSPACE)
        )
        if vocabulary not in (EDC, "https://w3id.org/edc/connector/management/v0.0.1") or dspace != _DSPACE:
            raise BadMessage("the context is none of this dialect", where="@context", mend=f"use `{EDC}` and `{_DSPACE}`")
    return {_short(name): value for name, value in tree.items()}


def _text(tree: Mapping[str, Any], name: str) -> str | None:
    value = tree.get(name)
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, dict):
        value = value.get("@value", value.get("@id"))
    if value is None:
        return None
    if not isinstance(value, str):
        raise BadMessage(f"{shown(value)} is no text", where=name, mend="send a text")
    return value


def _needed(tree: Mapping[str, Any], name: str) -> str:
    value = _text(tree, name)
    if not value:
        raise BadMessage(f"member `{name}` is missing", where=name, mend="EDC's data planes need it")
    return value


def _texts(tree: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """A list of texts; JSON-LD writes a list of one as the one."""
    value = tree.get(name)
    values = value if isinstance(value, list) else [] if value is None else [value]
    found = [one.get("@value") if isinstance(one, dict) else one for one in values]
    texts = tuple(one for one in found if isinstance(one, str))
    if len(texts) != len(found):
        raise BadMessage("expected texts", where=name, mend="send an array of texts")
    return texts


def _address(tree: Any, where: str) -> DataAddress | None:
    """An address; a list of one property comes as the property, and the endpoint travels among the properties.

    Raises: BadMessage.
    """
    if tree is None:
        return None
    if not isinstance(tree, dict):
        raise BadMessage("a data address is an object", where=where, mend="send an object, or leave it out")
    flat = {_short(name): value for name, value in tree.items()}
    entries = flat.get("endpointProperties", [])
    properties: list[dict[str, Any]] = []
    for entry in entries if isinstance(entries, list) else [entries]:
        if not isinstance(entry, dict):
            raise BadMessage("a property of the data address is no object", where=where, mend="send `name` and `value`")
        short = {_short(name): value for name, value in entry.items()}
        properties.append({"name": short.get("name"), "value": short.get("value")})
    return addresses.read({"endpointType": flat.get("endpointType"), "endpointProperties": properties}, where)


def _address_tree(address: DataAddress) -> dict[str, Any]:
    """An address as EDC reads it: the names of its properties are IRIs, the endpoint is one of them."""
    named = {entry.name: entry.value for entry in address.endpoint_properties}
    if address.endpoint is not None:
        named = {f"{EDC}endpoint": address.endpoint, f"{EDC}endpointType": address.endpoint_type, **named}
    return {
        "@type": "dspace:DataAddress",
        "dspace:endpointType": address.endpoint_type,
        "dspace:endpointProperties": [
            {
                "@type": "dspace:EndpointProperty",
                "dspace:name": name if ":" in name else f"{EDC}{name}",
                "dspace:value": value,
            }
            for name, value in named.items()
        ],
    }
