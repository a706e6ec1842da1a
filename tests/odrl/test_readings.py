"""Conditions that let more happen than they seem to say are told, with what was probably meant."""

from __future__ import annotations

from typing import Any

import pytest

from connector.odrl import jsonld
from connector.odrl.readings import readings
from connector.odrl.vocabulary import Vocabulary


def c(left: str, operator: str, right: Any, **more: Any) -> dict[str, Any]:
    return {"leftOperand": left, "operator": operator, "rightOperand": right, **more}


def told(vocabulary: Vocabulary, **rules: Any) -> list[tuple[str, str]]:
    tree = {kind: [{"action": "use", **rule}] for kind, rule in rules.items()}
    return [(one.code, one.mend) for one in readings(jsonld.read(tree), vocabulary)]


@pytest.mark.parametrize(
    ("kind", "constraint", "code", "mend"),
    [
        ("permission", c("role", "neq", "a"), "not-only", "write `role none of [a]`"),
        ("permission", {"or": [c("purpose", "eq", "x"), c("role", "neq", "a")]}, "not-only", "write `role none of [a]`"),
        ("permission", c("payAmount", "lteq", "5", unit="EUR"), "nothing-paid", "write `payAmount >= 5`, or a duty to compensate"),
        ("prohibition", c("role", "eq", "a"), "only-that", "write `role in [a]`"),
        ("prohibition", c("dateTime", "eq", "2027-01-01Z"), "that-moment", "write `dateTime >= 2027-01-01Z`"),
        ("permission", c("claim:zip", "eq", "01067"), "number-like", "define the operand in a profile of your own, with `string` values"),
        ("obligation", c("purpose", "eq", "x"), "never-late", "say until when, such as `dateTime < 2030-01-01Z`"),
    ],
)  # fmt: skip
def test_a_trap_is_told(kind: str, constraint: Any, code: str, mend: str, vocabulary: Vocabulary) -> None:
    assert told(vocabulary, **{kind: {"constraint": [constraint]}}) == [(code, mend)]


@pytest.mark.parametrize(
    ("kind", "constraint"),
    [
        ("permission", c("role", "eq", "a")),
        ("prohibition", c("role", "neq", "a")),
        ("permission", c("purpose", "neq", "a")),
        ("prohibition", c("purpose", "eq", "a")),
        ("permission", c("payAmount", "gteq", "5", unit="EUR")),
        ("permission", c("dateTime", "eq", "2027-01-01Z")),
        ("prohibition", c("dateTime", "gteq", "2027-01-01Z")),
        ("permission", c("claim:zip", "isAnyOf", ["1067", "0.5", "0"])),
        ("permission", c("claim:zip", "eq", {"@value": "01067", "@type": "xsd:integer"})),
        ("obligation", c("dateTime", "lteq", "2027-01-01Z")),
        ("obligation", c("elapsedTime", "eq", "P30D")),
        ("obligation", {"and": [c("purpose", "eq", "x"), c("inForceDate", "lt", "contractAgreement+30d")]}),
    ],
)
def test_what_says_what_it_means_is_left_alone(kind: str, constraint: Any, vocabulary: Vocabulary) -> None:
    assert told(vocabulary, **{kind: {"constraint": [constraint]}}) == []
