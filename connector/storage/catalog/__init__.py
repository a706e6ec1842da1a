"""The record of the federated catalogue: one logic (`records`) over two engines (`sqlite`, `postgres`), and full text on SQLite."""

from __future__ import annotations

import pathlib

from connector.storage.catalog.records import CatalogRecords


def open_records(url: str, *, folder: pathlib.Path, connections: int) -> CatalogRecords:
    """The record beside the state store that `url` names, not open yet: tables in the same PostgreSQL database, or else the file
    `catalog.db` in `folder`. `memory:` keeps it in memory."""
    scheme = url.partition(":")[0]
    if scheme in ("postgresql", "postgres"):
        from connector.storage.catalog.postgres import PostgresEngine

        return CatalogRecords(PostgresEngine(url, connections=connections))
    from connector.storage.catalog.sqlite import SqliteEngine

    return CatalogRecords(SqliteEngine(None if scheme == "memory" else folder / "catalog.db"))
