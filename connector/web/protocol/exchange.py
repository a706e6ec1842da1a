"""One exchange with a peer: who calls, what the body says, the use case, the answer in bytes. All protocol addresses share it.

What lives here: `Exchange`, the values it passes on, and content types. What does not: which address takes which message
(`routes.py`), and what a message does (`controlplane/`).
Source: Dataspace Protocol 2025-1, HTTPS bindings.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final

from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from connector import observe
from connector.controlplane.limits import Limiter
from connector.controlplane.strays import AGREEMENT, Strays
from connector.dsp import wire
from connector.dsp.tables import Role
from connector.dsp.values import Value
from connector.errors import MethodNotAllowed, NotFound, Overloaded, TooMany, Unauthenticated, UnsupportedMediaType
from connector.ports.identity import Caller, MessageKind
from connector.strict import Limits
from connector.web import edge, errors
from connector.web.callers import Callers
from connector.web.errors import Family
from connector.web.refusals import Refusals

_MEDIA_TYPES: Final = frozenset({"application/json", "application/ld+json"})
_KINDS: Final = {
    Family.CATALOG: MessageKind.CATALOG,
    Family.NEGOTIATION: MessageKind.NEGOTIATION,
    Family.TRANSFER: MessageKind.TRANSFER,
}
_FOREIGN_AT_ONCE: Final = 4
"""Foreign JSON-LD is expanded in threads, so many at once: it costs a thousand times what a known context does."""


class Asked(Value, frozen=True, kw_only=True):
    """What a use case is asked, once the caller is proven and the message understood."""

    participant: str
    caller: Caller
    id: str
    """Process or dataset id of the address; empty where it names none."""
    scope: Scope


class Answer(Value, frozen=True, kw_only=True):
    """What goes back."""

    body: bytes
    status: int = 200
    headers: tuple[tuple[bytes, bytes], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """An address that takes a message."""

    message: type[Any]
    serve: Callable[[Asked, Any], Awaitable[Answer]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """What an address does, by method."""

    family: Family
    post: Post | None = None
    get: Callable[[Asked], Awaitable[Answer]] | None = None
    ours: Role | None = None
    """Our role in the process that the address names, where the address tells."""

    @property
    def allowed(self) -> tuple[str, ...]:
        return (("GET",) if self.get else ()) + (("POST",) if self.post else ())


@dataclass(slots=True)
class _Pids:
    """The process ids of an exchange, as far as they are known: error bodies carry them."""

    provider: str | None = None
    consumer: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """Serves every protocol address."""

    callers: Callers
    limits: Limits
    limiter: Limiter
    refusals: Refusals | None = None
    """Where refusals about processes are remembered; None where there are no processes."""
    strays: Strays | None = None
    """Where it is told that peers speak of what is not known here."""
    foreign: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_FOREIGN_AT_ONCE))

    async def run(self, address: Address, participant: str, id_: str, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, whatever happens."""
        pids = _Pids()
        if id_ and address.ours is Role.PROVIDER:
            pids.provider = id_
        elif id_ and address.ours is Role.CONSUMER:
            pids.consumer = id_
        kind = address.post.message.__name__ if address.post and scope["method"] == "POST" else "Read"
        edge.note(scope, participant=participant, pid=id_ or None)
        try:
            with observe.bound(participant=participant):
                answer = await self._answered(address, participant, id_, scope, receive, pids)
        except ClientDisconnect:
            raise
        except Exception as fault:  # noqa: BLE001 - the door of the protocol: every fault has a body of the right type
            if self.refusals is not None and isinstance(fault, Unauthenticated | Overloaded | TooMany):
                client = scope.get("client")
                self.refusals.note(participant, id_, fault, source=client[0] if client else "")
            verdict = errors.judge(fault)
            edge.note(scope, error_id=verdict.error_id, cause=verdict.text)
            observe.count("messages_received", kind=kind, outcome=verdict.code)
            body = errors.protocol_body(verdict, address.family, provider_pid=pids.provider, consumer_pid=pids.consumer)
            await edge.reply(send, verdict.status, body, verdict.headers)
        else:
            observe.count("messages_received", kind=kind, outcome="ok")
            await edge.reply(send, answer.status, answer.body, answer.headers)

    async def _answered(
        self, address: Address, participant: str, id_: str, scope: Scope, receive: Receive, pids: _Pids
    ) -> Answer:
        with self.limiter.request(participant):
            caller = await self.callers.caller(participant, scope, _KINDS[address.family])
            with self.limiter.request_of(participant, caller.id):
                return await self._served(address, caller, participant, id_, scope, receive, pids)

    async def _served(
        self, address: Address, caller: Caller, participant: str, id_: str, scope: Scope, receive: Receive, pids: _Pids
    ) -> Answer:
        asked = Asked(participant=participant, caller=caller, id=id_, scope=scope)
        method = scope["method"]
        if method == "GET" and address.get is not None:
            try:
                return await address.get(asked)
            except NotFound:
                self._note_stray(address.family, asked, None)
                raise
        if method != "POST" or address.post is None:
            raise MethodNotAllowed(
                f"{method} is not for this address", allowed=address.allowed, mend="see the protocol's binding"
            )
        _check_content_type(scope)
        body = await edge.read_body(scope, receive, self.limiter.max_body_bytes(participant, caller.id))
        received = await self._decoded(body, address.post.message)
        pids.provider = getattr(received.message, "provider_pid", None) or pids.provider
        pids.consumer = getattr(received.message, "consumer_pid", None) or pids.consumer
        edge.note(scope, message=address.post.message.__name__)
        try:
            return await address.post.serve(asked, received)
        except NotFound:
            self._note_stray(address.family, asked, received.message)
            raise

    def _note_stray(self, family: Family, asked: Asked, message: object) -> None:
        """Have it told that a peer, which is proven, spoke of what was not found."""
        if self.strays is None or family is Family.CATALOG:
            return
        if asked.id:
            self.strays.note(asked.participant, _KINDS[family].value, asked.id, asked.caller.id)
        elif (agreement := getattr(message, "agreement_id", None)) is not None:
            self.strays.note(asked.participant, AGREEMENT, agreement, asked.caller.id)

    async def _decoded(self, body: bytes, message: type[Any]) -> Any:
        try:
            return wire.decode(body, message, limits=self.limits)
        except wire.ForeignContext:
            async with self.foreign:
                return await asyncio.to_thread(lambda: wire.decode_foreign(body, message, limits=self.limits))


def _check_content_type(scope: Scope) -> None:
    """A body without a type is read as JSON: the only thing it can be here.

    Raises: UnsupportedMediaType.
    Source: Dataspace Protocol 2025-1, HTTPS bindings: `application/json`, `application/ld+json` in addition.
    """
    sent = edge.header(scope, b"content-type") or ""
    if sent and sent.partition(";")[0].strip().lower() not in _MEDIA_TYPES:
        raise UnsupportedMediaType(f"the content type is `{sent}`", where="Content-Type", mend="send `application/json`")
    coding = edge.header(scope, b"content-encoding")
    if coding is not None and coding.strip().lower() != "identity":
        raise UnsupportedMediaType(f"the body is coded as `{coding}`", where="Content-Encoding", mend="send it as it is")
