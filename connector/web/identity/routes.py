"""The addresses of participants' wallets on the public listener.

What lives here: the routes, their bodies and error bodies. What does not: anything they decide (`identity/`).
Source: did:web, section 3.2 (the document); DCP 1.0, sections 5.4 (presentations) and 6.5, 6.6 (deliveries, offers); the token
service's OpenAPI, with errors as RFC 6749, section 5.2.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol
from urllib.parse import parse_qsl

import orjson
from starlette.requests import ClientDisconnect
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from connector.errors import BadMessage, MethodNotAllowed, NotFound, TooMany, Unauthenticated, UnsupportedMediaType
from connector.web import edge, errors

_MOST_FORM_BYTES: Final = 48 << 10
_MOST_BODY_BYTES: Final = 1 << 20
_FORM: Final = "application/x-www-form-urlencoded"


class CredentialService(Protocol):
    """Shows credentials."""

    async def answer(self, participant: str, authorization: str | None, body: bytes) -> dict[str, Any]: ...


class Deliveries(Protocol):
    """Takes in what issuers send."""

    async def receive(self, participant: str, authorization: str | None, body: bytes) -> None: ...
    async def offer(self, participant: str, authorization: str | None, body: bytes) -> None: ...


class TokenService(Protocol):
    """Makes tokens for programs."""

    async def answer(
        self, participant: str, form: Mapping[str, str], authorization: str | None, address: str
    ) -> dict[str, Any]: ...


class Notices(Protocol):
    """Takes in notices of authorities."""

    async def notice(self, participant: str, body: bytes) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Wallets:
    """What the routes stand on."""

    document: Callable[[str], Awaitable[dict[str, Any] | None]]
    service: CredentialService
    deliveries: Deliveries
    tokens: TokenService
    notices: Notices


Opened = Callable[[], Awaitable[Wallets]]
"""Gives the wallets, opened when something first asks for them."""
_Serve = Callable[[Wallets, str, Scope, bytes], Awaitable[dict[str, Any] | None]]


class _Door:
    """One address: the method it takes, how much body, what it does."""

    def __init__(self, opened: Opened, method: str, serve: _Serve) -> None:
        self._opened = opened
        self._method = method
        self._serve = serve

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            allowed = ("GET", "HEAD") if self._method == "GET" else (self._method,)
            if scope["method"] not in allowed:
                raise MethodNotAllowed(f"{scope['method']} is not for this address", allowed=allowed)
            body = b"" if self._method == "GET" else await edge.read_body(scope, receive, _MOST_BODY_BYTES)
            found = await self._serve(await self._opened(), scope["path_params"].get("participant", ""), scope, body)
        except ClientDisconnect:
            raise
        except Exception as fault:  # noqa: BLE001 - the door of these addresses: whatever it is becomes an answer
            verdict = errors.judge(fault)
            edge.note(scope, error_id=verdict.error_id, cause=verdict.text)
            await errors.send_problem(send, verdict)
            return
        await edge.reply(send, 200, b"" if found is None else orjson.dumps(found))


async def _document(wallets: Wallets, participant: str, scope: Scope, body: bytes) -> dict[str, Any]:
    found = await wallets.document(participant)
    if found is None:
        raise NotFound("there is no such participant")
    return found


async def _query(wallets: Wallets, participant: str, scope: Scope, body: bytes) -> dict[str, Any]:
    return await wallets.service.answer(participant, edge.header(scope, b"authorization"), body)


async def _delivery(wallets: Wallets, participant: str, scope: Scope, body: bytes) -> None:
    await wallets.deliveries.receive(participant, edge.header(scope, b"authorization"), body)


async def _offer(wallets: Wallets, participant: str, scope: Scope, body: bytes) -> None:
    await wallets.deliveries.offer(participant, edge.header(scope, b"authorization"), body)


async def _notice(wallets: Wallets, participant: str, scope: Scope, body: bytes) -> None:
    await wallets.notices.notice(participant, body)


class _TokenDoor:
    """The token service, whose errors are those of OAuth 2.0."""

    def __init__(self, opened: Opened) -> None:
        self._opened = opened

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        no_store = ((b"cache-control", b"no-store"),)
        try:
            given = await form(scope, receive)
            wallets = await self._opened()
            address = str(client[0]) if (client := scope.get("client")) else ""
            authorization = edge.header(scope, b"authorization")
            found = await wallets.tokens.answer(scope["path_params"]["participant"], given, authorization, address)
        except ClientDisconnect:
            raise
        except Exception as fault:  # noqa: BLE001 - the door of this address: whatever it is becomes an answer
            verdict = errors.judge(fault)
            edge.note(scope, error_id=verdict.error_id, cause=verdict.text)
            tree = {"error": _code(fault), "error_description": verdict.text}
            await edge.reply(send, verdict.status, orjson.dumps(tree), (*no_store, *verdict.headers))
            return
        await edge.reply(send, 200, orjson.dumps(found), no_store)


def _code(fault: Exception) -> str:
    match fault:
        case Unauthenticated():
            return "invalid_client"
        case TooMany():
            return "slow_down"
        case BadMessage(where="grant_type"):
            return "unsupported_grant_type"
        case BadMessage(where="scope" | "bearer_access_scope"):
            return "invalid_scope"
    return "invalid_request"


async def form(scope: Scope, receive: Receive) -> dict[str, str]:
    """The fields of a form, each there once. Raises: MethodNotAllowed, UnsupportedMediaType, BadMessage, TooLarge."""
    if scope["method"] != "POST":
        raise MethodNotAllowed(f"{scope['method']} is not for this address", allowed=("POST",))
    sent = (edge.header(scope, b"content-type") or "").partition(";")[0].strip().lower()
    if sent != _FORM:
        raise UnsupportedMediaType(f"the content type is `{sent[:100]}`", mend=f"send `{_FORM}`")
    body = await edge.read_body(scope, receive, _MOST_FORM_BYTES)
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, strict_parsing=True, max_num_fields=32, errors="strict")
    except ValueError as fault:
        raise BadMessage("the body is no form", mend=f"send `{_FORM}`") from fault
    found = dict(pairs)
    if len(found) < len(pairs):
        # RFC 6749, section 3.2: parameters must not be included more than once
        raise BadMessage("a parameter is there twice")
    return found


def routes(opened: Opened, root: str | None) -> list[BaseRoute]:
    """The routes; `root` is the participant whose DID is that of the node's public address itself, None where there is none."""
    found: list[BaseRoute] = [
        Route("/{participant}/did.json", _Door(opened, "GET", _document)),
        Route("/{participant}/dcp/presentations/query", _Door(opened, "POST", _query)),
        Route("/{participant}/dcp/credentials", _Door(opened, "POST", _delivery)),
        Route("/{participant}/dcp/offers", _Door(opened, "POST", _offer)),
        Route("/{participant}/trust/notices", _Door(opened, "POST", _notice)),
        Route("/{participant}/sts/token", _TokenDoor(opened)),
    ]
    if root is not None:

        async def at_root(wallets: Wallets, participant: str, scope: Scope, body: bytes) -> dict[str, Any]:
            return await _document(wallets, root, scope, body)

        # no participant can have this name: local names begin with a letter or a digit
        found.insert(0, Route("/.well-known/did.json", _Door(opened, "GET", at_root)))
    return found
