"""The head of a request has to be whole in time, and small; whatever a sender does, others are answered."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from connector.app import App, heads, listening
from connector.settings import Listener
from connector.web import edge
from tests.app.conftest import Make, until
from tests.dataplane.conftest import listening as serving


async def said(app: App, *parts: bytes) -> bytes:
    """Everything that the public listener answers to `parts` until it closes."""
    host, port = app.public_url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        async with asyncio.timeout(10):
            try:
                for part in parts:
                    writer.write(part)
                    await writer.drain()
                return await reader.read()
            except ConnectionResetError:
                # closed while we still wrote
                return b""
    finally:
        writer.close()


LAST = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
REQUEST = b"GET /acme/.well-known/dspace-version HTTP/1.1\r\nHost: x\r\n"


async def test_a_head_that_never_ends_is_refused_and_so_is_one_that_never_begins(
    settings: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heads, "WITHIN_S", 0.05)
    async with App(settings()) as app:
        assert (await said(app, REQUEST)).startswith(b"HTTP/1.1 408 ")
        assert await said(app) == b""
        # also on a connection that has served before
        answers = await said(app, REQUEST + b"\r\n", REQUEST + b"X: ")
        assert answers.startswith(b"HTTP/1.1 200 ")
        assert b"HTTP/1.1 408 " in answers


async def test_a_head_behind_a_slow_answer_does_not_cut_that(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heads, "WITHIN_S", 0.02)

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        finished = asyncio.Event()
        asyncio.get_running_loop().call_later(0.08, finished.set)
        await finished.wait()
        await edge.reply(send, 200, b"{}")

    async with serving(slow) as url:
        reader, writer = await asyncio.open_connection(*url.removeprefix("http://").split(":"))
        async with asyncio.timeout(5):
            writer.write(REQUEST + b"\r\n" + b"GET ")
            assert (await reader.read()).startswith(b"HTTP/1.1 200 ")
        writer.close()


@pytest.mark.parametrize("start", [REQUEST + b"X: ", REQUEST, b"GET /"])
async def test_a_head_without_bounds_is_cut_off(settings: Make, start: bytes) -> None:
    filling = b"a" * 50_000 if start is not REQUEST else b"".join(b"X-%d: %s\r\n" % (i, b"a" * 90) for i in range(500))
    async with App(settings()) as app:
        answer = await said(app, start, *[filling] * 20)
        assert answer == b"" or answer.startswith(b"HTTP/1.1 431 ")
        assert (await said(app, REQUEST + b"Connection: close\r\n\r\n")).startswith(b"HTTP/1.1 200 ")


CHUNKED = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize("around", [b"0\r\nX: ", b"0\r\n", b"1;"])
async def test_what_stands_around_a_body_without_bounds_is_cut_off(settings: Make, around: bytes) -> None:
    filling = b"X: y\r\n" * 10_000 if around == b"0\r\n" else b"a" * 50_000
    async with App(settings()) as app:
        answer = await said(app, CHUNKED + around, *[filling] * 20)
        assert answer == b"" or answer.startswith((b"HTTP/1.1 404 ", b"HTTP/1.1 431 "))
        # a body itself has the bounds of whoever reads it
        assert (await said(app, CHUNKED, *[b"1000\r\n" + b"a" * 4096 + b"\r\n"] * 40, b"0\r\n\r\n" + LAST)).endswith(b"}")


async def test_a_trailer_is_no_header() -> None:
    async def told(scope: Scope, receive: Receive, send: Send) -> None:
        await edge.read_body(scope, receive, 10)
        await edge.reply(send, 200, repr([name for name, _ in scope["headers"]]).encode(), [(b"connection", b"close")])

    async with serving(told) as url:
        reader, writer = await asyncio.open_connection(*url.removeprefix("http://").split(":"))
        async with asyncio.timeout(5):
            writer.write(CHUNKED + b"1\r\na\r\n0\r\nX-Forwarded-For: 10.0.0.1\r\n\r\n")
            assert (await reader.read()).endswith(b"[b'host', b'transfer-encoding']")
        writer.close()


async def test_a_large_token_a_slow_head_and_requests_in_one_piece_are_served(settings: Make) -> None:
    async with App(settings()) as app:
        whole = REQUEST + b"Authorization: Bearer " + b"a" * 30_000 + b"\r\nConnection: close\r\n\r\n"
        assert (await said(app, *(whole[i : i + 1_000] for i in range(0, len(whole), 1_000)))).startswith(b"HTTP/1.1 200 ")
        both = await said(app, REQUEST + b"\r\n" + REQUEST + b"Connection: close\r\n\r\n")
        assert both.count(b"HTTP/1.1 200 ") == 2


async def test_who_sends_on_without_waiting_for_answers_fills_nothing(settings: Make) -> None:
    last = REQUEST.replace(b"GET", b"POST") + b"Content-Length: 4\r\n\r\nbody"
    async with App(settings()) as app:
        answers = await said(app, (REQUEST + b"\r\n") * 400 + last * 400)
    # all that wait are answered, as many as may, and then the connection is closed
    assert answers.count(b"HTTP/1.1 200 ") == 1 + heads.MOST_WAITING
    assert answers.count(b"HTTP/1.1 ") == 1 + heads.MOST_WAITING
    assert answers.lower().count(b"connection: close") == 1


async def test_requests_on_connections_too_many_are_told_to_come_again(settings: Make) -> None:
    async with App(settings(public={"port": 0, "connections": 1})) as app:
        host, port = app.public_url.removeprefix("http://").split(":")
        _, first = await asyncio.open_connection(host, int(port))
        try:
            answer = await said(app, REQUEST + b"\r\n")
            assert answer.startswith(b"HTTP/1.1 503 ")
            assert b"\r\nretry-after: " in answer
        finally:
            first.close()
            await first.wait_closed()
        assert (await said(app, REQUEST + b"Connection: close\r\n\r\n")).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(("alone_s", "per_s"), [(0.05, 2000), (0.0, 20)], ids=["alone", "beside others"])
async def test_who_is_refused_and_does_not_wait_is_read_later(
    settings: Make, monkeypatch: pytest.MonkeyPatch, alone_s: float, per_s: float
) -> None:
    monkeypatch.setattr(heads, "PAUSE_S", alone_s)
    monkeypatch.setattr(heads, "REFUSALS_PER_S", per_s)
    limits = {"participant": {"requests_per_s": 0.001}}
    asking = REQUEST.replace(b"/.well-known/dspace-version", b"/dsp/2025-1/catalog/datasets/x")
    async with App(settings(limits=limits)) as app:
        loop = asyncio.get_running_loop()
        host, port = app.public_url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        took = []
        for _ in range(3):
            begin = loop.time()
            writer.write(asking + b"\r\n")
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            await reader.readexactly(length)
            took.append((loop.time() - begin, head[9:12]))
        writer.close()
    assert [status for _, status in took] == [b"401", b"503", b"503"]
    assert took[2][0] > 0.04


async def test_requests_that_are_refused_in_one_piece_wait_for_each_other(
    settings: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heads, "PAUSE_S", 0.03)
    limits = {"participant": {"requests_per_s": 0.001}}
    asking = REQUEST.replace(b"/.well-known/dspace-version", b"/dsp/2025-1/catalog/datasets/x")
    async with App(settings(limits=limits)) as app:
        begin = asyncio.get_running_loop().time()
        answers = await said(app, (asking + b"\r\n") * 3 + asking + b"Connection: close\r\n\r\n")
        took_s = asyncio.get_running_loop().time() - begin
    assert answers.count(b"HTTP/1.1 503 ") == 3
    assert took_s > 0.06


async def test_an_idle_connection_is_closed_and_one_that_is_used_is_not(
    settings: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listening, "_KEEP_ALIVE_S", 0.1)
    async with App(settings()) as app:
        loop = asyncio.get_running_loop()
        host, port = app.public_url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        begin = last = loop.time()
        async with asyncio.timeout(10):
            while last - begin < 0.24:
                writer.write(REQUEST + b"\r\n")
                head = await reader.readuntil(b"\r\n\r\n")
                await reader.readexactly(int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]))
                last = loop.time()
            assert await reader.read() == b""
        writer.close()
    assert loop.time() - last > 0.09


async def test_bodies_that_never_begin_keep_nobody_out(settings: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edge, "_BODY_BEGINS_WITHIN_S", 0.2)
    head = b"POST /acme/dcp/offers HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 5\r\n\r\n"
    async with App(settings(public={"requests_at_once": 2})) as app:
        silent = [asyncio.create_task(said(app, head)) for _ in range(2)]
        whole = REQUEST + b"Connection: close\r\n\r\n"

        async def is_answered(status: int) -> bool:
            return (await said(app, whole)).startswith(b"HTTP/1.1 %d " % status)

        try:
            await until(lambda: is_answered(503))
            await until(lambda: is_answered(200))
            assert not any(task.done() for task in silent)
        finally:
            for task in silent:
                task.cancel()
            await asyncio.gather(*silent, return_exceptions=True)


async def test_who_takes_nothing_of_its_answer_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heads, "TAKEN_WITHIN_S", 0.05)
    is_over = asyncio.Event()

    async def endless(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        gone = asyncio.create_task(receive())
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while not gone.done():
            await send({"type": "http.response.body", "body": bytes(256 << 10), "more_body": True})
            await asyncio.sleep(0)
        is_over.set()

    listener = Listener(port=0)
    with listening.bound(listener, "public") as at:
        door = listening.Door(app=endless, settings=listener, at=at, section="public")
        async with asyncio.timeout(10), listening.listening(door):
            _, writer = await asyncio.open_connection(*at.getsockname())
            writer.write(REQUEST + b"\r\n")
            await is_over.wait()
            writer.close()
