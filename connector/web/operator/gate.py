"""The door of the operator API: keys, bounds of bodies, strict JSON. All before a route sees a request.

What lives here: `Gate`, plain ASGI around `/api/v1`, and `Key`. What does not: which participant a route is about (`keys.py`).
Source: RFC 6750, 2.1 for `Authorization: Bearer`; `X-Api-Key` is customary.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from connector import observe
from connector.errors import CallerError, Unauthenticated, UnsupportedMediaType
from connector.settings import Operator
from connector.strict import Limits, scan
from connector.web import edge, errors

PREFIX: Final = "/api/v1"
OPENAPI: Final = f"{PREFIX}/openapi.json"
STATE: Final = "kontor.key"
"""Where in a request's state the gate leaves the key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """Whose key a request came with, and what it is good for."""

    name: str
    participants: frozenset[str]

    def opens(self, participant: str) -> bool:
        """Whether it is good for `participant`."""
        return "*" in self.participants or participant in self.participants

    @property
    def opens_all(self) -> bool:
        return "*" in self.participants


class Gate:
    """Lets in who shows a key, with a body that is not too large and strict JSON; open for the API's description."""

    def __init__(self, app: ASGIApp, settings: Operator) -> None:
        self._app = app
        self._limits = Limits(max_bytes=settings.max_body_bytes)
        self._keys = tuple(
            (bytes.fromhex(key.sha256), Key(name=key.name, participants=frozenset(key.participants)))
            for key in settings.api_keys
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(PREFIX) or scope["path"] == OPENAPI:
            await self._app(scope, receive, send)
            return
        try:
            key = self._key(scope)
            body = await self._body(scope, receive)
        except CallerError as fault:
            await _refuse(scope, send, fault)
            return
        edge.note(scope, key=key.name)
        scope.setdefault("state", {})[STATE] = key
        is_read = False

        async def replay() -> Message:
            nonlocal is_read
            if is_read:
                return await receive()
            is_read = True
            return {"type": "http.request", "body": body, "more_body": False}

        with observe.bound(operator=key.name, participant=_named(scope["path"])):
            await self._app(scope, replay, send)

    def _key(self, scope: Scope) -> Key:
        shown = edge.header(scope, b"x-api-key")
        if shown is None:
            scheme, _, rest = (edge.header(scope, b"authorization") or "").partition(" ")
            shown = rest.strip() if scheme.lower() == "bearer" else None
        digest = hashlib.sha256((shown or "").encode("utf-8", "surrogateescape")).digest()
        found: Key | None = None
        # every key is compared, in constant time
        for known, key in self._keys:
            if hmac.compare_digest(known, digest):
                found = key
        if found is None or not shown:
            raise Unauthenticated(
                "no valid API key",
                where="X-Api-Key",
                mend="send a key whose SHA-256 stands in `operator.api_keys`, as `X-Api-Key` or bearer token",
            )
        return found

    async def _body(self, scope: Scope, receive: Receive) -> bytes:
        """The body, which is strict JSON or empty."""
        if scope["method"] in ("GET", "HEAD", "DELETE"):
            return b""
        body = await edge.read_body(scope, receive, self._limits.max_bytes)
        if not body:
            return body
        sent = (edge.header(scope, b"content-type") or "").partition(";")[0].strip().lower()
        if sent != "application/json":
            raise UnsupportedMediaType(
                f"the content type is `{sent}`" if sent else "the body has no content type",
                where="Content-Type",
                mend="send `application/json`",
            )
        scan(body, self._limits)
        return body


def _named(path: str) -> str | None:
    """The participant that an address is about; None for addresses of the node."""
    found = path.removeprefix(f"{PREFIX}/participants/")
    return found.partition("/")[0] if found != path else None


async def _refuse(scope: Scope, send: Send, fault: Exception) -> None:
    verdict = errors.judge(fault, is_operator=True)
    edge.note(scope, error_id=verdict.error_id, cause=verdict.text)
    await errors.send_problem(send, verdict)
