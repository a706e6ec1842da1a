"""What is asked lies within our terms, near them, outside, or nobody can tell; and the counter-offer suits both."""

from __future__ import annotations

from typing import Any

import pytest

from connector.odrl import compare, jsonld
from connector.odrl.compare import Verdict, VerdictKind
from connector.odrl.vocabulary import Vocabulary

WITHIN, NEAR, OUTSIDE, UNKNOWN = VerdictKind
Tree = dict[str, Any]


def c(left: str, operator: str, right: Any) -> Tree:
    return {"leftOperand": left, "operator": operator, "rightOperand": right}


def u(left: str, operator: str, right: Any, unit: str) -> Tree:
    return {**c(left, operator, right), "unit": unit}


def policy(*constraints: Tree, action: str = "use", **more: Any) -> Tree:
    return {"@type": "Offer", "@id": "urn:o", "permission": [{"action": action, "constraint": list(constraints)}], **more}


def verdict(terms: Tree, asked: Tree, vocabulary: Vocabulary) -> Verdict:
    return compare.within(jsonld.read(terms), jsonld.read(asked), vocabulary)


DAY = c("dateTime", "lteq", "2026-12-31")
EARLY = c("dateTime", "lt", "2026-01-01")
ROWS: list[tuple[str, list[Tree], list[Tree], VerdictKind]] = [
    ("the same", [DAY], [DAY], WITHIN),
    ("no terms at all", [], [DAY], WITHIN),
    ("fewer constraints", [DAY], [], NEAR),
    ("an earlier end", [DAY], [c("dateTime", "lt", "2026-06-01T00:00:00Z")], WITHIN),
    ("the same end in other words", [DAY], [c("dateTime", "lt", "2027-01-01")], WITHIN),
    ("the last moment of the day", [DAY], [c("dateTime", "lteq", "2026-12-31T23:59:59.999999Z")], WITHIN),
    ("one moment more", [DAY], [c("dateTime", "lteq", "2027-01-01T00:00:00Z")], NEAR),
    ("a later end", [DAY], [c("dateTime", "lt", "2028-01-01")], NEAR),
    ("a start is no end", [DAY], [c("dateTime", "gt", "2020-01-01")], NEAR),
    ("a day within", [DAY], [c("dateTime", "eq", "2026-12-31")], WITHIN),
    ("a later start", [c("dateTime", "gteq", "2026-01-01")], [c("dateTime", "gt", "2026-01-01")], WITHIN),
    ("another zone", [DAY], [c("dateTime", "lteq", "2026-12-31-05:00")], NEAR),
    ("one of ours", [c("purpose", "isAnyOf", ["research", "education"])], [c("purpose", "eq", "research")], WITHIN),
    ("a subset", [c("purpose", "isAnyOf", ["a", "b", "c"])], [c("purpose", "isAnyOf", ["c", "a"])], WITHIN),
    ("a superset", [c("purpose", "isAnyOf", ["a"])], [c("purpose", "isAnyOf", ["a", "b"])], NEAR),
    ("another spelling", [c("purpose", "eq", "research")], [c("purpose", "eq", "kontor:purpose/research")], WITHIN),
    ("none of more", [c("purpose", "isNoneOf", ["a"])], [c("purpose", "isNoneOf", ["a", "b"])], WITHIN),
    ("none of less", [c("purpose", "isNoneOf", ["a", "b"])], [c("purpose", "isNoneOf", ["a"])], NEAR),
    ("not one, so none of one", [c("purpose", "isNoneOf", ["a"])], [c("purpose", "neq", "a")], WITHIN),
    ("not a set of two says nothing", [c("purpose", "isNoneOf", ["a"])], [c("purpose", "neq", ["a", "b"])], NEAR),
    ("a value that is none of", [c("purpose", "isNoneOf", ["a"])], [c("purpose", "eq", "b")], WITHIN),
    ("a branch of ours", [c("purpose", "isPartOf", "commercial")], [c("purpose", "isPartOf", "marketing")], WITHIN),
    ("a value in our branch", [c("spatial", "isPartOf", "EU")], [c("spatial", "isAnyOf", ["DE", "FR"])], WITHIN),
    ("a value outside our branch", [c("spatial", "isPartOf", "EU")], [c("spatial", "eq", "CH")], NEAR),
    ("a value that no taxonomy knows", [c("spatial", "isPartOf", "EU")], [c("spatial", "eq", "urn:x")], UNKNOWN),
    ("a claim of many", [c("role", "isAnyOf", ["a", "b"])], [c("role", "isAllOf", ["a", "x"])], WITHIN),
    ("a claim of many is not all", [c("role", "isAllOf", ["a", "b"])], [c("role", "isAnyOf", ["a", "b"])], NEAR),
    ("fewer uses", [c("count", "lteq", 10)], [c("count", "lt", "5")], WITHIN),
    ("more uses", [c("count", "lteq", 10)], [c("count", "lteq", 11)], NEAR),
    ("a shorter time", [c("elapsedTime", "lteq", "P30D")], [c("elapsedTime", "lteq", "P1D")], WITHIN),
    ("months against days", [c("elapsedTime", "lteq", "P30D")], [c("elapsedTime", "lteq", "P1M")], UNKNOWN),
    ("one of our alternatives", [{"or": [DAY, c("purpose", "eq", "research")]}], [c("purpose", "eq", "research")], WITHIN),
    (
        "alternatives that all keep to ours",
        [c("purpose", "isAnyOf", ["a", "b"])],
        [{"or": [c("purpose", "eq", "a"), c("purpose", "eq", "b")]}],
        WITHIN,
    ),
    (
        "an alternative that does not",
        [c("purpose", "eq", "a")],
        [{"or": [c("purpose", "eq", "a"), c("purpose", "eq", "b")]}],
        NEAR,
    ),
    ("our and, spelled out", [{"and": [DAY, c("purpose", "eq", "a")]}], [c("purpose", "eq", "a"), DAY], WITHIN),
    ("an exclusive alternative of ours", [{"xone": [DAY, c("purpose", "eq", "a")]}], [c("purpose", "eq", "a")], NEAR),
    ("a term that nobody knows", [c("urn:x", "eq", "1")], [c("urn:x", "eq", "2")], UNKNOWN),
    (
        "a term that nobody knows, the same",
        [c("urn:x", "eq", "1"), DAY],
        [c("urn:x", "eq", "1"), c("dateTime", "lt", "2026-01-01")],
        WITHIN,
    ),
    ("a term more that nobody knows", [DAY], [DAY, c("urn:x", "eq", "1")], WITHIN),
    (
        "relative ends",
        [c("inForceDate", "lteq", "contractAgreement+30d")],
        [c("inForceDate", "lteq", "contractAgreement+10d")],
        WITHIN,
    ),
    (
        "relative against absolute",
        [c("inForceDate", "lteq", "contractAgreement+30d")],
        [c("inForceDate", "lteq", "2026-12-31Z")],
        NEAR,
    ),
    ("an end that nobody lives to see", [DAY], [c("dateTime", "lteq", "9999-12-31")], NEAR),
    ("until the last day of the calendar", [c("dateTime", "lteq", "9999-12-31")], [DAY], WITHIN),
    ("the last moment of the calendar", [DAY], [c("dateTime", "gteq", "9999-12-31T23:59:59.999999Z")], NEAR),
    ("the first moment of the calendar", [DAY], [c("dateTime", "gteq", "0001-01-01T00:00:00Z")], NEAR),
    ("before the calendar begins", [DAY], [c("dateTime", "lt", "0001-01-01+14:00")], WITHIN),
    ("a limit of which some is used up", [c("count", "lteq", 10)], [{**c("count", "lteq", 10), "status": 3}], WITHIN),
    ("as much as is left of a limit", [{**c("count", "lteq", 10), "status": 3}], [c("count", "lteq", 7)], WITHIN),
    ("more than is left of a limit", [{**c("count", "lteq", 10), "status": 3}], [c("count", "lteq", 8)], NEAR),
    ("a limit enlarged by what was used", [c("count", "lteq", 10)], [{**c("count", "lteq", 10), "status": -3}], UNKNOWN),
    ("as much in another unit", [u("resolution", "lteq", "1", "m")], [u("resolution", "lteq", "100", "cm")], WITHIN),
    ("more in another unit", [u("resolution", "lteq", "1", "m")], [u("resolution", "lteq", "1001", "mm")], NEAR),
    ("a number without the unit", [u("resolution", "lteq", "1", "m")], [c("resolution", "lteq", "1")], NEAR),
    ("a unit of something else", [u("resolution", "lteq", "1", "m")], [u("resolution", "lteq", "1", "GB")], NEAR),
    (
        "the same currency",
        [u("payAmount", "gteq", "5", "EUR")],
        [u("payAmount", "gteq", "6", "urn:iso:std:iso:4217:EUR")],
        WITHIN,
    ),
    ("another currency", [u("payAmount", "gteq", "5", "EUR")], [u("payAmount", "gteq", "6", "USD")], NEAR),
    ("wider by a hair", [c("resolution", "lteq", "10")], [c("resolution", "lt", "10." + "0" * 30 + "1")], NEAR),
    ("numbers of many digits", [c("resolution", "gteq", "1e30")], [c("resolution", "lteq", "1e30")], NEAR),
    ("words of a free claim", [c("claim:x", "lteq", "10")], [c("claim:x", "lteq", "9")], UNKNOWN),
]


@pytest.mark.parametrize(("terms", "asked", "kind"), [pytest.param(*row[1:], id=row[0]) for row in ROWS])
def test_constraints_compare(terms: list[Tree], asked: list[Tree], kind: VerdictKind, vocabulary: Vocabulary) -> None:
    found = verdict(policy(*terms), policy(*asked), vocabulary)
    assert found.kind is kind, found.reasons
    assert found.reasons
    assert (found.counter is not None) is (kind is NEAR)


DELETE, PAY = {"action": "delete"}, {"action": "compensate"}
TEN = c("count", "lteq", "10")
ONE_NAME = [{"@id": "urn:r", "action": "use", "constraint": [TEN, c("purpose", "eq", one)]} for one in ("a", "b")]
TWO_NAMES = {"@type": "Offer", "permission": [{**rule, "@id": f"urn:r{number}"} for number, rule in enumerate(ONE_NAME)]}
RULES: list[tuple[str, Tree, Tree, VerdictKind]] = [
    ("a narrower action", policy(), policy(action="read"), WITHIN),
    ("a wider action", policy(action="read"), policy(), OUTSIDE),
    ("an action that nobody knows", policy(), policy(action="urn:x"), UNKNOWN),
    ("a target for terms about anything", policy(), policy(target="urn:a"), WITHIN),
    ("anything for terms about a target", policy(target="urn:a"), policy(), OUTSIDE),
    ("another target", policy(target="urn:a"), policy(target="urn:b"), OUTSIDE),
    ("the same terms about another target", policy(DAY, target="urn:a"), policy(DAY, target="urn:b"), OUTSIDE),
    ("another assignee", policy(assignee="did:a"), policy(assignee="did:b"), OUTSIDE),
    ("nothing asked", policy(), {"@type": "Offer"}, OUTSIDE),
    ("two without rules", {"@type": "Offer"}, {"@type": "Offer", "@id": "urn:x"}, WITHIN),
    ("our prohibition left out", policy(prohibition=[{"action": "sell"}]), policy(), NEAR),
    ("our prohibition kept", policy(prohibition=[{"action": "sell"}]), policy(DAY, prohibition=[{"action": "sell"}]), WITHIN),
    ("a prohibition more", policy(), policy(prohibition=[{"action": "sell"}]), WITHIN),
    (
        "another strategy",
        policy(prohibition=[{"action": "read"}]),
        policy(prohibition=[{"action": "read"}], conflict="perm"),
        NEAR,
    ),
    ("our obligation left out", policy(obligation=[{"action": "delete"}]), policy(), NEAR),
    (
        "our remedy at another prohibition",
        policy(prohibition=[{"action": "give", "remedy": [DELETE]}, {"action": "sell", "remedy": [PAY]}]),
        policy(prohibition=[{"action": "give", "remedy": [PAY]}, {"action": "sell", "remedy": [DELETE]}]),
        NEAR,
    ),
    (
        "a remedy more",
        policy(prohibition=[{"action": "sell", "remedy": [PAY]}]),
        policy(prohibition=[{"action": "sell", "remedy": [DELETE, PAY]}]),
        WITHIN,
    ),
    (
        "our obligation with another action of the whole",
        {**policy(action="use", obligation=[{"constraint": [DAY]}]), "action": "delete"},
        {**policy(action="use", obligation=[{"constraint": [DAY]}]), "action": "inform"},
        NEAR,
    ),
    (
        "another party of the whole",
        policy(DAY, compensatedParty="did:p"),
        policy(DAY, compensatedParty="did:q"),
        UNKNOWN,
    ),
    ("one count as two", {**TWO_NAMES, "permission": ONE_NAME}, TWO_NAMES, NEAR),
    ("one count under one name", {**TWO_NAMES, "permission": ONE_NAME}, {**TWO_NAMES, "permission": ONE_NAME[:1]}, WITHIN),
    (
        "two duties of one name",
        policy(),
        policy(DAY, obligation=[{**DELETE, "@id": "urn:d"}, {**PAY, "@id": "urn:d"}]),
        UNKNOWN,
    ),
    ("parents", policy(), policy(DAY, inheritFrom="urn:p"), UNKNOWN),
    ("a profile that is not loaded", policy(), policy(DAY, profile="urn:p"), UNKNOWN),
    ("a property that nobody knows", policy(), policy(DAY, **{"urn:x": 1}), UNKNOWN),
]


@pytest.mark.parametrize(("terms", "asked", "kind"), [pytest.param(*row[1:], id=row[0]) for row in RULES])
def test_rules_compare(terms: Tree, asked: Tree, kind: VerdictKind, vocabulary: Vocabulary) -> None:
    found = verdict(terms, asked, vocabulary)
    assert found.kind is kind, found.reasons


def test_a_duty_left_out_is_near(vocabulary: Vocabulary) -> None:
    duty = {"action": "use", "duty": [{"action": "attribute", "@id": "urn:d"}]}
    terms = {"@type": "Offer", "permission": [duty]}
    assert verdict(terms, policy(DAY), vocabulary).kind is NEAR
    assert verdict(terms, {"@type": "Offer", "permission": [{**duty, "constraint": [DAY]}]}, vocabulary).kind is WITHIN


def test_the_counter_offer_is_what_both_can_accept(vocabulary: Vocabulary) -> None:
    terms = policy(DAY, c("purpose", "isAnyOf", ["research", "education"]))
    asked = policy(c("dateTime", "lteq", "2028-12-31"), c("purpose", "isAnyOf", ["research", "marketing"]), target="urn:t")
    found = verdict(terms, asked, vocabulary)
    assert found.counter is not None
    assert found.counter.target == "urn:t"
    written = jsonld.write(found.counter)["permission"][0]["constraint"]
    assert written == [DAY, c("purpose", "isAnyOf", "research")]


def test_where_nothing_is_common_our_terms_are_the_counter_offer(vocabulary: Vocabulary) -> None:
    terms = policy(c("purpose", "isAnyOf", ["research"]))
    found = verdict(terms, policy(c("purpose", "isAnyOf", ["marketing"])), vocabulary)
    assert found.counter is not None
    assert jsonld.write(found.counter)["permission"] == terms["permission"] or found.counter == jsonld.read(terms)


def test_the_reason_names_the_constraint(vocabulary: Vocabulary) -> None:
    found = verdict(policy(DAY), policy(), vocabulary)
    assert found.reasons == ("`policy.permission[0]` does not keep to `dateTime lteq 2026-12-31`",)


def test_a_title_changes_nothing_of_what_is_permitted(vocabulary: Vocabulary) -> None:
    titled = policy(**{"dct:title": "Open", "dct:description": "For everybody."})
    assert verdict(titled, policy(DAY), vocabulary).kind is WITHIN
    assert verdict(policy(**{"urn:strange": "x"}), policy(DAY), vocabulary).kind is UNKNOWN
