"""Objects in a store as the source of transfers: served, pushed, described, against real servers of S3 and Azure Blob."""

from __future__ import annotations

import hashlib
import pathlib
from dataclasses import replace
from datetime import UTC, datetime

import aiohttp
import orjson
import pytest

from connector.dataplane.deposit import _SINKS
from connector.dataplane.plane import PULL, PUSH
from connector.dataplane.representation import digest_field
from connector.dataplane.sinks import About, Piece
from connector.errors import SourceError
from connector.ports.dataplane import ObjectPlace, Source
from tests.dataplane.buckets import AnyPlace, misread
from tests.dataplane.conftest import DIGEST, PID, SAMPLE, Node, Start, outgoing, received

ODD = "ä b%20+#?&=.csv"


async def ask(url: str, token: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
    wanted = {"Authorization": token} | {name.replace("_", "-"): value for name, value in headers.items()}
    async with aiohttp.ClientSession() as client, client.request(method, url, headers=wanted, allow_redirects=False) as got:
        return got.status, {name.lower(): value for name, value in got.headers.items()}, await got.read()


def test_an_object_and_a_prefix_have_formats(node: Node) -> None:
    assert node.plane.formats(Source(type="s3", objects=ObjectPlace(bucket="abc", key="x.csv")))[:2] == (PULL, PUSH)
    assert node.plane.formats(Source(type="s3", objects=ObjectPlace(bucket="abc", key="x/")))[:2] == (PULL, PUSH)


async def test_an_object_is_pulled_whole_in_part_and_only_when_it_changed(node: Node, objects: AnyPlace) -> None:
    await objects.put("a/sample.csv", SAMPLE)
    found = await node.plane.describe(objects.source("a/sample.csv"))
    assert (found.byte_size, found.digest, found.media_type) == (len(SAMPLE), DIGEST, "text/csv")
    url, token = node.offer(objects.source("a/sample.csv", digest=DIGEST, byte_size=len(SAMPLE)))
    status, headers, body = await ask(url, token)
    assert (status, body) == (200, SAMPLE)
    assert headers["repr-digest"] == digest_field(DIGEST)
    assert (await ask(url, token, "HEAD"))[1]["content-length"] == str(len(SAMPLE))
    status, part, body = await ask(url, token, range="bytes=10-19")
    assert (status, part["content-range"], body) == (206, f"bytes 10-19/{len(SAMPLE)}", SAMPLE[10:20])
    # it would be read twice from its store for that
    assert "content-digest" not in part
    part = (await ask(url, token, range="bytes=10-19", want_content_digest="sha-256=1"))[1]
    assert part["content-digest"] == digest_field(hashlib.sha256(SAMPLE[10:20]).hexdigest())
    assert (await ask(url, token, range="bytes=-5"))[2] == SAMPLE[-5:]
    assert (await ask(url, token, range=f"bytes={len(SAMPLE)}-"))[0] == 416
    assert (await ask(url, token, if_none_match=headers["etag"]))[0] == 304
    assert (await ask(url, token, if_match='"other"'))[0] == 412
    await objects.put("a/sample.csv", SAMPLE[:-1])
    status, headers, body = await ask(url, token, if_none_match=headers["etag"])
    assert (status, body) == (200, SAMPLE[:-1])
    assert "repr-digest" not in headers


async def test_an_empty_object_is_pulled(node: Node, objects: AnyPlace) -> None:
    await objects.put("empty", b"")
    assert (await ask(*node.offer(objects.source("empty"))))[::2] == (200, b"")


async def test_a_prefix_is_a_folder(node: Node, objects: AnyPlace) -> None:
    for path in ("one.csv", "deep/er/two.csv", ODD):
        await objects.put(f"data/{path}", path.encode())
    await objects.put("database.csv", b"not below the prefix")
    source = objects.source("data/")
    found = await node.plane.describe(source)
    url, token = node.offer(source)
    status, headers, body = await ask(url, token)
    assert status == 200
    assert headers["repr-digest"] == digest_field(found.digest or "")
    files = {entry["path"]: entry["sha256"] for entry in orjson.loads(body)["files"]}
    assert files == {path: hashlib.sha256(path.encode()).hexdigest() for path in ("one.csv", "deep/er/two.csv", ODD)}
    assert (await ask(f"{url}/deep/er/two.csv", token))[2] == b"deep/er/two.csv"
    status, headers, body = await ask(f"{url}/%C3%A4%20b%2520+%23%3F&=.csv", token)
    assert (status, body, headers["repr-digest"]) == (200, ODD.encode(), digest_field(files[ODD]))
    await objects.put("data/one.csv", b"ONE.csv")
    files = {entry["path"]: entry.get("sha256") for entry in orjson.loads((await ask(url, token))[2])["files"]}
    assert files["one.csv"] is None
    assert "repr-digest" not in (await ask(f"{url}/one.csv", token))[1]


async def test_what_marks_an_empty_folder_is_no_file(start: Start, objects: AnyPlace) -> None:
    node = await start(now=datetime.now(UTC), allowed_object_endpoints=(objects.endpoint,))
    sink = _SINKS[objects.push_format](node.plane._pushes._deposits, objects.destination("data/marked/"), "")
    await sink.put(node.clock.now(), f"{objects.root}data/marked/", Piece.of(b""), About(media_type="text/plain", digest=None))
    await objects.put("data/empty.csv", b"")
    url, token = node.offer(objects.source("data/"))
    await node.plane.describe(objects.source("data/"))
    assert [entry["path"] for entry in orjson.loads((await ask(url, token))[2])["files"]] == ["empty.csv"]


@pytest.mark.parametrize(
    "path", ["../database.csv", "%2E%2E/database.csv", "deep/../../database.csv", "deep", "gone", "deep//x", "./one.csv"]
)
async def test_no_path_leads_out_of_a_prefix(node: Node, objects: AnyPlace, path: str) -> None:
    await objects.put("data/deep/x", b"x")
    await objects.put("database.csv", b"secret")
    url, token = node.offer(objects.source("data/"))
    from yarl import URL

    status, _, body = await ask(URL(f"{url}/{path}", encoded=True), token)  # type: ignore[arg-type]
    assert status == 404
    assert b"secret" not in body


async def test_an_object_is_pushed(start: Start, objects: AnyPlace) -> None:
    await objects.put("sample.csv", SAMPLE)
    provider, consumer = await start("provider"), await start("consumer")
    await provider.plane.start(outgoing(consumer.expect()), objects.source("sample.csv"))
    assert (await provider.desk.until("completed"))[2:] == (len(SAMPLE), DIGEST)
    assert received(consumer) == SAMPLE


async def test_a_prefix_is_pushed_as_a_folder(start: Start, objects: AnyPlace) -> None:
    for path in ("one.csv", "deep/er/two.csv", ODD):
        await objects.put(f"data/{path}", path.encode())
    provider, consumer = await start("provider"), await start("consumer")
    await provider.plane.start(outgoing(consumer.expect()), objects.source("data/"))
    await provider.desk.until("completed")
    root = pathlib.Path(consumer.plane.received_file("acme", PID) or "")
    assert (root / "deep/er/two.csv").read_bytes() == b"deep/er/two.csv"
    assert (root / ODD).read_bytes() == ODD.encode()


async def test_what_is_not_there_or_not_ours_is_told_to_the_operator(node: Node, objects: AnyPlace) -> None:
    await objects.put("sample.csv", SAMPLE)
    with pytest.raises(SourceError, match="not there"):
        await node.plane.describe(objects.source("gone.csv"))
    foreign = replace(objects.source("sample.csv"), objects=misread(objects.place("sample.csv")))
    with pytest.raises(SourceError, match="refuses us"):
        await node.plane.describe(foreign)
    assert foreign.objects is not None
    assert str(foreign.objects.secret_key) not in repr(foreign)


async def test_keys_are_never_taken_from_the_machine(
    node: Node, objects: AnyPlace, monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    await objects.put("sample.csv", SAMPLE)
    for name, value in objects.environment.items():
        monkeypatch.setenv(name, value)
    nobody = replace(
        objects.source("sample.csv"), objects=replace(objects.place("sample.csv"), access_key=None, secret_key=None)
    )
    with pytest.raises(SourceError, match=r"refuses us|not there"):
        await node.plane.describe(nobody)


async def test_a_store_that_does_not_answer_is_an_error_of_the_source(node: Node) -> None:
    place = ObjectPlace(bucket="abc", key="x", endpoint="http://127.0.0.1:9", access_key="a", secret_key="b")
    with pytest.raises(SourceError, match="object store failed"):
        await node.plane.describe(Source(type="s3", objects=place))
