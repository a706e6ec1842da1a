"""Quantities convert within a dimension and nowhere else."""

from __future__ import annotations

from decimal import Decimal

import pytest

from connector.odrl import jsonld
from connector.odrl.evaluate import decide
from connector.odrl.truth import Code, Quantity, Request, World
from connector.odrl.units import convert, currency
from connector.odrl.vocabulary import Vocabulary
from tests.odrl.casefile import NOON


@pytest.mark.parametrize(
    ("amount", "unit", "into", "found"),
    [
        ("2", "GB", "B", "2000000000"),
        ("1", "http://qudt.org/vocab/unit/GibiBYTE", "MiB", "1024"),
        ("90", "min", "h", "1.5"),
        ("8", "bit", "byte", "1"),
        ("3", "urn:own", "urn:own", "3"),
        ("1", "GB", "h", None),
        ("1", "urn:own", "B", None),
        ("1", "EUR", "USD", None),
    ],
)
def test_a_quantity_in_another_unit(amount: str, unit: str, into: str, found: str | None) -> None:
    assert convert(Decimal(amount), unit, into) == (None if found is None else Decimal(found))


def test_a_currency_has_one_spelling() -> None:
    assert {currency(name) for name in ("EUR", "http://dbpedia.org/resource/Euro", "http://qudt.org/vocab/unit/CCY_EUR")} == {
        "EUR"
    }
    assert currency("urn:own") == "urn:own"


@pytest.mark.parametrize(
    ("fact", "effect", "code"),
    [
        (Quantity(amount=Decimal("1999"), unit="MB"), "permit", None),
        (Quantity(amount=Decimal("2001"), unit="MB"), "deny", Code.UNSATISFIED),
        (Quantity(amount=Decimal(1), unit="h"), "deny", Code.UNIT_MISMATCH),
        (5, "deny", Code.UNIT_MISMATCH),
    ],
)
def test_a_size_is_compared_in_the_unit_of_the_constraint(
    fact: object, effect: str, code: Code | None, vocabulary: Vocabulary
) -> None:
    limit = {"leftOperand": "absoluteSize", "operator": "lteq", "rightOperand": "2", "unit": "GB"}
    policy = jsonld.read({"permission": [{"action": "use", "constraint": [limit]}]})
    decision = decide(policy, Request(params={"absoluteSize": fact}), World(now=NOON), vocabulary)
    assert decision.effect == effect
    assert code is None or code in {reason.code for reason in decision.reasons}


def test_a_quantity_does_not_meet_a_number_without_unit(vocabulary: Vocabulary) -> None:
    limit = {"leftOperand": "absoluteSize", "operator": "lteq", "rightOperand": "2"}
    policy = jsonld.read({"permission": [{"action": "use", "constraint": [limit]}]})
    fact = Quantity(amount=Decimal(1), unit="B")
    assert not decide(policy, Request(params={"absoluteSize": fact}), World(now=NOON), vocabulary).is_permitted
