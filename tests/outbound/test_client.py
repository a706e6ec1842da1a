"""The vetted client against real sockets that behave badly."""

from __future__ import annotations

import asyncio
import gc
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
import trustme

from connector.errors import AddressRefused, ConfigurationError, PeerMessage, SourceError, Unreachable
from connector.outbound import client as client_
from connector.outbound.client import OutboundClient
from connector.outbound.rules import OutboundRules
from connector.outbound.tls import Tls

Handle = Callable[[bytes, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def rules(**changes: object) -> OutboundRules:
    plain = {"allow_http": True, "allow_loopback": True, "connect_s": 1.0, "read_s": 0.3, "total_s": 0.6}
    return OutboundRules(**{**plain, **changes})  # type: ignore[arg-type]


@asynccontextmanager
async def server(handle: Handle, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """A listener that hands each request's head to `handle`; gives back its base address."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                await handle(await reader.readuntil(b"\r\n\r\n"), reader, writer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            writer.close()

    listener = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    async with listener:
        yield f"http{'s' if tls else ''}://127.0.0.1:{listener.sockets[0].getsockname()[1]}"


def answering(*parts: bytes, close: bool = False) -> Handle:
    async def handle(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _body(head, reader)
        writer.writelines(parts)
        if close:
            await writer.drain()
            raise ConnectionError

    return handle


async def _body(head: bytes, reader: asyncio.StreamReader) -> bytes:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return await reader.readexactly(int(line.split(b":")[1]))
    return b""


async def test_a_post_gives_back_status_headers_and_body():
    seen: list[bytes] = []

    async def handle(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.extend((head, await _body(head, reader)))
        writer.write(b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\nLink: <a>; rel=next\r\nLink: <b>; rel=prev\r\n\r\n{}")

    async with server(handle) as base, OutboundClient(rules()) as client:
        answer = await client.post(base + "/x?y=1", b'{"a":1}', {"Authorization": "t"})
    assert (answer.status, answer.body, answer.is_success) == (201, b"{}", True)
    assert answer.headers["link"] == "<a>; rel=next, <b>; rel=prev"
    assert seen[0].startswith(b"POST /x?y=1 HTTP/1.1\r\n")
    assert b"Authorization: t\r\n" in seen[0]
    assert b"Accept-Encoding: identity\r\n" in seen[0]
    assert seen[1] == b'{"a":1}'


async def test_a_connection_is_used_again():
    peers: set[object] = set()

    async def handle(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _body(head, reader)
        peers.add(writer.get_extra_info("peername"))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    async with server(handle) as base, OutboundClient(rules()) as client:
        for _ in range(3):
            await client.post(base, b"x", {})
        assert (await client.get(base, {})).status == 200
    assert len(peers) == 1


async def test_a_redirect_is_an_answer_and_is_not_followed():
    redirect = answering(b"HTTP/1.1 302 F\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n")
    async with server(redirect) as base, OutboundClient(rules()) as client:
        answer = await client.get(base, {})
    assert (answer.status, answer.is_success) == (302, False)


async def test_cookies_are_not_kept_and_proxies_of_the_environment_not_used(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    heads: list[bytes] = []

    async def handle(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(head)
        writer.write(b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n")

    async with server(handle) as base, OutboundClient(rules()) as client:
        await client.get(base, {})
        await client.get(base, {})
    assert len(heads) == 2
    assert b"Cookie" not in heads[1]


async def test_a_peer_that_hangs_is_unreachable():
    async def handle(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with server(handle) as base, OutboundClient(rules()) as client:
        with pytest.raises(Unreachable, match="in time"):
            await client.get(base, {})


async def test_a_slow_drip_ends_with_the_total_time():
    async def handle(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while True:
            writer.write(b".")
            await writer.drain()
            with_silence = asyncio.get_running_loop().create_future()
            asyncio.get_running_loop().call_later(0.05, with_silence.set_result, None)
            await with_silence

    async with server(handle) as base, OutboundClient(rules()) as client:
        with pytest.raises(Unreachable, match="in time"):
            await client.get(base, {})


@pytest.mark.parametrize(
    "garbage", [b"\x00\xff\x00\xff" * 20 + b"\r\n\r\n", b"SSH-2.0-OpenSSH_9\r\n", b"HTTP/1.1 OK 200\r\n\r\n", b""]
)
async def test_garbage_is_no_answer(garbage):
    async with server(answering(garbage, close=True)) as base, OutboundClient(rules()) as client:
        with pytest.raises(Unreachable) as caught:
            await client.get(base, {})
    assert "\n" not in str(caught.value)


async def test_half_a_body_is_no_answer():
    half = answering(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", close=True)
    async with server(half) as base, OutboundClient(rules()) as client:
        with pytest.raises(Unreachable):
            await client.get(base, {})


async def test_half_a_chunked_body_is_no_answer():
    half = answering(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", close=True)
    async with server(half) as base, OutboundClient(rules()) as client:
        with pytest.raises(Unreachable):
            await client.get(base, {})


def endless(head: bytes) -> Handle:
    async def handle(_: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        for _ in range(10 << 14):  # 10 GiB
            writer.write(b"10000\r\n" + bytes(1 << 16) + b"\r\n" if b"chunked" in head else bytes(1 << 16))
            await writer.drain()

    return handle


async def test_ten_gigabytes_are_cut_at_the_limit():
    chunked = endless(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    async with server(chunked) as base, OutboundClient(rules(max_answer_bytes=1 << 20, total_s=5)) as client:
        with pytest.raises(PeerMessage, match="larger than 1048576"):
            await client.get(base, {})


async def test_an_announced_ten_gigabytes_are_not_even_begun():
    announced = endless(b"HTTP/1.1 200 OK\r\nContent-Length: 10737418240\r\n\r\n")
    async with server(announced) as base, OutboundClient(rules(max_answer_bytes=1 << 20)) as client:
        with pytest.raises(PeerMessage):
            await client.get(base, {})


async def test_a_failure_with_an_endless_body_keeps_its_status():
    failure = endless(b"HTTP/1.1 503 Busy\r\nTransfer-Encoding: chunked\r\n\r\n")
    async with server(failure) as base, OutboundClient(rules()) as client:
        answer = await client.get(base, {})
    assert answer.status == 503
    assert len(answer.body) == 64 << 10


async def test_a_refused_connection_is_unreachable():
    async with server(answering()) as base:
        pass
    async with OutboundClient(rules()) as client:
        with pytest.raises(Unreachable):
            await client.post(base, b"", {})


async def test_unlawful_addresses_are_refused_before_anything_is_resolved():
    asked: list[str] = []

    async def resolve(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"]

    async with OutboundClient(OutboundRules(), resolve=resolve) as client:
        for url in (
            "https://169.254.169.254/",
            "https://2130706433/",
            "https://[::ffff:127.0.0.1]/",
            "ftp://x/",
            "https://u@x/",
        ):
            with pytest.raises(AddressRefused):
                await client.post(url, b"", {})
            with pytest.raises(AddressRefused):
                async with client.stream("GET", url, {}):
                    pass
    assert asked == []


@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "::ffff:10.0.0.1", "fe80::1"])
async def test_a_name_that_resolves_inside_is_refused(address):
    async def resolve(host: str, port: int) -> list[str]:
        return ["93.184.215.14", address]

    async with OutboundClient(OutboundRules(), resolve=resolve) as client:
        with pytest.raises(AddressRefused, match="resolves to an address that is refused"):
            await client.get("https://evil.example/", {})


async def test_a_name_that_changes_its_address_gains_nothing():
    """The address that was judged is the one connected to; the next connection is judged anew."""
    answers = [["127.0.0.1"], ["10.0.0.7"]]

    async def resolve(host: str, port: int) -> list[str]:
        return answers.pop(0)

    heads: list[bytes] = []

    async def handle(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(head)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    async with server(handle) as base, OutboundClient(rules(), resolve=resolve) as client:
        url = base.replace("127.0.0.1", "rebind.example")
        assert (await client.get(url, {})).status == 200
        with pytest.raises(AddressRefused):
            await client.get(url, {})
    assert len(heads) == 1
    assert b"Host: rebind.example" in heads[0]
    assert answers == []


async def test_a_name_that_does_not_resolve_and_a_resolver_that_hangs_are_unreachable():
    async def nothing(host: str, port: int) -> list[str]:
        raise OSError("name or service not known")

    async def never(host: str, port: int) -> list[str]:
        await asyncio.Event().wait()
        return []

    for resolve in (nothing, never):
        async with OutboundClient(rules(connect_s=0.1), resolve=resolve) as client:
            with pytest.raises(Unreachable):
                await client.get("http://nowhere.example/", {})


async def test_tls_keeps_the_name_and_believes_only_known_authorities(tmp_path):
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("peer.example").configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    names: list[str | None] = []
    context.sni_callback = lambda _socket, name, _context: names.append(name)

    async def resolve(host: str, port: int) -> list[str]:
        return ["127.0.0.1"]

    plain = rules(allow_http=False)
    async with server(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), context) as base:
        url = base.replace("127.0.0.1", "peer.example")
        async with OutboundClient(plain, Tls(ca_file=tmp_path / "ca.pem"), resolve) as client:
            assert (await client.get(url, {})).status == 200
            with pytest.raises(Unreachable, match="certificate"):
                await client.get(base.replace("127.0.0.1", "other.example"), {})
        async with OutboundClient(plain, Tls(), resolve) as client:
            with pytest.raises(Unreachable, match="not trusted"):
                await client.get(url, {})
    assert names[0] == "peer.example"


async def test_a_client_certificate_is_shown_to_a_peer_that_asks(tmp_path):
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    ours = authority.issue_cert("us.example")
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    ours.private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "us.pem"))
    async with server(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), context) as base:
        tls = Tls(ca_file=tmp_path / "ca.pem", certificate=tmp_path / "us.pem")
        async with OutboundClient(rules(), tls) as client:
            assert (await client.get(base, {})).status == 200
        async with OutboundClient(rules(), Tls(ca_file=tmp_path / "ca.pem")) as client:
            with pytest.raises(Unreachable):
                await client.get(base, {})


async def test_a_renewed_client_certificate_is_shown_from_the_next_connection_on(tmp_path, monkeypatch):
    monkeypatch.setattr(client_, "_LOOK_EVERY_S", 0.0)
    authority, seen = trustme.CA(), list[int]()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))

    async def handle(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(int(writer.get_extra_info("peercert")["serialNumber"], 16))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    def issued() -> bytes:
        return authority.issue_cert("us.example").private_key_and_cert_chain_pem.bytes()

    ours = tmp_path / "us.pem"
    ours.write_bytes(issued())
    async with (
        server(handle, context) as base,
        OutboundClient(rules(), Tls(ca_file=tmp_path / "ca.pem", certificate=ours)) as client,
    ):
        # what cannot be read, such as a half of it, changes nothing
        for text in (ours.read_bytes(), b"half", issued()):
            ours.write_bytes(text)
            assert (await client.get(base, {})).status == 200
    assert seen[0] == seen[1] != seen[2]


async def test_files_of_certificates_that_cannot_be_read_stop_the_start(tmp_path):
    with pytest.raises(ConfigurationError, match="outbound"):
        async with OutboundClient(rules(), Tls(ca_file=tmp_path / "none.pem")):
            pass


async def test_a_stream_gives_chunks_and_takes_a_body_of_chunks():
    got: list[bytes] = []

    async def handle(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        got.append(await _body(head, reader))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + bytes(1_000_000))

    async def body() -> AsyncIterator[bytes]:
        for _ in range(4):
            yield b"x" * 100_000

    async with (
        server(handle) as base,
        OutboundClient(rules()) as client,
        client.stream("PUT", base, {"Content-Length": "400000"}, body()) as answer,
    ):
        sizes = [len(chunk) async for chunk in answer.chunks()]
    assert sum(sizes) == 1_000_000
    assert max(sizes) <= 512 << 10
    assert got == [b"x" * 400_000]


async def test_a_stream_that_breaks_off_or_goes_silent_says_so():
    half = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"
    for handle in (answering(half, close=True), answering(half)):
        async with server(handle) as base, OutboundClient(rules()) as client, client.stream("GET", base, {}) as answer:
            with pytest.raises(Unreachable):
                [chunk async for chunk in answer.chunks()]


async def test_leaving_a_stream_early_cuts_its_connection():
    gone = asyncio.Event()

    async def handle(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        assert await reader.read() == b""
        gone.set()

    async with server(handle) as base, OutboundClient(rules()) as client:
        async with client.stream("GET", base, {}) as answer:
            assert answer.status == 200
        async with asyncio.timeout(2):
            await gone.wait()


async def test_an_error_of_the_body_that_is_sent_comes_through():
    async def body() -> AsyncIterator[bytes]:
        yield b"x"
        raise SourceError("the file is gone")

    async def handle(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with server(handle) as base, OutboundClient(rules()) as client:
        with pytest.raises(SourceError, match="the file is gone"):
            async with client.stream("PUT", base, {"Content-Length": "10"}, body()):
                pass
    gc.collect()


async def test_a_request_with_large_headers_is_not_kept_in_memory() -> None:
    answer = answering(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    async with server(answer) as url, OutboundClient(rules()) as client:
        for accepted in ("text/csv", "a" * 8000):
            async with client.stream("GET", url, {"Accept": accepted}) as found:
                assert await found.whole() == b"ok"
        assert [request.head.count(b"text/csv") for _, request in client._written.values()] == [1]
