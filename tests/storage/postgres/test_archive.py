"""A store moves between SQLite and PostgreSQL and back without a changed field; an old schema in PostgreSQL becomes this one."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import asyncpg
import pytest

from connector.errors import ConfigurationError
from connector.ports.jobs import NewJob
from connector.ports.store import Store
from connector.storage import archive, source_of
from connector.storage.postgres import schema
from connector.storage.postgres.rows import PostgresRows
from connector.storage.postgres.store import PostgresStore
from connector.storage.queries import migrations
from connector.storage.sqlite.rows import SqliteSource
from connector.storage.sqlite.store import SqliteStore
from connector.testing.store_contract.values import LEASE, LEASE_S, NOW, document, key, negotiation, put, record
from tests.servers.postgres import emptied
from tests.storage.filled import fill, rows_of

FIRST = ("process", "step", "outbox", "due", "agreement", "document", "revision")


def at(url: str) -> Store:
    return PostgresStore(url=url, node="here", lease_s=LEASE_S, connections=2)


async def _sqlite(path: Path) -> SqliteSource:
    store = SqliteStore(path=path, node="here", lease_s=LEASE_S)
    await store.open()
    await fill(store)
    await store.close()
    return SqliteSource(path)


async def test_a_store_goes_to_postgresql_and_back_without_a_changed_field(tmp_path: Path, database: str) -> None:
    here = await _sqlite(tmp_path / "kontor.db")
    there, back = source_of(database), SqliteSource(tmp_path / "back.db")
    counts = await archive.write(here, tmp_path / "to.archive", NOW)
    assert await archive.read(tmp_path / "to.archive", there) == counts
    assert await rows_of(there) == await rows_of(here)
    assert await archive.write(there, tmp_path / "from.archive", NOW) == counts
    await archive.read(tmp_path / "from.archive", back)
    assert await rows_of(back) == await rows_of(here)
    assert (tmp_path / "to.archive").read_bytes() == (tmp_path / "from.archive").read_bytes()
    # what is there is not overwritten
    with pytest.raises(ConfigurationError, match="the store is not empty"):
        await archive.read(tmp_path / "to.archive", there)
    # and it works on: new rows stand behind the old ones, leases and the order of the lanes hold
    store = at(database)
    await store.open()
    await put(store, negotiation("next"))
    assert await store.process(key("next")) == negotiation("next")
    await store.put_document(document("later"))
    assert [m.outgoing.message_id for m in await store.claim(NOW + LEASE)] == ["m1", "m2"]
    assert [job.id for job in await store.jobs.claim(("k",), NOW)] == ["1"]
    assert not await store.replay.use("alice", "urn:i", "1", NOW + LEASE, NOW)
    await store.close()


async def test_what_a_node_of_postgresql_wrote_goes_to_sqlite(tmp_path: Path, database: str) -> None:
    store = at(database)
    await store.open()
    await fill(store)
    await archive.write(source_of(database), tmp_path / "a.archive", NOW)
    await store.close()
    target = SqliteSource(tmp_path / "kontor.db")
    await archive.read(tmp_path / "a.archive", target)
    assert await rows_of(target) == await rows_of(source_of(database))


async def test_a_restored_database_begins_with_a_mark_also_from_the_first_schema(tmp_path: Path, database: str) -> None:
    mark = NewJob(participant="@node", kind="restored", id="r", body={"written_at": "then"})
    here = await _sqlite(tmp_path / "kontor.db")
    with closing(sqlite3.connect(tmp_path / "kontor.db")) as connection:
        connection.executescript(
            "DROP TABLE posting; DROP TABLE book; DROP TABLE pulse; DROP TABLE document_change; DROP TABLE job; DROP TABLE journal;"
            "DROP TABLE journal_stream; DROP TABLE used_token; PRAGMA user_version = 1"
        )
    await archive.write(here, tmp_path / "first.archive", NOW)
    await archive.read(tmp_path / "first.archive", source_of(database), mark=mark)
    store = at(database)
    await store.open()
    assert [job.id for job in (await store.jobs.page("@node", kind="restored")).items] == ["r"]
    assert await store.jobs.put((NewJob(participant="alice", kind="k", id="next", body={}),), NOW) == 1
    await store.close()


async def test_who_followed_a_store_goes_on_where_it_stood_in_the_restored_one(
    tmp_path: Path, database: str, postgres: str
) -> None:
    store = at(database)
    await store.open()
    for name in ("first", "second", "third"):
        await put(store, negotiation(name), records=(record(name),))
    position = (await store.feed.after("alice", None, limit=2)).position
    await archive.write(source_of(database), tmp_path / "a.archive", NOW)
    await store.close()
    async with emptied(postgres) as other:
        await archive.read(tmp_path / "a.archive", source_of(other))
        restored = at(other)
        await restored.open()
        behind = await restored.feed.after("alice", position)
        assert [one.pid for one in behind.happenings] == ["third"]
        await put(restored, negotiation("fourth"), records=(record("fourth"),))
        assert [one.pid for one in (await restored.feed.after("alice", behind.position)).happenings] == ["fourth"]
        assert [one.pid for one in (await restored.feed.after("alice", position)).happenings] == ["third", "fourth"]
        await restored.close()


async def test_the_first_schema_with_rows_becomes_this_one(tmp_path: Path, database: str) -> None:
    rows = await rows_of(await _sqlite(tmp_path / "rows.db"))
    connection = await asyncpg.connect(database)
    await connection.execute(migrations("postgres")[0].script)
    await connection.execute("UPDATE kontor_schema SET version = 1")
    for table in archive.TABLES:
        if table.name in FIRST:
            await PostgresRows(connection, 1).insert(table, rows[table.name])
    await connection.close()
    store = at(database)
    with pytest.raises(ConfigurationError, match="kontor migrate"):
        await store.open()
    # as it says: first a backup, with this release
    await archive.write(source_of(database), tmp_path / "old.archive", NOW)
    restored = source_of(f"sqlite:///{tmp_path / 'restored.db'}")
    await archive.read(tmp_path / "old.archive", restored)
    found = await rows_of(restored)
    assert {name: found[name] for name in FIRST} == {name: rows[name] for name in FIRST}
    assert await store.migrate() == (1, schema.latest())
    after = await rows_of(source_of(database))
    assert {name: after[name] for name in FIRST} == {name: rows[name] for name in FIRST}
