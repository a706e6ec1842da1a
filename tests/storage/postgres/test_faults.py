"""A server that is away, full, slow or somebody else's: said in the house's words, and used again when it is well."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from connector.errors import BadMessage, ConfigurationError, InternalError, StoreUnavailable
from connector.ports.journal import Line
from connector.ports.store import Change
from connector.storage import open_store
from connector.storage.postgres import faults
from connector.storage.postgres.link import shown
from connector.storage.postgres.store import PostgresStore
from connector.testing.store_contract.values import LEASE_S, NOW, adding, document, key, negotiation, put
from tests.servers.postgres import Postgres, running


def at(url: str, *, connections: int = 2) -> PostgresStore:
    return PostgresStore(url=url, node="here", lease_s=LEASE_S, connections=connections)


@pytest.fixture
async def store(database: str) -> AsyncIterator[PostgresStore]:
    found = at(database)
    await found.open()
    yield found
    await found.close()


@pytest.fixture
def server(postgres: str) -> Iterator[Postgres]:
    """A server that the test may stop."""
    with running() as found:
        yield found


async def test_a_server_that_goes_away_is_unavailable_and_used_again_when_it_is_back(server: Postgres) -> None:
    store = at(server.url)
    await store.open()
    place = await put(store, negotiation("one"))
    for at_once in (False, True):
        server.stop(at_once=at_once)
        for call in (store.advance(place, adding()), store.process(place), store.claim(NOW), store.next_moment()):
            with pytest.raises(StoreUnavailable) as fault:
                await call
            assert server.password not in str(fault.value)
        server.start()
        assert await store.process(place) == negotiation("one")
        await store.advance(place, adding(answer=b"back"), received=f"urn:m:{at_once}")
    await store.close()


async def test_who_waits_for_a_connection_is_not_overtaken(database: str) -> None:
    store, served, callers = at(database, connections=1), list[int](), list[asyncio.Task[None]]()
    await store.open()

    async def call(number: int) -> None:
        await store.next_moment()
        served.append(number)

    while len(served) < 20:
        # one more in each turn of the loop: some come just when the connection is free
        callers.append(asyncio.create_task(call(len(callers))))
        await asyncio.sleep(0)
    await asyncio.gather(*callers)
    assert served == sorted(served)
    await store.close()


async def test_a_session_that_is_cut_off_costs_one_call_at_most(store: PostgresStore, database: str) -> None:
    place = await put(store, negotiation("one"))
    other = await asyncpg.connect(database)
    await other.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'kontor' AND pid <> pg_backend_pid()"
        " AND query LIKE '%process%'"
    )
    await other.close()
    outcomes = await asyncio.gather(*(store.process(place) for _ in range(2)), return_exceptions=True)
    assert all(outcome == negotiation("one") or isinstance(outcome, StoreUnavailable) for outcome in outcomes)
    assert await store.process(place) == negotiation("one")


async def test_a_full_disk_refuses_writes_and_loses_nothing(server: Postgres) -> None:
    store = at(server.url)
    await store.open()
    await store.put_document(document("kept"))
    server.limit_files(1 << 20)
    written = ["kept"]
    refusal = ""
    while not refusal and len(written) < 100:
        wanted = document(f"d{len(written):03}", body={"what cannot be compressed": os.urandom(30_000).hex()})
        try:
            written.append((await store.put_document(wanted)).id)
        except StoreUnavailable as fault:
            refusal = fault.what
    assert refusal.endswith("File too large")
    page = await store.documents("alice", "asset")
    assert [kept.id for kept in page.items] == sorted(written)
    server.limit_files(None)
    await store.put_document(document("later"))
    assert (await store.documents("alice", "asset")).total == len(written) + 1
    assert await store.revision("alice") == len(written) + 1
    await store.close()


async def test_a_row_that_stays_locked_is_unavailable_and_not_waited_for_for_ever(database: str) -> None:
    store = at(f"{database}&lock_timeout=50")
    await store.open()
    place = await put(store, negotiation("one"))
    other = await asyncpg.connect(database)
    async with other.transaction():
        await other.execute("SELECT 1 FROM process FOR UPDATE")
        with pytest.raises(StoreUnavailable, match="lock timeout"):
            await store.advance(place, lambda snapshot: Change(process=snapshot.process, answer=b"x"), received="urn:m")
    await store.advance(place, adding(answer=b"x"), received="urn:m")
    await other.close()
    await store.close()


async def test_whoever_waits_for_a_row_holds_no_connection_that_others_could_use(store: PostgresStore, database: str) -> None:
    place, line = await put(store, negotiation("one")), Line(at=NOW, body={"what": "happened"})
    await store.journal.append("alice", "audit", [line])
    other = await asyncpg.connect(database)
    async with other.transaction():
        await other.execute("SELECT 1 FROM journal_stream FOR UPDATE")
        waiting = [asyncio.create_task(store.journal.append("alice", "audit", [line])) for _ in range(8)]
        async with asyncio.timeout(2):
            for _ in range(20):
                assert await store.process(place) == negotiation("one")
        assert not any(task.done() for task in waiting)
    assert [link.number for (link,) in await asyncio.gather(*waiting)] == list(range(2, 10))
    await other.close()


async def test_a_clock_that_differs_from_the_servers_shows_in_the_pulse(store: PostgresStore) -> None:
    second = timedelta(seconds=1)
    assert abs(await store.pulse(datetime.now(UTC))) < second
    assert 59 * second < await store.pulse(datetime.now(UTC) + 60 * second) < 61 * second
    assert -61 * second < await store.pulse(datetime.now(UTC) - 60 * second) < -59 * second


async def test_a_statement_that_takes_too_long_is_ended(database: str) -> None:
    store = at(f"{database}&statement_timeout=20")
    await store.open()
    with pytest.raises(StoreUnavailable, match="statement timeout"):
        async with store._link.connection() as connection:
            await connection.execute("SELECT pg_sleep(10)")
    assert await store.next_moment() is None
    await store.close()


async def test_more_callers_than_connections_wait_their_turn(store: PostgresStore) -> None:
    await asyncio.gather(*(put(store, negotiation(f"p{number}")) for number in range(50)))
    async with store._link.connection() as connection:
        count = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'kontor' AND pid = ANY ($1::int[])"
        pids = [holder._con.get_server_pid() for holder in store._link._pool._holders if holder._con is not None]
        assert await connection.fetchval(count, pids) == len(pids) <= 2


async def test_a_text_that_cannot_be_kept_is_the_senders_fault(store: PostgresStore) -> None:
    place = await put(store, negotiation("one"))
    for text in ("a\x00b", "a\ud800b"):
        with pytest.raises(BadMessage, match="cannot be kept"):
            await store.advance(place, adding(), received=text)
        with pytest.raises(BadMessage):
            await store.process(key(text))
    # inside a body everything can be
    titled = document("d", body={"title": "a\x00b"})
    assert await store.put_document(titled) == titled


async def test_what_the_server_refuses_for_another_reason_is_ours(store: PostgresStore) -> None:
    with pytest.raises(InternalError, match="does not exist"):
        async with store._link.connection() as connection:
            await connection.execute("SELECT * FROM nowhere")


async def test_a_store_that_is_not_open_is_unavailable(postgres: str) -> None:
    store = at(postgres)
    for call in (store.advance(key("one"), adding()), store.process(key("one"))):
        with pytest.raises(StoreUnavailable, match="not open"):
            await call
    await store.close()


async def test_wrong_words_in_the_url_are_a_fault_of_the_configuration(postgres: str) -> None:
    user, _, rest = postgres.removeprefix("postgresql://").partition("@")
    name = user.partition(":")[0]
    for url in (f"postgresql://{name}:wrong@{rest}", f"postgresql://nobody:wrong@{rest}", f"{postgres}-missing"):
        with pytest.raises(ConfigurationError, match="cannot be opened") as fault:
            await at(url).open()
        assert user not in str(fault.value)
        assert "wrong" not in str(fault.value)


async def test_a_url_that_is_none_is_not_repeated() -> None:
    for url in (
        "postgresql://kontor:geheim@127.0.0.1:port/kontor",
        "postgresql://kontor:geheim@[/kontor",
        "postgresql://kontor:a/geheim@127.0.0.1:5432/kontor",
    ):
        with pytest.raises(ConfigurationError, match="no address of a PostgreSQL server") as fault:
            await at(url).open()
        assert "geheim" not in str(fault.value)


async def test_a_server_that_is_not_there_is_unavailable() -> None:
    for url in ("postgresql://kontor:geheim@127.0.0.1:1/kontor", "postgresql://kontor:p@geheim#x@127.0.0.1:1/kontor"):
        with pytest.raises(StoreUnavailable, match="cannot be used") as fault:
            await at(url).open()
        assert "geheim" not in str(fault.value)


def test_the_url_names_the_store() -> None:
    for scheme in ("postgresql", "postgres"):
        assert isinstance(open_store(f"{scheme}://u:p@host/db", node="n", lease_s=30, connections=3), PostgresStore)


def test_what_is_shown_of_a_url_has_no_secret() -> None:
    assert shown("postgresql://u:p%40w@host:5432/db?password=x") == "postgresql://host:5432/db"
    assert shown("postgresql://u:p@one:1,two:2/db") == "postgresql://one:1,two:2/db"
    assert shown("postgresql://u:p@[/db") == "store.url"


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (ConnectionResetError("reset"), StoreUnavailable),
        (TimeoutError(), StoreUnavailable),
        (asyncpg.InterfaceError("connection is closed"), StoreUnavailable),
        (asyncpg.DiskFullError("no space left"), StoreUnavailable),
        (asyncpg.ReadOnlySQLTransactionError("read-only"), StoreUnavailable),
        (asyncpg.TooManyConnectionsError("too many"), StoreUnavailable),
        (asyncpg.AdminShutdownError("shutting down"), StoreUnavailable),
        (asyncpg.DeadlockDetectedError("deadlock"), StoreUnavailable),
        (asyncpg.InsufficientPrivilegeError("denied"), StoreUnavailable),
        (asyncpg.UndefinedTableError("nowhere"), InternalError),
        (asyncpg.DataError("no text"), BadMessage),
        (KeyError("ours"), KeyError),
    ],
)
def test_a_fault_has_an_owner(fault: Exception, kind: type[Exception]) -> None:
    assert type(faults.told(fault, "here")) is kind


async def test_a_replica_whose_clock_is_fast_forgets_no_token_that_others_may_still_see(
    store: PostgresStore, database: str
) -> None:
    now = datetime.now(UTC)
    until, ahead = now + timedelta(minutes=5), now + timedelta(hours=2)
    assert await store.replay.use("anna", "did:web:a", "1", until, now)
    fast = at(database)
    await fast.open()
    assert await fast.replay.use("anna", "did:web:a", "2", ahead + timedelta(minutes=5), ahead)
    assert not await store.replay.use("anna", "did:web:a", "1", until, now)
    await fast.close()
