"""Whoever reads bodies: plain sockets, every byte thrown away, as cheap as it can be. Also as a process of its own.

python -m tests.bench.reading URL HEADER STREAMS    reads URL again and again on so many connections until its input ends
"""

from __future__ import annotations

import os
import socket
import sys
import threading
import time
from dataclasses import dataclass
from urllib.parse import urlsplit

from tests.bench.load import content_length
from tests.bench.processes import ServerError

_BUFFER_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Readable:
    """An address, and what opens it."""

    url: str
    header: str = ""
    """A whole line, such as `Authorization: Bearer ...`."""

    @property
    def port(self) -> int:
        return urlsplit(self.url).port or 80

    def request(self, *, is_last: bool = True) -> bytes:
        """A GET of it as bytes; the last one on its connection, or not."""
        parts = urlsplit(self.url)
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        lines = [f"GET {path} HTTP/1.1", f"Host: {parts.netloc}"]
        lines += [self.header] * bool(self.header)
        lines += ["Connection: close"] * is_last
        return ("\r\n".join(lines) + "\r\n\r\n").encode()


def opened(at: Readable) -> tuple[socket.socket, int, int]:
    """A connection on which the body flows: the length of the body, and how much of it has come with the head.

    Raises: ServerError when there is no such body.
    """
    connection = socket.create_connection(("127.0.0.1", at.port), 60)
    try:
        connection.sendall(at.request())
        first = b""
        while b"\r\n\r\n" not in first:
            some = connection.recv(1 << 16)
            if not some:
                raise ServerError(f"no answer: {first[:500]!r}")
            first += some
        head, _, body = first.partition(b"\r\n\r\n")
        if b" 200 " not in head[:16]:
            raise ServerError(f"answered {first[:800].decode(errors='replace')}")
        if b"transfer-encoding: chunked" in head.lower():
            raise ServerError("the length of the body is not known; it cannot be counted plainly")
        return connection, content_length(head), len(body)
    except BaseException:
        connection.close()
        raise


def read(at: Readable) -> tuple[int, float]:
    """How many bytes of a body came, and the seconds that it took.

    Raises: ServerError when it is not whole.
    """
    begin = time.perf_counter()
    connection, length, taken = opened(at)
    buffer = memoryview(bytearray(_BUFFER_BYTES))
    with connection:
        while count := connection.recv_into(buffer):
            taken += count
    took = time.perf_counter() - begin
    if taken != length:
        raise ServerError(f"{taken} bytes came, expected {length}")
    return taken, took


def main(url: str, header: str, streams: str) -> None:
    at = Readable(url=url, header=header)
    # who reads is somewhere else in real life: it gets the processors that nobody measured wants
    os.nice(19)

    def work() -> None:
        while True:
            read(at)

    for _ in range(int(streams)):
        threading.Thread(target=work, daemon=True).start()
    print("reading", flush=True)
    sys.stdin.read()  # whoever started this holds our standard input
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:4])
