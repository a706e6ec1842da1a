"""Operators proven by tokens of a provider in the shape of Keycloak: what counts, what does not, and what is fetched for it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
import pytest_asyncio

from connector import jose
from connector.errors import KontorError, PeerAnswer, PeerMessage, Unproven
from connector.identity.oidc import OidcOperators
from connector.outbound.client import OutboundClient
from connector.ports.operators import OperatorRole
from connector.settings import Oidc
from connector.testing.clock import MovedClock
from tests.identity.hosts import PATIENT, Host, host

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
AT = int(NOW.timestamp())
KEY, OTHER = jose.generate("k1"), jose.generate("k2", "Ed25519")
REALM = "/realms/kontor"


@dataclass
class Provider:
    """A provider on a real socket, and whoever asks it."""

    at: Host
    operators: OidcOperators

    @property
    def issuer(self) -> str:
        return f"{self.at.url}{REALM}"

    def token(
        self, key: jose.SigningKey = KEY, type_: str | None = "JWT", header: dict[str, str] | None = None, **changes: Any
    ) -> str:
        claims = {
            "iss": self.issuer, "sub": "f:1:anna", "aud": "kontor", "exp": AT + 300, "iat": AT, "jti": "1", "typ": "Bearer",
            "azp": "console", "preferred_username": "anna", "realm_access": {"roles": ["offline_access", "kontor-operator"]},
        }  # fmt: skip
        return jose.sign(key, {k: v for k, v in {**claims, **changes}.items() if v is not ...}, type_=type_, **(header or {}))


def publish(at: Host, *keys: jose.SigningKey, **metadata: Any) -> None:
    base = f"{at.url}{REALM}"
    tree = {"issuer": base, "jwks_uri": f"{base}/certs", **metadata}
    at.pages[f"{REALM}/.well-known/openid-configuration"] = json.dumps(tree).encode()
    listed = [{**key.public.jwk(), "kid": key.id, "use": "sig"} for key in keys]
    at.pages[f"{REALM}/certs"] = json.dumps(
        {"keys": [*listed, {"kty": "RSA", "use": "enc", "kid": "e", "n": "AQAB", "e": "AQAB"}]}
    ).encode()


@pytest_asyncio.fixture
async def provider() -> AsyncIterator[Provider]:
    async with host() as at, OutboundClient(PATIENT) as outbound:
        publish(at, KEY)
        yield Provider(at, OidcOperators(settings(at), outbound, MovedClock(NOW)))


def settings(at: Host, **changes: Any) -> Oidc:
    tree = {
        "issuer": f"{at.url}{REALM}",
        "audience": "kontor",
        "grants": [
            {"value": "kontor-operator", "role": "operate", "participants": ["acme"]},
            {"value": "kontor-auditor", "role": "read"},
        ],
    }
    return Oidc.model_validate({**tree, **changes})


async def test_a_token_of_the_provider_is_good_for_what_its_roles_are_granted(provider: Provider) -> None:
    anna = await provider.operators.operator(provider.token())
    assert anna.name == "anna"
    assert anna.may(OperatorRole.OPERATE, "acme")
    assert not anna.may(OperatorRole.ADMIN, "acme")
    assert not anna.may(OperatorRole.READ, "other")
    both = await provider.operators.operator(provider.token(realm_access={"roles": ["kontor-operator", "kontor-auditor"]}))
    # two grants do not make a third: what is granted in one context is not granted in the other
    assert both.may(OperatorRole.READ, "other")
    assert not both.may(OperatorRole.OPERATE, "other")


async def test_many_tokens_cost_one_look_at_the_keys(provider: Provider) -> None:
    for number in range(20):
        await provider.operators.operator(provider.token(jti=str(number)))
    assert provider.at.asked == {f"{REALM}/.well-known/openid-configuration": 1, f"{REALM}/certs": 1}


UNLAWFUL: dict[str, dict[str, Any]] = {
    "of another provider": {"iss": "https://id.example/realms/kontor"},
    "of a provider whose name begins alike": {"iss": "..."},
    "for another audience": {"aud": "account"},
    "for the data plane": {"aud": "urn:kontor:data"},
    "for nobody": {"aud": ...},
    "for us and another": {"aud": ["kontor", "account"]},
    "for a name that holds ours": {"aud": "kontor-data"},
    "over": {"exp": AT - 60, "iat": AT - 300},
    "without an end": {"exp": ...},
    "with an end as text": {"exp": str(AT + 300)},
    "not yet": {"nbf": AT + 60},
    "from the future": {"iat": AT + 60},
    "good for a day": {"exp": AT + 86_400},
    "without a subject": {"sub": ...},
    "an ID token": {"typ": "ID"},
    "an ID token by its nonce": {"nonce": "n"},
    "a refresh token": {"typ": "Refresh"},
    "a self-issued token": {"token": "t"},
}


@pytest.mark.parametrize("changes", UNLAWFUL.values(), ids=UNLAWFUL)
async def test_what_is_not_lawful_by_itself_is_refused_and_nothing_is_fetched(
    provider: Provider, changes: dict[str, Any]
) -> None:
    if changes == {"iss": "..."}:
        changes = {"iss": f"{provider.issuer}-2"}
    with pytest.raises(Unproven):
        await provider.operators.operator(provider.token(**changes))
    assert provider.at.connections == 0


@pytest.mark.parametrize(
    "roles",
    [[], ["kontor"], ["kontor-operator-2"], "kontor-operators", {"kontor-operator": 1}, [["kontor-operator"]], None, ...],
)
async def test_a_token_without_a_granted_role_opens_nothing(provider: Provider, roles: Any) -> None:
    with pytest.raises(Unproven) as refused:
        await provider.operators.operator(provider.token(realm_access={"roles": roles} if roles is not ... else ...))
    assert refused.value.check == "role"


async def test_a_key_that_the_provider_does_not_publish_proves_nothing(provider: Provider) -> None:
    with pytest.raises(Unproven) as refused:
        await provider.operators.operator(provider.token(OTHER))
    assert refused.value.check == "key-id"
    # the same name, another key
    with pytest.raises(Unproven) as refused:
        await provider.operators.operator(provider.token(jose.generate("k1")))
    assert refused.value.check == "signature"
    # an encryption key is no key here
    with pytest.raises(Unproven):
        await provider.operators.operator(provider.token(jose.generate("e")))


async def test_unknown_key_names_do_not_make_us_fetch_again_and_again(provider: Provider) -> None:
    for number in range(50):
        with pytest.raises(Unproven):
            await provider.operators.operator(provider.token(jose.generate(f"x{number}")))
    assert provider.at.asked[f"{REALM}/certs"] == 1


async def test_a_new_key_of_the_provider_is_found(provider: Provider) -> None:
    moment = 0.0
    provider.operators._keys.seconds = lambda: moment
    await provider.operators.operator(provider.token())
    publish(provider.at, KEY, OTHER)
    moment = 20.0
    assert (await provider.operators.operator(provider.token(OTHER))).name == "anna"
    # and one taken away proves nothing when the set is looked at again
    publish(provider.at, OTHER)
    moment = 400.0
    with pytest.raises(Unproven):
        await provider.operators.operator(provider.token())
    # nor when the clock was put back: what was fetched by one that ran ahead is not fresh until then
    publish(provider.at, KEY)
    moment = 100.0
    with pytest.raises(Unproven):
        await provider.operators.operator(provider.token(OTHER))


async def test_a_provider_that_is_away_for_a_moment_takes_nobody_with_it(provider: Provider) -> None:
    moment = 0.0
    provider.operators._keys.seconds = lambda: moment
    await provider.operators.operator(provider.token())
    provider.at.status = 500
    provider.at.pages.clear()
    moment = 100.0
    assert (await provider.operators.operator(provider.token())).name == "anna"
    moment = 400.0
    for _ in range(5):
        with pytest.raises(PeerAnswer):
            await provider.operators.operator(provider.token())
    # asked twice for the first of the five (both places where metadata may lie), and not again for the other four
    assert provider.at.asked[f"{REALM}/.well-known/openid-configuration"] == 2


@pytest.mark.parametrize(
    "page",
    [
        b"",
        b"[]",
        b'{"issuer": 1}',
        b'{"issuer": "https://other.example", "jwks_uri": "http://localhost/x"}',
        b'{"a":1,"a":2}',
        b"{" * 9000,
    ],
)
async def test_metadata_that_is_not_the_providers_own_leads_nowhere(provider: Provider, page: bytes) -> None:
    provider.at.pages[f"{REALM}/.well-known/openid-configuration"] = page
    with pytest.raises(KontorError) as refused:
        await provider.operators.operator(provider.token())
    assert isinstance(refused.value, PeerMessage)
    assert provider.at.asked[f"{REALM}/certs"] == 0


async def test_audiences_may_be_shared_where_the_settings_say_so(provider: Provider) -> None:
    async with OutboundClient(PATIENT) as outbound:
        shared = OidcOperators(settings(provider.at, is_audience_shared=True), outbound, MovedClock(NOW))
        assert (await shared.operator(provider.token(aud=["account", "kontor"]))).name == "anna"
        with pytest.raises(Unproven):
            await shared.operator(provider.token(aud=["account", "kontor-2"]))
