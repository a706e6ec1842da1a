"""Nodes and servers that die between any two steps: what was acknowledged is there, and nothing is there by half."""

from __future__ import annotations

import asyncio
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from connector.dsp.tables import Kind
from connector.errors import StoreUnavailable
from connector.ports.store import Filter, Store
from connector.storage.postgres.store import PostgresStore
from connector.testing.store_contract.values import LEASE_S, key
from tests.servers.postgres import running
from tests.storage.load import nth_change

ROOT = Path(__file__).parents[3]


def start(url: str, node: str, pids: list[str]) -> subprocess.Popen[str]:
    """Another program that writes to the store at `url` until it is killed."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.storage.load", url, node, ",".join(pids)], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )


def kill(program: subprocess.Popen[str], acknowledged: dict[str, int]) -> None:
    """End `program` without a warning; whatever it had acknowledged is added."""
    program.send_signal(signal.SIGKILL)
    rest, _ = program.communicate()
    assert program.returncode == -signal.SIGKILL
    for line in rest.splitlines():
        note(line, acknowledged)


def note(line: str, acknowledged: dict[str, int]) -> None:
    pid, n = line.split()
    acknowledged[pid] = max(int(n), acknowledged.get(pid, 0))


def at(url: str) -> PostgresStore:
    return PostgresStore(url=url, node="reader", lease_s=LEASE_S, connections=4)


async def state(store: Store) -> dict[str, int]:
    """How often each process was changed; every part of it says the same number."""
    page = await store.processes(Kind.NEGOTIATION, "alice", Filter(), limit=1000)
    found = {process.pid: process.entries["n"] for process in page.items}
    for pid, n in found.items():
        timeline, kept = await store.timeline(key(pid)), await store.agreement("alice", f"a-{pid}")
        assert [line.note for line in timeline.records] == [str(number) for number in range(1, n + 1)]
        assert [message.outgoing.message_id for message in timeline.pending] == [f"m{n}"]
        assert kept is not None
        assert kept.purpose == str(n)
    assert (await store.agreements("alice", Filter())).total == len(found)
    return found


@pytest.mark.parametrize("seed", range(3))
async def test_killed_nodes_on_one_database_have_lost_nothing_that_they_acknowledged(database: str, seed: int) -> None:
    pids, acknowledged = [f"p{number}" for number in range(8)], dict[str, int]()
    chance = random.Random(seed)
    programs = [start(database, f"node-{number}", pids) for number in range(2)]
    for program in programs:
        assert program.stdout is not None
        for _ in range(chance.randrange(20, 200)):
            note(program.stdout.readline(), acknowledged)
    for program in programs:
        kill(program, acknowledged)
    store = at(database)
    await store.open()
    # the server ends what the dead had begun; until then a row may be locked
    found = await state(store)
    # at most one change of each process and node was under way and may have been committed unheard
    assert all(found[pid] - acknowledged[pid] in (0, 1, 2) for pid in acknowledged), (found, acknowledged)
    await store.close()


async def test_a_server_that_dies_has_lost_nothing_that_was_acknowledged(postgres: str) -> None:
    with running(is_durable=True) as server:
        store = at(server.url)
        await store.open()
        acknowledged: dict[str, int] = {}
        tries: dict[str, int] = {}

        async def change(pid: str) -> None:
            for _ in range(1000):
                tries[pid] = tries.get(pid, 0) + 1
                done = await store.advance(key(pid), lambda snapshot: nth_change(snapshot, pid), received=f"r{tries[pid]}")
                acknowledged[pid] = done.process.entries["n"]

        pids = [f"p{number}" for number in range(8)]
        running_ = [asyncio.create_task(change(pid)) for pid in pids]
        while min((acknowledged.get(pid, 0) for pid in pids), default=0) < 10:
            await asyncio.wait(running_, timeout=0.01)
        await asyncio.to_thread(server.stop, at_once=True)
        outcomes = await asyncio.gather(*running_, return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} == {StoreUnavailable}
        await asyncio.to_thread(server.start)
        found = await state(store)
        assert all(found[pid] - acknowledged[pid] in (0, 1) for pid in pids), (found, acknowledged)
        # who repeats a message whose answer was lost gets the first answer, or is served now
        for pid in pids:
            seen = []
            await store.advance(
                key(pid),
                lambda snapshot, pid=pid, seen=seen: seen.append(snapshot.answer) or nth_change(snapshot, pid),  # type: ignore[misc]
                received=f"r{tries[pid]}",
            )
            assert seen[-1] == (str(found[pid]).encode() if found[pid] > acknowledged[pid] else None)
        await store.close()
