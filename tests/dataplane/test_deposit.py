"""`S3-PUSH` and `S3-PULL` against a real S3 server: into a bucket that a consumer names, out of the provider's own."""

from __future__ import annotations

import hashlib
import pathlib
from datetime import UTC, datetime
from typing import Any

import aiohttp
import orjson
import pytest

from connector.dataplane.addresses import S3_PULL, S3_PUSH
from connector.dataplane.deposit import PART_BYTES
from connector.dataplane.s3 import Store, bucket_of, check_allowed, signed
from connector.dsp.messages import DataAddress
from connector.dsp.tables import Role
from connector.dsp.transfer import Transfer
from connector.errors import AddressRefused, PeerMessage
from connector.ports.dataplane import DataRequest, Source
from tests.dataplane.buckets import Bucket
from tests.dataplane.conftest import DIGEST, SAMPLE, Node, Start, address, file, transfer

LARGE = b"".join(b"%015d\n" % n for n in range((2 * PART_BYTES + 1000) // 16))
"""Two parts and a little."""


class Wall:
    """The time as it is: a real server looks at it."""

    def now(self) -> datetime:
        return datetime.now(UTC)


def push(destination: DataAddress | None) -> Transfer:
    return transfer("urn:uuid:3", S3_PUSH, Role.PROVIDER, destination=destination)


@pytest.fixture
async def node(start: Start, bucket: Bucket) -> Node:
    # a real server looks at the time
    return await start(now=datetime.now(UTC), allowed_object_endpoints=(bucket.endpoint,))


def store_of(node: Node, bucket: Bucket, key: str) -> Store:
    found = bucket_of(bucket.destination(key), "", (bucket.endpoint,))
    return Store(peers=node.plane._peers, bucket=found, silence_s=5)


@pytest.mark.parametrize("data", [b"", SAMPLE, LARGE[:PART_BYTES], LARGE], ids=["empty", "one", "even", "parts"])
async def test_a_file_is_put_into_the_bucket_that_the_consumer_names(
    node: Node, bucket: Bucket, tmp_path: pathlib.Path, data: bytes
) -> None:
    (tmp_path / "a").write_bytes(data)
    await node.plane.start(push(bucket.destination("ä b%20+#?&=.bin")), file(tmp_path / "a"))
    assert (await node.desk.until("completed"))[2:] == (len(data), hashlib.sha256(data).hexdigest())
    assert await bucket.get("ä b%20+#?&=.bin") == data


async def test_only_the_parts_that_are_missing_are_sent_again(node: Node, bucket: Bucket, tmp_path: pathlib.Path) -> None:
    (tmp_path / "a").write_bytes(LARGE)
    store, key, now = store_of(node, bucket, "a"), bucket.root + "a", Wall().now
    upload = (await store.ask(now(), "POST", key, {"uploads": ""})).word("UploadId") or ""
    for number, part in ((1, LARGE[:PART_BYTES]), (2, b"x" * PART_BYTES)):
        await store.ask(now(), "PUT", key, {"partNumber": str(number), "uploadId": upload}, part)
    kept = await store.parts_of(now(), key, upload)
    assert kept[1] == hashlib.md5(LARGE[:PART_BYTES]).hexdigest()
    assert await store.upload_of(now(), key) == upload
    await node.plane.start(push(bucket.destination("a")), file(tmp_path / "a"))
    await node.desk.until("completed")
    assert await bucket.get("a") == LARGE
    assert await store.upload_of(now(), key) is None


async def test_a_folder_is_put_below_the_key_with_its_manifest(node: Node, bucket: Bucket, tmp_path: pathlib.Path) -> None:
    (tmp_path / "root" / "deep").mkdir(parents=True)
    (tmp_path / "root" / "deep" / "a.csv").write_bytes(SAMPLE)
    (tmp_path / "root" / "b").write_bytes(b"b")
    await node.plane.start(push(bucket.destination("in")), Source(type="folder", path=str(tmp_path / "root")))
    await node.desk.until("completed")
    assert await bucket.get("in/deep/a.csv") == SAMPLE
    listed = orjson.loads(await bucket.get("in.manifest.json"))["files"]
    assert {entry["path"]: entry["sha256"] for entry in listed}["deep/a.csv"] == DIGEST


async def test_an_object_goes_from_store_to_store(node: Node, bucket: Bucket) -> None:
    await bucket.put("from", LARGE)
    await node.plane.start(push(bucket.destination("to")), bucket.source("from"))
    await node.desk.until("completed")
    assert await bucket.get("to") == LARGE


async def test_wrong_keys_end_the_transfer_with_the_reason(node: Node, bucket: Bucket, tmp_path: pathlib.Path) -> None:
    (tmp_path / "a").write_bytes(b"a")
    await node.plane.start(push(bucket.destination("a", secretAccessKey="wrong")), file(tmp_path / "a"))
    assert "answers 403" in str((await node.desk.until("failed"))[2])


async def test_a_store_that_the_operator_has_not_allowed_is_not_reached(start: Start, tmp_path: pathlib.Path) -> None:
    (tmp_path / "a").write_bytes(b"a")
    node = await start(allowed_object_endpoints=("https://s3.example.org",))
    keys = {"bucketName": "b", "accessKeyId": "a", "secretAccessKey": "s"}
    await node.plane.start(push(address(node.url, **keys)), file(tmp_path / "a"))
    assert "not on the allow list" in str((await node.desk.until("failed"))[2])


async def test_pushes_into_stores_are_offered_where_one_is_allowed(start: Start) -> None:
    source = Source(type="file")
    assert S3_PUSH not in (await start("one")).plane.formats(source)
    assert S3_PUSH in (await start("two", allowed_object_endpoints=("https://s3.example.org",))).plane.formats(source)


@pytest.mark.parametrize(
    ("url", "is_allowed"),
    [
        ("https://s3.example.org", True),
        ("https://S3.example.org:443/", True),
        ("https://eu.store.example", True),
        ("http://s3.example.org", False),
        ("https://s3.example.org:444", False),
        ("https://s3.example.org.evil.example", False),
        ("https://s3.example.org@evil.example", False),
        ("https://evil.example/?x=.store.example", False),
    ],
)
def test_the_allow_list_names_origins(url: str, is_allowed: bool) -> None:
    allowed = ("https://s3.example.org", "https://*.store.example/")
    if is_allowed:
        check_allowed(url, allowed)
    else:
        with pytest.raises(AddressRefused):
            check_allowed(url, allowed)


@pytest.mark.parametrize("missing", ["bucketName", "accessKeyId", "secretAccessKey"])
def test_an_address_without_bucket_or_keys_is_refused(missing: str) -> None:
    keys = {"bucketName": "b", "accessKeyId": "a", "secretAccessKey": "s"}
    del keys[missing]
    with pytest.raises(PeerMessage):
        bucket_of(address("https://s3.example.org", **keys), "name", ("https://s3.example.org",))


def test_a_session_token_is_signed_and_names_are_encoded_once() -> None:
    keys = {"bucketName": "b", "accessKeyId": "A", "secretAccessKey": "S", "sessionToken": "T"}
    bucket = bucket_of(address("https://s3.example.org", **keys), "n", ("https://s3.example.org",))
    url, headers = signed(
        bucket, "PUT", "a b/ä", {"uploadId": "x=/", "partNumber": "1"}, {}, "0" * 64, datetime(2026, 1, 1, tzinfo=UTC)
    )
    assert url == "https://s3.example.org/b/a%20b/%C3%A4?partNumber=1&uploadId=x%3D%2F"
    assert headers["x-amz-security-token"] == "T"
    assert "SignedHeaders=host;x-amz-content-sha256;x-amz-date;x-amz-security-token," in headers["Authorization"]
    assert "secret" not in repr(bucket)


async def read(node: Node, pulled: Transfer, **headers: str) -> tuple[int, bytes]:
    async with node.plane.collect(pulled, DataRequest(headers=headers)) as served:
        return served.status, b"".join([chunk async for chunk in served.chunks or _none()])


async def _none() -> Any:
    for nothing in ():
        yield nothing


async def test_a_consumer_is_sent_to_the_store_with_an_address_signed_for_it(node: Node, bucket: Bucket) -> None:
    await bucket.put("a", SAMPLE)
    pulled = node.offer_s3(bucket.source("a"))
    assert pulled.address is not None
    url, token = pulled.address.endpoint or "", pulled.address.property("authorization") or ""
    async with aiohttp.ClientSession() as client:
        async with client.get(url, headers={"Authorization": token}, allow_redirects=False) as sent:
            assert sent.status == 307
            assert sent.headers["location"].startswith(f"{bucket.endpoint}/{bucket.name}/{bucket.root}a?")
            assert f"X-Amz-Expires={node.plane._config.pull_token_ttl_s}" in sent.headers["location"]
            assert bucket.secret_key not in sent.headers["location"]
        async with client.get(url, allow_redirects=False) as refused:
            assert refused.status == 401
    assert await read(node, pulled) == (200, SAMPLE)
    assert await read(node, pulled, range="bytes=5-9") == (206, SAMPLE[5:10])


async def test_a_proxied_object_goes_through_the_node(node: Node, bucket: Bucket) -> None:
    await bucket.put("a", SAMPLE)
    pulled = node.offer_s3(bucket.source("a", is_proxied=True))
    assert pulled.address is not None
    headers = {"Authorization": pulled.address.property("authorization") or ""}
    async with aiohttp.ClientSession() as client, client.get(pulled.address.endpoint or "", headers=headers) as served:
        assert (served.status, served.history, await served.read()) == (200, (), SAMPLE)


async def test_a_consumer_follows_only_to_stores_that_its_operator_allows(start: Start, bucket: Bucket, node: Node) -> None:
    await bucket.put("a", SAMPLE)
    consumer = await start("consumer")
    with pytest.raises(AddressRefused, match="allow list"):
        await read(consumer, node.offer_s3(bucket.source("a")))


def test_the_format_is_offered_for_an_object_and_not_for_a_prefix(node: Node, bucket: Bucket) -> None:
    assert S3_PULL in node.plane.formats(bucket.source("a"))
    assert S3_PULL not in node.plane.formats(bucket.source("a/"))
