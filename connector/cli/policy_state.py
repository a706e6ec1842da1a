"""The state of the world in Turtle or JSON-LD: the present time, memberships, properties, duties, and the record of past use.

| what | how the file says it |
| --- | --- |
| the present time | `dct:issued` of `<http://example.com/request/currentTime>`, or else the only `dct:issued` in the file |
| membership | `member odrl:partOf collection`, to any depth; whoever is not named as a member is none |
| what lies in what | `odrl:partOf`, `skos:broader`, `rdfs:subClassOf`, `rdf:type`: for isPartOf, hasPart, isA |
| properties | any other property of an asset or party: claims and refinements are judged by them |
| how a duty stands | a `report:DutyReport` with `report:rule` and `report:deonticState` or `report:performanceState`; the latest counts |
| past use | a `kontor:Usage` with `kontor:rule` (without: of all rules), `kontor:count`, `kontor:meteredTime`, `kontor:firstUse`, |
| | `kontor:lastUse`, `kontor:trigger`, `kontor:paid [ kontor:amount 5 ; kontor:currency "EUR" ]` |
| events | `kontor:began` and `kontor:ended` of the event; an event with neither but of type `kontor:Event` is still to come |
| order | `kontor:becameTrue` of a constraint: when it first held |
Source: README of the public ODRL test cases; Compliance Report Model; for the record of use, our own terms.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from connector.cli.texts import read
from connector.errors import PolicyError

if TYPE_CHECKING:
    from connector import rdf
    from connector.odrl.truth import DutyState, LedgerView, Period, Request, Taxonomy, Usage, World
    from connector.odrl.vocabulary import Vocabulary

REPORT = "https://w3id.org/force/compliance-report#"
DCT = "http://purl.org/dc/terms/"
_KONTOR = "https://w3id.org/kontor/ns/"
_ODRL = "http://www.w3.org/ns/odrl/2/"
_RDFS = "http://www.w3.org/2000/01/rdf-schema#"
_SKOS = "http://www.w3.org/2004/02/skos/core#"
_NOW = "http://example.com/request/currentTime"
_PART_OF = f"{_ODRL}partOf"


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """The state of the world, and how its file spells what a report repeats."""

    world: World
    created: rdf.Literal
    reports: Mapping[str, rdf.Iri]
    # the report on each duty, by the duty's key

    def about(self, requests: Iterable[Request]) -> World:
        """The world for these requests: who is named in no collection is in none, since the file names all members."""
        named = {name for request in requests for name in (request.party, request.target) if name}
        none = frozenset[str]()
        return replace(self.world, memberships={**dict.fromkeys(named, none), **self.world.memberships})


def state_in(path: Path, words: Vocabulary) -> State:
    """The state of the world in a file.

    Raises: PolicyError naming what is missing or is of the wrong type; BadMessage when the file is no graph.
    """
    from connector import rdf

    return state_of(rdf.parse(read(path), str(path)), words, str(path))


def state_of(graph: rdf.Graph, words: Vocabulary, where: str) -> State:
    """The state of the world that a graph tells, see `state_in`."""
    from connector.odrl.truth import World

    created = _present(graph, where)
    taxonomy = _taxonomy(graph)
    duties, reports = _duties(graph)
    world = World(
        now=_moment(created, where),
        memberships=_memberships(graph),
        taxonomies=dict.fromkeys(words.operands, taxonomy) if taxonomy.parents else {},
        duties=duties,
        properties=_properties(graph),
        ledger=_ledger(graph, where),
    )
    return State(world=world, created=created, reports=reports)


def _present(graph: rdf.Graph, where: str) -> rdf.Literal:
    from connector import rdf

    named = graph.values(rdf.Iri(_NOW), f"{DCT}issued")
    found = [value for value in named or (value for _, value in graph.pairs(f"{DCT}issued")) if isinstance(value, rdf.Literal)]
    if len(found) != 1:
        raise PolicyError(f"{len(found)} present times", where=where, mend=f"state one: <{_NOW}> dct:issued")
    return found[0]


def _moment(value: rdf.Term, where: str) -> datetime:
    from connector import rdf
    from connector.odrl.values import parse_moment

    span = parse_moment(value.text) if isinstance(value, rdf.Literal) else None
    if span is None or not span.is_moment:
        raise PolicyError(f"`{_text(value)}` is no moment", where=where, mend="write it as 2027-01-31T12:00:00Z")
    return span.start


def _text(term: rdf.Term) -> str:
    from connector import rdf

    return f"_:{term.label}" if isinstance(term, rdf.Blank) else term.text


# --- what is part of what, and properties


def _memberships(graph: rdf.Graph) -> dict[str, frozenset[str]]:
    """Each member with its collections, those of collections included."""
    direct: dict[str, set[str]] = {}
    for part, whole in graph.pairs(_PART_OF):
        direct.setdefault(_text(part), set()).add(_text(whole))
    found: dict[str, frozenset[str]] = {}
    for member in direct:
        seen: set[str] = set()
        waiting = [member]
        while waiting:
            above = direct.get(waiting.pop(), set()) - seen
            seen |= above
            waiting += above
        found[member] = frozenset(seen)
    return found


def _taxonomy(graph: rdf.Graph) -> Taxonomy:
    from connector import rdf
    from connector.odrl.terms import term
    from connector.odrl.truth import Taxonomy

    parents: dict[str, dict[str, None]] = {}
    for link in (_PART_OF, f"{_SKOS}broader", f"{_RDFS}subClassOf", rdf.TYPE):
        for below, above in graph.pairs(link):
            parents.setdefault(term(_text(below)), {})[term(_text(above))] = None
            parents.setdefault(term(_text(above)), {})
    return Taxonomy(parents={name: tuple(above) for name, above in parents.items()})


def _properties(graph: rdf.Graph) -> dict[str, dict[str, object]]:
    from connector import rdf
    from connector.odrl.terms import term

    found: dict[str, dict[str, object]] = {}
    for node, row in graph.rows.items():
        if isinstance(node, rdf.Blank):
            continue
        for name, values in row.items():
            if name.startswith(REPORT) or name in (rdf.TYPE, _PART_OF):
                continue
            texts = tuple(term(_text(value)) for value in values)
            found.setdefault(node.text, {})[term(name)] = texts[0] if len(texts) == 1 else texts
    return found


# --- duties


def _duties(graph: rdf.Graph) -> tuple[dict[str, DutyState], dict[str, rdf.Iri]]:
    from connector import rdf

    states: dict[str, DutyState] = {}
    links: dict[str, rdf.Iri] = {}
    for node in sorted(graph.typed(f"{REPORT}DutyReport", f"{REPORT}ObligationReport"), key=lambda node: _age(graph, node)):
        rule = graph.one(node, f"{REPORT}rule")
        if isinstance(rule, rdf.Iri):
            # the latest report on a duty is the last one here
            states[rule.text] = _stands(graph, node)
            if isinstance(node, rdf.Iri):
                links[rule.text] = node
    return states, links


def _age(graph: rdf.Graph, report: rdf.Node) -> tuple[str, bool]:
    """The order of reports: by the time of the policy report around it; at the same time, a violation counts."""
    whole = [above for above, value in graph.pairs(f"{REPORT}ruleReport") if value == report]
    times = [_text(time) for above in whole for time in graph.values(above, f"{DCT}created")]
    from connector.odrl.truth import DutyState

    return max(times, default=""), _stands(graph, report) is DutyState.VIOLATED


def _stands(graph: rdf.Graph, report: rdf.Node) -> DutyState:
    from connector import rdf
    from connector.odrl.truth import DutyState

    deontic = graph.one(report, f"{REPORT}deonticState")
    if deontic is None and graph.one(report, f"{REPORT}performanceState") == rdf.Iri(f"{REPORT}Performed"):
        return DutyState.FULFILLED
    known = {f"{REPORT}Fulfilled": DutyState.FULFILLED, f"{REPORT}Violated": DutyState.VIOLATED}
    return known.get(_text(deontic) if deontic else "", DutyState.PENDING)


# --- the record of use


def _ledger(graph: rdf.Graph, where: str) -> LedgerView | None:
    from connector import rdf
    from connector.odrl.truth import LedgerView

    usages: dict[str, Usage] = {}
    total: Usage | None = None
    for node in graph.typed(f"{_KONTOR}Usage"):
        usage = _usage(graph, node, where)
        rules = graph.values(node, f"{_KONTOR}rule")
        usages |= {_text(rule): usage for rule in rules}
        total = total if rules else usage
    events = dict(_events(graph, where))
    became = {
        _text(node): _moment(value, where) for node, value in graph.pairs(f"{_KONTOR}becameTrue") if isinstance(node, rdf.Iri)
    }
    if not (usages or total or events or became):
        return None
    return LedgerView(usages=usages, total=total, events=events, became_true=became)


def _usage(graph: rdf.Graph, node: rdf.Node, where: str) -> Usage:
    from connector.odrl.truth import Usage
    from connector.odrl.values import parse_duration

    def text(name: str) -> str | None:
        value = graph.one(node, _KONTOR + name)
        return None if value is None else _text(value)

    def moment(name: str) -> datetime | None:
        value = graph.one(node, _KONTOR + name)
        return None if value is None else _moment(value, where)

    paid: dict[str, Decimal] = {}
    for payment in graph.values(node, f"{_KONTOR}paid"):
        amount, currency = graph.one(payment, f"{_KONTOR}amount"), graph.one(payment, f"{_KONTOR}currency")
        if amount is None or currency is None:
            raise PolicyError(
                "a payment without amount or currency", where=where, mend="write kontor:amount and kontor:currency"
            )
        paid[_text(currency)] = paid.get(_text(currency), Decimal(0)) + _number(_text(amount), where)
    count, metered = text("count"), text("meteredTime")
    time = parse_duration(metered) if metered is not None else None
    if metered is not None and (time is None or time.months):
        raise PolicyError(f"`{metered}` is no time of use", where=where, mend="write it in days or seconds, as PT90M")
    return Usage(
        count=int(_number(count, where)) if count is not None else 0,
        metered=timedelta(seconds=float(time.seconds)) if time else timedelta(0),
        first_used_at=moment("firstUse"),
        last_used_at=moment("lastUse"),
        triggered_at=moment("trigger"),
        paid=paid,
    )


def _number(text: str, where: str) -> Decimal:
    from connector.odrl.values import parse_decimal

    number = parse_decimal(text)
    if number is None or not -(10**15) < number < 10**15:
        raise PolicyError(f"`{text[:40]}` is no amount", where=where, mend="write a number")
    return number


def _events(graph: rdf.Graph, where: str) -> Iterator[tuple[str, Period]]:
    from connector.odrl.terms import term
    from connector.odrl.truth import Period

    times = (f"{_KONTOR}began", f"{_KONTOR}ended")
    for node in dict.fromkeys([*graph.typed(f"{_KONTOR}Event"), *(node for name in times for node, _ in graph.pairs(name))]):
        began, ended = (graph.one(node, name) for name in times)
        yield (
            term(_text(node)),
            Period(began=_moment(began, where) if began else None, ended=_moment(ended, where) if ended else None),
        )
