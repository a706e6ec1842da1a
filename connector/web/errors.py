"""From an exception to a response: for peers in the protocol's own error bodies, for everybody else as problem details.

A peer is told what is wrong with its message, never what is wrong with us: faults of ours are an error id, and the log tells
the rest under that id. Statuses are the exceptions' own; the few changes made for peers stand in `_for_peer`.
Source: Dataspace Protocol 2025-1, error messages and HTTPS bindings; RFC 9457, Problem Details for HTTP APIs.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from http import HTTPStatus
from typing import Final

import orjson
from starlette.types import Send

from connector import observe
from connector.dsp import messages as m
from connector.dsp import wire
from connector.errors import (
    AddressRefused,
    BadMessage,
    CallerError,
    ConfigurationError,
    Forbidden,
    KontorError,
    MethodNotAllowed,
    NotFound,
    Overloaded,
    PeerError,
    SourceError,
    StoreUnavailable,
    TooMany,
    Unauthenticated,
)

PROBLEM: Final = b"application/problem+json"
_AFTER_FAULT_S: Final = b"5"
_AFTER_BOUND_S: Final = b"2"
"""What is asked at once is asked of a node that answers it within a second or two."""
_OURS: Final = "the node could not do this"
# words of these are for whoever runs the node; a peer gets the id alone
_FOR_OPERATORS: Final = (PeerError, ConfigurationError, SourceError, StoreUnavailable)


class Family(Enum):
    """Which error body an address answers with."""

    CATALOG = m.CatalogError
    NEGOTIATION = m.ContractNegotiationError
    TRANSFER = m.TransferError


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What is said about a fault."""

    status: int
    code: str
    what: str
    where: str = ""
    mend: str = ""
    error_id: str
    headers: tuple[tuple[bytes, bytes], ...] = ()

    @property
    def text(self) -> str:
        """In one line."""
        return str(KontorError(self.what, where=self.where, mend=self.mend))


def judge(fault: Exception, *, is_operator: bool = False) -> Verdict:
    """What to say about `fault`; a fault that is not the caller's goes to the log with everything known about it."""
    error_id = observe.new_id()
    shown = fault if isinstance(fault, KontorError) else None
    if not is_operator:
        shown = _for_peer(fault)
    if isinstance(shown, CallerError):
        return _verdict(shown, error_id)
    if isinstance(fault, KontorError) and isinstance(fault, _FOR_OPERATORS):
        observe.warning("http.fault", error_id=error_id, code=fault.code, cause=str(fault))
        if is_operator:
            return _verdict(fault, error_id)
        return _verdict(KontorError(_OURS, mend=f"ask the operator of this node about error {error_id}"), error_id, fault)
    observe.error("http.fault", fault=fault, error_id=error_id)
    return _verdict(KontorError(_OURS, mend=f"ask the operator of this node about error {error_id}"), error_id)


def _for_peer(fault: Exception) -> KontorError | None:
    match fault:
        case Forbidden():
            # "not authorised: 404" hides that there is something (DSP 2025-1, HTTPS bindings)
            return NotFound("there is no such thing for you here")
        case AddressRefused():
            # a callback or data address in the peer's own message: no use in trying it again
            return BadMessage(fault.what, where=fault.where, mend="name an address that this node may reach")
        case KontorError():
            return fault
    return None


def _verdict(fault: KontorError, error_id: str, real: KontorError | None = None) -> Verdict:
    status = (real or fault).status
    headers: list[tuple[bytes, bytes]] = []
    if isinstance(fault, Unauthenticated):
        headers.append((b"www-authenticate", b"Bearer"))
    if isinstance(fault, MethodNotAllowed):
        headers.append((b"allow", ", ".join(fault.allowed).encode()))
    if isinstance(fault, Overloaded):
        headers.append((b"retry-after", _AFTER_BOUND_S))
    elif status == StoreUnavailable.status:
        headers.append((b"retry-after", _AFTER_FAULT_S))
    if isinstance(fault, TooMany):
        headers.append((b"retry-after", b"%d" % fault.retry_after_s))
    return Verdict(
        status=status,
        code=(real or fault).code,
        what=_writable(fault.what),
        where=_writable(fault.where),
        mend=_writable(fault.mend),
        error_id=error_id,
        headers=tuple(headers),
    )


def _writable(text: str) -> str:
    """Words of ours about bytes of a stranger's that are no text, such as those of a header, as an answer and the log can have them."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def protocol_body(verdict: Verdict, family: Family, *, provider_pid: str | None, consumer_pid: str | None) -> bytes:
    """The error message of the protocol that says `verdict`, with the process ids as far as they are known."""
    reason = (verdict.text,)
    if family is Family.CATALOG:
        return wire.encode(m.CatalogError(code=verdict.code, reason=reason))
    if family is Family.NEGOTIATION:
        return wire.encode(
            m.ContractNegotiationError(provider_pid=provider_pid, consumer_pid=consumer_pid, code=verdict.code, reason=reason)
        )
    return wire.encode(m.TransferError(provider_pid=provider_pid, consumer_pid=consumer_pid, code=verdict.code, reason=reason))


def problem_body(verdict: Verdict) -> bytes:
    """`verdict` as problem details."""
    tree: dict[str, object] = {
        "type": f"urn:kontor:error:{verdict.code}",
        "title": HTTPStatus(verdict.status).phrase,
        "status": verdict.status,
        "detail": verdict.what,
        "where": verdict.where or None,
        "mend": verdict.mend or None,
        "error_id": verdict.error_id,
    }
    return orjson.dumps(tree)


async def send_problem(send: Send, verdict: Verdict) -> None:
    """Answer with problem details."""
    body = problem_body(verdict)
    head = [(b"content-type", PROBLEM), (b"content-length", b"%d" % len(body)), *verdict.headers]
    await send({"type": "http.response.start", "status": verdict.status, "headers": head})
    await send({"type": "http.response.body", "body": body})
