"""What a consumer pulls, over real sockets."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import pathlib

import aiohttp
import orjson
import pytest

from connector.dataplane.representation import digest_field
from connector.dsp.tables import State
from connector.ports.dataplane import Source
from tests.dataplane.conftest import SAMPLE, Node, RawConnection, Start, closed, file, open_files, raw_server


async def get(url: str, token: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
    given = {"Authorization": token} | {name.replace("_", "-"): value for name, value in headers.items()}
    async with (
        aiohttp.ClientSession(auto_decompress=False) as client,
        client.request(method, aiohttp.client.URL(url, encoded=True), headers=given) as answer,
    ):
        return answer.status, {k.lower(): v for k, v in answer.headers.items()}, await answer.read()


async def test_a_file_comes_whole_with_all_that_is_known_about_it(node: Node, sample: pathlib.Path) -> None:
    data = SAMPLE
    digest = hashlib.sha256(data).hexdigest()
    url, token = node.offer(file(sample, digest=digest, byte_size=len(data)))
    assert url == f"{node.url}/acme/data/pull/urn:uuid:1"
    status, headers, body = await get(url, token)
    assert (status, body) == (200, data)
    assert headers["content-length"] == "1000003"
    assert headers["content-type"] == "text/csv"
    assert headers["content-disposition"] == 'attachment; filename="sample data.csv"'
    assert headers["repr-digest"] == f"sha-256=:{base64.b64encode(hashlib.sha256(data).digest()).decode()}:"
    assert headers["accept-ranges"] == "bytes"
    assert headers["etag"]
    assert headers["last-modified"]
    again = await get(url, token, "HEAD")
    assert again[0] == 200
    assert again[2] == b""
    assert {k: v for k, v in again[1].items() if k != "date"} == {k: v for k, v in headers.items() if k != "date"}


async def test_the_token_is_taken_with_and_without_its_scheme(node: Node, sample: pathlib.Path) -> None:
    url, token = node.offer(file(sample))
    for shape in ("{}", "Bearer {}", "bearer {}", "BEARER  {}"):
        assert (await get(url, shape.format(token)))[0] == 200


async def test_anything_else_is_no_token(node: Node, sample: pathlib.Path) -> None:
    url, token = node.offer(file(sample))
    for shown in ("", "wrong", "Basic {}", "{}x"):
        status, headers, body = await get(url, shown.format(token))
        assert status == 401
        assert headers["www-authenticate"] == "Bearer"
        assert headers["content-type"] == "application/problem+json"
        assert orjson.loads(body)["detail"] == "this token opens nothing here"
    assert (await get(url.replace("urn:uuid:1", "urn:uuid:9"), token))[0] == 401
    assert (await get(url.replace("acme", "other"), token))[0] == 401


async def test_each_request_is_authorised_anew(node: Node, sample: pathlib.Path) -> None:
    url, token = node.offer(file(sample))
    assert (await get(url, token))[0] == 200
    node.move("urn:uuid:1", State.SUSPENDED)
    status, _, body = await get(url, token)
    assert status == 403
    assert "SUSPENDED" in orjson.loads(body)["detail"]
    node.move("urn:uuid:1", State.STARTED)
    assert (await get(url, token))[0] == 200
    assert node.desk.asked == 3


PARTS = [("bytes=0-0", 0, 0), ("bytes=100-199", 100, 199), ("bytes=999999-", 999_999, 1_000_002), ("bytes=-3", 1_000_000, 1_000_002),
     ("bytes=10-99999999", 10, 1_000_002), ("bytes=-9999999", 0, 1_000_002)]  # fmt: skip


async def test_a_range_comes_as_a_part(node: Node, sample: pathlib.Path) -> None:
    url, token = node.offer(file(sample))
    for asked, first, last in PARTS:
        status, headers, body = await get(url, token, Range=asked)
        assert status == 206
        assert headers["content-range"] == f"bytes {first}-{last}/1000003"
        assert body == SAMPLE[first : last + 1]


async def test_what_is_no_single_range_gets_the_whole(node: Node, sample: pathlib.Path) -> None:
    url, token = node.offer(file(sample))
    for asked in ("bytes=5-1", "items=0-1", "bytes=0-1,5-6", "bytes=x", "bytes", "bytes=--1"):
        assert (await get(url, token, Range=asked))[0] == 200


async def test_a_range_behind_the_end_is_416_and_tells_the_size(node: Node, sample: pathlib.Path) -> None:
    url, token = node.offer(file(sample))
    for asked in ("bytes=1000003-", "bytes=-0"):
        status, headers, body = await get(url, token, Range=asked)
        assert (status, headers["content-range"], body) == (416, "bytes */1000003", b"")


async def test_an_empty_file_is_served_and_has_no_ranges(node: Node, tmp_path: pathlib.Path) -> None:
    (tmp_path / "empty.bin").touch()
    url, token = node.offer(file(tmp_path / "empty.bin"))
    assert (await get(url, token))[::2] == (200, b"")
    assert (await get(url, token, Range="bytes=0-"))[0] == 416


async def test_conditions_are_kept(node: Node, sample: pathlib.Path) -> None:
    url, token = node.offer(file(sample))
    headers = (await get(url, token, "HEAD"))[1]
    etag, date = headers["etag"], headers["last-modified"]
    for condition, status in (
        ({"If_None_Match": etag}, 304),
        ({"If_None_Match": f'"x", W/{etag}'}, 304),
        ({"If_None_Match": "*"}, 304),
        ({"If_None_Match": '"x"'}, 200),
        ({"If_Modified_Since": date}, 304),
        ({"If_Modified_Since": "Thu, 01 Jan 1970 00:00:00 GMT"}, 200),
        ({"If_Modified_Since": "yesterday"}, 200),
        ({"If_Modified_Since": f"Mon, 01 Jan {9**30} 00:00:00 GMT"}, 200),
        ({"If_Match": etag}, 200),
        ({"If_Match": '"x"'}, 412),
        ({"If_Unmodified_Since": "Thu, 01 Jan 1970 00:00:00 GMT"}, 412),
        ({"Range": "bytes=0-9", "If_Range": etag}, 206),
        ({"Range": "bytes=0-9", "If_Range": date}, 206),
        ({"Range": "bytes=0-9", "If_Range": '"x"'}, 200),
        ({"Range": "bytes=0-9", "If_Range": f"W/{etag}"}, 200),
    ):
        found, told, body = await get(url, token, **condition)
        assert (condition, found) == (condition, status)
        assert told["etag"] == etag
        assert status < 300 or body == b""


async def test_a_file_that_changed_is_served_without_the_published_digest(node: Node, sample: pathlib.Path) -> None:
    url, token = node.offer(file(sample, digest="0" * 64, byte_size=5))
    status, headers, _ = await get(url, token)
    assert status == 200
    assert "repr-digest" not in headers


async def test_a_file_that_is_gone_is_502_and_names_no_path(node: Node, tmp_path: pathlib.Path) -> None:
    url, token = node.offer(file(tmp_path / "secret-name.csv"))
    status, _, body = await get(url, token)
    assert status == 502
    assert b"secret-name" not in body
    assert orjson.loads(body)["error_id"]


async def test_other_methods_are_405(node: Node, sample: pathlib.Path) -> None:
    url, token = node.offer(file(sample))
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        status, headers, _ = await get(url, token, method)
        assert (status, headers["allow"]) == (405, "GET, HEAD")


# --- folders


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    root = tmp_path / "published"
    (root / "deep" / "er").mkdir(parents=True)
    (root / "a.txt").write_text("a")
    (root / "deep" / "er" / "ü b.txt").write_text("b")
    (tmp_path / "outside.txt").write_text("outside")
    (tmp_path / "published-not").mkdir()
    (root / "link.txt").symlink_to(tmp_path / "outside.txt")
    (root / "up").symlink_to(tmp_path)
    os.mkfifo(root / "pipe")
    return root


async def test_a_folder_gives_its_manifest_and_the_files_below(node: Node, folder: pathlib.Path) -> None:
    source = Source(type="folder", path=str(folder))
    described = await node.plane.describe(source)
    url, token = node.offer(source)
    status, headers, body = await get(url, token)
    assert (status, headers["content-type"]) == (200, "application/vnd.kontor.manifest+json")
    manifest = orjson.loads(body)
    assert [entry["path"] for entry in manifest["files"]] == ["a.txt", "deep/er/ü b.txt"]
    assert manifest["files"][0] == {"path": "a.txt", "byte_size": 1, "sha256": hashlib.sha256(b"a").hexdigest()}
    assert manifest["byte_size"] == described.byte_size == 2
    assert hashlib.sha256(body).hexdigest() == described.digest
    assert headers["repr-digest"] == digest_field(described.digest or "")
    assert (await get(url, token, If_None_Match=headers["etag"]))[0] == 304
    assert (await get(f"{url}/a.txt", token))[2] == b"a"
    found = await get(f"{url}/deep/er/%C3%BC%20b.txt", token)
    assert found[2] == b"b"
    assert found[1]["repr-digest"] == digest_field(hashlib.sha256(b"b").hexdigest())
    assert "filename*=UTF-8''%C3%BC%20b.txt" in found[1]["content-disposition"]


async def test_a_file_changed_after_publishing_loses_its_digest_until_it_is_published_again(
    start: Start, folder: pathlib.Path
) -> None:
    node = await start()
    source = Source(type="folder", path=str(folder))
    before = await node.plane.describe(source)
    (folder / "a.txt").write_text("changed")
    url, token = node.offer(source)
    files = orjson.loads((await get(url, token))[2])["files"]
    assert files[0] == {"path": "a.txt", "byte_size": 7}
    assert "sha256" in files[1]
    assert "repr-digest" not in (await get(f"{url}/a.txt", token))[1]
    assert (await node.plane.describe(source)).digest != before.digest
    assert "sha256" in orjson.loads((await get(url, token))[2])["files"][0]
    restarted = await start()  # over the same folder: digests are not computed again
    url, token = restarted.offer(source)
    assert "sha256" in orjson.loads((await get(url, token))[2])["files"][0]


OUTSIDE = [
        "..", "../outside.txt", "deep/../../outside.txt", "%2e%2e/outside.txt", "%2e%2e%2foutside.txt", "..%2foutside.txt",
        "deep/..%2f..%2foutside.txt", "./a.txt", "%2e/a.txt", "//a.txt", "/etc/passwd", "%2fetc%2fpasswd", "a.txt/", "deep//er",
        "..%5coutside.txt", "%252e%252e/outside.txt", "a.txt%00.png", "link.txt", "up/outside.txt", "up", "deep", "pipe", "no.txt",
        "a.txt/b", "%ff%fe", "../published-not/x", "x" * 300, "%ed%a0%80",
]  # fmt: skip


async def test_nothing_outside_a_folder_can_be_read(node: Node, folder: pathlib.Path) -> None:
    url, token = node.offer(Source(type="folder", path=str(folder)))
    for path in OUTSIDE:
        connection = await RawConnection.to(url)
        status, _ = await connection.ask("GET", f"{url}/{path}", token, connection="close")
        body = await connection.rest()
        assert status in (400, 401, 404), path
        assert b"outside" not in body.replace(b"outside.txt", b""), path
        assert str(folder).encode() not in body
        connection.abort()


async def test_a_file_has_nothing_below_it(node: Node, sample: pathlib.Path) -> None:
    url, token = node.offer(file(sample))
    assert (await get(f"{url}/x", token))[0] == 404


# --- flows


async def sparse(tmp_path: pathlib.Path, byte_size: int) -> pathlib.Path:
    path = tmp_path / "sparse.bin"
    with path.open("wb") as out:
        out.truncate(byte_size)
    return path


async def test_a_stop_cuts_a_running_stream_at_once_and_the_receiver_sees_it(node: Node, tmp_path: pathlib.Path) -> None:
    path = await sparse(tmp_path, 1 << 30)
    url, token = node.offer(file(path))
    connection = await RawConnection.to(url)
    status, headers = await connection.ask("GET", url, token)
    assert (status, headers["content-length"]) == (200, str(1 << 30))
    assert len(await connection.reader.readexactly(1000)) == 1000
    assert str(path) in open_files()
    node.move("urn:uuid:1", State.SUSPENDED)
    begun = asyncio.get_running_loop().time()
    await node.plane.stop("acme", "urn:uuid:1")
    assert asyncio.get_running_loop().time() - begun < 0.5  # a few milliseconds, and what a busy machine makes of them
    assert str(path) not in open_files()
    assert len(await connection.rest()) < 64 << 20  # what was in the sockets; the connection is closed
    assert (await get(url, token))[0] == 403
    await node.plane.stop("acme", "urn:uuid:1")  # unknown and finished flows are no error


async def test_a_consumer_that_vanishes_leaves_nothing_open(node: Node, tmp_path: pathlib.Path) -> None:
    path = await sparse(tmp_path, 1 << 30)
    url, token = node.offer(file(path))
    connection = await RawConnection.to(url)
    await connection.ask("GET", url, token)
    await connection.reader.readexactly(1000)
    assert str(path) in open_files()
    connection.abort()
    await closed(path)


async def test_a_consumer_that_takes_nothing_is_cut_after_the_silence(start: Start, tmp_path: pathlib.Path) -> None:
    node = await start(silence_s=0.3)
    path = await sparse(tmp_path, 1 << 30)
    url, token = node.offer(file(path))
    connection = await RawConnection.to(url)
    await connection.ask("GET", url, token)
    await closed(path)
    connection.abort()


async def test_a_file_that_shrinks_while_it_is_read_never_looks_whole(node: Node, tmp_path: pathlib.Path) -> None:
    path = await sparse(tmp_path, 64 << 20)
    url, token = node.offer(file(path))
    connection = await RawConnection.to(url)
    await connection.ask("GET", url, token)
    os.truncate(path, 1 << 20)
    assert len(await connection.rest()) < 64 << 20


# --- upstreams


def upstream(url: str, **changes: object) -> Source:
    values: dict[str, object] = {"type": "http", "url": url, "headers": {"X-Api-Key": "sesame"}}
    return Source(**{**values, **changes})  # type: ignore[arg-type]


async def test_an_upstream_is_relayed_and_neither_side_sees_the_other(node: Node) -> None:
    heads: list[bytes] = []

    async def handle(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(head.lower())
        writer.write(
            b"HTTP/1.1 206 Partial\r\nContent-Length: 5\r\nContent-Range: bytes 0-4/10\r\nETag: \"e\"\r\nContent-Type: text/x\r\n"
            b"Set-Cookie: a=b\r\nServer: secret/1\r\nX-Internal: y\r\nConnection: close, X-Hop\r\nX-Hop: z\r\nKeep-Alive: 5\r\n\r\nhello"
        )  # fmt: skip

    async with raw_server(handle) as base:
        url, token = node.offer(upstream(base + "/v1?key=1"))
        status, headers, body = await get(
            url, token, Range="bytes=0-4", Accept="text/x", Cookie="c=d", X_Forwarded_For="1.2.3.4", TE="trailers"
        )
    assert (status, body) == (206, b"hello")
    assert (headers["content-range"], headers["etag"], headers["content-type"]) == ("bytes 0-4/10", '"e"', "text/x")
    assert not {"set-cookie", "x-internal", "x-hop", "keep-alive"} & set(headers)
    assert headers.get("server") != "secret/1"
    head = heads[0]
    assert head.startswith(b"get /v1?key=1 http/1.1")
    assert b"x-api-key: sesame" in head
    assert b"range: bytes=0-4" in head
    assert b"accept: text/x" in head
    assert not any(
        word in head for word in (b"cookie", b"authorization", b"x-forwarded", b"te: trailers", token.lower().encode())
    )


@pytest.mark.parametrize(
    ("upstream_status", "status"),
    [(404, 404), (410, 410), (416, 416), (412, 412), (304, 304), (401, 502), (403, 502), (500, 502), (504, 502), (302, 502),
     (418, 502), (503, 503), (429, 503)],
)  # fmt: skip
async def test_what_an_upstream_says_about_us_is_not_the_consumers_fault(node: Node, upstream_status: int, status: int) -> None:
    async def handle(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        body = b"" if upstream_status == 304 else b"db01.internal said no"
        writer.write(b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%b" % (upstream_status, len(body), body))

    async with raw_server(handle) as base:
        url, token = node.offer(upstream(base))
        found, headers, body = await get(url, token)
    assert found == status
    assert b"internal" not in body
    assert base.encode() not in body
    assert "sesame" not in str(headers)
    if status == 503:
        assert headers["retry-after"]


@pytest.mark.parametrize(
    "head", [b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"]
)
async def test_an_upstream_that_dies_half_way_never_looks_whole(node: Node, head: bytes) -> None:
    async def handle(_: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(head + (b"5\r\nhello\r\n" if b"chunked" in head else b"hello" * 1000))

    async with raw_server(handle) as base:
        url, token = node.offer(upstream(base))
        with pytest.raises(aiohttp.ClientError):
            await get(url, token)


async def test_an_upstream_that_is_not_there_is_502(node: Node) -> None:
    async def handle(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None: ...

    async with raw_server(handle) as base:
        url, token = node.offer(upstream(base))
    status, _, body = await get(url, token)
    assert status == 502
    assert base.removeprefix("http://").encode() not in body


async def test_an_upstream_without_a_length_is_relayed_whole(node: Node) -> None:
    async def handle(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        body = b"" if head.startswith(b"HEAD") else b"5\r\nhello\r\n0\r\n\r\n"
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body)

    async with raw_server(handle) as base:
        url, token = node.offer(upstream(base, digest=hashlib.sha256(b"hello").hexdigest(), media_type="text/plain"))
        status, headers, body = await get(url, token)
        assert (status, body, headers["content-type"]) == (200, b"hello", "text/plain")
        assert (await get(url, token, "HEAD"))[::2] == (200, b"")


async def test_a_slow_consumer_slows_the_upstream_down(node: Node) -> None:
    sent = 0

    async def handle(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n")
        for _ in range(1024):
            writer.write(bytes(1 << 20))
            await writer.drain()
            sent += 1 << 20

    async with raw_server(handle) as base:
        url, token = node.offer(upstream(base))
        connection = await RawConnection.to(url)
        await connection.ask("GET", url, token)
        before = -1
        while sent != before:  # until nothing moves any more: all buffers on the way are full
            before = sent
            await asyncio.sleep(0.1)
        assert 0 < sent < 64 << 20
        connection.abort()
