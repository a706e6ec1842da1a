"""The issuer's messages: requests read, and what is sent to holders written.

What lives here: CredentialRequestMessage (read), CredentialMessage, CredentialOfferMessage and CredentialStatus (written). Pure.
What does not: what the holder's side reads and writes, and who may ask (`issuer.py`).
Source: DCP 1.0, sections 6.4 (request), 6.5 (delivery), 6.6 (offer), 6.8 (status).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from connector import strict
from connector.errors import BadMessage
from connector.identity.authority.kinds import CredentialType, offered
from connector.identity.did import DCP_CONTEXT

LIMITS: Final = strict.Limits(max_bytes=64 << 10, max_depth=8)
_MOST_CREDENTIALS: Final = 32
_MOST_CHARACTERS: Final = 512


class RequestStatus(StrEnum):
    """How far a request is."""

    RECEIVED = "RECEIVED"
    ISSUED = "ISSUED"
    REJECTED = "REJECTED"


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialRequest:
    """What a holder asks for."""

    holder_pid: str
    """The holder's own id of the request, which may come again and again."""
    ids: tuple[str, ...]


def read_request(data: bytes) -> CredentialRequest:
    """The request in a CredentialRequestMessage.

    Raises: BadMessage or TooLarge.
    """
    tree = strict.scan(data, LIMITS)
    if not isinstance(tree, dict):
        raise BadMessage("the body is no JSON object", mend="send a CredentialRequestMessage")
    contexts = tree.get("@context")
    if DCP_CONTEXT not in (contexts if isinstance(contexts, list) else [contexts]):
        raise BadMessage("the context is not that of DCP 1.0", where="@context", mend=f"use `{DCP_CONTEXT}`")
    type_ = tree.get("type", tree.get("@type"))
    if type_ not in ("CredentialRequestMessage", ["CredentialRequestMessage"]):
        raise BadMessage(f"the type is {strict.shown(type_)}", where="type", mend="send a CredentialRequestMessage")
    holder_pid = tree.get("holderPid")
    if not isinstance(holder_pid, str) or not 0 < len(holder_pid) <= _MOST_CHARACTERS:
        raise BadMessage("there is no `holderPid`", where="holderPid", mend="send your own id of the request")
    credentials = tree.get("credentials")
    if not isinstance(credentials, list) or not 0 < len(credentials) <= _MOST_CREDENTIALS:
        raise BadMessage(
            "no credentials are asked for", where="credentials", mend=f"name 1 to {_MOST_CREDENTIALS}, as objects with an `id`"
        )
    ids = tuple(one.get("id") if isinstance(one, dict) else None for one in credentials)
    for number, id_ in enumerate(ids):
        if not isinstance(id_, str) or not id_:
            raise BadMessage("a credential has no `id`", where=strict.path(("credentials", number, "id")), mend="name one")
    return CredentialRequest(holder_pid=holder_pid, ids=tuple(str(one) for one in ids))


def issued(issuer_pid: str, holder_pid: str, credentials: Iterable[tuple[CredentialType, str]]) -> dict[str, Any]:
    """The CredentialMessage with all credentials of one request."""
    containers = [
        {"credentialType": kind.type, "payload": payload, "format": kind.written_format} for kind, payload in credentials
    ]
    return {**_delivery(issuer_pid, holder_pid, RequestStatus.ISSUED), "credentials": containers}


def rejected(issuer_pid: str, holder_pid: str, reason: str) -> dict[str, Any]:
    """The CredentialMessage that refuses a request as a whole."""
    return {**_delivery(issuer_pid, holder_pid, RequestStatus.REJECTED), "rejectionReason": reason}


def offer(issuer: str, kinds: Iterable[CredentialType], reason: str) -> dict[str, Any]:
    """The CredentialOfferMessage for `kinds`; `reason` is `reissue` or `proof-key-revocation`."""
    return {
        "@context": [DCP_CONTEXT],
        "type": "CredentialOfferMessage",
        "issuer": issuer,
        "credentials": [offered(kind, reason) for kind in kinds],
    }


def status(issuer_pid: str, holder_pid: str, found: RequestStatus) -> dict[str, Any]:
    """The CredentialStatus of a request."""
    return {
        "@context": [DCP_CONTEXT],
        "type": "CredentialStatus",
        "issuerPid": issuer_pid,
        "holderPid": holder_pid,
        "status": found.value,
    }


def _delivery(issuer_pid: str, holder_pid: str, found: RequestStatus) -> dict[str, Any]:
    return {
        "@context": [DCP_CONTEXT],
        "type": "CredentialMessage",
        "issuerPid": issuer_pid,
        "holderPid": holder_pid,
        "status": found.value,
    }
