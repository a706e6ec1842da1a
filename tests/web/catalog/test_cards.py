"""Cards of products: written once, and never older than what they tell."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest

from connector.federation.reading import entry_of
from connector.ports.catalog import Product
from connector.web.catalog import cards as module
from connector.web.catalog.cards import Cards, short

AT = datetime(2026, 3, 1, tzinfo=UTC)


def product(title: str = "Wind", number: int = 7, **changed: Any) -> Product:
    tree = {"@id": "urn:d", "dct:title": [{"@value": title, "@language": "en"}, {"@value": "Vent", "@language": "fr"}]}
    entry = entry_of(tree, origin="did:web:m.example", endpoint="https://m.example/dsp")
    return replace(Product(number=number, entry=entry, member="m", added_at=AT, changed_at=AT, seen_at=AT), **changed)


def read(cards: Cards, it: Product, language: str = "") -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads(orjson.dumps(cards.card(it, language)))
    return found


def test_a_card_is_the_same_however_often_it_is_asked_for() -> None:
    cards, address = Cards("https://ledger.example/catalog"), "https://ledger.example/catalog"
    for language, title in (("", "Wind"), ("fr", "Vent"), ("", "Wind")):
        assert read(cards, product(), language) == orjson.loads(orjson.dumps(short(product(), address, language)))
        assert read(cards, product(), language)["title"] == title


@pytest.mark.parametrize(
    ("changed", "name", "expected"),
    [
        ({"seen_at": AT + timedelta(days=1)}, "seenAt", "2026-03-02T00:00:00+00:00"),
        ({"changed_at": AT + timedelta(days=1)}, "changedAt", "2026-03-02T00:00:00+00:00"),
        ({"member": "other"}, "member", "other"),
        ({"number": 8}, "number", 8),
        ({"entry": product("Storm").entry}, "title", "Storm"),
        (
            {"entry": replace(product().entry, signed="did:web:m.example")},
            "signature",
            {"state": "verified", "by": "did:web:m.example"},
        ),
        ({"entry": replace(product().entry, origin_seen_at=AT - timedelta(days=1))}, "seenAt", "2026-02-28T00:00:00+00:00"),
    ],
)
def test_a_kept_card_tells_nothing_that_has_changed(changed: dict[str, Any], name: str, expected: Any) -> None:
    cards = Cards("https://ledger.example/catalog")
    before, after = read(cards, product()), read(cards, product(**changed))
    assert before[name] != after[name] == expected


def test_no_more_cards_are_kept_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_KEPT", 2)
    cards = Cards("https://ledger.example/catalog")
    assert [read(cards, product(number=number))["number"] for number in (1, 2, 3, 1)] == [1, 2, 3, 1]
    assert len(cards._kept) == 2
