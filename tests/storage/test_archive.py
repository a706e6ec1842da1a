"""A store in a file and back: whole, compared field by field, never over anything that is there."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from connector.errors import ConfigurationError, InternalError
from connector.ports.jobs import NewJob
from connector.storage import archive, source_of
from connector.storage.archive import TABLES, Source
from connector.storage.sqlite.rows import SqliteRows, SqliteSource
from connector.storage.sqlite.schema import prepare
from connector.storage.sqlite.store import SqliteStore
from connector.testing.store_contract.values import LEASE_S, NOW, key, negotiation, put
from tests.storage.filled import fill, rows_of


@pytest.fixture
async def source(tmp_path: Path) -> Source:
    """A store that holds something of everything and is still open at a node."""
    store = SqliteStore(path=tmp_path / "kontor.db", node="here", lease_s=LEASE_S)
    await store.open()
    await fill(store)
    await store.close()
    return SqliteSource(tmp_path / "kontor.db")


async def test_every_table_has_rows_and_every_column_of_the_schema_is_kept(source: Source, tmp_path: Path) -> None:
    found = await rows_of(source)
    assert [name for name, rows in found.items() if not rows] == []
    connection = sqlite3.connect(tmp_path / "kontor.db")
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    assert tables - {table.name for table in TABLES} <= {"pulse", "document_change", "sqlite_sequence"}
    for table in TABLES:
        assert [row[1] for row in connection.execute(f"PRAGMA table_info({table.name})")] == list(table.columns) or {
            row[1] for row in connection.execute(f"PRAGMA table_info({table.name})")
        } == set(table.columns)


async def test_a_backup_restored_is_the_same_store(source: Source, tmp_path: Path) -> None:
    file = tmp_path / "a.archive"
    counts = await archive.write(source, file, NOW)
    assert file.stat().st_mode & 0o777 == 0o600
    target = SqliteSource(tmp_path / "new" / "kontor.db")
    assert await archive.read(file, target) == counts
    assert await rows_of(target) == await rows_of(source)
    # what is written next is behind what was restored
    store = SqliteStore(path=tmp_path / "new" / "kontor.db", node="here", lease_s=LEASE_S)
    await store.open()
    await put(store, negotiation("next"))
    assert await store.process(key("next")) == negotiation("next")
    assert (await store.journal.append("alice", "audit", ())) == ()
    await store.close()


async def test_a_restored_store_begins_with_a_mark_where_something_had_not_ended(source: Source, tmp_path: Path) -> None:
    file = tmp_path / "a.archive"
    mark = NewJob(participant="@node", kind="restored", id="r", body={"written_at": "then"})
    counts = await archive.write(source, file, NOW)
    assert await archive.read(file, SqliteSource(tmp_path / "new.db"), mark=mark, now=NOW) == counts
    store = SqliteStore(path=tmp_path / "new.db", node="here", lease_s=LEASE_S)
    await store.open()
    (job,) = (await store.jobs.page("@node", kind="restored")).items
    assert (job.id, job.body, job.created_at) == ("r", {"written_at": "then"}, NOW)
    # what is put next comes behind it
    assert await store.jobs.put((NewJob(participant="alice", kind="k", id="next", body={}),), NOW) == 1
    await store.close()
    # where all has ended there is nothing to ask
    with closing(sqlite3.connect(tmp_path / "kontor.db", isolation_level=None)) as connection:
        connection.execute("UPDATE process SET state = 'TERMINATED'")
    await archive.write(source, tmp_path / "ended.archive", NOW)
    await archive.read(tmp_path / "ended.archive", SqliteSource(tmp_path / "over.db"), mark=mark)
    assert (await rows_of(SqliteSource(tmp_path / "over.db")))["job"] == (await rows_of(source))["job"]


async def test_a_backup_is_one_moment_of_a_store_that_is_written_to(source: Source, tmp_path: Path) -> None:
    store = SqliteStore(path=tmp_path / "kontor.db", node="here", lease_s=LEASE_S)
    await store.open()
    async with source.reading() as rows:
        before = [row async for row in rows.rows(TABLES[0])]
        await put(store, negotiation("meanwhile"))
        assert [row async for row in rows.rows(TABLES[0])] == before
    await store.close()


async def test_nothing_is_overwritten(source: Source, tmp_path: Path) -> None:
    file = tmp_path / "a.archive"
    await archive.write(source, file, NOW)
    with pytest.raises(ConfigurationError, match="there is such a file already"):
        await archive.write(source, file, NOW)
    before = await rows_of(source)
    with pytest.raises(ConfigurationError, match="the store is not empty: it has rows in `process`"):
        await archive.read(file, source)
    assert await rows_of(source) == before
    assert [name for name in os.listdir(tmp_path) if name.startswith("a.")] == ["a.archive"]


async def test_what_somebody_left_beside_a_backup_is_not_written_to(source: Source, tmp_path: Path) -> None:
    # 1. whoever may write to the folder sets a trap under a name that can be guessed
    theirs = tmp_path / "theirs"
    theirs.write_text("precious")
    theirs.chmod(0o644)
    (tmp_path / "a.archive.part").symlink_to(theirs)
    # 2. nothing of it is written through, and nothing is for others to read
    await archive.write(source, tmp_path / "a.archive", NOW)
    assert theirs.read_text() == "precious"
    assert (tmp_path / "a.archive").lstat().st_mode & 0o7777 == 0o600
    assert not (tmp_path / "a.archive").is_symlink()


@pytest.mark.parametrize("harm", ["cut", "changed", "flipped", "other", "text", "none"])
async def test_a_damaged_archive_is_refused_before_anything_is_written(source: Source, tmp_path: Path, harm: str) -> None:
    file, target = tmp_path / "a.archive", SqliteSource(tmp_path / "new.db")
    await archive.write(source, file, NOW)
    lines = gzip.decompress(file.read_bytes()).splitlines(keepends=True)
    match harm:
        case "cut":
            file.write_bytes(file.read_bytes()[:-40])
        case "changed":
            file.write_bytes(gzip.compress(b"".join(lines).replace(b"urn:bob", b"urn:eve")))
        case "flipped":
            body = bytearray(file.read_bytes())
            body[len(body) // 2 : len(body) // 2 + 64] = bytes(64)
            file.write_bytes(body)
        case "other":
            file.write_bytes(gzip.compress(b'{"form":"something"}\n'))
        case "text":
            file.write_bytes(b"hello")
        case _:
            file.unlink()
    with pytest.raises(ConfigurationError):
        await archive.read(file, target)
    assert not (tmp_path / "new.db").exists()


async def test_a_backup_from_before_a_migration_becomes_a_store_of_this_release(source: Source, tmp_path: Path) -> None:
    file, target = tmp_path / "a.archive", SqliteSource(tmp_path / "new.db")
    with closing(sqlite3.connect(tmp_path / "kontor.db")) as connection:
        connection.executescript("DROP TABLE posting; DROP TABLE book; DROP TABLE pulse; DROP TABLE document_change")
        connection.execute("PRAGMA user_version = 2")
    counts = await archive.write(source, file, NOW)
    assert "book" not in counts
    # a store that has another schema already is not the place for it
    prepare(tmp_path / "there.db")
    with pytest.raises(ConfigurationError, match=f"the archive is of schema 2, the store has {target.latest}"):
        await archive.read(file, SqliteSource(tmp_path / "there.db"))
    # its own indexes of later steps are no part of it: what is made is the second schema, filled, and then all that follows
    assert await archive.read(file, target) == counts
    after = await rows_of(target)
    assert after.pop("book") == after.pop("posting") == []
    async with source.reading() as rows:
        assert after == {table.name: [row async for row in rows.rows(table)] for table in await rows.tables()}
    store = SqliteStore(path=tmp_path / "new.db", node="here", lease_s=LEASE_S)
    await store.open()
    await put(store, negotiation("next"))
    await store.close()


async def test_an_archive_of_a_newer_release_waits_for_it(source: Source, tmp_path: Path) -> None:
    file, target = tmp_path / "a.archive", SqliteSource(tmp_path / "new.db")
    await archive.write(source, file, NOW)
    lines = gzip.decompress(file.read_bytes()).splitlines(keepends=True)[:-1]
    lines[0] = lines[0].replace(b'"schema":%d' % target.latest, b'"schema":99')
    foot = {"end": True, "rows": {}, "sha256": hashlib.sha256(b"".join(lines)).hexdigest()}
    file.write_bytes(gzip.compress(b"".join(lines) + json.dumps(foot).encode()))
    with pytest.raises(ConfigurationError, match=f"of schema 99, this release knows {target.latest}"):
        await archive.read(file, target)
    assert not (tmp_path / "new.db").exists()


async def test_a_store_that_keeps_something_else_than_it_was_given_is_found(
    source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, target = tmp_path / "a.archive", SqliteSource(tmp_path / "new.db")
    await archive.write(source, file, NOW)
    honest = SqliteRows.insert

    async def forgetful(self: SqliteRows, table: archive.Table, rows: list[archive.Row]) -> None:
        await honest(
            self,
            table,
            [tuple(0 if name == "tries" else c for name, c in zip(table.columns, row, strict=True)) for row in rows],
        )

    monkeypatch.setattr(SqliteRows, "insert", forgetful)
    with pytest.raises(InternalError, match="`job` differs after it was written, in tries"):
        await archive.read(file, target)
    assert all(rows == [] for rows in (await rows_of(target)).values())


async def test_there_must_be_a_store(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="there is no store yet"):
        await archive.write(source_of("sqlite:///none.db", folder=tmp_path), tmp_path / "a", NOW)
    with pytest.raises(ConfigurationError, match="this store keeps nothing"):
        source_of("memory:")
    with pytest.raises(ConfigurationError, match="kind of store"):
        source_of("mysql://x")
