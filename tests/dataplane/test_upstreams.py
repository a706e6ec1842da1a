"""Upstreams that are more than a fixed address: paths, queries, questions by POST, and those that want to know who we are."""

from __future__ import annotations

import asyncio
import ssl
from base64 import b64decode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qs

import aiohttp
import pytest
import trustme
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from connector.dataplane.logins import Logins
from connector.dataplane.upstream import ask
from connector.errors import ConfigurationError, SourceError
from connector.outbound.client import OutboundClient
from connector.outbound.rules import OutboundRules
from connector.outbound.tls import Tls
from connector.ports.dataplane import ClientCredentials, Passing, Source
from tests.dataplane.conftest import NOW, LeapingClock, Node, Start, listening, raw_server

OPEN = Passing(methods=("GET", "POST"), path=True, query=("from", "to"))


@dataclass
class Upstream:
    """An API behind a login, and the token server before it."""

    url: str = ""
    seen: list[str] = field(default_factory=list)
    tokens: int = 0
    good: str = ""
    answer: dict[str, object] = field(default_factory=dict)
    """Members of the token server's answer that take the place of the usual ones."""
    status: int = 200
    gate: asyncio.Barrier | None = None
    """Where those who show a token that is good no more wait for each other."""

    async def data(self, request: Request) -> Response:
        self.seen.append(f"{request.method} {request.url.path}?{request.url.query} {request.headers.get('authorization', '')}")
        if self.good and request.headers.get("authorization") != f"Bearer {self.good}":
            if self.gate is not None:
                await self.gate.wait()
            return PlainTextResponse("who are you", 401)
        if request.url.path.endswith("/broken"):
            return PlainTextResponse("row 7 is broken", 422)
        return Response(b"<" + await request.body() + b">", media_type="text/plain")

    async def token(self, request: Request) -> Response:
        form = parse_qs((await request.body()).decode())
        user = b64decode(request.headers["authorization"].removeprefix("Basic ")).decode()
        self.seen.append(f"token {user} {form}")
        self.tokens += 1
        self.good = f"t{self.tokens}"
        body = {"access_token": self.good, "token_type": "Bearer", "expires_in": 300} | self.answer
        return JSONResponse(body, self.status)


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    """Address `/api` with anything below it, tokens at `/token`."""
    found = Upstream()
    routes = [
        Route("/token", found.token, methods=["POST"]),
        Route("/api{path:path}", found.data, methods=["GET", "POST"]),
    ]
    async with listening(Starlette(routes=routes)) as found.url:
        yield found


def source(upstream: Upstream, **changes: object) -> Source:
    return Source(**{"type": "http", "url": f"{upstream.url}/api?key=1", **changes})  # type: ignore[arg-type]


def with_client(upstream: Upstream) -> Source:
    client = ClientCredentials(
        token_url=f"{upstream.url}/token", client_id="kontor a", client_secret="s:e%cret", scope="read all"
    )
    return source(upstream, client=client)


async def call(url: str, token: str, method: str = "GET", body: bytes | None = None) -> tuple[int, bytes]:
    async with (
        aiohttp.ClientSession() as client,
        client.request(method, aiohttp.client.URL(url, encoded=True), data=body, headers={"Authorization": token}) as answer,
    ):
        return answer.status, await answer.read()


async def test_a_consumer_asks_below_the_address_with_a_query_and_by_post(node: Node, upstream: Upstream) -> None:
    url, token = node.offer(source(upstream, passing=OPEN))
    assert await call(f"{url}/stations/7?from=1", token) == (200, b"<>")
    assert await call(f"{url}/search", token, "POST", b"which?") == (200, b"<which?>")
    assert upstream.seen == ["GET /api/stations/7?key=1&from=1 ", "POST /api/search?key=1 "]


async def test_without_being_offered_none_of_it_reaches_the_upstream(node: Node, upstream: Upstream) -> None:
    url, token = node.offer(source(upstream))
    assert (await call(f"{url}/stations", token))[0] == 404
    assert (await call(f"{url}?from=1", token))[0] == 400
    assert (await call(url, token, "POST", b"x"))[0] == 405
    assert upstream.seen == []


@pytest.mark.parametrize("path", ["..", "%2e%2e/x", "..%5cx", "%252e%252e/x", "a//b", "/other.example/x"])
async def test_no_path_leads_out(node: Node, upstream: Upstream, path: str) -> None:
    url, token = node.offer(source(upstream, passing=OPEN))
    async with aiohttp.ClientSession() as client:
        target = aiohttp.client.URL(f"{url}/{path}", encoded=True)
        async with client.get(target, headers={"Authorization": token}) as answer:
            assert answer.status in (400, 401, 404)
    assert upstream.seen == []


async def test_a_body_has_an_end(start: Start, upstream: Upstream) -> None:
    node = await start(max_request_bytes=10)
    url, token = node.offer(source(upstream, passing=OPEN))
    assert (await call(url, token, "POST", b"0123456789"))[0] == 200
    assert (await call(url, token, "POST", b"0123456789x"))[0] == 413


async def test_the_words_of_an_error_pass_where_they_may(node: Node, upstream: Upstream) -> None:
    url, token = node.offer(source(upstream, passing=Passing(path=True)))
    assert (await call(f"{url}/broken", token))[0] == 502
    url, token = node.offer(source(upstream, passing=Passing(path=True, errors=True)))
    assert await call(f"{url}/broken", token) == (422, b"row 7 is broken")
    upstream.good = "something else"
    # whatever passes, what an upstream says about our credentials does not
    assert (await call(url, token))[0] == 502


async def test_tokens_come_from_the_upstreams_server_and_are_kept(node: Node, upstream: Upstream) -> None:
    url, token = node.offer(with_client(upstream))
    answers = await asyncio.gather(*(call(url, token) for _ in range(5)))
    assert [status for status, _ in answers] == [200] * 5
    assert upstream.tokens == 1
    assert upstream.seen[0] == "token kontor+a:s%3Ae%25cret {'grant_type': ['client_credentials'], 'scope': ['read all']}"
    await node.clock.wait_until(NOW + timedelta(seconds=275), asyncio.Event())
    assert (await call(url, token))[0] == 200
    assert upstream.tokens == 2


async def test_a_token_that_is_refused_is_got_anew_once(node: Node, upstream: Upstream) -> None:
    url, token = node.offer(with_client(upstream))
    assert (await call(url, token))[0] == 200
    upstream.good = "revoked"
    assert (await call(url, token))[0] == 200
    assert upstream.tokens == 2
    upstream.answer = {"access_token": "never good"}
    upstream.good = "revoked"
    assert (await call(url, token))[0] == 502
    assert upstream.tokens == 3


async def test_many_whose_token_was_refused_at_once_get_the_next_one_together(node: Node, upstream: Upstream) -> None:
    url, token = node.offer(with_client(upstream))
    assert (await call(url, token))[0] == 200
    upstream.good = "revoked"
    upstream.gate = asyncio.Barrier(5)
    assert [status for status, _ in await asyncio.gather(*(call(url, token) for _ in range(5)))] == [200] * 5
    assert upstream.tokens == 2


@pytest.mark.parametrize(
    ("status", "answer"),
    [
        (400, {}),
        (200, {"access_token": 7}),
        (200, {"access_token": "a\nb"}),
        (200, {"token_type": "mac"}),
        (200, {"access_token": ""}),
    ],
)
async def test_a_token_server_that_gives_none_is_our_trouble(
    node: Node, upstream: Upstream, status: int, answer: dict[str, object]
) -> None:
    upstream.status, upstream.answer = status, answer
    url, token = node.offer(with_client(upstream))
    assert (await call(url, token))[0] == 502
    assert not [line for line in upstream.seen if line.startswith("GET")]


async def test_a_token_server_that_talks_nonsense_or_is_gone_is_named() -> None:
    async def nonsense(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 17\r\n\r\n{"a": 1, "a": 2} ')

    async with raw_server(nonsense) as base, logins() as found:
        client = ClientCredentials(token_url=f"{base}/token", client_id="a", client_secret="b")
        with pytest.raises(SourceError, match="answers something else"):
            await found.headers(Source(type="http", url=base, client=client))
        gone = ClientCredentials(token_url="http://127.0.0.1:1/token", client_id="a", client_secret="b")
        with pytest.raises(SourceError, match="token server of the upstream failed"):
            await found.headers(Source(type="http", url=base, client=gone))


@asynccontextmanager
async def logins(ca_file: Path | None = None) -> AsyncIterator[Logins]:
    rules = OutboundRules(allow_http=True, allow_loopback=True, connect_s=2, read_s=2)
    async with OutboundClient(rules, Tls(ca_file=ca_file)) as client, Logins(client, LeapingClock(NOW)) as found:
        yield found


async def test_an_upstream_is_shown_our_certificate(tmp_path: Path) -> None:
    authority, strangers = trustme.CA(), trustme.CA()
    server, client, stranger = authority.issue_cert("localhost"), authority.issue_cert("us"), strangers.issue_cert("nobody")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.verify_mode = ssl.CERT_REQUIRED
    server.configure_cert(context)
    authority.configure_trust(context)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        names = dict(pair for part in writer.get_extra_info("peercert")["subjectAltName"] for pair in [part])
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n" + names["DNS"].encode())
        await writer.drain()
        writer.close()

    listener = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    async with listener, logins(tmp_path / "ca.pem") as found:
        url = f"https://localhost:{listener.sockets[0].getsockname()[1]}/"

        async def read(certificate: str | None) -> bytes:
            async with ask(found, Source(type="http", url=url, certificate=certificate)) as answer:
                return b"".join([chunk async for chunk in answer.chunks()])

        ours = client.private_key_and_cert_chain_pem.bytes().decode()
        assert await read(ours) == b"us"
        assert await read(ours) == b"us"
        for other in (None, stranger.private_key_and_cert_chain_pem.bytes().decode()):
            with pytest.raises(SourceError):
                await read(other)
        with pytest.raises(ConfigurationError, match="certificate or key cannot be read"):
            await read("-----BEGIN CERTIFICATE-----\nnonsense")


async def test_a_small_body_is_whole_before_its_answer_begins(node: Node) -> None:
    async def handle(_: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")

    async with raw_server(handle) as base:
        url, token = node.offer(Source(type="http", url=base))
        assert (await call(url, token))[0] == 502
