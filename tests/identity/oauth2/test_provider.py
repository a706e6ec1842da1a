"""The OAuth2 provider gives a token of one connector for one connector, and takes it back; every lie about it sounds the same."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata

from connector import jose
from connector.identity import profiles
from connector.identity.oauth2.clients import Client
from connector.identity.oauth2.grants import DAPS_SCOPE
from connector.identity.oauth2.provider import ProviderRules
from connector.settings.oauth2 import DAPS_AUDIENCE
from tests.identity.oauth2.conftest import ACME, BETA, GONE, ISSUER, Scene, scene_with


async def test_a_token_is_of_one_connector_for_one_connector(scene: Scene) -> None:
    raw = await scene.token(scope="catalog")
    (jwk,) = (await scene.provider.jwks())["keys"]
    key = jose.from_jwk({name: value for name, value in jwk.items() if name != "kid"})
    token = profiles.MEMBER.verify(raw, key, now=scene.clock.now(), audience=BETA, issuer=ISSUER)
    assert (token.type, token.key_id) == ("at+jwt", jwk["kid"])
    assert {name: token.claims[name] for name in ("sub", "client_id", "aud", "scope", "region")} == {
        "sub": ACME, "client_id": ACME, "aud": BETA, "scope": "catalog", "region": "EU",
    }  # fmt: skip
    assert {"exp", "iat", "jti"} <= set(token.claims)


async def test_the_metadata_is_what_the_standard_says(scene: Scene) -> None:
    tree = scene.provider.metadata()
    # Authlib's judge of RFC 8414 takes the empty list of response types, which is right without such an endpoint, for a missing one
    assert tree["response_types_supported"] == []
    AuthorizationServerMetadata({**tree, "response_types_supported": ["none"]}).validate()
    assert tree["issuer"] == ISSUER
    assert tree["token_endpoint_auth_methods_supported"] == ["private_key_jwt"]


WRONG: dict[str, dict[str, Any]] = {
    "no assertion": {"client_assertion": ...},
    "an assertion of no kind": {"client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:saml2-bearer"},
    "no kind of assertion": {"client_assertion_type": ...},
    "a word": {"client_assertion": "word"},
    "a secret instead": {"client_assertion": ..., "client_assertion_type": ..., "client_id": ACME, "client_secret": "guess"},
    "nobody": {"client_assertion": ..., "client_assertion_type": ..., "client_id": ACME},
    "another client named beside it": {"client_id": BETA},
}
LIES: dict[str, dict[str, Any]] = {
    "for another server": {"aud": "https://other.example/authority"},
    "for us and another server": {"aud": [ISSUER, "https://other.example"]},
    "for a name that begins like ours": {"aud": f"{ISSUER}/"},
    "for a connector": {"aud": BETA},
    "of another than its subject": {"iss": BETA},
    "over": {"exp": 1_700_000_060, "iat": 1_700_000_000},
    "good for an hour": {"exp": 1_795_353_600},
    "without jti": {"jti": ...},
    "without end": {"exp": ...},
    "an access token": {"client_id": ACME, "scope": "catalog"},
    "a self-issued token": {"token": "x"},
}


@pytest.mark.parametrize("changes", WRONG.values(), ids=WRONG)
async def test_who_does_not_prove_itself_gets_nothing(scene: Scene, changes: dict[str, Any]) -> None:
    reply = await scene.provider.token(scene.form(**changes))
    assert (reply.status, reply.body["error"]) in ((400, "invalid_client"), (401, "invalid_client"))
    assert scene.known.asked == []


@pytest.mark.parametrize("changes", LIES.values(), ids=LIES)
async def test_an_assertion_that_is_not_lawful_by_itself_makes_us_fetch_nothing(scene: Scene, changes: dict[str, Any]) -> None:
    reply = await scene.provider.token(scene.form(assertion=scene.assertion(**changes)))
    assert reply.body["error"] == "invalid_client"
    assert scene.known.asked == []


async def test_unknown_suspended_and_forged_clients_get_one_answer(scene: Scene) -> None:
    other = jose.generate(f"{ACME}#k")
    replies = [
        await scene.provider.token(scene.form(assertion=scene.assertion("urn:member:unknown", other))),
        await scene.provider.token(scene.form(GONE)),
        await scene.provider.token(scene.form(assertion=scene.assertion(ACME, other))),
        await scene.provider.token(scene.form(assertion=scene.assertion(ACME, scene.known.keys[BETA]))),
        await scene.provider.token(scene.form(assertion=scene.assertion(ACME, jose.generate(f"{ACME}#k", "Ed25519")))),
    ]
    assert len({(reply.status, str(reply.body)) for reply in replies}) == 1
    # the keys of an unknown and of a suspended client were not even looked for
    assert set(scene.known.asked) == {ACME}


async def test_of_fifty_copies_of_an_assertion_one_is_taken(scene: Scene) -> None:
    form = scene.form()
    replies = await asyncio.gather(*(scene.provider.token(form) for _ in range(50)))
    assert sorted(reply.status for reply in replies) == [200] + [400] * 49
    # nor may it be used for something else
    assert (await scene.provider.introspect({**form, "token": "x"})).body["error"] == "invalid_client"


@pytest.mark.parametrize(
    "resource", [..., "*", "", "urn:member:*", "urn:member:unknown", GONE, f"{BETA} {ACME}", DAPS_AUDIENCE, ISSUER]
)
async def test_a_token_needs_one_active_connector_as_its_target(scene: Scene, resource: Any) -> None:
    reply = await scene.provider.token(scene.form(resource=resource))
    assert (reply.status, reply.body["error"]) == (400, "invalid_target")


@pytest.mark.parametrize("scope", ["admin", "catalog admin", "*", DAPS_SCOPE, "catalog,admin"])
async def test_a_scope_that_the_client_does_not_have_is_refused(scene: Scene, scope: str) -> None:
    reply = await scene.provider.token(scene.form(scope=scope))
    assert (reply.status, reply.body["error"]) == (400, "invalid_scope")


@pytest.mark.parametrize("grant", ["authorization_code", "password", "refresh_token", "", ...])
async def test_no_other_grant_is_known(scene: Scene, grant: Any) -> None:
    assert (await scene.provider.token(scene.form(grant_type=grant))).body["error"] == "unsupported_grant_type"


# --- whether it holds


async def test_a_token_holds_until_it_ends(scene: Scene) -> None:
    raw = await scene.token()
    assert await scene.is_active(raw)
    scene.clock.move(seconds=299)
    assert await scene.is_active(raw)
    scene.clock.move(seconds=1)
    assert not await scene.is_active(raw)


async def test_only_the_two_that_a_token_is_about_learn_whether_it_holds(scene: Scene) -> None:
    scene.known.clients["urn:member:carl"] = Client(id="urn:member:carl", is_active=True)
    scene.known.keys["urn:member:carl"] = jose.generate("urn:member:carl#k")
    raw = await scene.token()
    assert [await scene.is_active(raw, who) for who in (BETA, ACME, "urn:member:carl")] == [True, True, False]
    for form in ({"token": raw}, scene.form(GONE, token=raw), {**scene.form(BETA, token=raw), "client_assertion": "x"}):
        assert (await scene.provider.introspect(form)).body["error"] == "invalid_client"


async def test_a_live_token_of_a_suspended_member_holds_no_longer(scene: Scene) -> None:
    raw = await scene.token()
    scene.known.clients[ACME] = Client(id=ACME, is_active=False)
    assert not await scene.is_active(raw)
    assert (await scene.provider.token(scene.form())).body["error"] == "invalid_client"
    scene.known.clients[ACME] = Client(id=ACME, is_active=True)
    assert await scene.is_active(raw)


async def test_a_revoked_token_holds_no_longer_and_others_do(scene: Scene) -> None:
    raw, other = await scene.token(), await scene.token()
    # not by another, not even by the one it is for
    assert (await scene.about("revoke", raw, BETA)).body["error"] == "invalid_grant"
    assert await scene.is_active(raw)
    for _ in range(2):
        assert (await scene.about("revoke", raw, ACME)).status == 200
    assert [await scene.is_active(one) for one in (raw, other)] == [False, True]
    # what is none of ours is revoked already: no more is said
    assert (await scene.about("revoke", "x.y.z", ACME)).status == 200


@pytest.mark.parametrize("what", ["introspect", "revoke"])
async def test_a_question_about_nothing_is_none(scene: Scene, what: str) -> None:
    ask = getattr(scene.provider, what)
    assert (await ask(scene.form(BETA))).body["error"] == "invalid_request"


async def test_tokens_that_are_not_ours_do_not_hold(scene: Scene) -> None:
    raw = await scene.token()
    (jwk,) = (await scene.provider.jwks())["keys"]
    at = int(scene.clock.now().timestamp())
    claims = {"iss": ISSUER, "sub": ACME, "client_id": ACME, "aud": BETA, "iat": at, "exp": at + 60, "jti": "1"}
    forged = jose.sign(jose.generate(jwk["kid"]), claims, type_="at+jwt")
    header, payload, signature = raw.split(".")
    for one in (
        forged,
        f"{header}.{payload}.",
        f"{header}.{payload}.{signature[:-4]}AAAA",
        f"{header}.{payload}",
        "",
        scene.assertion(),
    ):
        reply = await scene.provider.introspect(scene.form(BETA, token=one))
        assert reply.body.get("active", False) is False


# --- keys, and a DAPS


async def test_keys_are_replaced_without_a_gap() -> None:
    async for scene in scene_with(ProviderRules(issuer=ISSUER, key_life=timedelta(days=1))):
        old = await scene.token()
        (first,) = (await scene.provider.jwks())["keys"]
        scene.clock.move(days=1)
        # the new key is published before it signs
        assert (await scene.provider.jwks())["keys"][0] == first
        assert jose.read(await scene.token(), max_bytes=9000).key_id == first["kid"]
        _, second = (await scene.provider.jwks())["keys"]
        scene.clock.move(minutes=6)
        assert jose.read(await scene.token(), max_bytes=9000).key_id == second["kid"]
        assert {one["kid"] for one in (await scene.provider.jwks())["keys"]} == {first["kid"], second["kid"]}
        # and the one before the last is taken out
        scene.clock.move(days=1)
        await scene.token()
        assert first["kid"] not in {one["kid"] for one in (await scene.provider.jwks())["keys"]}
        assert not await scene.is_active(old)


async def test_claims_of_a_daps_are_there_when_the_settings_ask_for_them() -> None:
    rules = ProviderRules(issuer=ISSUER, daps_claims=True, security_profile="idsc:TRUST_SECURITY_PROFILE")
    async for scene in scene_with(rules):
        claims = jose.read(await scene.token(), max_bytes=9000).claims
        assert (claims["@type"], claims["securityProfile"]) == ("ids:DatPayload", "idsc:TRUST_SECURITY_PROFILE")
        # still for one connector: only the unsafe setting gives tokens for all
        assert claims["aud"] == BETA
        assert (await scene.provider.token(scene.form(resource=..., scope=DAPS_SCOPE))).body["error"] == "invalid_scope"


async def test_a_token_for_all_connectors_needs_the_unsafe_setting_and_the_scope() -> None:
    async for scene in scene_with(ProviderRules(issuer=ISSUER, daps_claims=True, is_shared_audience_allowed=True)):
        raw = await scene.token(resource=..., scope=DAPS_SCOPE)
        assert jose.read(raw, max_bytes=9000).claims["aud"] == DAPS_AUDIENCE
        assert (await scene.provider.token(scene.form(resource=...))).body["error"] == "invalid_target"
