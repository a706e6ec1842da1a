"""Nodes as processes of their own on this machine: started together, ready when they answer, gone when we are.

What lives here: starting, waiting, stopping. What a node is told to do is `demo.py`'s business.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import connector
from connector.cli.init import CONFIG_FILE
from connector.errors import ConfigurationError, Unreachable

if TYPE_CHECKING:
    from connector.client import Client

LOG_FILE = "node.log"
_READY_S = 30.0
_STOP_S = 8.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A node in a process of its own."""

    folder: Path
    process: subprocess.Popen[bytes]
    client: Client


@contextlib.contextmanager
def running(nodes: Sequence[tuple[Path, int, str]]) -> Iterator[list[Running]]:
    """The nodes whose folder, operator port and API key are given, all ready; they are stopped on the way out.

    Each holds the other end of a pipe of ours and stops when that closes, so that none outlives this process however it ends.

    Raises: ConfigurationError with the end of its log when a node does not start.
    """
    from connector.client import Client

    with contextlib.ExitStack() as stack:
        started: list[Running] = []
        stack.callback(lambda: stop(started))
        for folder, port, key in nodes:
            client = stack.enter_context(Client(f"http://127.0.0.1:{port}", key))
            started.append(Running(folder=folder, process=_start(folder), client=client))
        for node in started:
            _wait_until_ready(node)
        yield started


def stop(nodes: Sequence[Running], *, within_s: float = _STOP_S) -> None:
    """End the processes: all are told first, then each is waited for."""
    for node in nodes:
        if node.process.stdin is not None:
            node.process.stdin.close()
        if node.process.poll() is None:
            node.process.terminate()
    until = time.monotonic() + within_s
    for node in nodes:
        try:
            node.process.wait(max(0.1, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            node.process.kill()
            node.process.wait()


def ended(nodes: Sequence[Running]) -> Running | None:
    """A node whose process has ended by itself; None while all run."""
    return next((node for node in nodes if node.process.poll() is not None), None)


def log_tail(folder: Path, lines: int = 12) -> str:
    """The end of what the node in `folder` has logged."""
    return "\n".join((folder / LOG_FILE).read_text(errors="replace").splitlines()[-lines:])


def _start(folder: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "connector.cli", "serve", "--until-stdin-ends", "--config", str(folder / CONFIG_FILE)]
    with (folder / LOG_FILE).open("ab") as log:
        return subprocess.Popen(
            command,
            # where the package lies, so that the node is of this very release
            cwd=Path(connector.__file__).resolve().parents[1],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            # a Ctrl-C is for us; we stop the nodes in order
            start_new_session=True,
        )


def _wait_until_ready(node: Running) -> None:
    from connector.client import api_keys

    until = time.monotonic() + _READY_S
    while True:
        try:
            node.client.send(api_keys())
        except Unreachable as error:
            if node.process.poll() is not None or time.monotonic() > until:
                raise ConfigurationError(
                    f"a node of the demo did not start:\n{log_tail(node.folder)}\n",
                    where=str(node.folder / LOG_FILE),
                    mend="see the end of its log above",
                ) from error
            time.sleep(0.02)
        else:
            return
