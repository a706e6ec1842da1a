"""A pull is answered in front of ASGI or through it: whoever asks, and whatever the upstream does, cannot tell which."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import pytest

from connector import observe
from connector.ports.dataplane import Source
from connector.web import data
from connector.web.public import Public, public_app
from tests.dataplane import heads
from tests.dataplane.conftest import Node, Start, listening, raw_server

SAID = {
    "/small": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Type: text/csv\r\nETag: \"1\"\r\nSet-Cookie: no\r\n\r\nsmall",
    "/twice": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nVary: a\r\nVARY:  b \r\n\r\nx",
    "/interim": b"HTTP/1.1 103 Early Hints\r\nETag: \"0\"\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "/latin": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Disposition: inline; filename=\"\xe9\"\r\n\r\nx",
    "/unprintable": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nETag: \"a\tb\"\r\n\r\nx",
    "/empty": b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    "/chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    "/until-end": b"HTTP/1.1 200 OK\r\n\r\nall of it",
    "/large": b"HTTP/1.1 200 OK\r\nContent-Length: 70000\r\n\r\n" + b"0123456789" * 7000,
    "/half": b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
    "/half-of-much": b"HTTP/1.1 200 OK\r\nContent-Length: 400000\r\n\r\n" + b"x" * 1000,
    "/part": b"HTTP/1.1 206 Partial Content\r\nContent-Length: 2\r\nContent-Range: bytes 0-1/9\r\n\r\nab",
    "/same": b"HTTP/1.1 304 Not Modified\r\nETag: \"1\"\r\n\r\n",
    "/nothing": b"HTTP/1.1 204 No Content\r\n\r\n",
    "/gone": b"HTTP/1.1 410 Gone\r\nContent-Length: 6\r\nContent-Type: text/plain\r\n\r\nsecret",
    "/busy": b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n",
    "/broken": b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n",
    "/elsewhere": b"HTTP/1.1 302 Found\r\nLocation: http://x.example/\r\nContent-Length: 0\r\n\r\n",
    "/nonsense": b"SIP/2.0 200 OK\r\n\r\n",
    "/silent": b"",
}  # fmt: skip
"""What the upstream says at each of its addresses; then it closes."""
HEADS = {
    "plain": "GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\n\r\n",
    "with its scheme, in any case": "GET {path} HTTP/1.1\r\nHOST: x\r\nauthoriZation:Bearer  {token}  \r\n\r\n",
    "a range": "GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\nRange: bytes=0-1\r\nIf-None-Match: \"1\"\r\n\r\n",
    "its last": "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: {token}\r\n\r\n",
    "of the version before": "GET {path} HTTP/1.0\r\nAuthorization: {token}\r\n\r\n",
    "with a length": "GET {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nAuthorization: {token}\r\n\r\n",
    "with a body": "GET {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nAuthorization: {token}\r\n\r\nabc",
    "the head alone": "HEAD {path} HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\n\r\n",
    "without a token": "GET {path} HTTP/1.1\r\nHost: x\r\n\r\n",
    "with another's": "GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: wrong\r\n\r\n",
    "twice shown": "GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\nAuthorization: {token}\r\n\r\n",
    "with a query": "GET {path}?a=1 HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\n\r\n",
    "below": "GET {path}/below HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\n\r\n",
    "upward": "GET {path}/.. HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\n\r\n",
    "in percents": "GET {path}%3a HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\n\r\n",
    "of nobody": "GET {path}x HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\n\r\n",
    "traced": "GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\n"
    "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n\r\n",
    "two at once": "GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\n\r\n"
    "GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\n\r\n",
    "other words": "PATCH {path} HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\n\r\n",
}  # fmt: skip
IN_FRONT = {
    "plain", "with its scheme, in any case", "a range", "its last", "without a token", "with another's", "twice shown", "of nobody",
    "traced",
}  # fmt: skip
"""Those that need no ASGI as long as the answer is small."""
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
_ENDS = b"GET /end HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
_VARIES = re.compile(rb"(?m)^date: [^\r]*\r\n|[0-9a-f]{32}")
"""The clock, and ids of errors."""


@dataclass
class Ways:
    """One data plane behind two listeners: one that answers in front of ASGI what it can, and one that never does."""

    node: Node
    front: Public
    in_front: str
    through: str
    upstream: str

    def offered(self, address: str) -> tuple[str, str]:
        """Path and token of a pull of what the upstream says at `address`."""
        source = Source(type="http", url=f"{self.upstream}{address}", digest="0" * 64)
        url, token = self.node.offer(source)
        return url.removeprefix(self.node.url), token


@pytest.fixture
async def ways(start: Start) -> AsyncIterator[Ways]:
    node = await start(silence_s=0.3)
    front = public_app(data.routes(node.plane), most=1000)

    async def through(scope: Any, receive: Any, send: Any) -> None:
        await front(scope, receive, send)

    async def handle(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(SAID[head.split(b" ", 2)[1].decode()])
        if b"/silent" in head:
            await reader.read()

    async with AsyncExitStack() as stack:
        urls = [await stack.enter_async_context(each) for each in (listening(front), listening(through), raw_server(handle))]
        yield Ways(node, front, *urls)


async def _asked(base: str, raw: bytes, end: bytes = _ENDS) -> list[Any]:
    """What is answered to `raw`, and what was counted; all of it is over then."""
    before, others = {name: dict(series) for name, series in observe.counts().items()}, asyncio.all_tasks()
    reader, writer = await asyncio.open_connection(*base.removeprefix("http://").split(":"))
    answers = b""
    async with asyncio.timeout(10):
        writer.write(raw + end)
        with contextlib.suppress(ConnectionError):
            while piece := await reader.read(1 << 16):
                answers += piece
        writer.close()
        # a request that was cut with its connection is answered to nobody, and counts all the same
        while asyncio.all_tasks() - others:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0)
    more = {
        (name, key): count - before.get(name, {}).get(key, 0)
        for name, series in observe.counts().items()
        for key, count in series.items()
    }
    return [_VARIES.sub(b"", answers), {place: count for place, count in more.items() if count}]


Said = Callable[[], list[Any]]


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Said:
    """Gives the lines since the last call, without what differs between any two requests."""
    caplog.set_level("INFO", logger="kontor")

    def lines() -> list[Any]:
        own = ("ms", "error_id", "fault")
        found = [
            (
                record.getMessage(),
                {k: v for k, v in record.__dict__["fields"].items() if k not in own and (k != "trace" or v == TRACE)},
            )
            for record in caplog.records
            if record.name == "kontor"
        ]
        caplog.clear()
        return sorted(found, key=str)

    return lines


async def test_whoever_asks_cannot_tell_the_way(ways: Ways, said: Said) -> None:
    path, token = ways.offered("/small")
    for raw in (*heads.requests(path, token), *(head.format(path=path, token=token).encode() for head in HEADS.values())):
        front, through = await _both(ways, said, raw)
        assert (raw, front) == (raw, through)


async def test_whatever_the_upstream_says_nobody_can_tell_the_way(ways: Ways, said: Said) -> None:
    for address in SAID:
        path, token = ways.offered(address)
        front, through = await _both(ways, said, HEADS["plain"].format(path=path, token=token).encode())
        assert (address, front) == (address, through)


async def test_a_pull_that_is_stopped_while_its_upstream_is_silent_is_told_so_by_either_way(ways: Ways) -> None:
    path, token = ways.offered("/silent")
    answers = []
    for base in (ways.in_front, ways.through):
        asking = asyncio.create_task(_asked(base, HEADS["plain"].format(path=path, token=token).encode()))
        async with asyncio.timeout(5):
            while not ways.node.plane.running():  # noqa: ASYNC110 - nobody tells when a pull has begun
                await asyncio.sleep(0)
        await ways.node.plane.stop("acme", "urn:uuid:1")
        answers.append(await asking)
    assert answers[0] == answers[1]
    assert answers[0][0].startswith(b"HTTP/1.1 409 ")


@pytest.mark.parametrize("address", ["/small", "/broken"])
async def test_behind_a_proxy_that_is_believed_the_log_names_who_asks_by_either_way(
    ways: Ways, said: Said, address: str
) -> None:
    async def through(scope: Any, receive: Any, send: Any) -> None:
        await ways.front(scope, receive, send)

    path, token = ways.offered(address)
    for trusted, client in (("127.0.0.1", "203.0.113.7"), ("10.0.0.1", "127.0.0.1")):
        behind = {"proxy_headers": True, "forwarded_allow_ips": trusted}
        for told in ("X-Forwarded-For: 203.0.113.7", "X-Forwarded-For: 8.8.8.8\r\nX-Forwarded-For: 203.0.113.7, 127.0.0.1"):
            raw = HEADS["plain"].format(path=path, token=token).replace("\r\n", f"\r\n{told}\r\n", 1).encode()
            found = []
            for app in (ways.front, through):
                async with listening(app, **behind) as base:
                    answer, counted = await _asked(base, raw)
                    lines = [line for line in said() if line[1].get("path") != "/end"]
                    found.append((answer, counted, lines))
            assert found[0] == found[1]
            assert [fields["client"] for name, fields in lines if name == "http.request"] == [client]


async def test_a_pull_under_way_when_the_node_stops_is_answered_and_the_last_on_its_connection(ways: Ways) -> None:
    class Stopping(Public):
        async def answer(self, exchange: Any, found: Any) -> None:
            exchange._connection.shutdown()
            await super().answer(exchange, found)

    for address, status in (("/small", b"200"), ("/large", b"200"), ("/broken", b"502")):
        path, token = ways.offered(address)
        async with listening(Stopping(data.routes(ways.node.plane), most=1000)) as base:
            answers, _ = await _asked(base, HEADS["plain"].format(path=path, token=token).encode(), end=b"")
        assert (address, answers[9:12], answers.count(b"HTTP/1.1 ")) == (address, status, 1)
        assert b"\r\nconnection: close\r\n" in answers


async def test_a_small_pull_is_answered_without_asgi_and_all_else_by_it(ways: Ways) -> None:
    scopes: list[str] = []

    class Watched(Public):
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            scopes.append(scope["path"])
            await super().__call__(scope, receive, send)

    async with listening(Watched(data.routes(ways.node.plane), most=1000)) as base:
        for name, head in HEADS.items():
            scopes.clear()
            path, token = ways.offered("/small")
            await _asked(base, head.format(path=path, token=token).encode())
            assert (name, [path for path in scopes if path != "/end"] == []) == (name, name in IN_FRONT)


async def _both(ways: Ways, said: Said, raw: bytes) -> list[list[Any]]:
    """What is answered by either way, what was counted, how often the control plane was asked, and what the log says."""
    found = []
    for base in (ways.in_front, ways.through):
        before = ways.node.desk.asked
        found.append([*await _asked(base, raw), ways.node.desk.asked - before, said()])
    return found
