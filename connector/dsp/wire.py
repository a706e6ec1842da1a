"""The only place that reads and writes protocol messages: bytes in, structs out, and back. Wide in, strict out.

What lives here: `decode` (plain JSON, the hot path), `decode_foreign` (other JSON-LD, slow), `read_answer` (a peer's answer,
leniently) and `encode`. What does not: the structs (`messages.py`), which JSON is plain (`plain.py`), the shape of policies
(`shape.py`), catalogues and version documents (`catalog.py`, `version.py`), and what a message does to a process.
Source: Dataspace Protocol 2025-1, the schema and the text of each message.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, Generic, TypeVar

import msgspec

from connector import strict
from connector.dsp import messages as m
from connector.dsp.plain import DSP_CONTEXT, ForeignContext, canonical, check_plain
from connector.dsp.shape import Form, check_policy, is_simple
from connector.dsp.tables import NEGOTIATION, TRANSFER
from connector.errors import BadMessage, TooLarge

__all__ = ["DSP_CONTEXT", "NIL", "ForeignContext", "Received", "decode", "decode_foreign", "encode", "read_answer", "reasons"]

NIL: Final = "urn:uuid:00000000-0000-0000-0000-000000000000"
"""Stands for a pid that is not known where the schema of an error asks for one."""

M = TypeVar("M")
_HEAD: Final = msgspec.json.encode({"@context": [DSP_CONTEXT]})[:-1] + b","


class Received(msgspec.Struct, Generic[M], frozen=True, kw_only=True):
    """A message, and the body it came in."""

    message: M
    message_id: str | None
    """The message's own `@id`; None when the sender gave none."""
    raw: bytes
    """The body as it was sent: digests, evidence and echoes need it."""
    warnings: tuple[str, ...] = ()
    """What was unusual and accepted all the same; for the operator's eyes."""


def decode(body: bytes, *types: type[M], limits: strict.Limits = strict.DEFAULT) -> Received[M]:
    """The message of one of `types` that `body` holds, checked against everything that schema and text require.

    Raises: BadMessage with the JSON path and the mend; TooLarge; ForeignContext when only JSON-LD processing can tell.
    """
    warnings: list[str] = []
    tree = strict.scan(body, limits)
    is_canonical = _is_canonical(tree)
    if not is_canonical:
        check_plain(tree, body, warnings)
    return _understood(tree, body, types, warnings, is_canonical)


def decode_foreign(body: bytes, *types: type[M], limits: strict.Limits = strict.DEFAULT) -> Received[M]:
    """As `decode`, for a body that it called foreign. Slow: expands and compacts; call it in a thread.

    Raises: BadMessage, also for a context that is not on the list of `connector.jsonld`; TooLarge.
    """
    return _understood(canonical(body, limits), body, types, ["the message is foreign JSON-LD"], False)


def encode(message: m.Message) -> bytes:
    """The message as the schema wants it: the protocol's context alone, `@type`, and no member that is None or empty.

    Offers and agreements go out as they are: whoever makes one sees to its shape, whoever echoes one changes nothing.
    """
    if isinstance(message, m.ContractNegotiationError | m.TransferError) and not (
        message.provider_pid and message.consumer_pid
    ):
        message = msgspec.structs.replace(
            message, provider_pid=message.provider_pid or NIL, consumer_pid=message.consumer_pid or NIL
        )
    return _HEAD + msgspec.json.encode(message)[1:]


def read_answer(body: bytes, kind: type[M], limits: strict.Limits = strict.DEFAULT) -> M | None:
    """What a peer answered, as `kind` (an acknowledgement or error), or None when that cannot be made of the body.

    For answers that matter less than their status: members may have prefixes or be missing where `kind` allows it, the
    context is not looked at, `reason` may have any shape. The body may be empty or no JSON at all.
    """
    try:
        tree = strict.scan(body, limits)
    except (BadMessage, TooLarge):
        return None
    if not isinstance(tree, dict):
        return None
    if tree.keys() <= _PLAINLY_ANSWERED:
        # the usual one, as it is; whatever is odd about others is looked at below
        with suppress(msgspec.ValidationError):
            return msgspec.convert(tree, kind)
    # a plain member comes before one of that name with a prefix
    flat = {_last_word(name): value for name, value in tree.items()} | tree
    flat |= {name: value["@id"] for name, value in flat.items() if isinstance(value, dict) and "@id" in value}
    for name in ("@type", "state"):
        if isinstance(flat.get(name), str):
            flat[name] = _last_word(flat[name])
    if "reason" not in flat and "description" in flat:
        flat["reason"] = flat["description"]
    _ease(flat, [])
    try:
        return msgspec.convert({name: value for name, value in flat.items() if value is not None}, kind)
    except msgspec.ValidationError:
        return None


_PLAINLY_ANSWERED: Final = frozenset({"@context", "@type", "@id", "providerPid", "consumerPid", "state"})


def reasons(message: m.ErrorMessage) -> tuple[str, ...]:
    """The reasons of an error as texts, whatever shape the peer gave them; each cut to 500 characters."""
    return tuple(text[:500] for item in message.reason if (text := _words(item)))


# --- from tree to message


def _is_canonical(tree: Any) -> bool:
    """Whether `tree` is the usual message at a glance: nothing in it but canonical members, and at most a simple policy."""
    if type(tree) is not dict or not tree.keys() <= _NAMES:
        return False
    context = tree.get("@context")
    if context != _ALONE and not (
        type(context) is list and DSP_CONTEXT in context and all(type(url) is str for url in context)
    ):
        return False
    type_ = tree.get("@type")
    if type(type_) is not str or ":" in type_:
        return False
    if "offer" in tree:
        return is_simple(tree["offer"], Form.OFFERED)
    return "agreement" not in tree or is_simple(tree["agreement"], Form.AGREED)


_ALONE: Final = [DSP_CONTEXT]
# `dataAddress` is not among them, because terms may hide behind prefixes inside
_NAMES: Final = frozenset({
    "@context", "@type", "@id", m.PURPOSE_IRI, "offer", "agreement", "providerPid", "consumerPid", "callbackAddress", "eventType",
    "state", "agreementId", "format",
})  # fmt: skip


def _understood(tree: m.Tree, body: bytes, types: tuple[type[M], ...], warnings: list[str], is_canonical: bool) -> Received[M]:
    name = tree.get("@type")
    for kind in types:
        if kind.__name__ == name:
            break
    else:
        what = f"`@type` is {strict.shown(name)}" if "@type" in tree else "member `@type` is missing"
        raise BadMessage(what, where="@type", mend=f"send {' or '.join(kind.__name__ for kind in types)} here")
    if name in _EASED:
        tree = dict(tree)
        _ease(tree, warnings)
    try:
        message = msgspec.convert(tree, kind)
    except msgspec.ValidationError as error:
        raise _mended(error) from None
    check = _CHECKS.get(kind)
    if check is not None:
        check(message)
    if not is_canonical:
        if "offer" in tree and kind in _WITH_OFFER:
            check_policy(tree["offer"], "offer", Form.OFFERED, warnings)
        elif "agreement" in tree and kind is m.ContractAgreementMessage:
            check_policy(tree["agreement"], "agreement", Form.AGREED, warnings)
    return Received(message=message, message_id=tree.get("@id"), raw=body, warnings=tuple(warnings))


_EASED: Final = frozenset(
    kind.__name__
    for kind in (
        m.CatalogRequestMessage,
        m.CatalogError,
        m.ContractNegotiationTerminationMessage,
        m.ContractNegotiationError,
        m.TransferSuspensionMessage,
        m.TransferTerminationMessage,
        m.TransferError,
    )
)


def _ease(tree: m.Tree, warnings: list[str]) -> None:
    """Makes lists of `reason` and `filter`, and text of `code`: nobody's end is refused for how it is explained."""
    for name in ("reason", "filter"):
        if name in tree and type(tree[name]) is not list:
            tree[name] = [] if tree[name] is None else [tree[name]]
            warnings.append(f"`{name}` is not an array")
    if {} in tree.get("filter", ()):
        # an empty object asks for nothing in particular
        tree["filter"] = [one for one in tree["filter"] if one != {}]
        warnings.append("`filter` has an empty object")
    code = tree.get("code")
    if code is not None and type(code) is not str:
        tree["code"] = str(code) if type(code) in (int, float) else strict.shown(code)
        warnings.append("`code` is not text")


def _check_request(message: m.ContractRequestMessage) -> None:
    _check_either("callbackAddress", message.callback_address, "providerPid", message.provider_pid)


def _check_offer(message: m.ContractOfferMessage) -> None:
    _check_either("callbackAddress", message.callback_address, "consumerPid", message.consumer_pid)


def _check_transfer_request(message: m.TransferRequestMessage) -> None:
    _check_address(message.callback_address)


def _check_negotiation_state(message: m.ContractNegotiation) -> None:
    if message.state not in NEGOTIATION:
        raise BadMessage(f"a negotiation is never {message.state}", where="state", mend="send a state of a negotiation")


def _check_transfer_state(message: m.TransferProcess) -> None:
    if message.state not in TRANSFER:
        raise BadMessage(f"a transfer is never {message.state}", where="state", mend="send a state of a transfer")


def _check_either(address: str, sent_address: str | None, pid: str, sent_pid: str | None) -> None:
    """Source: Dataspace Protocol 2025-1, `contract-request-message-schema.json` and `contract-offer-message-schema.json`, oneOf."""
    if (sent_address is None) == (sent_pid is None):
        both = "neither" if sent_pid is None else "both"
        raise BadMessage(
            f"{both} of `{address}` and `{pid}` {'are' if both == 'both' else 'is'} there",
            where=pid if both == "both" else address,
            mend=f"send `{address}` in the first message of a negotiation and `{pid}` in later ones",
        )
    if sent_address is not None:
        _check_address(sent_address)


def _check_address(address: str) -> None:
    if not address.startswith(("https://", "http://")):
        raise BadMessage(
            f"{strict.shown(address)} is no address we can call", where="callbackAddress", mend="send an absolute https URL"
        )
    # a base: what we append would become part of the query, and the sender would choose the path of what we post
    if "?" in address or "#" in address:
        raise BadMessage(
            f"{strict.shown(address)} is no base address", where="callbackAddress", mend="send it without query and fragment"
        )


_WITH_OFFER: Final = (m.ContractRequestMessage, m.ContractOfferMessage)
_CHECKS: Final[dict[Any, Callable[[Any], None]]] = {
    m.ContractRequestMessage: _check_request,
    m.ContractOfferMessage: _check_offer,
    m.TransferRequestMessage: _check_transfer_request,
    m.ContractNegotiation: _check_negotiation_state,
    m.TransferProcess: _check_transfer_state,
}


# --- what the decoder says, in our words

_KINDS: Final = {
    "str": "text", "str | null": "text", "object": "an object", "object | null": "an object", "array": "an array", "int": "a number",
    "float": "a number", "bool": "a boolean", "null": "null",
}  # fmt: skip
_EXPECTED = re.compile(r"Expected `([^`]+)`(?:, got `([^`]+)`)?(?: of length (<=|>=) (\d+))?")
_MISSING = re.compile(r"Object missing required field `(.+)`")
_UNKNOWN = re.compile(r"Invalid (?:enum )?value '(.*)'", re.DOTALL)


def _mended(error: msgspec.ValidationError) -> BadMessage:
    what, _, place = str(error).partition(" - at `$")
    where = place.rstrip("`").removeprefix(".")
    if found := _MISSING.fullmatch(what):
        where = f"{where}.{found[1]}" if where else found[1]
        return BadMessage(f"member `{found[1]}` is missing", where=where, mend="the protocol requires it")
    if found := _EXPECTED.match(what):
        wanted, got, direction, length = found.groups()
        if direction:
            mend = "leave it out, or give it a value" if direction == ">=" else f"use at most {length} characters"
            return BadMessage("the text is empty" if direction == ">=" else "the text is too long", where=where, mend=mend)
        wanted = _KINDS.get(wanted, wanted)
        return BadMessage(f"expected {wanted}, found {_KINDS.get(got, got)}", where=where, mend=f"send {wanted}")
    if found := _UNKNOWN.fullmatch(what):
        known = _WORDS.get(where.rpartition(".")[2], "what the protocol's schema allows")
        return BadMessage(f"{strict.shown(found[1])} is not allowed here", where=where, mend=f"send {known}")
    return BadMessage(what.lower(), where=where, mend="see the protocol's schema")


_WORDS: Final = {
    "eventType": "ACCEPTED or FINALIZED",
    "state": "one of the protocol's states, without a prefix",
    "@type": "the type that the protocol names, without a prefix",
}


def _last_word(name: str) -> str:
    return name if name.startswith("@") else re.split(r"[/#:]", name)[-1]


def _words(item: Any) -> str:
    """The text in a reason: itself, the value of a typed or language-tagged one, or its JSON."""
    if isinstance(item, str):
        return item
    if isinstance(item, list):
        return "; ".join(filter(None, map(_words, item)))
    if isinstance(item, dict):
        for name in ("@value", "message", "reason", "description", "detail"):
            if isinstance(item.get(name), str):
                return str(item[name])
    return "" if item is None else msgspec.json.encode(item).decode()
