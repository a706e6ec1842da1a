"""A host of documents on a real socket, that counts what it is asked."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from connector.outbound.rules import OutboundRules

LOCAL = OutboundRules(allow_http=True, allow_loopback=True, connect_s=1.0, read_s=0.5, total_s=1.0)
PATIENT = OutboundRules(allow_http=True, allow_loopback=True, connect_s=20, read_s=20, total_s=30)
"""For whoever does not test the limits: a slow machine is no silent host."""


@dataclass
class Host:
    """What it serves by path, and how often each path was asked for."""

    port: int = 0
    pages: dict[str, bytes | Callable[[str, bytes], bytes | Awaitable[bytes]]] = field(default_factory=dict)
    """A page, or what makes it of the request's head and body."""
    status: int = 200
    statuses: dict[str, int] = field(default_factory=dict)
    """By path, instead of `status`."""
    locations: dict[str, str] = field(default_factory=dict)
    """A `Location` header, by path."""
    asked: Counter[str] = field(default_factory=Counter)
    connections: int = 0
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when something was asked for."""
    held: asyncio.Event | None = None
    """While it is given and not set, answers wait."""
    _open: set[asyncio.StreamWriter] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}"

    @property
    def did(self) -> str:
        return f"did:web:localhost%3A{self.port}"

    def hang_up(self) -> None:
        """Close every connection: whoever comes again must find the way anew."""
        for writer in self._open:
            writer.close()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._open.add(writer)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                path = head.split(b" ")[1].decode()
                sizes = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
                sent = await reader.readexactly(int(sizes[0].split(b":")[1])) if sizes else b""
                self.asked[path] += 1
                self.arrived.set()
                if self.held is not None:
                    await self.held.wait()
                page = self.pages.get(path)
                made = page(head.decode(), sent) if callable(page) else page
                body = await made if isinstance(made, Awaitable) else made
                status = self.statuses.get(path, 404 if body is None else self.status)
                more = f"Location: {self.locations[path]}\r\n" if path in self.locations else ""
                writer.write(
                    f"HTTP/1.1 {status} X\r\n{more}Content-Length: {len(body or b'')}\r\n\r\n".encode() + (body or b"")
                )
                await writer.drain()
        self._open.discard(writer)
        writer.close()


@asynccontextmanager
async def host() -> AsyncIterator[Host]:
    """An open host on a free port."""
    found = Host()
    listener = await asyncio.start_server(found.serve, "127.0.0.1", 0)
    found.port = listener.sockets[0].getsockname()[1]
    async with listener:
        yield found
