"""Nodes of the product as benchmarks need them: `kontor serve` in processes of their own, SQLite, static tokens, loopback.

Everything about them is asked of public features: the settings file and the operator API.
"""

from __future__ import annotations

import hashlib
import secrets
import sys
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from tests.bench.asked import Asked
from tests.bench.processes import Server, ServerError, free_port

PARTICIPANT = "one"
POLICY = "members-for-research"
OFFER = "offer"
PURPOSE = "research"
NO_LIMITS = """\
[limits.peer]
requests_per_s = 1000000
requests_at_once = 1024
"""
"""A benchmark is one peer that asks as much as it can."""
_MEMBER = "https://w3id.org/kontor/ns/membership"
PERMISSION: dict[str, Any] = {
    "action": "use",
    "constraint": [
        {"leftOperand": _MEMBER, "operator": "eq", "rightOperand": "active"},
        {"leftOperand": "purpose", "operator": "eq", "rightOperand": PURPOSE},
    ],
}
TERMS: dict[str, Any] = {"permission": [PERMISSION]}


def participant_id(name: str) -> str:
    """The id of the participant of the node `name`."""
    return f"urn:kontor:bench:{name}"


def token(sender: str, receiver: str) -> str:
    """What `sender` shows to `receiver`."""
    return f"Bearer {hashlib.sha256(f'{sender} to {receiver}'.encode()).hexdigest()}"


def command(module: str, *arguments: str, profile: Path | None = None) -> list[str]:
    """A module run by this interpreter, under the profiler when a file for its findings is given."""
    runner = ["-m", "cProfile", "-o", str(profile)] if profile else []
    return [sys.executable, *runner, "-m", module, *arguments]


class Node(Server):
    """A node with one participant that knows one peer."""

    def __init__(self, asked: Asked, name: str, peer: str, *, limits: str = NO_LIMITS, more: str = "") -> None:
        """`limits`: their tables of the settings file; `more`: further ones."""
        folder = asked.folder / name
        folder.mkdir(parents=True, exist_ok=True)
        self.name = name
        self.folder = folder
        self.public_port, operator_port = free_port(), free_port()
        self.key = secrets.token_urlsafe(24)
        self.address = f"http://127.0.0.1:{self.public_port}/{PARTICIPANT}/dsp/2025-1"
        config = folder / "kontor.toml"
        config.write_text(f"{self._settings(peer, operator_port, limits)}\n{more}")
        profile = asked.folder / f"{name}.profile" if asked.is_profiled else None
        super().__init__(
            command("connector.cli", "serve", "--config", str(config), "--until-stdin-ends", profile=profile),
            port=operator_port,
            folder=asked.folder,
            name=name,
        )

    def _settings(self, peer: str, operator_port: int, limits: str) -> str:
        return f"""\
[node]
public_url = "http://127.0.0.1:{self.public_port}"

[public]
port = {self.public_port}

[operator]
port = {operator_port}
api_keys = [{{ name = "bench", role = "admin", sha256 = "{hashlib.sha256(self.key.encode()).hexdigest()}" }}]

[outbound]
unsafe_allow_http = true
unsafe_allow_loopback = true

{limits}
[participants.{PARTICIPANT}]
id = "{participant_id(self.name)}"

[[participants.{PARTICIPANT}.unsafe_static_tokens]]
id = "{participant_id(peer)}"
theirs = "{token(peer, self.name)}"
ours = "{token(self.name, peer)}"
claims = {{ membership = "active" }}
"""

    def api(self, method: str, path: str, body: Any = None) -> Any:
        """The operator API's answer for the participant.

        Raises: ServerError when the node refuses.
        """
        answer = httpx.request(
            method,
            f"http://127.0.0.1:{self.port}{self.path(path)}",
            json=body,
            headers={"X-Api-Key": self.key},
            timeout=600,
            trust_env=False,
        )
        if answer.is_error:
            raise ServerError(f"{method} {path} was answered {answer.status_code}: {answer.text[:800]}")
        return answer.json() if answer.content else None

    @property
    def store(self) -> str:
        """The URL of the file with its state."""
        return f"sqlite:///{self.folder / 'data' / 'kontor.db'}"

    def received(self, pid: str) -> Path:
        """Where the data of a push lies that has arrived."""
        return self.folder / "data" / "inbox" / PARTICIPANT / quote(pid, safe="").replace(".", "%2E") / "data"

    def read(self, path: str) -> bytes:
        """The body of an answer of the operator API.

        Raises: ServerError when the node refuses, httpx.HTTPError when it breaks off.
        """
        url = f"http://127.0.0.1:{self.port}{self.path(path)}"
        answer = httpx.get(url, headers={"X-Api-Key": self.key}, timeout=600, trust_env=False)
        if answer.is_error:
            raise ServerError(f"GET {path} was answered {answer.status_code}: {answer.text[:800]}")
        return answer.content

    def path(self, path: str) -> str:
        """An address of the operator API, below the participant."""
        return f"/api/v1/participants/{PARTICIPANT}{path}"

    def offer(self, dataset: str, *, ends_at: datetime | None = None, **source: Any) -> dict[str, Any]:
        """Publish `dataset`, and give back its offer as a request carries it; its agreements last until `ends_at`."""
        policy, terms = POLICY, TERMS
        if ends_at is not None:
            policy = f"{POLICY}-{dataset}"
            end = {"leftOperand": "dateTime", "operator": "lt", "rightOperand": ends_at.isoformat()}
            terms = {"permission": [{**PERMISSION, "constraint": [*PERMISSION["constraint"], end]}]}
        self.api("PUT", f"/policies/{policy}", {"id": policy, "policy": terms})
        asset: dict[str, Any] = {"id": dataset, "title": dataset, "source": source or {"type": "none"}}
        if not source:
            asset["formats"] = ["HttpData-PULL"]
        self.api("POST", "/assets", asset)
        definition = {"id": dataset, "assets": [dataset], "policy": policy, "offer_id": f"{OFFER}:{dataset}"}
        self.api("POST", "/contract-definitions", definition)
        return {"@id": f"{OFFER}:{dataset}", "@type": "Offer", "target": dataset, **terms}

    def count(self, kind: str, **narrowed: str) -> int:
        """How many negotiations or transfers fit."""
        query = "&".join(f"{name}={value}" for name, value in ({**narrowed, "limit": "1"}).items())
        return int(self.api("GET", f"/{kind}?{query}")["total"])


class Echo(Server):
    """The baseline of messages."""

    def __init__(self, asked: Asked) -> None:
        port = free_port()
        super().__init__(command("tests.bench.echo", str(port)), port=port, folder=asked.folder, name="echo")
