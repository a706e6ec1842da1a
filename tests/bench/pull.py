"""Figure 10: memory while data flows, from 10 MB to 10 GB.

The consumer's node relays a pull to a program that throws every byte away; the provider's node serves a file (sparse, so that
the disk is not what is measured), or relays an HTTP upstream. Growth is the peak of resident memory during a transfer (the
kernel's own high-water mark) over what it was before, after a first small transfer that loads what is loaded late. The larger of
both nodes counts.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from tests.bench import figures
from tests.bench.asked import Asked
from tests.bench.nodes import PURPOSE, Node, participant_id
from tests.bench.processes import ServerError

_MB = 1_000_000
_SMALL, _LARGE = 10 * _MB, 10_000 * _MB
_WITHIN_S = 20.0


def run(asked: Asked) -> list[figures.Figure]:
    """The figure, for a file and for an upstream."""
    large = asked.of(_LARGE)
    found: list[figures.Figure] = []
    with Node(asked, "provider", "consumer") as provider, Node(asked, "consumer", "provider") as consumer:
        for kind in ("file", "upstream"):
            with contextlib.ExitStack() as stack:
                growth: dict[int, list[float]] = {}
                rates: list[float] = []
                for size in (_MB, _SMALL, large):
                    source = _file(asked.folder, size) if kind == "file" else _remote(stack.enter_context(_upstream(size)))
                    pid = _open(provider, consumer, f"{kind}-{size}", source)
                    rounds = asked.rounds if size == _SMALL else 1
                    for _ in range(rounds):
                        grown, rate = _transferred(provider, consumer, pid, size)
                        growth.setdefault(size, []).append(grown)
                    if size == large:
                        rates.append(rate)
                    asked.tell(f"{kind}, {size // _MB} MB: grew by {max(growth[size]):.1f} MB, {rate:.0f} MB/s")
                    if kind == "file":
                        Path(str(source["path"])).unlink()
                found += _told(kind, large, growth, rates)
    return found


def _told(kind: str, large: int, growth: dict[int, list[float]], rates: list[float]) -> list[figures.Figure]:
    most = f"{large // _MB:,} MB"
    flat = growth[large][0] - max(growth[_SMALL])
    return [
        figures.plain(
            10, f"{kind}: growth of memory, 10 MB, most of the rounds", [max(growth[_SMALL])], unit="MB", must=32, ambition=16
        ),
        figures.plain(10, f"{kind}: growth of memory, {most}", growth[large], unit="MB", must=32, ambition=16),
        figures.plain(10, f"{kind}: {most} beyond 10 MB", [flat], unit="MB", must=8),
        figures.plain(10, f"{kind}: {most} through both nodes, wall", rates, unit="MB/s", is_larger_better=True),
    ]


def _file(folder: Path, size: int) -> dict[str, object]:
    path = folder / f"{size}.bin"
    with path.open("wb") as file:
        os.truncate(file.fileno(), size)
    return {"type": "file", "path": str(path)}


def _remote(url: str) -> dict[str, object]:
    return {"type": "http", "url": url}


def _open(provider: Node, consumer: Node, dataset: str, source: dict[str, object]) -> str:
    """The pid of a transfer at the consumer whose data may be fetched."""
    offer = provider.offer(dataset, **source)
    wish = {
        "address": provider.address,
        "peer": participant_id("provider"),
        "dataset": dataset,
        "offer": offer,
        "purpose": PURPOSE,
    }
    pid = consumer.api("POST", "/negotiations", wish)["pid"]
    agreed = _until(consumer, f"/negotiations/{pid}", "FINALIZED")
    wanted = {"agreement": agreed["agreement_id"], "format": "HttpData-PULL"}
    pid = str(consumer.api("POST", "/transfers", wanted)["pid"])
    _until(consumer, f"/transfers/{pid}", "STARTED")
    return pid


def _until(node: Node, path: str, state: str) -> dict[str, object]:
    until = time.monotonic() + _WITHIN_S
    while True:
        found: dict[str, object] = node.api("GET", path)
        if found["state"] == state:
            return found
        if time.monotonic() > until:
            raise ServerError(f"{path} did not reach {state}: {json.dumps(found)[:800]}")
        time.sleep(0.02)


def _transferred(provider: Node, consumer: Node, pid: str, size: int) -> tuple[float, float]:
    """By how many MB the memory of one of the nodes grew at most, and MB a second."""
    for node in (provider, consumer):
        node.settle()
        node.forget_peak()
    before = [node.memory_mb() for node in (provider, consumer)]
    begin = time.perf_counter()
    taken = _discard(consumer.port, consumer.path(f"/transfers/{pid}/data"), consumer.key)
    took = time.perf_counter() - begin
    if taken != size:
        raise ServerError(f"{taken} bytes came, expected {size}\n{consumer.log_tail()}")
    after = [node.peak_mb() for node in (provider, consumer)]
    return max(peak - start for peak, start in zip(after, before, strict=True)), size / took / _MB


def _discard(port: int, path: str, key: str) -> int:
    """How many bytes of a body came."""
    buffer = memoryview(bytearray(1 << 20))
    with socket.create_connection(("127.0.0.1", port), 60) as connection:
        head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Api-Key: {key}\r\nConnection: close\r\n\r\n"
        connection.sendall(head.encode())
        first = b""
        while b"\r\n\r\n" not in first:
            data = connection.recv(1 << 16)
            if not data:
                raise ServerError(f"no answer: {first[:500]!r}")
            first += data
        answer, _, body = first.partition(b"\r\n\r\n")
        if b" 200 " not in answer[:16]:
            raise ServerError(f"answered {first[:800].decode(errors='replace')}")
        if b"transfer-encoding: chunked" in answer.lower():
            raise ServerError("the length of the body is not known; it cannot be counted plainly")
        taken = len(body)
        while count := connection.recv_into(buffer):
            taken += count
    return taken


@contextlib.contextmanager
def _upstream(size: int) -> Iterator[str]:
    """The address of an HTTP server that gives `size` zero bytes to whoever asks, and closes."""
    chunk = bytes(1 << 20)
    head = (
        f"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: {size}\r\nConnection: close\r\n\r\n"
    ).encode()

    def give(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            asked = connection.recv(1 << 16)
            connection.sendall(head)
            left = 0 if asked.startswith(b"HEAD ") else size
            while left:
                connection.sendall(chunk[:left] if left < len(chunk) else chunk)
                left -= min(left, len(chunk))

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=give, args=(listener.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/data"
        finally:
            listener.shutdown(socket.SHUT_RDWR)
