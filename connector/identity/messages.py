"""The messages of the presentation protocol, read leniently where the field differs and written in one form.

What lives here: PresentationQueryMessage and PresentationResponseMessage, read and written. Pure.
What does not: what may be asked (`scopes.py`, `tokens.py`) and what an answer proves (`credentials.py`).
Source: DCP 1.0, section 5.4.1 (query) and 5.4.2 (response).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from connector import strict
from connector.errors import BadMessage, KontorError, TooLarge, Unproven
from connector.identity.did import DCP_CONTEXT

# wallets of the Eclipse family send the second beside the first, and know it in nobody's answer
_BESIDE: Final = "https://identity.foundation/presentation-exchange/submission/v1"
_DRAFT_CONTEXT: Final = "https://w3id.org/tractusx-trust/v0.8"
QUERY_LIMITS: Final = strict.Limits(max_bytes=64 << 10, max_depth=16)
ANSWER_LIMITS: Final = strict.Limits(max_bytes=2 << 20, max_depth=16)


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What a verifier asks a credential service for."""

    scopes: tuple[str, ...]
    """Empty when it asks by a definition."""
    has_definition: bool
    """Whether it asks by a presentation definition, which we answer with 501."""


def read_query(data: bytes) -> Query:
    """The question in a PresentationQueryMessage.

    Raises: BadMessage or TooLarge: 400 or 413, also for both a scope and a definition, or neither.
    """
    tree = strict.scan(data, QUERY_LIMITS)
    fault = _unlike(tree, "PresentationQueryMessage", {DCP_CONTEXT, _BESIDE})
    if fault is not None:
        raise fault
    asks_by_scope, asks_by_definition = "scope" in tree, "presentationDefinition" in tree
    if asks_by_scope and asks_by_definition:
        raise BadMessage("there are both `scope` and `presentationDefinition`", mend="send one of them")
    if asks_by_definition:
        if not isinstance(tree["presentationDefinition"], dict) or not tree["presentationDefinition"]:
            raise BadMessage("the definition is empty", where="presentationDefinition", mend="ask by `scope`")
        return Query(scopes=(), has_definition=True)
    scopes = tree.get("scope")
    texts = scopes.split() if isinstance(scopes, str) else scopes
    if not isinstance(texts, list) or not texts or not all(isinstance(one, str) and one for one in texts):
        raise BadMessage("there is no scope", where="scope", mend="name at least one, as a list of texts")
    return Query(scopes=tuple(texts), has_definition=False)


def read_answer(data: bytes) -> tuple[Any, ...]:
    """The presentations in a PresentationResponseMessage, unread; empty when the holder has none.

    Raises: Unproven when it is none: what a holder's service answers is part of its proof.
    """
    try:
        tree = strict.scan(data, ANSWER_LIMITS)
        fault: KontorError | None = _unlike(tree, "PresentationResponseMessage", {DCP_CONTEXT, _BESIDE, _DRAFT_CONTEXT})
    except (BadMessage, TooLarge) as unreadable:
        fault = unreadable
    if fault is not None:
        raise Unproven(f"the credential service's answer cannot be read: {fault}", check="answer")
    found = tree.get("presentation", [])
    return tuple(found) if isinstance(found, list) else (found,)


def query(scopes: Iterable[str]) -> dict[str, Any]:
    """A PresentationQueryMessage for `scopes`."""
    return {"@context": [DCP_CONTEXT], "type": "PresentationQueryMessage", "scope": list(scopes)}


def answer(presentations: Iterable[str]) -> dict[str, Any]:
    """A PresentationResponseMessage; its one context is all that some verifiers know."""
    return {"@context": [DCP_CONTEXT], "type": "PresentationResponseMessage", "presentation": list(presentations)}


def query_address(service: str) -> str:
    """Where the credential service at `service` (a document's `serviceEndpoint`, kept as it is given) is asked."""
    return f"{service.rstrip('/')}/presentations/query"


def _unlike(tree: Any, type_: str, known: set[str]) -> BadMessage | None:
    """Why `tree` is no message of this type in a context that we know; None when it is."""
    if not isinstance(tree, dict):
        return BadMessage("the body is no JSON object", mend=f"send a {type_}")
    found = tree.get("type", tree.get("@type"))
    if found not in (type_, [type_], f"dcp:{type_}"):
        return BadMessage(f"the type is {strict.shown(found)}", where="type", mend=f"send a {type_}")
    contexts = tree.get("@context")
    contexts = contexts if isinstance(contexts, list) else [contexts]
    for one in contexts:
        # unknown contexts could give every name another meaning, and are never fetched
        if not isinstance(one, str) or one not in known:
            return BadMessage(f"the context {strict.shown(one)} is not known", where="@context", mend=f"use `{DCP_CONTEXT}`")
    if not {DCP_CONTEXT, _DRAFT_CONTEXT} & set(contexts):
        return BadMessage("there is no context that gives the names a meaning", where="@context", mend=f"use `{DCP_CONTEXT}`")
    return None
