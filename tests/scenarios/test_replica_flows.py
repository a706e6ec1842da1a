"""Data that flows from replicas: one of them pushes, any of them stops, and a dead one's push goes on."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from connector.api.transfers import TransferStep
from tests.scenarios.flows import DATA_BYTES, PULL, PUSH, Sink, agreed, opened, read_to_its_end, started, state
from tests.scenarios.replicas import CALLS, LEASE_S, Buyer, Replica, replicas, until

CUT_WITHIN_S = 1.0


@pytest.fixture
def sink() -> Iterator[Sink]:
    found = Sink()
    yield found
    found.close()


def _published(one: Replica, two: Replica) -> None:
    one.publish()
    with (one.node.folder / "weather.txt").open("r+b") as file:
        file.truncate(DATA_BYTES)
    until(two.offers, "both offer it")


def test_one_replica_pushes_and_any_of_them_stops_it(tmp_path: Path, buyer: Buyer, sink: Sink, database: str) -> None:
    with replicas(tmp_path, database, ("one", "two")) as (one, two):
        _published(one, two)
        agreement = agreed(one, buyer)
        pid, _ = started(one, buyer, agreement, PUSH, sink)
        until(lambda: sink.running == 1, "it is pushed")

        # suspended at one, then at the other: whichever pushes, it stops
        for replica in (one, two):
            replica.node.client.send(CALLS.act_in_transfer(pid, "suspend", TransferStep()))
            took = until(lambda: sink.running == 0, "the push is cut", CUT_WITHIN_S)
            print(f"push cut {took * 1000:.0f} ms after its suspension at `{replica.node.folder.name}`")
            until(lambda: state(one, pid) == "SUSPENDED", "the buyer knows")
            replica.node.client.send(CALLS.act_in_transfer(pid, "resume", TransferStep()))
            until(lambda: sink.running == 1, "it is pushed again")
        assert (sink.most_running, sink.whole) == (1, 0)


def test_the_push_of_a_killed_replica_is_gone_on_with_by_another(
    tmp_path: Path, buyer: Buyer, sink: Sink, database: str
) -> None:
    with replicas(tmp_path, database, ("one", "two")) as (one, two):
        _published(one, two)
        agreement = agreed(one, buyer)
        pid, _ = started(one, buyer, agreement, PUSH, sink)
        until(lambda: sink.running == 1, "it is pushed")
        # whichever pushes has the data on its way: find it by its open connection
        pusher, other = (one, two) if one.talks_to(sink.url) else (two, one)
        (one.node.folder / "weather.txt").write_bytes(b"rain")
        pusher.kill()
        took = until(lambda: sink.begun == 2, "another goes on", LEASE_S + 2)
        print(f"push of the killed replica taken over {took:.2f} s after its end, lease {LEASE_S:.0f} s")
        until(lambda: state(other, pid) == "COMPLETED", "all is there")
        assert (sink.whole, sink.most_running) == (1, 1)


def test_a_stop_at_one_replica_cuts_what_is_read_from_another(tmp_path: Path, buyer: Buyer, database: str) -> None:
    with replicas(tmp_path, database, ("one", "two")) as (one, two), ThreadPoolExecutor(1) as threads:
        _published(one, two)
        agreement = agreed(one, buyer)
        pid, start = started(one, buyer, agreement, PULL)
        url, headers = opened(start, two.http.base_url.port)
        begun = threading.Event()
        reading = threads.submit(read_to_its_end, url, headers, begun)
        until(begun.is_set, "the data flows")
        one.node.client.send(CALLS.act_in_transfer(pid, "terminate", TransferStep()))
        stopped_at = time.monotonic()
        cut_at, got = reading.result(timeout=20)
        assert got < DATA_BYTES
        print(f"pull at the other replica cut {1000 * (cut_at - stopped_at):.0f} ms after its termination")
        assert cut_at - stopped_at < CUT_WITHIN_S
