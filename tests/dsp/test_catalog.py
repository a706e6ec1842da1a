"""Catalogues: ours are narrow and complete, a peer's is read as far as it can be."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.dsp import catalog as shapes
from connector.dsp.plain import DSP_CONTEXT, ForeignContext
from connector.errors import BadMessage, TooLarge
from connector.strict import Limits

URL = "https://p.example/p/dsp/2025-1"
SERVICE = shapes.ServiceDescription(participant_id="did:web:p.example", endpoint_url=URL)
OFFER = {"@id": "urn:o", "@type": "Offer", "permission": [{"action": "use"}]}
DIGEST = "ab" * 32


def described(**changes: Any) -> shapes.DatasetDescription:
    return shapes.DatasetDescription(**{"id": "urn:d", "offers": (OFFER,), "formats": ("HttpData-PULL",), **changes})


def document(*datasets: Any, **members: Any) -> bytes:
    tree = {"@context": [DSP_CONTEXT], "@id": "urn:catalog", "@type": "Catalog", "participantId": "did:web:q", **members}
    return json.dumps({**tree, "dataset": list(datasets)} if datasets else tree).encode()


def theirs(id_: str = "urn:d", **members: Any) -> dict[str, Any]:
    distribution = {"@type": "Distribution", "format": "HttpData-PULL", "accessService": "urn:s"}
    return {"@id": id_, "@type": "Dataset", "hasPolicy": [OFFER], "distribution": [distribution], **members}


def test_a_data_set_is_told_whole() -> None:
    full = described(
        title="Weather",
        description="hourly",
        keywords=("rain", "wind"),
        media_type="text/csv",
        byte_size=12,
        digest=DIGEST,
        modified=datetime(2025, 1, 1, 2, tzinfo=timezone(timedelta(hours=2))),
        properties={"license": "CC0-1.0", "edc:x": 1, "station": "Bremen"},
        formats=("HttpData-PULL", "HttpData-PUSH"),
    )
    service = {"@id": URL, "@type": "DataService", "endpointURL": URL}
    tree = shapes.dataset(SERVICE, full)
    first, second = tree.pop("distribution")
    assert tree == {
        "@context": [DSP_CONTEXT],
        "@id": "urn:d",
        "@type": "Dataset",
        "dct:license": "CC0-1.0",
        "edc:x": 1,
        "https://w3id.org/kontor/ns/property/station": "Bremen",
        "dct:title": "Weather",
        "dct:description": "hourly",
        "dcat:keyword": ["rain", "wind"],
        "dct:modified": {"@type": "xsd:dateTime", "@value": "2025-01-01T00:00:00Z"},
        "hasPolicy": [OFFER],
    }
    assert first == {
        "@type": "Distribution",
        "format": "HttpData-PULL",
        "accessService": service,
        "dcat:mediaType": {"@id": "https://www.iana.org/assignments/media-types/text/csv"},
        "dcat:byteSize": {"@type": "xsd:nonNegativeInteger", "@value": "12"},
        "http://spdx.org/rdf/terms#checksum": {
            "@type": "http://spdx.org/rdf/terms#Checksum",
            "http://spdx.org/rdf/terms#algorithm": {"@id": "http://spdx.org/rdf/terms#checksumAlgorithm_sha256"},
            "http://spdx.org/rdf/terms#checksumValue": {"@type": "xsd:hexBinary", "@value": DIGEST},
        },
    }
    assert second == {**first, "format": "HttpData-PUSH"}


def test_a_catalogue_without_data_sets_has_no_empty_array() -> None:
    assert shapes.catalog(SERVICE, []) == {
        "@context": [DSP_CONTEXT],
        "@id": f"{URL}/catalog",
        "@type": "Catalog",
        "participantId": "did:web:p.example",
        "service": [{"@id": URL, "@type": "DataService", "endpointURL": URL}],
    }


def test_one_bad_data_set_never_breaks_the_rest() -> None:
    bad = [
        described(id=""),
        described(id="urn:no-format", formats=()),
        described(id="urn:no-offer", offers=()),
        described(id="urn:no-rule", offers=({"@id": "urn:o", "@type": "Offer"},)),
        described(id="urn:no-id", offers=({"@type": "Offer", "permission": [{"action": "use"}]},)),
        described(id="urn:keyword", properties={"@type": "Evil"}),
        described(id="urn:deep", properties={"contact": {"@graph": []}}),
    ]
    tree = shapes.catalog(SERVICE, [bad[0], described(), *bad[1:]])
    assert [one["@id"] for one in tree["dataset"]] == ["urn:d"]
    for one in bad:
        with pytest.raises(BadMessage) as fault:
            shapes.describe(SERVICE, one)
        if one.id == "urn:no-format":
            assert str(fault.value) == "there is no format at `distribution`; give it a source that a data plane can serve"


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_catalogue_of_kept_data_sets_is_the_same(count: int) -> None:
    many = [described(id=f"urn:{number}") for number in range(count)]
    kept = [shapes.encode(shapes.describe(SERVICE, one)) for one in many]
    assert shapes.joined(shapes.head(SERVICE), kept) == shapes.encode(shapes.catalog(SERVICE, many))


def test_an_offer_in_a_catalogue_has_no_target() -> None:
    (offer,) = shapes.dataset(SERVICE, described(offers=({**OFFER, "target": "urn:d"},)))["hasPolicy"]
    assert offer == OFFER


@pytest.mark.parametrize(
    ("value", "written"),
    [([], None), ((), None), ({}, None), (None, None), ([1], 1), ([1, [2, [3]]], [1, 2, 3]), ({"@id": "urn:x"}, {"@id": "urn:x"}),
     ({"language": ["de"]}, {"dct:language": "de"}), (False, False), ([None, "a"], "a")],
)  # fmt: skip
def test_a_property_is_written_as_json_ld_keeps_it(value: Any, written: Any) -> None:
    tree = shapes.dataset(SERVICE, described(properties={"dct:x": value}))
    assert tree.get("dct:x") == written
    assert ("dct:x" in tree) is (written is not None)


@given(st.builds(
    described,
    title=st.sampled_from([None, "t"]),
    keywords=st.lists(st.sampled_from("abc"), max_size=3).map(tuple),
    byte_size=st.none() | st.integers(0, 2**60),
    digest=st.sampled_from([None, DIGEST]),
    media_type=st.sampled_from([None, "text/csv"]),
    formats=st.sampled_from([("HttpData-PULL",), ("HttpData-PULL", "HttpData-PUSH")]),
    modified=st.sampled_from([None, datetime(2025, 1, 1, tzinfo=UTC)]),
))  # fmt: skip
def test_what_we_tell_is_what_a_peer_reads(told: shapes.DatasetDescription) -> None:
    view = shapes.read_catalog(shapes.encode(shapes.catalog(SERVICE, [told])))
    (found,) = view.datasets
    assert (view.participant_id, view.endpoints, view.warnings) == ("did:web:p.example", (URL,), ())
    for name in ("id", "title", "description", "keywords", "byte_size", "digest", "media_type", "formats"):
        assert getattr(found, name) == getattr(told, name), name
    assert (found.offers, found.endpoint_url) == ((OFFER,), URL)
    assert found.modified == ("2025-01-01T00:00:00Z" if told.modified else None)
    assert shapes.read_dataset(shapes.encode(shapes.dataset(SERVICE, told))).formats == told.formats


def test_a_service_is_found_by_its_id_and_embedded() -> None:
    services = [{"@id": "urn:s", "@type": "DataService", "endpointURL": "https://q.example/dsp"}]
    for access in ("urn:s", {"@id": "urn:s"}, {"@id": "urn:t", "endpointURL": "https://q.example/dsp"}, ["urn:s"]):
        one = theirs(distribution=[{"format": "HttpData-PULL", "accessService": access}])
        (found,) = shapes.read_catalog(document(one, service=services)).datasets
        assert found.endpoint_url == "https://q.example/dsp"
    assert shapes.read_catalog(document(theirs())).datasets[0].endpoint_url is None


# row 4 of the threads: one bad data set made the whole catalogue fail
def test_one_unreadable_data_set_is_left_out_and_told() -> None:
    bad = [
        5,
        {},
        theirs("urn:x", hasPolicy=[]),
        theirs("urn:y", hasPolicy=[{"@id": 5}]),
        theirs("urn:z", **{"@type": "Person"}),
    ]
    view = shapes.read_catalog(document(*bad, theirs("urn:good")))
    assert [one.id for one in view.datasets] == ["urn:good"]
    assert len([line for line in view.warnings if line.startswith("left out a data set: ")]) == 5
    assert 'left out an offer of "urn:y": expected text, found a number at `dataset[3].hasPolicy[0].@id`' in str(view.warnings)


def test_a_bad_offer_does_not_hide_the_good_one() -> None:
    view = shapes.read_catalog(document(theirs(hasPolicy=[{"@id": "urn:bad", "permission": "use"}, OFFER])))
    assert view.datasets[0].offers == (OFFER,)
    assert len(view.warnings) == 1


# 5b row 4: an offer without any rule is read, with a warning
def test_an_offer_without_rules_is_read_and_told() -> None:
    view = shapes.read_catalog(document(theirs(hasPolicy=[{"@id": "urn:o", "@type": "Offer"}])))
    assert view.datasets[0].offers == ({"@id": "urn:o", "@type": "Offer"},)
    assert view.warnings == ("`dataset[0].hasPolicy[0]` has no rule at all: nothing is permitted by it",)


@pytest.mark.parametrize(
    ("members", "field", "value"),
    [
        ({"dct:title": "T"}, "title", "T"),
        ({"title": ["T"]}, "title", "T"),
        ({"http://purl.org/dc/terms/title": {"@value": "T", "@language": "en"}}, "title", "T"),
        ({"edc:name": "T"}, "title", "T"),
        ({"dcterms:description": "T"}, "description", "T"),
        ({"dcat:keyword": "a"}, "keywords", ("a",)),
        ({"keyword": ["a", {"@value": "b"}, 5]}, "keywords", ("a", "b")),
        ({"edc:contenttype": "text/csv"}, "media_type", "text/csv"),
        ({"dcat:byteSize": "12"}, "byte_size", 12),
        ({"dcat:byteSize": 12}, "byte_size", 12),
        ({"dcat:byteSize": -1}, "byte_size", None),
        ({"dcat:byteSize": True}, "byte_size", None),
        ({"dcat:byteSize": "9" * 5000}, "byte_size", None),
        (
            {"spdx:checksum": {"spdx:algorithm": "spdx:checksumAlgorithm_sha256", "spdx:checksumValue": DIGEST.upper()}},
            "digest",
            DIGEST,
        ),
        (
            {"checksum": [5, {"algorithm": "MD5", "checksumValue": DIGEST}, {"algorithm": "SHA-256", "checksumValue": DIGEST}]},
            "digest",
            DIGEST,
        ),
        ({"checksum": {"algorithm": "sha256", "checksumValue": "zz" * 32}}, "digest", None),
        ({"subtitle": "no"}, "title", None),
    ],
)
def test_descriptions_are_found_in_any_spelling(members: dict[str, Any], field: str, value: Any) -> None:
    (found,) = shapes.read_catalog(document(theirs(**members))).datasets
    assert getattr(found, field) == value


def test_catalogues_inside_a_catalogue_are_read_to_a_depth() -> None:
    inner: dict[str, Any] = {"@id": "urn:9", "@type": "Catalog", "dataset": [theirs("urn:deepest")]}
    for level in range(8, -1, -1):
        inner = {"@id": f"urn:{level}", "@type": "Catalog", "dataset": theirs(f"urn:d{level}"), "catalog": inner}
    view = shapes.read_catalog(json.dumps({"@context": [DSP_CONTEXT], **inner}).encode())
    assert [one.id for one in view.all_datasets()] == [f"urn:d{level}" for level in range(9)]
    assert len(view.warnings) == 1
    assert "nested too deeply" in view.warnings[0]


def test_a_catalogue_elsewhere_is_a_link() -> None:
    link = {"format": "Catalog", "accessService": {"@id": "urn:s", "endpointURL": "https://broker.example/dsp"}}
    assert shapes.read_catalog(document(distribution=[link, "x", {"format": "Catalog"}])).links == (
        "https://broker.example/dsp",
    )


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", document().replace(b'"@id"', b'"id"'), document().replace(b"Catalog", b"Person"), b'"x"']
)
def test_what_is_no_catalogue_is_refused(body: bytes) -> None:
    with pytest.raises(BadMessage):
        shapes.read_catalog(body)


def test_a_catalogue_has_its_limits() -> None:
    with pytest.raises(TooLarge):
        shapes.read_catalog(document(), Limits(max_bytes=10))


def test_a_foreign_catalogue_is_read_the_slow_way() -> None:
    prefixed = (
        document(theirs(), **{"dct:title": "T"})
        .replace(b'"dataset"', b'"dcat:dataset"')
        .replace(b'"hasPolicy"', b'"odrl:hasPolicy"')
    )
    with pytest.raises(ForeignContext):
        shapes.read_catalog(prefixed)
    view = shapes.read_foreign_catalog(prefixed)
    assert (view.title, [one.id for one in view.datasets]) == ("T", ["urn:d"])
    assert view.warnings == ("the catalogue is foreign JSON-LD",)
