"""Spans reach the collector that the settings name."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import ClassVar

import httpx
import pytest

from connector.app import App
from tests.app.conftest import Make


class Collector(BaseHTTPRequestHandler):
    """Takes spans, and notes where they came and what proved their sender."""

    taken: ClassVar[list[tuple[str, str | None, bytes]]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.taken.append((self.path, self.headers["authorization"], body))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def collector() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Collector)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


async def test_spans_reach_the_collector_before_the_node_is_gone(settings: Make, collector: str) -> None:
    pytest.importorskip("opentelemetry.sdk")
    telemetry = {"otlp_url": collector, "otlp_authorization": "Bearer collector", "service": "of-acme"}
    async with App(settings(telemetry=telemetry)) as app, httpx.AsyncClient(trust_env=False) as http:
        await http.get(f"{app.public_url}/acme/.well-known/dspace-version")
    assert {(path, shown) for path, shown, _ in Collector.taken} == {("/v1/traces", "Bearer collector")}
    whole = b"".join(body for _, _, body in Collector.taken)
    assert b"of-acme" in whole
    assert b"GET public" in whole
