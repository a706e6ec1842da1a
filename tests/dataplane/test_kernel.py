"""Bodies that the kernel moves: the same bytes as by the usual way, cut and bounded as those, and the usual way where it has to be."""

from __future__ import annotations

import asyncio
import os
import pathlib
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace

import aiohttp
import pytest
import trustme

from connector.dataplane import kernel
from connector.dataplane.disk import Disk
from connector.dsp.tables import State
from connector.errors import SourceError, Unreachable
from connector.ports.dataplane import Source
from connector.web import data
from connector.web.public import public_app
from tests.dataplane.conftest import SAMPLE, Node, RawConnection, closed, file, listening, raw_server

pytestmark = pytest.mark.skipif(not kernel.IS_HERE, reason="the system has no splice")


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Both ends of a connection; the first does not block."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with ours, theirs:
        yield ours, theirs


@pytest.fixture
def disk() -> Iterator[Disk]:
    found = Disk(1)
    yield found
    found.close()


async def _sum(counts: AsyncIterator[int]) -> int:
    return sum([count async for count in counts])


def _read(theirs: socket.socket, size: int) -> bytes:
    found = b""
    while len(found) < size and (more := theirs.recv(1 << 16)):
        found += more
    return found


async def _head(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *pieces: bytes, length: int) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % length)
    for piece in pieces:
        writer.write(piece)
        await writer.drain()


async def test_a_file_goes_by_the_kernel_whole_and_in_part_and_the_connection_goes_on(
    node: Node, sample: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[int] = []
    real = os.sendfile
    monkeypatch.setattr(os, "sendfile", lambda *a: sent.append(real(*a)) or sent[-1])
    url, token = node.offer(file(sample))
    connection = await RawConnection.to(url)
    for headers, expected in (
        ({}, SAMPLE),
        ({"range": "bytes=5-600004"}, SAMPLE[5:600_005]),
        ({"range": "bytes=0-9"}, SAMPLE[:10]),
    ):
        status, told = await connection.ask("GET", url, token, **headers)
        assert (status, int(told["content-length"])) == (206 if headers else 200, len(expected))
        assert await connection.reader.readexactly(len(expected)) == expected
    # the last one is too small to be worth it
    assert sum(sent) == len(SAMPLE) + 600_000
    connection.abort()
    await closed(sample)


async def test_an_upstream_goes_through_a_pipe_with_what_was_read_before(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    moved: list[int] = []
    real = os.splice
    monkeypatch.setattr(os, "splice", lambda *a, **k: moved.append(real(*a, **k)) or moved[-1])

    async def handle(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _head(reader, writer, SAMPLE[:1000], SAMPLE[1000:], length=len(SAMPLE))

    async with raw_server(handle) as url, aiohttp.ClientSession() as client:
        at, token = node.offer(Source(type="http", url=url))
        async with client.get(at, headers={"Authorization": token}) as answer:
            assert await answer.read() == SAMPLE
    assert moved


async def test_an_upstream_that_breaks_off_leaves_the_body_unfinished(node: Node) -> None:
    async def handle(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _head(reader, writer, SAMPLE[:700_000], length=len(SAMPLE))

    async with raw_server(handle) as url:
        at, token = node.offer(Source(type="http", url=url))
        connection = await RawConnection.to(at)
        assert (await connection.ask("GET", at, token))[0] == 200
        assert len(await connection.rest()) == 700_000


async def test_a_stopped_transfer_cuts_a_body_under_way(node: Node, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "large"
    with path.open("wb") as made:
        made.truncate(200_000_000)
    at, token = node.offer(file(path))
    connection = await RawConnection.to(at)
    assert (await connection.ask("GET", at, token))[0] == 200
    await connection.reader.readexactly(1_000_000)
    node.move("urn:uuid:1", State.SUSPENDED)
    await node.plane.stop("acme", "urn:uuid:1")
    assert len(await connection.rest()) < 199_000_000
    await closed(path)


async def test_a_slow_reader_holds_up_a_body_of_any_size_at_a_bounded_cost(
    disk: Disk, pair: tuple[socket.socket, socket.socket], tmp_path: pathlib.Path
) -> None:
    ours, theirs = pair
    path = tmp_path / "large"
    with path.open("wb+") as made:
        made.truncate(1 << 40)
        flow = kernel.from_file(made.fileno(), 0, 1 << 40, "large", disk.move)(ours.fileno())
        taken = 0
        try:
            async with asyncio.timeout(0.05):
                async for count in flow:
                    taken += count
        except TimeoutError:
            assert taken < 1 << 40
        # what the socket holds, and nothing else: a terabyte waits where it lies
        assert 0 < taken < 16 << 20
        assert len(await asyncio.to_thread(_read, theirs, taken)) == taken


async def test_a_file_that_became_shorter_is_not_ended_properly(
    disk: Disk, pair: tuple[socket.socket, socket.socket], sample: pathlib.Path
) -> None:
    with sample.open("rb") as opened:
        flow = kernel.from_file(opened.fileno(), len(SAMPLE) - 10, 20, "sample", disk.move)
        with pytest.raises(SourceError, match="shorter"):
            await _sum(flow(pair[0].fileno()))


async def test_a_receiver_that_is_gone_is_noticed(
    disk: Disk, pair: tuple[socket.socket, socket.socket], sample: pathlib.Path
) -> None:
    ours, theirs = pair
    theirs.close()
    with sample.open("rb") as opened, pytest.raises(Unreachable):
        await _sum(kernel.from_file(opened.fileno(), 0, 100, "sample", disk.move)(ours.fileno()))
    with socket.socketpair()[0] as upstream, pytest.raises(Unreachable):
        await _sum(kernel.from_socket(upstream.fileno(), b"here", 0, "upstream", disk.move)(ours.fileno()))


async def test_nothing_goes_out_beside_tls(
    node: Node, sample: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object) -> int:
        raise AssertionError("it would go out in the clear")

    monkeypatch.setattr(os, "sendfile", never)
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    pem = tmp_path / "server.pem"
    certificate.private_key_and_cert_chain_pem.write_to_path(pem)
    context = ssl.create_default_context()
    authority.configure_trust(context)
    at, token = node.offer(file(sample))
    async with listening(public_app(data.routes(node.plane), most=1000), ssl_certfile=pem, ssl_keyfile=pem) as url:
        at = at.replace(node.url, url.replace("http:", "https:"))
        async with aiohttp.ClientSession() as client, client.get(at, headers={"Authorization": token}, ssl=context) as answer:
            assert await answer.read() == SAMPLE


async def test_what_the_kernel_cannot_send_goes_the_usual_way(
    node: Node, sample: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connector.app.heads.IS_HERE", False)
    at, token = node.offer(replace(file(sample), media_type="text/plain"))
    async with aiohttp.ClientSession() as client, client.get(at, headers={"Authorization": token}) as answer:
        assert await answer.read() == SAMPLE
