"""Attacks by addresses (S1 to S8, J1): a node with safe settings connects to nothing that it must not, whoever names it and wherever."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import pytest_asyncio

from connector import jose
from connector.app import App
from connector.app.listening import free_ports
from connector.settings import Settings
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
    connections: list[str]

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
            "operator": {"port": 0},
            "store": {"url": "memory:"},
            "outbound": {"connect_timeout_s": 1, "total_timeout_s": 2},
            "identity": {"membership": {"trusted_issuers": [{"id": "did:web:issuer.example"}], "scopes": [SCOPE]}},
            "participants": {
                "acme": {"id": US, "unsafe_static_tokens": [{"id": "did:web:mallory.example", "theirs": "Bearer mallory"}]}
            },
        }
    )
    async with host() as canary, App(settings), httpx.AsyncClient(trust_env=False, timeout=30) as http:
        yield Safe(f"http://127.0.0.1:{port}", canary, http, [])


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


async def test_s8_a_flood_of_unknown_senders_is_bounded_and_members_get_through() -> None:
    from tests.attacks.stage import opened

    async with opened(outbound={"connect_timeout_s": 0.5}) as stage:
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
            begun = time.perf_counter()
            await stage.takes(stage.holder.token())
            assert time.perf_counter() - begun < 2, "a member waits for strangers"
            assert set(await flood) <= {401, 503}
            # the same name again and again is looked up once
            before = empty.asked.total()
            await asyncio.gather(*(stage.ask(stranger(1)) for _ in range(30)))
            assert empty.asked.total() == before
        await stage.takes(stage.holder.token())
