"""The feed counts transactions as numbers: it neither goes back nor stays behind where they get a digit more."""

from __future__ import annotations

import asyncpg

from connector.ports.feed import Happening
from connector.storage.postgres.store import PostgresStore
from connector.testing.store_contract.values import LEASE_S, adding, negotiation, put, record


async def test_a_transaction_number_with_a_digit_more_comes_behind(database: str) -> None:
    store = PostgresStore(url=database, node="here", lease_s=LEASE_S, connections=1)
    await store.open()
    first = await put(store, negotiation("one"), records=(record("0"),))
    begun = await store.feed.end()
    for text in ("1", "2"):
        await store.advance(first, adding(records=(record(text),)))
    connection = await asyncpg.connect(database)
    ids = [row["id"] for row in await connection.fetch("SELECT id FROM step ORDER BY id")]
    for id_, xact in zip(ids, ("9", "10", "11"), strict=True):
        await connection.execute("UPDATE step SET xact = $2::text::xid8 WHERE id = $1", id_, xact)
    await connection.close()

    async def after(position: str) -> list[Happening]:
        return list((await store.feed.after("alice", position)).happenings)

    assert begun.partition("-")[2] == str(ids[0])
    assert await store.feed.end() == f"11-{ids[2]}"
    assert [one.position for one in await after(f"9-{ids[0]}")] == [f"10-{ids[1]}", f"11-{ids[2]}"]
    assert await after(f"11-{ids[2]}") == []
    await store.close()
