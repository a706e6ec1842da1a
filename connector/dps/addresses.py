"""Data addresses between planes: read as loosely as they are found, written in the full form of the Dataspace Protocol.

The schema of the standard asks for `@type` and for properties; its own examples leave both out, and some planes send `null`, `{}` or
an empty list. All of these are read. What we have not is left out.
Source: Dataspace Protocol 2025-1, "Data Address"; Data Plane Signaling profiles, HTTP and Token Renewal.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from connector.dps.flow import HTTP_PULL
from connector.dsp.messages import DataAddress, EndpointProperty
from connector.errors import BadMessage


def read(tree: Any, where: str = "dataAddress") -> DataAddress | None:
    """The address in `tree`; None for nothing, or nothing in it.

    Raises: BadMessage.
    """
    if tree is None or tree == {}:
        return None
    if not isinstance(tree, dict):
        raise BadMessage("a data address is an object", where=where, mend="send an object, or leave it out")
    kind, endpoint = tree.get("endpointType"), tree.get("endpoint")
    if not isinstance(kind, str) or not kind:
        raise BadMessage("the data address does not say what it is", where=f"{where}.endpointType", mend="send a text")
    if endpoint is not None and not isinstance(endpoint, str):
        raise BadMessage("an endpoint is a text", where=f"{where}.endpoint", mend="send the address of the data")
    entries = tree.get("endpointProperties")
    entries = [] if entries is None else entries
    if not isinstance(entries, list):
        raise BadMessage("endpoint properties are an array", where=f"{where}.endpointProperties", mend="send an array")
    return DataAddress(
        endpoint_type=kind, endpoint=endpoint, endpoint_properties=tuple(_property(entry, where) for entry in entries)
    )


def _property(entry: Any, where: str) -> EndpointProperty:
    name, value = (entry.get("name"), entry.get("value")) if isinstance(entry, dict) else (None, None)
    if not isinstance(name, str) or not isinstance(value, str):
        what = "a property of the data address has no `name` and `value`"
        raise BadMessage(what, where=f"{where}.endpointProperties", mend="send both, as texts")
    return EndpointProperty(name=name, value=value)


def tree_of(address: DataAddress) -> dict[str, Any]:
    """The address as the schema wants it: with its types, without what is not there."""
    found: dict[str, Any] = {"@type": "DataAddress", "endpointType": address.endpoint_type}
    if address.endpoint is not None:
        found["endpoint"] = address.endpoint
    if address.endpoint_properties:
        found["endpointProperties"] = [
            {"@type": "EndpointProperty", "name": entry.name, "value": entry.value} for entry in address.endpoint_properties
        ]
    return found


def from_properties(kind: str, endpoint: str | None, properties: Mapping[str, str]) -> DataAddress:
    """An address made of a mapping of its properties."""
    entries = tuple(EndpointProperty(name=name, value=value) for name, value in properties.items())
    return DataAddress(endpoint_type=kind, endpoint=endpoint, endpoint_properties=entries)


def check_pull(profile: str, address: DataAddress) -> None:
    """Nothing, when a consumer can use `address` under `profile`.

    Under the standard's own HTTP profile the standard's kit wants an address that can be renewed, though the text calls that
    optional; the kit is what planes are measured by, and is followed.

    Raises: BadMessage.
    """
    if not address.endpoint_url():
        raise BadMessage("the data address names no endpoint", where="dataAddress.endpoint", mend="send where the data is")
    if profile != HTTP_PULL:
        return
    for name in ("authorization", "refreshToken", "expiresIn"):
        if not address.property(name):
            what = f"an address of `{HTTP_PULL}` has no `{name}`"
            raise BadMessage(what, where="dataAddress.endpointProperties", mend="send one whose token can be renewed")
