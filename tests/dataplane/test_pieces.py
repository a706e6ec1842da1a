"""A small answer goes out in one piece, past the server's messages; nothing else about it is different."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from connector.dsp.tables import State
from connector.ports.dataplane import Passing, Source
from tests.dataplane.conftest import Node, RawConnection, raw_server

BODY = b"x" * 9000


@dataclass
class Origin:
    """An upstream with a small body."""

    url: str = ""
    told: bytes = b""
    """Further header lines."""
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    goes_on: asyncio.Event = field(default_factory=asyncio.Event)

    async def answer(self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.asked.set()
        await self.goes_on.wait()
        body = b"" if head.startswith(b"HEAD") else BODY
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/x\r\nContent-Length: %d\r\n%b\r\n" % (len(BODY), self.told) + body)


@asynccontextmanager
async def origin() -> AsyncIterator[Origin]:
    found = Origin()
    found.goes_on.set()
    async with raw_server(found.answer) as found.url:
        yield found


@asynccontextmanager
async def asked(node: Node) -> AsyncIterator[tuple[Origin, RawConnection, str, str]]:
    """An upstream that was asked and has not answered yet, who waits for its answer, and with which address and token."""
    async with origin() as upstream:
        upstream.goes_on.clear()
        url, token = node.offer(Source(type="http", url=upstream.url))
        connection = await RawConnection.to(url)
        await connection.send("GET", url, token)
        await upstream.asked.wait()
        yield upstream, connection, url, token


def asking(url: str, token: str, *lines: str, version: str = "1.1") -> bytes:
    path = "/" + url.removeprefix("http://").partition("/")[2]
    return "\r\n".join((f"GET {path} HTTP/{version}", "Host: x", f"Authorization: {token}", *lines, "", "")).encode()


async def test_many_that_come_at_once_and_are_not_read_are_answered_whole_and_in_their_order(node: Node) -> None:
    async with origin() as upstream:
        url, token = node.offer(Source(type="http", url=upstream.url, passing=Passing(path=True)))
        connection = await RawConnection.to(url)
        requests = [asking(f"{url}/{number}", token) for number in range(60)]
        connection.writer.write(b"".join(requests) + asking(f"{url}/none", "wrong") + asking(url, token, "Connection: close"))
        for _ in range(60):
            status, headers = await connection.head()
            assert (status, headers["content-type"], headers["cache-control"]) == (200, "text/x", "private")
            assert "date" in headers
            assert "connection" not in headers
            assert await connection.reader.readexactly(int(headers["content-length"])) == BODY
        status, headers = await connection.head()
        assert status == 401
        await connection.reader.readexactly(int(headers["content-length"]))
        status, headers = await connection.head()
        assert (status, headers["connection"]) == (200, "close")
        assert await connection.rest() == BODY


@pytest.mark.parametrize("odd", [b"Content-Language: a\xa0b\r\n", b"Content-Language: a\tb\r\n", b"Content-Language: \xe9\r\n"])
async def test_headers_that_are_not_plain_arrive_all_the_same(node: Node, odd: bytes) -> None:
    async with origin() as upstream:
        upstream.told = odd
        url, token = node.offer(Source(type="http", url=upstream.url))
        connection = await RawConnection.to(url)
        status, headers = await connection.ask("GET", url, token, connection="close")
        assert (status, headers["content-language"].encode("latin-1")) == (200, odd[18:-2])
        assert await connection.rest() == BODY


@pytest.mark.parametrize(
    "odd", [b"Content-Language: a\x01b\r\n", b"Content-Language: a\rb\r\n", b"Content-Language: a\r\n b\r\n"]
)
async def test_headers_that_cannot_be_passed_on_are_a_fault_of_the_upstream_that_is_answered(node: Node, odd: bytes) -> None:
    async with origin() as upstream:
        upstream.told = odd
        url, token = node.offer(Source(type="http", url=upstream.url))
        connection = await RawConnection.to(url)
        status, headers = await connection.ask("GET", url, token, connection="close")
        assert (status, headers["content-type"]) == (502, "application/problem+json")


async def test_an_old_client_and_one_that_only_looks_are_served(node: Node) -> None:
    async with origin() as upstream:
        url, token = node.offer(Source(type="http", url=upstream.url))
        connection = await RawConnection.to(url)
        connection.writer.write(asking(url, token, version="1.0"))
        assert (await connection.head())[0] == 200
        assert await connection.rest() == BODY
        connection = await RawConnection.to(url)
        status, headers = await connection.ask("HEAD", url, token, connection="close")
        assert (status, headers["content-length"]) == (200, str(len(BODY)))
        assert await connection.rest() == b""


async def test_a_stop_before_the_upstream_has_answered_gives_nothing_out(node: Node) -> None:
    async with asked(node) as (upstream, connection, url, token):
        node.move("urn:uuid:1", State.SUSPENDED)
        await node.plane.stop("acme", "urn:uuid:1")
        upstream.goes_on.set()
        status, headers = await connection.head()
        assert status == 409
        assert BODY not in await connection.reader.readexactly(int(headers["content-length"]))
        assert (await connection.ask("GET", url, token, connection="close"))[0] == 403
        connection.abort()


async def test_a_receiver_that_is_gone_by_then_is_no_fault(node: Node) -> None:
    async with asked(node) as (upstream, connection, url, token):
        connection.abort()
        upstream.goes_on.set()
        async with asyncio.timeout(5):
            while node.plane.running():  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.005)
        connection = await RawConnection.to(url)
        assert (await connection.ask("GET", url, token, connection="close"))[0] == 200
        assert await connection.rest() == BODY
