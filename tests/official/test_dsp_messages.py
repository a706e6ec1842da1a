"""Messages against the official schemas and examples: what we send validates, what is official is read."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connector.dsp import catalog, version, wire
from connector.dsp import messages as m
from connector.dsp.shape import OPERATORS, Form, check_policy, is_simple
from connector.errors import BadMessage
from tests.dsp import strategies
from tests.dsp.strategies import MESSAGES
from tests.examples import examples
from tests.official import jsonld_with

SERVICE = catalog.ServiceDescription(
    participant_id="did:web:p.example", endpoint_url="https://p.example/p/dsp/2025-1", title="P"
)
SchemaErrors = Callable[[str, Any], list[str]]
SCHEMAS = {kind: "".join(f"-{c.lower()}" if c.isupper() else c for c in kind.__name__)[1:] for kind in MESSAGES}

with_fixtures = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=examples(15)
)
few = settings(with_fixtures, max_examples=examples(8))


@with_fixtures
@given(strategies.messages)
def test_every_message_we_emit_validates(schema_errors: SchemaErrors, message: Any) -> None:
    assert schema_errors(SCHEMAS[type(message)], json.loads(wire.encode(message))) == []


@few
@given(strategies.messages)
def test_every_message_we_emit_survives_a_json_ld_round_trip(official_contexts: jsonld_with.Contexts, message: Any) -> None:
    document = json.loads(wire.encode(message))
    assert jsonld_with.round_trip(document, official_contexts) == document


@pytest.mark.parametrize("kind", [m.ContractNegotiationError, m.TransferError])
def test_an_error_without_pids_validates_too(schema_errors: SchemaErrors, kind: type[Any]) -> None:
    document = json.loads(wire.encode(kind(code="bad-message", reason=("no process yet",))))
    assert schema_errors(SCHEMAS[kind], document) == []
    assert document["providerPid"] == document["consumerPid"] == wire.NIL


@st.composite
def descriptions(draw: st.DrawFn) -> catalog.DatasetDescription:
    maybe = strategies.texts.filter(bool)
    value = (
        maybe | st.integers(-100, 100) | st.booleans() | st.lists(maybe, max_size=3) | st.builds(lambda v: {"email": v}, maybe)
    )
    names = st.sampled_from(["license", "publisher", "theme", "price", "edc:name", "https://x.example/unit", "dct:issued"])
    return catalog.DatasetDescription(
        id=draw(strategies.ids),
        title=draw(st.none() | maybe),
        description=draw(st.none() | maybe),
        keywords=tuple(draw(st.lists(maybe, max_size=3))),
        media_type=draw(st.sampled_from([None, "text/csv", "application/vnd.apache.parquet"])),
        byte_size=draw(st.none() | st.integers(0, 2**50)),
        digest=draw(st.none() | st.binary(min_size=32, max_size=32).map(bytes.hex)),
        modified=draw(st.none() | st.datetimes().map(lambda at: at.replace(tzinfo=UTC, microsecond=0))),
        properties=draw(st.dictionaries(names, value, max_size=4)),
        offers=tuple(draw(st.lists(strategies.policies("Offer", target=False), min_size=1, max_size=2))),
        formats=tuple(draw(st.sampled_from([["HttpData-PULL"], ["HttpData-PULL", "HttpData-PUSH"]]))),
    )


@few
@given(descriptions())
def test_every_data_set_we_describe_validates_and_survives_a_round_trip(
    schema_errors: SchemaErrors, official_contexts: jsonld_with.Contexts, description: catalog.DatasetDescription
) -> None:
    document = json.loads(catalog.encode(catalog.dataset(SERVICE, description)))
    assert schema_errors("dataset", document) == []
    assert jsonld_with.round_trip(document, official_contexts) == document


@few
@given(st.lists(descriptions(), max_size=3))
def test_every_catalogue_we_build_validates_and_survives_a_round_trip(
    schema_errors: SchemaErrors, official_contexts: jsonld_with.Contexts, found: list[catalog.DatasetDescription]
) -> None:
    document = json.loads(catalog.encode(catalog.catalog(SERVICE, found)))
    assert schema_errors("catalog", document) == []
    assert jsonld_with.round_trip(document, official_contexts) == document
    assert len(document.get("dataset", ())) == len(found)


def test_our_version_document_validates(schema_errors: SchemaErrors) -> None:
    auth = version.Auth(protocol="DCP", version="1.0", profile=("vc11-sl2021/jwt",))
    for body in (version.encode(version.ours("/dsp/2025-1")), version.encode(version.ours("/x", auth), version.ours("/y"))):
        assert schema_errors("protocol-version", json.loads(body)) == []


def test_every_official_example_is_read(examples: dict[str, bytes]) -> None:
    types = {kind.__name__: kind for kind in MESSAGES}
    read = []
    for name, text in examples.items():
        type_ = json.loads(text).get("@type")
        if type_ in types:
            received = wire.decode(text, types[type_])
            assert received.warnings == (), name
            assert json.loads(wire.encode(received.message)) == {
                key: value for key, value in json.loads(text).items() if value != []
            }, name
            read.append(name)
        elif type_ == "Catalog":
            view = catalog.read_catalog(text)
            assert view.warnings == ()
            assert view.participant_id == "urn:example:DataProviderA"
            read.append(name)
        elif type_ == "Dataset":
            found = catalog.read_dataset(text)
            assert (found.formats, found.endpoint_url) == (("HttpData-PULL",), "https://provider-a.com/connector")
            read.append(name)
        elif name == "protocol-version":
            assert [(one.version, one.path) for one in version.read(text)][:1] == [("2025-1", "/some/path/2025-1")]
            read.append(name)
    # what is left is no message: two services of a DID document
    assert sorted(set(examples) - set(read)) == ["catalogservice-did-service", "dataservice-did-service"]


def test_a_nested_catalogue_links_to_the_service_that_has_it(examples: dict[str, bytes]) -> None:
    (inner,) = catalog.read_catalog(examples["nested-catalog"]).catalogs
    assert inner.links == ("https://provder-a.com/subcatalog",)


def test_the_best_version_of_the_official_example_depends_on_how_we_prove_ourselves(examples: dict[str, bytes]) -> None:
    text = examples["protocol-version"]
    assert version.base_address("https://a.example/", text) == "https://a.example/some/path/2025-1"
    assert version.base_address("https://a.example", text, auth="DCP") == "https://a.example/different/path/2025-1"


@with_fixtures
@given(strategies.policies("Offer") | strategies.policies("Agreement"), st.data())
def test_we_are_never_laxer_than_the_schema_without_saying_so(
    schema_errors: SchemaErrors, tree: Any, data: st.DataObject
) -> None:
    """A policy that passes without a warning is one that the official schema accepts, and the quick look agrees with the long."""
    is_offer = tree["@type"] == "Offer"
    mutate(tree, data)
    form = Form.OFFERED if is_offer else Form.AGREED
    warnings: list[str] = []
    pids = {"providerPid": "urn:p", "consumerPid": "urn:c"}
    context = {"@context": [wire.DSP_CONTEXT]}
    if is_offer:
        document = {**context, "@type": "ContractOfferMessage", "providerPid": "urn:p", "consumerPid": "urn:c", "offer": tree}
        schema = "contract-offer-message"
    else:
        document = {**context, "@type": "ContractAgreementMessage", **pids, "agreement": tree}
        schema = "contract-agreement-message"
    try:
        check_policy(tree, "policy", form, warnings)
    except BadMessage as fault:
        warnings.append(str(fault))
    if is_simple(tree, form):
        assert warnings == []
    if not warnings:
        assert schema_errors(schema, document) == []


def mutate(tree: Any, data: st.DataObject) -> None:
    """Changes up to two members somewhere in a tree."""
    for _ in range(data.draw(st.integers(0, 2))):
        places = [(node, key) for node in nodes(tree) for key in (node if isinstance(node, dict) else range(len(node)))]
        node, key = data.draw(st.sampled_from(places))
        if data.draw(st.booleans()):
            del node[key]
        else:
            odd = [None, True, 5, "", "x", [], {}, ["x"], {"@id": "urn:x"}, *OPERATORS[:1], "odrl:eq", "2025-01-01T00:00:00Z"]
            node[key] = data.draw(st.sampled_from(odd))
        if not tree:
            return


def nodes(tree: Any) -> list[Any]:
    """Every object and array that has something in it."""
    if not isinstance(tree, dict | list):
        return []
    children = tree.values() if isinstance(tree, dict) else tree
    return ([tree] if tree else []) + [found for child in children for found in nodes(child)]


def test_modified_is_told_in_utc() -> None:
    at = datetime(2025, 1, 1, tzinfo=UTC)
    offer = {"@id": "urn:o", "@type": "Offer", "permission": [{"action": "use"}]}
    one = catalog.DatasetDescription(id="urn:d", modified=at, offers=(offer,), formats=("HttpData-PULL",))
    assert catalog.dataset(SERVICE, one)["dct:modified"]["@value"] == "2025-01-01T00:00:00Z"
