"""`Content-Digest`: of each message that brings data, a part or the whole; given with parts, and a wrong one is refused."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import pathlib
from collections.abc import AsyncIterator, Callable

import pytest

from connector.dataplane import digests
from connector.dataplane.addresses import PULL
from connector.dataplane.representation import digest_field
from connector.dsp.tables import Role
from connector.dsp.transfer import Transfer
from connector.errors import BadMessage, PeerMessage, SourceError
from connector.ports.dataplane import DataRequest, Source
from tests.dataplane.conftest import (
    DIGEST,
    SAMPLE,
    Node,
    RawConnection,
    Start,
    address,
    file,
    outgoing,
    raw_server,
    received,
    transfer,
)

TOTAL = len(SAMPLE)


def sha256(data: bytes) -> str:
    return digest_field(hashlib.sha256(data).hexdigest())


def sha512(data: bytes) -> str:
    return f"sha-512=:{base64.b64encode(hashlib.sha512(data).digest()).decode()}:"


class Sender:
    """A provider of another make that pushes in parts."""

    def __init__(self, node: Node) -> None:
        destination = node.expect()
        self.url, self.token = destination.endpoint or "", destination.property("authorization") or ""

    async def send(self, method: str, body: bytes = b"", path: str = "", **more: str) -> tuple[int, dict[str, str]]:
        connection = await RawConnection.to(self.url)
        try:
            length = {"content_length": str(len(body))}
            return await connection.ask(method, f"{self.url}{path}", self.token, body, **(length | more))
        finally:
            connection.abort()

    async def part(self, first: int, last: int, body: bytes | None = None, **more: str) -> tuple[int, dict[str, str]]:
        """A part of the sample, or something else in its place."""
        placed = {"content_range": f"bytes {first}-{last}/{TOTAL}", "repr_digest": digest_field(DIGEST)}
        return await self.send("PUT", SAMPLE[first : last + 1] if body is None else body, **(placed | more))


# --- received


@pytest.mark.parametrize("digest", [sha256, sha512, lambda data: f"crc32c=:AAAA:, {sha256(data)}, {sha512(b'not looked at')}"])
async def test_a_part_that_came_otherwise_than_it_was_sent_is_refused_and_what_came_before_stays(
    node: Node, digest: Callable[[bytes], str]
) -> None:
    sender = Sender(node)
    first, second = SAMPLE[:400_000], SAMPLE[400_000:]
    assert (await sender.part(0, 399_999, bytes(400_000), content_digest=digest(first)))[0] == 422
    assert (await sender.send("HEAD"))[1]["upload-offset"] == "0"
    assert (await sender.part(0, 399_999, content_digest=digest(first)))[0] == 202
    status, _ = await sender.part(400_000, TOTAL - 1, bytes(len(second)), content_digest=digest(second))
    assert status == 422
    assert (await sender.send("HEAD"))[1]["upload-offset"] == "400000"
    assert received(node) is None
    assert (await sender.part(400_000, TOTAL - 1, content_digest=digest(second)))[0] == 200
    assert received(node) == SAMPLE


async def test_of_a_whole_both_digests_must_be_right(node: Node) -> None:
    sender = Sender(node)
    for wrong in ({"content_digest": sha256(b"x")}, {"repr_digest": sha256(b"x")}):
        right = {"content_digest": sha256(SAMPLE), "repr_digest": sha256(SAMPLE)}
        assert (await sender.send("PUT", SAMPLE, **(right | wrong)))[0] == 422
        assert (await sender.send("HEAD"))[1]["upload-offset"] == "0"
    assert (await sender.send("PUT", SAMPLE, **right))[0] == 200


async def test_a_manifest_that_came_otherwise_announces_nothing(node: Node) -> None:
    sender = Sender(node)
    body = b'{"byte_size":0,"files":[]}'
    assert (await sender.send("PUT", body, "/manifest", content_digest=sha256(b"another")))[0] == 422
    assert not list(node.data_dir.rglob("*.json"))
    assert (await sender.send("PUT", body, "/manifest", content_digest=sha256(body)))[0] == 200


@pytest.mark.parametrize("text", ["sha-256=:AAAA:", "sha-256", "sha-512=?1", "sha-256=:" + "A" * 44 + ":"])
def test_a_digest_that_cannot_be_read_is_no_digest(text: str) -> None:
    with pytest.raises(BadMessage, match="no digest by sha-"):
        digests.check_of({"content-digest": text})


# --- sent


async def test_the_rest_of_a_push_tells_the_digest_of_that_rest(start: Start, sample: pathlib.Path) -> None:
    provider, consumer = await start("provider"), await start("consumer")
    sender = Sender(consumer)
    same = {"content_type": "text/csv", "content_disposition": f'attachment; filename="{sample.name}"'}
    assert (await sender.part(0, 399_999, **same))[0] == 202
    heads: list[bytes] = []

    async def handle(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """On the way to the consumer; a part is spoiled the first time."""
        heads.append(head)
        body = await reader.readexactly(TOTAL - 400_000) if head.startswith(b"PUT") else b""
        host, _, port = consumer.url.removeprefix("http://").partition(":")
        far_reader, far_writer = await asyncio.open_connection(host, int(port))
        spoiled = sum(one.startswith(b"PUT") for one in heads) == 1
        far_writer.write(head + (body[:-1] + b"?" if spoiled and body else body))
        answer = await far_reader.readuntil(b"\r\n\r\n")
        length = 0 if head.startswith(b"HEAD") else int(answer.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        writer.write(answer + await far_reader.readexactly(length))
        far_writer.close()

    async with raw_server(handle) as wire:
        there = address(
            sender.url.replace(consumer.url, wire),
            authorization=sender.token,
            **{"https://w3id.org/kontor/ns/resumable": "true"},
        )
        await provider.plane.start(outgoing(there), file(sample))
        assert (await provider.desk.until("completed"))[2:] == (TOTAL, DIGEST)
    puts = [head.decode() for head in heads if head.startswith(b"PUT")]
    assert len(puts) == 2
    for put in puts:
        assert f"Content-Range: bytes 400000-{TOTAL - 1}/{TOTAL}\r\n" in put
        assert f"Content-Digest: {sha256(SAMPLE[400_000:])}\r\n" in put
        assert f"Repr-Digest: {digest_field(DIGEST)}\r\n" in put
    # what came before the spoiled part was not sent again
    assert [cause for _, _, cause in provider.desk.attempts] == [
        "the receiver answers 422: what came is not what this message says of it; 400000 bytes are there"
    ]
    assert received(consumer) == SAMPLE


async def test_a_part_is_served_with_its_own_digest_a_large_one_where_it_is_asked_for(
    node: Node, sample: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(digests, "_GIVEN_BYTES", 1000)
    monkeypatch.setattr(digests, "_MOST_GIVEN_BYTES", 500_000)
    url, token = node.offer(Source(type="file", path=str(sample), digest=DIGEST, byte_size=TOTAL))

    async def given(last: int, **more: str) -> tuple[int, str | None]:
        connection = await RawConnection.to(url)
        status, headers = await connection.ask("GET", url, token, range=f"bytes=5-{last}", **more)
        connection.abort()
        assert headers["repr-digest"] == digest_field(DIGEST)
        return status, headers.get("content-digest")

    assert await given(99) == (206, sha256(SAMPLE[5:100]))
    assert await given(5000) == (206, None)
    assert await given(5000, want_content_digest="sha-512=3, sha-256=10") == (206, sha256(SAMPLE[5:5001]))
    assert await given(5000, want_content_digest="sha-256=0") == (206, None)
    assert await given(900_000, want_content_digest="sha-256=1") == (206, None)


# --- read from others


@pytest.fixture
async def giving() -> AsyncIterator[Callable[[bytes, str], Transfer]]:
    """A provider whose answers have whatever digest a test wants: the transfer of a body and a digest."""
    told: list[tuple[bytes, str]] = []

    async def handle(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        body, digest = told[-1]
        lines = f"HTTP/1.1 206 Part\r\nContent-Length: {len(body)}\r\nContent-Range: bytes 5-9/99\r\nContent-Digest: {digest}\r\n\r\n"
        writer.write(lines.encode() + body)

    async with raw_server(handle) as base:

        def of(body: bytes, digest: str) -> Transfer:
            told.append((body, digest))
            return transfer("urn:uuid:5", PULL, Role.CONSUMER, address=address(base))

        yield of


async def test_data_that_is_not_what_its_provider_says_never_comes_whole(
    node: Node, giving: Callable[[bytes, str], Transfer]
) -> None:
    async with node.plane.collect(giving(b"small", sha256(b"small")), DataRequest()) as served:
        assert (served.body, served.headers["content-digest"]) == (b"small", sha256(b"small"))
    for digest in (sha256(b"other"), "sha-256=:AAAA:"):
        with pytest.raises(PeerMessage, match="Content-Digest"):
            async with node.plane.collect(giving(b"small", digest), DataRequest()):
                pass
    got = bytearray()

    async def read() -> None:
        async with node.plane.collect(giving(SAMPLE, sha256(b"other")), DataRequest()) as served:
            assert served.chunks is not None
            async for chunk in served.chunks:
                got.extend(chunk)

    with pytest.raises(PeerMessage, match="Content-Digest"):
        await read()
    assert 0 < len(got) < TOTAL


async def test_an_upstream_that_gives_other_data_than_it_says_is_not_pushed(start: Start) -> None:
    provider, consumer = await start("provider", push_attempts=1), await start("consumer")

    async def handle(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        told = f"HTTP/1.1 200 OK\r\nContent-Length: {TOTAL}\r\nContent-Digest: {sha256(b'other')}\r\n\r\n"
        writer.write(told.encode() + SAMPLE)

    async with raw_server(handle) as base:
        source = Source(type="http", url=base)
        await provider.plane.start(outgoing(consumer.expect()), source)
        assert (await provider.desk.until("failed"))[2] == "the upstream gave other data than its `Content-Digest` says"
        with pytest.raises(SourceError, match="Content-Digest"):
            await provider.plane.describe(source)
    assert received(consumer) is None
