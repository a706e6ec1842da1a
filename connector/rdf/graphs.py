"""Terms and triples that know no library, and what can be asked of them: a node's properties, a tree, an order-free form.

How graphs are read and written is in `reading` and `writing`.
Source: RDF 1.1 Concepts, sections 3.1 to 3.4.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any, Final

from connector.errors import BadMessage

RDF: Final = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
XSD: Final = "http://www.w3.org/2001/XMLSchema#"
TYPE: Final = f"{RDF}type"
MAX_NODES: Final = 200_000
"""So many nodes may a tree have: what is named in several places is written in each of them."""
MAX_DEPTH: Final = 64


@dataclass(frozen=True, slots=True)
class Iri:
    """A name that holds everywhere."""

    text: str


@dataclass(frozen=True, slots=True)
class Blank:
    """A node without a name; `label` tells it from others of its graph only."""

    label: str


@dataclass(frozen=True, slots=True)
class Literal:
    """A value as it was written, with its type or its language."""

    text: str
    datatype: str = f"{XSD}string"
    language: str | None = None


Node = Iri | Blank
Term = Iri | Blank | Literal
Triple = tuple[Node, str, Term]


@dataclass(frozen=True)
class Graph:
    """Triples, in the order in which they were read, and the questions that readers ask of them."""

    triples: tuple[Triple, ...]

    @cached_property
    def rows(self) -> Mapping[Node, Mapping[str, tuple[Term, ...]]]:
        """Each subject with its properties."""
        found: dict[Node, dict[str, dict[Term, None]]] = {}
        for subject, predicate, value in self.triples:
            found.setdefault(subject, {}).setdefault(predicate, {})[value] = None
        return MappingProxyType({node: {name: tuple(terms) for name, terms in row.items()} for node, row in found.items()})

    def values(self, node: Term, predicate: str) -> tuple[Term, ...]:
        """What a node has under a property, without repeats."""
        return () if isinstance(node, Literal) else self.rows.get(node, {}).get(predicate, ())

    def one(self, node: Term, predicate: str) -> Term | None:
        """What a node has under a property, when it has exactly one."""
        found = self.values(node, predicate)
        return found[0] if len(found) == 1 else None

    def typed(self, *kinds: str) -> tuple[Node, ...]:
        """The subjects that have one of these types."""
        wanted = {Iri(kind) for kind in kinds}
        return tuple(node for node, row in self.rows.items() if not wanted.isdisjoint(row.get(TYPE, ())))

    def pairs(self, predicate: str) -> Iterator[tuple[Node, Term]]:
        """Each subject of a property with its value."""
        return ((subject, value) for subject, name, value in self.triples if name == predicate)


# --- as trees


def tree(graph: Graph, root: Node) -> dict[str, Any]:
    """A node and everything below it as JSON-LD with full IRIs: no context, arrays throughout, lists as `@list`.

    What is named in several places is written in each; a node inside itself is only named there.

    Raises: BadMessage when that makes more than `MAX_NODES` nodes.
    """
    count = 0

    def one(term: Term, way: frozenset[Node]) -> dict[str, Any]:
        nonlocal count
        if isinstance(term, Literal):
            return _json_value(term)
        items = _items(graph, term)
        if items is not None:
            return {"@list": [one(item, way | {term}) for item in items]}
        name = {"@id": term.text} if isinstance(term, Iri) else {}
        row = graph.rows.get(term, {})
        count += 1
        if count > MAX_NODES or len(way) > MAX_DEPTH:
            raise BadMessage(f"more than {MAX_NODES} nodes or {MAX_DEPTH} levels", where=str(term), mend="split the graph")
        if term in way or not row:
            return name or {"@id": f"_:{term.label}"} if isinstance(term, Blank) else name
        kinds = [kind.text for kind in row.get(TYPE, ()) if isinstance(kind, Iri)]
        below = {key: [one(item, way | {term}) for item in items] for key, items in row.items() if key != TYPE}
        return {**name, **({"@type": kinds} if kinds else {}), **below}

    return one(root, frozenset())


def _items(graph: Graph, node: Node) -> list[Term] | None:
    """The items of an RDF list; None when the node is none."""
    items: list[Term] = []
    seen: set[Term] = set()
    current: Term = node
    while current != Iri(f"{RDF}nil"):
        first, rest = graph.one(current, f"{RDF}first"), graph.one(current, f"{RDF}rest")
        if first is None or rest is None or current in seen:
            return None
        seen.add(current)
        items.append(first)
        current = rest
    return items


def _json_value(literal: Literal) -> dict[str, Any]:
    if literal.language:
        return {"@value": literal.text, "@language": literal.language}
    if literal.datatype == f"{XSD}string":
        return {"@value": literal.text}
    return {"@value": literal.text, "@type": literal.datatype}


def form(graph: Graph, anonymous: Iterable[Node] = ()) -> tuple[tuple[str, str, str], ...]:
    """A value that is equal for two graphs when they say the same, whatever their blank nodes are called.

    The names of the nodes in `anonymous` do not count either. Exact for graphs whose unnamed nodes form trees, as reports do.

    Raises: BadMessage when an unnamed node lies inside itself.
    """
    unnamed = set(anonymous)
    known: dict[Term, str] = {}

    def told(term: Term, way: frozenset[Term]) -> str:
        if isinstance(term, Literal) or not (isinstance(term, Blank) or term in unnamed):
            return repr(term)
        if term in way:
            raise BadMessage("an unnamed node lies inside itself", where=str(term))
        if term not in known:
            row = graph.rows.get(term, {})
            lines = sorted((name, told(value, way | {term})) for name, values in row.items() for value in values)
            # a digest, so that what is said of a deep node does not grow with its depth
            known[term] = hashlib.sha256(repr(lines).encode()).hexdigest()
        return known[term]

    below = {value for _, _, value in graph.triples}
    return tuple(
        sorted(
            (told(node, frozenset()), name, told(value, frozenset()))
            for node, row in graph.rows.items()
            if not (isinstance(node, Blank) or node in unnamed) or node not in below
            for name, values in row.items()
            for value in values
        )
    )
