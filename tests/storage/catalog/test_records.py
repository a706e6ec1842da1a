"""The record of the federated catalogue keeps its contract, in memory, in a file and on PostgreSQL."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from importlib import resources
from pathlib import Path

import pytest

from connector.errors import ConfigurationError, SchemaTooNew
from connector.storage.catalog import open_records
from connector.storage.catalog.records import CatalogRecords
from connector.storage.catalog.sqlite import APPLICATION_ID, SQL
from connector.testing.catalog_contract import NOW, CatalogContract, entry, listed, snapshot
from connector.testing.catalog_lies_contract import LiesContract
from connector.testing.catalog_readers_contract import ReadersContract
from tests.servers.postgres import emptied

Pair = tuple[CatalogRecords, CatalogRecords]


@asynccontextmanager
async def opened(url: str, folder: Path) -> AsyncIterator[CatalogRecords]:
    found = open_records(url, folder=folder, connections=4)
    await found.open()
    yield found
    await found.close()


class TestInMemory(CatalogContract, ReadersContract, LiesContract):
    @pytest.fixture
    async def records(self, tmp_path: Path) -> AsyncIterator[Pair]:
        async with opened("memory:", tmp_path) as found:
            yield found, found


class TestInAFile(CatalogContract, ReadersContract, LiesContract):
    @pytest.fixture
    async def records(self, tmp_path: Path) -> AsyncIterator[Pair]:
        async with opened("sqlite:///x.db", tmp_path) as first, opened("sqlite:///x.db", tmp_path) as second:
            yield first, second


class TestOnPostgres(CatalogContract, ReadersContract, LiesContract):
    @pytest.fixture
    async def records(self, postgres: str, tmp_path: Path) -> AsyncIterator[Pair]:
        async with emptied(postgres) as url, opened(url, tmp_path) as first, opened(url, tmp_path) as second:
            yield first, second


async def test_what_was_taken_over_is_there_after_a_restart(tmp_path: Path) -> None:
    async with opened("sqlite:///x.db", tmp_path) as records:
        await records.list_members([listed("a")], NOW)
        await records.swap([snapshot("a", entry("a", "1"))], NOW)
    async with opened("sqlite:///x.db", tmp_path) as records:
        assert [change.key[1] for change in await records.changes(0, 9)] == ["1"]


async def test_a_file_of_the_first_schema_is_brought_up_to_date_with_what_it_holds(tmp_path: Path) -> None:
    script = (resources.files("connector.storage") / "sql" / "catalog" / "sqlite.sql").read_text(encoding="utf-8")
    with closing(sqlite3.connect(tmp_path / "catalog.db")) as connection:
        connection.executescript(f"{script}PRAGMA application_id = {APPLICATION_ID};PRAGMA user_version = 1;")
        connection.execute(
            "INSERT INTO catalog_member (id, address, kind, title, state) VALUES ('a', 'b', 'connector', 'c', 'listed')"
        )
        connection.commit()
    async with opened("sqlite:///x.db", tmp_path) as records:
        member = await records.member("a")
        assert member is not None
        assert member.announced == 0


async def test_who_said_something_of_itself_to_an_older_release_is_looked_at_anew(tmp_path: Path) -> None:
    folder = resources.files("connector.storage") / "sql" / "catalog"
    script = "".join((folder / name).read_text(encoding="utf-8") for name in ("sqlite.sql", "sqlite_2.sql", "sqlite_3.sql"))
    member = "INSERT INTO catalog_member (id, address, kind, title, state, next_at, validators, about) VALUES "
    with closing(sqlite3.connect(tmp_path / "catalog.db")) as connection:
        connection.executescript(f"{script}PRAGMA application_id = {APPLICATION_ID};PRAGMA user_version = 3;")
        connection.execute(f"{member}('a', 'x', 'connector', 'c', 'listed', 9, '{{\"pages\":[]}}', '{{}}')")
        connection.execute(f"{member}('b', 'x', 'connector', 'c', 'listed', 9, '{{\"pages\":[]}}', NULL)")
        connection.execute("INSERT INTO catalog_product VALUES (1, 'did:web:o', 'urn:x', 'a', 0, 0, 1)")
        connection.execute("INSERT INTO catalog_entry VALUES ('a', 1, 0, 'd', 't', 'e', '[]', NULL, '{}', '?')")
        connection.commit()
    async with opened("sqlite:///x.db", tmp_path) as records:
        a, b = await records.member("a"), await records.member("b")
        assert a is not None
        assert b is not None
        assert (a.validators, b.validators) == ({}, {"pages": []})
        assert a.next_at is not None
        assert a.next_at.year == 1970
        assert await records.waiting() == ["?did:web:o"]


@pytest.mark.parametrize(
    ("name", "index"),
    [
        ("forgettable", "INDEX catalog_product_gone (changed_at<?)"),
        ("forget", "INDEX catalog_product_gone (changed_at<?)"),
        ("numbers_changed", "COVERING INDEX catalog_product_sequence (sequence>?)"),
        ("claim_due", "INDEX catalog_member_due (next_at<?)"),
    ],
)
async def test_what_is_asked_every_moment_looks_at_no_more_than_it_finds(tmp_path: Path, name: str, index: str) -> None:
    async with opened("sqlite:///x.db", tmp_path):
        with closing(sqlite3.connect(tmp_path / "catalog.db")) as connection:
            given = range(1, 1 + len(set(re.findall(r"[?][0-9]+", SQL[name]))))
            plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {SQL[name]}", tuple(given))]
    assert any(line.endswith(index) for line in plan)
    assert not any(line.startswith("SCAN") or "TEMP B-TREE" in line for line in plan)


async def test_a_transaction_that_breaks_leaves_nothing(tmp_path: Path) -> None:
    async with opened("sqlite:///x.db", tmp_path) as records:
        await records.list_members([listed("a")], NOW)
        broken = snapshot("a", entry("a", "1"), validators={"what": object()})
        with pytest.raises(TypeError):
            await records.swap([broken], NOW)
        assert await records.changes(0, 9) == []
        assert await records.swap([snapshot("a", entry("a", "1"))], NOW) == 1


async def test_a_file_of_somebody_else_or_of_tomorrow_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "catalog.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE mine (x)")
    with pytest.raises(ConfigurationError, match="another program"):
        await open_records("sqlite:///x.db", folder=tmp_path, connections=4).open()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(SchemaTooNew):
        await open_records("sqlite:///x.db", folder=tmp_path, connections=4).open()
