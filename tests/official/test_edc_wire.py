"""What a real EDC put on the wire is understood, whole: each request, each answer. Rows are those of the recorded observations."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Callable
from typing import Any

import pytest

from connector.dsp import catalog, version, wire
from connector.dsp import messages as m
from connector.dsp.plain import DSP_CONTEXT
from connector.dsp.tables import State
from tests.dsp.strategies import MESSAGES

Json = dict[str, Any]
TYPES = {kind.__name__: kind for kind in MESSAGES}
NO_RULE = "`offer` has no rule at all: nothing is permitted by it"


def body(tree: Json) -> bytes:
    return json.dumps(tree, separators=(",", ":")).encode()


def received(recordings: dict[str, Json], name: str) -> wire.Received[Any]:
    request = recordings[name]["request"]
    return wire.decode(body(request), TYPES[request["@type"]])


def test_every_request_is_understood_as_plain_json(recordings: dict[str, Json]) -> None:
    requests = [one["request"] for one in recordings.values() if one["request"]]
    assert len(requests) == 26
    for request in requests:
        found = wire.decode(body(request), TYPES[request["@type"]])
        # row 2: the second context changes nothing
        assert request["@context"] == [DSP_CONTEXT, "https://w3id.org/edc/dspace/v0.0.1"] or len(request["@context"]) == 1
        assert found.message_id == request.get("@id")
        # row 4: only offers without any rule are unusual
        assert found.warnings == ((NO_RULE,) if "offer" in request and "permission" not in request["offer"] else ())


def test_the_messages_between_connectors_with_wallets_are_understood(official: pathlib.Path) -> None:
    exchanges = [json.loads(path.read_text()) for path in sorted((official / "edc-wire/edc-0.15.1-dcp").glob("*.json"))]
    bodies = [tree for one in exchanges for tree in (one["request"], one["response"]) if isinstance(tree, dict)]
    sent = [tree for tree in bodies if tree.get("@type") in TYPES]
    assert len(sent) >= 7
    for tree in sent:
        assert wire.decode(body(tree), TYPES[tree["@type"]]).warnings in ((), (NO_RULE,))
    assert [catalog.read_catalog(body(tree)).all_datasets() for tree in bodies if tree.get("@type") == "Catalog"]


def test_every_request_is_sent_on_as_it_came_but_for_the_context(recordings: dict[str, Json]) -> None:
    for one in recordings.values():
        if one["request"]:
            again = json.loads(wire.encode(wire.decode(body(one["request"]), TYPES[one["request"]["@type"]]).message))
            assert again == {**one["request"], "@context": [DSP_CONTEXT]}


def test_every_answer_is_understood(recordings: dict[str, Json]) -> None:
    kinds: dict[str, int] = {}
    for one in recordings.values():
        answer = one["response"]
        type_ = "none" if answer is None else answer.get("@type", "versions")
        kinds[type_] = kinds.get(type_, 0) + 1
        if answer is None:
            # row 1: an empty body with 200 for every message but the first
            assert one["status"] == 200
            assert wire.read_answer(b"", m.ContractNegotiation) is None
        elif type_ == "Catalog":
            assert catalog.read_catalog(body(answer)).participant_id == "provider"
        elif type_ == "Dataset":
            assert catalog.read_dataset(body(answer)).title == "Weather"
        elif type_ == "versions":
            assert version.read(body(answer))
        else:
            found = wire.read_answer(body(answer), TYPES[type_])
            assert found is not None
    assert kinds == {
        "Catalog": 2, "Dataset": 2, "ContractNegotiation": 4, "TransferProcess": 2, "ContractNegotiationError": 3,
        "CatalogError": 2, "versions": 1, "none": 15,
    }  # fmt: skip


# row 1: 200 in the place of 201 for the first messages; the pid is in the body
def test_the_peers_pid_is_learned_from_its_answer(recordings: dict[str, Json]) -> None:
    one = recordings["edc-0.15.1-push/03-to-provider-negotiations-request-200"]
    found = wire.read_answer(body(one["response"]), m.ContractNegotiation)
    assert found is not None
    assert (one["status"], found.provider_pid, found.state) == (200, one["response"]["providerPid"], State.REQUESTED)


# row 3: an offer's id is an opaque text, new in each answer
def test_offer_ids_are_kept_as_they_are(recordings: dict[str, Json]) -> None:
    listed = catalog.read_catalog(body(recordings["edc-0.15.1-push/01-to-provider-catalog-request-200"]["response"]))
    one = catalog.read_dataset(body(recordings["edc-0.15.1-push/02-to-provider-catalog-datasets-200"]["response"]))
    (same,) = [dataset for dataset in listed.datasets if dataset.id == one.id]
    assert same.offers[0]["@id"] != one.offers[0]["@id"]
    assert {**same.offers[0], "@id": ""} == {**one.offers[0], "@id": ""}
    asked = received(recordings, "edc-0.15.1-push/03-to-provider-negotiations-request-200").message
    assert asked.offer["@id"] == one.offers[0]["@id"]


# row 4: the official schema refuses what this peer offers; we read it and say so
def test_an_offer_without_rules_is_read_and_told(
    recordings: dict[str, Json], schema_errors: Callable[[str, Any], list[str]]
) -> None:
    name = "edc-0.15.1-push/07-to-provider-negotiations-request-200"
    assert schema_errors("contract-request-message", recordings[name]["request"]) != []
    assert received(recordings, name).warnings == (NO_RULE,)
    view = catalog.read_catalog(body(recordings["edc-0.15.1-push/01-to-provider-catalog-request-200"]["response"]))
    assert view.warnings == ("`dataset[0].hasPolicy[0]` has no rule at all: nothing is permitted by it",)
    assert len(view.datasets) == 2


# row 5: errors have no pids
@pytest.mark.parametrize(
    ("name", "kind", "code", "reason"),
    [
        ("13-to-provider-negotiations-nope-events-404", m.ContractNegotiationError, "404", "No negotiation with id nope found"),
        ("14-to-provider-catalog-datasets-nope-404", m.CatalogError, "404", "Dataset nope does not exist"),
        ("15-to-provider-catalog-datasets-nope-401", m.CatalogError, "401", "Unauthorized."),
    ],
)
def test_errors_without_pids_are_read(recordings: dict[str, Json], name: str, kind: type[Any], code: str, reason: str) -> None:
    found = wire.read_answer(body(recordings[f"edc-0.15.1-push/{name}"]["response"]), kind)
    assert (found.code, wire.reasons(found)) == (code, (reason,))


# row 6: an error body of the one side comes back inside the other side's reason
def test_a_reason_may_hold_a_whole_error(recordings: dict[str, Json]) -> None:
    message = received(recordings, "edc-0.15.1-push/09-to-consumer-negotiations-termination-200").message
    (reason,) = message.reason
    assert reason.startswith('Failed to send agreement to consumer: {"@type":"ContractNegotiationError"')


# row 7: a timestamp without fractions, a service with a new id each time
def test_the_agreement_and_its_time_are_read(recordings: dict[str, Json]) -> None:
    agreement = received(recordings, "edc-0.15.1-push/04-to-consumer-negotiations-agreement-200").message.agreement
    assert agreement["timestamp"] == "2026-11-22T03:08:31Z"
    view = catalog.read_catalog(body(recordings["edc-0.15.1-push/01-to-provider-catalog-request-200"]["response"]))
    assert {one.endpoint_url for one in view.datasets} == set(view.endpoints) == {"http://localhost:19184/protocol/2025-1"}


# row 8: names of endpoint properties are IRIs, for push and for pull; the token is kept as given
def test_addresses_of_data_are_read_by_short_names(recordings: dict[str, Json]) -> None:
    push = received(recordings, "edc-0.15.1-push/10-to-provider-transfers-request-200").message.data_address
    assert push.endpoint_url() == "http://localhost:9997/"
    for name in ("11-to-consumer-transfers-start-200", "14-to-consumer-transfers-start-200"):
        pull = received(recordings, f"edc-0.14.0-pull/{name}").message.data_address
        assert pull.endpoint_url() == "http://localhost:19291/public"
        assert (pull.property("authorization"), pull.property("authType")) == ("TOKEN", "bearer")


# row 9: the consumer resumes without an address, the provider answers with a start of its own that has one
def test_a_start_may_have_no_address(recordings: dict[str, Json]) -> None:
    names = ("13-to-provider-transfers-start-200", "14-to-consumer-transfers-start-200")
    resumed, renewed = (received(recordings, f"edc-0.14.0-pull/{name}").message for name in names)
    assert resumed.data_address is None
    assert renewed.data_address is not None
    assert (resumed.provider_pid, resumed.consumer_pid) == (renewed.provider_pid, renewed.consumer_pid)


# row 10: the filter is a list with one query
def test_the_filter_is_read_as_it_is(recordings: dict[str, Json]) -> None:
    message = received(recordings, "edc-0.15.1-push/01-to-provider-catalog-request-200").message
    assert message.filter == ({"@type": "QuerySpec", "limit": 10, "offset": 0, "sortOrder": "ASC", "filterExpression": []},)


# row 12: the version document has neither auth nor serviceId, and other versions beside ours
def test_the_base_address_follows_from_the_version_document(recordings: dict[str, Json]) -> None:
    document = body(recordings["edc-0.15.1-push/16-to-provider-dspace-version-200"]["response"])
    assert version.base_address("http://localhost:19184/protocol", document) == "http://localhost:19184/protocol/2025-1"
