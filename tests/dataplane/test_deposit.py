"""Pushes into object stores that a consumer names, and `S3-PULL` out of the provider's own: against real servers of S3 and Azure."""

from __future__ import annotations

import asyncio
import hashlib
import pathlib
import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import orjson
import pytest

from connector.dataplane.addresses import AZURE_PUSH, GOOGLE_PUSH, S3_PULL, S3_PUSH
from connector.dataplane.azure import container_of
from connector.dataplane.deposit import _SINKS, PART_BYTES
from connector.dataplane.s3 import Store, bucket_of, google_bucket_of, opened
from connector.dataplane.sinks import About, Piece, Upload, check_allowed
from connector.dsp.messages import DataAddress
from connector.dsp.tables import Role
from connector.dsp.transfer import Transfer
from connector.dsp.values import replace
from connector.errors import AddressRefused, PeerAnswer, PeerMessage
from connector.ports.dataplane import DataRequest, Source
from tests.dataplane.buckets import AnyPlace, Blobs, Bucket
from tests.dataplane.conftest import DIGEST, SAMPLE, Node, Start, address, file, transfer
from tests.servers import azurite

LARGE = random.Random(1).randbytes(2 * PART_BYTES + 1000)
"""Two parts and a little."""


class Wall:
    """The time as it is: a real server looks at it."""

    def now(self) -> datetime:
        return datetime.now(UTC)


def push(destination: DataAddress | None, format_: str = S3_PUSH) -> Transfer:
    return transfer("urn:uuid:3", format_, Role.PROVIDER, destination=destination)


@pytest.fixture
async def node(start: Start, bucket: Bucket) -> Node:
    # a real server looks at the time
    return await start(now=datetime.now(UTC), allowed_object_endpoints=(bucket.endpoint,))


@pytest.fixture
async def depositor(start: Start, objects: AnyPlace) -> Node:
    return await start(now=datetime.now(UTC), allowed_object_endpoints=(objects.endpoint,))


@pytest.mark.parametrize("data", [b"", SAMPLE, LARGE[:PART_BYTES], LARGE], ids=["empty", "one", "even", "parts"])
async def test_a_file_is_put_into_the_place_that_the_consumer_names(
    depositor: Node, objects: AnyPlace, tmp_path: pathlib.Path, data: bytes
) -> None:
    (tmp_path / "a").write_bytes(data)
    await depositor.plane.start(push(objects.destination("ä b%20+#?&=.bin"), objects.push_format), file(tmp_path / "a"))
    assert (await depositor.desk.until("completed"))[2:] == (len(data), hashlib.sha256(data).hexdigest())
    assert await objects.get("ä b%20+#?&=.bin") == data


async def test_only_the_pieces_that_are_missing_are_sent_again(
    depositor: Node, objects: AnyPlace, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").write_bytes(LARGE)
    destination = objects.destination("a")
    make = _SINKS[objects.push_format]
    sink, key, now = make(depositor.plane._pushes._deposits, destination, "a"), objects.root + "a", Wall().now
    # an attempt that broke off: its first piece is right, its second one of another state of the file
    about = About(media_type="application/octet-stream", digest=hashlib.sha256(LARGE).hexdigest())
    upload = await sink.begin(now(), key, about)
    await sink.add(now(), upload, Piece.of(LARGE[:PART_BYTES]))
    await sink.add(now(), upload, Piece.of(b"x" * PART_BYTES))
    sent: list[int] = []
    slices = Piece.slices

    async def counted(piece: Piece) -> AsyncIterator[bytes]:
        sent.append(len(piece.data))
        async for one in slices(piece):
            yield one

    monkeypatch.setattr(Piece, "slices", counted)
    await depositor.plane.start(push(destination, objects.push_format), file(tmp_path / "a"))
    await depositor.desk.until("completed")
    assert await objects.get("a") == LARGE
    assert [size for size in sent if size >= 900] == [PART_BYTES, len(LARGE) - 2 * PART_BYTES]
    assert (await sink.begin(now(), key, about)).there == {}


async def test_an_upload_that_another_node_has_noted_is_gone_on_with_though_nobody_may_list_what_there_is(
    node: Node, start: Start, bucket: Bucket, tmp_path: pathlib.Path
) -> None:
    (tmp_path / "a").write_bytes(LARGE)
    sink, key, now = _SINKS[S3_PUSH](node.plane._pushes._deposits, bucket.destination("a"), "a"), bucket.root + "a", Wall().now
    assert isinstance(sink, Store)
    about = About(media_type="application/octet-stream", digest=hashlib.sha256(LARGE).hexdigest())
    ids = set()
    for _ in range(2):
        told = await sink.ask(now(), "POST", key, {"uploads": ""}, headers={"x-amz-checksum-algorithm": "SHA256"})
        ids.add(told.word("UploadId") or "")
    # of two uploads that one which a list of them does not give
    listed = await sink.upload_of(now(), key) or ""
    (unlisted,) = ids - {listed}
    upload = Upload(key=key, about=about, id=unlisted)
    await sink.add(now(), upload, Piece.of(LARGE[:PART_BYTES]))
    assert (await sink.begin(now(), key, about, upload.mark)).there.keys() == {1}
    # a mark of other data is none
    other = About(media_type="application/octet-stream", digest=DIGEST)
    assert (await sink.begin(now(), key, other, upload.mark)).id == listed

    process = replace(push(bucket.destination("a")), mark=upload.mark)
    await node.plane.start(process, file(tmp_path / "a"))
    assert (await node.desk.until("completed"))[2] == len(LARGE)
    assert await bucket.get("a") == LARGE
    assert node.desk.marks == []
    assert await sink.parts_of(now(), key, upload.id) is None


async def test_a_store_refuses_a_piece_that_was_damaged_on_its_way(start: Start, azure: str) -> None:
    # S3 checks the signed SHA-256 likewise; SeaweedFS does not
    place = Blobs(azure)
    node = await start(now=datetime.now(UTC), allowed_object_endpoints=(place.endpoint,))
    sink = _SINKS[place.push_format](node.plane._pushes._deposits, place.destination("a"), "a")
    piece = Piece.of(b"what was sent")
    await piece.md5()
    piece.data[0] ^= 1
    with pytest.raises(PeerAnswer, match="answers 400"):
        await sink.put(Wall().now(), sink.key, piece, About(media_type="text/plain", digest=None))


async def test_a_folder_is_put_below_the_key_with_its_manifest(
    depositor: Node, objects: AnyPlace, tmp_path: pathlib.Path
) -> None:
    (tmp_path / "root" / "deep").mkdir(parents=True)
    (tmp_path / "root" / "deep" / "a.csv").write_bytes(SAMPLE)
    (tmp_path / "root" / "b").write_bytes(b"b")
    wanted = push(objects.destination("in"), objects.push_format)
    await depositor.plane.start(wanted, Source(type="folder", path=str(tmp_path / "root")))
    await depositor.desk.until("completed")
    assert await objects.get("in/deep/a.csv") == SAMPLE
    listed = orjson.loads(await objects.get("in.manifest.json"))["files"]
    assert {entry["path"]: entry["sha256"] for entry in listed}["deep/a.csv"] == DIGEST


async def test_an_object_goes_from_store_to_store(depositor: Node, objects: AnyPlace) -> None:
    await objects.put("from", LARGE)
    await depositor.plane.start(push(objects.destination("to"), objects.push_format), objects.source("from"))
    await depositor.desk.until("completed")
    assert await objects.get("to") == LARGE


async def test_a_deposit_that_was_stopped_moves_nothing_more_and_goes_on_where_it_stopped(
    depositor: Node, objects: AnyPlace, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").write_bytes(LARGE)
    wanted = push(objects.destination("a"), objects.push_format)
    sent: list[int] = []
    slices, is_there = Piece.slices, asyncio.Event()

    async def stalling(piece: Piece) -> AsyncIterator[bytes]:
        sent.append(len(piece.data))
        if len(sent) == 2:
            is_there.set()
            await asyncio.Event().wait()
        async for one in slices(piece):
            yield one

    monkeypatch.setattr(Piece, "slices", stalling)
    await depositor.plane.start(wanted, file(tmp_path / "a"))
    await asyncio.wait_for(is_there.wait(), 5)
    await depositor.plane.stop("acme", wanted.pid)
    assert (depositor.plane.running(), depositor.desk.told) == ((), [])
    await depositor.plane.start(wanted, file(tmp_path / "a"))
    await depositor.desk.until("completed")
    assert await objects.get("a") == LARGE
    assert sent.count(PART_BYTES) == 3  # the first piece once, the second again


async def test_wrong_keys_end_the_transfer_with_the_reason(depositor: Node, objects: AnyPlace, tmp_path: pathlib.Path) -> None:
    (tmp_path / "a").write_bytes(b"a")
    wrong = objects.destination("a", secretAccessKey="wrong", sasToken="sv=2018-11-09&sig=wrong")
    await depositor.plane.start(push(wrong, objects.push_format), file(tmp_path / "a"))
    reason = str((await depositor.desk.until("failed"))[2])
    assert "answers 403" in reason
    assert "sig=" not in reason


async def test_a_signature_that_is_good_for_writing_only_is_enough(start: Start, azure: str, tmp_path: pathlib.Path) -> None:
    # S3 likewise, whose test server knows no such keys
    place = Blobs(azure)
    node = await start(now=datetime.now(UTC), allowed_object_endpoints=(place.endpoint,))
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "a").write_bytes(LARGE)
    (tmp_path / "root" / "b").write_bytes(b"b")
    there = place.destination("in", sasToken=azurite.signature(place.account, place.key, "wc"))
    await node.plane.start(push(there, place.push_format), Source(type="folder", path=str(tmp_path / "root")))
    await node.desk.until("completed")
    assert (await place.get("in/a"), await place.get("in/b")) == (LARGE, b"b")


async def test_a_store_that_the_operator_has_not_allowed_is_not_reached(start: Start, tmp_path: pathlib.Path) -> None:
    (tmp_path / "a").write_bytes(b"a")
    node = await start(allowed_object_endpoints=("https://s3.example.org",))
    keys = {"bucketName": "b", "accessKeyId": "a", "secretAccessKey": "s"}
    keys |= {"container": "c", "sasToken": "sig=x", "accessToken": "t"}
    for format_ in (S3_PUSH, AZURE_PUSH, GOOGLE_PUSH):
        await node.plane.start(push(address(node.url, **keys), format_), file(tmp_path / "a"))
        assert "not on the allow list" in str((await node.desk.until("failed"))[2])
        node.desk.told.clear()


async def test_pushes_into_stores_are_offered_where_one_is_allowed(start: Start) -> None:
    source, formats = Source(type="file"), {S3_PUSH, AZURE_PUSH, GOOGLE_PUSH}
    assert not formats & set((await start("one")).plane.formats(source))
    assert formats < set((await start("two", allowed_object_endpoints=("https://s3.example.org",))).plane.formats(source))


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
        ("https://[2001:db8::7]:9000", True),
        ("https://[2001:db8::8]:9000", False),
        ("https://[2001:db8::7", False),
        ("https://s3.example.org:99999", False),
        ("", False),
    ],
)
def test_the_allow_list_names_origins(url: str, is_allowed: bool) -> None:
    allowed = ("https://s3.example.org", "https://*.store.example/", "https://[2001:db8::7]:9000")
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


@pytest.mark.parametrize("missing", ["container", "sasToken", "account"])
def test_an_address_without_container_signature_or_account_is_refused(missing: str) -> None:
    keys = {"container": "c", "sasToken": "sig=x", "account": "weather", "accountKey": "never looked at"}
    del keys[missing]
    with pytest.raises(PeerMessage):
        container_of(address("", **keys), "name", ("https://*",))


def test_a_container_is_known_by_its_account() -> None:
    keys = {"container": "c", "sasToken": "?sig=x", "account": "weather", "folderName": "in/"}
    found = container_of(address("", **keys), "name", ("https://*.blob.core.windows.net",))
    assert (found.endpoint, found.key, found.signature) == ("https://weather.blob.core.windows.net", "in/name", "sig=x")
    with pytest.raises(PeerMessage):
        container_of(address("", **{**keys, "account": "evil.example/"}), "name", ("https://*",))
    with pytest.raises(AddressRefused):
        container_of(address("", **keys), "name", ("https://*.example.org",))


def test_a_bucket_of_googles_needs_a_token() -> None:
    with pytest.raises(PeerMessage):
        google_bucket_of(address("", bucketName="b"), "name", ("https://*",))
    found = google_bucket_of(address("", bucketName="b", accessToken="Bearer t"), "n", ("https://storage.googleapis.com",))
    assert (found.endpoint, found.key, found.bearer) == ("https://storage.googleapis.com", "n", "t")
    assert "'t'" not in repr(found)


def test_a_session_token_is_signed_and_names_are_encoded_once() -> None:
    keys = {"bucketName": "b", "accessKeyId": "A", "secretAccessKey": "S", "sessionToken": "T"}
    bucket = bucket_of(address("https://s3.example.org", **keys), "n", ("https://s3.example.org",))
    query = {"uploadId": "x=/", "partNumber": "1"}
    url, headers = opened(bucket, "PUT", "a b/ä", query, {}, Piece(), datetime(2026, 1, 1, tzinfo=UTC))
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


async def test_an_address_is_signed_for_no_longer_than_the_terms_grant_and_never_when_each_reading_counts(
    node: Node, bucket: Bucket
) -> None:
    await bucket.put("a", SAMPLE)
    pulled = node.offer_s3(bucket.source("a"))
    assert pulled.address is not None
    url, headers = pulled.address.endpoint or "", {"Authorization": pulled.address.property("authorization") or ""}
    for until, status in ((timedelta(seconds=90.5), 307), (timedelta(seconds=0.9), 200), (None, 200)):
        node.desk.free_until = node.clock.now() + until if until is not None else None
        async with (
            aiohttp.ClientSession() as client,
            client.get(url, headers=headers, allow_redirects=False) as answer,
        ):
            assert answer.status == status
            assert ("X-Amz-Expires=90&" in answer.headers.get("location", "")) is (status == 307)
            assert await answer.read() == (SAMPLE if status == 200 else b"")


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
