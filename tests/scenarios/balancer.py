"""A balancer in front of nodes: one address, and whichever of them takes a connection."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Balancer:
    """Passes each connection on to the first of its nodes that is there; how to order them is for the test to say."""

    def __init__(self) -> None:
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self._socket.listen()
        self.port: int = self._socket.getsockname()[1]
        self.nodes: list[int] = []
        """Ports, the most wanted first."""
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                caller, _ = self._socket.accept()
                threading.Thread(target=self._pass_on, args=(caller,), daemon=True).start()

    def _pass_on(self, caller: socket.socket) -> None:
        for port in tuple(self.nodes):
            with contextlib.suppress(OSError):
                node = socket.create_connection(("127.0.0.1", port), timeout=5)
                node.settimeout(None)
                threading.Thread(target=_pumped, args=(node, caller), daemon=True).start()
                _pumped(caller, node)
                return
        caller.close()

    def close(self) -> None:
        """Take no more connections."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


def _pumped(one: socket.socket, other: socket.socket) -> None:
    """Pass on what comes from `one`; both are closed when either is."""
    with contextlib.suppress(OSError):
        while data := one.recv(64 << 10):
            other.sendall(data)
    for end in (one, other):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
        end.close()


@contextmanager
def balancers(count: int) -> Iterator[tuple[Balancer, ...]]:
    """So many, closed at the end."""
    found = tuple(Balancer() for _ in range(count))
    try:
        yield found
    finally:
        for one in found:
            one.close()
