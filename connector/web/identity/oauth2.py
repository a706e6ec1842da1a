"""The addresses of an OAuth2 provider, and of the keys by which a participant proves itself to one.

What lives here: the routes, their bodies and error bodies. What does not: anything they decide (`identity/oauth2/`).
Source: RFC 6749, section 5 (JSON, `Cache-Control: no-store`); RFC 8414, section 3.1 (where the metadata lies).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, Protocol

import orjson
from starlette.requests import ClientDisconnect
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from connector.errors import CallerError, MethodNotAllowed
from connector.web import edge, errors
from connector.web.identity.routes import form

BASE: Final = "/authority"
_NO_STORE: Final = ((b"cache-control", b"no-store"),)
_KEPT: Final = ((b"cache-control", b"public, max-age=60"),)


class Reply(Protocol):
    """What a provider answers."""

    @property
    def status(self) -> int: ...
    @property
    def body(self) -> Mapping[str, Any]: ...


class Provider(Protocol):
    """Gives tokens, says whether they hold, takes them back."""

    def metadata(self) -> dict[str, Any]: ...
    async def jwks(self) -> dict[str, Any]: ...
    async def token(self, form: Mapping[str, str]) -> Reply: ...
    async def introspect(self, form: Mapping[str, str]) -> Reply: ...
    async def revoke(self, form: Mapping[str, str]) -> Reply: ...


Opened = Callable[[], Awaitable[Provider]]
"""Gives the provider, opened when something first asks for it."""


class _Posted:
    """An address that takes a form; its errors are those of OAuth 2.0."""

    def __init__(self, serve: Callable[[Mapping[str, str]], Awaitable[Reply]]) -> None:
        self._serve = serve

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            found = await self._serve(await form(scope, receive))
        except ClientDisconnect:
            raise
        except Exception as fault:  # noqa: BLE001 - the door of this address: whatever it is becomes an answer
            verdict = errors.judge(fault)
            edge.note(scope, error_id=verdict.error_id, cause=verdict.text)
            code = "invalid_request" if isinstance(fault, CallerError) and verdict.status < 500 else "temporarily_unavailable"
            tree = {"error": code, "error_description": verdict.text}
            await edge.reply(send, verdict.status, orjson.dumps(tree), (*_NO_STORE, *verdict.headers))
            return
        await edge.reply(send, found.status, orjson.dumps(dict(found.body)), _NO_STORE)


class _Read:
    """An address that is read by everybody."""

    def __init__(self, serve: Callable[[Scope], Awaitable[dict[str, Any]]]) -> None:
        self._serve = serve

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] not in ("GET", "HEAD"):
            raise MethodNotAllowed(f"{scope['method']} is not for this address", allowed=("GET", "HEAD"))
        await edge.reply(send, 200, orjson.dumps(await self._serve(scope)), _KEPT)


def provider_routes(opened: Opened) -> list[BaseRoute]:
    """The provider's routes for a public listener."""

    async def metadata(scope: Scope) -> dict[str, Any]:
        return (await opened()).metadata()

    async def jwks(scope: Scope) -> dict[str, Any]:
        return await (await opened()).jwks()

    async def token(given: Mapping[str, str]) -> Reply:
        return await (await opened()).token(given)

    async def introspect(given: Mapping[str, str]) -> Reply:
        return await (await opened()).introspect(given)

    async def revoke(given: Mapping[str, str]) -> Reply:
        return await (await opened()).revoke(given)

    return [
        Route(f"/.well-known/oauth-authorization-server{BASE}", _Read(metadata)),
        Route(f"{BASE}/.well-known/oauth-authorization-server", _Read(metadata)),
        Route(f"{BASE}/oauth2/jwks", _Read(jwks)),
        Route(f"{BASE}/oauth2/token", _Posted(token)),
        Route(f"{BASE}/oauth2/introspect", _Posted(introspect)),
        Route(f"{BASE}/oauth2/revoke", _Posted(revoke)),
    ]


def client_routes(jwks: Callable[[str], Awaitable[dict[str, Any]]]) -> list[BaseRoute]:
    """Where a provider finds the keys of a participant; `jwks` raises NotFound for one without."""

    async def keys(scope: Scope) -> dict[str, Any]:
        return await jwks(scope["path_params"]["participant"])

    return [Route("/{participant}/oauth2/jwks", _Read(keys))]
