"""Figure 10: memory while data flows, from 10 MB to 10 GB.

The consumer's node relays a pull to a program that throws every byte away; the provider's node serves a file (sparse, so that
the disk is not what is measured), or relays an HTTP upstream. Growth is the peak of resident memory during a transfer (the
kernel's own high-water mark) over what it was before, after a first small transfer that loads what is loaded late. The larger of
both nodes counts.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

from tests.bench import agreed, figures, reading
from tests.bench.asked import Asked
from tests.bench.nodes import Node
from tests.bench.processes import ServerError

_MB = 1_000_000
_SMALL, _LARGE = 10 * _MB, 10_000 * _MB


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
                    source = (
                        agreed.sparse(asked.folder, size) if kind == "file" else _remote(stack.enter_context(upstream(size)))
                    )
                    pid = agreed.opened(provider, consumer, f"{kind}-{size}", source)
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


def _remote(url: str) -> dict[str, object]:
    return {"type": "http", "url": url}


def _transferred(provider: Node, consumer: Node, pid: str, size: int) -> tuple[float, float]:
    """By how many MB the memory of one of the nodes grew at most, and MB a second."""
    for node in (provider, consumer):
        node.settle()
        node.forget_peak()
    before = [node.memory_mb() for node in (provider, consumer)]
    taken, took = reading.read(agreed.collected(consumer, pid))
    if taken != size:
        raise ServerError(f"{taken} bytes came, expected {size}\n{consumer.log_tail()}")
    after = [node.peak_mb() for node in (provider, consumer)]
    return max(peak - start for peak, start in zip(after, before, strict=True)), size / took / _MB


@contextlib.contextmanager
def upstream(size: int) -> Iterator[str]:
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
