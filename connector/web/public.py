"""The public listener: what peers reach. The protocol, the version document, and the data plane's addresses."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from starlette.requests import ClientDisconnect
from starlette.routing import BaseRoute, Router
from starlette.types import Receive, Scope, Send

from connector.errors import NotFound
from connector.web import errors
from connector.web.edge import CLIENT_LEFT, Attended, Bounded, Observed, verdict_on
from connector.web.indexed import Indexed
from connector.web.purposes import of_pattern
from connector.web.ways import Direct, Exchange, Found, InFront

_PLAIN: Final = re.compile(rb"(?:/[\w.:~-]{1,200}){4,5}")
_NAME: Final = "public"
_MOST_FOUND: Final = 1024


class Public:
    """The application of the public listener; what of it is a `Direct` answers in front of ASGI where a listener can do that.

    Both ways have the same lines, counts and bounds.
    """

    def __init__(self, routes: Iterable[BaseRoute], *, most: int) -> None:
        """`most` requests may wait for their answer at once."""
        every = list(routes)
        router = Router(routes=every, redirect_slashes=False, default=_nowhere)
        # `/{participant}/dsp/...`, `/{participant}/data/...`: the second word tells them apart
        self._indexed = Indexed(every, (2,), router)
        self._bounded = Bounded(self._indexed, most)
        self._observed = Observed(self._bounded, _NAME)
        self._found: dict[bytes, Found] = {}
        """By targets that were asked for of late."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._observed(scope, receive, send)

    def found(self, target: bytes) -> Found | None:
        """Who answers a GET of `target` in front of ASGI: of a plain path, which nothing in it has to be decoded for."""
        found = self._found.get(target)
        if found is None and _PLAIN.fullmatch(target):
            plain = self._indexed.plain(path := target.decode())
            if plain is not None and isinstance(plain.app, Direct):
                if len(self._found) >= _MOST_FOUND:
                    self._found.clear()
                found = self._found[target] = Found(
                    plain.app, path, plain.route, plain.params, of_pattern(getattr(plain.route, "path", ""))
                )
        return found

    async def answer(self, exchange: Exchange, found: Found) -> None:
        """Answer in front of ASGI."""
        way = InFront(exchange, found, self._bounded.free)
        traceparent = exchange.headers.get("traceparent")
        with Attended(_NAME, exchange.client, exchange.method, exchange.path, traceparent, way.line) as attended:
            attended.route = found.purpose
            try:
                self._bounded.enter()
                try:
                    await found.app.direct(way)
                finally:
                    way.let_go()
            except ClientDisconnect:
                attended.status = CLIENT_LEFT
            except Exception as fault:  # noqa: BLE001 - the outermost door, as that of `Observed`
                verdict = verdict_on(fault, way.line)
                if verdict is not None and way.status == 0:
                    await errors.send_problem(way.watched().sent, verdict)
                attended.status = way.status
            else:
                attended.status = way.status


def public_app(routes: Iterable[BaseRoute], *, most: int) -> Public:
    """The application of the public listener over the routes of its rooms; `most` requests may wait for their answer at once."""
    return Public(routes, most=most)


async def _nowhere(scope: Scope, receive: Receive, send: Send) -> None:
    raise NotFound("there is no such address", where=scope["path"], mend="see the node's version document")
