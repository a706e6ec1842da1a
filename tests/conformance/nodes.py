"""A node of the product in a process of its own, as a user would start it: `kontor serve --config FILE` in an empty folder.

SQLite, ports that were free a moment ago, a settings file, and the operator API over HTTP from then on.
What stands in the file, and what the node is asked to do, is the business of each kit's folder.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx

_READY_S = 30.0
_STOP_S = 10.0
_CHECKOUT = Path(__file__).resolve().parents[2]


class NodeError(Exception):
    """The node did not start, or its operator API refused what it was asked."""


def free_port() -> int:
    """A port that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """Where a node listens, and who may ask its operator API."""

    public: int
    operator: int
    key_sha256: str
    """Digest of the key."""

    def common(self, host: str = "127.0.0.1") -> str:
        """The sections of the settings file that all nodes here have."""
        return f"""\
[node]
public_url = "http://{host}:{self.public}"

[public]
port = {self.public}

[operator]
port = {self.operator}
api_keys = [{{ name = "conformance", role = "admin", sha256 = "{self.key_sha256}" }}]

[outbound]
unsafe_allow_http = true
unsafe_allow_loopback = true

"""


class Node:
    """A running node; `with Node(folder) as node:` starts it, waits until it is ready, and stops it."""

    def __init__(
        self,
        folder: Path,
        participant: str,
        settings: Callable[[Ports], str],
        *,
        module: str = "connector.cli",
        host: str = "127.0.0.1",
    ) -> None:
        """`settings` gives the text of the settings file; `module` is what runs `serve`; `host` is how peers call this machine."""
        self._folder = folder
        self._participant = participant
        self._settings = settings
        self._module = module
        self._log = folder / "node.log"
        self._key = secrets.token_urlsafe(24)
        digest = hashlib.sha256(self._key.encode()).hexdigest()
        self._ports = Ports(public=free_port(), operator=free_port(), key_sha256=digest)
        self.port = self._ports.public
        self.public_url = f"http://{host}:{self.port}/{participant}"
        self.api = httpx.Client(
            base_url=f"http://127.0.0.1:{self._ports.operator}", headers={"X-Api-Key": self._key}, timeout=10, trust_env=False
        )

    def __enter__(self) -> Node:
        config = self._folder / "kontor.toml"
        config.write_text(self._settings(self._ports))
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", self._module, "serve", "--config", str(config), "--until-stdin-ends"],
                cwd=self._folder, env=os.environ | {"PYTHONPATH": str(_CHECKOUT)},
                stdin=subprocess.PIPE, stdout=log, stderr=subprocess.STDOUT,
            )  # fmt: skip
        try:
            self._wait_until_ready()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stop()

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """The operator API's answer for the participant of this node.

        Raises: NodeError with what the node says when it refuses.
        """
        return self.ask_node(method, f"/participants/{self._participant}{path}", body)

    def ask_node(self, method: str, path: str, body: Any = None) -> Any:
        """The operator API's answer. Raises: as `ask`."""
        answer = self.api.request(method, f"/api/v1{path}", json=body)
        if answer.is_error:
            raise NodeError(f"{method} {path} was answered {answer.status_code}: {answer.text[:800]}")
        return answer.json() if answer.content else None

    def log_tail(self, lines: int = 60) -> str:
        """The end of what the node has logged."""
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-lines:])

    def _wait_until_ready(self) -> None:
        until = time.monotonic() + _READY_S
        while time.monotonic() < until:
            if self._process.poll() is not None:
                raise NodeError(f"the node ended with exit code {self._process.returncode}:\n{self.log_tail()}")
            try:
                if self.api.get("/health").is_success:
                    return
            except httpx.TransportError:
                pass  # not listening yet
            time.sleep(0.05)
        raise NodeError(f"the node was not ready after {_READY_S:.0f} s:\n{self.log_tail()}")

    def _stop(self) -> None:
        self.api.close()
        if self._process.poll() is None:
            self._process.terminate()
            assert self._process.stdin
            self._process.stdin.close()
            try:
                self._process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
