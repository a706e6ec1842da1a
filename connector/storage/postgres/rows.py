"""A PostgreSQL store as rows, for archives: read in one snapshot while nodes go on writing, or filled in one transaction."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from connector.dsp.process import Outgoing
from connector.dsp.tables import Event
from connector.storage import codec
from connector.storage.archive import TABLES, Row, Table
from connector.storage.postgres import faults, schema
from connector.storage.postgres.link import Link

_AT_ONCE: Final = 500
_OUTBOX: Final = ("id", "process", "message_id", "body", "tries", "created_at", "not_before", "free_at", "node")
_NUMBERED: Final = {
    "process": "id",
    "step": "id",
    "outbox": "id",
    "due": "id",
    "agreement": "seq",
    "job": "number",
    "book": "id",
}
"""Columns that the server counts on from."""
_FEED: Final = 4
"""The schema from which on steps know their transaction."""
_TEXTS: Final = frozenset({"participant", "kind", "stream"})
"""Columns that rows are ordered by and that have the database's own collation."""


class PostgresSource:
    """The database that `url` names."""

    def __init__(self, url: str) -> None:
        self._link = Link(url, size=1)
        self.where = self._link.where
        self.latest = schema.latest()

    @property
    def is_there(self) -> bool:
        return True

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[PostgresRows]:
        async with self._opened(isolation="repeatable_read", readonly=True) as rows:
            yield rows

    @asynccontextmanager
    async def writing(self, version: int) -> AsyncIterator[PostgresRows]:
        async with self._opened(version) as rows:
            # nobody writes meanwhile: what is empty stays so until we are done
            await rows.connection.execute("LOCK TABLE process, document, agreement IN EXCLUSIVE MODE")
            yield rows
            has = {table.name for table in await rows.tables()}
            for table, column in _NUMBERED.items():
                if table not in has:
                    continue
                await rows.connection.execute(
                    f"SELECT setval(pg_get_serial_sequence('{table}', '{column}'), max({column})) FROM {table}"
                    f" HAVING max({column}) IS NOT NULL"
                )

    async def migrate(self) -> None:
        connection = await self._link.connect()
        try:
            await schema.migrate(connection, self.where)
        except Exception as fault:
            raise faults.at_opening(fault, self.where) from fault
        finally:
            await self._link.hang_up(connection)

    @asynccontextmanager
    async def _opened(self, wanted: int | None = None, **transaction: Any) -> AsyncIterator[PostgresRows]:
        connection = await self._link.connect()
        try:
            if wanted is not None:
                await schema.prepare(connection, self.where, wanted)
            await schema.check_server(connection, self.where)
            version = await schema.recognise(connection, self.where)
            async with connection.transaction(**transaction):
                await connection.execute("SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0")
                yield PostgresRows(connection, version)
        except Exception as fault:
            raise faults.at_opening(fault, self.where) from fault
        finally:
            await self._link.hang_up(connection)


class PostgresRows:
    """The open database, inside a transaction."""

    def __init__(self, connection: Any, version: int) -> None:
        self.connection = connection
        self.schema = version

    async def tables(self) -> tuple[Table, ...]:
        rows = await self.connection.fetch("SELECT tablename FROM pg_catalog.pg_tables WHERE schemaname = current_schema()")
        names = {name for (name,) in rows}
        return tuple(table for table in TABLES if table.name in names)

    async def rows(self, table: Table) -> AsyncIterator[Row]:
        columns = _OUTBOX if table.name == "outbox" else table.columns
        # by code points, as the other stores sort
        order = ", ".join(f'{column} COLLATE "C"' if column in _TEXTS else column for column in table.order.split(", "))
        sql = f"SELECT {', '.join(columns)} FROM {table.name} ORDER BY {order}"
        async for row in self.connection.cursor(sql, prefetch=_AT_ONCE, timeout=None):
            yield _told(tuple(row)) if table.name == "outbox" else tuple(row)

    async def insert(self, table: Table, rows: list[Row]) -> None:
        columns, records = table.columns, rows
        if table.name == "outbox":
            columns, records = _OUTBOX, [_kept(row) for row in rows]
        elif table.name == "agreement":
            columns = (*columns, "negotiation")
            records = [(*row, codec.decode_agreement(row[-1]).negotiation) for row in rows]
        elif table.name == "step" and self.schema >= _FEED:
            # `feed.py`: what an archive brings was written by no transaction of this server
            columns, records = (*columns, "xact"), [(*row, 0) for row in rows]
        await self.connection.copy_records_to_table(table.name, columns=columns, records=records, timeout=None)


def _told(row: Row) -> Row:
    """A row of the outbox as every store's archive has it."""
    number, process, message_id, body, *rest = row
    outgoing = codec.decode_outgoing(body)
    return (number, process, message_id, outgoing.event.value, outgoing.url, outgoing.body, outgoing.is_harmless, *rest)


def _kept(row: Row) -> Row:
    """A row of an archive as this store's outbox has it."""
    number, process, message_id, event, url, body, is_harmless, *rest = row
    outgoing = Outgoing(message_id=message_id, event=Event(event), url=url, body=body, is_harmless=is_harmless)
    return (number, process, message_id, codec.encode(outgoing), *rest)
