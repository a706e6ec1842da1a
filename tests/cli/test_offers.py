"""A catalogue is read patiently: bare names, prefixes, IRIs, values in any shape; terms are said in few words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from connector.cli.offers import datasets, described, terms

DIGEST = "5d1ea2548a3941eac0b4a9ca70805daa9fa49bbb711a0c7557b2bba0bd7c3f64"


@pytest.mark.parametrize(
    "tree",
    [
        {"title": "T", "keyword": ["a", "b"], "description": "D"},
        {"dct:title": "T", "dcat:keyword": ["a", "b"], "dct:description": {"@value": "D", "@language": "en"}},
        {
            "http://purl.org/dc/terms/title": [{"@value": "T"}],
            "http://www.w3.org/ns/dcat#keyword": [{"@value": "a"}, {"@value": "b"}],
            "http://purl.org/dc/terms/description": "D",
        },
    ],
)
def test_names_and_values_come_in_every_shape(tree: dict[str, Any]) -> None:
    one = described({"@id": "urn:d", **tree})
    assert (one.id, one.title, one.description, one.keywords) == ("urn:d", "T", "D", ("a", "b"))


@pytest.mark.parametrize(
    "checksum",
    [
        {"algorithm": "sha256", "checksumValue": DIGEST},
        {"spdx:algorithm": {"@id": "spdx:checksumAlgorithm_sha256"}, "spdx:checksumValue": DIGEST.upper()},
        {"spdx:algorithm": "http://spdx.org/rdf/terms#checksumAlgorithm_sha256", "spdx:checksumValue": {"@value": DIGEST}},
        {"algorithm": "SHA-256", "checksumValue": DIGEST},
    ],
)
def test_a_digest_is_found_on_the_distribution_and_on_the_dataset(checksum: dict[str, Any]) -> None:
    assert (
        described({"@id": "urn:d", "distribution": [{"format": "HttpData-PULL", "spdx:checksum": checksum}]}).digest == DIGEST
    )
    assert described({"@id": "urn:d", "checksum": [checksum]}).digest == DIGEST


def test_what_is_no_sha_256_is_no_digest() -> None:
    for checksum in ({"algorithm": "md5", "checksumValue": DIGEST}, {"algorithm": "sha256", "checksumValue": "abc"}):
        assert described({"@id": "urn:d", "checksum": checksum}).digest is None


def test_formats_sizes_and_types_come_from_the_distributions() -> None:
    one = described(
        {
            "@id": "urn:d",
            "dcat:distribution": [
                {"dct:format": {"@id": "HttpData-PULL"}, "dcat:byteSize": 12},
                {"format": "HttpData-PUSH", "mediaType": "https://www.iana.org/assignments/media-types/text/csv"},
                {"format": "HttpData-PULL"},
            ],
        }
    )
    assert (one.formats, one.byte_size, one.media_type) == (("HttpData-PULL", "HttpData-PUSH"), 12, "text/csv")


def test_nested_catalogues_are_looked_into_and_nonsense_is_left_out() -> None:
    tree = {"dataset": [{"@id": "urn:a"}, "nonsense", {}], "catalog": [{"dataset": {"@id": "urn:b"}}, 7]}
    assert [one.id for one in datasets(tree)] == ["urn:a", "urn:b"]


def test_what_must_be_done_for_it_is_said_with_what_is_allowed() -> None:
    offer = {
        "permission": [{"action": "use", "duty": [{"action": "attribute"}, {"action": {"@id": "odrl:inform"}}]}],
        "obligation": [{"action": "delete"}],
    }
    assert terms(offer) == "use, with the duty to attribute and odrl:inform; must delete"


def test_terms_are_said_in_few_words() -> None:
    offer = {
        "permission": [
            {
                "action": "use",
                "constraint": [
                    {"leftOperand": "https://w3id.org/kontor/ns/membership", "operator": "eq", "rightOperand": "active"},
                    {
                        "or": [
                            {"leftOperand": "spatial", "operator": "isAnyOf", "rightOperand": ["DE", "FR"]},
                            {
                                "odrl:leftOperand": "purpose",
                                "odrl:operator": {"@id": "odrl:eq"},
                                "odrl:rightOperand": {"@value": "x"},
                            },
                        ]
                    },
                ],
            }
        ],
        "prohibition": [{"action": "distribute"}],
        "obligation": {"action": "delete"},
    }
    assert terms(offer) == (
        "use if membership eq active and (spatial isAnyOf DE, FR or purpose odrl:eq x); never distribute; must delete"
    )
    assert terms({}) == "nothing is allowed"


def test_the_official_catalogue_is_read(official: Path) -> None:
    (one,) = datasets(json.loads((official / "dsp" / "example" / "catalog.json").read_text()))
    assert (one.id, one.formats) == ("urn:uuid:3dd1add8-4d2d-569e-d634-8394a8836a88", ("HttpData-PULL",))
    assert [terms(offer) for offer in one.offers] == ["use if spatial eq EU"]
