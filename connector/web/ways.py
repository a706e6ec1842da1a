"""The ways back of an answer: through ASGI, or in front of it.

What lives here: `Way`, which whoever answers goes, and its two kinds. `ThroughAsgi` is for every request; `InFront` for one that has
no body and that the listener offers before there is a scope for it (`Exchange`): a small answer goes out by one write, and all else
has ASGI put together late. Both end in the same functions, so an answer does not depend on its way.
What does not: the line, the count and the bounds of a request (`edge.py`), and which requests are offered (`app/heads.py`).

What a pull of 1 KiB costs, in CPU time (16 at once, SQLite, in one run): through ASGI 195 µs, in front of it 139, nginx's
`proxy_pass` 52, a relay of forty lines over uvloop and httptools that judges and notes nothing 28.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol, runtime_checkable

from starlette.routing import BaseRoute
from starlette.types import Receive, Scope, Send

from connector.web.edge import LINE, WHOLE, Turn, Watched, note


class Way(Protocol):
    """The way back to who has asked."""

    async def whole(self, status: int, headers: Mapping[str, str], body: bytes) -> bool:
        """Answer by one write. False when that is not to be had, and nothing was sent: it goes out through ASGI then."""
        ...

    def asgi(self) -> tuple[Scope, Receive, Send]:
        """The same request as an application gets it."""
        ...

    def note(self, **fields: object) -> None:
        """Add fields to the line that is written about it."""
        ...


class ThroughAsgi:
    """The way of an application."""

    __slots__ = ("_receive", "_scope", "_send")

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send

    async def whole(self, status: int, headers: Mapping[str, str], body: bytes) -> bool:
        """As `Way` says."""
        if WHOLE not in self._scope.get("extensions", ()):
            return False
        await self._send({"type": WHOLE, "status": status, "headers": headers, "body": body})
        return True

    def asgi(self) -> tuple[Scope, Receive, Send]:
        """As `Way` says."""
        return self._scope, self._receive, self._send

    def note(self, **fields: object) -> None:
        """As `Way` says."""
        note(self._scope, **fields)


class Exchange(Protocol):
    """What a listener offers for a request without a body, before there is a scope for it."""

    method: str
    path: str
    client: str | None
    """The address that asks."""
    headers: Mapping[str, str]
    """Names in lower case, repeated ones joined (RFC 9110, section 5.3)."""

    def whole(self, status: int, headers: Mapping[str, str], body: bytes) -> bool:
        """As `Whole.whole`."""
        ...

    def asgi(self) -> tuple[Scope, Receive, Send]:
        """The request as an application gets it; from then on `whole` does nothing."""
        ...


@runtime_checkable
class Direct(Protocol):
    """An application that answers requests without a body in front of ASGI, too."""

    async def direct(self, way: InFront) -> None:
        """Answer the request of `way` as the application would."""
        ...


class Found(NamedTuple):
    """Who answers a request in front of ASGI."""

    app: Direct
    path: str
    route: BaseRoute
    params: Mapping[str, str]
    purpose: str
    """What the address is for, as `measures.ROUTES` says it."""


@runtime_checkable
class Front(Protocol):
    """An application some of whose requests are answered in front of ASGI, where a listener can do that."""

    def found(self, target: bytes) -> Found | None:
        """Who answers a GET of `target` in front of ASGI, if anybody does."""
        ...

    async def answer(self, exchange: Exchange, found: Found) -> None:
        """Answer it."""
        ...


class InFront:
    """The way of a request that is answered in front of ASGI."""

    __slots__ = ("_free", "_is_held", "_status", "_through", "_watched", "exchange", "found", "line")

    def __init__(self, exchange: Exchange, found: Found, free: Callable[[], None]) -> None:
        """`free` gives back its place among those who wait for their answer."""
        self.exchange = exchange
        self.found = found
        self.line: dict[str, Any] = {}
        """Fields of the line that is written about it."""
        self._free = free
        self._is_held = True
        self._status = 0
        self._watched: Watched | None = None
        self._through: tuple[Scope, Receive, Send] | None = None

    @property
    def status(self) -> int:
        """Of the answer; 0 as long as there is none."""
        return self._watched.status if self._watched is not None else self._status

    async def whole(self, status: int, headers: Mapping[str, str], body: bytes) -> bool:
        """As `Way` says."""
        if self._through is not None or not self.exchange.whole(status, headers, body):
            return False
        self._status = status
        self.let_go()
        return True

    def asgi(self) -> tuple[Scope, Receive, Send]:
        """As `Way` says."""
        if self._through is None:
            scope, receive, send = self.exchange.asgi()
            scope[LINE] = self.line
            scope.update(route=self.found.route, endpoint=self.found.app, path_params=dict(self.found.params))
            self._watched = Watched(scope, send)
            turn = Turn(self.let_go, receive, self._watched.sent)
            self._through = scope, turn.received, turn.answered
        return self._through

    def note(self, **fields: object) -> None:
        """As `Way` says."""
        self.line.update(fields)

    def watched(self) -> Watched:
        """Its way out through ASGI."""
        self.asgi()
        assert self._watched is not None
        return self._watched

    def let_go(self) -> None:
        """Nobody waits for this answer any more: it has begun, or is over."""
        if self._is_held:
            self._is_held = False
            self._free()
