"""Running commands in this process, and two nodes that know each other for those that need one."""

from __future__ import annotations

import asyncio
import contextvars
import dataclasses
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from connector.app.listening import free_ports
from connector.cli.commands import roof
from connector.cli.init import CONFIG_FILE, NewNode, Peer, write
from connector.settings import read

COMMANDS = roof()


@dataclasses.dataclass(frozen=True)
class Ran:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def tree(self) -> Any:
        """Its output as JSON."""
        return json.loads(self.out)


Run = Callable[..., Ran]


@pytest.fixture(scope="session")
def run() -> Run:
    """Runs `kontor` with the given words, in this process, each time in a context of its own as a process would have."""

    def ran(*words: object) -> Ran:
        invoke = contextvars.copy_context().run
        told = [str(word) for word in words]
        result = invoke(CliRunner().invoke, COMMANDS, told, prog_name="kontor", catch_exceptions=False)
        return Ran(result.exit_code, result.stdout, result.stderr)

    return ran


@dataclasses.dataclass(frozen=True)
class Party:
    """A participant with a node of its own."""

    id: str
    address: str
    config: Path

    @property
    def options(self) -> tuple[str, str]:
        """What a command needs to find the node."""
        return "--config", str(self.config)


class Nodes:
    """Nodes that run in a thread of their own, so that commands find them over a real socket."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self._apps: list[Any] = []

    def start(self, config: Path) -> None:
        """The node of `config`, ready."""
        from connector.app import App

        app = App(read(config))
        asyncio.run_coroutine_threadsafe(app.__aenter__(), self._loop).result(30)
        self._apps.append(app)

    def stop(self) -> None:
        """Every node, and the thread."""
        for app in reversed(self._apps):
            asyncio.run_coroutine_threadsafe(app.__aexit__(None, None, None), self._loop).result(30)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@dataclasses.dataclass(frozen=True)
class Space:
    """Two participants who know each other; the consumer is a member."""

    provider: Party
    consumer: Party
    folder: Path

    @property
    def peer(self) -> tuple[str, str, str]:
        """The provider, as the consumer's commands name it."""
        return self.provider.address, "--peer", self.provider.id


@pytest.fixture
def nodes() -> Iterator[Nodes]:
    """Starts further nodes, for this test alone."""
    started = Nodes()
    try:
        yield started
    finally:
        started.stop()


@pytest.fixture(scope="session")
def space(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Space]:
    """A provider, open to data planes, and a consumer, up and running for the whole session: each test uses names of its own."""
    folder = tmp_path_factory.mktemp("space")
    ports = free_ports(4)
    ids = {"provider": "urn:example:provider", "consumer": "urn:example:consumer"}
    tokens = {"provider": "Bearer of-the-provider", "consumer": "Bearer of-the-consumer"}
    parties: dict[str, Party] = {}
    nodes = Nodes()
    try:
        for n, (name, other) in enumerate((("provider", "consumer"), ("consumer", "provider"))):
            peer = Peer(id=ids[other], theirs=tokens[other], ours=tokens[name], claims={"membership": "active"})
            base = f"http://127.0.0.1:{ports[2 * n]}"
            wanted = NewNode(
                name=name, id=ids[name], title=name, public_url=base, port=ports[2 * n], operator_port=ports[2 * n + 1],
                is_local=True, peers=(peer,),
            )  # fmt: skip
            write(folder / name, wanted)
            if name == "provider":
                with (folder / name / CONFIG_FILE).open("a", encoding="utf-8") as config:
                    config.write("\n[signaling]\nport = 0\nunsafe_allow_http = true\n")
            parties[name] = Party(ids[name], f"{base}/{name}/dsp/2025-1", folder / name / CONFIG_FILE)
            nodes.start(parties[name].config)
        yield Space(parties["provider"], parties["consumer"], folder)
    finally:
        nodes.stop()
