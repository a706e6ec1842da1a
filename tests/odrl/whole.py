"""Random policies that use every class and property of the Information Model, for laws about ways to write them."""

from __future__ import annotations

from functools import cache
from typing import Any

from hypothesis import strategies as st

from connector.odrl.jsonld import FUNCTIONS, RELATIONS
from connector.odrl.model import (
    XSD,
    ActionRef,
    AnyConstraint,
    AssetRef,
    AssetRelation,
    Conflict,
    Constraint,
    Duty,
    DutyRole,
    LogicalConstraint,
    LogicalOperand,
    Operator,
    PartyFunction,
    PartyRef,
    Permission,
    Policy,
    PolicyType,
    Prohibition,
    Value,
)
from connector.odrl.tree import text_of

IRIS = st.sampled_from(["urn:a", "urn:acme:b", "did:web:c.example", "https://d.example/e#f", "plain name", "g:h, [i]"])
_TEXTS = st.one_of(
    st.sampled_from(["research", "a b", "10", "-1.5", "", " ", "a, b]", "<x>", '"', "\\", "'", "5 EUR", "value of <x>", "x^^y", "é: #"]),
    # numbers and truth values in forms that are not the shortest, or none
    st.sampled_from(["010", "+5", "-0", "1.50", ".5", "5.", "1e3", "1.0E3", "5.0", " 5 ", "1", "TRUE", "true", "INF", "inf", "NaN", "1_0"]),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=6),
)  # fmt: skip
_DATATYPES = st.sampled_from(
    [f"{XSD}{name}" for name in ("integer", "decimal", "double", "boolean", "date")] + ["https://d.example/type"]
)
_LANGUAGES = st.sampled_from(["fr", "de-CH"])
_LEFTS = st.sampled_from(
    ["purpose", "count", "dateTime", "payAmount", "https://w3id.org/kontor/ns/membership", "membership", "urn:acme:x", "own"]
)
_ACTIONS = st.sampled_from(["use", "display", "http://creativecommons.org/ns#Sharing", "pay", "urn:acme:train", "run"])


@cache
def values() -> st.SearchStrategy[Value]:
    return st.one_of(
        st.builds(Value, text=_TEXTS),
        st.builds(Value, text=_TEXTS, datatype=_DATATYPES),
        st.builds(Value, text=_TEXTS, language=_LANGUAGES),
        st.builds(Value, text=IRIS, is_iri=st.just(True)),
    )


@cache
def extras() -> st.SearchStrategy[tuple[tuple[str, str], ...]]:
    leaves = st.one_of(st.booleans(), st.integers(-9, 9), st.sampled_from([0.5, 1e30]), _TEXTS)
    json = st.recursive(
        leaves, lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(_TEXTS, inner, max_size=2)), max_leaves=4
    )
    named = st.dictionaries(st.sampled_from(["https://d.example/p", "https://d.example/q", "note"]), json, max_size=2)
    some = named.map(lambda found: tuple(sorted((name, text_of(value)) for name, value in found.items() if value != [])))
    return st.one_of(st.just(()), st.just(()), some)


def _some(strategy: st.SearchStrategy[Any], most: int = 2) -> st.SearchStrategy[Any]:
    return st.one_of(st.just(()), st.lists(strategy, max_size=most).map(tuple))


@cache
def atoms() -> st.SearchStrategy[Constraint]:
    common: dict[str, Any] = {
        "left": _LEFTS,
        "operator": st.sampled_from(list(Operator)),
        "uid": st.one_of(st.none(), IRIS),
        "unit": st.one_of(st.none(), st.builds(Value, text=st.sampled_from(["EUR", "B"])), values()),
        "datatype": st.one_of(st.none(), _DATATYPES),
        "status": st.one_of(st.none(), values()),
        "extra": extras(),
    }
    return st.one_of(
        st.builds(Constraint, right=st.lists(values(), min_size=1, max_size=3).map(tuple), **common),
        st.builds(Constraint, right_references=st.lists(IRIS, min_size=1, max_size=2).map(tuple), **common),
    )


@cache
def constraints() -> st.SearchStrategy[AnyConstraint]:
    return st.recursive(
        atoms(),
        lambda inner: st.builds(
            LogicalConstraint,
            operand=st.sampled_from(list(LogicalOperand)),
            members=st.lists(inner, min_size=2, max_size=3).map(tuple),
            uid=st.one_of(st.none(), IRIS),
            extra=extras(),
        ),
        max_leaves=4,
    )


@cache
def references(kind: type[Any]) -> st.SearchStrategy[Any]:
    beside: dict[str, Any] = {"part_of": _some(IRIS).map(lambda found: tuple(dict.fromkeys(found))), "extra": extras()}
    refined = st.lists(constraints(), min_size=1, max_size=2).map(tuple)
    return st.one_of(
        st.builds(kind, uid=IRIS),
        st.builds(kind, uid=IRIS, **beside),
        st.builds(kind, uid=IRIS, is_collection=st.just(True), **beside),
        st.builds(kind, source=IRIS, is_collection=st.just(True), **beside),
        st.builds(kind, source=IRIS, is_collection=st.just(True), refinements=refined, **beside),
        st.builds(kind, uid=IRIS, source=IRIS, is_collection=st.just(True), refinements=_some(constraints()), **beside),
    )


@cache
def actions() -> st.SearchStrategy[ActionRef]:
    return st.one_of(
        st.builds(ActionRef, name=_ACTIONS),
        st.builds(ActionRef, name=_ACTIONS, uid=st.one_of(st.none(), IRIS), refinements=_some(constraints()), extra=extras()),
    )


@cache
def _shared() -> dict[str, Any]:
    parties = _some(references(PartyRef))
    in_order: dict[str, int] = {name: number for number, name in enumerate((*FUNCTIONS, *RELATIONS))}
    return {
        "uid": st.one_of(st.none(), IRIS),
        "actions": st.one_of(st.builds(ActionRef, name=st.just("use")).map(lambda one: (one,)), _some(actions())),
        "targets": _some(references(AssetRef)),
        "assigners": parties,
        "assignees": parties,
        "functions": _some(st.builds(PartyFunction, name=st.sampled_from(FUNCTIONS), party=references(PartyRef))).map(
            lambda found: tuple(sorted(found, key=lambda one: in_order[one.name]))
        ),
        "relations": _some(st.builds(AssetRelation, name=st.sampled_from(RELATIONS), asset=references(AssetRef)), 1),
        "extra": extras(),
    }


@cache
def duties(role: DutyRole) -> st.SearchStrategy[Duty]:
    last = role in (DutyRole.REMEDY, DutyRole.CONSEQUENCE)
    consequences = st.just(()) if last else _some(st.deferred(lambda: duties(DutyRole.CONSEQUENCE)), 1)
    return st.builds(
        Duty, role=st.just(role), constraints=_some(constraints(), 1), consequences=consequences, **_shared()
    ).filter(lambda duty: any((duty.actions, duty.constraints, duty.targets, duty.assignees, duty.extra)) or duty.uid is None)


def policies() -> st.SearchStrategy[Policy]:
    permission = st.builds(
        Permission, constraints=_some(constraints()), duties=_some(duties(DutyRole.CONDITION), 1), **_shared()
    )
    prohibition = st.builds(
        Prohibition, constraints=_some(constraints(), 1), remedies=_some(duties(DutyRole.REMEDY), 1), **_shared()
    )
    return st.builds(
        Policy,
        type=st.sampled_from([*PolicyType, "https://d.example/Licence"]),
        permissions=_some(permission),
        prohibitions=_some(prohibition, 1),
        obligations=_some(duties(DutyRole.OBLIGATION), 1),
        profiles=_some(st.sampled_from(["urn:p:1", "urn:p:2"]), 2).map(lambda found: tuple(dict.fromkeys(found))),
        inherit_from=_some(st.just("urn:parent"), 1),
        conflicts=_some(st.sampled_from(list(Conflict))).map(lambda found: tuple(dict.fromkeys(found))),
        timestamp=st.one_of(st.none(), st.just("2026-11-22T12:00:00Z")),
        **_shared(),
    ).filter(lambda policy: policy.has_rules)
