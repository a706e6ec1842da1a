"""Who tells the other nodes that something waits, and hears from them: `LISTEN` and `NOTIFY` on a connection of its own.

A notification is sent after the commit and not within it: one that is part of a transaction makes all commits of the database
wait for each other. What a node could not tell before it died is found all the same, because every node looks again each second.
What is told is the moment when something can be claimed; of several moments within a second the earliest is enough. Processes that
were stopped are told one by one, as `NODE ! KIND PARTICIPANT PID`.
Source: PostgreSQL, "NOTIFY".
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import asyncpg

from connector import observe
from connector.dsp.tables import Kind
from connector.errors import KontorError
from connector.ports.store import Key
from connector.storage.postgres.link import Link
from connector.storage.queries import statements

_LOOK_EVERY_S: Final = 1.0
_MOST_NOTICES: Final = 10_000
_SQL: Final = statements("postgres")
_NODE_LOCK: Final = 0x4B6E7473
"""The first half of the advisory lock that the session of a node holds; the second is its id."""
_FAULTS: Final = (
    OSError,
    TimeoutError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    KontorError,
)


class Herald:
    """Speaks and listens for one node.

    `wake` is called when there may be something new to claim, `noticed` with each process that another node has stopped.
    """

    def __init__(self, link: Link, *, node: str, schema: str, wake: Callable[[], None], noticed: Callable[[Key], None]) -> None:
        self._link = link
        self._node = node
        # PostgreSQL cuts names at 63 bytes; a schema's own has at most as many
        self._channel = f"kontor_{schema}"[:63]
        self._wake = wake
        self._noticed = noticed
        self._notices: deque[Key] = deque(maxlen=_MOST_NOTICES)
        self._connection: Any = None
        self._is_down = False
        self._pending: int | None = None
        self._told: int | None = None
        """The earliest moment told since the last look; so is what was heard."""
        self._heard: int | None = None
        self._has_news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin; `close` ends it."""
        self._task = asyncio.create_task(self._run(), name="store-herald")

    async def close(self) -> None:
        """Stop listening; what was not told yet is found by the others' next look."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        if self._connection is not None:
            connection, self._connection = self._connection, None
            await self._link.hang_up(connection)

    def tell(self, moment: int) -> None:
        """Let the other nodes know that something can be claimed at `moment`."""
        if self._told is not None and self._told <= moment:
            return
        self._pending = moment if self._pending is None else min(moment, self._pending)
        self._has_news.set()

    def notice(self, key: Key) -> None:
        """Let the other nodes know that a process was stopped."""
        self._notices.append(key)
        self._has_news.set()

    async def _run(self) -> None:
        while True:
            try:
                await self._turn()
            except Exception as fault:  # noqa: BLE001 - nobody watches over this loop: whatever comes, it must go on
                observe.error("store.telling_failed", fault=fault)
                self._hang_up()
                await asyncio.sleep(_LOOK_EVERY_S)

    async def _turn(self) -> None:
        """Tell what there is to tell, and wait for more; after a while without news, look."""
        try:
            if self._connection is None or self._connection.is_closed():
                await self._call()
            await self._speak()
        except _FAULTS as fault:
            self._hang_up()
            if not self._is_down:
                self._is_down = True
                observe.warning("store.listening_stopped", cause=fault, mend="the node goes on, and looks every second")
        if self._is_down:
            # news do not hurry a server that is away
            await asyncio.sleep(_LOOK_EVERY_S)
            self._look()
            return
        try:
            async with asyncio.timeout(_LOOK_EVERY_S):
                await self._has_news.wait()
        except TimeoutError:
            self._look()

    def _look(self) -> None:
        self._told = self._heard = None
        self._wake()

    async def _call(self) -> None:
        connection = await self._link.connect()
        try:
            await connection.add_listener(self._channel, self._hear)
            # only told: the session of a node that was cut off may outlive it for a while
            if not await connection.fetchval(_SQL["claim_node_id"], _NODE_LOCK, self._node):
                mend = "give each replica an id of its own in `node.id`: those that share one take each other's work"
                observe.warning("store.node_id_taken", node=self._node, mend=mend)
        except BaseException:
            connection.terminate()
            raise
        self._connection = connection
        if self._is_down:
            self._is_down = False
            observe.info("store.listening_again")

    def _hang_up(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()

    async def _speak(self) -> None:
        moment, self._pending = self._pending, None
        self._has_news.clear()
        if moment is not None and (self._told is None or moment < self._told):
            self._told = moment
            await self._connection.execute(_SQL["tell"], self._channel, f"{self._node} {moment}")
        while self._notices:
            key = self._notices.popleft()
            payload = f"{self._node} ! {key.kind.value} {key.participant} {key.pid}"
            await self._connection.execute(_SQL["tell"], self._channel, payload)

    def _hear(self, _connection: object, _pid: int, _channel: str, payload: str) -> None:
        node, _, text = payload.partition(" ")
        if node == self._node:
            return
        match text.split(" "):
            case ["!", kind, participant, pid] if kind in tuple(Kind):
                self._noticed(Key(kind=Kind(kind), participant=participant, pid=pid))
                return
        if not text.lstrip("-").isdigit():
            return
        moment = int(text)
        if self._heard is None or moment < self._heard:
            self._heard = moment
            self._wake()
