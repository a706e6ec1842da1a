"""The open file, as the parts of the SQLite store share it: the connections that write, read rows and read lists."""

from __future__ import annotations

import asyncio
import pathlib
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from typing import Any, Concatenate, Final, ParamSpec, TypeVar, TypeVarTuple

from connector.errors import StoreUnavailable
from connector.storage.sqlite import faults, schema
from connector.storage.sqlite.writer import Writer

T = TypeVar("T")
A = ParamSpec("A")
K = TypeVarTuple("K")
_MOST_KNOWN: Final = 1000
_ROW_WAIT_MS, _LIST_WAIT_MS = 100, 1000
"""How long readers wait where the file is being recovered, the only time when they are kept out."""


@contextmanager
def one_view(connection: sqlite3.Connection) -> Iterator[None]:
    """All statements inside see the same state."""
    connection.execute("BEGIN")
    try:
        yield
    finally:
        connection.execute("ROLLBACK")


class Access:
    """The ways to the file `path`."""

    def __init__(self, path: pathlib.Path) -> None:
        self.path = path
        self._open: _Open | None = None

    @property
    def is_open(self) -> bool:
        """Whether there are connections."""
        return self._open is not None

    async def open(self) -> sqlite3.Connection:
        """The connection that writes; nothing may use it but what `write` runs.

        Raises: as `schema.prepare`.
        """
        await asyncio.to_thread(schema.prepare, self.path)
        connections = await asyncio.to_thread(_connected, self.path)
        self._open = _Open(connections, self.path)
        return connections[0]

    async def close(self) -> None:
        """Finish what was begun and let go."""
        if self._open is not None:
            opened, self._open = self._open, None
            await opened.close()

    @property
    def _parts(self) -> _Open:
        if self._open is None:
            raise StoreUnavailable("the state store is not open", where=str(self.path))
        return self._open

    def read(self, function: Callable[Concatenate[sqlite3.Connection, A], T], *args: A.args, **kwargs: A.kwargs) -> T:
        """A row found by its key, here and now."""
        try:
            return function(self._parts.rows, *args, **kwargs)
        except sqlite3.Error as fault:
            raise faults.unavailable(fault, self.path) from fault

    def look_up(self, function: Callable[[sqlite3.Connection, *K], T], *key: *K) -> T:
        """As `read`, for rows that are asked for again and again; `function` gives what nobody can change, such as bytes.

        INVARIANT: what was read before is given again only while nobody has committed anything to the file since, here or in
        another process: the engine tells, in 3 µs, and is asked once in each turn of the loop. Whoever has committed something
        through this process is told so in a later turn.
        """
        parts = self._parts
        if not parts.is_looked_at:
            self._look(parts)
        if len(parts.known) >= _MOST_KNOWN:
            parts.known.clear()
        place = function, key
        found: T | None = parts.known.get(place)
        if found is None:
            found = parts.known[place] = self.read(function, *key)
        return found

    def _look(self, parts: _Open) -> None:
        """Forget what was read when something was committed since; good until the turn of the loop is over."""
        try:
            version = parts.rows.execute("PRAGMA data_version").fetchone()[0]
        except sqlite3.Error as fault:
            raise faults.unavailable(fault, self.path) from fault
        if version != parts.version:
            parts.known.clear()
            parts.version = version
        parts.is_looked_at = True
        parts.loop.call_soon(parts.end_turn)

    async def some(self, function: Callable[Concatenate[sqlite3.Connection, A], T], *args: A.args, **kwargs: A.kwargs) -> T:
        """A few hundred rows at most, read here, and then the turn of others.

        Beside a busy loop a thread wins the interpreter's lock back for each row, after five milliseconds each (measured: 4,000
        documents in 1.3 s, here in 0.07 s, two milliseconds at a time).
        """
        found = self.read(function, *args, **kwargs)
        await asyncio.sleep(0)
        return found

    async def list(self, function: Callable[Concatenate[sqlite3.Connection, A], T], *args: A.args, **kwargs: A.kwargs) -> T:
        """Many rows, read on the thread for that."""
        parts = self._parts
        try:
            return await asyncio.get_running_loop().run_in_executor(
                parts.thread, lambda: function(parts.lists, *args, **kwargs)
            )
        except sqlite3.Error as fault:
            raise faults.unavailable(fault, self.path) from fault

    async def write(self, function: Callable[[sqlite3.Connection], T], *, can_wait: bool = False) -> T:
        """What `function` gives back, once what it wrote is durable; `can_wait` as in `Store.advance`."""
        writer = self._parts.writer
        return await writer.run(lambda: function(writer.connection), can_wait=can_wait)

    @property
    def is_refusing(self) -> bool:
        """Whether a write was refused by the disk or the file since `has_room` was called."""
        return self._parts.writer.is_refusing

    def has_room(self) -> None:
        """Much was written: whatever was refused before would be taken now."""
        self._parts.writer.is_refusing = False


def _connected(path: pathlib.Path) -> tuple[sqlite3.Connection, ...]:
    """The connections that write, read rows and read lists: all of them or none."""
    with ExitStack() as undo:
        try:
            made = tuple(
                undo.enter_context(closing(schema.connect(path, wait_ms=wait_ms, is_reader=is_reader)))
                # the event loop never waits for the writer's lock: the writer's thread does
                for wait_ms, is_reader in ((0, False), (_ROW_WAIT_MS, True), (_LIST_WAIT_MS, True))
            )
        except sqlite3.Error as fault:
            raise faults.at_opening(fault, path) from fault
        undo.pop_all()
    return made


class _Open:
    """What an open file holds."""

    def __init__(self, connections: tuple[sqlite3.Connection, ...], path: pathlib.Path) -> None:
        writing, self.rows, self.lists = connections
        self.version = 0
        self.is_looked_at = False
        """Whether `version` was asked for in this turn of the loop."""
        self.loop = asyncio.get_running_loop()
        self.known: dict[Any, Any] = {}
        """Rows that were read since the file was last committed to."""
        self.writer = Writer(writing, path)
        self.thread = ThreadPoolExecutor(1, thread_name_prefix="kontor-store-lists")

    def end_turn(self) -> None:
        self.is_looked_at = False

    async def close(self) -> None:
        await asyncio.to_thread(self.thread.shutdown)
        self.lists.close()
        self.rows.close()
        await self.writer.close()
