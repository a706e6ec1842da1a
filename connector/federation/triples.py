"""A product as triples, for questions in SPARQL: the members of its description as they stand, without JSON-LD processing.

What lives here: the names of the protocol's context and of the prefixes that catalogues use, and values as terms. What does not: the
store of triples and its process (`sparql.py`). Expanding 38,000 descriptions with a JSON-LD library takes minutes; catalogues of this
protocol have one known context, so that a table does. A member whose name is no IRI by that table is left out.
Source: Dataspace Protocol 2025-1, context; DCAT 3; ODRL 2.2; RDF 1.1 N-Triples.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from connector.describe.members import PREFIXES
from connector.federation.reading import Tree, several, tree_of
from connector.ports.catalog import Product

_ODRL: Final = "http://www.w3.org/ns/odrl/2/"
_DCAT: Final = PREFIXES["dcat"]
_TYPE: Final = "http://www.w3.org/1999/02/22-rdf-syntax-ns#type"
_PREFIXES: Final = {**PREFIXES, "odrl": _ODRL, "dspace": "https://w3id.org/dspace/2025/1/"}
_NAMES: Final = {
    **{name: _ODRL + name for name in (
        "hasPolicy", "permission", "prohibition", "obligation", "duty", "constraint", "action", "leftOperand", "operator",
        "rightOperand", "assigner", "assignee", "and", "or", "xone", "andSequence", "profile",
    )},
    **{name: _DCAT + name for name in ("distribution", "accessService", "endpointURL", "dataset", "service")},
    "format": PREFIXES["dct"] + "format",
}  # fmt: skip
_CLASSES: Final = {
    "Dataset": _DCAT + "Dataset", "Distribution": _DCAT + "Distribution", "DataService": _DCAT + "DataService", "Offer": _ODRL + "Offer",
}  # fmt: skip
_WORDS: Final = frozenset({"action", "leftOperand", "operator"})
"""Whose values are names too."""
_IRI: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^\x00-\x20<>\"{}|\\^`]+\Z")
_LANGUAGE: Final = re.compile(r"[A-Za-z]{1,8}(-[A-Za-z0-9]{1,8})*\Z")
_ESCAPES: Final = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r"})
_MOST: Final = 2_000
"""Triples of one product."""


def graph_of(number: int) -> str:
    """The name of the graph that holds a product."""
    return f"urn:kontor:product:{number}"


def triples_of(product: Product) -> str:
    """The product in N-Triples: its description, who offers it, and where."""
    writer = _Writer(product.number)
    tree = tree_of(product)
    root = writer.node({**tree, "@type": tree.get("@type", "Dataset")})
    writer.add(root, "https://w3id.org/kontor/ns/origin", _named(product.entry.origin))
    writer.add(root, "https://w3id.org/kontor/ns/endpoint", _named(product.entry.endpoint))
    return "\n".join(writer.lines[:_MOST]) + "\n"


class _Writer:
    def __init__(self, number: int) -> None:
        self._number = number
        self._blank = 0
        self.lines: list[str] = []

    def add(self, subject: str, predicate: str, value: str | None) -> None:
        if value is not None:
            self.lines.append(f"{subject} <{predicate}> {value} .")

    def node(self, tree: Tree, depth: int = 0) -> str:
        """The name of a node, its members added."""
        subject = _iri(tree.get("@id")) or self._new()
        for kind in several(tree.get("@type")):
            if isinstance(kind, str):
                self.add(subject, _TYPE, _iri(_CLASSES.get(kind) or _name(kind)))
        for name, value in tree.items():
            predicate = None if name.startswith("@") else _name(name)
            if predicate is not None and depth < 12:
                for one in several(value):
                    for term in self.terms(one, name, depth):
                        self.add(subject, predicate, term)
        return subject

    def terms(self, value: Any, name: str, depth: int) -> Iterator[str]:
        if isinstance(value, Mapping):
            if "@value" in value:
                yield from _literal(value)
            elif "@list" in value:
                for one in several(value["@list"]):
                    yield from self.terms(one, name, depth)
            else:
                yield self.node(value, depth + 1)
        elif isinstance(value, str) and name in _WORDS:
            yield f"<{value if ':' in value and _IRI.match(value) else _ODRL + re.sub('[^A-Za-z0-9_-]', '', value)}>"
        elif isinstance(value, str):
            yield f'"{value.translate(_ESCAPES)}"'
        elif isinstance(value, bool):
            yield f'"{str(value).lower()}"^^<{PREFIXES["xsd"]}boolean>'
        elif isinstance(value, int | float):
            yield f'"{value}"^^<{PREFIXES["xsd"]}{"integer" if isinstance(value, int) else "double"}>'

    def _new(self) -> str:
        self._blank += 1
        return f"_:p{self._number}n{self._blank}"


def _literal(value: Tree) -> Iterator[str]:
    text, language, kind = value.get("@value"), value.get("@language"), value.get("@type")
    if not isinstance(text, str | int | float):
        return
    said = f'"{str(text).translate(_ESCAPES)}"'
    if isinstance(language, str) and _LANGUAGE.match(language):
        yield f"{said}@{language}"
    elif isinstance(kind, str) and (iri := _iri(_name(kind))) is not None:
        yield f"{said}^^{iri}"
    else:
        yield said


def _name(name: str) -> str | None:
    """The IRI that a name stands for; None for one that stands for none."""
    if name in _NAMES:
        return _NAMES[name]
    prefix, colon, rest = name.partition(":")
    if colon and not rest.startswith("//") and prefix in _PREFIXES:
        return _whole(_PREFIXES[prefix] + rest)
    return _whole(name)


def _whole(text: str) -> str | None:
    return text if _IRI.match(text) else None


def _iri(text: Any) -> str | None:
    return f"<{text}>" if isinstance(text, str) and _IRI.match(text) else None


def _named(text: str) -> str:
    return _iri(text) or f'"{text.translate(_ESCAPES)}"'
