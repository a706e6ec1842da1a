"""Which connection an exchange gets: one that is idle, or a new one to an address that was judged.

What lives here: `Pool`, the connections to all origins; `Opener`, which resolves a name, judges every address found, and connects to
exactly those: what was judged is what is connected to. TLS and the `Host` header keep the name.
What does not: the exchange itself (`connection.py`), and which addresses are lawful (`rules.py`).
Source: RFC 9110, section 9.2.2 (which requests may be repeated); RFC 8305, section 5 (connection attempts that overlap).
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final

from connector.errors import AddressRefused
from connector.outbound.connection import Connection
from connector.outbound.requests import Request
from connector.outbound.rules import Judge, Target

# shorter than the 5 s after which uvicorn and many others close an idle connection: no message is sent into a closing one
_KEEP_IDLE_S: Final = 4.0
_FEW_ORIGINS: Final = 256
_NEXT_ATTEMPT_S: Final = 0.25
"""After so long the next address of a name is tried, too."""
_REPEATABLE: Final = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""The IP addresses of a host, as texts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opener:
    """Makes connections."""

    judge: Judge
    resolve: Resolve
    tls: Callable[[], ssl.SSLContext]
    within_s: float
    """Resolving, connecting, and the handshake of TLS: each of them."""

    async def addresses(self, host: str, port: int) -> Sequence[str]:
        """The IP addresses of `host`, all of them lawful.

        Raises: AddressRefused, OSError.
        """
        found = await self.resolve(host, port)
        # INVARIANT: one unlawful address refuses the name, so that an attacker cannot mix them and wait
        for text in found:
            if (reason := self.judge.refusal(ip_address(text))) is not None:
                raise AddressRefused(f"`{host}` resolves to an address that is refused: {reason[0]}", mend=reason[1])
        if not found:
            raise OSError(f"`{host}` has no address")
        return found

    async def open(self, target: Target) -> Connection:
        """A new connection to `target`.

        Raises: AddressRefused, OSError, TimeoutError.
        """
        if _is_literal(target.host):
            # it was judged with the URL that it stands in
            addresses: Sequence[str] = (target.host,)
        else:
            async with asyncio.timeout(self.within_s):
                addresses = await self.addresses(target.host, target.port)
        return await _first(lambda address: self._connected(target, address), addresses)

    async def _connected(self, target: Target, address: str) -> Connection:
        context = self.tls() if target.scheme == "https" else None
        async with asyncio.timeout(self.within_s * (2 if context else 1)):
            _, connection = await asyncio.get_running_loop().create_connection(
                Connection,
                address,
                target.port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                ssl=context,
                server_hostname=target.host if context else None,
            )
        return connection


class Pool:
    """The connections to all origins, at most `per_host` in use at once to each; 0: as many as are asked for."""

    def __init__(self, opener: Opener, per_host: int) -> None:
        self._opener = opener
        self._per_host = per_host
        self._idle: dict[Target, list[Connection]] = {}
        self._busy: dict[Target, int] = {}
        self._waiting: dict[Target, deque[asyncio.Future[None]]] = {}
        self._sweep_above = _FEW_ORIGINS
        """Connections that have closed themselves are dropped when more origins than this have any."""
        self._is_closed = False

    async def ask(self, target: Target, request: Request) -> Connection:
        """A connection on which the head of the answer has come; give it back.

        A request that may be repeated is, once, when a connection that was kept turns out to be gone.

        Raises: AddressRefused, and as `Connection.ask`.
        """
        if self._per_host:
            await self._enter(target)
        connection: Connection | None = None
        try:
            connection = self._kept(target)
            if connection is not None:
                is_repeatable = request.method in _REPEATABLE and (request.body is None or isinstance(request.body, bytes))
                try:
                    await connection.ask(request)
                    return connection
                except Exception as fault:
                    if isinstance(fault, TimeoutError) or connection.has_heard or not is_repeatable:
                        raise
                    connection.close()
            connection = await self._opener.open(target)
            await connection.ask(request)
            return connection
        except BaseException:
            if connection is not None:
                connection.close()
            self._leave(target)
            raise

    def give_back(self, target: Target, connection: Connection) -> None:
        """The exchange is over, or nobody wants the rest of it."""
        self._leave(target)
        if self._is_closed or not connection.is_free():
            connection.close()
            return
        connection.keep(_KEEP_IDLE_S)
        self._idle.setdefault(target, []).append(connection)
        if len(self._idle) > self._sweep_above:
            living = {at: [one for one in kept if not one.is_lost] for at, kept in self._idle.items()}
            self._idle = {at: kept for at, kept in living.items() if kept}
            self._sweep_above = 2 * len(self._idle) + _FEW_ORIGINS

    def close(self) -> None:
        """End what is idle; what is in use ends when it is given back."""
        self._is_closed = True
        for connections in self._idle.values():
            for connection in connections:
                connection.close()
        self._idle.clear()

    def _kept(self, target: Target) -> Connection | None:
        connections = self._idle.get(target)
        if connections is None:
            return None
        found: Connection | None = None
        while connections and found is None:
            last = connections.pop()
            found = last if not last.is_lost else None
        if not connections:
            del self._idle[target]
        return found

    async def _enter(self, target: Target) -> None:
        busy = self._busy.get(target, 0)
        if busy < self._per_host:
            self._busy[target] = busy + 1
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(target, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._leave(target)
            raise

    def _leave(self, target: Target) -> None:
        if not self._per_host:
            return
        waiting = self._waiting.get(target)
        while waiting:
            turn = waiting.popleft()
            if not waiting:
                del self._waiting[target]
            if not turn.done():
                turn.set_result(None)
                return
        self._busy[target] -= 1
        if not self._busy[target]:
            del self._busy[target]


def _is_literal(host: str) -> bool:
    return ":" in host or host.rpartition(".")[2].isdigit()


async def _first(connected: Callable[[str], Awaitable[Connection]], addresses: Sequence[str]) -> Connection:
    """The first connection of all attempts, of which each begins when the one before has failed, or takes long.

    Raises: what the last attempt raised.
    """
    if len(addresses) == 1:
        return await connected(addresses[0])
    left = list(addresses)
    running: set[asyncio.Future[Connection]] = set()
    fault: BaseException | None = None
    try:
        while left or running:
            if left:
                running.add(asyncio.ensure_future(connected(left.pop(0))))
            done, running = await asyncio.wait(
                running, timeout=_NEXT_ATTEMPT_S if left else None, return_when=asyncio.FIRST_COMPLETED
            )
            for one in done:
                if (fault := one.exception()) is None:
                    running |= done - {one}
                    return one.result()
    finally:
        for one in running:
            one.add_done_callback(_closed)
            one.cancel()
    assert fault is not None
    raise fault


def _closed(attempt: asyncio.Future[Connection]) -> None:
    """An attempt that nobody needs any more."""
    if not attempt.cancelled() and attempt.exception() is None:
        attempt.result().close()
