"""A node of the product in a process of its own, as a user would start it: `kontor serve --config FILE` in an empty folder.

SQLite, ports that were free a moment ago, a settings file, and the operator API over HTTP from then on.
What the node is asked to do is `setup.py`'s business.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx

from tests.conformance.dsp.cases import KIT_PARTICIPANT

PARTICIPANT = "cut"  # the connector under test: its name in URLs
PARTICIPANT_ID = "urn:kontor:cut"
KIT_AUTHORIZATION = "Bearer tck"  # what the kit sends, verbatim, with every request
_READY_S = 30.0
_STOP_S = 10.0
_CHECKOUT = Path(__file__).resolve().parents[3]


class NodeError(Exception):
    """The node did not start, or its operator API refused what it was asked."""


def free_port() -> int:
    """A port that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def settings_file(*, public_port: int, operator_port: int, operator_key: str) -> str:
    """The settings of the node, as TOML: one participant, a static token for the kit, plain HTTP on loopback."""
    digest = hashlib.sha256(operator_key.encode()).hexdigest()
    return f"""\
[node]
public_url = "http://127.0.0.1:{public_port}"

[public]
port = {public_port}

[operator]
port = {operator_port}
api_keys = [{{ name = "conformance", role = "admin", sha256 = "{digest}" }}]

[outbound]
unsafe_allow_http = true
unsafe_allow_loopback = true

[participants.{PARTICIPANT}]
id = "{PARTICIPANT_ID}"
unsafe_static_tokens = [{{ id = "{KIT_PARTICIPANT}", theirs = "{KIT_AUTHORIZATION}", ours = "{KIT_AUTHORIZATION}" }}]
"""


class Node:
    """A running node; `with Node(folder) as node:` starts it, waits until it is ready, and stops it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._log = folder / "node.log"
        self._key = secrets.token_urlsafe(24)
        self._ports = (free_port(), free_port())
        self.public_url = f"http://127.0.0.1:{self._ports[0]}/{PARTICIPANT}"
        self.api = httpx.Client(
            base_url=f"http://127.0.0.1:{self._ports[1]}", headers={"X-Api-Key": self._key}, timeout=10, trust_env=False
        )

    def __enter__(self) -> Node:
        config = self._folder / "kontor.toml"
        config.write_text(settings_file(public_port=self._ports[0], operator_port=self._ports[1], operator_key=self._key))
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "connector.cli", "serve", "--config", str(config), "--until-stdin-ends"],
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
        answer = self.api.request(method, f"/api/v1/participants/{PARTICIPANT}{path}", json=body)
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
