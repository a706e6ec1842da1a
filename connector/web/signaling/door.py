"""One request to the signaling listener: its body within bounds, its answer, and a fault as problem details.

What lives here: `Door`, which routes are made of. What does not: who may call (`signaling/callers.py`), and what a call does.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Final

from starlette.requests import ClientDisconnect
from starlette.routing import BaseRoute, Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from connector.errors import MethodNotAllowed, NotFound
from connector.web import edge, errors

_MOST_BYTES: Final = 1 << 20
_BOUND: Final = "kontor.most_bytes"


@dataclass(frozen=True, slots=True, kw_only=True)
class Called:
    """A request, as a handler sees it."""

    at: Mapping[str, Any]
    """The parameters of the path, decoded."""
    authorization: str | None
    query: bytes
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What goes back."""

    body: bytes = b""
    status: int = 200
    headers: tuple[tuple[bytes, bytes], ...] = ()


Handler = Callable[[Called], Awaitable[Reply]]


class Door:
    """An address, and what it does by method."""

    def __init__(self, **handlers: Handler) -> None:
        self._handlers = handlers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            handler = self._handlers.get(scope["method"])
            if handler is None:
                raise MethodNotAllowed(f"{scope['method']} is not for this address", allowed=tuple(self._handlers))
            called = Called(
                at=scope["path_params"],
                authorization=edge.header(scope, b"authorization"),
                query=scope["query_string"],
                body=await edge.read_body(scope, receive, scope.get(_BOUND, _MOST_BYTES)),
            )
            answer = await handler(called)
        except ClientDisconnect:
            raise
        except Exception as fault:  # noqa: BLE001 - the door of signaling: every fault has an answer
            verdict = errors.judge(fault)
            edge.note(scope, error_id=verdict.error_id, cause=verdict.text)
            await errors.send_problem(send, verdict)
            return
        await edge.reply(send, answer.status, answer.body, answer.headers)


def at(path: str, **handlers: Handler) -> Route:
    """The route of an address."""
    return Route(path, Door(**handlers))


def signaling_app(
    routes: list[BaseRoute],
    *,
    max_body_bytes: int = _MOST_BYTES,
    counted: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> ASGIApp:
    """The application of the signaling listener; each request is `counted` while it is answered, which may refuse it."""
    router = Router(routes=routes, redirect_slashes=False, default=_nowhere)

    async def bounded(scope: Scope, receive: Receive, send: Send) -> None:
        scope[_BOUND] = max_body_bytes
        with counted():
            await router(scope, receive, send)

    return edge.Observed(bounded, "signaling")


async def _nowhere(scope: Scope, receive: Receive, send: Send) -> None:
    raise NotFound("there is no such address", where=scope["path"])
