"""The only door to RDF (rdflib): Turtle and JSON-LD in, plain triples out, and back.

graphs     terms and triples that know no library; `tree` (a node and what hangs below it, as JSON-LD); `form` (two graphs say
           the same when their forms are equal)
reading    `parse` and `from_json_ld`
writing    `turtle`, and `violations` (SHACL)

What does not live here: what any term means, and anything on a request path, for rdflib costs milliseconds where plain JSON
costs microseconds.
"""

from connector.rdf.graphs import MAX_NODES, RDF, TYPE, XSD, Blank, Graph, Iri, Literal, Node, Term, Triple, form, tree
from connector.rdf.reading import DEFAULT, Bounds, from_json_ld, parse
from connector.rdf.writing import turtle, violations

__all__ = [
    "DEFAULT",
    "MAX_NODES",
    "RDF",
    "TYPE",
    "XSD",
    "Blank",
    "Bounds",
    "Graph",
    "Iri",
    "Literal",
    "Node",
    "Term",
    "Triple",
    "form",
    "from_json_ld",
    "parse",
    "tree",
    "turtle",
    "violations",
]
