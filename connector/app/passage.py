"""Ways past ASGI: the receiver's own socket, lent to whoever fills it through the kernel (`dataplane/kernel.py`) once an answer's head
is out, and small answers in one piece.

What lives here: `Passage`, extensions of the ASGI scope. The socket is there on connections without TLS only: what is written beside
TLS would go out in the clear. What does not: moving bytes, and whether a body is worth it.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from connector.errors import Unreachable

if TYPE_CHECKING:
    import asyncio

    from uvicorn.protocols.http.flow_control import FlowControl
    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle


class Passage:
    """The way into the socket of one answer."""

    __slots__ = ("_cycle", "_flow", "_transport")

    def __init__(self, transport: asyncio.Transport, flow: FlowControl, cycle: RequestResponseCycle) -> None:
        self._transport = transport
        self._flow = flow
        self._cycle = cycle

    def whole(self, status: int, headers: Mapping[str, str], body: bytes) -> bool:
        """Send a whole answer by one write, as the server does by several messages; False, and nothing was sent, where that takes a
        closer look: it has to wait for its receiver, who may be gone, or its headers are not plain.

        `headers` have the length of `body`, and say nothing of the connection.
        """
        cycle = self._cycle
        is_usual = not (self._flow.write_paused or cycle.disconnected or cycle.response_started)
        # INVARIANT: what a value says stays within its header
        if (
            not is_usual
            or not "".join((*headers, *headers.values())).isprintable()
            or headers.get("content-length") != str(len(body))
        ):
            return False
        if cycle.scope["method"] == "HEAD" or status in (204, 304):
            return False
        text = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
        try:
            lines = text.encode("latin-1")
        except UnicodeEncodeError:
            return False
        closing = b"" if cycle.keep_alive else b"connection: close\r\n"
        self._transport.write(b"".join((STATUS_LINE[status], *_lines(cycle.default_headers), lines, closing, b"\r\n", body)))
        cycle.response_started = cycle.response_complete = True
        cycle.waiting_for_100_continue = False
        cycle.message_event.set()
        if not cycle.keep_alive:
            self._transport.close()
        cycle.on_response()
        return True

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[int]:
        """A descriptor of the socket, once the head is out; leaving it without a fault ends the answer, whose body is whole then.

        Raises: Unreachable when the receiver is gone.
        """
        # the server's transport lets nothing through beside it that it still holds back itself
        self._transport.set_write_buffer_limits(high=0)
        try:
            await self._flow.drain()
        finally:
            self._transport.set_write_buffer_limits()
        if self._cycle.disconnected or self._transport.is_closing():
            raise Unreachable("the receiver is gone", mend="it may take up the transfer again")
        # a descriptor of our own: the loop watches the other one for what the receiver sends
        fd = os.dup(self._transport.get_extra_info("socket").fileno())
        try:
            yield fd
        finally:
            os.close(fd)
        self._cycle.expected_content_length = 0
        await self._cycle.send({"type": "http.response.body", "body": b"", "more_body": False})


def _lines(headers: Iterable[tuple[bytes, bytes]]) -> Iterator[bytes]:
    """What the server says with each answer: the date."""
    for name, value in headers:
        yield b"%b: %b\r\n" % (name, value)
