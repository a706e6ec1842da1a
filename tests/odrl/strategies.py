"""Random policies, requests and worlds, for the laws that hold of all of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from connector.odrl.truth import Request, Stage, World

START = datetime(2026, 1, 1, tzinfo=UTC)
PURPOSES = ("research", "academic-research", "commercial", "marketing", "urn:acme:p")
REGIONS = ("EU", "DE", "FR", "CH", "US", "urn:acme:r")
ROLES = ("a", "b", "c")
SET = ("eq", "neq", "isAnyOf", "isNoneOf", "isPartOf", "isA", "hasPart")
ORDER = ("eq", "neq", "lt", "lteq", "gt", "gteq")
HAIR = "10." + "0" * 30 + "1"
NUMBERS = ("10", HAIR, "10.0", "-1", "1e30", "0.1")
"""Numbers of which some differ by a hair."""
ENDS = ("9999-12-31Z", "9999-12-31T23:59:59.999999Z", "0001-01-01T00:00:00Z", "9999-12-31-05:00")
"""Moments and days at the ends of the calendar."""
ACTIONS = ("use", "read", "play", "display", "distribute")


def _instants() -> st.SearchStrategy[datetime]:
    return st.integers(0, 60).map(lambda hours: START + timedelta(hours=12 * hours))


def _texts() -> st.SearchStrategy[str]:
    moments = _instants().map(lambda moment: moment.isoformat().replace("+00:00", "Z"))
    days = _instants().map(lambda moment: f"{moment.date().isoformat()}Z")
    return st.one_of(moments, days, moments, days, st.sampled_from(ENDS))


def _some(values: tuple[str, ...]) -> st.SearchStrategy[Any]:
    return st.one_of(st.sampled_from(values), st.lists(st.sampled_from(values), min_size=1, max_size=3))


def _atom(left: str, operators: tuple[str, ...], right: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.builds(
        lambda operator, value: {"leftOperand": left, "operator": operator, "rightOperand": value},
        st.sampled_from(operators),
        right,
    )


def atoms(*, unknown: bool = True) -> st.SearchStrategy[dict[str, Any]]:
    kinds = [
        _atom("dateTime", ORDER, _texts()),
        _atom("purpose", SET, _some(PURPOSES)),
        _atom("spatial", SET, _some(REGIONS)),
        _atom("region", (*SET, "isAllOf"), _some(REGIONS)),
        _atom("role", ("eq", "neq", "isAnyOf", "isNoneOf", "isAllOf"), _some(ROLES)),
        _atom("claim:level", (*ORDER, "isAnyOf"), st.sampled_from(["1", "2", "3", "high"])),
        _atom("securityLevel", ORDER, st.integers(1, 4)),
        _atom("resolution", ORDER, st.sampled_from(NUMBERS)),
    ]
    if unknown:
        kinds += [_atom("urn:acme:x", ("eq",), st.just("1")), _atom("count", ("lteq", "gt"), st.integers(1, 3))]
    return st.one_of(kinds)


def constraints(*, unknown: bool = True) -> st.SearchStrategy[dict[str, Any]]:
    return st.recursive(
        atoms(unknown=unknown),
        lambda inner: st.builds(
            lambda word, members: {word: members},
            st.sampled_from(["and", "or", "or", "xone", "andSequence"]),
            st.lists(inner, min_size=2, max_size=3),
        ),
        max_leaves=6,
    )


def rules(*, unknown: bool = True) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {"action": st.sampled_from(ACTIONS)},
        optional={
            "constraint": st.lists(constraints(unknown=unknown), min_size=1, max_size=3),
            "target": st.sampled_from(["urn:t1", "urn:t2"]),
            "assignee": st.sampled_from(["did:a", "did:b"]),
        },
    )


def policies(*, unknown: bool = True) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {
            "@type": st.just("Agreement"),
            "@id": st.just("urn:p"),
            "permission": st.lists(rules(unknown=unknown), min_size=1, max_size=3),
        },
        optional={
            "prohibition": st.lists(rules(unknown=unknown), min_size=1, max_size=2),
            "conflict": st.sampled_from(["perm", "prohibit", "invalid"]),
            "obligation": st.just([{"action": "delete", "@id": "urn:d"}]),
        },
    )


def requests() -> st.SearchStrategy[Request]:
    return st.builds(
        Request,
        action=st.sampled_from(ACTIONS),
        target=st.sampled_from(["urn:t1", "urn:t2", None]),
        party=st.sampled_from(["did:a", "did:b", None]),
        params=st.fixed_dictionaries(
            {},
            optional={
                "purpose": st.sampled_from(PURPOSES),
                "spatial": st.sampled_from(REGIONS),
                "resolution": st.sampled_from(NUMBERS),
            },
        ),
    )


def worlds() -> st.SearchStrategy[World]:
    return st.builds(
        World,
        now=st.one_of(_instants(), _instants().map(lambda moment: moment - timedelta(microseconds=1))),
        claims=st.fixed_dictionaries(
            {},
            optional={
                "region": _some(REGIONS),
                "role": st.lists(st.sampled_from(ROLES), max_size=3, unique=True),
                "level": st.sampled_from([1, "2", 3.5, "high", True]),
                "securityLevel": st.integers(0, 5),
            },
        ),
    )


STAGES = st.sampled_from(list(Stage))


@st.composite
def variations(draw: st.DrawFn, tree: dict[str, Any]) -> dict[str, Any]:
    """A policy near another one: rules with constraints added, changed or left out, narrower actions, other parties."""
    changed = {**tree}
    kept = draw(st.lists(st.sampled_from(tree["permission"]), min_size=1, max_size=3))
    changed["permission"] = [draw(_varied(rule)) for rule in kept]
    if draw(st.booleans()):
        changed["prohibition"] = [*tree.get("prohibition", []), draw(rules())]
    elif draw(st.integers(0, 3)) == 0:
        changed.pop("prohibition", None)
    if draw(st.integers(0, 3)) == 0:
        changed["target"] = draw(st.sampled_from(["urn:t1", "urn:t2"]))
    if draw(st.integers(0, 5)) == 0:
        changed["conflict"] = draw(st.sampled_from(["perm", "prohibit", "invalid"]))
    return changed


@st.composite
def _varied(draw: st.DrawFn, rule: dict[str, Any]) -> dict[str, Any]:
    changed = {**rule, "constraint": [draw(_moved(constraint)) for constraint in rule.get("constraint", [])]}
    if draw(st.booleans()):
        changed["constraint"].append(draw(constraints()))
    if draw(st.integers(0, 2)) == 0:
        changed["action"] = draw(st.sampled_from(ACTIONS))
    if draw(st.integers(0, 2)) == 0:
        changed["target"] = draw(st.sampled_from(["urn:t1", "urn:t2"]))
    return changed


@st.composite
def _moved(draw: st.DrawFn, constraint: dict[str, Any]) -> dict[str, Any]:
    if "leftOperand" not in constraint:
        word, members = next(iter(constraint.items()))
        return {word: [draw(_moved(member)) for member in members]}
    if draw(st.booleans()):
        return constraint
    return draw(atoms().filter(lambda other: other["leftOperand"] == constraint["leftOperand"]))
