"""What a provider pushes and a consumer receives, over real sockets; both ends are ours, or one is a stranger."""

from __future__ import annotations

import asyncio
import hashlib
import os
import pathlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from connector.dataplane.representation import digest_field
from connector.dsp.messages import DataAddress
from connector.dsp.tables import Role
from connector.errors import StoreUnavailable
from connector.ports.dataplane import Source
from tests.dataplane.conftest import (
    DIGEST,
    PID,
    SAMPLE,
    Node,
    RawConnection,
    Start,
    address,
    closed,
    file,
    open_files,
    outgoing,
    raw_server,
    received,
    token_in,
    transfer,
    until_begun,
    whole,
)


@asynccontextmanager
async def proxy(to: str, limit: Callable[[int], int | None]) -> AsyncIterator[str]:
    """A wire to `to` that breaks after as many bytes upstream as `limit` says of the n-th connection; None never breaks."""
    host, _, port = to.removeprefix("http://").partition(":")
    count = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal count
        count += 1
        left = limit(count)
        far_reader, far_writer = await asyncio.open_connection(host, int(port.partition("/")[0]))

        async def back() -> None:
            while data := await far_reader.read(1 << 16):
                writer.write(data)
                await writer.drain()
            writer.close()

        try:
            async with asyncio.TaskGroup() as group:
                backward = group.create_task(back())
                while data := await reader.read(1 << 16):
                    if left is not None:
                        data = data[:left]
                        left -= len(data)
                    far_writer.write(data)
                    await far_writer.drain()
                    if left == 0:
                        break
                if left == 0:
                    backward.cancel()
                far_writer.close()
        except* (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.transport.abort()
            far_writer.close()

    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listener:
        yield f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"


# --- both ends ours


async def test_a_file_is_pushed_and_verified_and_both_sides_are_told(start: Start, sample: pathlib.Path) -> None:
    provider, consumer = await start("provider"), await start("consumer")
    destination = consumer.expect()
    assert destination.property("https://w3id.org/kontor/ns/resumable") == "true"
    assert destination.property("expiresIn") == str(7 * 24 * 3600)
    await provider.plane.start(outgoing(destination), file(sample))
    assert await provider.desk.until("completed") == ("completed", "urn:uuid:3", len(SAMPLE), DIGEST)
    assert consumer.desk.told == [("received", PID, len(SAMPLE), DIGEST)]
    assert received(consumer) == SAMPLE
    folder = pathlib.Path(consumer.plane.received_file("acme", PID) or "").parent
    assert sorted(p.name for p in folder.iterdir()) == ["data", "data.json"]
    assert folder.is_relative_to(consumer.data_dir / "inbox" / "acme")
    await closed(sample)


async def test_a_push_that_breaks_goes_on_where_it_broke(start: Start, tmp_path: pathlib.Path) -> None:
    provider, consumer = await start("provider"), await start("consumer")
    data = SAMPLE * 10
    (tmp_path / "big.csv").write_bytes(data)
    part = consumer.data_dir / "inbox" / "acme" / "urn%3Auuid%3A2" / "part"
    sizes = [0]

    async def noticed() -> None:
        """The receiver notices the break before the sender comes again, as it does outside of tests."""
        while not part.exists() or part.stat().st_size == sizes[-1] or str(part) in open_files():  # noqa: ASYNC110
            await asyncio.sleep(0.005)
        sizes.append(part.stat().st_size)

    provider.clock.meanwhile = noticed
    async with proxy(consumer.url, lambda n: 3_000_000 if n <= 3 else None) as wire:
        destination = consumer.expect()
        there = address((destination.endpoint or "").replace(consumer.url, wire), **properties(destination))
        await provider.plane.start(outgoing(there), file(tmp_path / "big.csv"))
        assert (await provider.desk.until("completed"))[2:] == (len(data), hashlib.sha256(data).hexdigest())
    assert received(consumer) == data
    # each attempt moved something, so patience began anew each time
    assert provider.clock.pauses_s == [0.5, 0.5, 0.5]
    assert 0 < sizes[1] < sizes[2] < sizes[3] < 9_000_000


def properties(found: DataAddress) -> dict[str, str]:
    return {entry.name: entry.value for entry in found.endpoint_properties}


async def test_a_restarted_provider_and_a_restarted_consumer_go_on(start: Start, sample: pathlib.Path) -> None:
    consumer = await start("consumer")
    destination = consumer.expect()
    url, token = destination.endpoint or "", destination.property("authorization") or ""
    connection = await RawConnection.to(url)
    await connection.send("PUT", url, token, SAMPLE[:400_000], **whole())
    await until_begun(consumer)
    connection.abort()
    again, provider = await start("consumer"), await start("provider")  # over the same folder
    again.desk.transfers = consumer.desk.transfers
    there = address(url.replace(consumer.url, again.url), **properties(destination))
    await provider.plane.start(outgoing(there), file(sample))
    assert (await provider.desk.until("completed"))[2:] == (len(SAMPLE), DIGEST)
    assert received(again) == SAMPLE


async def test_an_empty_file_is_pushed_too(start: Start, tmp_path: pathlib.Path) -> None:
    provider, consumer = await start("provider"), await start("consumer")
    (tmp_path / "empty").touch()
    await provider.plane.start(outgoing(consumer.expect()), file(tmp_path / "empty"))
    assert (await provider.desk.until("completed"))[2:] == (0, hashlib.sha256(b"").hexdigest())
    assert received(consumer) == b""


async def test_starting_twice_is_starting_once_and_starting_again_after_the_end_finds_it_done(
    start: Start, sample: pathlib.Path
) -> None:
    provider, consumer = await start("provider"), await start("consumer")
    process = outgoing(consumer.expect())
    await provider.plane.start(process, file(sample))
    await provider.plane.start(process, file(sample))
    await provider.desk.until("completed")
    provider.desk.told.clear()
    await provider.plane.start(process, file(sample))
    assert (await provider.desk.until("completed"))[2] == len(SAMPLE)
    assert len(consumer.desk.told) == 1


async def test_an_upstream_is_pushed_and_hashed_on_the_way(start: Start) -> None:
    provider, consumer = await start("provider"), await start("consumer")

    async def handle(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/csv\r\nContent-Length: %d\r\n\r\n" % len(SAMPLE) + SAMPLE)

    async with raw_server(handle) as base:
        await provider.plane.start(outgoing(consumer.expect()), Source(type="http", url=base))
        assert (await provider.desk.until("completed"))[2:] == (len(SAMPLE), DIGEST)
    assert received(consumer) == SAMPLE


def part_that_was_left(node: Node) -> int:
    """Bytes of what came before a connection broke; 0 as long as the receiver has not noticed that it did."""
    return sum(part.stat().st_size for part in node.data_dir.rglob("part") if str(part) not in open_files())


@dataclass
class Changing:
    """An upstream that reads in part, whose data may be another each time."""

    data: bytes
    etag: str = ""
    asked: list[str] = field(default_factory=list)

    async def serve(self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        wanted = {n.lower(): v.strip() for n, _, v in (line.partition(":") for line in head.decode().split("\r\n"))}
        first = int(wanted.get("range", "bytes=0-")[6:-1])
        self.asked.append(f"{wanted.get('range', '')} {wanted.get('if-range', '')}".strip())
        lines = [f"ETag: {self.etag}"] if self.etag else []
        if "range" in wanted and wanted.get("if-range", self.etag) == self.etag:
            if first >= len(self.data):
                writer.write(b"HTTP/1.1 416 No\r\nContent-Length: 0\r\n\r\n")
                return
            lines.append(f"Content-Range: bytes {first}-{len(self.data) - 1}/{len(self.data)}")
            status, body = "206 Part", self.data[first:]
        else:
            status, body = "200 OK", self.data
        told = "\r\n".join([f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *lines])
        writer.write(told.encode() + b"\r\n\r\n" + body)


OLD, NEW = SAMPLE, SAMPLE[::-1]


@pytest.mark.parametrize(
    ("tags", "published", "now", "asked"),
    [
        # nothing shows that it is the same: all of it
        (("", ""), None, NEW, ["", ""]),
        # the upstream shows that it is the same: the rest
        (('"a"', '"a"'), None, OLD, ["", 'bytes={there}- "a"']),
        # the upstream shows that it is another: all of it
        (('"a"', '"b"'), None, NEW, ["", 'bytes={there}- "a"']),
        # a weak tag shows nothing
        (('W/"a"', 'W/"a"'), None, NEW, ["", ""]),
        # the receiver compares: the rest
        (("", ""), OLD, OLD, ["", "bytes={there}-"]),
        # it has become shorter
        (("", ""), OLD, OLD[:1000], ["", "bytes={there}-", ""]),
        # it is another of the same size, which the receiver finds out
        (("", ""), OLD, NEW, ["", "bytes={there}-", ""]),
    ],
)
async def test_an_upstream_goes_on_where_it_broke_only_while_it_is_the_same(
    start: Start, tags: tuple[str, str], published: bytes | None, now: bytes, asked: list[str]
) -> None:
    provider, consumer = await start("provider"), await start("consumer")
    upstream, there = Changing(OLD, tags[0]), 0

    async def changed() -> None:
        nonlocal there
        while not there and not (there := part_that_was_left(consumer)):  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.005)
        upstream.data, upstream.etag = now, tags[1]

    provider.clock.meanwhile = changed
    async with raw_server(upstream.serve) as base, proxy(consumer.url, lambda n: 500_000 if n == 1 else None) as wire:
        destination = consumer.expect()
        to = address((destination.endpoint or "").replace(consumer.url, wire), **properties(destination))
        known = {} if published is None else {"digest": hashlib.sha256(published).hexdigest(), "byte_size": len(published)}
        await provider.plane.start(outgoing(to), Source(type="http", url=base, **known))  # type: ignore[arg-type]
        assert (await provider.desk.until("completed"))[2] == len(now)
    assert received(consumer) == now
    assert 0 < there < len(OLD)
    assert upstream.asked == [line.format(there=there) for line in asked]


async def test_a_file_that_was_written_over_is_pushed_as_it_is_now(start: Start, tmp_path: pathlib.Path) -> None:
    provider, consumer = await start("provider"), await start("consumer")
    (tmp_path / "a").write_bytes(NEW)
    published = file(tmp_path / "a", digest=DIGEST, byte_size=len(SAMPLE))
    await provider.plane.start(outgoing(consumer.expect()), published)
    assert (await provider.desk.until("completed"))[2:] == (len(NEW), hashlib.sha256(NEW).hexdigest())
    assert received(consumer) == NEW
    assert [cause for _, _, cause in provider.desk.attempts] == [
        "the receiver answers 422: the data that arrived has another SHA-256 than was announced; 0 bytes are there"
    ]


async def test_a_store_that_takes_no_writes_is_told_again(start: Start, sample: pathlib.Path) -> None:
    provider, consumer = await start("provider"), await start("consumer")
    provider.desk.fault = StoreUnavailable("locked")
    consumer.desk.fault = StoreUnavailable("locked")
    await provider.plane.start(outgoing(consumer.expect()), file(sample))
    assert (await provider.desk.until("completed"))[2] == len(SAMPLE)
    assert consumer.desk.told == [("received", PID, len(SAMPLE), DIGEST)]


async def test_a_stopped_push_sends_nothing_more_and_can_be_taken_up(start: Start, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "big.bin"
    with path.open("wb") as out:
        out.truncate(64 << 20)
    provider, consumer = await start("provider"), await start("consumer")
    process = outgoing(consumer.expect())
    await provider.plane.start(process, file(path))
    await until_begun(consumer)
    begun = asyncio.get_running_loop().time()
    await provider.plane.stop("acme", "urn:uuid:3")
    assert asyncio.get_running_loop().time() - begun < 0.3
    assert provider.desk.told == []
    await closed(path)
    await provider.plane.start(process, file(path))
    assert (await provider.desk.until("completed"))[2] == 64 << 20


# --- our sender, a stranger's receiver


async def test_a_stranger_gets_one_plain_post_of_the_whole(start: Start, sample: pathlib.Path) -> None:
    node = await start()
    got: list[tuple[bytes, bytes]] = []

    async def handle(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        got.append((head, await reader.readexactly(len(SAMPLE))))
        writer.write(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n" if len(got) == 1 else b"HTTP/1.1 204 No\r\n\r\n")

    async with raw_server(handle) as base:
        there = DataAddress(
            endpoint_type="HttpData",
            endpoint_properties=address(
                "", **{"https://w3id.org/edc/v0.0.1/ns/baseUrl": base + "/sink", "https://w3id.org/edc/v0.0.1/ns/authKey": "X-Key",
                       "https://w3id.org/edc/v0.0.1/ns/authCode": "sesame"}
            ).endpoint_properties,
        )  # fmt: skip
        await node.plane.start(outgoing(there), file(sample))
        assert (await node.desk.until("completed"))[2:] == (len(SAMPLE), DIGEST)
    assert [body for _, body in got] == [SAMPLE, SAMPLE]
    head = got[0][0]
    assert head.startswith(b"POST /sink HTTP/1.1")
    assert b"X-Key: sesame" in head
    assert f"Repr-Digest: {digest_field(DIGEST)}".encode() in head
    assert b"Content-Range" not in head


async def test_a_token_goes_out_as_it_was_given(start: Start, sample: pathlib.Path) -> None:
    node = await start()
    tokens: list[str | None] = []

    async def handle(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tokens.append(token_in(head))
        await reader.readexactly(len(SAMPLE))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    async with raw_server(handle) as base:
        await node.plane.start(outgoing(address(base, authorization="tok/en==", authType="bearer")), file(sample))
        await node.desk.until("completed")
    assert tokens == ["tok/en=="]


async def test_what_no_repetition_mends_fails_at_once_and_what_may_pass_is_tried_to_the_end(
    start: Start, sample: pathlib.Path
) -> None:
    for status, attempts in ((413, 1), (400, 1), (500, 4), (403, 4)):
        node = await start(f"node{status}")
        count = 0

        async def handle(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, status: int = status) -> None:
            nonlocal count
            count += 1
            await reader.readexactly(len(SAMPLE))
            writer.write(b"HTTP/1.1 %d X\r\nContent-Length: 6\r\n\r\nsorry\n" % status)

        async with raw_server(handle) as base:
            await node.plane.start(outgoing(address(base)), file(sample))
            told = await node.desk.until("failed")
        assert told[2] == f"the receiver answers {status}: sorry"
        assert count == attempts
        assert node.clock.pauses_s == [0.5, 1.0, 2.0][: attempts - 1]
        assert [cause for _, _, cause in node.desk.attempts] == [f"the receiver answers {status}: sorry; 0 bytes are there"] * (
            attempts - 1
        )


async def test_a_receiver_that_asks_for_time_gets_it(start: Start, sample: pathlib.Path) -> None:
    node = await start()
    waits = ["7", "0", "Wed, 21 Oct 2026 07:28:00 GMT"]

    async def handle(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(len(SAMPLE))
        wait = f"Retry-After: {waits.pop(0)}\r\n" if waits else ""
        writer.write(f"HTTP/1.1 {'429 Later' if wait else '200 OK'}\r\n{wait}Content-Length: 0\r\n\r\n".encode())

    async with raw_server(handle) as base:
        await node.plane.start(outgoing(address(base)), file(sample))
        await node.desk.until("completed")
    assert node.clock.pauses_s == [7, 1, 2]


async def test_a_receiver_that_says_it_has_other_data_ends_the_push(start: Start) -> None:
    provider = await start("provider")

    async def upstream(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nrain")

    async def liar(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        told = "Upload-Offset: 0\r\n"
        if head.startswith(b"PUT"):
            await reader.readexactly(4)
            told = f"Upload-Offset: 4\r\nUpload-Complete: ?1\r\nRepr-Digest: {digest_field(DIGEST)}\r\n"
        writer.write(f"HTTP/1.1 200 OK\r\n{told}Content-Length: 0\r\n\r\n".encode())

    async with raw_server(upstream) as base, raw_server(liar) as there:
        to = address(there, **{"https://w3id.org/kontor/ns/resumable": "true"})
        await provider.plane.start(outgoing(to), Source(type="http", url=base))
        assert (await provider.desk.until("failed"))[2] == "the receiver has other data than was sent"


@pytest.mark.parametrize("offset", [len(SAMPLE), len(SAMPLE) + 1, 10**17])
async def test_a_receiver_that_claims_more_than_there_is_gets_the_whole(
    start: Start, sample: pathlib.Path, offset: int
) -> None:
    provider = await start("provider")
    heads: list[str] = []

    async def liar(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        told = f"Upload-Offset: {offset}\r\n"
        if head.startswith(b"PUT"):
            heads.append(head.decode())
            assert await reader.readexactly(len(SAMPLE)) == SAMPLE
            told = f"Upload-Offset: {len(SAMPLE)}\r\nUpload-Complete: ?1\r\n"
        writer.write(f"HTTP/1.1 200 OK\r\n{told}Content-Length: 0\r\n\r\n".encode())

    async with raw_server(liar) as there:
        to = address(there, **{"https://w3id.org/kontor/ns/resumable": "true"})
        await provider.plane.start(outgoing(to), file(sample))
        await provider.desk.until("completed")
    assert f"Content-Range: bytes 0-{len(SAMPLE) - 1}/{len(SAMPLE)}" in heads[0]


async def test_an_address_that_leads_nowhere_or_inside_fails_with_a_reason(start: Start, sample: pathlib.Path) -> None:
    for there, reason in (
        (None, "names no endpoint"),
        (address(""), "names no endpoint"),
        (address("http://169.254.169.254/latest"), "metadata service"),
        (address("file:///etc/passwd"), "no absolute http"),
    ):
        node = await start(f"node-{reason}")
        await node.plane.start(outgoing(there), file(sample))
        assert reason in str((await node.desk.until("failed"))[2])


async def test_a_source_that_is_gone_fails_the_push_after_all_attempts(start: Start, tmp_path: pathlib.Path) -> None:
    provider, consumer = await start("provider"), await start("consumer")
    await provider.plane.start(outgoing(consumer.expect()), file(tmp_path / "gone"))
    assert "cannot be opened" in str((await provider.desk.until("failed"))[2])


async def test_a_pull_needs_no_start(node: Node, sample: pathlib.Path) -> None:
    await node.plane.start(transfer("urn:uuid:8", "HttpData-PULL", Role.PROVIDER), file(sample))
    await node.plane.stop("acme", "urn:uuid:8")
    assert node.desk.told == []
    assert os.listdir(sample.parent)
