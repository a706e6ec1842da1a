"""What arrives at a consumer: whole or in parts, right or wrong, from senders of all kinds, over real sockets."""

from __future__ import annotations

import asyncio
import hashlib
import pathlib
import resource
import shutil

import pytest

from connector.dataplane.inbox import Announced, Inbox
from connector.dataplane.representation import digest_field
from connector.dsp.tables import State
from connector.errors import Conflict
from connector.ports.dataplane import DataRequest
from tests.dataplane.conftest import (
    DIGEST,
    PID,
    SAMPLE,
    Node,
    RawConnection,
    Start,
    file,
    outgoing,
    received,
    until_begun,
    whole,
)


def push_address(node: Node) -> tuple[str, str]:
    found = node.expect()
    return found.endpoint or "", found.property("authorization") or ""


async def one(node: Node, method: str, url: str, token: str, body: bytes = b"", **headers: str) -> tuple[int, dict[str, str]]:
    connection = await RawConnection.to(url)
    try:
        return await connection.ask(method, url, token, body, **({"content_length": str(len(body))} | headers))
    finally:
        connection.abort()


async def test_a_plain_post_of_the_whole_is_taken(node: Node) -> None:
    url, token = push_address(node)
    status, headers = await one(node, "POST", url, f"Bearer {token}", SAMPLE, content_type="text/csv")
    assert (status, headers["upload-complete"], headers["upload-offset"]) == (200, "?1", str(len(SAMPLE)))
    assert headers["repr-digest"] == digest_field(DIGEST)
    assert received(node) == SAMPLE
    assert node.desk.told == [("received", PID, len(SAMPLE), DIGEST)]
    # a repetition gets the same receipt and changes nothing
    assert (await one(node, "POST", url, token, b"other"))[0] == 200
    assert received(node) == SAMPLE
    assert len(node.desk.told) == 1


async def test_parts_are_put_together_and_must_begin_at_the_offset(node: Node) -> None:
    url, token = push_address(node)
    assert (await one(node, "HEAD", url, token))[1]["upload-offset"] == "0"
    total, digest = len(SAMPLE), digest_field(DIGEST)

    async def part(first: int, last: int, **more: str) -> tuple[int, dict[str, str]]:
        given = {"content_range": f"bytes {first}-{last}/{total}", "repr_digest": digest} | more
        return await one(node, "PUT", url, token, SAMPLE[first : last + 1], **given)

    status, headers = await part(0, 299_999)
    assert (status, headers["upload-offset"], headers["upload-complete"]) == (202, "300000", "?0")
    assert received(node) is None
    assert (await one(node, "HEAD", url, token))[1]["upload-offset"] == "300000"
    status, headers = await part(300_001, 399_999)
    assert (status, headers["upload-offset"]) == (409, "300000")
    assert (await part(300_000, 599_999))[0] == 202
    assert (await part(600_000, total - 1))[0] == 200
    assert received(node) == SAMPLE


async def test_a_part_of_another_state_of_the_data_begins_anew(node: Node) -> None:
    url, token = push_address(node)
    first = {"content_range": "bytes 0-9/20", "repr_digest": digest_field(hashlib.sha256(b"a" * 20).hexdigest())}
    assert (await one(node, "PUT", url, token, b"a" * 10, **first))[0] == 202
    other = {"content_range": "bytes 10-19/20", "repr_digest": digest_field(hashlib.sha256(b"b" * 20).hexdigest())}
    status, headers = await one(node, "PUT", url, token, b"b" * 10, **other)
    assert (status, headers["upload-offset"]) == (409, "0")


async def test_data_with_another_digest_is_refused_and_dropped(node: Node) -> None:
    url, token = push_address(node)
    for name in ("repr_digest", "content_digest"):
        status, _ = await one(node, "PUT", url, token, b"tampered", **{name: digest_field(DIGEST)})
        assert status == 422
        assert received(node) is None
        assert (await one(node, "HEAD", url, token))[1]["upload-offset"] == "0"
    assert node.desk.told == []
    assert not list((node.data_dir / "inbox").rglob("part*"))
    assert (await one(node, "PUT", url, token, SAMPLE, repr_digest=digest_field(DIGEST)))[0] == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"repr_digest": "sha-256=nonsense"}, {"repr_digest": "sha-256=:AAAA:"}, {"content_range": "bytes 0-3/*"},
        {"content_range": "bytes 0-9/10"}, {"content_range": "bytes 4-1/10"}, {"content_range": "lines 0-3/4"},
    ],
)  # fmt: skip
async def test_nonsense_is_400_and_nothing_is_kept(node: Node, headers: dict[str, str]) -> None:
    url, token = push_address(node)
    assert (await one(node, "PUT", url, token, b"data", **headers))[0] == 400
    assert not list((node.data_dir / "inbox").rglob("part*"))


async def test_tokens_and_methods_are_checked_first(node: Node) -> None:
    url, token = push_address(node)
    assert (await one(node, "PUT", url, "wrong", b"data"))[0] == 401
    assert (await one(node, "GET", url, token))[0] == 405
    assert (await one(node, "DELETE", url, token))[0] == 405
    assert not (node.data_dir / "inbox").exists()


async def test_too_much_is_413_announced_or_not(start: Start) -> None:
    node = await start(max_push_bytes=1000)
    url, token = push_address(node)
    assert (await one(node, "PUT", url, token, SAMPLE))[0] == 413
    connection = await RawConnection.to(url)
    chunk = b"%x\r\n%b\r\n" % (2000, bytes(2000))
    status, _ = await connection.ask("PUT", url, token, chunk + b"0\r\n\r\n", transfer_encoding="chunked")
    connection.abort()
    assert status == 413
    assert not list((node.data_dir / "inbox").rglob("part*"))


async def test_a_full_disk_is_503_and_nothing_is_lost(start: Start, sample: pathlib.Path) -> None:
    free = shutil.disk_usage("/").free
    node = await start(keep_free_bytes=free * 1000)
    url, token = push_address(node)
    status, headers = await one(node, "PUT", url, token, SAMPLE)
    assert (status, headers["retry-after"]) == (503, "2")


async def test_a_disk_that_fills_while_it_is_written_keeps_what_came(start: Start, sample: pathlib.Path) -> None:
    consumer, provider = await start("consumer"), await start("provider", push_attempts=2)
    destination = consumer.expect()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, before[1]))  # EFBIG, which is a full disk for one file
    try:
        await provider.plane.start(outgoing(destination), file(sample))
        assert (await provider.desk.until("failed"))[2] == "the receiver answers 503: the disk is full"
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert (await one(consumer, "HEAD", destination.endpoint or "", destination.property("authorization") or ""))[1][
        "upload-offset"
    ] == "600000"
    await provider.plane.start(outgoing(destination), file(sample))
    assert (await provider.desk.until("completed"))[2:] == (len(SAMPLE), DIGEST)
    assert received(consumer) == SAMPLE


async def test_a_part_that_came_whole_before_the_receiver_was_killed_is_judged_when_its_sender_comes_again(
    start: Start, sample: pathlib.Path
) -> None:
    consumer, provider = await start("consumer"), await start("provider")
    destination = consumer.expect()
    inbox = Inbox(consumer.data_dir / "inbox")
    inbox.folder("acme", PID).mkdir(parents=True)
    announced = Announced(byte_size=len(SAMPLE), digest=DIGEST, media_type="text/csv", name=sample.name)
    part = inbox.begin(announced, "acme", PID)
    part.write(SAMPLE)
    part.close()
    await provider.plane.start(outgoing(destination), file(sample))
    assert (await provider.desk.until("completed"))[2:] == (len(SAMPLE), DIGEST)
    assert received(consumer) == SAMPLE
    assert provider.desk.attempts == []


async def test_data_in_another_coding_is_refused(node: Node) -> None:
    url, token = push_address(node)
    assert (await one(node, "PUT", url, token, b"packed", content_encoding="gzip"))[0] == 415
    assert not list((node.data_dir / "inbox").rglob("part*"))


async def test_a_sender_that_comes_again_takes_the_place_of_its_dead_connection(node: Node) -> None:
    url, token = push_address(node)
    dead = await RawConnection.to(url)
    await dead.send("PUT", url, token, SAMPLE[:400_000], **whole())
    await until_begun(node)
    status, headers = await one(node, "HEAD", url, token)
    assert (status, headers["upload-offset"]) == (200, "400000")
    dead.abort()


async def test_a_sender_that_falls_silent_is_cut(start: Start) -> None:
    node = await start(silence_s=0.2)
    url, token = push_address(node)
    connection = await RawConnection.to(url)
    status, _ = await connection.ask("PUT", url, token, SAMPLE[:1000], **whole())
    assert status == 409
    assert (await one(node, "HEAD", url, token))[1]["upload-offset"] == "1000"


async def test_the_consumer_can_stop_a_push_too(start: Start, tmp_path: pathlib.Path) -> None:
    consumer = await start("consumer")
    url, token = push_address(consumer)
    connection = await RawConnection.to(url)
    await connection.send("PUT", url, token, SAMPLE[:400_000], **whole())
    await until_begun(consumer)
    consumer.move(PID, State.SUSPENDED)
    await consumer.plane.stop("acme", PID)
    status, _ = await connection.head()
    assert status == 409
    second = await RawConnection.to(url)
    assert (await second.ask("HEAD", url, token))[0] == 403


async def test_a_sender_that_asks_again_does_not_disturb_who_reads_what_arrived(node: Node) -> None:
    url, token = push_address(node)
    assert (await one(node, "POST", url, token, SAMPLE))[0] == 200
    process = node.desk.transfers["acme", PID][0]
    async with node.plane.collect(process, DataRequest()) as served:
        assert (await one(node, "HEAD", url, token))[1]["upload-complete"] == "?1"
        assert served.chunks is not None
        assert b"".join([chunk async for chunk in served.chunks]) == SAMPLE


async def test_who_reads_what_arrived_goes_on_when_the_transfer_is_complete_until_it_may_not(node: Node) -> None:
    url, token = push_address(node)
    assert (await one(node, "POST", url, token, SAMPLE))[0] == 200
    process = node.desk.transfers["acme", PID][0]
    is_reading, goes_on = asyncio.Event(), asyncio.Event()

    async def read() -> bytes:
        found = b""
        async with node.plane.collect(process, DataRequest()) as served:
            assert served.chunks is not None
            async for chunk in served.chunks:
                found += chunk
                is_reading.set()
                await goes_on.wait()
        return found

    reading = asyncio.create_task(read())
    await is_reading.wait()
    # 1. the provider says that the transfer is complete: nothing runs that would have to be cut
    node.move(PID, State.COMPLETED)
    assert node.plane.running() == ()
    await node.plane.stop("acme", PID)
    goes_on.set()
    assert await reading == SAMPLE
    # 2. the time of use is over
    is_reading.clear()
    goes_on.clear()
    reading = asyncio.create_task(read())
    await is_reading.wait()
    await node.plane.withdraw("acme", PID)
    with pytest.raises(Conflict, match="stopped"):
        await reading
