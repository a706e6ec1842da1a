"""The SQL of the PostgreSQL adapter: every statement is valid, used, and narrowed to a context or known to cross them."""

from __future__ import annotations

from pathlib import Path

import asyncpg
import pytest

from connector.storage.postgres import store as adapter
from connector.storage.postgres.store import PostgresStore
from connector.storage.queries import migrations, statements
from connector.testing.store_contract.values import LEASE_S

STATEMENTS = statements("postgres")
# the workers' calls go across contexts; the others begin at a row that was found within a context
_ACROSS = (
    *("claim_messages", "claim_due", "release", "next_moment", "running", "ended", "drop_due"),
    *("claim_jobs", "next_job", "release_jobs", "use_token", "forget_tokens"),
    *("due_books", "next_book", "feed_bounds", "feed_end"),
)
_BY_ROW = (
    "lock_process",
    "steps",
    "pending",
    "waiting_due",
    "keep_job",
    "put_off_job",
    "several",
    "forget_processes",
    "compact_steps",
)
_CALLS = (
    "pulse",
    *("claim_node_id", "write_change", "keep_agreement", "write_document", "delete_document", "tell"),
    *("append_to_journal", "trim_journal", "put_jobs", "end_job", "revive_job", "drop_job"),
    *("book_to_post", "write_posting"),
)


def test_every_statement_is_used() -> None:
    code = "".join(path.read_text() for path in Path(adapter.__file__).parent.glob("*.py"))
    assert [name for name in STATEMENTS if f'"{name}"' not in code] == []


@pytest.mark.parametrize("name", [name for name in STATEMENTS if name not in _CALLS])
def test_a_look_is_within_a_context_unless_it_is_a_workers(name: str) -> None:
    assert ("participant = $1" in STATEMENTS[name]) is (name not in _ACROSS + _BY_ROW)


def test_migrations_are_numbered_without_gaps() -> None:
    steps = migrations("postgres")
    assert [step.version for step in steps] == list(range(1, len(steps) + 1))


async def test_every_statement_fits_the_schema_and_none_on_the_way_of_a_message_reads_a_whole_table(database: str) -> None:
    await PostgresStore(url=database, node="here", lease_s=LEASE_S, connections=1).migrate()
    connection = await asyncpg.connect(database)
    # small tables are read whole where that is cheaper: here nothing is
    await connection.execute("SET enable_seqscan = off; SET plan_cache_mode = force_generic_plan")
    for name, sql in STATEMENTS.items():
        await connection.execute(f"PREPARE {name} AS {sql}")
        count = await connection.fetchval(
            "SELECT cardinality(parameter_types) FROM pg_prepared_statements WHERE name = $1", name
        )
        arguments = f"({', '.join(['NULL'] * count)})" if count else ""
        plan = "\n".join(row[0] for row in await connection.fetch(f"EXPLAIN EXECUTE {name}{arguments}"))
        # a node's own leases are looked through once, at its start
        assert "Seq Scan" not in plan or name in ("release", "release_jobs"), plan
    await connection.close()
