"""The messages are the protocol's, by name and by member."""

from __future__ import annotations

from typing import Any, get_args

import msgspec
import pytest

from connector.dsp import messages as m
from tests.dsp.strategies import MESSAGES

EDC = "https://w3id.org/edc/v0.0.1/ns/"


def members(union: Any) -> set[type[Any]]:
    return {kind for one in get_args(union) for kind in (members(one) if get_args(one) else {one})}


def address(**properties: str) -> m.DataAddress:
    entries = tuple(m.EndpointProperty(name=name.replace("__", EDC), value=value) for name, value in properties.items())
    return m.DataAddress(endpoint_type="t", endpoint_properties=entries)


def test_every_message_stands_in_one_union_and_is_tested() -> None:
    assert members(m.Message) == set(MESSAGES)
    assert members(m.ProcessMessage) == members(m.NegotiationMessage) | members(m.TransferMessage)
    assert members(m.NegotiationMessage).isdisjoint(members(m.TransferMessage))
    assert len(members(m.NegotiationMessage)) == 6
    assert len(members(m.TransferMessage)) == 5


@pytest.mark.parametrize("kind", sorted(MESSAGES, key=lambda kind: kind.__name__))
def test_a_message_is_named_as_its_type_and_says_who_sends_it(kind: type[Any]) -> None:
    assert kind.__struct_config__.tag == kind.__name__
    first = kind.__doc__.splitlines()[0]
    assert first.startswith(("C: ", "P: ", "C or P", "C: ACCEPTED"))
    assert "Source: Dataspace Protocol 2025-1" in kind.__doc__


def test_members_are_camel_case_on_the_wire() -> None:
    assert set(msgspec.structs.fields(m.TransferRequestMessage)[0].__struct_fields__) >= {"name", "encode_name"}
    names = {field.name: field.encode_name for field in msgspec.structs.fields(m.TransferRequestMessage)}
    assert names == {
        "id": "@id",
        "consumer_pid": "consumerPid",
        "agreement_id": "agreementId",
        "format": "format",
        "callback_address": "callbackAddress",
        "data_address": "dataAddress",
        "purpose": "https://w3id.org/kontor/ns/purpose",
    }


def test_a_message_cannot_be_changed() -> None:
    message = m.ContractAgreementVerificationMessage(provider_pid="p", consumer_pid="c")
    with pytest.raises(AttributeError):
        message.provider_pid = "q"  # type: ignore[misc]


# 5b row 8: endpoint properties are named by short names or by IRIs, and their values stay as given
def test_a_property_is_found_by_short_name_and_by_iri() -> None:
    for one in (address(authorization="TOKEN"), address(__authorization="TOKEN")):
        assert one.property("authorization") == "TOKEN"
        assert one.property(f"{EDC}authorization") == "TOKEN"
        assert one.property("authType") is None


def test_an_exact_name_comes_before_one_that_only_ends_so() -> None:
    both = address(__endpoint="far", endpoint="near")
    assert both.property("endpoint") == "near"
    assert both.property(f"{EDC}endpoint") == "far"
    assert address(myendpoint="x").property("endpoint") is None
    assert address(**{"urn:x:endpoint": "x", "http://y#authType": "bearer"}).property("authType") == "bearer"


@pytest.mark.parametrize(
    ("one", "url"),
    [
        (m.DataAddress(endpoint_type="t", endpoint="https://a"), "https://a"),
        (address(__endpoint="https://b"), "https://b"),
        (address(__baseUrl="https://c/"), "https://c/"),
        (address(authorization="x"), None),
    ],
)
def test_the_address_of_the_data_is_found_wherever_it_stands(one: m.DataAddress, url: str | None) -> None:
    assert one.endpoint_url() == url
