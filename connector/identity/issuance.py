"""The messages of the issuance protocol as a holder reads and writes them, leniently where the field differs.

What lives here: CredentialMessage, CredentialOfferMessage, IssuerMetadata and CredentialStatus, read; CredentialRequestMessage,
written. Pure. What does not: whether a delivery was asked for and holds (`deliveries.py`), and the issuer's side (`authority/`).
Source: DCP 1.0, sections 6.4 (request), 6.5 (delivery), 6.6 (offer), 6.7 (metadata), 6.8 (status).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from connector import strict
from connector.errors import BadMessage, PeerMessage, TooLarge
from connector.identity.did import DCP_CONTEXT

LIMITS: Final = strict.Limits(max_bytes=1 << 20, max_depth=32)
_MOST_CREDENTIALS: Final = 32
_MOST_CHARACTERS: Final = 2048

# how issuers write that a payload is a signed token of either model; what it is, the token itself says
_TOKEN_FORMATS: Final = frozenset(
    {"jwt", "vc11-sl2021/jwt", "vc20-bssl/jwt", "vc10-sl2021/jwt", "jwt_vc", "jwt_vc_json", "vc+jwt", "vc1_0_jwt", "vc1_1_jwt",
     "vc2_0_jose", "vc2_0_jwt"}
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """One credential of a delivery, unread."""

    type: str
    raw: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A CredentialMessage."""

    holder_pid: str
    """The name of our request."""
    issuer_pid: str
    is_rejected: bool
    credentials: tuple[Delivered, ...]
    reason: str
    """Of a rejection."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offered:
    """A CredentialObject: something that an issuer issues, or offers."""

    id: str
    type: str
    """Empty where only the id was sent."""
    profiles: tuple[str, ...]
    reason: str = ""
    """Why it is offered: `reissue`, `proof-key-revocation`, or whatever the issuer says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A CredentialOfferMessage."""

    issuer: str
    credentials: tuple[Offered, ...]


def read_delivery(data: bytes) -> Delivery:
    """The delivery in a CredentialMessage.

    Raises: BadMessage or TooLarge.
    """
    tree = _message(data, "CredentialMessage")
    state = tree.get("status")
    if state not in ("ISSUED", "REJECTED"):
        raise BadMessage(f"the status is {strict.shown(state)}", where="status", mend="send `ISSUED` or `REJECTED`")
    found = tuple(_delivered(place, one) for place, one in enumerate(_list(tree, "credentials")))
    if state == "ISSUED" and not found:
        raise BadMessage("there is no credential", where="credentials", mend="send at least one, or `REJECTED`")
    return Delivery(
        holder_pid=_text(tree, "holderPid"),
        issuer_pid=_text(tree, "issuerPid"),
        is_rejected=state == "REJECTED",
        credentials=() if state == "REJECTED" else found,
        reason=str(tree.get("rejectionReason") or "")[:_MOST_CHARACTERS],
    )


def _delivered(place: int, entry: object) -> Delivered:
    where = f"credentials[{place}]"
    if not isinstance(entry, dict):
        raise BadMessage("the credential is no object", where=where)
    format_ = entry.get("format")
    if not isinstance(format_, str) or format_.lower() not in _TOKEN_FORMATS:
        raise BadMessage(
            f"the format {strict.shown(format_)} is not kept here", where=f"{where}.format", mend="send `vc11-sl2021/jwt`"
        )
    raw = entry.get("payload")
    if not isinstance(raw, str) or not raw:
        raise BadMessage("the payload is no token", where=f"{where}.payload")
    return Delivered(type=_text(entry, "credentialType", where), raw=raw)


def read_offer(data: bytes) -> Offer:
    """The offer in a CredentialOfferMessage.

    Raises: BadMessage or TooLarge.
    """
    tree = _message(data, "CredentialOfferMessage")
    issuer = tree.get("issuer")
    if isinstance(issuer, dict):
        issuer = issuer.get("id")
    if not isinstance(issuer, str) or not issuer:
        raise BadMessage("the offer names no issuer", where="issuer", mend="send its DID")
    found = tuple(_offered(f"credentials[{place}]", one) for place, one in enumerate(_list(tree, "credentials")))
    if not found:
        raise BadMessage("the offer names no credential", where="credentials", mend="name at least one")
    return Offer(issuer=issuer, credentials=found)


def read_metadata(data: bytes, issuer: str) -> tuple[Offered, ...]:
    """What the issuer `issuer` issues, by its IssuerMetadata.

    Raises: PeerMessage when it is none, or another's.
    """
    try:
        tree = _message(data, "IssuerMetadata")
        if tree.get("issuer") != issuer:
            raise BadMessage(f"it is that of {strict.shown(tree.get('issuer'))}", where="issuer")
        listed = _list(tree, "credentialsSupported")
        return tuple(_offered(f"credentialsSupported[{place}]", one) for place, one in enumerate(listed))
    except (BadMessage, TooLarge) as fault:
        raise PeerMessage(f"the issuer's metadata cannot be read: {fault}", where=issuer) from fault


def read_status(data: bytes) -> str:
    """How a request of ours stands at the issuer: `RECEIVED`, `ISSUED` or `REJECTED`.

    Raises: PeerMessage.
    """
    try:
        found = _message(data, "CredentialStatus").get("status")
    except (BadMessage, TooLarge) as fault:
        raise PeerMessage(f"the status of the request cannot be read: {fault}") from fault
    if found not in ("RECEIVED", "ISSUED", "REJECTED"):
        raise PeerMessage(f"the status of the request is {strict.shown(found)}")
    return str(found)


def request(holder_pid: str, ids: Iterable[str]) -> dict[str, Any]:
    """A CredentialRequestMessage for what the issuer's metadata calls `ids`."""
    wanted = [{"id": id_} for id_ in ids]
    return {"@context": [DCP_CONTEXT], "type": "CredentialRequestMessage", "holderPid": holder_pid, "credentials": wanted}


def _offered(where: str, entry: object) -> Offered:
    if isinstance(entry, str):
        return Offered(id=entry, type="", profiles=())
    if not isinstance(entry, dict):
        raise BadMessage("the credential is no object", where=where)
    # `profile` in the specification, `profiles` at some
    several = entry.get("profiles")
    profiles = [entry.get("profile"), *(several if isinstance(several, list) else [several])]
    type_, reason = entry.get("credentialType"), entry.get("offerReason")
    return Offered(
        id=_text(entry, "id", where),
        type=type_ if isinstance(type_, str) else "",
        profiles=tuple(dict.fromkeys(one for one in profiles if isinstance(one, str))),
        reason=reason if isinstance(reason, str) else "",
    )


def _message(data: bytes, type_: str) -> dict[str, Any]:
    tree = strict.scan(data, LIMITS)
    if not isinstance(tree, dict):
        raise BadMessage("the body is no JSON object", mend=f"send a {type_}")
    found = tree.get("type", tree.get("@type"))
    if found not in (type_, [type_], f"dcp:{type_}"):
        raise BadMessage(f"the type is {strict.shown(found)}", where="type", mend=f"send a {type_}")
    contexts = tree.get("@context")
    contexts = contexts if isinstance(contexts, list) else [contexts]
    if contexts != [DCP_CONTEXT]:
        raise BadMessage(
            f"the context {strict.shown(contexts)} is not known", where="@context", mend=f"use `{DCP_CONTEXT}` alone"
        )
    return tree


def _list(tree: Mapping[str, Any], name: str) -> list[Any]:
    found = tree.get(name, [])
    if not isinstance(found, list) or len(found) > _MOST_CREDENTIALS:
        raise BadMessage(f"`{name}` is no list of at most {_MOST_CREDENTIALS}", where=name)
    return found


def _text(tree: Mapping[str, Any], name: str, where: str = "") -> str:
    found = tree.get(name)
    if not isinstance(found, str) or not 0 < len(found) <= _MOST_CHARACTERS:
        raise BadMessage(f"`{name}` is {strict.shown(found)}, which is no text", where=f"{where}.{name}" if where else name)
    return found
