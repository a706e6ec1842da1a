"""A data plane of its own under replicas: whichever is there drives it and hears its reports, and none is missed when it is killed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from connector.api.sources import AssetSource
from connector.api.transfers import TransferStep
from connector.app.listening import free_ports
from tests.scenarios.dataplanes import DATA, Plane, control, flow_state, knows, read
from tests.scenarios.flows import PULL, PUSH, Sink, agreed, requested, start_of, started, state
from tests.scenarios.replicas import CALLS, LEASE_S, Buyer, replicas, until


@pytest.fixture
def sink() -> Iterator[Sink]:
    found = Sink()
    yield found
    found.close()


def test_any_replica_drives_a_data_plane_and_hears_its_reports(tmp_path: Path, buyer: Buyer, sink: Sink, database: str) -> None:
    ports = dict(zip(("one", "two"), free_ports(2), strict=True))
    plane = Plane(tmp_path, registers_at=ports["one"], reports_to=ports["two"])
    more = {name: control(port, ports["two"]) for name, port in ports.items()}
    with replicas(tmp_path, database, ("one", "two"), more=more) as (one, two), ExitStack() as stack:
        process = stack.enter_context(plane.running()).process
        until(lambda: knows(one) and knows(two), "what registered at one replica is known to both")
        one.publish(AssetSource(type="none"))
        until(two.offers, "both offer what it serves")
        agreement = agreed(one, buyer)

        # asked of one, pushed by the data plane, which reports to two
        pushed, _ = started(one, buyer, agreement, PUSH, sink)
        until(lambda: buyer.got("TransferCompletionMessage") == [f"urn:t:{PUSH}"], "the buyer is told by whoever was told")
        assert sink.whole == 1
        until(lambda: state(one, pushed) == state(two, pushed) == "COMPLETED", "both know")

        # asked of two, read from the data plane, ended at one
        pid, start = started(two, buyer, agreement, PULL)
        assert read(start) == (200, DATA)
        one.node.client.send(CALLS.act_in_transfer(pid, "terminate", TransferStep()))
        until(lambda: flow_state(two, pid) == "TERMINATED", "the data plane has ended it")
        assert read(start)[0] in (401, 403, 404)

        # while the data plane is away one takes a request, and dies with it
        process.kill()
        process.wait()
        waiting = requested(one, buyer, agreement, PULL, consumer_pid="urn:t:later")
        one.kill()
        stack.enter_context(plane.running())
        later = start_of(buyer, "urn:t:later", LEASE_S + 10)
        assert read(later) == (200, DATA)
        until(lambda: state(two, waiting) == "STARTED", "the buyer has taken it")
