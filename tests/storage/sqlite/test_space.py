"""What is free in a file goes back to the disk, in steps beside a writer; a file of an earlier release is written anew once."""

from __future__ import annotations

import os
import resource
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from connector.errors import ConfigurationError, StoreUnavailable
from connector.storage.sqlite import space
from connector.storage.sqlite.schema import prepare
from connector.storage.sqlite.store import SqliteStore
from connector.testing.store_contract.values import LEASE_S, key, negotiation, put


def filled(path: Path, mib: int = 2) -> None:
    """A store in which so much was written and forgotten again, between rows that stay."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN")
        body = b"x" * 8000
        rows = [(b"%020d" % number, number, body) for number in range(mib * 128)]
        connection.execute("CREATE TABLE filler (digest BLOB PRIMARY KEY, until INTEGER, body BLOB)")
        connection.executemany("INSERT INTO filler VALUES (?, ?, ?)", rows)
        connection.execute("DELETE FROM filler WHERE until % 50 <> 0")
        connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def made(path: Path) -> Path:
    prepare(path)
    filled(path)
    return path


def look(path: Path) -> space.Space:
    with closing(sqlite3.connect(path)) as connection:
        return space.look(connection)


@pytest.fixture(autouse=True)
def _little_is_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(space, "WORTH_BYTES", 1 << 20)


async def test_a_file_shrinks_while_a_node_writes_to_it(tmp_path: Path) -> None:
    path = made(tmp_path / "kontor.db")
    before = path.stat().st_size
    assert look(path).is_worth_it
    store = SqliteStore(path=path, node="here", lease_s=LEASE_S)
    await store.open()
    await put(store, negotiation("before"))
    given = await store.give_back()
    await put(store, negotiation("after"))
    await store.close()
    assert given > 0.8 * before
    assert path.stat().st_size < 0.2 * before
    assert not (tmp_path / "kontor.db-wal").exists()
    assert look(path).free_pages > 0  # not to its last byte: it would grow again with the next message
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    # once more there is nothing worth it
    assert await space.give_back(path) == 0
    again = SqliteStore(path=path, node="here", lease_s=LEASE_S)
    await again.open()
    assert await again.process(key("after")) == negotiation("after")
    await again.close()


async def test_a_full_disk_ends_it_without_harm(tmp_path: Path) -> None:
    path = made(tmp_path / "kontor.db")
    before = look(path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    # nothing more can be written behind this: the log is where a step is written first
    resource.setrlimit(resource.RLIMIT_FSIZE, (64 << 10, hard))
    try:
        with pytest.raises(StoreUnavailable):
            await space.give_back(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert look(path).pages >= before.pages // 2
    assert await space.give_back(path) > 0


async def test_a_file_of_an_earlier_release_is_written_anew_once_and_shrinks_by_itself_then(tmp_path: Path) -> None:
    path = made(tmp_path / "kontor.db")
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        # as earlier releases made it
        connection.execute("PRAGMA journal_mode = DELETE")
        connection.execute("PRAGMA auto_vacuum = NONE")
        connection.execute("VACUUM")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("DELETE FROM filler")
    filler = tmp_path / "kontor.db.new"
    filler.write_bytes(b"what a rewriting that was killed has left")
    assert not look(path).is_incremental
    assert await space.give_back(path) == 0
    store = SqliteStore(path=path, node="here", lease_s=LEASE_S)
    await store.open()
    await put(store, negotiation("kept"))
    with pytest.raises(ConfigurationError, match="a node has the state store open"):
        await space.compact(path)
    assert await store.process(key("kept")) is not None
    await store.close()
    before, after = await space.compact(path)
    assert after < before
    assert not filler.exists()
    assert path.stat().st_mode & 0o777 == 0o600
    assert look(path).is_incremental
    again = SqliteStore(path=path, node="here", lease_s=LEASE_S)
    await again.open()
    assert await again.process(key("kept")) == negotiation("kept")
    await put(again, negotiation("next"))
    await again.close()


async def test_a_rewriting_without_room_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = made(tmp_path / "kontor.db")
    before = path.read_bytes()
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 1000}))
    with pytest.raises(ConfigurationError, match="0 MiB are free"):
        space.rewrite(path)
    assert path.read_bytes()[100:] == before[100:]
    assert os.listdir(tmp_path) == ["kontor.db"]
