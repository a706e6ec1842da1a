"""Prices are compared within one currency; what is free is free in each, and what costs a little is not free."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from connector.errors import BadMessage
from connector.federation import asking, prices
from connector.federation.reading import by_name
from connector.federation.tantivy_index import TantivyIndex
from connector.ports.index import Document, Sort, Wanted
from connector.storage.catalog.fulltext import FullText

KINDS: dict[str, Any] = {"tantivy": TantivyIndex, "fts5": FullText}


def price(amount: Any, currency: Any = "EUR", **more: Any) -> prices.Price | None:
    return prices.price_of(by_name({"schema:priceSpecification": {"price": amount, "priceCurrency": currency, **more}}))


@pytest.mark.parametrize(
    ("amount", "cents", "word", "text"),
    [
        ("0", 0, "free", "0.00"),
        ("0.00", 0, "free", "0.00"),
        ("0.002", 1, "up to 10 EUR", "0.002"),
        (12.5, 1250, "up to 100 EUR", "12.50"),
        ("10.000", 1000, "up to 10 EUR", "10.00"),
        ("1000.01", 100_001, "more than 1000 EUR", "1,000.01"),
        ("50000000000", 5_000_000_000_000, "more than 1000 EUR", "50,000,000,000.00"),
    ],
)
def test_an_amount_is_what_it_is(amount: Any, cents: int, word: str, text: str) -> None:
    found = price(amount)
    assert found is not None
    assert (found.cents, found.word, found.text) == (cents, word, text)


@pytest.mark.parametrize(
    "amount", ["-1", "NaN", "Infinity", "1e999", "1e-999999999", "1E+999999999", "free", "", None, [], True]
)
def test_what_is_no_amount_is_no_price(amount: Any) -> None:
    assert price(amount) is None


def test_the_currency_is_that_of_the_amount_and_of_nothing_there_is_none() -> None:
    two = {"priceSpecification": [{"priceCurrency": "USD"}, {"price": "5", "priceCurrency": "CNY", "unitText": "month"}]}
    assert prices.price_of(by_name(two)) == prices.Price(amount=Decimal(5), currency="CNY", unit="month")
    assert [one and one.currency for one in (price("0"), price("5", "Euro"), price("5", ["Euro", "EUR"]))] == ["", "", "EUR"]
    assert (price("5", "Euro") or prices.Price(amount=Decimal(0), currency="")).word == "up to 10 of no currency"


def test_prices_of_different_currencies_are_not_compared_and_it_is_said_how_to_mend_it() -> None:
    for fields, where in (
        ({"price_at_most": ["10"]}, "price_at_most"),
        ({"sort": ["cheapest"]}, "sort"),
        ({"sort": ["cheapest"], "currency": ["EUR", "CNY"]}, "sort"),
    ):
        with pytest.raises(BadMessage, match="cannot be compared") as refused:
            asking.query(fields)
        assert (refused.value.where, "`currency=EUR`" in refused.value.mend) == (where, True)
    with pytest.raises(BadMessage, match="`eur` is no currency"):
        asking.query({"currency": ["eur"]})
    assert asking.query({"price_at_most": ["0"]}).price_at_most_cents == 0
    assert asking.query({"price_at_most": ["10.50"], "currency": ["EUR"], "sort": ["cheapest"]}).price_at_most_cents == 1050


@pytest.mark.parametrize("kind", KINDS)
def test_a_currency_finds_what_is_paid_in_it_and_what_is_free_and_counts_as_much(kind: str, tmp_path: Path) -> None:
    index = KINDS[kind](tmp_path)
    index.open()
    told = [
        (1, 900, "EUR"),
        (2, 500, "EUR"),
        (3, 100, "CNY"),
        (4, 0, ""),
        (5, None, ""),
        (6, 700_000_000_000, "EUR"),
        (7, 50, ""),
    ]
    index.apply(
        [
            Document(
                number=number, titles=(("en", "Weather"),), texts=(), keywords=(), terms="t", price_cents=cents,
                facets={"currency": (code,) if code else ()},
            )
            for number, cents, code in told
        ],
        (),
        1,
    )  # fmt: skip

    def numbers(*currencies: str, **wanted: Any) -> list[int]:
        return [hit.number for hit in index.search(Wanted(chosen={"currency": currencies}, **wanted)).hits]

    assert numbers("EUR", sort=Sort.CHEAPEST) == [4, 2, 1, 6]
    assert numbers("EUR", sort=Sort.CHEAPEST, price_at_most_cents=500) == [4, 2]
    assert sorted(numbers("EUR", "CNY")) == [1, 2, 3, 4, 6]
    assert [hit.number for hit in index.search(Wanted(price_at_most_cents=0)).hits] == [4]
    counts = dict(index.search(Wanted(counted=("currency",))).counts["currency"])
    assert counts == {code: len(numbers(code)) for code in ("EUR", "CNY")} == {"EUR": 4, "CNY": 2}
    index.close()
