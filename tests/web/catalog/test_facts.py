"""The page of a product tells everything that its description says, in words, and a command that is safe to paste."""

from __future__ import annotations

import shlex
from datetime import UTC, datetime
from typing import Any

from connector.federation.reading import by_name, entry_of, tree_of
from connector.ports.catalog import Product
from connector.web.catalog import facts
from tests.describe import corpus

AT = datetime(2026, 3, 1, tzinfo=UTC)


def product(tree: dict[str, Any], origin: str = "did:web:weather.example") -> Product:
    entry = entry_of(tree, origin=origin, endpoint="https://weather.example/dsp")
    return Product(number=1, entry=entry, member="m", added_at=AT, changed_at=AT, seen_at=AT)


def told(tree: dict[str, Any]) -> dict[str, str]:
    one = product(tree)
    return {row["name"]: row["value"] for row in facts.rows(one, by_name(tree_of(one)))}


def test_everything_that_a_whole_description_says_is_told() -> None:
    assert told(corpus.whole()) | {
        "Dataset": "urn:example:weather", "Version": "1.0", "Form": "dataset", "Data changed": "2026-01-02", "Changes": "hourly",
        "About the time": "2013-01-01 to 2013-12-30", "Region": "USA", "Format": "text/csv", "Size": "2.29 MB", "Rows": "26,115",
        "Price": "12.50 EUR per month; Payable in advance.", "Licence": "https://creativecommons.org/publicdomain/zero/1.0/",
        "Quality": "grade A; completeness: 0.98; bias: -0.1", "Grade": "general", "Security level": "1",
        "Holds the data": "did:web:weather.example", "May process it": "Example Analytics", "May operate it": "did:web:shop.example",
        "Source": "original", "How it was collected": "Measured by instruments.", "Derived from": "urn:example:raw",
        "Conforms to": "https://example.org/schema", "Contact": "data@weather.example", "More about it": "https://weather.example/",
        "Signature": "none",
    } == told(corpus.whole())  # fmt: skip
    assert told(corpus.whole())["Also known as"].startswith("6911")
    assert list(facts.columns(by_name(corpus.whole()))) == [
        {"name": "origin", "more": "string", "about": "Airport"},
        {"name": "temp", "more": "decimal, degF", "about": "Air temperature"},
    ]


def test_of_whatever_others_write_a_page_can_be_made() -> None:
    for name, tree in corpus.broken():
        if "xxxxx" in name:
            # too long for the ledger
            continue
        rows = told({"@id": "urn:a", **tree})
        assert all(isinstance(value, str) and value for value in rows.values())
    assert told({"@id": "urn:a"}).keys() == {"Dataset", "In this ledger since", "Signature"}


def test_what_costs_nothing_says_so_and_what_nobody_says_is_not_told() -> None:
    schema = "https://schema.org/"
    free = {
        f"{schema}priceSpecification": {f"{schema}price": "0", f"{schema}priceCurrency": "EUR", f"{schema}unitText": "month"}
    }
    assert facts.price(by_name(free)) == "free of charge"
    odd = {f"{schema}priceSpecification": {f"{schema}price": "7", f"{schema}priceCurrency": "Euro"}}
    assert facts.price(by_name(odd)) == "7.00"
    assert facts.price(by_name({})) == ""


def test_a_command_runs_nothing_of_what_a_member_wrote() -> None:
    one = product({"@id": "urn:a; rm -rf $HOME `id`"}, origin="did:web:x' -o /etc/passwd")
    said = facts.command(one, ["research & more"], needs_purpose=True)
    assert shlex.split(said) == [
        "kontor", "get", "https://weather.example/dsp", "urn:a; rm -rf $HOME `id`", "--peer", "did:web:x' -o /etc/passwd",
        "--purpose", "research & more",
    ]  # fmt: skip
    assert "--purpose" not in facts.command(one, ["research"], needs_purpose=False)
