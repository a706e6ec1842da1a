"""Attacks by addresses (S1 to S8, J1): a node with safe settings connects to nothing that it must not, whoever names it and wherever."""

from __future__ import annotations

import asyncio
import asyncio.selector_events
import hashlib
import json
import socket
import threading
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
import pytest_asyncio

from connector import jose
from connector.app import App
from connector.app.listening import free_ports
from connector.settings import Settings
from connector.testing.dataspace import api_key
from tests.attacks.stage import CATALOG, SCOPE, Stage, signed_with
from tests.identity.hosts import Host, host
from tests.scenarios.wire import message, request

pytestmark = pytest.mark.asyncio(loop_scope="module")
US = "did:web:acme.example"
DSP = "https://w3id.org/dspace/2025/1/context.jsonld"


@dataclass
class Safe:
    """A node with nothing unsafe but one peer with a text, which plays the attacker; and canaries on this machine, in both families."""

    url: str
    canary: Host
    http: httpx.AsyncClient
    operator: str

    async def send(self, path: str, body: Any, authorization: str = "Bearer mallory") -> httpx.Response:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"Authorization": authorization, "Content-Type": "application/json"}
        return await self.http.post(f"{self.url}/acme/dsp/2025-1/{path}", content=content, headers=headers)

    @property
    def is_silent(self) -> bool:
        return self.canary.connections == 0


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def safe(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Safe]:
    (port,) = free_ports(1)
    settings = Settings.model_validate(
        {
            "node": {"public_url": "https://acme.example", "data_dir": tmp_path_factory.mktemp("safe")},
            "public": {"port": port},
            "operator": {
                "port": 0,
                "api_keys": [{"name": "all", "sha256": hashlib.sha256(api_key().encode()).hexdigest(), "participants": ["*"]}],
            },
            "store": {"url": "memory:"},
            "outbound": {"connect_timeout_s": 1, "total_timeout_s": 2},
            "identity": {"membership": {"trusted_issuers": [{"id": "did:web:issuer.example"}], "scopes": [SCOPE]}},
            "participants": {
                "acme": {"id": US, "unsafe_static_tokens": [{"id": "did:web:mallory.example", "theirs": "Bearer mallory"}]}
            },
        }
    )
    async with host() as canary, App(settings) as app, httpx.AsyncClient(trust_env=False, timeout=30) as http:
        yield Safe(f"http://127.0.0.1:{port}", canary, http, app.operator_url)


HOSTS = [
    "127.0.0.1", "127.1", "127.0.0.2", "2130706433", "0x7f000001", "0x7f.1", "017700000001", "0177.0.0.1", "0.0.0.0", "0",
    "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "198.18.0.1", "224.0.0.1", "255.255.255.255",
    "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[64:ff9b::7f00:1]", "[fd00::1]", "[fe80::1]", "[::127.0.0.1]",
    "localhost", "localhost.", "LOCALHOST", "sub.localhost", "intranet", "printer.local", "metadata", "metadata.google.internal",
    "127.0.0.1.", "１２７.0.0.1", "ⓛocalhost", "localhost\u3002",
]  # fmt: skip


@pytest.mark.parametrize("name", HOSTS)
async def test_s1_an_identity_on_an_internal_host_is_not_looked_up(safe: Safe, name: str) -> None:
    for did in (
        f"did:web:{name}%3A{safe.canary.port}",
        f"did:web:{name}%3A{safe.canary.port}:x",
        f"did:web:{name.strip('[]').replace(':', '%3A')}%3A{safe.canary.port}",
    ):
        key, at = jose.generate(f"{did}#key-1"), int(time.time())
        claims = {"iss": did, "sub": did, "aud": US, "iat": at, "exp": at + 60, "jti": did[:900], "token": "x"}
        raw = signed_with(key, {"alg": "ES256", "kid": key.id}, claims)
        answer = await safe.send("catalog/request", CATALOG, f"Bearer {raw}")
        # what cannot be resolved here may be resolvable a moment later; nothing of it is connected to
        assert answer.status_code in (401, 503)
        assert safe.is_silent


# --- S2: names that lead somewhere else a moment later


PUBLIC = "93.184.215.14"
ANSWERS: dict[str, list[list[str]]] = {
    "S2 public, then loopback": [[PUBLIC], ["127.0.0.1"]],
    "S2 public, then loopback in the other family": [[PUBLIC], ["::1"]],
    "S2 public, then loopback in disguise": [[PUBLIC], ["::ffff:127.0.0.1"]],
    "S2 public, then an address of clouds": [[PUBLIC], ["169.254.169.254"]],
    "S2 public, then private, then public": [[PUBLIC], ["10.0.0.1"], [PUBLIC]],
    "S2 public and loopback at once": [[PUBLIC, "127.0.0.1"], ["127.0.0.1", PUBLIC]],
    "S2 loopback, then public": [["127.0.0.1"], [PUBLIC]],
}


@dataclass
class Names:
    """A name server that says something else each time, and a network that leads nowhere but to this machine."""

    answers: list[list[str]]
    port: int
    asked: int = 0
    reached: list[str] = field(default_factory=list)
    """Every address that somebody tried to connect to."""

    def resolved(self, host: str, port: int) -> list[Any]:
        found = self.answers[min(self.asked, len(self.answers) - 1)]
        self.asked += 1
        return [
            (socket.AF_INET6 if ":" in one else socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, self.port)) for one in found
        ]

    @property
    def vetted(self) -> int:
        """How many of its answers so far were public throughout."""
        given = [self.answers[min(n, len(self.answers) - 1)] for n in range(self.asked)]
        return sum(one == [PUBLIC] for one in given)


@pytest.fixture
def names(safe: Safe, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Names:
    """In place of the system's name server and network, for one name; all other names and addresses are theirs as ever."""
    found, look_up = Names(request.param, safe.canary.port), socket.getaddrinfo
    connect = asyncio.selector_events.BaseSelectorEventLoop.sock_connect

    def getaddrinfo(host: Any, port: Any, *more: Any, **named: Any) -> list[Any]:
        return found.resolved(host, port) if host == "rebind.example" else look_up(host, port, *more, **named)

    async def sock_connect(loop: Any, sock: socket.socket, address: Any) -> None:
        if address[1] in (found.port, 443):
            found.reached.append(address[0])
        if address[0] == PUBLIC:
            raise ConnectionRefusedError("nobody is there")
        await connect(loop, sock, address)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    monkeypatch.setattr(asyncio.selector_events.BaseSelectorEventLoop, "sock_connect", sock_connect)
    return found


async def as_sender(safe: Safe, number: int) -> None:
    # a name that failed is not looked up again for a while: each is new
    did = f"did:web:rebind.example%3A{safe.canary.port}:{number}:{time.time_ns()}"
    key, at = jose.generate(f"{did}#key-1"), int(time.time())
    claims = {"iss": did, "sub": did, "aud": US, "iat": at, "exp": at + 60, "jti": did, "token": "x"}
    answer = await safe.send("catalog/request", CATALOG, f"Bearer {signed_with(key, {'alg': 'ES256', 'kid': key.id}, claims)}")
    assert answer.status_code in (401, 503)


async def as_address_of_a_peer(safe: Safe, number: int) -> None:
    body = {"address": f"https://rebind.example:{safe.canary.port}/{number}/dsp/2025-1", "peer": "did:web:mallory.example"}
    answer = await safe.http.post(
        f"{safe.operator}/api/v1/participants/acme/catalog/request", json=body, headers={"X-Api-Key": api_key()}
    )
    assert answer.status_code >= 400, answer.text


@pytest.mark.parametrize("names", ANSWERS.values(), ids=ANSWERS, indirect=True)
@pytest.mark.parametrize("door", [as_sender, as_address_of_a_peer], ids=["sender", "peer"])
async def test_s2_a_name_is_connected_to_where_it_was_judged_to_lead(safe: Safe, names: Names, door: Any) -> None:
    for number in range(3):
        await door(safe, number)
    assert names.asked >= 3, "the attack was not played"
    # each look-up is judged, and what was judged is what is connected to
    assert names.reached == [PUBLIC] * names.vetted
    assert safe.is_silent


def addresses(port: int) -> list[str]:
    plain = [f"http://{name}:{port}/x" for name in HOSTS[:-3]] + [
        f"https://{name}:{port}/x" for name in ("127.0.0.1", "localhost", "[::1]", "10.0.0.1")
    ]
    schemes = [
        f"file://localhost:{port}/etc/hostname", "file:///etc/hostname", f"gopher://127.0.0.1:{port}/_x",
        f"ftp://127.0.0.1:{port}/", f"dict://127.0.0.1:{port}/x",
        f"ldap://127.0.0.1:{port}/", "unix:///run/x.sock", "http+unix://%2Frun%2Fx.sock/", "data:,x", "javascript:1",
        f"//127.0.0.1:{port}/x",
        f"HTTP://127.0.0.1:{port}", f"http:127.0.0.1:{port}", f"http:///127.0.0.1:{port}", f"http://a@127.0.0.1:{port}/",
        f"http://example.org@127.0.0.1:{port}/",
        f"http://127.0.0.1:{port}#@example.org", f"http://127.0.0.1:{port}\\@example.org",
        f"http://example.org:80@127.0.0.1:{port}",
        f"https://127.0.0.1:{port}\r\nX: 1",
        f"https://127.0.0.1:{port}\t", "https://", "https:///x", "x", "", "https://127.0.0.1:99999/", f"https://%31%32%37.0.0.1:{port}/",
    ]  # fmt: skip
    return plain + schemes


async def test_s5_an_address_that_a_message_names_is_judged_before_anything_is_stored(safe: Safe) -> None:
    wrong = []
    for number, address in enumerate(addresses(safe.canary.port)):
        tree = request(
            "urn:acme:x", "urn:offer", callback=address, consumer_pid=f"urn:uuid:00000000-0000-0000-0000-{number:012d}"
        )
        answer = await safe.send("negotiations/request", tree)
        if answer.status_code != 400 or not safe.is_silent:
            wrong.append((address, answer.status_code, answer.text[:200]))
        offer = message(
            "ContractOfferMessage",
            providerPid=f"urn:uuid:10000000-0000-0000-0000-{number:012d}",
            callbackAddress=address,
            offer=tree["offer"],
        )
        answer = await safe.send("negotiations/offers", offer)
        if answer.status_code != 400 or not safe.is_silent:
            wrong.append((address, answer.status_code, answer.text[:200]))
    assert wrong == []


CONTEXTS: dict[str, Any] = {
    "beside ours": lambda url: [DSP, url],
    "before ours": lambda url: [url, DSP],
    "instead of ours": lambda url: url,
    "in a list in a list": lambda url: [[url], DSP],
    "imported": lambda url: [DSP, {"@version": 1.1, "@import": url}],
    "of a term": lambda url: [DSP, {"x": {"@id": "urn:x", "@context": url}}],
    "of a type": lambda url: [DSP, {"T": {"@id": "urn:t", "@context": [url]}}],
    "within": lambda url: DSP,
    "as an object with an id": lambda url: [DSP, {"@id": url}],
}  # fmt: skip


@pytest.mark.parametrize("place", CONTEXTS.values(), ids=CONTEXTS)
async def test_j1_a_context_that_is_not_known_is_not_fetched(safe: Safe, place: Any) -> None:
    for url in (
        f"http://127.0.0.1:{safe.canary.port}/c",
        f"https://localhost:{safe.canary.port}/c",
        "file:///etc/hostname",
        "data:application/ld+json,{}",
        "/c",
        "../c",
        "//localhost/c",
        "c",
    ):
        tree = {
            "@context": place(url),
            "@type": "CatalogRequestMessage",
            "filter": [{"@context": url, "x": 1}] if place(url) == DSP else None,
        }
        answer = await safe.send("catalog/request", {name: value for name, value in tree.items() if value is not None})
        # beside the protocol's context another one is a text like any: nothing in the message can be of it (J4)
        assert answer.status_code == 400 or (answer.status_code == 200 and DSP in tree["@context"]), (url, answer.text)
        assert safe.is_silent


async def test_j1_beside_a_context_that_is_not_known_no_term_of_a_policy_can_be_of_it(safe: Safe) -> None:
    tree = request("urn:acme:x", "urn:offer", callback="https://mallory.example/dsp")
    tree["@context"] = [DSP, f"http://127.0.0.1:{safe.canary.port}/c"]
    for term in (
        {"theirs:x": 1},
        {"action": "theirs:use"},
        {"constraint": [{"leftOperand": "theirs:x", "operator": "eq", "rightOperand": 1}]},
    ):
        offer = {**tree["offer"], "permission": [{"action": "use", **term}]}
        answer = await safe.send("negotiations/request", {**tree, "offer": offer})
        assert answer.status_code == 400, answer.text
        assert safe.is_silent


# --- S7 and S8: what strangers can set off


async def test_s7_a_question_to_a_wallet_sets_off_one_look_up_and_no_question_in_return(stage: Stage) -> None:
    mallory = stage.party()
    asked = stage.host.asked.total()
    url = f"{stage.acme.app.public_url}/acme/dcp/presentations/query"
    body = json.dumps(
        {"@context": ["https://w3id.org/dspace-dcp/v1.0/dcp.jsonld"], "type": "PresentationQueryMessage", "scope": [SCOPE]}
    ).encode()
    for _ in range(10):
        headers = {"Authorization": f"Bearer {mallory.token()}", "Content-Type": "application/json"}
        assert (await stage.http.post(url, content=body, headers=headers)).status_code == 401
    assert stage.host.asked.total() - asked <= 1
    assert mallory.asked == []


async def test_s7_a_message_sets_off_no_more_than_its_proof_needs(stage: Stage) -> None:
    party, before = stage.party(), stage.host.asked.total()
    await stage.takes(party.token())
    # its document, its wallet, the issuer's document
    assert stage.host.asked.total() - before <= 3


async def test_s7_services_that_lead_elsewhere_are_not_followed(stage: Stage) -> None:
    for endpoint in (
        stage.canary.url.replace("http:", "gopher:"),
        "file:///etc/hostname",
        "",
        "x",
        None,
    ):
        party = stage.party(
            document=lambda tree, endpoint=endpoint: {**tree, "service": [{**tree["service"][0], "serviceEndpoint": endpoint}]}
        )
        await stage.refuses(party.token())
    away = stage.party()
    stage.host.pages[f"/{away.name}/cs/presentations/query"] = b""
    stage.host.statuses[f"/{away.name}/cs/presentations/query"] = 302
    assert (await stage.ask(away.token())).status_code in (401, 503)


async def test_s8_a_flood_of_unknown_senders_is_bounded_and_members_get_through(monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.attacks.stage import opened

    # names of the attacker, whose servers never answer: the system's call waits
    look_up, over = socket.getaddrinfo, threading.Event()

    def getaddrinfo(host: Any, port: Any, *more: Any, **named: Any) -> list[Any]:
        if str(host).endswith(".invalid"):
            over.wait(30)
            raise socket.gaierror("no name server answers")
        return look_up(host, port, *more, **named)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    async with opened() as stage:
        await stage.takes(stage.holder.token())
        async with host() as empty:
            # the address of a host that gives nothing, and so many names on it
            key = jose.generate("x")

            def stranger(number: int) -> str:
                did = f"did:web:localhost%3A{empty.port}:{number}"
                claims = {**stage.holder.claims, "iss": did, "sub": did}
                return signed_with(key, {"alg": "ES256", "kid": f"{did}#k"}, claims)

            for number in range(4):
                answers = await asyncio.gather(*(stage.ask(stranger(number * 30 + one)) for one in range(30)))
                assert {answer.status_code for answer in answers} <= {401, 503}
            assert empty.asked.total() <= 100, "each unknown name was looked up"

            # so many hosts: each is unknown, and their names lead nowhere
            async def from_host(number: int) -> int:
                did = f"did:web:h{number}.invalid"
                raw = signed_with(key, {"alg": "ES256", "kid": f"{did}#k"}, {**stage.holder.claims, "iss": did, "sub": did})
                return (await stage.ask(raw)).status_code

            flood = asyncio.gather(*(from_host(number) for number in range(100)))
            await stage.takes(stage.holder.token())
            # nor for their names, where it must be looked up itself
            stage.host.hang_up()
            await stage.takes(stage.holder.token())
            assert not flood.done(), "a member waits until strangers are given up"
            over.set()
            assert set(await flood) <= {401, 503}
            # the same name again and again is looked up once
            before = empty.asked.total()
            await asyncio.gather(*(stage.ask(stranger(1)) for _ in range(30)))
            assert empty.asked.total() == before
        await stage.takes(stage.holder.token())
