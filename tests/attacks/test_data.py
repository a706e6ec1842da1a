"""Attacks on data at the public listener (H1, H3, M9): paths that lead out, headers that reach further, tokens whose time is over.

The source behind the node is a canary: it counts each head that reaches it, and what an attack must not reach stays uncounted.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import httpx
import pytest
import pytest_asyncio

from connector.api.sources import AssetSource, Passes
from connector.api.transfers import DataAddress, Transfer
from connector.testing.dataspace import DataSpace, Member, Offer
from tests.dataplane.conftest import RawConnection, raw_server
from tests.identity.hosts import Host, host

pytestmark = pytest.mark.asyncio(loop_scope="module")
ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/x\r\nContent-Length: 4\r\nETag: \"e\"\r\n%b\r\n\r\nrain"
)  # fmt: skip


@dataclass
class Scene:
    """`acme` and `other` publish on one node, `gamma` lives there too and pulls; all of it over real sockets."""

    acme: Member
    other: Member
    gamma: Member
    http: httpx.AsyncClient
    canary: Host
    offers: dict[str, Offer] = field(default_factory=dict)
    heads: list[str] = field(default_factory=list)
    """What reached the source behind the node."""
    told: bytes = b"X: y"
    """Further headers that the source answers with."""

    async def source(self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.heads.append(head.decode("latin-1"))
        writer.write(ANSWER % self.told)

    async def pull(self, of: str = "api") -> tuple[Transfer, str, str]:
        """A transfer that is STARTED, where its data is and what opens it."""
        transfer = await self.gamma.transfer(await self.gamma.negotiate(self.offers[of]))
        found = await self.address(transfer)
        return transfer, found.endpoint or "", found.properties["authorization"]

    async def address(self, transfer: Transfer) -> DataAddress:
        return await self.gamma.send(self.gamma.calls.data_address(transfer.pid))

    async def status(self, url: str, token: str, method: str = "GET") -> int:
        return (await self.http.request(method, url, headers={"Authorization": token})).status_code

    async def ask(self, url: str, token: str, target: str | None = None, *lines: str) -> tuple[int, dict[str, str], bytes]:
        """The answer to a request written byte for byte: its `target` as it stands, and further header `lines`."""
        connection = await RawConnection.to(url)
        host_line = () if any(line.lower().startswith("host:") for line in lines) else (f"Host: {urlsplit(url).netloc}",)
        path = urlsplit(url).path if target is None else target
        closing = () if any(line.lower().startswith("connection:") for line in lines) else ("Connection: close",)
        head = [f"GET {path} HTTP/1.1", *host_line, f"Authorization: {token}", *lines, *closing]
        connection.writer.write("\r\n".join(head).encode() + b"\r\n\r\n")
        status, headers = await connection.head()
        body = await connection.rest()
        connection.abort()
        return status, headers, body


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    root = tmp_path_factory.mktemp("data")
    (root / "published" / "deep").mkdir(parents=True)
    (root / "published" / "a.txt").write_text("a")
    (root / "outside.txt").write_text("outside")
    (root / "published" / "link").symlink_to(root)
    async with host() as canary, DataSpace() as space, httpx.AsyncClient(trust_env=False, timeout=30) as http:
        acme = space.join("acme")
        found = Scene(acme, space.join("other", on=acme), space.join("gamma", on=acme), http, canary)
        await space.begin()
        async with raw_server(found.source) as base:
            await acme.send(acme.calls.put_secret("upstream", "sesame"))
            passes = Passes(methods=("GET", "POST"), path=True)
            upstream = AssetSource(type="http", url=f"{base}/v1", secret="upstream", secret_header="X-Api-Key", passes=passes)
            found.offers["api"] = await acme.publish("api", source=upstream)
            found.offers["more"] = await acme.publish("more", source=upstream)
            found.offers["tree"] = await acme.publish("tree", source=AssetSource(type="folder", path=str(root / "published")))
            yield found


# --- H1: paths


OUT: dict[str, str] = {
    "..": "..", "../": "../outside.txt", "deep/../..": "deep/../../outside.txt", ".": "./a.txt", "..;": "..;/../outside.txt",
    "%2e%2e/": "%2e%2e/outside.txt", "%2E./": "%2E./outside.txt", "..%2f": "..%2foutside.txt", "%2e%2e%2f": "%2e%2e%2foutside.txt",
    "..%5c": "..%5coutside.txt", "%2e%2e%5c": "%2e%2e%5coutside.txt", "deep%5c..%5c": "deep%5c..%5c..%5coutside.txt",
    "double %252e": "%252e%252e/outside.txt", "double ..%252f": "..%252foutside.txt", "double ..%255c": "..%255coutside.txt",
    "three times": "%25252e%25252e/outside.txt", "five times": "%252525252e%252525252e/outside.txt",
    "absolute path": "/etc/passwd", "absolute path, encoded": "%2fetc%2fpasswd",
    "absolute URL": "http://localhost:{canary}/x", "absolute URL, encoded": "http:%2f%2flocalhost:{canary}%2fx",
    "//host": "/localhost:{canary}/x", "//host, encoded": "%2flocalhost:{canary}%2fx", "\\\\host": "%5c%5clocalhost:{canary}%5cx",
    "@host": "@localhost:{canary}//x", "NUL": "a.txt%00.png", "CR LF": "a%0d%0aHost:%20localhost:{canary}", "no UTF-8": "%ff/x",
    "overlong dots": "%c0%ae%c0%ae/outside.txt", "empty step": "deep//a.txt",
}  # fmt: skip


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def doors(scene: Scene) -> dict[str, tuple[str, str]]:
    """Where an upstream and a folder are pulled, and what opens each."""
    return {of: (await scene.pull(of))[1:] for of in ("api", "tree")}


@pytest.mark.parametrize("of", ["api", "tree"])
@pytest.mark.parametrize("path", OUT.values(), ids=[f"H1 {name}" for name in OUT])
async def test_h1_no_path_leads_out_of_what_is_published(
    scene: Scene, doors: dict[str, tuple[str, str]], path: str, of: str
) -> None:
    url, token = doors[of]
    await nothing_comes_of(scene, url, token, f"{urlsplit(url).path}/{path}")


async def nothing_comes_of(scene: Scene, url: str, token: str, target: str) -> None:
    """Returns when the request is refused, nothing was asked behind the node, and nothing elsewhere."""
    asked = len(scene.heads)
    status, _, body = await scene.ask(url, token, target.replace("{canary}", str(scene.canary.port)))
    assert status in (400, 401, 404), body
    assert not {b"outside", b"rain"} & {*body.split()}
    assert (len(scene.heads), scene.canary.connections) == (asked, 0)


@pytest.mark.parametrize(
    "target",
    ["http://localhost:{canary}/x", "//localhost:{canary}/x", "{pull}/..%2f{pid}", "{pull}/%2e%2e/{pid}",
     "/other/../acme/data/pull/{pid}", "\\acme\\data\\pull\\{pid}"],
)  # fmt: skip
async def test_h1_no_other_spelling_of_an_address_is_another_address(
    scene: Scene, doors: dict[str, tuple[str, str]], target: str
) -> None:
    url, token = doors["tree"]
    pull, _, pid = urlsplit(url).path.rpartition("/")
    await nothing_comes_of(scene, url, token, target.replace("{pull}", pull).replace("{pid}", pid))


async def test_h1_a_link_in_a_folder_leads_nowhere(scene: Scene, doors: dict[str, tuple[str, str]]) -> None:
    url, token = doors["tree"]
    assert (await scene.ask(f"{url}/a.txt", token))[::2] == (200, b"a")
    await nothing_comes_of(scene, url, token, f"{urlsplit(url).path}/link/outside.txt")


# --- H3: headers


SENT = [
    "Connection: close, X-Hop\r\nX-Hop: hop", "Connection: close, Keep-Alive\r\nKeep-Alive: timeout=hop", "Proxy-Connection: hop",
    "Proxy-Authenticate: hop", "Proxy-Authorization: Basic hop", "TE: trailers, hop", "Trailer: X-Hop", "Upgrade: hop",
    "Host: hop.example", "X-Forwarded-For: 6.6.6.6, hop", "X-Forwarded-Host: hop.example", "X-Forwarded-Proto: hop",
    "X-Forwarded-Port: 6666", "X-Forwarded-Prefix: /hop", "Forwarded: for=hop", "Via: 1.1 hop", "X-Real-IP: 6.6.6.6",
    "X-Original-URL: /hop", "X-Rewrite-URL: /hop", "X-HTTP-Method-Override: DELETE", "Cookie: session=hop", "Cookie2: hop",
    "X-Api-Key: hop", "Origin: https://hop.example", "Referer: https://hop.example/", "Expect: 100-continue",
    "Accept-Encoding: hop", "Content-Length: 0\r\nX-Hop: hop", "Max-Forwards: 6", "X-Kontor-Hop: hop",
]  # fmt: skip
OURS = {"host", "user-agent", "accept-encoding", "x-api-key", "accept", "accept-language", "range"}
"""What the source may see: who is asked, who asks, what opens it, and what a reader may wish."""


@pytest.mark.parametrize("lines", SENT, ids=[f"H3 {one.partition(':')[0]}" for one in SENT])
async def test_h3_nothing_of_the_consumer_reaches_the_source_but_its_wish(
    scene: Scene, doors: dict[str, tuple[str, str]], lines: str
) -> None:
    url, token = doors["api"]
    status, _, body = await scene.ask(url, token, None, *lines.split("\r\n"), "Accept-Language: en", "Range: bytes=0-3")
    assert (status, body) == (200, b"rain")
    first, *rest = scene.heads[-1].strip().lower().split("\r\n")
    seen = dict(line.split(": ", 1) for line in rest)
    assert first == "get /v1 http/1.1"
    assert set(seen) <= OURS, "the source sees more than a wish"
    assert (seen["x-api-key"], seen["accept-language"], seen["range"]) == ("sesame", "en", "bytes=0-3")
    assert seen["host"].startswith("127.0.0.1:")
    assert not {"hop", "6666", "6.6.6.6", token.split()[-1].lower()} & {*"".join(rest).split()}
    assert "hop" not in "".join(rest)


TOLD = [
    "Connection: close, X-Hop\r\nX-Hop: hop", "Keep-Alive: hop", "Proxy-Authenticate: Basic realm=hop", "Set-Cookie: session=hop",
    "Set-Cookie2: hop", "Server: hop/1", "X-Powered-By: hop", "Via: 1.1 hop", "Location: https://hop.example/", "Refresh: 0;url=hop",
    "WWW-Authenticate: Basic realm=hop", "Strict-Transport-Security: hop", "Access-Control-Allow-Origin: hop", "Alt-Svc: hop",
    "Upgrade: hop", "Trailer: hop", "X-Accel-Redirect: /hop", "Clear-Site-Data: hop", "Link: <https://hop.example/>",
]  # fmt: skip


@pytest.mark.parametrize("lines", TOLD, ids=[f"H3 {one.partition(':')[0]} of the source" for one in TOLD])
async def test_h3_nothing_of_the_source_reaches_the_consumer_but_the_data(
    scene: Scene, doors: dict[str, tuple[str, str]], lines: str
) -> None:
    scene.told = lines.encode()
    status, headers, body = await scene.ask(*doors["api"])
    scene.told = b"X: y"
    assert (status, body, headers["content-type"], headers["etag"]) == (200, b"rain", "text/x", '"e"')
    assert "hop" not in str(headers)


async def test_h3_what_a_host_header_says_stands_in_no_answer(scene: Scene) -> None:
    _, url, token = await scene.pull()
    for path in (
        url,
        url.replace("/pull/", "/renew/"),
        f"{scene.acme.address.removesuffix('/dsp/2025-1')}/.well-known/dspace-version",
    ):
        for line in ("Host: evil.example", "X-Forwarded-Host: evil.example", "Forwarded: host=evil.example"):
            status, headers, body = await scene.ask(path, token, None, line)
            assert status < 500
            assert b"evil" not in body
            assert "evil" not in str(headers)


# --- M9: tokens whose time is over, or of something else


Opened = tuple[str, str]
"""Where data is, and the token that is tried there."""
Attempt = Callable[[Scene], Awaitable[Opened]]


def stopped(act: str, by: str, state: str) -> Attempt:
    """The token of a transfer that a side has stopped."""

    async def attempt(scene: Scene) -> Opened:
        transfer, url, token = await scene.pull()
        assert await scene.status(url, token) == 200
        theirs = await scene.acme.theirs(transfer)
        await (scene.acme.steer(theirs, act) if by == "provider" else scene.gamma.steer(transfer.pid, act))  # type: ignore[arg-type]
        await scene.acme.until_transfer(theirs, state)
        return url, token

    return attempt


async def agreement_ended(scene: Scene) -> Opened:
    transfer, url, token = await scene.pull()
    await scene.acme.send(scene.acme.calls.end_agreement(transfer.agreement_id, "over"))
    return url, token


async def agreement_ended_by_the_consumer(scene: Scene) -> Opened:
    transfer, url, token = await scene.pull()
    await scene.gamma.send(scene.gamma.calls.end_agreement(transfer.agreement_id, "over"))
    await scene.acme.until_transfer(await scene.acme.theirs(transfer), "TERMINATED")
    return url, token


async def before_a_resume(scene: Scene) -> Opened:
    transfer, url, token = await scene.pull()
    theirs = await scene.acme.theirs(transfer)
    await scene.acme.steer(theirs, "suspend")
    await scene.acme.until_transfer(theirs, "SUSPENDED")
    await scene.gamma.until_transfer(transfer.pid, "SUSPENDED")
    await scene.acme.steer(theirs, "resume")
    await scene.gamma.until_transfer(transfer.pid, lambda found: found.state == "STARTED" and found.is_open)
    fresh = await scene.address(transfer)
    assert await scene.status(fresh.endpoint or "", fresh.properties["authorization"]) == 200
    return url, token


async def before_a_renewal(scene: Scene) -> Opened:
    _, url, token = await scene.pull()
    renewed = await scene.http.post(url.replace("/pull/", "/renew/"), headers={"Authorization": token})
    assert await scene.status(url, renewed.json()["authorization"]) == 200
    return url, token


def of_another(of: str, change: Callable[[str, str], str]) -> Attempt:
    """The token of one transfer at the address that `change` makes of it and of the address of another one, about `of`."""

    async def attempt(scene: Scene) -> Opened:
        (_, mine, token), (_, others, _) = await scene.pull(), await scene.pull(of)
        return change(mine, others), token

    return attempt


OVER: dict[str, Attempt] = {
    **{f"M9 suspended by the {who}": stopped("suspend", who, "SUSPENDED") for who in ("provider", "consumer")},
    **{f"M9 terminated by the {who}": stopped("terminate", who, "TERMINATED") for who in ("provider", "consumer")},
    **{f"M9 completed by the {who}": stopped("complete", who, "COMPLETED") for who in ("provider", "consumer")},
    "M9 after the end of the agreement": agreement_ended,
    "M9 after the end of the agreement, by the consumer": agreement_ended_by_the_consumer,
    "M9 before a resume": before_a_resume,
    "M9 before a renewal": before_a_renewal,
    "M9 of another agreement about the same data": of_another("api", lambda mine, others: others),
    "M9 of another agreement about other data": of_another("more", lambda mine, others: others),
    "M9 under another participant": of_another("api", lambda mine, others: mine.replace("/acme/", "/other/")),
    "M9 under nobody": of_another("api", lambda mine, others: mine.replace("/acme/", "/nobody/")),
    "M9 at the door for pushes": of_another("api", lambda mine, others: mine.replace("/pull/", "/push/")),
    "M9 below another's address": of_another("more", lambda mine, others: f"{others}/{mine.rpartition('/')[2]}"),
}  # fmt: skip


@pytest.mark.parametrize("attempt", OVER.values(), ids=OVER)
async def test_m9_a_token_opens_its_own_transfer_while_that_is_open(scene: Scene, attempt: Attempt) -> None:
    url, token = await attempt(scene)
    asked = len(scene.heads)
    statuses = [await scene.status(one, token) for one in (url, f"{url}/below")]
    statuses += [await scene.status(url, token, method) for method in ("HEAD", "POST")]
    statuses.append(await scene.status(url.replace("/pull/", "/renew/"), token, "POST"))
    assert set(statuses) <= {401, 403, 404, 405, 410}, statuses
    assert len(scene.heads) == asked, "the source was asked"
    assert scene.canary.connections == 0
