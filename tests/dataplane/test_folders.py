"""A folder as one push: the manifest, the files, the whole; taken up again, and nothing out of place."""

from __future__ import annotations

import hashlib
import pathlib
from typing import Any

import aiohttp
import orjson
import pytest

from connector.dataplane.representation import digest_field
from connector.dsp.tables import Role
from connector.dsp.transfer import Transfer
from connector.ports.dataplane import DataRequest, Source
from tests.dataplane.conftest import PID, SAMPLE, Node, Start, address, outgoing, transfer

FILES = {"one.csv": b"one", "deep/er/two.bin": SAMPLE, "deep/empty": b"", "ä b%20+#?&=.csv": b"odd", "a\nline": b"two"}


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    root = tmp_path / "published"
    for name, data in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root


def source(folder: pathlib.Path) -> Source:
    return Source(type="folder", path=str(folder), name=folder.name)


def manifest(files: dict[str, bytes]) -> bytes:
    listed = [
        {"path": path, "byte_size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        for path, data in sorted(files.items())
    ]
    return orjson.dumps({"byte_size": sum(map(len, files.values())), "files": listed})


def received(node: Node) -> dict[str, bytes] | None:
    found = node.plane.received_file("acme", PID)
    if found is None:
        return None
    root = pathlib.Path(found)
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


class Sender:
    """A provider of another make that knows how folders are pushed."""

    def __init__(self, node: Node) -> None:
        destination = node.expect()
        self.url = destination.endpoint or ""
        self.token = destination.property("authorization") or ""

    async def send(self, method: str, path: str, body: bytes | None = None, **more: str) -> tuple[int, Any]:
        headers = {"Authorization": self.token} | {name.replace("_", "-"): value for name, value in more.items()}
        url = f"{self.url}/{path}"
        async with aiohttp.ClientSession() as client, client.request(method, url, data=body, headers=headers) as answer:
            return answer.status, answer.headers


async def test_a_folder_arrives_whole_with_its_manifest(start: Start, folder: pathlib.Path) -> None:
    provider, consumer = await start("provider"), await start("consumer")
    await provider.plane.start(outgoing(consumer.expect()), source(folder))
    digest = hashlib.sha256(manifest(FILES)).hexdigest()
    size = sum(map(len, FILES.values()))
    assert (await provider.desk.until("completed"))[2:] == (size, digest)
    assert (await consumer.desk.until("received"))[2:] == (size, digest)
    assert received(consumer) == FILES
    home = pathlib.Path(consumer.plane.received_file("acme", PID) or "").parent
    assert sorted(path.name for path in home.iterdir()) == ["folder", "folder.json"]


async def test_its_consumers_read_the_manifest_and_each_file(start: Start, folder: pathlib.Path) -> None:
    provider, consumer = await start("provider"), await start("consumer")
    await provider.plane.start(outgoing(consumer.expect()), source(folder))
    await consumer.desk.until("received")
    arrived: Transfer = transfer(PID, "HttpData-PUSH", Role.CONSUMER)
    for path, wanted in {"": manifest(FILES), "one.csv": b"one", "deep/er/two.bin": SAMPLE}.items():
        async with consumer.plane.collect(arrived, DataRequest(path=path)) as served:
            assert served.chunks is not None
            assert b"".join([chunk async for chunk in served.chunks]) == wanted
            assert served.headers["repr-digest"] == digest_field(hashlib.sha256(wanted).hexdigest())


async def test_an_empty_folder_arrives(start: Start, tmp_path: pathlib.Path) -> None:
    (tmp_path / "nothing").mkdir()
    provider, consumer = await start("provider"), await start("consumer")
    await provider.plane.start(outgoing(consumer.expect()), source(tmp_path / "nothing"))
    assert (await provider.desk.until("completed"))[2] == 0
    assert received(consumer) == {}


async def test_what_has_arrived_is_not_sent_again(start: Start, folder: pathlib.Path) -> None:
    provider, consumer = await start("provider"), await start("consumer")
    first = Sender(consumer)
    assert (await first.send("PUT", "manifest", manifest(FILES)))[0] == 201
    assert (await first.send("PUT", "files/one.csv", b"one"))[1]["upload-complete"] == "?1"
    half = len(SAMPLE) // 2
    head = {"content_range": f"bytes 0-{half - 1}/{len(SAMPLE)}", "content_type": "application/octet-stream"}
    head["repr_digest"] = digest_field(hashlib.sha256(SAMPLE).hexdigest())
    head["content_disposition"] = 'attachment; filename="two.bin"'
    assert (await first.send("PUT", "files/deep/er/two.bin", SAMPLE[:half], **head))[0] == 202
    status, headers = await first.send("PUT", "manifest", manifest(FILES))
    assert (status, headers["upload-offset"], headers["upload-complete"]) == (202, str(3 + half), "?0")
    assert (await first.send("HEAD", "files/deep/er/two.bin"))[1]["upload-offset"] == str(half)
    assert received(consumer) is None
    here = next(consumer.data_dir.glob("inbox/*/*/arriving/one.csv")).stat().st_ino
    destination = address(first.url, authorization=first.token, resumable="true", folders="true")
    await provider.plane.start(outgoing(destination), source(folder))
    await provider.desk.until("completed")
    assert received(consumer) == FILES
    assert next(consumer.data_dir.glob("inbox/*/*/folder/one.csv")).stat().st_ino == here


async def test_a_folder_that_changed_meanwhile_arrives_as_it_is_now(start: Start, folder: pathlib.Path) -> None:
    provider, consumer = await start("provider"), await start("consumer")
    first = Sender(consumer)
    older = {"one.csv": b"old", "gone/x.csv": b"gone", "deep": b"a file where a folder is now"}
    await first.send("PUT", "manifest", manifest(older))
    for path, data in older.items():
        if path != "gone/x.csv":
            assert (await first.send("PUT", f"files/{path}", data))[0] == 200
    destination = address(first.url, authorization=first.token, resumable="true", folders="true")
    await provider.plane.start(outgoing(destination), source(folder))
    await provider.desk.until("completed")
    assert received(consumer) == FILES


async def test_a_file_with_another_content_than_announced_is_not_kept(node: Node) -> None:
    sender = Sender(node)
    await sender.send("PUT", "manifest", manifest({"a": b"right"}))
    assert (await sender.send("PUT", "files/a", b"wrong"))[0] == 422
    assert (await sender.send("PUT", "files/a", b"longer than said"))[0] in (413, 422)
    assert (await sender.send("HEAD", "files/a"))[1]["upload-offset"] == "0"
    assert (await sender.send("PUT", "files/b", b"right"))[0] == 400
    status, headers = await sender.send("PUT", "manifest", manifest({"a": b"right"}))
    assert (status, headers["upload-complete"]) == (202, "?0")
    assert received(node) is None


@pytest.mark.parametrize("path", ["../out", "/etc/x", "a/../../out", "a//b", ".", "", "a/", "x" * 256, "a/b/..", "n\\u0000ul"])
async def test_no_path_of_a_manifest_leads_out(node: Node, path: str) -> None:
    body = manifest({"PATH": b""}).replace(b"PATH", path.encode())
    assert (await Sender(node).send("PUT", "manifest", body))[0] == 400
    assert not list(node.data_dir.glob("inbox/*/*"))


@pytest.mark.parametrize(
    "body",
    [
        b"no json", b"[]", b"{}", b'{"files":{}}', b'{"files":[{"path":"a"}]}', b'{"files":[{"path":"a","byte_size":-1,"sha256":""}]}',
        manifest({"a": b"", "a/b": b""}), manifest({"a": b""}).replace(b"]", b',{"path":"a","byte_size":0,"sha256":"' + b"0" * 64 + b'"}]'),
    ],
)  # fmt: skip
async def test_what_is_no_manifest_is_refused(node: Node, body: bytes) -> None:
    assert (await Sender(node).send("PUT", "manifest", body))[0] == 400


async def test_a_folder_larger_than_allowed_is_refused(start: Start) -> None:
    node = await start(max_push_bytes=10)
    assert (await Sender(node).send("PUT", "manifest", manifest({"a": b"eleven byte"})))[0] == 413


async def test_a_receiver_that_takes_no_folders_ends_the_transfer_with_the_reason(start: Start, folder: pathlib.Path) -> None:
    provider = await start("provider")
    await provider.plane.start(outgoing(address(f"{provider.url}/elsewhere", authorization="x")), source(folder))
    assert "takes one file" in str((await provider.desk.until("failed"))[2])
