"""Measured processes: started with a pipe of ours so that none outlives us, their CPU time and memory read from the system.

Linux only, like the figures: CPU time comes from the process's own clock (user and system, all threads, nanoseconds), memory
from `/proc`.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

CHECKOUT = Path(__file__).resolve().parents[2]
_READY_S = 30.0
_STOP_S = 20.0


class ServerError(Exception):
    """A server did not start, or refused what it was asked."""


def free_port() -> int:
    """A port that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """A server in a process of its own; `with Server(...) as server:` starts it, waits until it answers, and stops it."""

    def __init__(self, command: Sequence[str], *, port: int, folder: Path, name: str, ready: str = "/health") -> None:
        self._command = command
        self._ready = ready
        self.port = port
        """The one that is asked whether it is ready."""
        self.log = folder / f"{name}.log"
        self.ready_after_s = 0.0
        """From the start of the process to its first good answer."""

    def __enter__(self) -> Self:
        # whatever this shell forbids: an installed node starts from compiled modules, and the first start here compiles them
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        begin = time.perf_counter()
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, cwd=CHECKOUT, env=environment, stdin=subprocess.PIPE, stdout=log, stderr=subprocess.STDOUT
            )
        try:
            self._wait_until_ready(begin + _READY_S)
        except BaseException:
            self.stop()
            raise
        self.ready_after_s = time.perf_counter() - begin
        return self

    def start(self) -> None:
        """Begin again after `kill`."""
        self.__enter__()

    def kill(self) -> None:
        """End the process without a warning."""
        self._process.kill()
        self._process.wait()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def stop(self) -> None:
        """End the process; harmless when it has ended."""
        if self._process.stdin is not None:
            with suppress(OSError):
                self._process.stdin.close()
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    @property
    def pid(self) -> int:
        return self._process.pid

    def cpu_s(self) -> float:
        """User and system time that the process has used, all its threads together."""
        # the kernel's name for the CPU clock of another process (clock_getcpuclockid)
        return time.clock_gettime((~self.pid << 3) | 2)

    def settle(self, within_s: float = 30.0) -> None:
        """Wait until the process has nothing left to do."""
        until = time.monotonic() + within_s
        before = self.cpu_s()
        while time.monotonic() < until:
            time.sleep(0.1)
            now = self.cpu_s()
            if now - before < 0.002:
                return
            before = now

    def memory_mb(self) -> float:
        """Resident memory."""
        return self._status("VmRSS")

    def peak_mb(self) -> float:
        """The most resident memory since `forget_peak`."""
        return self._status("VmHWM")

    def forget_peak(self) -> None:
        """Let `peak_mb` begin anew."""
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")

    def _status(self, name: str) -> float:
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith(name + ":"):
                return int(line.split()[1]) / 1024
        raise ServerError(f"process {self.pid} is gone:\n{self.log_tail()}")

    def log_tail(self, lines: int = 20) -> str:
        """The end of what it has logged."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def _wait_until_ready(self, until: float) -> None:
        request = f"GET {self._ready} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode()
        while time.perf_counter() < until:
            if self._process.poll() is not None:
                raise ServerError(f"it ended with exit code {self._process.returncode}:\n{self.log_tail()}")
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 5) as probe:
                probe.sendall(request)
                if b" 200 " in probe.recv(4096)[:16]:
                    return
            time.sleep(0.004)
        raise ServerError(f"it was not ready after {_READY_S:.0f} s:\n{self.log_tail()}")


def total_cpu_s(servers: Sequence[Server]) -> float:
    """CPU time of all of them together."""
    return sum(server.cpu_s() for server in servers)


def processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0))
