"""What is free in a PostgreSQL database, as far as that can be given back while nodes use it: `VACUUM`.

The server's autovacuum does the same by itself, later: it makes the room of rows that are gone free for new ones, and cuts off what is
free at the end of a table. What lies in the middle of a table, and what indexes hold, goes back to the disk only by `VACUUM FULL` or
`REINDEX`, which lock what they work on: that is left to the database's administrator.
Source: PostgreSQL, "Routine Vacuuming".
"""

from __future__ import annotations

from typing import Any, Final

from connector.storage.postgres import faults, schema
from connector.storage.postgres.link import Link

_LONGEST_S: Final = 86_400.0
_OURS: Final = (
    "SELECT c.relname, pg_total_relation_size(c.oid) FROM pg_catalog.pg_class AS c"
    " WHERE c.relkind = 'r' AND c.relnamespace = current_schema()::regnamespace"
    " AND pg_has_role(c.relowner, 'USAGE') ORDER BY c.relname"
)


async def compact(url: str) -> tuple[int, int]:
    """The bytes of our tables and their indexes before and after.

    Raises: ConfigurationError, StoreUnavailable.
    """
    link = Link(url, size=1)
    connection = await link.connect()
    try:
        await schema.recognise(connection, link.where)
        await connection.execute("SET statement_timeout = 0")
        before = await _sizes(connection)
        for name in before:
            quoted = await connection.fetchval("SELECT quote_ident($1)", name)
            await connection.execute(f"VACUUM (ANALYZE) {quoted}", timeout=_LONGEST_S)
        after = await _sizes(connection)
    except Exception as fault:
        raise faults.at_opening(fault, link.where) from fault
    finally:
        await link.hang_up(connection)
    return sum(before.values()), sum(after.values())


async def _sizes(connection: Any) -> dict[str, int]:
    return {str(name): int(size) for name, size in await connection.fetch(_OURS)}
