"""Receivers of another make that can go on with uploads: a push goes on where it broke, at the same node or at another."""

from __future__ import annotations

import asyncio
import hashlib
import pathlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from connector.dataplane import uploads
from connector.dataplane.representation import digest_field
from connector.dsp.transfer import Transfer
from connector.dsp.values import replace
from tests.dataplane.conftest import DIGEST, SAMPLE, Node, Start, address, file, outgoing, raw_server, token_in

OTHER = SAMPLE[::-1]


@dataclass
class Receiver:
    """Resumable uploads as the draft says; a connection breaks after as many bytes as `breaks` says next."""

    url: str = ""
    breaks: list[int] = field(default_factory=list)
    uploads: dict[str, bytearray] = field(default_factory=dict)
    whole: list[bytes] = field(default_factory=list)
    """What has come completely."""
    asked: list[str] = field(default_factory=list)
    heads: list[dict[str, str]] = field(default_factory=list)
    elsewhere: str = ""
    """Where uploads stand, if not here."""
    is_known: bool = True

    async def serve(self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        method, path, _ = head.decode().split("\r\n")[0].split()
        told = {n.lower(): v.strip() for n, _, v in (line.partition(":") for line in head.decode().split("\r\n")[1:])}
        self.asked.append(f"{method} {path}")
        self.heads.append(told)
        match method:
            case "OPTIONS" if self.is_known:
                writer.write(_answer("204 No", "Accept-Patch: text/plain, Application/Partial-Upload"))
            case "OPTIONS":
                writer.write(_answer("405 No"))
            case "POST" if "upload-complete" in told:
                assert (told["upload-complete"], told["content-length"]) == ("?0", "0")
                name = f"/uploads/{len(self.uploads)}"
                self.uploads[name] = bytearray()
                writer.write(_answer("201 Created", f"Location: {self.elsewhere}{name}"))
            case "POST":
                self.whole.append(await reader.readexactly(int(told["content-length"])))
                writer.write(_answer("204 No"))
            case "HEAD" if path in self.uploads:
                writer.write(_answer("204 No", f"Upload-Offset: {len(self.uploads[path])}", "Upload-Complete: ?0"))
            case "PATCH" if path in self.uploads:
                assert told["content-type"] == "application/partial-upload"
                assert told["upload-offset"] == str(len(self.uploads[path]))
                await self._append(path, told, reader, writer)
            case _:
                writer.write(_answer("404 No"))

    async def _append(
        self, path: str, told: dict[str, str], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        length = int(told["content-length"])
        if self.breaks:
            self.uploads[path] += await reader.readexactly(min(length, self.breaks.pop(0)))
            writer.transport.abort()
            return
        self.uploads[path] += await reader.readexactly(length)
        self.whole.append(bytes(self.uploads[path]))
        writer.write(_answer("200 OK", "Upload-Complete: ?1"))


def _answer(status: str, *lines: str) -> bytes:
    length = () if status.startswith("204") else ("Content-Length: 0",)
    return "\r\n".join([f"HTTP/1.1 {status}", "Connection: close", *length, *lines, "", ""]).encode()


@pytest.fixture(autouse=True)
def _worth_asking(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "_WORTH_BYTES", 1000)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    found = Receiver()
    async with raw_server(found.serve) as found.url:
        yield found


def to(receiver: Receiver, mark: str = "") -> Transfer:
    return replace(outgoing(address(f"{receiver.url}/in", authorization="Bearer t")), mark=mark)


def published(path: pathlib.Path, data: bytes = SAMPLE):  # type: ignore[no-untyped-def]
    path.write_bytes(data)
    return file(path, digest=hashlib.sha256(data).hexdigest(), byte_size=len(data))


async def broken_off(start: Start, receiver: Receiver, path: pathlib.Path) -> str:
    """A push that a node had begun when it was stopped, 400,000 bytes of it there: its mark."""
    node, receiver.breaks = await start("killed", push_attempts=1), [400_000]
    await node.plane.start(to(receiver), published(path))
    await node.desk.until("failed")
    (mark,) = node.desk.marks
    return mark


async def test_a_push_goes_on_where_it_broke(node: Node, receiver: Receiver, sample: pathlib.Path) -> None:
    receiver.breaks = [300_000, 500_000]
    await node.plane.start(to(receiver), published(sample))
    assert (await node.desk.until("completed"))[2:] == (len(SAMPLE), DIGEST)
    assert receiver.whole == [SAMPLE]
    assert receiver.asked == [
        "OPTIONS /in", "POST /in", "PATCH /uploads/0", "HEAD /uploads/0", "PATCH /uploads/0", "HEAD /uploads/0", "PATCH /uploads/0",
    ]  # fmt: skip
    assert receiver.heads[1]["upload-length"] == str(len(SAMPLE))
    assert receiver.heads[1]["repr-digest"] == digest_field(DIGEST)
    assert receiver.heads[-1]["content-digest"] == digest_field(hashlib.sha256(SAMPLE[800_000:]).hexdigest())
    assert {told["authorization"] for told in receiver.heads} == {"Bearer t"}
    assert node.clock.pauses_s == [0.5, 0.5]


async def test_another_node_goes_on_with_what_a_killed_one_had_begun(
    start: Start, receiver: Receiver, tmp_path: pathlib.Path
) -> None:
    mark = await broken_off(start, receiver, tmp_path / "a")
    other = await start("other")
    await other.plane.start(to(receiver, mark), published(tmp_path / "a"))
    assert (await other.desk.until("completed"))[2:] == (len(SAMPLE), DIGEST)
    assert receiver.whole == [SAMPLE]
    assert receiver.asked[-2:] == ["HEAD /uploads/0", "PATCH /uploads/0"]
    assert receiver.heads[-1]["upload-offset"] == "400000"
    assert other.desk.marks == []


@pytest.mark.parametrize("is_gone", [True, False])
async def test_other_data_and_an_upload_that_is_gone_begin_anew(
    start: Start, receiver: Receiver, tmp_path: pathlib.Path, is_gone: bool
) -> None:
    mark = await broken_off(start, receiver, tmp_path / "a")
    data = SAMPLE if is_gone else OTHER
    if is_gone:
        del receiver.uploads["/uploads/0"]
        receiver.uploads["/uploads/of-others"] = bytearray()
    other = await start("other")
    await other.plane.start(to(receiver, mark), published(tmp_path / "a", data))
    assert (await other.desk.until("completed"))[2:] == (len(data), hashlib.sha256(data).hexdigest())
    assert receiver.whole == [data]
    assert receiver.asked[-1] == "PATCH /uploads/1"
    assert len(other.desk.marks) == 1


async def test_who_does_not_say_that_it_can_gets_the_whole(node: Node, receiver: Receiver, sample: pathlib.Path) -> None:
    receiver.is_known = False
    await node.plane.start(to(receiver), published(sample))
    await node.desk.until("completed")
    assert (receiver.asked, receiver.whole) == (["OPTIONS /in", "POST /in"], [SAMPLE])
    assert node.desk.marks == []


async def test_what_opens_the_receiver_is_shown_to_no_other_server(
    node: Node, receiver: Receiver, sample: pathlib.Path
) -> None:
    shown: list[str | None] = []

    async def handle(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        shown.append(token_in(head))
        await reader.readexactly(len(SAMPLE))
        writer.write(_answer("200 OK", "Upload-Complete: ?1"))

    async with raw_server(handle) as receiver.elsewhere:
        await node.plane.start(to(receiver), published(sample))
        await node.desk.until("completed")
    assert shown == [None]
