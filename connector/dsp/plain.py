"""Which bodies are plain JSON of this protocol, and how the others become it.

What lives here: `plain` and `check_plain`, which let a body pass that needs no JSON-LD processing; `canonical`, the slow way for
the others. What does not: which members a message has (`wire.py`, `catalog.py`), and the JSON-LD processor itself (`connector.jsonld`).

DSP 2025-1 makes its JSON schemas normative and lets messages be treated as plain JSON. A body whose `@context` has the
protocol's URL and whose members are the canonical ones is plain, whatever other context URLs stand beside it: those are never
looked at, and cannot change the protocol's terms, which are protected. A body that spells the protocol's own terms otherwise,
with prefixes or full IRIs, is foreign.
Source: Dataspace Protocol 2025-1, "Schemas & Contexts"; `context-schema.json`.
"""

from __future__ import annotations

import re
from typing import Any, Final

from connector import jsonld, strict
from connector.dsp.shape import LOGICAL, ODRL, kind_of
from connector.errors import BadMessage

DSP_CONTEXT: Final = jsonld.DSP_CONTEXT


class ForeignContext(Exception):
    """Not an error but a turn of the way: the body is not plain JSON of this protocol, and may be JSON-LD for it.

    Try `decode_foreign` (or `canonical`), in a thread.
    """


def plain(body: bytes, warnings: list[str], limits: strict.Limits = strict.DEFAULT) -> dict[str, Any]:
    """The tree of a body that can be read as plain JSON of this protocol.

    Raises: BadMessage, TooLarge, ForeignContext.
    """
    tree = strict.scan(body, limits)
    check_plain(tree, body, warnings)
    return tree  # type: ignore[no-any-return]


def check_plain(tree: Any, body: bytes, warnings: list[str]) -> None:
    """Nothing, when `tree`, scanned from `body`, is an object in the protocol's own terms.

    Raises: BadMessage, ForeignContext.
    """
    _object(tree)
    if "@context" not in tree:
        # expanded JSON-LD needs no context: every name of its own is whole
        if tree and all(name.startswith(("@", "https://", "http://")) for name in tree) and "://" in str(tree.get("@type")):
            raise ForeignContext("there is none, and all names are whole")
        raise BadMessage("member `@context` is missing", where="@context", mend=_MEND_CONTEXT)
    _check_context(tree["@context"], warnings)
    if type(tree.get("@type")) is not str and "@type" in tree:
        raise ForeignContext("`@type` is not a word")
    # a term of the protocol may hide behind a prefix; look at the members' names only where the bytes give cause
    if _may_have_foreign_names(body) and _has_foreign_name(tree):
        raise ForeignContext("members have prefixes")


def canonical(body: bytes, limits: strict.Limits = strict.DEFAULT, bounds: jsonld.Bounds = jsonld.DEFAULT) -> dict[str, Any]:
    """The tree of a foreign body in the protocol's own terms. Slow: expands and compacts; call it in a thread.

    Raises: BadMessage, also for a context that is not on the list of `connector.jsonld`; TooLarge.
    """
    tree = _object(strict.scan(body, limits))
    compacted = jsonld.compact(jsonld.expand(tree, bounds), DSP_CONTEXT)
    _rewrap(compacted)
    return compacted


def _object(tree: Any) -> dict[str, Any]:
    if type(tree) is not dict:
        raise BadMessage(f"expected an object, found {kind_of(tree)}", mend="send one message as a JSON object")
    return tree


_MEND_CONTEXT: Final = f'send ["{DSP_CONTEXT}"]'
_NAMESPACES: Final = {
    "dspace": "https://w3id.org/dspace/2025/1/",
    "odrl": ODRL,
    "dcat": "http://www.w3.org/ns/dcat#",
    "dct": "http://purl.org/dc/terms/",
}
# what stands in the bytes of a body with such a name; the context's own URL is no name
_TRACES: Final = (b'"dspace:', b'"odrl:', b'"dcat:', b'"dct:', b"/ns/odrl/2/", b"/ns/dcat#", b"/dc/terms/")
_FOREIGN_NAME = re.compile("(?:" + "|".join([f"{name}:|{re.escape(iri)}" for name, iri in _NAMESPACES.items()]) + ")(.*)")
_TERMS: Final = frozenset({
    "filter", "callbackAddress", "providerPid", "consumerPid", "offer", "agreement", "eventType", "code", "reason", "state",
    "agreementId", "format", "dataAddress", "endpointType", "endpoint", "endpointProperties",
    "participantId", "service", "catalog", "dataset", "distribution", "hasPolicy", "accessService", "endpointURL",
    "profile", "target", "assigner", "assignee", "timestamp", "permission", "prohibition", "obligation", "action", "constraint",
    "leftOperand", "operator", "rightOperand", "and", "or", "xone", "andSequence",
})  # fmt: skip


def _check_context(context: Any, warnings: list[str]) -> None:
    # the schema: an array of texts that contains the protocol's URL
    if type(context) is str:
        if context != DSP_CONTEXT:
            raise ForeignContext(context)
        warnings.append("`@context` is text in the place of an array")
        return
    if type(context) is not list:
        if type(context) is dict:
            raise ForeignContext("the context is inline")
        raise BadMessage(f"expected an array, found {kind_of(context)}", where="@context", mend=_MEND_CONTEXT)
    if DSP_CONTEXT not in context:
        if not context:
            raise BadMessage("`@context` is empty", where="@context", mend=_MEND_CONTEXT)
        raise ForeignContext("the protocol's context is not among them")
    for index, item in enumerate(context):
        if type(item) is str:
            continue
        # prefixes of the peer's own change no term of the protocol, whose terms are protected
        if type(item) is not dict or not all(map(_is_own_prefix, item.items())):
            raise ForeignContext("the context has inline parts")
        warnings.append(f"`@context[{index}]` is an object in the place of a URL")


def _is_own_prefix(entry: tuple[str, Any]) -> bool:
    name, iri = entry
    if type(iri) is not str or name.startswith("@") or name in _TERMS:
        return False
    if name in _NAMESPACES:
        return _NAMESPACES[name] == iri
    # nor one that begins like a namespace of the protocol's: `w:odrl/2/constraint` would be a term of it
    return not any(iri.startswith(namespace) or namespace.startswith(iri) for namespace in _NAMESPACES.values())


def _may_have_foreign_names(body: bytes) -> bool:
    # escapes may spell anything
    return b"\\" in body or any(trace in body for trace in _TRACES) or body.count(b"w3id.org/dspace/2025/1/") > 1


def _has_foreign_name(node: Any) -> bool:
    level = [node]
    while level:
        for item in level:
            if type(item) is dict:
                for name in item:
                    found = _FOREIGN_NAME.match(name)
                    if found and found[1] in _TERMS:
                        return True
        level = [
            child
            for item in level
            for child in (item.values() if type(item) is dict else item)
            if type(child) is dict or type(child) is list
        ]
    type_ = node.get("@type")
    return type(type_) is str and _FOREIGN_NAME.match(type_) is not None


def _rewrap(node: Any) -> None:
    """Puts back the arrays of one that compaction takes away, because these terms are no sets in the context."""
    if isinstance(node, dict):
        for name in LOGICAL:
            if isinstance(node.get(name), dict):
                node[name] = [node[name]]
        for child in node.values():
            _rewrap(child)
    elif isinstance(node, list):
        for child in node:
            _rewrap(child)
