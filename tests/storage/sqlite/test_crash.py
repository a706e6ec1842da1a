"""A node that dies between any two steps: what was acknowledged is there, and nothing is there by half."""

from __future__ import annotations

import asyncio
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from connector.dsp.tables import Kind
from connector.dsp.values import replace
from connector.ports.store import Change, Filter
from connector.storage.sqlite.store import SqliteStore
from connector.testing.store_contract.values import LEASE_S, key, negotiation, outgoing, put
from tests.storage.load import nth_change

ROOT = Path(__file__).parents[3]


def start(path: Path, node: str, pids: list[str]) -> subprocess.Popen[str]:
    """Another program that writes to the store in `path` until it is killed."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.storage.load", f"sqlite:///{path}", node, ",".join(pids)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
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


async def state(path: Path) -> dict[str, int]:
    """How often each process was changed; every part of it says the same number."""
    store = SqliteStore(path=path, node="reader", lease_s=LEASE_S)
    await store.open()
    try:
        page = await store.processes(Kind.NEGOTIATION, "alice", Filter(), limit=1000)
        found = {process.pid: process.entries["n"] for process in page.items}
        for pid, n in found.items():
            timeline, kept = await store.timeline(key(pid)), await store.agreement("alice", f"a-{pid}")
            assert [line.note for line in timeline.records] == [str(number) for number in range(1, n + 1)]
            assert [message.outgoing.message_id for message in timeline.pending] == [f"m{n}"]
            assert kept is not None
            assert kept.purpose == str(n)
        assert (await store.agreements("alice", Filter())).total == len(found)
    finally:
        await store.close()
    return found


@pytest.mark.parametrize("seed", range(4))
async def test_a_killed_node_has_lost_nothing_that_it_acknowledged(tmp_path: Path, seed: int) -> None:
    path, pids, acknowledged = tmp_path / "kontor.db", [f"p{number}" for number in range(16)], dict[str, int]()
    chance = random.Random(seed)
    for _ in range(2):
        program = start(path, "killed", pids)
        assert program.stdout is not None
        for _ in range(chance.randrange(20, 400)):
            note(program.stdout.readline(), acknowledged)
        kill(program, acknowledged)
        found = await state(path)
        # at most one change of each process was under way and may have been committed unheard
        assert all(found[pid] - acknowledged[pid] in (0, 1) for pid in acknowledged), (found, acknowledged)
        acknowledged = found


async def test_two_programs_on_one_file_lose_nothing(tmp_path: Path) -> None:
    path, pids, acknowledged = tmp_path / "kontor.db", ["a", "b", "c"], dict[str, int]()
    programs = [start(path, f"node-{number}", pids) for number in range(2)]
    for program in programs:
        assert program.stdout is not None
        for _ in range(60):
            note(program.stdout.readline(), acknowledged)
    for program in programs:
        kill(program, acknowledged)
    found = await state(path)
    assert all(found[pid] - acknowledged[pid] in (0, 1, 2) for pid in pids)


async def test_a_power_cut_before_any_statement_leaves_whole_changes(tmp_path: Path) -> None:
    path = tmp_path / "now" / "kontor.db"
    store = SqliteStore(path=path, node="here", lease_s=LEASE_S)
    await store.open()
    copies: list[tuple[Path, str, dict[str, int]]] = []
    acknowledged: dict[str, int] = {}

    def cut(statement: str) -> None:
        """What the disk holds at this moment, before `statement` is run."""
        folder = tmp_path / str(len(copies))
        folder.mkdir()
        for name in ("kontor.db", "kontor.db-wal"):
            shutil.copy(path.with_name(name), folder / name)
        copies.append((folder / "kontor.db", statement, dict(acknowledged)))

    async def change(pid: str) -> None:
        done = await store.advance(key(pid), lambda snapshot: nth_change(snapshot, pid), received=f"r{len(copies)}")
        acknowledged[pid] = done.process.entries["n"]

    async def break_off(pid: str) -> None:
        twice = (outgoing("m"), outgoing("m"))
        await store.advance(key(pid), lambda snapshot: Change(process=negotiation(pid, entries={"n": 1}), outgoing=twice))

    store._access._parts.writer.connection.set_trace_callback(cut)
    await asyncio.gather(change("a"), change("b"))
    await asyncio.gather(change("a"), break_off("c"), change("b"), change("d"), return_exceptions=True)
    await change("a")
    store._access._parts.writer.connection.set_trace_callback(None)
    await store.close()
    assert await state(path) == acknowledged == {"a": 3, "b": 2, "d": 1}
    assert {"BEGIN IMMEDIATE", "SAVEPOINT one", "ROLLBACK TO one", "COMMIT"} < {statement for _, statement, _ in copies}
    assert len(copies) > 50
    for copy, statement, known in copies:
        assert await state(copy) == known, statement


async def test_a_log_that_was_cut_short_ends_with_a_whole_change(tmp_path: Path) -> None:
    path = tmp_path / "now" / "kontor.db"
    store = SqliteStore(path=path, node="here", lease_s=LEASE_S)
    await store.open()
    for _ in range(12):
        await store.advance(key("a"), lambda snapshot: nth_change(snapshot, "a"))
    main, log = path.read_bytes(), path.with_name("kontor.db-wal").read_bytes()
    await store.close()
    chance, counts = random.Random(7), set[int]()
    for number in range(30):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "kontor.db").write_bytes(main)
        (folder / "kontor.db-wal").write_bytes(log[: chance.randrange(len(log))])
        try:
            counts.add((await state(folder / "kontor.db")).get("a", 0))
        finally:
            shutil.rmtree(folder)
    assert counts <= set(range(13))
    assert len(counts) > 3


async def test_messages_of_a_killed_node_are_sent_by_another(tmp_path: Path) -> None:
    path = tmp_path / "kontor.db"
    program = start(path, "killed", ["a"])
    assert program.stdout is not None
    acknowledged: dict[str, int] = {}
    note(program.stdout.readline(), acknowledged)
    kill(program, acknowledged)
    store = SqliteStore(path=path, node="another", lease_s=LEASE_S)
    await store.open()
    moment = await store.next_moment()
    assert moment is not None
    (message,) = await store.claim(moment)
    assert message.key == key("a")
    await put(store, replace(negotiation("b"), entries={}))
    await store.close()
