"""Triples to Turtle, each value as it stands in its graph, and to SHACL's judgement.

rdflib lays the triples out. It does not write the literals: it would make `1.5e+00` of `1.5`, and `1`, an integer, of the truth
value `1`. rdflib and pyshacl are imported by the first call.
Source: RDF 1.1 Turtle, sections 2.5 and 6.4.
"""

from __future__ import annotations

import functools
import io
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from connector.errors import ConfigurationError
from connector.rdf.graphs import XSD, Blank, Graph, Iri, Term, Triple
from connector.rdf.reading import library, triple_of

_SHACL: Final = "http://www.w3.org/ns/shacl#"
# 2.5.2, 2.5.3: what may stand without quotes; of integers only their canonical form, for other readers make `10` of `010`
_BARE: Final = {
    f"{XSD}integer": re.compile(r"-?(?:0|[1-9][0-9]*)"),
    f"{XSD}decimal": re.compile(r"-?(?:0|[1-9][0-9]*)\.[0-9]+"),
    f"{XSD}double": re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?[eE][-+]?[0-9]+"),
    f"{XSD}boolean": re.compile("true|false"),
}
_ESCAPED: Final = re.compile(r'[\x00-\x1f"\\\x7f]')
_ESCAPES: Final = {'"': r"\"", "\\": r"\\", "\n": r"\n", "\r": r"\r", "\t": r"\t"}


def turtle(triples: Iterable[Triple], prefixes: Mapping[str, str]) -> str:
    """The triples as Turtle; `parse` reads the same triples from it."""
    graph = _rdflib_graph(triples)
    for prefix, iri in prefixes.items():
        graph.bind(prefix, iri)
    found = io.BytesIO()
    _layout()(graph).serialize(found)
    return found.getvalue().decode()


@functools.cache
def _layout() -> Any:
    """rdflib's writer of Turtle with literals of our own."""
    import rdflib
    from rdflib.plugins.serializers.turtle import OBJECT, TurtleSerializer

    class Exact(TurtleSerializer):
        def sortProperties(self, properties: Any) -> Any:
            for values in properties.values():
                # by their texts: rdflib compares what they stand for, which not all of them can
                values.sort(key=lambda node: (isinstance(node, rdflib.Literal), str(node), repr(node)))
            return super().sortProperties({name: [] for name in properties})

        def label(self, node: Any, position: int) -> str:
            if not isinstance(node, rdflib.Literal):
                return str(super().label(node, position))
            text, kind = str(node), str(node.datatype or "")
            if kind in _BARE and _BARE[kind].fullmatch(text):
                return text
            quoted = '"' + _ESCAPED.sub(lambda found: _ESCAPES.get(found[0], f"\\u{ord(found[0]):04X}"), text) + '"'
            if node.language:
                return f"{quoted}@{node.language}"
            return f"{quoted}^^{super().label(rdflib.URIRef(kind), OBJECT)}" if kind else quoted

    return Exact


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
    report = Graph(tuple(triple_of(triple, "report") for triple in found))
    results = report.typed(f"{_SHACL}ValidationResult")
    pairs = {(report.one(node, f"{_SHACL}sourceShape"), report.one(node, f"{_SHACL}focusNode")) for node in results}
    return frozenset((str(shape.text), focus) for shape, focus in pairs if isinstance(shape, Iri) and focus is not None)


def _rdflib_graph(triples: Iterable[Triple]) -> Any:
    rdflib = library()
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
