"""Every error this product raises on purpose, split by whose fault it is.

A class carries its protocol `code` and its HTTP `status`; nobody else writes a status code.
An instance says `what` happened, `where`, and how to `mend` it: lower case, one line, no full stop.
What a peer gets to see is decided in `web/`; the whole story goes to the log under an error id.
Nothing here knows about HTTP frameworks or about logging.
"""

from __future__ import annotations

from typing import ClassVar


class KontorError(Exception):
    """The root: something that has a name, a place and a mend."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal"

    def __init__(self, what: str, *, where: str = "", mend: str = "") -> None:
        self.what = what
        self.where = where
        self.mend = mend
        super().__init__(what)

    def __str__(self) -> str:
        text = f"{self.what} at `{self.where}`" if self.where else self.what
        return f"{text}; {self.mend}" if self.mend else text


# --- the caller's fault: who sent the request that we serve


class CallerError(KontorError):
    """The request cannot be served as it is; nothing was stored."""

    status = 400
    code = "bad-request"


class BadMessage(CallerError):
    """A body is not what the protocol says; `where` is the JSON path of the culprit."""

    code = "bad-message"


class TooLarge(CallerError):
    """A body is larger than the listener's limit."""

    status = 413
    code = "too-large"


class UnsupportedMediaType(CallerError):
    """The content type of a body is not one that the route reads."""

    status = 415
    code = "unsupported-media-type"


class PolicyError(CallerError):
    """A policy cannot be read or means nothing; `where` is the path inside the policy, `flaw` a stable word for tools."""

    code = "bad-policy"

    def __init__(self, what: str, *, where: str = "", mend: str = "", flaw: str = "malformed") -> None:
        super().__init__(what, where=where, mend=mend)
        self.flaw = flaw


class UnsupportedFilter(CallerError):
    """A catalogue filter in a language that we do not speak (DSP 2025-1, Catalog Protocol, 400)."""

    code = "unsupported-filter"


class IllegalTransition(CallerError):
    """The message or act is not legal in the current state; the state is unchanged."""

    code = "illegal-transition"


class Unauthenticated(CallerError):
    """No token, or one that proves nothing."""

    status = 401
    code = "unauthenticated"


class Unproven(Unauthenticated):
    """A token, key, identity document or credential does not prove what it should.

    Outside it says what every `Unauthenticated` says; `check` (the name of the failed check) and `words` are for our own log.
    """

    code = "unproven"

    def __init__(self, words: str, *, check: str = "token", where: str = "", mend: str = "") -> None:
        super().__init__("no valid token", where=where, mend=mend)
        self.check = check
        self.words = words


class Forbidden(CallerError):
    """The caller is known and may not do this (operator API and data plane; the protocol answers 404 instead)."""

    status = 403
    code = "forbidden"


class BeyondGrant(CallerError):
    """The caller is proven and asks for more than it was granted; what there is, is no secret to it."""

    status = 403
    code = "beyond-grant"


class NotFound(CallerError):
    """There is no such thing, or the caller must not learn that there is (DSP 2025-1: 404 for both)."""

    status = 404
    code = "not-found"


class MethodNotAllowed(CallerError):
    """There is such an address, and it takes other methods: those in `allowed`."""

    status = 405
    code = "method-not-allowed"

    def __init__(self, what: str, *, allowed: tuple[str, ...], where: str = "", mend: str = "") -> None:
        super().__init__(what, where=where, mend=mend)
        self.allowed = allowed


class Conflict(CallerError):
    """The act is lawful in itself but not now: something is in flight, in use, or exists already."""

    status = 409
    code = "conflict"


class Gone(CallerError):
    """It was there and is over: an access token that expired, data of an ended transfer."""

    status = 410
    code = "gone"


class RangeNotSatisfiable(CallerError):
    """A byte range outside the representation (RFC 9110, 15.5.17)."""

    status = 416
    code = "range-not-satisfiable"


class DigestMismatch(CallerError):
    """The bytes that arrived are not the bytes that were announced; they were not kept."""

    status = 422
    code = "digest-mismatch"


class TooMany(CallerError):
    """This caller asks too often, or failed too often; others are served. It is told to come again after `retry_after_s`."""

    status = 429
    code = "too-many"

    def __init__(self, what: str, *, where: str = "", mend: str = "", retry_after_s: int = 5) -> None:
        super().__init__(what, where=where, mend=mend)
        self.retry_after_s = retry_after_s


class Overloaded(CallerError):
    """A bound is reached; the caller should come again later."""

    status = 503
    code = "overloaded"


class NotSupported(CallerError):
    """The request is lawful and asks for something optional that this product does not do."""

    status = 501
    code = "not-supported"


# --- the peer's fault: who answers a request that we sent


class PeerError(KontorError):
    """The other connector could not be reached or answered what it should not; our state is unchanged."""

    status = 502
    code = "peer"


class Unreachable(PeerError):
    """No answer: refused, timed out, broken off, or not resolvable. Trying again may help."""

    code = "peer-unreachable"


class PeerAnswer(PeerError):
    """An answer that is no success: the peer's HTTP status and body, and how long it asks us to wait (`wait_s`)."""

    code = "peer-answer"

    def __init__(
        self, what: str, *, answer_status: int, where: str = "", mend: str = "", wait_s: int | None = None, body: bytes = b""
    ) -> None:
        super().__init__(what, where=where, mend=mend)
        self.answer_status = answer_status
        self.wait_s = wait_s
        self.body = body


class PeerMessage(PeerError):
    """An answer with a success status whose body is not what the protocol says."""

    code = "peer-message"


class AddressRefused(PeerError):
    """An address named by a peer that the outbound rules do not let us reach; nothing was sent."""

    code = "address-refused"


# --- the operator's fault: configuration, files, keys


class ConfigurationError(KontorError):
    """The node cannot start, or a command cannot run, as it is configured. `where` is file, line and setting."""

    code = "configuration"


class SchemaTooNew(ConfigurationError):
    """The database was written by a newer release."""

    code = "schema-too-new"


class SourceError(KontorError):
    """Data that the operator published cannot be read: the file is gone, the upstream refuses."""

    status = 502
    code = "source"


# --- ours


class InternalError(KontorError):
    """A promise of this code to itself is broken; please report it with the error id."""

    code = "internal"


class StoreUnavailable(KontorError):
    """The state store does not take writes at the moment; nothing was changed."""

    status = 503
    code = "store-unavailable"
