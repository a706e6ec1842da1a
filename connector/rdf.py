"""The only door to RDF (rdflib): Turtle and JSON-LD in, plain triples out, and back.

What lives here: terms and triples that know no library, `parse`, `tree` (a node and what hangs below it, as JSON-LD), `turtle`,
`form` (two graphs say the same when their forms are equal), and `violations` (SHACL). What does not: what any term means; JSON-LD
processing itself, which is `jsonld`'s; anything on a request path, for rdflib costs milliseconds where plain JSON costs
microseconds.

Lexical forms are kept as they were written: `1.50` stays `1.50`. Nothing is fetched, and relative names are refused, because
without a base they name nothing. rdflib is imported by the first call.
Source: RDF 1.1 Concepts, sections 3.1 to 3.4; RDF 1.1 Turtle; JSON-LD 1.1 Processing Algorithms and API, section 8.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any, Final

from connector import jsonld
from connector.errors import BadMessage, ConfigurationError

RDF: Final = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
XSD: Final = "http://www.w3.org/2001/XMLSchema#"
TYPE: Final = f"{RDF}type"
MAX_NODES: Final = 200_000
"""So many nodes may a tree have: what is named in several places is written in each of them."""
_SHACL: Final = "http://www.w3.org/ns/shacl#"
_MAX_DEPTH: Final = 64
_BASE: Final = "relative:/"
# what a relative name is resolved against, so that it can be recognised and refused
_WORD: Final = re.compile(r"[^\s,;\[\]()]+|[\[(]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How large a document may be, by the work that reading it takes."""

    max_characters: int = 16 * 1024 * 1024
    max_words: int = 4_000_000
    """Of Turtle: what blanks, commas and brackets divide, comments too; rdflib takes a tenth of a millisecond for each at worst."""
    max_values: int = 200_000
    """Of JSON-LD: members and array items, a twentieth of that each."""


DEFAULT: Final = Bounds()


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


# --- reading


def parse(text: str, where: str, bounds: Bounds = DEFAULT) -> Graph:
    """The triples of a document: JSON-LD when it begins like JSON, else Turtle.

    Raises: BadMessage naming `where`, and for Turtle the line; also for contexts that are not on the list.
    """
    if len(text) > bounds.max_characters:
        raise BadMessage(f"the file is larger than {bounds.max_characters} characters", where=where, mend="split it")
    first = text.lstrip()[:1]
    if first not in ("{", "["):
        return _turtle(text, where, bounds)
    try:
        document = json.loads(text, object_pairs_hook=_each_once)
    except (ValueError, RecursionError) as fault:
        if first == "[":
            # Turtle may begin with a bracket too
            return _turtle(text, where, bounds)
        raise BadMessage(f"this is no JSON: {fault}", where=where, mend="mend it, or write Turtle") from fault
    return from_json_ld(document, where, bounds=bounds)


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"the member `{name[:80]}` stands twice in one object")
        found[name] = value
    return found


def _turtle(text: str, where: str, bounds: Bounds) -> Graph:
    for count, _ in enumerate(_WORD.finditer(text)):
        if count >= bounds.max_words:
            raise BadMessage(f"more than {bounds.max_words} words of Turtle", where=where, mend="split the file")
    import rdflib

    # a date is evidence: `10:20:30.9Z` must not become `10:20:30.900000+00:00`
    rdflib.NORMALIZE_LITERALS = False
    # whether a lexical form fits its type is judged by whoever reads the graph
    logging.getLogger("rdflib.term").setLevel(logging.ERROR)
    graph = rdflib.Graph()
    try:
        graph.parse(data=text, format="turtle", publicID=_BASE)
    except (SyntaxError, ValueError, RecursionError, AttributeError, TypeError, IndexError, AssertionError) as fault:
        raise BadMessage(f"this is no Turtle: {_told(fault)}", where=where, mend="see the Turtle grammar, RDF 1.1") from fault
    # rdflib keeps triples in a hash; sorted, a document reads the same each time
    return Graph(tuple(sorted((_triple(triple, where) for triple in graph), key=repr)))


def _told(fault: Exception) -> str:
    line = getattr(fault, "lines", None)
    why = getattr(fault, "_why", None) or str(fault) or type(fault).__name__
    return (f"line {line + 1}: " if isinstance(line, int) else "") + " ".join(str(why).split())[:200]


def _triple(triple: tuple[Any, Any, Any], where: str) -> Triple:
    subject, predicate, value = (_term(part, where) for part in triple)
    if isinstance(subject, Literal) or not isinstance(predicate, Iri):
        raise BadMessage("a triple about a literal", where=where, mend="name the subject")
    return subject, predicate.text, value


def _term(part: Any, where: str) -> Term:
    import rdflib

    if isinstance(part, rdflib.BNode):
        return Blank(str(part))
    if isinstance(part, rdflib.URIRef):
        return _named(str(part), where)
    return Literal(str(part), f"{RDF}langString" if part.language else str(part.datatype or f"{XSD}string"), part.language)


def _named(text: str, where: str) -> Node:
    if text.startswith("_:"):
        return Blank(text[2:])
    if text.startswith(_BASE) or ":" not in text:
        short = text.removeprefix(_BASE)[:80]
        raise BadMessage(f"`{short}` is a relative name", where=where, mend="write the whole IRI")
    return Iri(text)


def from_json_ld(
    document: Any, where: str, dropped: Callable[[str | None], object] | None = None, *, bounds: Bounds = DEFAULT
) -> Graph:
    """The triples of a JSON-LD document that names only contexts on the list; `dropped` is told each key that none defines.

    Raises: BadMessage naming the context, the bound that is passed, or what is no JSON-LD.
    """
    walk = _Walk(where)
    for node in jsonld.expand(document, jsonld.Bounds(max_values=bounds.max_values), dropped):
        walk.node(node, 0)
    return Graph(tuple(walk.triples))


class _Walk:
    """Expanded JSON-LD to triples; named graphs are read as part of the one graph."""

    def __init__(self, where: str) -> None:
        self.where = where
        self.triples: list[Triple] = []
        self.blanks = 0

    def blank(self) -> Blank:
        self.blanks += 1
        return Blank(f"n{self.blanks}")

    def node(self, tree: Mapping[str, Any], depth: int) -> Node:
        if depth > _MAX_DEPTH:
            raise BadMessage(f"nested deeper than {_MAX_DEPTH}", where=self.where, mend="flatten it")
        subject = _named(tree["@id"], self.where) if "@id" in tree else self.blank()
        self.triples += [(subject, TYPE, _named(kind, self.where)) for kind in tree.get("@type", ())]
        for inner in tree.get("@graph", ()):
            self.node(inner, depth + 1)
        for name, items in tree.get("@reverse", {}).items():
            self.triples += [(self.node(item, depth + 1), name, subject) for item in items]
        for name, items in tree.items():
            if not name.startswith("@"):
                self.triples += [(subject, name, self.value(item, depth)) for item in items]
        return subject

    def value(self, item: Mapping[str, Any], depth: int) -> Term:
        if "@list" in item:
            return self.chain([self.value(inner, depth + 1) for inner in item["@list"]])
        if "@value" not in item:
            return self.node(item, depth + 1)
        plain, language = item["@value"], item.get("@language")
        if language:
            return Literal(str(plain), f"{RDF}langString", str(language))
        native = {bool: "boolean", int: "integer", float: "double"}.get(type(plain), "string")
        text = json.dumps(plain) if isinstance(plain, bool | int | float) else str(plain)
        return Literal(text, str(item.get("@type") or f"{XSD}{native}"))

    def chain(self, items: list[Term]) -> Node:
        rest: Node = Iri(f"{RDF}nil")
        for item in reversed(items):
            cell = self.blank()
            self.triples += [(cell, f"{RDF}first", item), (cell, f"{RDF}rest", rest)]
            rest = cell
        return rest


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
        if count > MAX_NODES or len(way) > _MAX_DEPTH:
            raise BadMessage(f"more than {MAX_NODES} nodes or {_MAX_DEPTH} levels", where=str(term), mend="split the graph")
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


# --- writing and comparing


def turtle(triples: Iterable[Triple], prefixes: Mapping[str, str]) -> str:
    """The triples as Turtle."""
    graph = _rdflib_graph(triples)
    for prefix, iri in prefixes.items():
        graph.bind(prefix, iri)
    return str(graph.serialize(format="turtle"))


def violations(graph: Graph, shapes: Graph) -> frozenset[tuple[str, Term]]:
    """Each shape that a graph breaks, by its IRI, with the node that breaks it; nothing is inferred and nothing is fetched.

    Raises: ConfigurationError when pyshacl is not installed.
    Source: SHACL, section 3.6.
    """
    try:
        import pyshacl
    except ImportError as fault:
        mend = "install the extra `shacl`: `pip install 'kontor-connector[shacl]'`"
        raise ConfigurationError("SHACL shapes need pyshacl", where="shapes", mend=mend) from fault

    _, found, _ = pyshacl.validate(
        _rdflib_graph(graph.triples), shacl_graph=_rdflib_graph(shapes.triples), inference="none", do_owl_imports=False
    )
    report = Graph(tuple(_triple(triple, "report") for triple in found))
    results = report.typed(f"{_SHACL}ValidationResult")
    pairs = {(report.one(node, f"{_SHACL}sourceShape"), report.one(node, f"{_SHACL}focusNode")) for node in results}
    return frozenset((str(shape.text), focus) for shape, focus in pairs if isinstance(shape, Iri) and focus is not None)


def _rdflib_graph(triples: Iterable[Triple]) -> Any:
    import rdflib

    rdflib.NORMALIZE_LITERALS = False
    # whether a lexical form fits its type is judged by whoever reads the graph
    logging.getLogger("rdflib.term").setLevel(logging.ERROR)
    graph = rdflib.Graph(bind_namespaces="none")

    def made(term: Term) -> Any:
        if isinstance(term, Iri):
            return rdflib.URIRef(term.text)
        if isinstance(term, Blank):
            return rdflib.BNode(term.label)
        if term.language:
            return rdflib.Literal(term.text, lang=term.language)
        return rdflib.Literal(term.text, datatype=None if term.datatype == f"{XSD}string" else rdflib.URIRef(term.datatype))

    for subject, predicate, value in triples:
        graph.add((made(subject), rdflib.URIRef(predicate), made(value)))
    return graph


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
