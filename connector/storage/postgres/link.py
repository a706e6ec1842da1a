"""The way to the server: a bounded pool of connections, each with its time-outs, and faults translated at this door.

A connection that breaks is replaced by the next call that needs one, so that a server that comes back, or another that takes
its place, is used without a restart. Connections go back to the pool as they are: nothing here sets anything in a session.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

import asyncpg

from connector import measures
from connector.errors import StoreUnavailable
from connector.storage.postgres import faults

_CONNECT_S: Final = 5.0
_ANSWER_S: Final = 15.0
"""When we give up on an answer: later than the server does, so that it is the server that ends a statement."""
_WAIT_FOR_A_CONNECTION_S: Final = 10.0
_IDLE_S: Final = 300.0
_SESSION: Final = {
    "application_name": "kontor",
    "default_transaction_isolation": "read committed",
    "statement_timeout": "10000",
    "lock_timeout": "5000",
    "idle_in_transaction_session_timeout": "10000",
}


@dataclass(slots=True)
class _Lane:
    """Writes that would wait for each other at the lock of one row."""

    turn: asyncio.Semaphore
    count: int = 0
    """How many write or wait."""


def shown(url: str) -> str:
    """`url` without user, password and options: what may be logged."""
    # a password that was not encoded may hold `/`, `?`, `#` and `@`: it ends before the last `@`
    scheme, mark, _ = url.partition("://")
    try:
        parts = urlsplit(f"{scheme}{mark}{url.rpartition('@')[2]}" if "@" in url else url)
    except ValueError:
        return "store.url"
    return f"{parts.scheme}://{parts.netloc}{parts.path}"


async def _as_it_is(connection: Any) -> None:
    """Nothing has to be cleared from a session before somebody else uses it: that spares a round trip for each use."""


class Link:
    """Connections to the database that `url` names, at most `size` at once and one more for the herald."""

    def __init__(self, url: str, *, size: int) -> None:
        self.where = shown(url)
        self._url = url
        self._size = size
        self._pool: Any = None
        self._turn = asyncio.Semaphore(size)
        """Who waits for a connection gets it in the order of coming: the pool alone gives one that is free to whoever asks at that
        moment, and under load the unlucky wait for as long as it lasts (measured: a list at 6.8 s, others at 14 ms)."""
        self._lanes: dict[tuple[str, ...], _Lane] = {}
        self._most_in_lane = max(1, size // 4)
        """So that the server always has the next one at hand."""
        self.is_refusing = False
        """Set when a call found the store unavailable; whoever finds that it takes writes again clears it."""

    async def open(self) -> None:
        """Ready the pool; connections are made when they are needed."""
        if self._pool is None:
            self._pool = await asyncpg.create_pool(
                self._url,
                min_size=0,
                max_size=self._size,
                reset=_as_it_is,
                max_inactive_connection_lifetime=_IDLE_S,
                **self._arguments(),
            )

    async def close(self) -> None:
        """Let the calls under way finish, then let go of all connections."""
        pool, self._pool = self._pool, None
        if pool is not None:
            try:
                async with asyncio.timeout(_CONNECT_S):
                    await pool.close()
            except (TimeoutError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                # a server that does not answer keeps nobody from leaving
                pool.terminate()

    async def connect(self) -> Any:
        """A connection outside the pool, for whoever asks to close.

        Raises: ConfigurationError, StoreUnavailable.
        """
        try:
            return await asyncpg.connect(self._url, **self._arguments())
        except Exception as fault:
            raise faults.at_opening(fault, self.where) from fault

    async def hang_up(self, connection: Any) -> None:
        """Close a connection that `connect` gave, politely while the server listens."""
        try:
            await connection.close(timeout=_CONNECT_S)
        except (TimeoutError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            connection.terminate()

    @asynccontextmanager
    async def writing(self, lane: tuple[str, ...] = ()) -> AsyncIterator[Any]:
        """As `connection`, and raises as that: for what writes, which is measured.

        Those of one `lane` take a quarter of the connections at most: at the lock of their row they come one after the other, and
        whoever waits there has a connection that others could use (measured: a list beside 64 that append to one stream 38 ms, 1 so).
        """
        begun_s, outcome = time.monotonic(), "undone"
        try:
            async with self.connection(lane) as connection:
                yield connection
            outcome = "committed"
        except StoreUnavailable:
            outcome = "refused"
            raise
        finally:
            measures.TRANSACTIONS.add(time.monotonic() - begun_s, "postgres", outcome)

    @asynccontextmanager
    async def connection(self, lane: tuple[str, ...] = ()) -> AsyncIterator[Any]:
        """A connection of the pool; each statement on it is a transaction of its own, unless one is begun.

        Raises: StoreUnavailable when none is to be had or it broke, InternalError, BadMessage for a text that cannot be kept.
        """
        pool = self._pool
        if pool is None:
            raise StoreUnavailable("the state store is not open", where=self.where)
        try:
            in_lane = self._in(lane) if lane else nullcontext()
            async with asyncio.timeout(_WAIT_FOR_A_CONNECTION_S) as waiting, in_lane, self._turn:
                waiting.reschedule(None)
                async with pool.acquire(timeout=_WAIT_FOR_A_CONNECTION_S) as connection:
                    yield connection
        except Exception as fault:
            if faults.state(fault) == faults.READ_ONLY:
                # the primary has moved: look for it anew
                await pool.expire_connections()
            translated = faults.told(fault, self.where)
            self.is_refusing = self.is_refusing or isinstance(translated, StoreUnavailable)
            if translated is fault:
                raise
            raise translated from fault

    @asynccontextmanager
    async def _in(self, lane: tuple[str, ...]) -> AsyncIterator[None]:
        place = self._lanes.get(lane)
        if place is None:
            place = self._lanes[lane] = _Lane(asyncio.Semaphore(self._most_in_lane))
        place.count += 1
        try:
            async with place.turn:
                yield
        finally:
            place.count -= 1
            if not place.count:
                del self._lanes[lane]

    def _arguments(self) -> dict[str, Any]:
        own = {name for name, _ in parse_qsl(urlsplit(self._url).query)}
        settings = {name: value for name, value in _SESSION.items() if name not in own}
        return {"timeout": _CONNECT_S, "command_timeout": _ANSWER_S, "server_settings": settings}
