"""Every route of the operator API against every role and every foreign participant: who may do what, and who learns nothing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from connector import jose
from connector.api.access import NewKey
from connector.app import check
from connector.client import AsyncClient, api_keys, create_api_key, revoke_api_key
from connector.controlplane.clock import SystemClock
from connector.errors import ConfigurationError, Conflict, Forbidden, NotFound, Unauthenticated
from connector.settings import Settings
from connector.testing.clock import MovedClock
from connector.testing.dataspace import DataSpace, Member, api_key
from tests.identity.hosts import host

pytestmark = pytest.mark.asyncio(loop_scope="module")

NODE = {
    ("/api/v1/participants", "post"),
    ("/api/v1/participants/{participant}", "delete"),
    ("/api/v1/audit", "get"),
    ("/api/v1/audit/verification", "get"),
}
"""Only an administrator of the node itself."""
ADMIN = {
    ("/api/v1/keys", "get"),
    ("/api/v1/keys", "post"),
    ("/api/v1/keys/{name}", "delete"),
    ("/api/v1/participants/{participant}/audit", "get"),
    ("/api/v1/participants/{participant}/audit/verification", "get"),
}
"""Only an administrator, of whatever."""
OPERATE = {
    ("/api/v1/participants/{participant}/catalog/demands", "get"),
    ("/api/v1/participants/{participant}/catalog/subscriptions", "get"),
    ("/api/v1/participants/{participant}/catalog/subscriptions/{id}/news", "get"),
    ("/api/v1/participants/{participant}/catalog/suggestions", "get"),
    ("/api/v1/participants/{participant}/transfers/{pid}/data", "get"),
    ("/api/v1/participants/{participant}/transfers/{pid}/data-address", "get"),
}
"""Reading that opens data, or shows what proves the participant to an address that the request names."""
EVERYWHERE = {("/api/v1/doctor", "get")}
"""For whoever may look at all participants."""
ROLES = ("read", "operate", "admin")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def member() -> AsyncIterator[Member]:
    """Two participants on one node."""
    async with DataSpace(settings={"node": {"roles": ["connector", "authority"]}}) as space:
        found = space.join("acme")
        space.join("other", on=found)
        await space.begin()
        yield found


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def keys(member: Member) -> dict[tuple[str, str], str]:
    """A key of each role, for the first participant alone and for all."""
    return {
        (role, whose): (
            await member.send(
                create_api_key(NewKey(name=f"{role}-{whose.replace('*', 'all')}", role=role, participants=(whose,)))
            )
        ).key
        for role in ROLES
        for whose in ("acme", "*")
    }


@pytest_asyncio.fixture(loop_scope="module")
async def http(member: Member) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=member.app.operator_url, trust_env=False) as found:
        yield found


def is_node(path: str, method: str) -> bool:
    """Whether an operation is for administrators of the node alone: the tables, and all that an authority does."""
    return (path, method) in NODE or path.startswith(("/api/v1/authority/", "/api/v1/jobs"))


def least(path: str, method: str) -> str:
    """The role that an operation needs, read off these tables and nowhere else."""
    if is_node(path, method) or (path, method) in ADMIN:
        return "admin"
    if (path, method) in OPERATE:
        return "operate"
    return "read" if method == "get" else "operate"


def filled(path: str, participant: str) -> str:
    """An address of nothing that there is, in one participant context."""
    path = path.replace("{participant}", participant)
    for name, value in {"{act}": "terminate"}.items():
        path = path.replace(name, value)
    while "{" in path:
        start, _, rest = path.partition("{")
        path = f"{start}nothing{rest.partition('}')[2]}"
    return path


async def operations(http: httpx.AsyncClient) -> list[tuple[str, str]]:
    api = (await http.get("/api/v1/openapi.json")).json()
    return [(path, method) for path, methods in api["paths"].items() for method in methods]


async def ask(http: httpx.AsyncClient, path: str, method: str, participant: str, key: str | None) -> int:
    headers = {} if key is None else {"X-Api-Key": key}
    body: Any = {"json": {}} if method in ("post", "put", "patch") else {}
    # a stream of events has a status, and no end
    async with http.stream(method, filled(path, participant), headers=headers, **body) as answer:
        return answer.status_code


@pytest.mark.parametrize("whose", ["acme", "*"])
@pytest.mark.parametrize("role", ROLES)
async def test_each_route_needs_its_role_in_its_participant(
    http: httpx.AsyncClient, keys: dict[tuple[str, str], str], role: str, whose: str
) -> None:
    wrong = []
    for path, method in await operations(http):
        is_enough = ROLES.index(role) >= ROLES.index(least(path, method))
        for participant in ("acme", "other", "nobody") if whose != "*" else ("acme", "nobody"):
            is_foreign = whose != "*" and (
                ("{participant}" in path and participant != "acme") or is_node(path, method) or (path, method) in EVERYWHERE
            )
            status = await ask(http, path, method, participant, keys[role, whose])
            if (status == 403) is (is_enough and not is_foreign) or status == 401 or status >= 500:
                wrong.append((path, method, participant, status))
    assert wrong == []


async def test_no_route_answers_without_a_key(http: httpx.AsyncClient) -> None:
    found = await operations(http)
    assert len(found) > 40
    assert {await ask(http, path, method, "acme", key) for path, method in found for key in (None, "", "wrong")} == {401}


async def test_the_tables_here_name_routes_that_there_are(http: httpx.AsyncClient) -> None:
    assert set(await operations(http)) >= NODE | ADMIN | OPERATE | EVERYWHERE


async def test_a_key_is_shown_once_and_kept_as_its_digest(member: Member, http: httpx.AsyncClient) -> None:
    made = await member.send(create_api_key(NewKey(name="once", participants=("acme",))))
    listed = (await http.get("/api/v1/keys", headers={"X-Api-Key": api_key()})).text
    assert '"once"' in listed
    assert made.key not in listed
    assert hashlib.sha256(made.key.encode()).hexdigest() not in listed
    await member.send(revoke_api_key("once"))


async def test_a_revoked_key_is_good_for_nothing_at_once(member: Member, http: httpx.AsyncClient) -> None:
    made = await member.send(create_api_key(NewKey(name="brief", participants=("*",))))
    headers = {"Authorization": f"Bearer {made.key}"}
    assert (await http.get("/api/v1/participants", headers=headers)).status_code == 200
    await member.send(revoke_api_key("brief"))
    assert (await http.get("/api/v1/participants", headers=headers)).status_code == 401
    with pytest.raises(NotFound, match="brief"):
        await member.send(revoke_api_key("brief"))


async def test_a_name_is_given_once(member: Member) -> None:
    await member.send(create_api_key(NewKey(name="twin", participants=("acme",))))
    with pytest.raises(Conflict, match="twin"):
        await member.send(create_api_key(NewKey(name="twin", participants=("acme",))))
    await member.send(revoke_api_key("twin"))


async def test_a_key_of_the_settings_is_taken_away_there(member: Member) -> None:
    known = {key.name for key in (await member.send(api_keys())).items if key.is_configured}
    assert known == {"for-all", "for-acme", "for-other"}
    with pytest.raises(Conflict, match="settings"):
        await member.send(revoke_api_key("for-all"))
    with pytest.raises(Conflict, match="settings"):
        await member.send(create_api_key(NewKey(name="for-all", participants=("acme",))))


async def test_nobody_gives_more_than_they_administer(member: Member, keys: dict[tuple[str, str], str]) -> None:
    async with AsyncClient(member.app.operator_url, keys["admin", "acme"]) as mine:
        for participants in (("*",), ("other",), ("acme", "other")):
            with pytest.raises(Forbidden, match="administers"):
                await mine.send(create_api_key(NewKey(name="more", role="read", participants=participants)))
        seen = {key.name for key in (await mine.send(api_keys())).items}
        assert {"admin-acme", "read-acme"} <= seen
        assert {"admin-all", "for-other"} & seen == set()
        with pytest.raises(NotFound):
            await mine.send(revoke_api_key("admin-all"))


async def test_a_key_ends_when_it_was_to_end() -> None:
    clock = MovedClock()
    async with DataSpace(clock=clock) as space:
        acme = space.join("acme")
        made = await acme.send(create_api_key(NewKey(name="day", participants=("*",), days=1)))
        async with httpx.AsyncClient(base_url=acme.app.operator_url, trust_env=False, headers={"X-Api-Key": made.key}) as http:
            assert (await http.get("/api/v1/participants")).status_code == 200
            clock.move(days=1)
            answer = await http.get("/api/v1/participants")
            assert answer.status_code == Unauthenticated.status
            assert "day" not in answer.text


async def test_a_token_of_the_configured_provider_opens_what_its_roles_are_granted() -> None:
    async with host() as provider:
        key, now = jose.generate("k1"), int(SystemClock().now().timestamp())
        provider.pages["/certs"] = json.dumps({"keys": [{**key.public.jwk(), "kid": "k1"}]}).encode()
        grants = [{"value": "ops", "role": "operate", "participants": ["acme"]}]
        oidc = {"issuer": provider.url, "audience": "kontor", "jwks_url": f"{provider.url}/certs", "grants": grants}
        claims = {
            "iss": provider.url,
            "sub": "1",
            "aud": "kontor",
            "iat": now,
            "exp": now + 60,
            "realm_access": {"roles": ["ops"]},
        }
        async with DataSpace(settings={"operator": {"oidc": oidc}}) as space:
            acme = space.join("acme")
            space.join("other", on=acme)
            await space.begin()
            async with httpx.AsyncClient(base_url=acme.app.operator_url, trust_env=False) as http:

                async def status(path: str, claims: dict[str, Any]) -> int:
                    headers = {"Authorization": f"Bearer {jose.sign(key, claims)}"}
                    return (await http.get(f"/api/v1{path}", headers=headers)).status_code

                assert await status("/participants/acme/assets", claims) == 200
                assert await status("/participants/other/assets", claims) == 403
                assert await status("/keys", claims) == 403
                assert await status("/participants/acme/assets", {**claims, "aud": f"{acme.app.public_url}/acme/data"}) == 401


@pytest.mark.parametrize("jwks", [None, "http://id.example/certs"])
async def test_keys_of_a_provider_are_not_fetched_in_plain_http(jwks: str | None) -> None:
    issuer = "http://id.example" if jwks is None else "https://id.example"
    oidc = {"issuer": issuer, "audience": "kontor", "jwks_url": jwks, "grants": [{"value": "ops", "role": "read"}]}
    settings = Settings.model_validate({"node": {"public_url": "https://a.example"}, "operator": {"oidc": oidc}})
    with pytest.raises(ConfigurationError, match=r"operator\.oidc"):
        check(settings)
