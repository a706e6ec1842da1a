"""A data plane on a real socket, a control plane of one dictionary, and servers that behave as a test wants."""

from __future__ import annotations

import asyncio
import hashlib
import os
import pathlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from connector.app.heads import BoundedHeads
from connector.dataplane.addresses import HTTP, S3_PULL, token_of
from connector.dataplane.plane import PULL, PUSH, BuiltInDataPlane, DataPlaneConfig
from connector.dataplane.representation import digest_field
from connector.dsp.messages import DataAddress, EndpointProperty
from connector.dsp.tables import Role, State
from connector.dsp.transfer import Access, Transfer, promoted
from connector.dsp.values import replace
from connector.errors import Forbidden, Unauthenticated
from connector.outbound.client import OutboundClient
from connector.outbound.rules import OutboundRules
from connector.ports.dataplane import Event, Grant, Source, Use
from connector.web import data
from connector.web.public import public_app
from tests.dataplane.buckets import AnyPlace, Blobs, Bucket

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SAMPLE = b"".join(b"%07d\n" % n for n in range(125_001))[:1_000_003]
"""Data in which every place is recognisable."""
DIGEST = hashlib.sha256(SAMPLE).hexdigest()
PID = "urn:uuid:2"
"""The push that `Node.expect` opens."""


class LeapingClock:
    """Whoever waits for a moment finds that it has come."""

    def __init__(self, now: datetime = NOW) -> None:
        self._now = now
        self.pauses_s: list[float] = []
        self.meanwhile: Callable[[], Awaitable[None]] | None = None
        """What happens in each pause."""

    def now(self) -> datetime:
        return self._now

    async def wait_until(self, moment: datetime | None, wake: asyncio.Event) -> None:
        if moment is None:
            await wake.wait()
        elif moment > self._now:
            self.pauses_s.append((moment - self._now).total_seconds())
            self._now = moment
            if self.meanwhile is not None:
                await self.meanwhile()
        await asyncio.sleep(0)


@dataclass
class Desk:
    """The control plane's side: what is open, and what was told."""

    transfers: dict[tuple[str, str], tuple[Transfer, Source]] = field(default_factory=dict)
    told: list[tuple[str, str, int | str, str | None]] = field(default_factory=list)
    attempts: list[tuple[str, str, str]] = field(default_factory=list)
    marks: list[str] = field(default_factory=list)
    """What was noted for whoever goes on with a push."""
    asked: int = 0
    free_until: datetime | None = datetime(9999, 1, 1, tzinfo=UTC)
    """What the terms say."""
    allowed_events: int | None = None
    passed: list[str] = field(default_factory=list)
    """Ids of the events that were counted."""
    fault: Exception | None = None
    """Raised, once, by the next thing that is told."""
    happened: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def may_pull(self, participant: str, pid: str, token: str | None, *, is_look: bool = False) -> Grant:
        transfer, source = self._proven(participant, pid, token)
        return Grant(transfer=transfer, source=source, free_until=self.free_until)

    async def renew(self, participant: str, pid: str, token: str | None, access: Access) -> None:
        found, source = self._proven(participant, pid, token)
        self.transfers[participant, pid] = (replace(found, upcoming=access), source)

    async def may_stream(self, transfer: Transfer) -> Use | None:
        return None

    async def may_pass(self, transfer: Transfer, events: Sequence[Event]) -> int:
        """As many as `allowed_events` says, each counted once."""
        for count, event in enumerate(events):
            if event.id not in self.passed:
                if self.allowed_events is not None and len(self.passed) >= self.allowed_events:
                    if count:
                        return count
                    raise Forbidden(f"at most {self.allowed_events} may pass")
                self.passed.append(event.id)
        return len(events)

    async def may_push(self, participant: str, pid: str, token: str | None) -> Transfer:
        return self._proven(participant, pid, token)[0]

    def _proven(self, participant: str, pid: str, token: str | None) -> tuple[Transfer, Source]:
        self.asked += 1
        found = self.transfers.get((participant, pid))
        shown = hashlib.sha256((token or "").encode()).hexdigest()
        if found is not None:
            found = self.transfers[participant, pid] = (promoted(found[0], shown), found[1])
        if found is None or found[0].access is None or found[0].access.token_sha256 != shown:
            raise Unauthenticated("this token opens nothing here")
        if found[0].state is not State.STARTED:
            raise Forbidden(f"the transfer is {found[0].state}")
        return found

    async def completed(self, participant: str, pid: str, *, moved_bytes: int, digest: str | None) -> None:
        await self._tell("completed", pid, moved_bytes, digest)

    async def received(self, participant: str, pid: str, *, moved_bytes: int, digest: str) -> None:
        await self._tell("received", pid, moved_bytes, digest)

    async def failed(self, participant: str, pid: str, reason: str) -> None:
        await self._tell("failed", pid, reason, None)

    async def attempted(self, participant: str, pid: str, *, url: str, cause: str) -> None:
        self.attempts.append((pid, url, cause))

    async def noted(self, participant: str, pid: str, mark: str) -> None:
        self.marks.append(mark)

    async def _tell(self, event: str, pid: str, what: int | str, digest: str | None) -> None:
        if self.fault is not None:
            fault, self.fault = self.fault, None
            raise fault
        async with self.happened:
            self.told.append((event, pid, what, digest))
            self.happened.notify_all()

    async def until(self, event: str) -> tuple[str, str, int | str, str | None]:
        """The first telling of `event`."""
        async with asyncio.timeout(10), self.happened:
            await self.happened.wait_for(lambda: any(told[0] == event for told in self.told))
        return next(told for told in self.told if told[0] == event)


@asynccontextmanager
async def listening(app: ASGIApp, **options: Any) -> AsyncIterator[str]:
    """`app` on a free port; gives back its base address. `options` are the server's, such as a certificate."""
    config = uvicorn.Config(
        app,
        http=partial(BoundedHeads, most=1000),  # type: ignore[arg-type]
        log_config=None,
        lifespan="off",
        access_log=False,
        **{"proxy_headers": False, **options},
    )
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    with socket.create_server(("127.0.0.1", 0)) as at:
        await server.startup(sockets=[at])
        await server.on_tick(0)
        try:
            yield f"http://127.0.0.1:{at.getsockname()[1]}"
        finally:
            # not `shutdown`, which sleeps: a test must not wait for nothing
            for listener in server.servers:
                listener.close()
            for connection in tuple(server.server_state.connections):
                connection.transport.abort()
            await asyncio.gather(*server.server_state.tasks, return_exceptions=True)


@dataclass
class Node:
    """A running data plane."""

    plane: BuiltInDataPlane
    desk: Desk
    clock: LeapingClock
    url: str
    data_dir: pathlib.Path

    def offer(self, source: Source, pid: str = "urn:uuid:1") -> tuple[str, str]:
        """Open a pull of `source`: its URL and token."""
        endpoint = self.plane.endpoint("acme", pid, PULL)
        assert endpoint is not None
        self.desk.transfers["acme", pid] = (transfer(pid, PULL, Role.PROVIDER, access=endpoint.access), source)
        return endpoint.address.endpoint or "", endpoint.address.property("authorization") or ""

    def offer_s3(self, source: Source, pid: str = "urn:uuid:1") -> Transfer:
        """Open an `S3-PULL` of `source`: the transfer as its consumer sees it."""
        endpoint = self.plane.endpoint("acme", pid, S3_PULL)
        assert endpoint is not None
        self.desk.transfers["acme", pid] = (transfer(pid, S3_PULL, Role.PROVIDER, access=endpoint.access), source)
        return transfer(pid, S3_PULL, Role.CONSUMER, address=endpoint.address)

    def expect(self, pid: str = PID) -> DataAddress:
        """Open a push to us: the data address for the provider."""
        endpoint = self.plane.endpoint("acme", pid, PUSH)
        assert endpoint is not None
        self.desk.transfers["acme", pid] = (
            transfer(pid, PUSH, Role.CONSUMER, access=endpoint.access),
            Source(type="none"),
        )
        return endpoint.address

    def move(self, pid: str, state: State) -> None:
        """Bring a transfer into `state`, as the control plane does before it stops anything."""
        found, source = self.desk.transfers["acme", pid]
        self.desk.transfers["acme", pid] = (replace(found, state=state), source)


def transfer(
    pid: str,
    format_: str,
    role: Role,
    *,
    access: Access | None = None,
    destination: DataAddress | None = None,
    address: DataAddress | None = None,
) -> Transfer:
    return Transfer(
        participant="acme",
        pid=pid,
        role=role,
        peer="did:web:peer",
        peer_address="https://peer.example/dsp",
        state=State.STARTED,
        created_at=NOW,
        updated_at=NOW,
        agreement_id="urn:uuid:a",
        dataset="d",
        format=format_,
        access=access,
        destination=destination,
        address=address,
    )


def address(url: str, **properties: str) -> DataAddress:
    """A data address as another product writes it."""
    return DataAddress(
        endpoint_type=HTTP,
        endpoint=url,
        endpoint_properties=tuple(EndpointProperty(name=n, value=v) for n, v in properties.items()),
    )


Start = Callable[..., Awaitable[Node]]


@pytest.fixture
async def start(tmp_path: pathlib.Path) -> AsyncIterator[Start]:
    """Starts data planes; keyword arguments change their configuration."""
    async with AsyncExitStack() as stack:

        async def begin(name: str = "node", now: datetime = NOW, **changes: object) -> Node:
            rules = OutboundRules(allow_http=True, allow_loopback=True, connect_s=2, read_s=2)
            client = await stack.enter_async_context(OutboundClient(rules))
            desk, clock = Desk(), LeapingClock(now)
            late: list[ASGIApp] = []

            async def app(scope: Scope, receive: Receive, send: Send) -> None:
                await late[0](scope, receive, send)

            url = await stack.enter_async_context(listening(app))
            values = {
                "public_url": url,
                "data_dir": tmp_path / name,
                "silence_s": 2.0,
                "push_attempts": 4,
                "keep_free_bytes": 0,
            }
            plane = BuiltInDataPlane(DataPlaneConfig(**{**values, **changes}), peers=client, upstreams=client, clock=clock)  # type: ignore[arg-type]
            plane.connect(desk, desk)
            await stack.enter_async_context(plane)
            late.append(public_app(data.routes(plane), most=1000))
            return Node(plane=plane, desk=desk, clock=clock, url=url, data_dir=tmp_path / name)

        yield begin


@pytest.fixture
async def node(start: Start) -> Node:
    return await start()


@pytest.fixture
def sample(tmp_path: pathlib.Path) -> pathlib.Path:
    """A file that holds `SAMPLE`."""
    path = tmp_path / "sample data.csv"
    path.write_bytes(SAMPLE)
    return path


async def closed(path: pathlib.Path) -> None:
    """Return when this process has `path` open no more."""
    async with asyncio.timeout(5):
        while str(path) in open_files():  # noqa: ASYNC110 - the kernel tells nobody
            await asyncio.sleep(0.005)


def open_files() -> set[str]:
    """What this process has open, files only."""
    found = set()
    for fd in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{fd}")
        except FileNotFoundError:
            continue
        if target.startswith("/") and not target.startswith(("/dev", "/proc")):
            found.add(target)
    return found


class RawConnection:
    """An HTTP/1.1 connection that can be slow, rude, or gone."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def to(cls, url: str) -> RawConnection:
        host, _, port = url.removeprefix("http://").partition("/")[0].partition(":")
        return cls(*await asyncio.open_connection(host, int(port), limit=1 << 16))

    async def ask(self, method: str, url: str, token: str, body: bytes = b"", **headers: str) -> tuple[int, dict[str, str]]:
        """Send a request and read the head of its answer."""
        await self.send(method, url, token, body, **headers)
        return await self.head()

    async def send(self, method: str, url: str, token: str, body: bytes = b"", **headers: str) -> None:
        path = "/" + url.removeprefix("http://").partition("/")[2]
        lines = [f"{method} {path} HTTP/1.1", "host: x", f"authorization: {token}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        self.writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        await self.writer.drain()

    async def head(self) -> tuple[int, dict[str, str]]:
        async with asyncio.timeout(10):
            raw = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = raw.strip().split("\r\n")
        headers = {n.lower(): v.strip() for n, _, v in (line.partition(":") for line in lines)}
        return int(first.split()[1]), headers

    async def rest(self) -> bytes:
        """Everything until the other side closes."""
        async with asyncio.timeout(10):
            return await self.reader.read()

    def abort(self) -> None:
        self.writer.transport.abort()


@asynccontextmanager
async def raw_server(
    handle: Callable[[bytes, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[str]:
    """A server that hands each request's head to `handle` and closes the connection when that returns."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await handle(await reader.readuntil(b"\r\n\r\n"), reader, writer)
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listener:
        yield f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"


def token_in(head: bytes) -> str | None:
    """The token that a request showed."""
    for line in head.decode("latin-1").split("\r\n"):
        if line.lower().startswith("authorization:"):
            return token_of(line.partition(":")[2])
    return None


def received(node: Node) -> bytes | None:
    path = node.plane.received_file("acme", PID)
    return pathlib.Path(path).read_bytes() if path else None


def whole(data: bytes = SAMPLE, **more: str) -> dict[str, str]:
    last = len(data) - 1
    return {
        "content_length": str(len(data)), "content_range": f"bytes 0-{last}/{len(data)}",
        "repr_digest": digest_field(hashlib.sha256(data).hexdigest()),
    } | more  # fmt: skip


async def until_begun(node: Node) -> None:
    """Return when something has been written."""
    folder = node.data_dir / "inbox"
    async with asyncio.timeout(10):
        while sum(path.stat().st_size for path in folder.glob("*/*/part")) == 0:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.005)


def outgoing(destination: DataAddress | None, pid: str = "urn:uuid:3") -> Transfer:
    """A push of ours, as provider."""
    return transfer(pid, PUSH, Role.PROVIDER, destination=destination)


def file(path: pathlib.Path, **changes: object) -> Source:
    """The published file `path`."""
    values: dict[str, object] = {"type": "file", "path": str(path), "name": path.name}
    return Source(**{**values, **changes})  # type: ignore[arg-type]


@pytest.fixture
def bucket(s3: str) -> Bucket:
    return Bucket(s3)


@pytest.fixture(params=("s3", "azure"))
def objects(request: pytest.FixtureRequest) -> AnyPlace:
    """A place on each kind of server."""
    url = request.getfixturevalue(request.param)
    return Bucket(url) if request.param == "s3" else Blobs(url)
