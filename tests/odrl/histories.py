"""Histories of use under two policies: what one contains the other grants at every step, however often and when data was used.

The laws of `laws.py` ask single requests of a record that is given; here the record grows with what is granted, as a node keeps
it, so that two rules with a count each, a rule said twice, or two rules of one name show what they come to over time.
"""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from connector.controlplane import books
from connector.controlplane.kept import Kept, kept
from connector.odrl import compare, jsonld
from connector.odrl.evaluate import decide
from connector.odrl.expand import composed
from connector.odrl.truth import Request
from connector.odrl.vocabulary import Vocabulary
from connector.ports.ledger import Book
from tests.odrl.strategies import START

_PURPOSES = ("a", "b")
_NAMES = ("urn:r1", "urn:r2")
_STEPS = 7


def _atoms() -> st.SearchStrategy[dict[str, Any]]:
    counts = st.builds(
        lambda operator, number: {"leftOperand": "count", "operator": operator, "rightOperand": number},
        st.sampled_from(["lt", "lteq", "lteq", "lteq"]),
        st.integers(1, 4),
    )
    spans = st.builds(
        lambda left, days: {"leftOperand": left, "operator": "eq", "rightOperand": f"P{days}D"},
        st.sampled_from(["elapsedTime", "delayPeriod", "timeInterval"]),
        st.integers(1, 3),
    )
    purposes = st.builds(
        lambda one: {"leftOperand": "purpose", "operator": "eq", "rightOperand": one}, st.sampled_from(_PURPOSES)
    )
    rates = st.builds(
        lambda number, unit: {"leftOperand": "tds:frequency", "operator": "lteq", "rightOperand": number, "unit": unit},
        st.integers(1, 2),
        st.sampled_from(["P1D", "P7D"]),
    )
    return st.one_of(counts, counts, spans, purposes, rates)


@st.composite
def _permissions(draw: st.DrawFn) -> dict[str, Any]:
    rule: dict[str, Any] = {"action": "use", "constraint": draw(st.lists(_atoms(), min_size=1, max_size=2))}
    if draw(st.integers(0, 3)) == 0:
        rule["@id"] = draw(st.sampled_from(_NAMES))
    return rule


@st.composite
def policies(draw: st.DrawFn) -> dict[str, Any]:
    """A policy whose rules ask what is on record, some of them twice or under one name."""
    permissions = draw(st.lists(_permissions(), min_size=1, max_size=3))
    if draw(st.integers(0, 2)) == 0:
        permissions.append(permissions[0])
    tree: dict[str, Any] = {"@type": "Offer", "permission": permissions, "conflict": "prohibit"}
    if draw(st.integers(0, 2)) == 0:
        limit = {"leftOperand": "count", "operator": "gt", "rightOperand": draw(st.integers(1, 5))}
        tree["prohibition"] = [{"action": "use", "constraint": [limit]}]
    return tree


@st.composite
def pairs(draw: st.DrawFn) -> tuple[dict[str, Any], dict[str, Any]]:
    """Two such policies, the second made of the first: rules left out, repeated, renamed, or with a condition more."""
    first = draw(policies())
    if draw(st.integers(0, 3)) == 0:
        return first, draw(policies())
    rules = []
    for rule in draw(st.lists(st.sampled_from(first["permission"]), min_size=1, max_size=3)):
        changed = {**rule, "constraint": [*rule["constraint"], *draw(st.lists(_atoms(), max_size=1))]}
        name = draw(st.sampled_from(["", *_NAMES, rule.get("@id", "")]))
        rules.append({**changed, "@id": name} if name else {key: value for key, value in changed.items() if key != "@id"})
    return first, {**first, "permission": rules}


def first_step_beyond(first: dict[str, Any], second: dict[str, Any], words: Vocabulary, rng: random.Random) -> int | None:
    """The step of a random history at which the second policy grants what the first does not, though it is said to lie within; None
    when there is none, or nothing is promised.

    Where several permissions of the first grant a use, it may be a use of any of them: what is promised is that there is a way to
    count by which all of it is granted.
    """
    terms, asked = jsonld.read(first), jsonld.read(second)
    if compare.within(terms, asked, words).kind is not compare.VerdictKind.WITHIN:
        return None
    narrow = kept(asked, words)
    ways = [kept(replace(terms, permissions=(rule,)), words) for rule in composed(terms).permissions]
    ours, theirs = [Book()], Book()
    now = START
    for step in range(_STEPS):
        now += timedelta(hours=rng.choice([0, 1, 12, 24, 49]))
        purpose = rng.choice(_PURPOSES)
        granted = _used(narrow, theirs, now, purpose)
        if granted is None:
            continue
        theirs = granted
        counted = [_used(way, book, now, purpose) for book in ours for way in ways]
        ours = [book for number, book in enumerate(counted) if book is not None and book not in counted[:number]]
        if not ours:
            return step
    return None


def _used(terms: Kept, book: Book, now: datetime, purpose: str) -> Book | None:
    """The book after a use now, which began at once; None when it is not granted."""
    world = books.world(book, terms, now, START, {}, also=1)
    decision = decide(terms.compiled, Request(params={"purpose": purpose}), world)
    if not decision.is_permitted:
        return None
    reserved = books.reserved(book, "use", terms.used(decision, "use"), "urn:t", now, None)
    return books.begun(reserved, "use", now, None, is_watched=False, cycles=terms.cycles)
