"""What a description says is read from whatever shape it has, within bounds, and nothing in it is trusted."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from connector.errors import BadMessage
from connector.federation import reading
from connector.federation.documents import document_of
from connector.ports.catalog import Product
from connector.ports.index import Document
from tests.describe import corpus

NOW = datetime(2026, 11, 22, tzinfo=UTC)
USE = {"@id": "o1", "@type": "Offer", "permission": [{"action": "use"}]}


def dataset(**members: Any) -> dict[str, Any]:
    return {"@id": "urn:x", "@type": "Dataset", "hasPolicy": [USE], **members}


def document(tree: dict[str, Any], *, via: tuple[str, ...] = ()) -> Document:
    entry = reading.entry_of(tree, origin="did:web:a", endpoint="https://a.example/dsp", via=via)
    product = Product(number=7, entry=entry, member="did:web:a", added_at=NOW, changed_at=NOW, seen_at=NOW)
    return document_of(product, space="north", publisher="A & Co")


def test_a_description_of_ours_fills_every_facet() -> None:
    found = document({**corpus.whole(), "hasPolicy": [USE]})
    assert dict(found.titles)["de"] == "Wetter jede Stunde"
    assert ("en", "weather") in found.keywords
    assert {name: values for name, values in found.facets.items() if name not in ("license", "theme")} == {
        "publisher": ("Example Weather",),
        "space": ("north",),
        "region": ("USA",),
        "format": ("text/csv",),
        "grade": ("general",),
        "price": ("up to 100 EUR",),
        "currency": ("EUR",),
        "origin": ("did:web:a",),
        "language": ("en", "de", "zh", "fr"),
        "form": ("dataset",),
    }
    assert found.facets["theme"] == ("environment", "https://example.org/concepts/air")
    assert (found.price_cents, found.modified_s) == (1250, int(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC).timestamp()))
    assert ("", "temp") in found.texts


@pytest.mark.parametrize(
    ("members", "facet", "values"),
    [
        ({"dct:publisher": "Anna"}, "publisher", ("Anna",)),
        ({"http://purl.org/dc/terms/publisher": {"@id": "did:web:p"}}, "publisher", ("did:web:p",)),
        ({}, "publisher", ("A & Co",)),
        ({"theme": "https://example.org/t"}, "theme", ("https://example.org/t",)),
        ({"dcat:theme": [{"@id": "x"}, 7, None, {"no": "id"}]}, "theme", ("x",)),
        ({"distribution": {"dcat:mediaType": "text/csv"}}, "format", ("text/csv",)),
        ({"distribution": "none"}, "format", ()),
        ({"priceSpecification": {"price": "NaN"}}, "price", ("not told",)),
        ({"priceSpecification": [{"price": "free"}, {"price": {"@value": "0"}}]}, "price", ("free",)),
        ({"priceSpecification": {"price": "1e999"}}, "price", ("not told",)),
    ],
)
def test_members_are_found_in_whatever_shape_they_have(members: dict[str, Any], facet: str, values: tuple[str, ...]) -> None:
    assert document(dataset(**members)).facets[facet] == values


@pytest.mark.parametrize(
    "value", ["", 7, None, [], {}, {"@value": 3}, {"@value": "x", "@language": 5}, [[]], "2026-99-99", True]
)
def test_no_wrong_type_breaks_anything(value: Any) -> None:
    for name in ("dct:title", "dct:description", "dcat:keyword", "dct:modified", "dct:spatial", "dct:license", "publisher",
                 "priceSpecification", "tableSchema", "distribution", "theme", "grade", "form"):  # fmt: skip
        assert document(dataset(**{name: value})).number == 7


@pytest.mark.parametrize(
    ("tree", "word"),
    [
        ({"@id": "x" * 3000}, "characters"),
        ({"@id": "x", "dct:title": "t" * 30_000}, "a text of"),
        ({"@id": "x", "more": "t" * 300_000}, "bytes"),
        ({}, "the id"),
    ],
)
def test_what_is_beyond_all_bounds_is_refused_with_a_reason(tree: dict[str, Any], word: str) -> None:
    with pytest.raises(BadMessage, match=word):
        reading.entry_of(tree, origin="did:web:a", endpoint="https://a.example")


def test_equal_rules_are_equal_terms_whatever_the_ids_of_their_offers() -> None:
    def terms(*offers: dict[str, Any]) -> str:
        return reading.entry_of(dataset(hasPolicy=list(offers)), origin="a", endpoint="e").terms

    other = {"permission": [{"action": "use"}], "@type": "Offer", "@id": "o2", "target": "urn:x"}
    assert terms(USE) == terms(other) == terms(other, USE)
    assert terms(USE) != terms({**USE, "permission": [{"action": "read"}]})
    assert terms(USE) != terms({**USE, "assignee": "did:web:b"})


def test_the_digest_covers_everything_that_is_shown() -> None:
    def digest(tree: dict[str, Any], origin: str = "a", endpoint: str = "e", via: tuple[str, ...] = ()) -> str:
        return reading.entry_of(tree, origin=origin, endpoint=endpoint, via=via).digest

    same = digest(dataset())
    assert digest(dataset()) == same
    others = [digest(dataset(x=1)), digest(dataset(), "b"), digest(dataset(), "a", "f"), digest(dataset(), "a", "e", ("c",))]
    assert len({same, *others}) == 5


@pytest.mark.parametrize("said", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_a_date_beyond_the_calendar_of_utc_is_none(said: str) -> None:
    assert reading.moment(said) is None
    assert document(dataset(**{"dct:modified": said})).modified_s == 0


def test_who_says_that_its_data_changed_in_the_future_is_not_the_latest_for_it() -> None:
    changed = [
        document(dataset(**{"dct:modified": day})).modified_s
        for day in ("2026-11-22", "2026-11-23", "2026-11-25", "9999-12-31")
    ]
    assert changed[0] < changed[1]
    assert changed[2:] == [0, 0]


@pytest.mark.parametrize("id_", ["urn:a\x15curl evil|sh", "urn:\u202egnp.exe", "ü" * 600])
def test_an_id_that_nobody_can_see_or_keep_is_refused(id_: str) -> None:
    with pytest.raises(BadMessage, match="id"):
        reading.entry_of(dataset(**{"@id": id_}), origin="a", endpoint="https://a.example")


def test_markup_that_was_taken_stays_text() -> None:
    tree = dataset(**{"dct:title": "<script>alert(1)</script>"})
    assert document(tree).titles == (("", "<script>alert(1)</script>"),)


def test_the_space_of_a_product_is_where_it_was_found_first() -> None:
    assert document(dataset(), via=("did:web:region", "did:web:nation")).facets["space"] == ("did:web:region",)


@pytest.mark.parametrize(("language", "text"), [("de", "Wetter"), ("en", "Weather"), ("fr", "Weather"), ("zh", "Weather")])
def test_a_text_is_told_in_the_language_asked_for_or_in_english(language: str, text: str) -> None:
    assert reading.best_text((("de", "Wetter"), ("en-GB", "Weather"), ("", "?")), language) == text
