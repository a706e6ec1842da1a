"""What the control plane and the operator's API ask of a data plane: formats, addresses, descriptions, collected data."""

from __future__ import annotations

import asyncio
import hashlib
import pathlib
from datetime import UTC, datetime, timedelta

import pytest

from connector.dataplane.addresses import HTTP, destination, new_endpoint, readings, token_of
from connector.dataplane.plane import PULL, PUSH
from connector.dataplane.streams import Streams
from connector.dsp.messages import DataAddress
from connector.dsp.tables import Role
from connector.errors import Conflict, NotFound, PeerAnswer, PeerMessage, SourceError, Unreachable
from connector.ports.dataplane import DataPlane, DataRequest, Description, Served, Source
from tests.dataplane.conftest import DIGEST, NOW, SAMPLE, Node, address, raw_server, token_in, transfer


def test_it_is_a_data_plane(node: Node) -> None:
    plane: DataPlane = node.plane
    assert plane.formats(Source(type="file")) == (PULL, PUSH)
    assert plane.formats(Source(type="http")) == (PULL, PUSH)
    assert plane.formats(Source(type="folder")) == (PULL, PUSH)
    assert plane.formats(Source(type="none")) == ()


def test_an_endpoint_carries_a_token_of_which_only_the_hash_is_kept(node: Node) -> None:
    first, second = (node.plane.endpoint("acme", "urn:uuid:a/b", PULL) for _ in range(2))
    assert first is not None
    assert second is not None
    token = first.address.property("authorization") or ""
    assert len(token) >= 43
    assert token != second.address.property("authorization")
    assert first.access.token_sha256 == hashlib.sha256(token.encode()).hexdigest()
    assert first.access.expires_at == NOW + timedelta(hours=1)
    assert first.address.endpoint == f"{node.url}/acme/data/pull/urn:uuid:a%2Fb"
    assert first.address.endpoint_type == HTTP
    assert first.address.property("authType") == "bearer"
    assert first.address.property("expiresIn") == "3600"
    assert node.plane.endpoint("acme", "urn:uuid:1", "S3-PUSH") is None


# --- descriptions


async def test_a_file_is_described_by_reading_it(node: Node, sample: pathlib.Path) -> None:
    source = Source(type="file", path=str(sample))
    assert await node.plane.describe(source) == Description(byte_size=len(SAMPLE), digest=DIGEST, media_type="text/csv")
    assert (await node.plane.describe(source, with_digest=False)).digest is None


async def test_an_upstream_is_described_by_head_or_by_reading_it(node: Node) -> None:
    methods: list[str] = []

    async def handle(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        method = head.split()[0].decode()
        methods.append(method)
        if method == "HEAD" and b"/nohead" in head:
            writer.write(b"HTTP/1.1 405 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            return
        writer.write(
            b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: text/x\r\nContent-Length: %d\r\n\r\n" % len(SAMPLE)
        )
        if method == "GET":
            writer.write(SAMPLE)

    async with raw_server(handle) as base:
        shape = Description(byte_size=len(SAMPLE), digest=None, media_type="text/x")
        assert await node.plane.describe(Source(type="http", url=base), with_digest=False) == shape
        assert await node.plane.describe(Source(type="http", url=base + "/nohead"), with_digest=False) == shape
        assert (await node.plane.describe(Source(type="http", url=base))).digest == DIGEST
    assert methods == ["HEAD", "HEAD", "GET", "GET"]


async def test_what_cannot_be_read_cannot_be_described(node: Node, tmp_path: pathlib.Path) -> None:
    for source in (
        Source(type="file", path=str(tmp_path / "gone")),
        Source(type="file", path=str(tmp_path)),
        Source(type="folder", path=str(tmp_path / "gone")),
        Source(type="http", url="http://127.0.0.1:1/"),
        Source(type="none"),
    ):
        with pytest.raises(SourceError):
            await node.plane.describe(source)


# --- collected by the consumer's own people


async def read(served: Served) -> bytes:
    if served.body is not None:
        return served.body
    assert served.chunks is not None
    return b"".join([chunk async for chunk in served.chunks])


async def test_a_pull_is_collected_through_us_with_its_ranges(node: Node, sample: pathlib.Path) -> None:
    url, token = node.offer(Source(type="file", path=str(sample), name="sample.csv", digest=DIGEST))
    process = transfer("urn:uuid:5", PULL, Role.CONSUMER, address=address(url, authorization=token, authType="bearer"))
    async with node.plane.collect(process, DataRequest()) as served:
        assert served.status == 200
        assert served.headers["content-disposition"] == 'attachment; filename="sample.csv"'
        assert served.headers["repr-digest"]
        assert await read(served) == SAMPLE
    async with node.plane.collect(process, DataRequest(headers={"range": "bytes=5-9"})) as served:
        assert served.status == 206
        assert await read(served) == SAMPLE[5:10]
    async with node.plane.collect(process, DataRequest(method="HEAD")) as served:
        assert (served.status, served.chunks) == (200, None)
        assert served.headers["content-length"] == str(len(SAMPLE))


async def test_a_provider_that_wants_the_scheme_gets_it_at_the_second_try(node: Node) -> None:
    shown: list[bytes] = []

    async def handle(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        shown.append(next(line for line in head.split(b"\r\n") if line.lower().startswith(b"authorization")))
        status = b"200 OK" if b"Bearer t" in shown[-1] else b"401 No"
        writer.write(b"HTTP/1.1 " + status + b"\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")

    async with raw_server(handle) as base:
        edc = DataAddress(
            endpoint_type=HTTP,
            endpoint_properties=address(
                "", **{"https://w3id.org/edc/v0.0.1/ns/endpoint": base, "https://w3id.org/edc/v0.0.1/ns/authorization": "t"}
            ).endpoint_properties,
        )
        process = transfer("urn:uuid:5", PULL, Role.CONSUMER, address=edc)
        async with node.plane.collect(process, DataRequest(path="a b.txt")) as served:
            assert await read(served) == b"ok"
    assert shown == [b"Authorization: t", b"Authorization: Bearer t"]


async def test_a_provider_that_refuses_is_named_with_its_words(node: Node) -> None:
    async def handle(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert token_in(head) == "t"
        writer.write(b"HTTP/1.1 403 No\r\nContent-Length: 9\r\nConnection: close\r\n\r\nsuspended")

    async with raw_server(handle) as base:
        process = transfer("urn:uuid:5", PULL, Role.CONSUMER, address=address(base, authorization="Bearer t"))
        with pytest.raises(PeerAnswer, match="answers 403: suspended"):
            async with node.plane.collect(process, DataRequest()):
                pass


async def test_a_provider_that_breaks_off_does_not_look_whole(node: Node) -> None:
    async def handle(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nhalf")

    async with raw_server(handle) as base:
        process = transfer("urn:uuid:5", PULL, Role.CONSUMER, address=address(base))
        async with node.plane.collect(process, DataRequest()) as served:
            with pytest.raises(Unreachable):
                await read(served)


async def test_a_stop_cuts_what_is_being_collected(node: Node) -> None:
    async def handle(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nhalf")
        await writer.drain()
        await reader.read()

    async with raw_server(handle) as base:
        process = transfer("urn:uuid:5", PULL, Role.CONSUMER, address=address(base))

        async def stopped() -> None:
            async with node.plane.collect(process, DataRequest()) as served, asyncio.TaskGroup() as group:
                group.create_task(node.plane.stop("acme", "urn:uuid:5"))
                await read(served)

        with pytest.raises(Conflict, match="stopped"):
            await stopped()


async def test_a_push_is_collected_from_the_inbox(node: Node, sample: pathlib.Path) -> None:
    there = node.expect("urn:uuid:5")
    process = node.desk.transfers["acme", "urn:uuid:5"][0]
    with pytest.raises(NotFound):
        async with node.plane.collect(process, DataRequest()):
            pass
    provider = transfer("urn:uuid:6", PUSH, Role.PROVIDER, destination=there)
    await node.plane.start(provider, Source(type="file", path=str(sample), name="wéather.csv", media_type="text/csv"))
    await node.desk.until("completed")
    async with node.plane.collect(process, DataRequest(headers={"range": "bytes=0-7"})) as served:
        assert await read(served) == SAMPLE[:8]
        assert served.headers["content-type"] == "text/csv"
        assert "filename*=UTF-8''w%C3%A9ather.csv" in served.headers["content-disposition"]


async def test_a_transfer_without_an_address_cannot_be_collected(node: Node) -> None:
    with pytest.raises(Conflict, match="no address"):
        async with node.plane.collect(transfer("urn:uuid:5", PULL, Role.CONSUMER), DataRequest()):
            pass
    with pytest.raises(PeerMessage):
        async with node.plane.collect(transfer("urn:uuid:5", PULL, Role.CONSUMER, address=address("")), DataRequest()):
            pass


# --- addresses and streams


def test_tokens_and_addresses_are_read_as_the_field_writes_them() -> None:
    assert token_of(None) is None
    assert token_of("") is None
    assert token_of("Bearer x") == "x"
    assert token_of("x.y.z") == "x.y.z"
    assert destination(address("https://a/", path="/in/box", method="put")).url == "https://a/in/box"
    assert destination(address("https://a/", method="put")).method == "PUT"
    assert destination(address("https://a/", method="DELETE")).method == "POST"
    assert destination(address("https://a/", authKey="K", authCode="c")).headers == {"K": "c"}
    assert readings(address("https://a/", authKey="K", authCode="c"), "") == ("https://a/", ({"K": "c"},))
    assert readings(address("https://a/"), "x y") == ("https://a/x%20y", ({},))


async def test_a_flow_that_is_cut_before_it_was_allowed_never_begins() -> None:
    streams = Streams()

    async def flow() -> None:
        async with streams.running("acme", "1", 60.0), asyncio.TaskGroup() as group:
            group.create_task(streams.cut("acme", "1"))
            await asyncio.Event().wait()  # as an Authorizer that takes its time

    with pytest.raises(Conflict, match="stopped"):
        await flow()
    assert streams.count("acme", "1") == 0


async def test_a_timeout_inside_a_flow_is_not_taken_for_its_end() -> None:
    streams = Streams()
    with pytest.raises(TimeoutError):
        async with streams.running("acme", "1", 60.0):
            raise TimeoutError
    assert streams.count("acme", "1") == 0


def test_the_address_of_a_push_is_understood_by_a_sink_that_edc_makes_of_it() -> None:
    endpoint = new_endpoint("https://own.example/p/data/push/1", datetime(2026, 1, 1, tzinfo=UTC), 60, is_resumable=True)
    address = endpoint.address
    token = address.property("authorization")
    assert address.endpoint_type == "HttpData"
    assert address.property("https://w3id.org/edc/v0.0.1/ns/baseUrl") == "https://own.example/p/data/push/1"
    assert address.property("https://w3id.org/edc/v0.0.1/ns/authKey") == "Authorization"
    assert address.property("https://w3id.org/edc/v0.0.1/ns/authCode") == f"Bearer {token}"
