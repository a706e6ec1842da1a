"""The record of the federated catalogue in tables beside the state store, shared by all search replicas."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from importlib import resources
from typing import Any, Final

import orjson

from connector.storage.catalog.engine import Row, Work
from connector.storage.postgres.link import Link
from connector.storage.queries import statements

_LOCK: Final = 0x4B63746C
"""`Kctl`: of several replicas that start together, one makes the tables."""
_MACROS: Final = (
    (re.compile(r"\{texts:(\$\d+)\}"), r"(SELECT jsonb_array_elements_text(\1::jsonb))"),
    (re.compile(r"\{numbers:(\$\d+)\}"), r"(SELECT jsonb_array_elements_text(\1::jsonb)::bigint)"),
    (re.compile(r"\{lock\}"), " FOR UPDATE"),
    (re.compile(r"\{skip\}"), " FOR UPDATE SKIP LOCKED"),
)


def _written(sql: str) -> str:
    for pattern, text in _MACROS:
        sql = pattern.sub(text, sql)
    return sql


SQL: Final = {name: _written(sql) for name, sql in statements("catalog").items()}


class PostgresEngine:
    """The engine on the database that `url` names."""

    def __init__(self, url: str, *, connections: int) -> None:
        self._link = Link(url, size=connections)

    async def open(self) -> None:
        """Raises: ConfigurationError, StoreUnavailable."""
        await self._link.open()
        script = (resources.files("connector.storage") / "sql" / "catalog" / "postgres.sql").read_text(encoding="utf-8")
        async with self._link.connection() as connection, connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock($1, hashtext(current_schema()))", _LOCK)
            await connection.execute(script)

    async def close(self) -> None:
        await self._link.close()

    @asynccontextmanager
    async def changing(self) -> AsyncIterator[Work]:
        async with self._link.connection() as connection, connection.transaction():
            yield _Session(connection)

    async def one(self, name: str, *values: object) -> list[Row]:
        async with self._link.connection() as connection:
            return await _Session(connection).rows(name, *values)

    async def give_back(self) -> int:
        return 0  # `autovacuum` does what can be done beside others

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Work]:
        async with (
            self._link.connection() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            yield _Session(connection)


class _Session:
    def __init__(self, connection: Any) -> None:
        self._connection = connection

    async def rows(self, name: str, *values: object) -> list[Row]:
        found: list[Row] = await self._connection.fetch(SQL[name], *(_given(value) for value in values))
        return [tuple(row) for row in found]

    async def many(self, name: str, values: Iterable[Sequence[object]]) -> None:
        given = list(values)
        if given:
            await self._connection.executemany(SQL[name], given)


def _given(value: object) -> object:
    return orjson.dumps(value).decode() if isinstance(value, list) else value
