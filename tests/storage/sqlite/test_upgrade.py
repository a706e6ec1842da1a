"""A store of the first schema, with rows in it, becomes one of this release, and nothing in it is another than before."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from connector.errors import ConfigurationError
from connector.ports.store import Filter
from connector.storage.archive import TABLES
from connector.storage.queries import migrations
from connector.storage.sqlite.rows import SqliteSource
from connector.storage.sqlite.schema import APPLICATION_ID, latest
from connector.storage.sqlite.store import SqliteStore
from connector.testing.store_contract.values import LEASE_S, NOW, full_negotiation, key, negotiation, put
from tests.storage.filled import fill, rows_of

FIRST = ("process", "step", "outbox", "due", "agreement", "document", "revision")


async def test_the_first_schema_with_rows_becomes_this_one(tmp_path: Path) -> None:
    # 1. a store as the first release left it: its committed script, and rows
    store = SqliteStore(path=tmp_path / "rows.db", node="here", lease_s=LEASE_S)
    await store.open()
    await fill(store)
    await store.close()
    rows = await rows_of(SqliteSource(tmp_path / "rows.db"))
    old = tmp_path / "kontor.db"
    connection = sqlite3.connect(old)
    connection.executescript(migrations("sqlite")[0].script)
    for table in TABLES:
        if table.name in FIRST:
            places = ", ".join("?" * len(table.columns))
            connection.executemany(f"INSERT INTO {table.name} ({', '.join(table.columns)}) VALUES ({places})", rows[table.name])
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute("PRAGMA user_version = 1")
    connection.commit()
    connection.close()
    # 2. it is left alone until the operator says so
    upgraded = SqliteStore(path=old, node="here", lease_s=LEASE_S)
    with pytest.raises(ConfigurationError, match="the state store has schema 1, this release needs"):
        await upgraded.open()
    assert await upgraded.migrate() == (1, latest())
    # 3. everything is there, and everything new works
    after = await rows_of(SqliteSource(old))
    assert {name: after[name] for name in FIRST} == {name: rows[name] for name in FIRST}
    await upgraded.open()
    assert await upgraded.process(key("full")) == full_negotiation("full")
    assert (await upgraded.agreements("alice", Filter())).total == 1
    await put(upgraded, negotiation("next"))
    assert await upgraded.replay.use("alice", "urn:i", "1", NOW, NOW)
    await upgraded.pulse(NOW)
    await upgraded.close()
