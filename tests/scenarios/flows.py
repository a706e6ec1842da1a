"""Data that flows from replicas: a receiver that takes a push slowly and counts, and transfers that are begun as a peer begins them."""

from __future__ import annotations

import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx

from tests.scenarios.replicas import Buyer, Replica, until
from tests.scenarios.wire import message

PULL, PUSH = "HttpData-PULL", "HttpData-PUSH"
DATA_BYTES = 1 << 30
"""Far more than what sockets and buffers on the way hold, so that a flow is running for as long as its end is not read."""
_PIECE = 64 << 10


class Sink:
    """A receiver of pushes that reads some 50 MB/s: after a cut, what buffers still hold is read in a tenth of a second."""

    def __init__(self, *, goes_on: bool = False) -> None:
        """`goes_on`: it takes uploads that can be gone on with."""
        self.running = 0
        self.first_bytes: list[int] = []
        """Where each of those that were gone on with began."""
        self.here_bytes = 0
        self.most_running = 0
        self.begun = 0
        self.begun_at: list[float] = []
        self.whole = 0
        """Deliveries that came to their end."""
        self._lock = threading.Lock()
        sink = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_PUT(self) -> None:
                with sink._lock:
                    sink.running, sink.begun = sink.running + 1, sink.begun + 1
                    sink.begun_at.append(time.monotonic())
                    sink.most_running = max(sink.most_running, sink.running)
                try:
                    if sink._take(self):
                        sink.whole += 1
                        self.send_response(201)
                        self.send_header("content-length", "0")
                        self.send_header("upload-complete", "?1")
                        self.end_headers()
                except OSError:
                    self.close_connection = True
                finally:
                    with sink._lock:
                        sink.running -= 1

            def do_OPTIONS(self) -> None:
                self._answer(204 if goes_on else 405, {"accept-patch": "application/partial-upload"} if goes_on else {})

            def do_POST(self) -> None:
                if "upload-complete" in self.headers:
                    self._answer(201, {"location": "/upload"})
                else:
                    self.do_PUT()

            def do_HEAD(self) -> None:
                self._answer(204, {"upload-offset": str(sink.here_bytes), "upload-complete": "?0"})

            def do_PATCH(self) -> None:
                sink.first_bytes.append(int(self.headers["upload-offset"]))
                self.do_PUT()

            def _answer(self, status: int, headers: dict[str, str]) -> None:
                self.send_response(status)
                for name, value in ({"content-length": "0"} | headers).items():
                    self.send_header(name, value)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Says nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/sink"

    def _take(self, request: BaseHTTPRequestHandler) -> bool:
        """Whether all of it has come."""
        left = int(request.headers["content-length"])
        while left:
            time.sleep(0.001)
            piece = request.rfile.read1(min(left, _PIECE))  # type: ignore[attr-defined]
            if not piece:
                request.close_connection = True
                return False
            left -= len(piece)
            self.here_bytes += len(piece)
        return True

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def agreed(replica: Replica, buyer: Buyer, consumer_pid: str = "urn:c:1") -> str:
    """The id of an agreement about the dataset."""
    pid = replica.ask(buyer, consumer_pid).json()["providerPid"]
    pids = {"providerPid": pid, "consumerPid": consumer_pid}
    found: list[str] = []

    def is_agreed() -> bool:
        found[:] = [
            tree["agreement"]["@id"]
            for _, tree in list(buyer.received)
            if tree["@type"] == "ContractAgreementMessage" and tree["consumerPid"] == consumer_pid
        ]
        return bool(found) and replica.http.get(f"negotiations/{pid}").json()["state"] == "AGREED"

    until(is_agreed, "it is agreed")
    replica.post(f"negotiations/{pid}/agreement/verification", message("ContractAgreementVerificationMessage", **pids))
    until(lambda: replica.http.get(f"negotiations/{pid}").json()["state"] == "FINALIZED", "it is final")
    return found[0]


def requested(
    replica: Replica, buyer: Buyer, agreement: str, format_: str, sink: Sink | None = None, *, consumer_pid: str = ""
) -> str:
    """Our providerPid of a transfer that the buyer asks for."""
    address = (
        {"@type": "DataAddress", "endpointType": "https://w3id.org/idsa/v4.1/HTTP", "endpoint": sink.url} if sink else None
    )
    tree = message(
        "TransferRequestMessage",
        consumerPid=consumer_pid or f"urn:t:{format_}",
        agreementId=agreement,
        format=format_,
        callbackAddress=buyer.url,
        dataAddress=address,
    )
    answer = replica.post("transfers/request", tree)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["providerPid"])


def start_of(buyer: Buyer, consumer_pid: str, within_s: float = 10.0) -> dict[str, Any]:
    """The message that starts a transfer, once it has come."""
    until(lambda: consumer_pid in buyer.got("TransferStartMessage"), "it is started", within_s)
    (start,) = [t for _, t in list(buyer.received) if t["@type"] == "TransferStartMessage" and t["consumerPid"] == consumer_pid]
    return start


def started(
    replica: Replica, buyer: Buyer, agreement: str, format_: str, sink: Sink | None = None
) -> tuple[str, dict[str, Any]]:
    """Our providerPid of a transfer, and the message that started it."""
    pid = requested(replica, buyer, agreement, format_, sink)
    return pid, start_of(buyer, f"urn:t:{format_}")


def opened(start: dict[str, Any], port: int | None = None) -> tuple[str, dict[str, str]]:
    """The URL, at another port when one is given, and the headers that a start message opens."""
    properties = {p["name"]: p["value"] for p in start["dataAddress"]["endpointProperties"]}
    url = httpx.URL(start["dataAddress"]["endpoint"])
    headers = {"authorization": f"{properties.get('authType', 'Bearer')} {properties['authorization']}"}
    return str(url.copy_with(port=port) if port else url), headers


def state(replica: Replica, pid: str) -> str:
    """The state of a transfer, as the buyer is told."""
    return str(replica.http.get(f"transfers/{pid}").json()["state"])


def read_to_its_end(url: str, headers: dict[str, str], begun: threading.Event) -> tuple[float, int]:
    """When the flow to a reader as slow as a `Sink` ended, and how many bytes had come by then."""
    got = 0
    try:
        with httpx.stream("GET", url, headers=headers, trust_env=False, timeout=20) as answer:
            assert answer.status_code in (200, 206), answer.read()
            for piece in answer.iter_raw(_PIECE):
                got += len(piece)
                begun.set()
                time.sleep(0.001)
    except httpx.HTTPError:
        return time.monotonic(), got
    return time.monotonic(), got
