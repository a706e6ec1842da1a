"""Google Cloud Storage against recorded exchanges, as `google.py` says: read from and pushed to."""

from __future__ import annotations

import hashlib
import pathlib
from functools import cache

import orjson
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from connector.dataplane.addresses import GOOGLE_PUSH
from connector.dataplane.deposit import PART_BYTES
from connector.dsp.messages import DataAddress
from connector.dsp.tables import Role
from connector.errors import SourceError
from connector.ports.dataplane import ObjectPlace, Source, StoreKind
from tests.dataplane.conftest import DIGEST, PID, SAMPLE, Start, address, file, outgoing, received, transfer
from tests.dataplane.google import Exchange, listed, playing, read, seen, tag, xml

LARGE = b"".join(b"%015d\n" % n for n in range((PART_BYTES + 1000) // 16))
"""One part and a little."""
IN = "/weather/in/a.csv"


@cache
def account() -> str:
    """The key of a service account, as Google hands it out."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    told = {"type": "service_account", "private_key_id": "1", "private_key": pem.decode()}
    return orjson.dumps({**told, "client_email": "kontor@example.iam.gserviceaccount.com"}).decode()


def source(url: str, key: str) -> Source:
    place = ObjectPlace(kind=StoreKind.GCS, bucket="weather", key=key, endpoint=url, secret_key=account())
    return Source(type="gcs", objects=place, name=key.rstrip("/").rpartition("/")[2])


def bucket(url: str) -> DataAddress:
    return address(url, bucketName="weather", objectName="in/a.csv", accessToken="ya29.token")


async def test_an_object_is_read_in_the_state_in_which_it_was_found(start: Start) -> None:
    at = "/weather/2025%2Fsample%2Ecsv"
    async with playing(seen(at, SAMPLE), read(at, SAMPLE)) as (url, asked):
        provider, consumer = await start("provider"), await start("consumer")
        await provider.plane.start(outgoing(consumer.expect()), source(url, "2025/sample.csv"))
        assert (await provider.desk.until("completed"))[2:] == (len(SAMPLE), DIGEST)
    assert received(consumer) == SAMPLE
    assert asked[-1].headers["if-match"] == tag(SAMPLE)
    assert all(one.headers["authorization"].startswith("Bearer ey") for one in asked)
    assert not any("private" in str(one) for one in asked)


async def test_a_prefix_is_a_folder_with_its_manifest(start: Start) -> None:
    files = {"2025/one.csv": b"one", "2025/deep/two.csv": b"two"}
    one, two = "/weather/2025%2Fone%2Ecsv", "/weather/2025%2Fdeep%2Ftwo%2Ecsv"
    exchanges = (seen(one, b"one"), read(one, b"one"), seen(two, b"two"), read(two, b"two"))
    async with playing(listed("weather", "2025/", *files.items()), *exchanges) as (url, _):
        provider, consumer = await start("provider"), await start("consumer")
        await provider.plane.start(outgoing(consumer.expect()), source(url, "2025/"))
        await provider.desk.until("completed")
    root = pathlib.Path(consumer.plane.received_file("acme", PID) or "")
    assert ((root / "one.csv").read_bytes(), (root / "deep/two.csv").read_bytes()) == (b"one", b"two")


@pytest.mark.parametrize(("status", "said"), [(401, "refuses us"), (403, "refuses us"), (404, "not there")])
async def test_what_google_refuses_is_told_to_the_operator(start: Start, status: int, said: str) -> None:
    async with playing(Exchange("HEAD /weather/x", status)) as (url, _):
        with pytest.raises(SourceError, match=said):
            await (await start()).plane.describe(source(url, "x"))


async def test_a_small_file_is_put_with_its_digests(start: Start, tmp_path: pathlib.Path) -> None:
    (tmp_path / "a").write_bytes(SAMPLE)
    async with playing(Exchange(f"PUT {IN}"), seen(IN, SAMPLE)) as (url, asked):
        node = await start(allowed_object_endpoints=(url,))
        pushed = transfer("urn:uuid:3", GOOGLE_PUSH, Role.PROVIDER, destination=bucket(url))
        await node.plane.start(pushed, file(tmp_path / "a"))
        assert (await node.desk.until("completed"))[2:] == (len(SAMPLE), DIGEST)
    assert asked[0].body == SAMPLE
    assert asked[0].headers["x-goog-meta-sha256"] == DIGEST
    assert {one.headers["authorization"] for one in asked} == {"Bearer ya29.token"}


async def test_a_large_file_goes_in_parts_and_goes_on_where_it_broke(start: Start, tmp_path: pathlib.Path) -> None:
    (tmp_path / "a").write_bytes(LARGE)
    first, second = LARGE[:PART_BYTES], LARGE[PART_BYTES:]
    uploads = "GET /weather?prefix=in%2Fa.csv&uploads="
    begun = xml(f"POST {IN}?uploads=", "InitiateMultipartUploadResult", "<Bucket>weather</Bucket><UploadId>VXBsb2Fk</UploadId>")
    parts = [Exchange(f"PUT {IN}?partNumber={number}&uploadId=VXBsb2Fk") for number in (1, 2)]
    whole = xml(f"POST {IN}?uploadId=VXBsb2Fk", "CompleteMultipartUploadResult", f"<ETag>{tag(LARGE)}</ETag>")
    there = seen(IN, LARGE)
    for name, running, known in (
        ("new", "", ""),
        ("again", "<Upload><Key>in/a.csv</Key><UploadId>VXBsb2Fk</UploadId></Upload>", first),
    ):
        found = f"<Part><PartNumber>1</PartNumber><ETag>{tag(first)}</ETag><Size>{PART_BYTES}</Size></Part>" if known else ""
        exchanges = (
            xml(uploads, "ListMultipartUploadsResult", f"<Bucket>weather</Bucket>{running}"),
            xml(
                f"GET {IN}?part-number-marker=0&uploadId=VXBsb2Fk",
                "ListPartsResult",
                f"{found}<IsTruncated>false</IsTruncated>",
            ),
        )
        async with playing(*exchanges, begun, *parts, whole, there) as (url, asked):
            node = await start(name, allowed_object_endpoints=(url,))
            pushed = transfer("urn:uuid:3", GOOGLE_PUSH, Role.PROVIDER, destination=bucket(url))
            await node.plane.start(pushed, file(tmp_path / "a"))
            assert (await node.desk.until("completed"))[2:] == (len(LARGE), hashlib.sha256(LARGE).hexdigest())
        bodies = [one.body for one in asked if one.line.startswith("PUT")]
        assert bodies == ([second] if known else [first, second])
        sent = asked[-2].body.decode()
        assert [f"<ETag>{tag(part)}</ETag>" in sent for part in (first, second)] == [True, True]
