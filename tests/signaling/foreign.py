"""Planes of others, on real sockets: a data plane that does as it is told, and a control plane that listens."""

from __future__ import annotations

import asyncio
import json
import socket
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import uvicorn
from starlette.types import Receive, Scope, Send

from tests.dps.schemas import BY_STEP

SECRET = "between the two of us"
_WITHIN_S = 10.0


@dataclass(frozen=True)
class Heard:
    """One request."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    raw_path: str = ""
    """As it was sent."""

    @property
    def step(self) -> str:
        return self.path.rpartition("/")[2]

    @property
    def tree(self) -> Any:
        return json.loads(self.body) if self.body else None


Answer = tuple[int, Any]


@dataclass
class Plane:
    """Somebody else's plane: what it heard, and what it answers."""

    url: str = ""
    heard: list[Heard] = field(default_factory=list)
    answers: dict[str, Callable[[Heard], Answer]] = field(default_factory=dict)
    """By the last step of an address; others are answered 200 without a body."""
    before: dict[str, Callable[[Heard], Awaitable[None]]] = field(default_factory=dict)
    """What it does before it answers."""
    _news: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        found = Heard(scope["method"], scope["path"], headers, body, scope["raw_path"].decode())
        if found.step in self.before:
            await self.before[found.step](found)
        status, tree = self.answers.get(found.step, lambda _: (200, None))(found)
        said = b"" if tree is None else json.dumps(tree).encode()
        await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", b"application/json")]})
        await send({"type": "http.response.body", "body": said})
        async with self._news:
            self.heard.append(found)
            self._news.notify_all()

    def of(self, step: str) -> list[Heard]:
        """What it heard at addresses that end so."""
        return [one for one in self.heard if one.step == step]

    async def until(self, step: str, count: int = 1) -> Heard:
        """The request number `count` at an address that ends so, once it has come."""
        async with asyncio.timeout(_WITHIN_S), self._news:
            await self._news.wait_for(lambda: len(self.of(step)) >= count)
        return self.of(step)[count - 1]

    def messages(self) -> Iterator[tuple[str, Any]]:
        """What it heard, for the schemas."""
        for one in self.heard:
            if "/dataflow/" in one.path:
                yield "report", one.tree
            elif one.step in BY_STEP and one.method != "GET":
                yield one.step, one.tree


class DataPlane(Plane):
    """A data plane of the standard that moves nothing, and says that it does, in no more words than the kit's own."""

    def __init__(self) -> None:
        super().__init__()
        self.forget()

    def forget(self) -> None:
        """Behave, and have heard nothing."""
        self.heard.clear()
        self.before.clear()
        self.is_slow = False
        self.addresses = 0
        self.inbox = "https://data.example"
        """Where it wants pushes, and lets be pulled from."""
        self.answers = dict.fromkeys(("started", "suspend", "completed", "terminate"), lambda _: (200, {}))
        self.answers |= {"prepare": self._order, "start": self._order, "resume": self._note, "status": self._status}

    def address(self) -> dict[str, Any]:
        self.addresses += 1
        properties = [{"@type": "EndpointProperty", "name": "authorization", "value": f"token-{self.addresses}"}]
        return {
            "@type": "DataAddress",
            "endpointType": "urn:http",
            "endpoint": self.inbox,
            "endpointProperties": properties,
        }

    def _order(self, heard: Heard) -> Answer:
        is_push, is_start = heard.tree["profile"].endswith("PUSH"), heard.step == "start"
        word = {"prepare": "PREPAR", "start": "START"}[heard.step]
        if self.is_slow:
            # the kit makes an id of its own up, and goes on under that of the order
            return 202, {"dataFlowId": str(uuid.uuid4()), "state": f"{word}ING"}
        made = {"dataAddress": self.address()} if is_push is not is_start else {}
        return 200, {"state": f"{word}ED", **made}

    def _note(self, heard: Heard) -> Answer:
        made = {} if "dataAddress" in heard.tree else {"dataAddress": self.address()}
        return 200, {"state": "STARTED", **made}

    def _status(self, heard: Heard) -> Answer:
        return 200, {"dataFlowId": "f", "state": "STARTING" if self.of("start") else "PREPARING"}

    async def report(self, order: Heard, name: str, secret: str | None = SECRET, **members: Any) -> httpx.Response:
        """What the control plane that sent `order` answers to a report."""
        flow = order.tree["processId"]
        tree = {"dataFlowId": str(uuid.uuid4()), "state": name.upper(), **members}
        return await posted(f"{order.tree['callbackAddress']}/transfers/{flow}/dataflow/{name}", tree, secret)

    @property
    def steps(self) -> list[str]:
        """What it was told, in order."""
        return [one.step for one in self.heard]


async def posted(url: str, tree: Any, secret: str | None = SECRET, method: str = "POST") -> httpx.Response:
    """The answer to a message with a secret."""
    async with httpx.AsyncClient() as client:
        headers = {"authorization": f"Bearer {secret}"} if secret is not None else {}
        body = json.dumps(tree).encode() if tree is not None else b""
        return await client.request(method, url, content=body, headers={"content-type": "application/json", **headers})


@asynccontextmanager
async def listening(plane: Plane) -> AsyncIterator[Plane]:
    """`plane` on a port of its own."""
    with socket.socket() as at:
        at.bind(("127.0.0.1", 0))
        at.listen()
        plane.url = f"http://127.0.0.1:{at.getsockname()[1]}"
        config = uvicorn.Config(plane, log_config=None, lifespan="off", ws="none")
        config.load()
        server = uvicorn.Server(config)
        server.lifespan = config.lifespan_class(config)
        await server.startup(sockets=[at])
        try:
            yield plane
        finally:
            # not `shutdown`, which sleeps: a test must not wait for nothing
            for listener in server.servers:
                listener.close()
            for connection in tuple(server.server_state.connections):
                connection.transport.abort()
            await asyncio.gather(*server.server_state.tasks, return_exceptions=True)
