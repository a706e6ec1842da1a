"""What a connection makes of answers of every kind, and which connection an exchange gets, over real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from connector.errors import Unreachable
from connector.outbound.client import OutboundClient
from connector.outbound.requests import headed
from tests.outbound.test_client import Handle, answering, rules, server

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def counting(*answers: bytes, closes: bool = False) -> tuple[Handle, list[tuple[str, bytes]]]:
    """A server that gives each of `answers` in turn, the last one ever after, and what it was asked on which connection."""
    asked: list[tuple[str, bytes]] = []

    async def handle(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append((str(writer.get_extra_info("peername")), head))
        writer.write(answers[min(len(asked), len(answers)) - 1])
        if closes:
            await writer.drain()
            writer.close()

    return handle, asked


async def test_an_interim_answer_is_passed_over():
    handle, _ = counting(b"HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n" + OK)
    async with server(handle) as base, OutboundClient(rules()) as client:
        answer = await client.get(base, {})
    assert (answer.status, answer.body, "link" in answer.headers) == (200, b"ok", False)


async def test_a_head_alone_has_a_length_and_no_body_and_its_connection_stays():
    handle, asked = counting(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n", OK)
    async with server(handle) as base, OutboundClient(rules()) as client:
        async with client.stream("HEAD", base, {}) as answer:
            assert (answer.length, [chunk async for chunk in answer.chunks()]) == (99, [])
        assert (await _read(client, base)) == b"ok"
    assert len({connection for connection, _ in asked}) == 1


async def test_a_body_without_length_ends_with_its_connection():
    async with (
        server(answering(b"HTTP/1.1 200 OK\r\n\r\nall of it", close=True)) as base,
        OutboundClient(rules()) as client,
    ):
        assert (await client.get(base, {})).body == b"all of it"


async def test_what_comes_unasked_is_no_answer_to_the_next_request():
    handle, asked = counting(OK + OK.replace(b"ok", b"no"), OK)
    async with server(handle) as base, OutboundClient(rules()) as client:
        assert [await _read(client, base) for _ in range(2)] == [b"ok", b"ok"]
    assert len({connection for connection, _ in asked}) == 2


async def test_an_answer_that_changes_the_protocol_is_none():
    handle, _ = counting(b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n")
    async with server(handle) as base, OutboundClient(rules()) as client:
        with pytest.raises(Unreachable, match="protocol"):
            await client.get(base, {})


async def test_a_head_without_end_is_cut():
    handle, _ = counting(b"HTTP/1.1 200 OK\r\n" + b"X-More: 1234567890\r\n" * 5000)
    async with server(handle) as base, OutboundClient(rules()) as client:
        with pytest.raises(Unreachable, match="more than"):
            await client.get(base, {})


async def test_trailers_are_dropped_and_cut_when_they_do_not_end():
    chunked = b"HTTP/1.1 200 OK\r\nX-Said: first\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n"
    for more, is_cut in (
        (b"X-Said: last\r\n", False),
        (b"X-More: 1234567890\r\n" * 50_000, True),
        (b"X: " + b"1" * 1_000_000, True),
    ):
        handle, _ = counting(chunked + more + b"\r\n")
        async with server(handle) as base, OutboundClient(rules()) as client:
            if is_cut:
                with pytest.raises(Unreachable, match="more than"):
                    await client.get(base, {})
            else:
                answer = await client.get(base, {})
                assert (answer.body, answer.headers["x-said"]) == (b"ok", "first")


async def test_connections_that_have_closed_themselves_are_forgotten():
    async def resolve(host: str, port: int) -> list[str]:
        return ["127.0.0.1"]

    handle, _ = counting(OK, closes=True)
    async with server(handle) as base, OutboundClient(rules(), resolve=resolve) as client:
        for n in range(300):
            assert await _read(client, base.replace("127.0.0.1", f"peer-{n}.example")) == b"ok"
        assert len(client._streams._idle) < 300


async def test_what_may_be_repeated_is_when_a_kept_connection_is_gone_and_nothing_else_is():
    handle, asked = counting(OK, closes=True)
    async with server(handle) as base, OutboundClient(rules()) as client:
        for _ in range(3):
            assert await _read(client, base) == b"ok"
        # the connection is idle, and gone without our having noticed
        client._streams._idle = {client.vet(base): [await client._opener.open(client.vet(base))]}
        kept = client._streams._idle[client.vet(base)][0]
        kept.transport.get_extra_info("socket").shutdown(2)
        assert await _read(client, base) == b"ok"
    assert len(asked) == 4


async def test_no_more_messages_go_to_a_host_at_once_than_are_allowed():
    busy, most = 0, 0
    going = asyncio.Event()

    async def handle(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal busy, most
        busy += 1
        most = max(most, busy)
        if busy == 2:
            going.set()
        await going.wait()
        busy -= 1
        writer.write(OK)

    async with server(handle) as base, OutboundClient(rules(per_host=2)) as client:
        answers = await asyncio.gather(*(client.get(base, {}) for _ in range(8)))
    assert [one.status for one in answers] == [200] * 8
    assert most == 2


async def test_an_address_that_does_not_answer_holds_up_no_other():
    async def resolve(host: str, port: int) -> list[str]:
        return ["127.0.0.2", "127.0.0.1"]

    handle, _ = counting(OK)
    async with server(handle) as base, OutboundClient(rules(), resolve=resolve) as client:
        assert (await client.get(base.replace("127.0.0.1", "two.example"), {})).body == b"ok"


async def test_an_answer_that_comes_before_the_body_is_over_ends_the_sending():
    async def handle(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 409 Conflict\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()

    is_over = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        try:
            while True:
                yield bytes(1 << 16)
        finally:
            is_over.set()

    async with server(handle) as base, OutboundClient(rules()) as client:
        async with client.stream("PUT", base, {}, body()) as answer:
            assert answer.status == 409
        async with asyncio.timeout(2):
            await is_over.wait()


async def test_who_takes_nothing_of_a_body_is_given_up():
    async def handle(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.pause_reading()
        await asyncio.Event().wait()

    async def body() -> AsyncIterator[bytes]:
        while True:
            yield bytes(1 << 20)

    async with server(handle) as base, OutboundClient(rules(read_s=0.1)) as client, asyncio.timeout(10):
        with pytest.raises(Unreachable, match="in time"):
            async with client.stream("PUT", base, {}, body()):
                pass


def test_no_header_ends_its_line():
    for value in ("a\r\nX: b", "a\nb", "a\0"):
        with pytest.raises(ValueError, match="line"):
            headed("GET", "/", {"X-Given": value}, "host", None, 1.0)
    told = headed("GET", "/", {"accept": "text/csv", "X-Café": "é"}, "host", None, 1.0).head
    assert b"Accept: */*" not in told
    assert "X-Café: é".encode("latin-1") in told


async def _read(client: OutboundClient, url: str) -> bytes:
    async with client.stream("GET", url, {}) as answer:
        return b"".join([chunk async for chunk in answer.chunks()])
