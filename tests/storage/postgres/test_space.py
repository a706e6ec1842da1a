"""What a server gives back of its disk when it is asked to."""

from __future__ import annotations

import asyncpg
import pytest

from connector.errors import ConfigurationError
from connector.storage.postgres import space
from connector.storage.postgres.store import PostgresStore
from connector.testing.store_contract.values import LEASE_S, key, negotiation, put


async def test_a_vacuum_cuts_off_what_is_free_at_the_end_of_a_table_beside_a_node(database: str) -> None:
    store = PostgresStore(url=database, node="here", lease_s=LEASE_S, connections=2)
    await store.open()
    await put(store, negotiation("kept"))
    connection = await asyncpg.connect(database)
    await connection.execute("ALTER TABLE used_token SET (autovacuum_enabled = false)")
    await connection.execute(
        "INSERT INTO used_token (digest, until) SELECT decode(md5(n::text), 'hex'), n FROM generate_series(1, 20000) AS n"
    )
    await connection.execute("DELETE FROM used_token")
    await connection.close()
    before, after = await space.compact(database)
    assert after < before - (500 << 10)
    assert await store.process(key("kept")) == negotiation("kept")
    # written anew while no node waits for it
    with pytest.raises(ConfigurationError, match="connections of nodes are open"):
        await space.compact(database, is_full=True)
    await store.close()
    before, after = await space.compact(database, is_full=True)
    assert after < before
