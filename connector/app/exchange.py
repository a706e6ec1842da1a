"""A request that is answered in front of ASGI: what `web/ways.py` asks of a listener, on a connection of uvicorn's.

A pull of 1 KiB needs no scope, no queue of messages and no event: what the server makes of each request before an application sees
it costs as much as the judging of it. An `Exchange` is the server's own cycle, whose parts are made when somebody wants them.
What lives here: the exchange, which requests can be one, and the runner. What does not: heads and their bounds (`heads.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Protocol

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from connector.app.passage import Passage, in_one_piece

if TYPE_CHECKING:
    from logging import Logger

    from starlette.types import Receive, Scope, Send
    from uvicorn.protocols.http.flow_control import FlowControl
    from uvicorn.server import ServerState

_NOT_IN_FRONT: Final = frozenset({"content-length", "transfer-encoding", "expect", "upgrade"})
"""Headers of requests that have a body, or want something else first."""

Client = tuple[str, int]
"""Address and port of who asks."""


class Connection(Protocol):
    """What an exchange needs of its connection, beside what it is to any cycle."""

    transport: asyncio.Transport
    flow: FlowControl
    logger: Logger
    access_logger: Logger
    access_log: bool
    server_state: ServerState
    tasks: set[asyncio.Task[None]]

    def on_response_complete(self) -> None:
        """An answer is whole."""
        ...

    def scope_of(self, path: str, headers: list[tuple[bytes, bytes]], client: Client | None) -> Any:
        """The scope of a GET of a plain path, as the server makes it."""
        ...

    def extensions(self, passage: Passage) -> Any:
        """What an answer on this connection may go by."""
        ...


class _Unheard:
    """In the place of an event that nobody waits for."""

    def set(self) -> None:
        """Nothing."""


class Exchange(RequestResponseCycle):
    """Implements `web.ways.Exchange`. The fields of a cycle that the server looks at are there from the beginning."""

    method = "GET"
    response_started = False
    response_complete = False
    disconnected = False
    more_body = False
    scope: Any = MappingProxyType({})
    message_event: Any = _Unheard()
    task: asyncio.Task[None]
    """Runs it."""

    def __init__(
        self,
        connection: Connection,
        path: str,
        raw: list[tuple[bytes, bytes]],
        headers: Mapping[str, str],
        client: Client | None,
        *,
        keep_alive: bool,
    ) -> None:
        """`headers`: those in `raw`, as `headers_in_front` gives them."""
        self._connection = connection
        self._raw = raw
        self._client = client
        self.path = path
        self.headers = headers
        self.keep_alive = keep_alive
        self.client = client[0] if client else None

    def whole(self, status: int, headers: Mapping[str, str], body: bytes) -> bool:
        """As `web.edge.Whole` says."""
        connection = self._connection
        if self.response_started or self.disconnected or connection.flow.write_paused or connection.transport.is_closing():
            return False
        answer = in_one_piece(status, headers, body, connection.server_state.default_headers, is_last=not self.keep_alive)
        if answer is None:
            return False
        self.response_started = self.response_complete = True
        connection.transport.write(answer)
        if not self.keep_alive:
            connection.transport.close()
        connection.on_response_complete()
        return True

    def asgi(self) -> tuple[Scope, Receive, Send]:
        """The request as the server gives it to an application."""
        if isinstance(self.scope, dict):
            return self.scope, self.receive, self.send  # type: ignore[return-value]
        connection, is_gone = self._connection, self.disconnected
        assert not self.response_started
        super().__init__(
            scope=connection.scope_of(self.path, self._raw, self._client),
            transport=connection.transport,
            flow=connection.flow,
            logger=connection.logger,
            access_logger=connection.access_logger,
            access_log=connection.access_log,
            default_headers=connection.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=False,
            keep_alive=self.keep_alive,
            on_response=connection.on_response_complete,
        )
        self.scope["extensions"] = connection.extensions(Passage(connection.transport, connection.flow, self))
        # the request is whole, and its sender may have left meanwhile
        self.disconnected, self.more_body = is_gone, False
        self.message_event.set()
        return self.scope, self.receive, self.send  # type: ignore[return-value]

    async def run(self, answering: Awaitable[None]) -> None:
        """Answer; what is not finished then is cut, as the server does it."""
        connection = self._connection
        try:
            await answering
        finally:
            if not (self.response_complete or self.disconnected):
                connection.transport.close()
            # by ourselves: the callback of a task takes another turn of the loop
            connection.tasks.discard(self.task)


def headers_in_front(raw: list[tuple[bytes, bytes]]) -> Mapping[str, str] | None:
    """The headers of a request that has no body and wants nothing else first; None for those of another."""
    found: dict[str, str] = {}
    for raw_name, raw_value in raw:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        found[name] = f"{found[name]}, {value}" if name in found else value
    return found if _NOT_IN_FRONT.isdisjoint(found) else None
