"""What is free in a PostgreSQL database, given back as far as that goes: by `VACUUM` beside nodes, by `VACUUM FULL` without them.

The server's autovacuum does the former by itself, later: it makes the room of rows that are gone free for new ones, and cuts off what
is free at the end of a table. What lies in the middle of a table, and what indexes hold, goes back to the disk only when the table is
written anew, which locks it: that is done when it is asked for, and no node is connected.
Source: PostgreSQL, "Routine Vacuuming".
"""

from __future__ import annotations

from typing import Any, Final

from connector.errors import ConfigurationError
from connector.storage.postgres import faults, schema
from connector.storage.postgres.link import Link

_LONGEST_S: Final = 86_400.0
_OURS: Final = (
    "SELECT c.relname, pg_total_relation_size(c.oid) FROM pg_catalog.pg_class AS c"
    " WHERE c.relkind = 'r' AND c.relnamespace = current_schema()::regnamespace"
    " AND pg_has_role(c.relowner, 'USAGE') ORDER BY c.relname"
)
_NODES: Final = (
    "SELECT count(*) FROM pg_catalog.pg_stat_activity"
    " WHERE datname = current_database() AND application_name = 'kontor' AND pid <> pg_backend_pid()"
)


async def compact(url: str, *, is_full: bool = False) -> tuple[int, int]:
    """The bytes of our tables and their indexes before and after; with `is_full` they are written anew.

    Raises: ConfigurationError, also when nodes are connected that would wait for that; StoreUnavailable.
    """
    link = Link(url, size=1)
    connection = await link.connect()
    try:
        await schema.recognise(connection, link.where)
        await connection.execute("SET statement_timeout = 0")
        if is_full and (nodes := await connection.fetchval(_NODES)):
            mend = "stop the nodes: nobody can read or write a table while it is written anew"
            raise ConfigurationError(f"{nodes} connections of nodes are open", where=link.where, mend=mend)
        before, how = await _sizes(connection), "FULL, ANALYZE" if is_full else "ANALYZE"
        for name in before:
            quoted = await connection.fetchval("SELECT quote_ident($1)", name)
            await connection.execute(f"VACUUM ({how}) {quoted}", timeout=_LONGEST_S)
        after = await _sizes(connection)
    except Exception as fault:
        raise faults.at_opening(fault, link.where) from fault
    finally:
        await link.hang_up(connection)
    return sum(before.values()), sum(after.values())


async def _sizes(connection: Any) -> dict[str, int]:
    return {str(name): int(size) for name, size in await connection.fetch(_OURS)}
