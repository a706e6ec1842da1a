"""Bounds for what stands before a body: a request's head has to be whole in time, and small; who is refused waits before the next.

uvicorn bounds neither: a sender that never ends its head would keep a connection, and grow the memory, without end. Bodies have
bounds of their own where they are read (`web/edge.py`, `dataplane/`). Idle connections between two requests are closed by uvicorn.
Source: RFC 9110, section 15.5.9 (408); RFC 6585, section 5 (431).
"""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from connector.app.passage import Passage
from connector.dataplane.kernel import IS_HERE
from connector.web.data import SOCKET
from connector.web.edge import REFUSED, WHOLE, full

WITHIN_S: Final = 20.0
"""Longest time from the connection, or a request's first byte, to the end of the request's head."""
MOST_BYTES: Final = 64 << 10
"""Of a head: request line and headers. What connectors send is below 10 KiB, large tokens included."""
PAUSE_S: Final = 0.25
"""After an answer that says to come again later nothing is read for so long: a sender that does not wait costs four answers a second,
and not all the time that is there."""
REFUSALS_PER_S: Final = 2000
"""Answers of that kind by the whole process: where more wait for the end of their pause, it is longer. What refusing costs is missing to
those who are served (measured on PostgreSQL, where a request waits for many turns of the loop: two to three times as many are)."""
_TOO_LATE: Final = b"408 Request Timeout"
_TOO_LARGE: Final = b"431 Request Header Fields Too Large"


class BoundedHeads(HttpToolsProtocol):
    """A connection on which a head has bounds."""

    _read_bytes = 0
    """Since the head began; counted by what arrives at once, so the end of a request before it may be among them."""
    _is_in_head = True
    _deadline: asyncio.TimerHandle | None = None
    _paused: ClassVar[int] = 0
    """Connections of this process that are not read."""

    def __init__(self, *args: Any, most: int, **kwargs: Any) -> None:
        """`most`: connections of the listener; requests on further ones are refused."""
        super().__init__(*args, **kwargs)
        self._most = most

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > self._most:
            self.app = full
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._rest()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._is_in_head and not self.transport.is_closing():
            self._read_bytes += len(data)
            if self._read_bytes > MOST_BYTES:
                self._refuse(_TOO_LARGE)
            elif self._deadline is None:
                # the usual head comes whole, and costs no timer
                self._watch()

    def on_message_begin(self) -> None:
        self._is_in_head, self._read_bytes = True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._is_in_head = False
        self._rest()
        before = self.cycle
        super().on_headers_complete()
        if self.cycle is not before:
            # its task has not begun yet
            passage: Any = Passage(self.transport, self.flow, self.cycle)
            is_plain = IS_HERE and self.scheme == "http"
            self.cycle.scope["extensions"] = {WHOLE: passage, SOCKET: passage} if is_plain else {WHOLE: passage}

    def on_response_complete(self) -> None:
        is_refused = REFUSED in self.cycle.scope
        super().on_response_complete()
        if is_refused and not self.transport.is_closing():
            self.flow.pause_reading()
            BoundedHeads._paused += 1
            self.loop.call_later(max(PAUSE_S, BoundedHeads._paused / REFUSALS_PER_S), self._read_on)

    def _read_on(self) -> None:
        BoundedHeads._paused -= 1
        if not self.transport.is_closing():
            self.flow.resume_reading()

    def _watch(self) -> None:
        self._deadline = self.loop.call_later(WITHIN_S, self._refuse, _TOO_LATE)

    def _rest(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _refuse(self, status: bytes) -> None:
        self._rest()
        if not self.transport.is_closing():
            if self._read_bytes and self._is_answered():
                self.transport.write(b"HTTP/1.1 " + status + b"\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
            self.transport.close()

    def _is_answered(self) -> bool:
        """Whether no answer to an earlier request is under way, into which another one would run."""
        return self.cycle is None or self.cycle.response_complete
