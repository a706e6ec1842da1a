"""What makes the load: HTTP/1.1 over raw connections on one event loop, as cheap as it can be, outside the measured processes.

Requests are bytes made before the clock runs. Also the sink: a peer that takes messages, and answers now or later.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any, Self, TypeVar, cast

T = TypeVar("T")
_ANSWER_S = 60.0


class LoadError(Exception):
    """A server answered otherwise than it should."""


def on_loop(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """The result of `work` on a loop like the servers have."""
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work())


def post(port: int, path: str, body: bytes, **headers: str) -> bytes:
    """A POST of JSON as bytes; an underscore in a header's name stands for a dash."""
    head = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n{head}\r\n"
    ).encode() + body


class Connection(asyncio.Protocol):
    """One connection that is kept; one request at a time."""

    def __init__(self) -> None:
        self._buffer = b""
        self._waiting: asyncio.Future[tuple[int, bytes]] | None = None
        self.head = b""
        """Of the last answer."""
        self._transport: asyncio.Transport | None = None

    @classmethod
    async def to(cls, port: int) -> Connection:
        """A new connection to `port` on loopback."""
        _, connection = await asyncio.get_running_loop().create_connection(cls, "127.0.0.1", port)
        return connection

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        """Status and body of the answer."""
        assert self._transport is not None
        self._waiting = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._waiting

    async def ask_well(self, request: bytes) -> bytes:
        """The body of an answer that is a success.

        Raises: LoadError.
        """
        status, body = await self.ask(request)
        if status >= 300:
            raise LoadError(f"answered {status}: {body[:500].decode(errors='replace')}")
        return body

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._buffer = buffer = self._buffer + data if self._buffer else data
        end = buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        body = end + 4 + content_length(buffer[:end])
        if len(buffer) >= body and self._waiting is not None:
            self._buffer = buffer[body:]
            self.head = buffer[:end]
            waiting, self._waiting = self._waiting, None
            if not waiting.done():
                waiting.set_result((int(buffer[9:12]), buffer[end + 4 : body]))

    def connection_lost(self, fault: Exception | None) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(LoadError(f"the connection was closed: {fault}"))


def content_length(head: bytes) -> int:
    """What a head says of its body."""
    at = head.lower().find(b"\r\ncontent-length:")
    return int(head[at + 17 :].split(b"\r\n", 1)[0]) if at >= 0 else 0


async def connections(stack: AsyncExitStack, port: int, count: int) -> list[Connection]:
    """So many open connections, closed with the stack."""
    opened = [await Connection.to(port) for _ in range(count)]
    for connection in opened:
        stack.callback(connection.close)
    return opened


async def flood(over: Iterable[Connection], requests: Iterable[bytes], answer: int | None = None) -> None:
    """Send all requests, each connection the next one as soon as its last is answered.

    Raises: LoadError for an answer that is no success; with `answer` for one of another status.
    """
    left = iter(requests)

    async def work(connection: Connection) -> None:
        for request in left:
            if answer is None:
                await connection.ask_well(request)
            elif (found := await connection.ask(request))[0] != answer:
                raise LoadError(f"answered {found[0]} in place of {answer}: {found[1][:200].decode(errors='replace')}")

    async with asyncio.timeout(_ANSWER_S), asyncio.TaskGroup() as tasks:
        for connection in over:
            tasks.create_task(work(connection))


class Sink:
    """A peer that acknowledges every message with an empty 200, or keeps them waiting while it `holds`."""

    def __init__(self) -> None:
        self.holds = False
        self.answered = 0
        self._told = asyncio.Event()
        self._waiting: list[asyncio.Transport] = []
        self.port = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.get_running_loop().create_server(lambda: _Taker(self), "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()

    def took(self, transport: asyncio.Transport) -> None:
        """A whole message has come."""
        if self.holds:
            self._waiting.append(transport)
        else:
            self._answer(transport)

    def let_go(self) -> None:
        """Answer what waits, and what comes from now on."""
        self.holds = False
        waiting, self._waiting = self._waiting, []
        for transport in waiting:
            self._answer(transport)

    async def until(self, answered: int) -> None:
        """Wait until so many messages have been answered.

        Raises: TimeoutError; LoadError when there are more.
        """
        async with asyncio.timeout(_ANSWER_S):
            while self.answered < answered:
                self._told.clear()
                await self._told.wait()
        if self.answered > answered:
            raise LoadError(f"the sink got {self.answered - answered} messages too many")

    def _answer(self, transport: asyncio.Transport) -> None:
        self.answered += 1
        self._told.set()
        transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")


class _Taker(asyncio.Protocol):
    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            whole = end + 4 + content_length(self._buffer[:end])
            if len(self._buffer) < whole:
                return
            self._buffer = self._buffer[whole:]
            self._sink.took(self._transport)
