"""Ways past ASGI: the receiver's own socket, lent to whoever fills it through the kernel (`dataplane/kernel.py`) once an answer's head
is out, and small answers in one piece.

What lives here: `Passage`, extensions of the ASGI scope. The socket is there on connections without TLS only: what is written beside
TLS would go out in the clear. What does not: moving bytes, and whether a body is worth it.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import lru_cache
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
        if self._flow.write_paused or cycle.disconnected or cycle.response_started or cycle.scope["method"] == "HEAD":
            return False
        answer = in_one_piece(status, headers, body, cycle.default_headers, is_last=not cycle.keep_alive)
        if answer is None:
            return False
        self._transport.write(answer)
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


def in_one_piece(
    status: int, headers: Mapping[str, str], body: bytes, always: Sequence[tuple[bytes, bytes]], *, is_last: bool
) -> bytes | None:
    """A whole answer with a body, as it goes over the connection; None where that takes a closer look.

    `always` is what the server says with each answer: the date. `is_last`: the connection is closed behind it.
    """
    if status in (204, 304) or headers.get("content-length") != str(len(body)):
        return None
    lines = _lines(tuple(headers.items()))
    if lines is None:
        return None
    closing = b"connection: close\r\n\r\n" if is_last else b"\r\n"
    return b"".join((STATUS_LINE[status], *[b"%b: %b\r\n" % line for line in always], lines, closing, body))


@lru_cache(maxsize=128)
def _lines(headers: tuple[tuple[str, str], ...]) -> bytes | None:
    """`headers` as they are written; None where that takes a closer look. What is asked for again and again is told again and again."""
    # INVARIANT: what a value says stays within its header
    if not "".join([part for pair in headers for part in pair]).isprintable():
        return None
    try:
        return "".join([f"{name}: {value}\r\n" for name, value in headers]).encode("latin-1")
    except UnicodeEncodeError:
        return None
