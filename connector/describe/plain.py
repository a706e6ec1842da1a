"""A description in plain JSON as the rules see it: for a catalogue that takes in thousands of them and cannot process JSON-LD each time.

What lives here: `Description`, which answers what `check` asks, out of the tree as it was sent. Names are known by the prefixes that
catalogues use, or as full IRIs; policies are none of a description's business and are not looked at. What does not: JSON-LD with
contexts of its own, which is brought into the known form before (`dsp.plain.canonical`).
Source: Dataspace Protocol 2025-1, context; JSON-LD 1.1, sections 4.2 and 4.3.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache, lru_cache
from typing import Any, Final

from connector.describe.check import rules
from connector.describe.members import PREFIXES
from connector.errors import BadMessage
from connector.rdf import RDF, XSD, Blank, Iri, Literal, Node, Term

_DCAT: Final = PREFIXES["dcat"]
_DATASET: Final = f"{_DCAT}Dataset"
_BARE: Final = {
    "Dataset": _DATASET, "Distribution": f"{_DCAT}Distribution", "DataService": f"{_DCAT}DataService",
    "distribution": f"{_DCAT}distribution", "accessService": f"{_DCAT}accessService", "endpointURL": f"{_DCAT}endpointURL",
    "format": f"{PREFIXES['dct']}format",
}  # fmt: skip
"""Names that the protocol's context knows without a prefix."""
_NAMESPACES: Final = tuple(PREFIXES.values())
_NOT_DESCRIBED: Final = frozenset({"@id", "@type", "@context", "hasPolicy", "odrl:hasPolicy", "proof"})
_NATIVE: Final = {bool: f"{XSD}boolean", int: f"{XSD}integer", float: f"{XSD}double"}
_MOST_NODES: Final = 5_000
"""A table has up to 2,000 columns, each a node."""
_MAX_DEPTH: Final = 16


class Description:
    """The nodes of a tree with their members; values become terms when a rule asks for them."""

    def __init__(self, tree: dict[str, Any], kind: str) -> None:
        """`kind` is what the tree itself is taken for where it does not say.

        Raises: BadMessage for one of more nodes, or nested more deeply, than can be checked.
        """
        self._rows: dict[Node, dict[str, list[Any]]] = {}
        self._kinds: dict[str, list[Node]] = {}
        self._names: dict[int, Node] = {}
        self._asked: Term | None = None
        self._row: dict[str, list[Any]] = {}
        self._walk(tree, _several(tree.get("@type")) or [kind], 0)

    def _walk(self, tree: dict[str, Any], kinds: list[Any], depth: int) -> None:
        if depth > _MAX_DEPTH or len(self._rows) > _MOST_NODES:
            what = f"it has more than {_MOST_NODES} nodes or {_MAX_DEPTH} levels"
            raise BadMessage(what, where="dataset", mend="say it shorter and flatter")
        node = self._node(tree)
        row = self._rows.setdefault(node, {})
        for one in kinds:
            if type(one) is str:
                self._kinds.setdefault(whole(one), []).append(node)
        for name, value in tree.items():
            if name in _NOT_DESCRIBED:
                continue
            items = value if type(value) is list else [value]
            predicate = whole(name)
            row[predicate] = [*row[predicate], *items] if predicate in row else items
            for one in items:
                if type(one) is not dict or "@value" in one:
                    continue
                if "@list" in one:
                    for inner in _several(one["@list"]):
                        if type(inner) is dict and "@value" not in inner:
                            self._walk(inner, _several(inner.get("@type")), depth + 1)
                elif len(one) > 1 or "@id" not in one:
                    self._walk(one, _several(one.get("@type")), depth + 1)

    def _node(self, tree: dict[str, Any]) -> Node:
        found = self._names.get(id(tree))
        if found is None:
            name = tree.get("@id")
            found = Iri(name) if isinstance(name, str) and name else Blank(f"n{len(self._names)}")
            self._names[id(tree)] = found
        return found

    # --- what rules ask

    def values(self, node: Term, predicate: str) -> tuple[Term, ...]:
        """What a node has under a property, without repeats."""
        if node is not self._asked:
            # rules ask one node about many properties
            self._asked, self._row = node, {} if isinstance(node, Literal) else self._rows.get(node, {})
        items = self._row.get(predicate)
        if items is None:
            return ()
        if len(items) == 1:
            return () if items[0] is None else (self._term(items[0]),)
        return tuple(dict.fromkeys(self._term(one) for one in items if one is not None))

    def typed(self, *kinds: str) -> tuple[Node, ...]:
        """The nodes that have one of these types."""
        return tuple(dict.fromkeys(node for kind in kinds for node in self._kinds.get(kind, ())))

    def pairs(self, predicate: str) -> Iterator[tuple[Node, Term]]:
        """Each node that has a property, with its value."""
        for node, row in self._rows.items():
            if predicate in row:
                for value in self.values(node, predicate):
                    yield node, value

    def _term(self, value: Any) -> Term:
        if type(value) is str:
            return Literal(value)
        if type(value) is dict:
            if "@value" not in value:
                return self._node(value)
            said, language, kind = value["@value"], value.get("@language"), value.get("@type")
            text = said if isinstance(said, str) else json.dumps(said)
            if isinstance(language, str) and language:
                return Literal(text, f"{RDF}langString", language)
            return Literal(text, whole(kind) if isinstance(kind, str) else _NATIVE.get(type(said), f"{XSD}string"))
        return Literal(json.dumps(value), _NATIVE.get(type(value), f"{RDF}JSON"))


@lru_cache(maxsize=4096)
def whole(name: str) -> str:
    """The IRI that a name stands for; one of another vocabulary counts as the term of ours that has its last part."""
    if name in _BARE:
        return _BARE[name]
    prefix, colon, rest = name.partition(":")
    if colon and not rest.startswith("//") and prefix in PREFIXES:
        return PREFIXES[prefix] + rest
    # the names of vocabularies that we know mean what they say
    return name if name.startswith(_NAMESPACES) else _bylast_part().get(last_part(name), name)


@cache
def _bylast_part() -> dict[str, str]:
    """The terms that rules look at by their last part, without those that share one; what is said of a dataset comes first."""
    found: dict[str, str] = {}
    for of_dataset in (True, False):
        terms = {
            step
            for rule in rules("base")
            if rule.is_class and (rule.target == _DATASET) is of_dataset
            for way in rule.path
            for step in way
        }
        parts = Counter(map(last_part, terms))
        found = {last: term for term in terms if parts[last := last_part(term)] == 1 and last != "name"} | found
    return found


def last_part(name: str) -> str:
    """The last part of an IRI or of a name with a prefix."""
    return re.split("[/#:]", name.rstrip("/#"))[-1]


def _several(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
