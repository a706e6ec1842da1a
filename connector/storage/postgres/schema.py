"""The schema in the database: making it, recognising it, bringing it up to date.

Its version stands in the table `kontor_schema`. The first schema of the search path is used; when it is empty it gets our
tables at once. An older one is left alone until the operator says `kontor migrate`, after a backup. All steps that are
missing are one transaction under an advisory lock: of several replicas that start together, one does the work.
"""

from __future__ import annotations

from typing import Any, Final

from connector.errors import ConfigurationError, SchemaTooNew
from connector.storage.queries import Migration, migrations

_LOCK: Final = 0x4B6E7472
"""`Kntr`: the first half of the advisory lock; the second is the schema."""
_OLDEST_SERVER: Final = 13


def latest() -> int:
    """The schema's version in this release."""
    return migrations("postgres")[-1].version


async def prepare(connection: Any, where: str, wanted: int | None = None) -> None:
    """See to it that the database holds the present schema; that of version `wanted`, or a newer one.

    Raises: SchemaTooNew; ConfigurationError for a foreign or older one.
    """
    await check_server(connection, where)
    version = await recognise(connection, where)
    steps = tuple(step for step in migrations("postgres") if wanted is None or step.version <= wanted)
    if version == 0:
        await migrate(connection, where, steps)
    elif version < steps[-1].version:
        raise ConfigurationError(
            f"the state store has schema {version}, this release needs {steps[-1].version}",
            where=where,
            mend="make a backup, then run `kontor migrate`",
        )


async def check_server(connection: Any, where: str) -> None:
    """Nothing, when the server and the database are of a kind that we can use.

    Raises: ConfigurationError.
    """
    found = connection.get_server_version().major
    if found < _OLDEST_SERVER:
        raise ConfigurationError(
            f"this is PostgreSQL {found}", where=where, mend=f"use PostgreSQL {_OLDEST_SERVER} or newer for the state store"
        )
    encoding = await connection.fetchval("SELECT current_setting('server_encoding')")
    if encoding != "UTF8":
        raise ConfigurationError(
            f"this database keeps texts as {encoding}", where=where, mend="create it with `ENCODING 'UTF8'`"
        )
    if await connection.fetchval("SELECT current_schema()") is None:
        raise ConfigurationError(
            "no schema of the search path exists", where=where, mend="create it, or take `search_path` out of `store.url`"
        )


async def recognise(connection: Any, where: str) -> int:
    """The schema's version; 0 when there is nothing yet.

    Raises: SchemaTooNew; ConfigurationError when the tables are somebody else's.
    """
    ours, tables = await connection.fetchrow(
        "SELECT coalesce(bool_or(tablename = 'kontor_schema'), false), count(*)"
        " FROM pg_catalog.pg_tables WHERE schemaname = current_schema()"
    )
    if not ours:
        if tables:
            raise ConfigurationError(
                "this is a database of another program", where=where, mend="name another database or schema in `store.url`"
            )
        return 0
    version = int(await connection.fetchval("SELECT version FROM kontor_schema"))
    if version > latest():
        raise SchemaTooNew(
            f"the state store has schema {version}, this release knows {latest()}",
            where=where,
            mend="run the release that wrote it or a newer one, or restore a backup",
        )
    return version


async def migrate(connection: Any, where: str, steps: tuple[Migration, ...] | None = None) -> tuple[int, int]:
    """The versions before and after the steps that were missing; `steps` are those of this release."""
    async with connection.transaction():
        # 1. one at a time; waiting for another replica and rewriting a large table may take their time
        await connection.execute("SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0")
        await connection.execute("SELECT pg_advisory_xact_lock($1, hashtext(current_schema()))", _LOCK)
        # 2. another replica may have been quicker
        before = after = await recognise(connection, where)
        # 3. what is missing; all or nothing
        for step in migrations("postgres") if steps is None else steps:
            if after < step.version:
                await connection.execute(step.script, timeout=None)
                await connection.execute("UPDATE kontor_schema SET version = $1", step.version)
                after = step.version
    return before, after
