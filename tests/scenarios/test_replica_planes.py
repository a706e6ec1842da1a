"""A data plane of its own under replicas: whichever is there drives it and hears its reports, and none is missed when it is killed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from connector.api.sources import AssetSource
from connector.api.transfers import TransferStep
from connector.app.listening import free_ports
from connector.cli.init import CONFIG_FILE
from connector.cli.nodes import Running, running
from connector.client.dataplanes import dataplanes
from tests.scenarios.flows import PULL, PUSH, Sink, agreed, opened, requested, start_of, started, state
from tests.scenarios.replicas import CALLS, DATASET, LEASE_S, Buyer, Replica, replicas, until

KEY, SECRET = "key-of-the-plane", "between the two planes"
DATA = b"rain, later sun"


@pytest.fixture
def sink() -> Iterator[Sink]:
    found = Sink()
    yield found
    found.close()


class Plane:
    """The data plane: its place stays when its process is killed."""

    def __init__(self, folder: Path, *, registers_at: int, reports_to: int) -> None:
        """Both are ports of signaling listeners."""
        self.folder = folder / "plane"
        self.folder.mkdir()
        (self.folder / "weather.txt").write_bytes(DATA)
        self.public, self.operator, self.port = free_ports(3)
        (self.folder / CONFIG_FILE).write_text(self._settings(registers_at, reports_to))

    @contextmanager
    def running(self) -> Iterator[Running]:
        with running([(self.folder, self.operator, KEY)]) as (process,):
            yield process

    def _settings(self, registers_at: int, reports_to: int) -> str:
        return f"""
[node]
id = "plane"
roles = ["dataplane"]
public_url = "http://127.0.0.1:{self.public}"
data_dir = "data"
[public]
port = {self.public}
[operator]
port = {self.operator}
api_keys = [{{ name = "all", sha256 = "{hashlib.sha256(KEY.encode()).hexdigest()}", participants = ["*"], role = "admin" }}]
[outbound]
unsafe_allow_http = true
unsafe_allow_loopback = true
[signaling]
port = {self.port}
unsafe_allow_http = true
[dataplane]
register_at = [{{ control_plane = "shop", url = "http://127.0.0.1:{registers_at}/shop/dataplanes" }}]
control_planes = [{{ id = "shop", endpoint = "http://127.0.0.1:{reports_to}/shop", secret = "{SECRET}" }}]
[dataplane.datasets."{DATASET}"]
type = "file"
path = "{self.folder / "weather.txt"}"
"""


def control(port: int, known_at: int) -> str:
    """What a replica needs to drive it; all say one address, as they do behind a balancer, which here leads to one of them."""
    return f"""
[signaling]
id = "shop"
port = {port}
url = "http://127.0.0.1:{known_at}"
unsafe_allow_http = true
[[signaling.planes]]
id = "plane"
participants = ["shop"]
hosts = ["127.0.0.1"]
secret = "{SECRET}"
"""


def knows(replica: Replica) -> bool:
    """Whether it lists the data plane."""
    return [one.id for one in replica.node.client.send(dataplanes("shop")).items] == ["plane"]


def flow_state(replica: Replica, pid: str) -> str | None:
    """How the data plane's flow stands, as the replica knows it."""
    return replica.node.client.send(CALLS.transfer(pid)).flow_state


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


def read(start: dict[str, Any]) -> tuple[int, bytes]:
    """What the address of a start message answers."""
    url, headers = opened(start)
    answer = httpx.get(url, headers=headers, trust_env=False)
    return answer.status_code, answer.content
