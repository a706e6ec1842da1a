"""The state of the world in Turtle or JSON-LD: the present time, memberships, properties, duties, and the record of past use.

| what | how the file says it |
| --- | --- |
| the present time | `dct:issued` of `<http://example.com/request/currentTime>`, or else the only `dct:issued` in the file, or |
| | `currentTime` of the state; a day is its first moment; where the file tells none, it is now |
| membership | `member odrl:partOf collection`, to any depth; whoever is not named as a member is none |
| what lies in what | `odrl:partOf`, `skos:broader`, `rdfs:subClassOf`, `rdf:type`: for isPartOf, hasPart, isA |
| collections | what the file types as odrl:AssetCollection or odrl:PartyCollection is one in the policy too |
| what is so | `odrl:purpose` and any other left operand of the node of class `Sotw` or `SotW`, `currentLocation` as spatial |
| payments | a `pay:Payment` of the state's context with `conditionId`: that duty is fulfilled once it was paid |
| properties | any other property of an asset or party: claims and refinements are judged by them |
| how a duty stands | a `report:DutyReport` with `report:rule` and `report:deonticState` or `report:performanceState`; the latest counts |
| past use | a `kontor:Usage` with `kontor:rule` (without: of all rules), `kontor:count`, `kontor:meteredTime`, `kontor:firstUse`, |
| | `kontor:lastUse`, `kontor:trigger`, `kontor:paid [ kontor:amount 5 ; kontor:currency "EUR" ]` |
| events | `kontor:began` and `kontor:ended` of the event; an event with neither but of type `kontor:Event` is still to come |
| order | `kontor:becameTrue` of a constraint: when it first held |

The formal semantics' own words (`currentTime`, `currentLocation`, `count`, `accumulatedTime`, `conditionId`) are read in both
namespaces that the group has used.
Source: README of the public ODRL test cases; Compliance Report Model; for the record of use, our own terms.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from connector.cli.texts import read
from connector.errors import PolicyError

if TYPE_CHECKING:
    from connector import rdf
    from connector.odrl.model import AssetRef, PartyRef, Policy, Shared
    from connector.odrl.truth import DutyState, LedgerView, Period, Request, Taxonomy, Usage, World
    from connector.odrl.vocabulary import Vocabulary

REPORT = "https://w3id.org/force/compliance-report#"
DCT = "http://purl.org/dc/terms/"
_Holder = TypeVar("_Holder", bound="Shared")
_Reference = TypeVar("_Reference", "AssetRef", "PartyRef")
_KONTOR = "https://w3id.org/kontor/ns/"
_ODRL = "http://www.w3.org/ns/odrl/2/"
_RDFS = "http://www.w3.org/2000/01/rdf-schema#"
_SKOS = "http://www.w3.org/2004/02/skos/core#"
_NOW = "http://example.com/request/currentTime"
_PART_OF = f"{_ODRL}partOf"
_PAY = "https://www.epimorphics.com/guide-to-the-payments-ontology/"
DRAFT_NAMESPACES = ("https://w3id.org/force/sotw#", "https://w3id.org/odrl-fs#")


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """The state of the world, and how its file spells what a report repeats."""

    world: World
    created: rdf.Literal
    reports: Mapping[str, rdf.Iri]
    # the report on each duty, by the duty's key
    collections: frozenset[str] = frozenset()
    facts: Mapping[str, object] = field(default_factory=dict)
    # what is so, by left operand, whoever asks

    def asked(self, request: Request) -> Request:
        """The request with what is so besides; what it says itself goes first."""
        return replace(request, params={**self.facts, **request.params}) if self.facts else request

    def told(self, policy: Policy) -> Policy:
        """The policy with what the state knows of its assets and parties: which of them are collections."""
        if not self.collections:
            return policy
        return replace(
            _collected(policy, self.collections),
            permissions=tuple(_collected(rule, self.collections) for rule in policy.permissions),
            prohibitions=tuple(_collected(rule, self.collections) for rule in policy.prohibitions),
        )

    def about(self, requests: Iterable[Request]) -> World:
        """The world for these requests: who is named in no collection is in none, since the file names all members."""
        named = {name for request in requests for name in (request.party, request.target) if name}
        none = frozenset[str]()
        return replace(self.world, memberships={**dict.fromkeys(named, none), **self.world.memberships})


def _collected(holder: _Holder, names: frozenset[str]) -> _Holder:
    def one(reference: _Reference) -> _Reference:
        return replace(reference, is_collection=True) if reference.uid in names else reference

    return replace(holder, targets=tuple(map(one, holder.targets)), assignees=tuple(map(one, holder.assignees)))


def state_in(path: Path, words: Vocabulary) -> State:
    """The state of the world in a file. Where it tells no time, it is the present one.

    Raises: PolicyError naming what is missing or is of the wrong type; BadMessage when the file is no graph.
    """
    from connector import rdf

    return state_of(rdf.parse(read(path), str(path)), words, str(path))


def state_of(graph: rdf.Graph, words: Vocabulary, where: str) -> State:
    """The state of the world that a graph tells, see `state_in`."""
    from connector import rdf
    from connector.odrl.truth import DutyState, World

    created = _present(graph, where)
    taxonomy = _taxonomy(graph)
    duties, reports = _duties(graph)
    now = _moment(created, where)
    duties |= dict.fromkeys(_paid_for(graph, now, where), DutyState.FULFILLED)
    world = World(
        now=now,
        memberships=_memberships(graph),
        taxonomies=dict.fromkeys(words.operands, taxonomy) if taxonomy.parents else {},
        duties=duties,
        properties=_properties(graph),
        ledger=_ledger(graph, where),
    )
    collections = graph.typed(f"{_ODRL}AssetCollection", f"{_ODRL}PartyCollection")
    return State(
        world=world,
        created=created,
        reports=reports,
        collections=frozenset(node.text for node in collections if isinstance(node, rdf.Iri)),
        facts=_facts(graph, words),
    )


def _present(graph: rdf.Graph, where: str) -> rdf.Literal:
    from connector import rdf

    named = graph.values(rdf.Iri(_NOW), f"{DCT}issued")
    named = named or tuple(value for name in _drafted("currentTime") for _, value in graph.pairs(name))
    found = [value for value in named or (value for _, value in graph.pairs(f"{DCT}issued")) if isinstance(value, rdf.Literal)]
    if not found and not graph.rows.get(rdf.Iri(_NOW)):
        return rdf.Literal(datetime.now(UTC).isoformat().replace("+00:00", "Z"), f"{rdf.XSD}dateTime")
    if len(found) != 1:
        raise PolicyError(f"{len(found)} present times", where=where, mend=f"state one: <{_NOW}> dct:issued")
    return found[0]


def _moment(value: rdf.Term, where: str) -> datetime:
    from connector import rdf
    from connector.odrl.values import parse_moment

    span = parse_moment(value.text) if isinstance(value, rdf.Literal) else None
    if span is None:
        raise PolicyError(f"`{_text(value)}` is no moment", where=where, mend="write it as 2027-01-31T12:00:00Z")
    return span.start


def _text(term: rdf.Term) -> str:
    from connector import rdf

    return f"_:{term.label}" if isinstance(term, rdf.Blank) else term.text


def _drafted(name: str) -> tuple[str, ...]:
    """A word of the formal semantics, in each namespace that the group has used."""
    return tuple(space + name for space in DRAFT_NAMESPACES)


# --- what is so, what is part of what, and properties


def _facts(graph: rdf.Graph, words: Vocabulary) -> dict[str, object]:
    """Left operands of the state itself: what is so for whoever asks."""
    from connector import rdf
    from connector.odrl.terms import term

    found: dict[str, object] = {}
    location = [value for name in _drafted("currentLocation") for _, value in graph.pairs(name)]
    if len(location) == 1:
        found["spatial"] = term(_text(location[0]))
    for node, row in graph.rows.items():
        kinds = {_text(kind).rpartition("/")[2].rpartition("#")[2].casefold() for kind in row.get(rdf.TYPE, ())}
        for name, values in row.items() if "sotw" in kinds else ():
            operand = words.operand(term(name))
            if operand is not None and term(name) in (operand.name, *operand.aliases):
                texts = tuple(term(_text(value)) for value in values if node != value)
                found[operand.name] = texts[0] if len(texts) == 1 else texts
    return found


def _paid_for(graph: rdf.Graph, now: datetime, where: str) -> Iterator[str]:
    """The duties that a payment in the state's context has fulfilled by now."""
    for name in (*_drafted("conditionId"), *_drafted("conditionID")):
        for payment, duty in graph.pairs(name):
            dates = graph.values(payment, f"{_PAY}paymentDate")
            if all(_moment(date, where) <= now for date in dates):
                yield _text(duty)


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
    drafted = _drafted_usage(graph, where)
    total = total if total is not None or drafted is None else drafted
    if not (usages or total or events or became):
        return None
    return LedgerView(usages=usages, total=total, events=events, became_true=became)


def _drafted_usage(graph: rdf.Graph, where: str) -> Usage | None:
    """The use that the formal semantics' own words tell of a whole state."""
    from connector.odrl.truth import Usage
    from connector.odrl.values import parse_duration

    counts = [value for name in _drafted("count") for _, value in graph.pairs(name)]
    times = [value for name in _drafted("accumulatedTime") for _, value in graph.pairs(name)]
    if len(counts) + len(times) == 0:
        return None
    if len(counts) > 1 or len(times) > 1:
        raise PolicyError("several counts or times of one state", where=where, mend="write a kontor:Usage for each rule")
    spent = parse_duration(_text(times[0])) if times else None
    if times and (spent is None or spent.months):
        raise PolicyError(f"`{_text(times[0])}` is no time of use", where=where, mend="write it in days or seconds, as PT90M")
    return Usage(
        count=int(_number(_text(counts[0]), where)) if counts else 0,
        metered=timedelta(seconds=float(spent.seconds)) if spent else timedelta(0),
    )


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
