"""The file of a SQLite store: made private, recognised, migrated one step at a time, and left alone when it is not ours."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from connector.errors import ConfigurationError, SchemaTooNew
from connector.storage.queries import Migration, migrations
from connector.storage.sqlite import schema
from connector.storage.sqlite.store import SqliteStore
from connector.testing.store_contract.values import LEASE_S, negotiation, put

LATEST = schema.latest()
NEXT = Migration(
    version=LATEST + 1,
    name="next.sql",
    script="ALTER TABLE process ADD COLUMN note TEXT;\n-- a comment; with a semicolon\nUPDATE process SET note = 'a;b'\n",
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "kontor.db"


def at(path: Path) -> SqliteStore:
    return SqliteStore(path=path, node="here", lease_s=LEASE_S)


def header(path: Path, pragma: str) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute(f"PRAGMA {pragma}").fetchone()[0])


def content(path: Path) -> bytes:
    return path.read_bytes()


def made(path: Path, content: bytes) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)


async def filled(path: Path) -> None:
    store = at(path)
    await store.open()
    await put(store, negotiation("one"))
    await store.close()


async def test_a_new_file_gets_the_schema_and_is_private(path: Path) -> None:
    before = os.umask(0)
    try:
        store = at(path)
        await store.open()
        await put(store, negotiation("one"))
    finally:
        os.umask(before)
    assert {file.name for file in path.parent.iterdir()} == {"kontor.db", "kontor.db-wal", "kontor.db-shm"}
    assert [stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()] == [0o600] * 3
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    await store.close()
    assert header(path, "user_version") == LATEST
    assert header(path, "application_id") == schema.APPLICATION_ID


async def test_every_commit_is_synced_and_readers_never_wait(path: Path) -> None:
    schema.prepare(path)
    with closing(schema.connect(path, wait_ms=0)) as connection:
        asked = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        assert [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in asked] == ["wal", 2, 1, 0]


async def test_an_empty_file_is_a_new_one(path: Path) -> None:
    made(path, b"")
    await filled(path)
    assert header(path, "user_version") == LATEST


async def test_nodes_that_open_a_new_file_at_once_agree(path: Path) -> None:
    stores = [SqliteStore(path=path, node=f"n{number}", lease_s=LEASE_S) for number in range(6)]
    await asyncio.gather(*(store.open() for store in stores))
    await asyncio.gather(*(put(store, negotiation(f"p{number}")) for number, store in enumerate(stores)))
    for store in stores:
        await store.close()


async def test_a_file_of_a_newer_release_is_refused_and_left_alone(path: Path) -> None:
    await filled(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {LATEST + 3}")
    for call in (at(path).open, at(path).migrate):
        with pytest.raises(SchemaTooNew, match=rf"schema {LATEST + 3}, this release knows {LATEST}.*kontor\.db"):
            await call()
    assert header(path, "user_version") == LATEST + 3


async def test_an_older_file_waits_for_the_operator(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    await filled(path)
    monkeypatch.setattr(schema, "migrations", lambda dialect: (*migrations(dialect), NEXT))
    with pytest.raises(ConfigurationError, match=r"kontor\.db.*backup.*`kontor migrate`") as refusal:
        await at(path).open()
    assert not isinstance(refusal.value, SchemaTooNew)
    assert header(path, "user_version") == LATEST
    assert await at(path).migrate() == (LATEST, LATEST + 1)
    assert await at(path).migrate() == (LATEST + 1, LATEST + 1)
    store = at(path)
    await store.open()
    assert await store.process(await put(store, negotiation("two"))) == negotiation("two")
    await store.close()
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT pid, note FROM process ORDER BY id").fetchall() == [("one", "a;b"), ("two", None)]


async def test_a_new_file_can_be_made_by_migrating(path: Path) -> None:
    assert await at(path).migrate() == (0, LATEST)
    await filled(path)


async def test_a_step_that_fails_leaves_the_schema_as_it_was(path: Path) -> None:
    await filled(path)
    broken = Migration(version=LATEST + 2, name="broken.sql", script="CREATE TABLE extra (a);\nINSERT INTO nowhere VALUES (1);")
    with pytest.raises(sqlite3.OperationalError, match="nowhere"), closing(schema.connect_plainly(path)) as connection:
        schema.run(connection, path, (*migrations("sqlite"), NEXT, broken))
    assert header(path, "user_version") == LATEST
    with closing(sqlite3.connect(path)) as connection:
        assert not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'extra'").fetchall()


async def test_a_database_of_another_program_is_refused_and_left_alone(path: Path) -> None:
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE songs (title TEXT)")
    before = content(path)
    for call in (at(path).open, at(path).migrate):
        with pytest.raises(ConfigurationError, match=r"another program at .*kontor\.db.*`store\.url`"):
            await call()
    assert content(path) == before
    assert [file.name for file in path.parent.iterdir()] == ["kontor.db"]


async def test_a_file_that_is_no_database_is_refused_and_left_alone(path: Path) -> None:
    made(path, b"title,artist\n" * 500)
    for call in (at(path).open, at(path).migrate):
        with pytest.raises(ConfigurationError, match=r"no SQLite database.*kontor\.db.*`store\.url`"):
            await call()
    assert content(path) == b"title,artist\n" * 500


async def test_a_damaged_file_says_so_and_names_the_mend(path: Path) -> None:
    await filled(path)
    whole = content(path)
    made(path, whole[:100] + b"\xff" * 3996 + whole[4096:])
    with pytest.raises(ConfigurationError, match=r"damaged.*kontor\.db.*backup"):
        await at(path).open()


async def test_a_folder_or_a_place_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for place in (tmp_path, tmp_path / "file" / "kontor.db"):
        with pytest.raises(ConfigurationError, match=r"cannot be opened.*`store\.url`"):
            await at(place).open()


def test_a_script_is_cut_into_its_statements() -> None:
    script = "-- first; of all\nCREATE TABLE a (\n  b -- why; because\n);\nINSERT INTO a VALUES (';');\nDROP TABLE a\n"
    assert [part.splitlines()[-1] for part in schema.parts(script)] == [");", "INSERT INTO a VALUES (';');", "DROP TABLE a"]
