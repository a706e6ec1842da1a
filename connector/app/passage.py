"""The receiver's own socket, lent to whoever fills it through the kernel (`dataplane/kernel.py`) once an answer's head is out.

What lives here: `Passage`, an extension of the ASGI scope, there on connections without TLS only: what is written beside TLS would
go out in the clear. What does not: moving bytes, and whether a body is worth it.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

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
