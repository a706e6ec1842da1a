"""The SQL beside the code: every statement is valid, used, and narrowed to a context or known to cross them."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path

import pytest

import connector.storage
from connector.storage.queries import migrations, statements

STATEMENTS = statements("sqlite")
# the workers' calls go across contexts; `running` is one of them; the others begin at a row that was found within a context
_BY_ROW = ("steps", "pending", "waiting_due")
_ACROSS = (
    "free_messages",
    "free_due",
    "next_moment",
    "running",
    "ended",
    "free_jobs",
    "next_job",
    "due_books",
    "next_book",
    "feed_end",
)


@pytest.fixture
def connection() -> sqlite3.Connection:
    made = sqlite3.connect(":memory:")
    for migration in migrations("sqlite"):
        made.executescript(migration.script)
    return made


@pytest.mark.parametrize("name", STATEMENTS)
def test_a_statement_fits_the_schema(connection: sqlite3.Connection, name: str) -> None:
    sql = STATEMENTS[name]
    numbered = {int(number) for number in re.findall(r"\?(\d+)", sql)}
    count = max(numbered) if numbered else sql.count("?")
    assert connection.execute(f"EXPLAIN {sql}", [None] * count).fetchall()


def test_every_statement_is_used() -> None:
    code = "".join(path.read_text() for path in Path(*connector.storage.__path__).rglob("*.py"))
    assert [name for name in STATEMENTS if f'SQL["{name}"]' not in code and f'"{name}"' not in code] == []


@pytest.mark.parametrize("name", [n for n, sql in STATEMENTS.items() if sql.startswith("SELECT")])
def test_a_look_is_within_a_context_unless_it_is_a_workers(name: str) -> None:
    assert ("participant = " in STATEMENTS[name]) is (name not in _BY_ROW + _ACROSS)


@pytest.mark.parametrize("name", STATEMENTS)
def test_no_statement_on_the_way_of_a_message_reads_a_whole_table(connection: sqlite3.Connection, name: str) -> None:
    sql = STATEMENTS[name]
    count = max((int(number) for number in re.findall(r"\?(\d+)", sql)), default=sql.count("?"))
    plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}", [None] * count)]
    # a node's own leases are looked through once, at its start
    scans = [step for step in plan if step.startswith("SCAN") and "INDEX" not in step]
    allowed = (
        ("SCAN outbox", "SCAN due", "SCAN job") if name.startswith("release_") else ("SCAN (subquery", "SCAN CONSTANT ROW")
    )
    assert [step for step in scans if not step.startswith(allowed)] == []


def test_migrations_are_numbered_without_gaps() -> None:
    steps = migrations("sqlite")
    assert [step.version for step in steps] == list(range(1, len(steps) + 1))
    assert [step.name[:4] for step in steps] == [f"{step.version:04}" for step in steps]


@pytest.mark.parametrize("dialect", ["sqlite", "postgres"])
def test_a_migration_only_adds_so_that_nodes_of_the_release_before_go_on(dialect: str) -> None:
    takes = r"\b(?:DROP|RENAME|TRUNCATE)\b|ALTER COLUMN \w+ (?:TYPE|SET NOT NULL)|ADD COLUMN (?!.*DEFAULT).*NOT NULL"
    for step in migrations(dialect)[1:]:
        words = re.sub("--.*", "", step.script)
        assert re.findall(takes, words, re.IGNORECASE) == [], step.name
