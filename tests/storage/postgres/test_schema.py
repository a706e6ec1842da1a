"""The schema in a database: made, recognised, migrated by one replica at a time, and left alone when it is not ours."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import pytest

from connector.errors import ConfigurationError, SchemaTooNew
from connector.ports.documents import Changes
from connector.ports.store import Store
from connector.storage.postgres import schema
from connector.storage.postgres.store import PostgresStore
from connector.storage.queries import Migration, migrations
from connector.testing.store_contract.values import LEASE_S, document, negotiation, put

LATEST = schema.latest()
NEXT = Migration(
    version=LATEST + 1,
    name="next.sql",
    script="ALTER TABLE process ADD COLUMN note text;\n-- a comment; with a semicolon\nUPDATE process SET note = 'a;b';\n",
)


def at(url: str, node: str = "here") -> Store:
    return PostgresStore(url=url, node=node, lease_s=LEASE_S, connections=2)


DELETE_BEFORE_7 = """WITH gone AS (
  DELETE FROM document WHERE participant = 'alice' AND kind = 'asset' AND id = 'one' RETURNING participant
), grown AS (
  INSERT INTO revision AS kept (participant, number) SELECT participant, 1 FROM gone
  ON CONFLICT (participant) DO UPDATE SET number = kept.number + 1
)
SELECT count(*) FROM gone"""
"""How releases up to schema 6 delete a document."""


async def run(url: str, sql: str) -> Any:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(sql) if sql.startswith("SELECT") else await connection.execute(sql)
    finally:
        await connection.close()


async def test_replicas_that_start_together_on_an_empty_database_make_one_schema(database: str) -> None:
    stores = [at(database, f"node-{number}") for number in range(5)]
    await asyncio.gather(*(store.open() for store in stores))
    place = await put(stores[0], negotiation("one"))
    assert [await store.process(place) for store in stores] == [negotiation("one")] * 5
    await asyncio.gather(*(store.close() for store in stores))
    assert await run(database, "SELECT version FROM kontor_schema") == LATEST


async def test_migrating_tells_the_versions(database: str) -> None:
    assert await at(database).migrate() == (0, LATEST)
    assert await at(database).migrate() == (LATEST, LATEST)


async def test_a_database_of_another_program_is_left_alone(database: str) -> None:
    await run(database, "CREATE TABLE theirs (id integer)")
    for call in (at(database).open, at(database).migrate):
        with pytest.raises(ConfigurationError, match="another program"):
            await call()
    assert await run(database, "SELECT count(*) FROM pg_tables WHERE schemaname = current_schema()") == 1


async def test_a_newer_schema_is_refused(database: str) -> None:
    await at(database).migrate()
    await run(database, f"UPDATE kontor_schema SET version = {LATEST + 1}")
    for call in (at(database).open, at(database).migrate):
        with pytest.raises(SchemaTooNew, match=f"schema {LATEST + 1}, this release knows {LATEST}"):
            await call()


async def test_an_older_schema_waits_for_the_operator(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    store = at(database)
    await store.open()
    await put(store, negotiation("one"))
    await store.close()
    monkeypatch.setattr(schema, "migrations", lambda dialect: (*migrations(dialect), NEXT))
    with pytest.raises(ConfigurationError, match="kontor migrate"):
        await at(database).open()
    outcomes = await asyncio.gather(*(at(database).migrate() for _ in range(3)))
    assert sorted(outcomes) == [(LATEST, LATEST + 1), (LATEST + 1, LATEST + 1), (LATEST + 1, LATEST + 1)]
    assert await run(database, "SELECT note FROM process") == "a;b"
    await store.open()
    await store.close()


async def test_a_step_that_fails_leaves_the_schema_as_it_was(database: str) -> None:
    await at(database).migrate()
    connection = await asyncpg.connect(database)
    broken = Migration(version=LATEST + 2, name="broken.sql", script="DROP TABLE due; SELECT nothing")
    with pytest.raises(asyncpg.UndefinedColumnError):
        await schema.migrate(connection, "here", (*migrations("postgres"), NEXT, broken))
    assert await connection.fetchval("SELECT version FROM kontor_schema") == LATEST
    assert await connection.fetchval("SELECT count(*) FROM due") == 0
    await connection.close()


async def test_a_search_path_that_leads_nowhere_is_told(postgres: str) -> None:
    with pytest.raises(ConfigurationError, match="no schema of the search path exists"):
        await at(f"{postgres}?search_path=nowhere").open()


async def test_a_database_with_another_encoding_is_refused(postgres: str) -> None:
    await run(postgres, "CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'")
    try:
        with pytest.raises(ConfigurationError, match="keeps texts as LATIN1"):
            await at(f"{postgres.rpartition('/')[0]}/latin").open()
    finally:
        await run(postgres, "DROP DATABASE latin WITH (FORCE)")


async def test_what_a_node_of_the_release_before_deletes_during_an_upgrade_is_seen_by_those_of_this_one(database: str) -> None:
    store = at(database)
    await store.open()
    await store.put_document(document("one"))
    before = await store.revision("alice")
    await run(database, DELETE_BEFORE_7)
    assert await store.revision("alice") > before
    assert await store.documents_since("alice", before) == Changes(deleted=(("asset", "one"),))
    await store.close()
