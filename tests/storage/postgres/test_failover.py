"""A primary that dies and a standby that takes its place: used without a restart, and nothing acknowledged is lost; nor is it when
the second server's disk fills up."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime

import asyncpg
import pytest

from connector.errors import StoreUnavailable
from connector.storage.postgres.store import PostgresStore
from connector.testing.store_contract.values import LEASE_S, adding, document, negotiation, put, record
from tests.servers.postgres import Postgres, running

_WITHIN_S, _LOOK_S = 20.0, 0.02


def at(url: str) -> PostgresStore:
    return PostgresStore(url=url, node="here", lease_s=LEASE_S, connections=2)


@pytest.fixture
def servers(postgres: str) -> Iterator[tuple[Postgres, Postgres]]:
    """A primary and its standby."""
    with running() as primary, primary.standby() as second:
        yield primary, second


async def when_available(call: Callable[[], Awaitable[object]]) -> None:
    """Returns when the store takes the call."""
    for _ in range(int(_WITHIN_S / _LOOK_S)):
        try:
            await call()
        except StoreUnavailable:
            await asyncio.sleep(_LOOK_S)
        else:
            return
    raise AssertionError("the store does not recover")


async def on_both(primary: Postgres, second: Postgres) -> PostgresStore:
    """A store on whichever server takes writes; what the first acknowledges the second has."""
    connection = await asyncpg.connect(primary.url)
    await connection.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
    await connection.execute("SELECT pg_reload_conf()")
    await connection.close()
    address, _, name = primary.url.rpartition("/")
    store = at(f"{address},127.0.0.1:{second.port}/{name}?target_session_attrs=primary")
    await store.open()
    return store


async def test_a_standby_that_is_promoted_takes_over(servers: tuple[Postgres, Postgres]) -> None:
    primary, second = servers
    store = await on_both(primary, second)
    place = await put(store, negotiation("one"))
    for number in range(20):
        await store.advance(place, adding(records=(record(str(number)),)))
    primary.stop(at_once=True)
    with pytest.raises(StoreUnavailable):
        await store.process(place)
    second.promote()
    await when_available(lambda: store.advance(place, adding(records=(record("after"),))))
    assert [line.note for line in (await store.timeline(place)).records] == [*map(str, range(20)), "after"]
    await store.close()


async def test_a_second_server_whose_disk_is_full_refuses_writes_and_takes_them_when_there_is_room(
    servers: tuple[Postgres, Postgres],
) -> None:
    primary, second = servers
    store = await on_both(primary, second)
    written = [(await store.put_document(document("d000"))).id]
    primary.stop(at_once=True)
    second.promote()
    await when_available(lambda: store.put_document(document("d001")))
    written.append("d001")

    second.limit_files(1 << 20)

    async def fill() -> None:
        """Write until it is refused."""
        while len(written) < 100:
            wanted = document(f"d{len(written):03}", body={"what cannot be compressed": os.urandom(30_000).hex()})
            written.append((await store.put_document(wanted)).id)

    # a disk is full for all files at once; here each has its own bound, so the probe of whoever asks whether we are ready gets to it
    for _ in range(10):
        with pytest.raises(StoreUnavailable, match="File too large"):
            await fill()
        try:
            await store.pulse(datetime.now(UTC))
        except StoreUnavailable as fault:
            refusal = fault.what
            break
    assert refusal.endswith("File too large")
    # what is there can be read
    assert [kept.id for kept in (await store.documents("alice", "asset")).items] == written

    second.limit_files(None)
    await when_available(lambda: store.pulse(datetime.now(UTC)))
    await store.put_document(document("later"))
    assert (await store.documents("alice", "asset")).total == len(written) + 1
    await store.close()


async def test_a_store_on_a_standby_reads_and_writes_once_it_is_promoted(servers: tuple[Postgres, Postgres]) -> None:
    primary, second = servers
    first = at(primary.url)
    await first.open()
    place = await put(first, negotiation("one"))
    await first.close()
    store = at(second.url)
    await when_available(store.open)

    async def has_followed() -> None:
        if await store.process(place) is None:
            raise StoreUnavailable("not yet")

    await when_available(has_followed)
    with pytest.raises(StoreUnavailable, match="read-only") as fault:
        await store.advance(place, adding(), received="urn:m")
    assert "standby" in fault.value.mend
    second.promote()
    await when_available(lambda: store.advance(place, adding(), received="urn:m"))
    await store.close()
