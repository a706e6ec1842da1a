"""A connector in a space with a provider in the shape of Keycloak: peers proven by its tokens, and tokens got from it."""

from __future__ import annotations

import base64
import itertools
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs

import pytest
import pytest_asyncio

from connector import jose
from connector.errors import ConfigurationError, KontorError, Overloaded, Unauthenticated
from connector.identity.keys import Keys, Passphrase, Purpose, Sealed
from connector.identity.oauth2 import assertions
from connector.identity.oauth2.member import OAuth2Members, Space
from connector.outbound.client import OutboundClient
from connector.ports.identity import STANDING, MessageKind
from connector.settings.oauth2 import OAuth2Membership
from connector.storage import open_store
from connector.testing.clock import MovedClock
from tests.identity.hosts import PATIENT, Host, host

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
AT = int(NOW.timestamp())
KEY = jose.generate("k1")
US, PEER = "did:web:acme.example", "did:web:peer.example"
REALM = "/realms/space"


@dataclass
class Scene:
    """A provider on a real socket, and our participant `acme`."""

    at: Host
    clock: MovedClock
    members: OAuth2Members
    keys: Keys
    forms: list[dict[str, str]] = field(default_factory=list)
    heads: list[str] = field(default_factory=list)
    is_active: bool = True
    life_s: Any = 300
    ids: Any = field(default_factory=itertools.count)

    @property
    def issuer(self) -> str:
        return f"{self.at.url}{REALM}"

    def bearer(self, key: jose.SigningKey = KEY, **changes: Any) -> str:
        claims = {
            "iss": self.issuer, "sub": "6f1c", "aud": US, "exp": AT + 300, "iat": AT, "jti": "1", "typ": "Bearer",
            "azp": "peer", "scope": "catalog data", "participant": {"id": PEER}, "attributes": {"region": ["EU"], "raw": {"a": 1}},
        }  # fmt: skip
        kept = {name: value for name, value in {**claims, **changes}.items() if value is not ...}
        return "Bearer " + jose.sign(key, kept, type_="JWT")

    def asked(self, head: str, body: bytes) -> bytes:
        self.heads.append(head)
        self.forms.append({name: values[0] for name, values in parse_qs(body.decode()).items()})
        if "introspect" in head.partition("\r\n")[0]:
            return json.dumps({"active": self.is_active}).encode()
        return json.dumps({"access_token": f"t{next(self.ids)}", "expires_in": self.life_s, "token_type": "Bearer"}).encode()


@asynccontextmanager
async def scene_with(**changes: Any) -> AsyncIterator[Scene]:
    async with host() as at, OutboundClient(PATIENT) as outbound:
        base = f"{at.url}{REALM}"
        at.pages[f"{REALM}/.well-known/openid-configuration"] = json.dumps(
            {
                "issuer": base, "jwks_uri": f"{base}/certs", "token_endpoint": f"{base}/token",
                "introspection_endpoint": f"{base}/introspect",
            }
        ).encode()  # fmt: skip
        at.pages[f"{REALM}/certs"] = json.dumps({"keys": [{**KEY.public.jwk(), "kid": "k1"}]}).encode()
        clock, ids = MovedClock(NOW), itertools.count()
        store = open_store("memory:", node="n", lease_s=30)
        await store.open()
        keys = Keys(store, Sealed(Passphrase(b"a passphrase of tests")), clock, lambda: f"k{next(ids)}")
        part = {
            "issuer": base,
            "id_claim": "participant.id",
            "claims": {"region": "attributes.region", "raw": "attributes.raw"},
        }
        space = Space(participant="acme", id=US, settings=OAuth2Membership.model_validate({**part, **changes}))
        members = OAuth2Members({"acme": space}, keys=keys, outbound=outbound, clock=clock, new_id=lambda: f"j{next(ids)}")
        found = Scene(at, clock, members, keys)
        at.pages |= {f"{REALM}/token": found.asked, f"{REALM}/introspect": found.asked}
        yield found
        await store.close()


@pytest_asyncio.fixture
async def scene() -> AsyncIterator[Scene]:
    async with scene_with() as found:
        yield found


async def test_a_peer_is_proven_by_a_token_for_us_with_the_claims_that_the_settings_map(scene: Scene) -> None:
    caller = await scene.members.verify("acme", scene.bearer(), MessageKind.NEGOTIATION)
    assert caller.id == PEER
    # an object proves nothing to a policy
    assert dict(caller.claims) == {"region": ["EU"], "grounds": [f"provider {scene.issuer} key k1"]}
    assert await scene.members.claims_of("acme", PEER) == caller.claims
    scene.clock.move(seconds=301)
    assert await scene.members.claims_of("acme", PEER) == {"standing": "UNPROVEN"}


UNLAWFUL: dict[str, dict[str, Any]] = {
    "for another connector": {"aud": "did:web:other.example"},
    "for us and another": {"aud": [US, "account"]},
    "for a name that holds ours": {"aud": f"{US}:sub"},
    "for our address": {"aud": "https://acme.example"},
    "for nobody": {"aud": ...},
    "of another provider": {"iss": "https://id.example/realms/space"},
    "over": {"exp": AT - 60, "iat": AT - 360},
    "without end": {"exp": ...},
    "good for a day": {"exp": AT + 86_400},
    "not yet": {"nbf": AT + 60},
    "an ID token": {"typ": "ID"},
    "an ID token by its nonce": {"nonce": "1"},
    "a self-issued token": {"token": "t"},
    "a presentation": {"vp": {}},
}


@pytest.mark.parametrize("changes", UNLAWFUL.values(), ids=UNLAWFUL)
async def test_what_is_not_lawful_by_itself_is_refused_and_nothing_is_fetched(scene: Scene, changes: dict[str, Any]) -> None:
    with pytest.raises(Unauthenticated, match=r"^no valid token"):
        await scene.members.verify("acme", scene.bearer(**changes), MessageKind.NEGOTIATION)
    assert scene.at.connections == 0


@pytest.mark.parametrize(
    "changes", [{"participant": ...}, {"participant": {"id": ""}}, {"participant": {"id": ["a"]}}, {"participant": {"id": "a b"}},
     {"participant": PEER}],
)  # fmt: skip
async def test_a_token_that_names_no_participant_proves_nobody(scene: Scene, changes: dict[str, Any]) -> None:
    with pytest.raises(Unauthenticated):
        await scene.members.verify("acme", scene.bearer(**changes), MessageKind.NEGOTIATION)


async def test_a_forged_token_proves_nobody(scene: Scene) -> None:
    for raw in (scene.bearer(jose.generate("k1")), scene.bearer(jose.generate("k2")), "Bearer x", "Basic x", "", None):
        with pytest.raises(Unauthenticated):
            await scene.members.verify("acme", raw, MessageKind.NEGOTIATION)
    with pytest.raises(Unauthenticated):
        await scene.members.verify("other", scene.bearer(), MessageKind.NEGOTIATION)


async def test_a_withdrawn_token_stops_within_a_second(scene: Scene) -> None:
    shown = scene.bearer()
    await scene.members.verify("acme", shown, MessageKind.NEGOTIATION)
    scene.is_active = False
    # the provider's word counts for a second, however many messages come
    for _ in range(10):
        await scene.members.verify("acme", shown, MessageKind.NEGOTIATION)
    assert scene.at.asked[f"{REALM}/introspect"] == 1
    scene.clock.move(seconds=1)
    with pytest.raises(Unauthenticated):
        await scene.members.verify("acme", shown, MessageKind.NEGOTIATION)


@pytest.mark.parametrize(("seconds", "standing"), [(10, "SUSPENDED"), (298, "UNPROVEN")])
async def test_a_token_that_is_over_by_the_providers_clock_is_not_taken_for_withdrawn(
    scene: Scene, seconds: int, standing: str
) -> None:
    caller = await scene.members.verify("acme", scene.bearer(), MessageKind.NEGOTIATION)
    scene.is_active = False
    scene.clock.move(seconds=seconds)
    assert await scene.members.claims_of("acme", caller.id) == {STANDING: standing}
    # who shows another token stands by that one, also when its word is asked for while the old one was looked at
    scene.is_active = True
    await scene.members.verify("acme", scene.bearer(jti="2", exp=AT + 500), MessageKind.NEGOTIATION)
    assert (await scene.members.claims_of("acme", caller.id)).get(STANDING) is None


@pytest.mark.parametrize(
    "said", [b"", b"[]", b'{"active": 1}', b'{"active": "true"}', b'{"active": true, "active": true}', b"{}"]
)
async def test_whatever_is_not_a_plain_yes_is_no(scene: Scene, said: bytes) -> None:
    scene.at.pages[f"{REALM}/introspect"] = said
    with pytest.raises((Unauthenticated, Overloaded)):
        await scene.members.verify("acme", scene.bearer(), MessageKind.NEGOTIATION)


async def test_a_provider_that_is_away_is_a_reason_to_come_again(scene: Scene) -> None:
    scene.at.statuses[f"{REALM}/introspect"] = 500
    with pytest.raises(Overloaded):
        await scene.members.verify("acme", scene.bearer(), MessageKind.NEGOTIATION)


async def test_scopes_may_be_required() -> None:
    async with scene_with(required_scopes=["data", "catalog"], introspect=False) as scene:
        await scene.members.verify("acme", scene.bearer(), MessageKind.NEGOTIATION)
        for scope in ("catalog", "catalog datas", ..., ["catalog"]):
            with pytest.raises(Unauthenticated):
                await scene.members.verify("acme", scene.bearer(scope=scope), MessageKind.NEGOTIATION)
        assert scene.at.asked[f"{REALM}/introspect"] == 0


# --- tokens of ours


async def test_a_token_is_got_for_one_peer_by_a_key_that_we_publish(scene: Scene) -> None:
    assert await scene.members.authorization("acme", PEER, "https://peer.example") == "Bearer t0"
    (form,) = scene.forms
    assert (form["grant_type"], form["resource"], form["client_id"]) == ("client_credentials", PEER, US)
    (jwk,) = (await scene.members.jwks("acme"))["keys"]
    token = assertions.opened(form["client_assertion"], client=US, audiences=(scene.issuer,), now=NOW)
    assert token.key_id == jwk["kid"]
    assert "d" not in jwk


async def test_a_token_is_used_until_shortly_before_its_end(scene: Scene) -> None:
    for _ in range(5):
        assert await scene.members.authorization("acme", PEER, "") == "Bearer t0"
    assert await scene.members.authorization("acme", "did:web:second.example", "") == "Bearer t1"
    scene.clock.move(seconds=269)
    assert await scene.members.authorization("acme", PEER, "") == "Bearer t0"
    scene.clock.move(seconds=1)
    assert await scene.members.authorization("acme", PEER, "") == "Bearer t2"
    # got by a clock that ran ahead, it may be over long before that clock said
    scene.clock.move(hours=-2)
    assert await scene.members.authorization("acme", PEER, "") == "Bearer t3"


async def test_a_peer_must_be_named_for_its_token(scene: Scene) -> None:
    with pytest.raises(ConfigurationError, match="participant id"):
        await scene.members.authorization("acme", "", "https://peer.example")
    assert scene.forms == []


async def test_a_client_with_a_secret_shows_it_in_the_header_alone() -> None:
    async with scene_with(
        client_id="kontor:acme", client_secret="p&ss w", parameters={"audience": "{peer}"}, scopes=["data"]
    ) as scene:
        await scene.members.authorization("acme", PEER, "")
        (form,) = scene.forms
        assert (form["audience"], form["scope"], "client_assertion" in form) == (PEER, "data", False)
        (line,) = (line for line in scene.heads[0].split("\r\n") if line.lower().startswith("authorization: "))
        assert base64.b64decode(line.split(" ")[2]) == b"kontor%3Aacme:p%26ss%20w"


async def test_the_key_of_the_wallet_may_prove_us() -> None:
    async with scene_with(key="did") as scene:
        key = await scene.keys.create("acme", US, Purpose.TOKEN)
        await scene.members.authorization("acme", PEER, "")
        assert jose.read(scene.forms[0]["client_assertion"], max_bytes=9000).key_id == key.id


@pytest.mark.parametrize(
    ("status", "kind"), [(400, ConfigurationError), (401, ConfigurationError), (500, KontorError), (302, KontorError)]
)
async def test_a_provider_that_refuses_us_is_said_with_its_reason(scene: Scene, status: int, kind: type[KontorError]) -> None:
    scene.at.statuses[f"{REALM}/token"] = status
    scene.at.pages[f"{REALM}/token"] = b'{"error": "unauthorized_client", "error_description": "not you"}'
    with pytest.raises(kind, match="not you"):
        await scene.members.authorization("acme", PEER, "")


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"access_token": ""},
        {"access_token": "a b"},
        {"access_token": "a\r\nX: 1"},
        {"access_token": "a", "expires_in": "x"},
    ],
)
async def test_an_answer_without_a_usable_token_gives_none(scene: Scene, answer: dict[str, Any]) -> None:
    scene.at.pages[f"{REALM}/token"] = json.dumps(answer).encode()
    with pytest.raises(KontorError):
        await scene.members.authorization("acme", PEER, "")
