"""The record of the federated catalogue in a SQLite file of its own.

It is no state that cannot be had again, so the log is synced when it is folded in, not at each commit: a crash of the machine may
lose the last moments, and never leaves half of a transaction. One thread writes, one reads.
"""

from __future__ import annotations

import asyncio
import pathlib
import re
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from importlib import resources
from typing import Any, Final, TypeVar

import orjson

from connector.errors import ConfigurationError, SchemaTooNew
from connector.storage.catalog.engine import Row, Work
from connector.storage.queries import statements
from connector.storage.sqlite import space
from connector.storage.sqlite.faults import as_told, at_opening, is_environment, unavailable
from connector.storage.sqlite.schema import make, parts

T = TypeVar("T")
APPLICATION_ID: Final = 0x4B63746C
"""`Kctl` in the file's header."""
_STEPS: Final = ("sqlite.sql", *(f"sqlite_{number}.sql" for number in range(2, 9)))
"""What brings the schema from one version to the next, from 0 on; what is in a file of an older version stays."""
_VERSION: Final = len(_STEPS)
_MACROS: Final = (
    (re.compile(r"\{(?:texts|numbers):(\$\d+)\}"), r"(SELECT value FROM json_each(\1))"),
    (re.compile(r"\{lock\}|\{skip\}"), ""),
    (re.compile(r"\$(\d+)"), r"?\1"),
)


def _written(sql: str) -> str:
    for pattern, text in _MACROS:
        sql = pattern.sub(text, sql)
    return sql


SQL: Final = {name: _written(sql) for name, sql in statements("catalog").items()}


class SqliteEngine:
    """The engine on the file `path`; None for memory."""

    def __init__(self, path: pathlib.Path | None) -> None:
        self._path = path
        self._writer: _Thread | None = None
        self._reader: _Thread | None = None
        self._one = asyncio.Lock()
        self._one_reader = asyncio.Lock()

    async def open(self) -> None:
        """Raises: ConfigurationError, SchemaTooNew, StoreUnavailable."""
        self._writer = _Thread(self._path)
        await self._writer.run(lambda connection: _prepare(connection, self._path))
        # what lives in memory has one connection
        self._reader = _Thread(self._path) if self._path is not None else self._writer
        if self._path is None:
            self._one_reader = self._one
        else:
            await self._reader.run(lambda connection: connection.execute("PRAGMA query_only = ON") and None)

    async def close(self) -> None:
        for thread in {self._writer, self._reader} - {None}:
            assert thread is not None
            await thread.close()
        self._writer = self._reader = None

    @asynccontextmanager
    async def changing(self) -> AsyncIterator[Work]:
        assert self._writer is not None, "the record is not open"
        async with self._one:
            await self._writer.run(lambda connection: connection.execute("BEGIN IMMEDIATE") and None)
            try:
                yield self._writer
                await self._writer.run(lambda connection: connection.execute("COMMIT") and None)
            except BaseException:
                await asyncio.shield(self._writer.run(_undo))
                raise

    async def one(self, name: str, *values: object) -> list[Row]:
        # by itself a statement sees one state: no way to the thread and back for a transaction around it
        assert self._reader is not None, "the record is not open"
        async with self._one_reader:
            return await self._reader.rows(name, *values)

    async def give_back(self) -> int:
        return await space.give_back(self._path) if self._path is not None else 0

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Work]:
        assert self._reader is not None, "the record is not open"
        async with self._one_reader:
            await self._reader.run(lambda connection: connection.execute("BEGIN") and None)
            try:
                yield self._reader
            finally:
                await asyncio.shield(self._reader.run(_undo))


def _undo(connection: sqlite3.Connection) -> None:
    if connection.in_transaction:
        connection.execute("ROLLBACK")


class _Thread:
    """A connection and the one thread that uses it."""

    def __init__(self, path: pathlib.Path | None) -> None:
        self._path = path
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="catalog")
        self._connection: sqlite3.Connection | None = None

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._guarded, work)

    def _guarded(self, work: Callable[[sqlite3.Connection], T]) -> T:
        where = self._path or pathlib.Path("memory:")
        try:
            if self._connection is None:
                self._connection = _connected(self._path)
            return work(self._connection)
        except sqlite3.Error as fault:
            if is_environment(fault):
                raise unavailable(fault, where) from fault
            raise as_told(fault) from fault

    async def rows(self, name: str, *values: object) -> list[Row]:
        given = [_given(value) for value in values]
        return await self.run(lambda connection: connection.execute(SQL[name], given).fetchall())

    async def many(self, name: str, values: Iterable[Sequence[object]]) -> None:
        given = list(values)
        if given:
            await self.run(lambda connection: connection.executemany(SQL[name], given) and None)

    async def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await asyncio.get_running_loop().run_in_executor(self._pool, connection.close)
        self._pool.shutdown(wait=True)


def _given(value: object) -> Any:
    return orjson.dumps(value).decode() if isinstance(value, list) else value


def _connected(path: pathlib.Path | None) -> sqlite3.Connection:
    if path is not None:
        make(path)
    connection = sqlite3.connect(
        path or ":memory:", isolation_level=None, timeout=10, check_same_thread=False, cached_statements=64
    )
    # counts for a new file alone: what is freed in it can be given back to the disk
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA cache_size = -16384")
    return connection


def _prepare(connection: sqlite3.Connection, path: pathlib.Path | None) -> None:
    """See to it that the file holds our schema.

    Raises: ConfigurationError, SchemaTooNew.
    """
    where = str(path)
    try:
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if (tables == 0 and application == 0) or (application == APPLICATION_ID and version < _VERSION):
            connection.execute("BEGIN IMMEDIATE")
            # another node on the file may have been faster
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            for name in _STEPS[version:]:
                script = (resources.files("connector.storage") / "sql" / "catalog" / name).read_text(encoding="utf-8")
                for statement in parts(script):
                    connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {_VERSION}")
            connection.execute("COMMIT")
            return
    except sqlite3.Error as fault:
        raise at_opening(fault, path or pathlib.Path("memory:")) from fault
    if application != APPLICATION_ID:
        raise ConfigurationError("this is a database of another program", where=where, mend="move the file out of the way")
    if version > _VERSION:
        mend = "run the release that wrote it or a newer one, or remove the file: it is made anew from the members"
        raise SchemaTooNew(
            f"the catalogue's record has schema {version}, this release knows {_VERSION}", where=where, mend=mend
        )
