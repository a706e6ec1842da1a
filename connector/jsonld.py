"""The only door to JSON-LD processing (pyld), with a frozen set of contexts and no way to the network.

What lives here: `expand`, `compact`, `canonical` (normalised triples), and the allow-list of contexts. What does not: the fast
reading of known contexts, which needs no JSON-LD processing at all (`dsp/wire.py`), and RDF graphs (`rdf`).

A context that is not on the list is refused by name, never fetched. Ids are never resolved against a base: without a base
pyld would take one of its own and change what a peer wrote. Processing costs a hundred times what plain JSON costs, so the
document is bounded first, and whoever calls from an event loop calls in a thread. pyld is imported by the first call.

No `@import` in a context, neither in ours nor in a peer's: pyld merges the importing context into the imported one that it
keeps for the whole process, so that one document's terms would leak into the next one's.
Source: JSON-LD 1.1 Processing Algorithms and API; RDF Dataset Canonicalization (URDNA2015).
"""

from __future__ import annotations

import functools
import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from connector import packaged
from connector.errors import BadMessage
from connector.strict import path, shown

DSP_CONTEXT: Final = "https://w3id.org/dspace/2025/1/context.jsonld"
DSP_ODRL_CONTEXT: Final = "https://w3id.org/dspace/2025/1/odrl-profile.jsonld"
ODRL_CONTEXT: Final = "http://www.w3.org/ns/odrl.jsonld"
EDC_CONTEXT: Final = "https://w3id.org/edc/dspace/v0.0.1"

CONTEXTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        DSP_CONTEXT: "contexts/dsp-2025-1.jsonld",
        DSP_ODRL_CONTEXT: "contexts/dsp-2025-1-odrl.jsonld",
        ODRL_CONTEXT: "contexts/odrl-2.2.jsonld",
        EDC_CONTEXT: "contexts/edc-dspace.jsonld",
    }
)
"""Every context that can be read, and the file of the vocabularies that stands for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How much JSON-LD processing one document may ask for."""

    max_values: int = 5_000
    """Members and array items; half a second of processing at worst."""
    max_contexts: int = 8
    """Places with an `@context` of their own."""


DEFAULT: Final = Bounds()
# pyld remembers resolved contexts in a cache of the process that is not made for threads
_LOCK: Final = threading.Lock()


def expand(document: Any, bounds: Bounds = DEFAULT, dropped: Callable[[str | None], object] | None = None) -> list[Any]:
    """The expanded form of `document`: full IRIs, no context. `dropped` is told each key that no context defines.

    Raises: BadMessage when the document is too large to be processed, names an unknown context or is not JSON-LD.
    """
    check(document, bounds)
    return _processed("expand", document, {}, dropped)  # type: ignore[no-any-return]


def compact(expanded: list[Any], *contexts: str) -> dict[str, Any]:
    """The expanded document written with the terms of `contexts`, which stand in its `@context` as an array.

    Raises: BadMessage when the contexts are unknown or the document is not JSON-LD.
    """
    tree = _processed("compact", expanded, {"@context": list(contexts)})
    # the processor writes a context of one as text, where the protocol wants an array
    return {"@context": list(contexts)} | {name: value for name, value in tree.items() if name != "@context"}


def canonical(document: Any, bounds: Bounds = DEFAULT) -> str:
    """The triples of `document` in canonical N-Quads: two documents mean the same when these are equal.

    For documents of our own: the cost of labelling blank nodes can be made to grow without bound by who writes them.
    Relative ids are no IRIs and drop out of triples, so they are taken below `urn:relative:` here.

    Raises: BadMessage, as `expand` does.
    """
    check(document, bounds)
    options: dict[str, Any] = {"algorithm": "URDNA2015", "format": "application/n-quads"}
    return str(_processed("normalize", _absolute(_processed("expand", document, {})), None, **options))


def check(document: Any, bounds: Bounds = DEFAULT) -> None:
    """Nothing, when `document` is small enough and names no context but those on the list.

    Raises: BadMessage with the path of the unknown context, or with the bound that is passed.
    """
    values = contexts = 0
    level: list[tuple[Any, tuple[str | int, ...]]] = [(document, ())]
    while level:
        below: list[tuple[Any, tuple[str | int, ...]]] = []
        for node, place in level:
            if isinstance(node, dict):
                values += len(node)
                contexts += "@context" in node
                if "@context" in node:
                    _known(node["@context"], (*place, "@context"))
                if "@import" in node:
                    where = path((*place, "@import"))
                    raise BadMessage("a context imports another one", where=where, mend="name both in the `@context` array")
                below += [(child, (*place, name)) for name, child in node.items() if isinstance(child, dict | list)]
            elif isinstance(node, list):
                values += len(node)
                below += [(child, (*place, index)) for index, child in enumerate(node) if isinstance(child, dict | list)]
        if values > bounds.max_values:
            raise BadMessage(
                f"the body has more than {bounds.max_values} values, too many for JSON-LD processing",
                mend=f"send the terms of `{DSP_CONTEXT}` without prefixes, or a smaller body",
            )
        if contexts > bounds.max_contexts:
            raise BadMessage(f"the body has {contexts} contexts", where="@context", mend="send one, at the top")
        level = below


def _known(context: Any, place: tuple[str | int, ...]) -> None:
    for index, item in enumerate(context if isinstance(context, list) else [context]):
        if isinstance(item, str) and item not in CONTEXTS:
            known = ", ".join(f"`{url}`" for url in CONTEXTS)
            where = path((*place, index) if isinstance(context, list) else place)
            raise BadMessage(f"unknown context {shown(item)}", where=where, mend=f"known here, and nothing is fetched: {known}")


def _processed(
    operation: str, document: Any, context: Any, dropped: Callable[[str | None], object] | None = None, **options: Any
) -> Any:
    from pyld import jsonld

    arguments = (document, context) if operation == "compact" else (document,)
    told = {} if dropped is None else {"on_property_dropped": dropped}
    try:
        with _LOCK:
            return getattr(jsonld, operation)(*arguments, {"base": None, "documentLoader": _load, **options}, **told)
    except (jsonld.JsonLdError, TypeError, ValueError, KeyError, AttributeError, RecursionError) as error:
        # pyld meets some malformed documents with Python's own errors
        what = _innermost(error)
        raise BadMessage(f"the body is not JSON-LD: {what}", mend=f"use the terms of `{DSP_CONTEXT}`") from error


def _innermost(error: BaseException) -> str:
    cause: Any = error
    while isinstance(getattr(cause, "cause", None), Exception):
        cause = cause.cause
    text = str(cause.args[0]) if cause.args else type(cause).__name__
    return " ".join(text.split()).rstrip(".")[:200]


def _load(url: str, _options: Any) -> dict[str, Any]:
    if url not in CONTEXTS:
        raise ValueError(f"unknown context {shown(url)}")
    return {"contentType": "application/ld+json", "contextUrl": None, "documentUrl": url, "document": _read(url)}


@functools.cache
def _read(url: str) -> Any:
    return json.loads(packaged.vocab_file(CONTEXTS[url]).read_bytes())


def _absolute(node: Any) -> Any:
    """An expanded tree whose relative ids and types are absolute."""
    if isinstance(node, list):
        return [_absolute(item) for item in node]
    if not isinstance(node, dict):
        return node
    if "@value" in node:
        return node
    return {name: _named(value) if name in ("@id", "@type") else _absolute(value) for name, value in node.items()}


def _named(value: Any) -> Any:
    if isinstance(value, list):
        return [_named(item) for item in value]
    return value if not isinstance(value, str) or ":" in value or value.startswith("@") else f"urn:relative:{value}"
