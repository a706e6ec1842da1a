"""Replicas as processes of their own on one database, and a peer that takes, or keeps waiting, what they send."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx

from connector.api.offerings import Asset, AssetSource, ContractDefinition, Policy
from connector.app.listening import free_ports
from connector.cli.init import CONFIG_FILE
from connector.cli.nodes import Running, running
from connector.client import Calls
from connector.testing.dataspace import USE
from tests.scenarios.wire import message, request

CALLS = Calls("shop")
LEASE_S = 2.0
DATASET, OFFER = "urn:shop:weather", "offer-weather"
_TOKEN = {"Authorization": "Bearer buyer-to-shop"}
_KEY = "key-of-the-operator"


class Buyer:
    """A peer's public listener: keeps every message that it is sent; `is_open` cleared, it does not answer."""

    def __init__(self) -> None:
        self.is_open = threading.Event()
        self.is_open.set()
        self.received: list[tuple[str, dict[str, Any]]] = []
        """Path and body, as they came."""
        buyer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                buyer.received.append((self.path, json.loads(body)))
                buyer.is_open.wait(30)
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def handle_one_request(self) -> None:
                try:
                    super().handle_one_request()
                except OSError:  # the replica was killed
                    self.close_connection = True

            def log_message(self, *_: object) -> None:
                """Says nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/buyer/dsp/2025-1"

    def close(self) -> None:
        self.is_open.set()
        self._server.shutdown()
        self._server.server_close()

    def got(self, kind: str) -> list[str]:
        """The consumerPids of the messages of `kind`, in the order in which they came."""
        return [tree["consumerPid"] for _, tree in list(self.received) if tree["@type"] == kind]


@dataclass(frozen=True, slots=True, kw_only=True)
class Replica:
    """One of the nodes that share a database."""

    node: Running
    http: httpx.Client
    """Its public listener, as the buyer."""
    operator: httpx.Client

    def kill(self) -> None:
        """End it without a warning."""
        self.node.process.kill()
        self.node.process.wait()

    def post(self, path: str, tree: dict[str, Any]) -> httpx.Response:
        """The answer to a protocol message."""
        return self.http.post(path, json=tree)

    def ask(self, buyer: Buyer, consumer_pid: str = "", message_id: str | None = None) -> httpx.Response:
        """The answer to a first contract request."""
        pid = consumer_pid or f"urn:uuid:{uuid.uuid4()}"
        tree = request(DATASET, OFFER, callback=buyer.url, consumer_pid=pid)
        return self.post("negotiations/request", tree | ({"@id": message_id} if message_id else {}))

    def publish(self, source: AssetSource | None = None) -> None:
        """Offer the one dataset, a file of ours when no source is given."""
        if source is None:
            file = self.node.folder / "weather.txt"
            file.write_text("rain")
            source = AssetSource(type="file", path=str(file))
        self.node.client.send(CALLS.put_asset(Asset(id=DATASET, title="weather", source=source)))
        self.node.client.send(CALLS.put_policy(Policy(id="terms", policy=dict(USE))))
        wanted = {"id": "weather", "assets": [DATASET], "policy": "terms", "offer_id": OFFER}
        self.node.client.send(CALLS.put_definition(ContractDefinition.model_validate(wanted)))

    def offers(self) -> bool:
        """True when it offers the dataset to the buyer."""
        answer = self.post("catalog/request", message("CatalogRequestMessage"))
        return DATASET in answer.text

    def talks_to(self, url: str) -> bool:
        """True when its process has a connection to the host and port of `url`."""
        return talks_to(self.node, url)

    def is_ready(self) -> bool:
        return self.operator.get("/ready").status_code == 200


def talks_to(node: Running, url: str) -> bool:
    """True when the process of `node` has a connection to the host and port of `url`."""
    port, process = f":{httpx.URL(url).port:04X}", Path(f"/proc/{node.process.pid}")
    held = set()
    for link in (process / "fd").iterdir():
        with contextlib.suppress(OSError):
            held.add(link.readlink().name)
    rows = [row.split() for row in (process / "net" / "tcp").read_text().splitlines()[1:]]
    return any(row[2].endswith(port) and f"socket:[{row[9]}]" in held for row in rows)


@contextmanager
def replicas(
    folder: Path, database: str, names: Sequence[str], *, lease_s: float = LEASE_S, more: Mapping[str, str] | None = None
) -> Iterator[list[Replica]]:
    """Nodes with these ids on one database, all ready; `more` are further settings of each."""
    nodes, addresses = [], []
    for name in names:
        public, operator = free_ports(2)
        place = folder / name
        place.mkdir()
        (place / CONFIG_FILE).write_text(_settings(name, database, public, operator, lease_s) + (more or {}).get(name, ""))
        nodes.append((place, operator, _KEY))
        addresses.append((f"http://127.0.0.1:{public}/shop/dsp/2025-1/", f"http://127.0.0.1:{operator}"))
    with running(nodes) as started:
        found = [
            Replica(
                node=node,
                http=httpx.Client(base_url=public, headers=_TOKEN, trust_env=False, timeout=20),
                operator=httpx.Client(base_url=operator, trust_env=False, timeout=20),
            )
            for node, (public, operator) in zip(started, addresses, strict=True)
        ]
        try:
            yield found
        finally:
            for replica in found:
                replica.http.close()
                replica.operator.close()


def until(is_so: Callable[[], bool], what: str, within_s: float = 10.0) -> float:
    """How long it took until something was so; the test fails when it is not in time."""
    began = time.monotonic()
    while not is_so():
        assert time.monotonic() - began < within_s, f"not within {within_s} s: {what}"
        time.sleep(0.01)
    return time.monotonic() - began


def _settings(name: str, database: str, public: int, operator: int, lease_s: float) -> str:
    return f"""\
secrets_key = "{base64.b64encode(b"s" * 32).decode()}"

[node]
id = "{name}"
public_url = "http://127.0.0.1:{public}"

[public]
port = {public}

[operator]
port = {operator}
api_keys = [{{ name = "operator", role = "admin", sha256 = "{hashlib.sha256(_KEY.encode()).hexdigest()}" }}]

[store]
url = "{database}"
lease_s = {lease_s}
connections = 8

[outbound]
unsafe_allow_http = true
unsafe_allow_loopback = true

[participants.shop]
id = "urn:shop"

[[participants.shop.unsafe_static_tokens]]
id = "urn:buyer"
theirs = "{_TOKEN["Authorization"]}"
ours = "Bearer shop-to-buyer"
"""
