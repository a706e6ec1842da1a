"""JSON-LD processing with contexts given by a test, beside the product's own."""

from __future__ import annotations

from typing import Any

from pyld import jsonld as pyld
from pyld.context_resolver import ContextResolver

from connector import jsonld

Contexts = dict[str, dict[str, Any]]


def _options(contexts: Contexts) -> dict[str, Any]:
    def load(url: str, _options: Any) -> dict[str, Any]:
        document = contexts[url]
        return {"contentType": "application/ld+json", "contextUrl": None, "documentUrl": url, "document": document}

    # a resolver of its own: the library's shared one remembers contexts by their URL
    return {"base": None, "documentLoader": load, "contextResolver": ContextResolver({}, load)}


def expand(document: Any, contexts: Contexts) -> Any:
    """The expanded form by these contexts."""
    return pyld.expand(document, _options(contexts))


def round_trip(document: dict[str, Any], contexts: Contexts) -> dict[str, Any]:
    """The document expanded and compacted again with the protocol's context, with the arrays that the protocol wants."""
    compacted = pyld.compact(expand(document, contexts), {"@context": [jsonld.DSP_CONTEXT]}, _options(contexts))
    return _rewrapped({**compacted, "@context": [jsonld.DSP_CONTEXT]})


def triples(document: Any, contexts: Contexts) -> str:
    """The canonical N-Quads of a document by these contexts; relative ids are made absolute first."""
    expanded = jsonld._absolute(expand(document, contexts))
    return str(pyld.normalize(expanded, {"base": None, "algorithm": "URDNA2015", "format": "application/n-quads"}))


def _rewrapped(node: Any) -> Any:
    """With arrays around the lone members of logical constraints, which are no sets in the context."""
    if isinstance(node, list):
        return [_rewrapped(item) for item in node]
    if not isinstance(node, dict):
        return node
    return {
        name: [_rewrapped(value)]
        if name in ("and", "andSequence", "or", "xone") and isinstance(value, dict)
        else _rewrapped(value)
        for name, value in node.items()
    }
