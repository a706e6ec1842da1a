"""A SQLite store as rows, for archives: read in one view while a node goes on writing, or filled in one transaction."""

from __future__ import annotations

import pathlib
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing

from connector.errors import ConfigurationError
from connector.storage.archive import TABLES, Row, Table
from connector.storage.sqlite import faults, schema

_AT_ONCE = 500


class SqliteSource:
    """The file `path`."""

    def __init__(self, path: pathlib.Path) -> None:
        self._path = path
        self.where = str(path)
        self.latest = schema.latest()

    @property
    def is_there(self) -> bool:
        return self._path.is_file()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[SqliteRows]:
        if not self.is_there:
            raise ConfigurationError("there is no store yet", where=self.where, mend="check `store.url` and `node.data_dir`")
        async with self._opened("BEGIN") as rows:
            yield rows

    @asynccontextmanager
    async def writing(self, version: int) -> AsyncIterator[SqliteRows]:
        schema.prepare(self._path, version)
        async with self._opened("BEGIN IMMEDIATE") as rows:
            yield rows

    async def migrate(self) -> None:
        schema.migrate(self._path)

    @asynccontextmanager
    async def _opened(self, begin: str) -> AsyncIterator[SqliteRows]:
        try:
            with closing(schema.connect_plainly(self._path)) as connection:
                version = schema.recognise(connection, self._path)
                connection.execute("PRAGMA foreign_keys = ON")
                connection.execute(begin)
                try:
                    yield SqliteRows(connection, version)
                    connection.execute("COMMIT")
                except BaseException:
                    if connection.in_transaction:
                        connection.execute("ROLLBACK")
                    raise
        except sqlite3.Error as fault:
            raise faults.at_opening(fault, self._path) from fault


class SqliteRows:
    """The open file, inside a transaction."""

    def __init__(self, connection: sqlite3.Connection, version: int) -> None:
        self._connection = connection
        self.schema = version

    async def tables(self) -> tuple[Table, ...]:
        names = {name for (name,) in self._connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        return tuple(table for table in TABLES if table.name in names)

    async def rows(self, table: Table) -> AsyncIterator[Row]:
        held = table.columns.index("is_held") if "is_held" in table.columns else None
        # tables and columns are words of ours
        cursor = self._connection.execute(f"SELECT {', '.join(table.columns)} FROM {table.name} ORDER BY {table.order}")
        while some := cursor.fetchmany(_AT_ONCE):
            for row in some:
                yield _with_truth(table, row) if held is not None or table.name == "outbox" else row

    async def insert(self, table: Table, rows: list[Row]) -> None:
        places = ", ".join("?" * len(table.columns))
        self._connection.executemany(f"INSERT INTO {table.name} ({', '.join(table.columns)}) VALUES ({places})", rows)


def _with_truth(table: Table, row: Row) -> Row:
    return tuple(
        bool(cell) if name in ("is_held", "is_harmless") else cell for name, cell in zip(table.columns, row, strict=True)
    )
