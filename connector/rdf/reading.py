"""Turtle and JSON-LD to triples, each value as it was written: `1.50` stays `1.50`, and `010` stays `010`.

Nothing is fetched, and relative names are refused, because without a base they name nothing. JSON-LD processing itself is
`jsonld`'s. rdflib is imported by the first call.
Source: RDF 1.1 Turtle; JSON-LD 1.1 Processing Algorithms and API, section 8.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from connector import jsonld
from connector.errors import BadMessage
from connector.rdf.graphs import MAX_DEPTH, RDF, TYPE, XSD, Blank, Graph, Iri, Literal, Node, Term, Triple
from connector.strict import each_once

_BASE: Final = "relative:/"
# what a relative name is resolved against, so that it can be recognised and refused
_WORD: Final = re.compile(r"[^\s,;\[\]()]+|[\[(]")
# Turtle, section 6.5: what a number is not found in (strings, IRIs, comments, language tags, other words), or a number
_NUMBER: Final = re.compile(
    r"""
    "{3}(?:(?:"|"")?(?:[^"\\]|\\.))*"{3} | '{3}(?:(?:'|'')?(?:[^'\\]|\\.))*'{3}
    | "(?:[^"\\\n\r]|\\.)*" | '(?:[^'\\\n\r]|\\.)*' | <[^<>]*> | \#[^\n\r]*
    | (?P<double>[-+]?(?:[0-9]+\.[0-9]*|\.?[0-9]+)[eE][-+]?[0-9]+)
    | (?P<decimal>[-+]?[0-9]*\.[0-9]+)
    | (?P<integer>[-+]?[0-9]+)
    | (?:[^\s"'<>\#;,()\[\]\\]|\\.)+
    """,
    flags=re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How large a document may be, by the work that reading it takes."""

    max_characters: int = 16 * 1024 * 1024
    max_words: int = 4_000_000
    """Of Turtle: what blanks, commas and brackets divide, comments too; rdflib takes a tenth of a millisecond for each at worst."""
    max_values: int = 200_000
    """Of JSON-LD: members and array items, a twentieth of that each."""


DEFAULT: Final = Bounds()


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
        document = json.loads(text, object_pairs_hook=each_once)
    except (ValueError, RecursionError) as fault:
        if first == "[":
            # Turtle may begin with a bracket too
            return _turtle(text, where, bounds)
        raise BadMessage(f"this is no JSON: {fault}", where=where, mend="mend it, or write Turtle") from fault
    return from_json_ld(document, where, bounds=bounds)


def library() -> Any:
    """rdflib, told to leave values as they are: whether a lexical form fits its type is judged by whoever reads the graph."""
    import logging
    import warnings

    import rdflib

    # a date is evidence: `10:20:30.9Z` must not become `10:20:30.900000+00:00`
    rdflib.NORMALIZE_LITERALS = False
    logging.getLogger("rdflib.term").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", message="Parsing weird boolean")
    return rdflib


def _turtle(text: str, where: str, bounds: Bounds) -> Graph:
    for count, _ in enumerate(_WORD.finditer(text)):
        if count >= bounds.max_words:
            raise BadMessage(f"more than {bounds.max_words} words of Turtle", where=where, mend="split the file")
    rdflib = library()
    # it keeps what stands in quotes, and makes `10` of a bare `010`, `1E-8` of a bare `0.00000001`
    text = _NUMBER.sub(lambda found: f'"{found[0]}"^^<{XSD}{found.lastgroup}>' if found.lastgroup else found[0], text)
    graph = rdflib.Graph()
    try:
        graph.parse(data=text, format="turtle", publicID=_BASE)
    except (SyntaxError, ValueError, RecursionError, AttributeError, TypeError, IndexError, AssertionError) as fault:
        raise BadMessage(f"this is no Turtle: {_told(fault)}", where=where, mend="see the Turtle grammar, RDF 1.1") from fault
    # rdflib keeps triples in a hash; sorted, a document reads the same each time
    return Graph(tuple(sorted((triple_of(triple, where) for triple in graph), key=repr)))


def _told(fault: Exception) -> str:
    line = getattr(fault, "lines", None)
    why = getattr(fault, "_why", None) or str(fault) or type(fault).__name__
    return (f"line {line + 1}: " if isinstance(line, int) else "") + " ".join(str(why).split())[:200]


def triple_of(triple: tuple[Any, Any, Any], where: str) -> Triple:
    """A triple of rdflib as one of ours.

    Raises: BadMessage, naming `where`, for a relative name and for a statement about a literal.
    """
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
        if depth > MAX_DEPTH:
            raise BadMessage(f"nested deeper than {MAX_DEPTH}", where=self.where, mend="flatten it")
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
        if isinstance(plain, float) and plain.is_integer() and abs(plain) < 1e21:
            # Algorithms and API, 8.2.2: a number without fraction is an integer
            plain = int(plain)
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
