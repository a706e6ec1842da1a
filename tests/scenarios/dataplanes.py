"""A data plane as a process of its own, and what the control planes over it are told."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from connector.app.listening import free_ports
from connector.cli.init import CONFIG_FILE
from connector.cli.nodes import Running, running
from connector.client.dataplanes import dataplanes
from tests.scenarios.flows import opened
from tests.scenarios.replicas import CALLS, DATASET, Replica

KEY, SECRET = "key-of-the-plane", "between the two planes"
DATA = b"rain, later sun"


class Plane:
    """The data plane: its place stays when its process is killed."""

    def __init__(
        self,
        folder: Path,
        *,
        registers_at: int,
        reports_to: int,
        name: str = "plane",
        shares: str = "",
        known_at: tuple[int, int] | None = None,
    ) -> None:
        """The first two are ports of signaling listeners; `shares` are settings that one plane of several nodes needs.

        `known_at`: the ports at which all nodes of one plane are reached, public and signaling.
        """
        self.folder = folder / name
        self.folder.mkdir()
        self.data = folder / "served.txt"
        if not self.data.exists():
            self.data.write_bytes(DATA)
        self.name = name
        self.public, self.operator, self.port = free_ports(3)
        public, port = known_at or (self.public, self.port)
        (self.folder / CONFIG_FILE).write_text(shares + self._settings(registers_at, reports_to, public, port))

    @property
    def node(self) -> tuple[Path, int, str]:
        """How it is started."""
        return self.folder, self.operator, KEY

    @contextmanager
    def running(self) -> Iterator[Running]:
        with running([self.node]) as (process,):
            yield process

    def _settings(self, registers_at: int, reports_to: int, public: int, port: int) -> str:
        return f"""
[node]
id = "{self.name}"
roles = ["dataplane"]
public_url = "http://127.0.0.1:{public}"
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
id = "plane"
url = "http://127.0.0.1:{port}"
port = {self.port}
unsafe_allow_http = true
[dataplane]
register_at = [{{ control_plane = "shop", url = "http://127.0.0.1:{registers_at}/shop/dataplanes" }}]
control_planes = [{{ id = "shop", endpoint = "http://127.0.0.1:{reports_to}/shop", secret = "{SECRET}" }}]
[dataplane.datasets."{DATASET}"]
type = "file"
path = "{self.data}"
"""


def sharing(database: str, lease_s: float) -> str:
    """What several nodes need to be one data plane."""
    key = base64.b64encode(b"s" * 32).decode()
    return f'secrets_key = "{key}"\n[store]\nurl = "{database}"\nlease_s = {lease_s}\nconnections = 8\n'


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


def read(start: dict[str, Any]) -> tuple[int, bytes]:
    """What the address of a start message answers."""
    url, headers = opened(start)
    answer = httpx.get(url, headers=headers, trust_env=False)
    return answer.status_code, answer.content
