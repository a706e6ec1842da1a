"""Two connectors of a space whose identity provider is a real Keycloak: its tokens let them in, and nobody else.

    python -m tests.scenarios.keycloak      starts one and plays the story, step by step; exit code 1 when a step fails
    KONTOR_KEYCLOAK=http://NAME:PASSWORD@HOST:PORT python -m tests.scenarios.keycloak      the same with one that runs

Each connector is a client of the realm that proves itself by a key of its own (`private_key_jwt`); for each there is a client scope
that puts it into `aud`, and asking for that scope makes a token for that connector alone.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx

from connector.app.listening import free_ports
from connector.errors import KontorError
from connector.testing.dataspace import DataSpace, Member
from tests.scenarios.policies import members_only
from tests.servers import keycloak

REALM = "space"
_LIFE_S = 300


@dataclass
class Realm:
    """The realm of the space, and what its administrator does."""

    url: str
    http: httpx.AsyncClient
    headers: dict[str, str]

    @property
    def issuer(self) -> str:
        return f"{self.url}/realms/{REALM}"

    async def make(self, ports: dict[str, int]) -> None:
        """The realm with a client and a scope for each connector; `ports` are those of their public listeners."""
        tree = {
            "realm": REALM,
            "enabled": True,
            "sslRequired": "none",
            "accessTokenLifespan": _LIFE_S,
            "clientScopes": [_scope(name) for name in ports],
            "clients": [_client(name, port, [*ports]) for name, port in ports.items()],
        }
        answer = await self.http.post(f"{self.url}/admin/realms", json=tree, headers=self.headers)
        assert answer.status_code == 201, answer.text

    async def enable(self, name: str, *, is_enabled: bool) -> None:
        """Switch a connector's client on or off."""
        base = f"{self.url}/admin/realms/{REALM}/clients"
        (found,) = (await self.http.get(base, params={"clientId": _id(name)}, headers=self.headers)).json()
        answer = await self.http.put(f"{base}/{found['id']}", json={**found, "enabled": is_enabled}, headers=self.headers)
        assert answer.status_code == 204, answer.text


def _id(name: str) -> str:
    return f"urn:member:{name}"


def _scope(name: str) -> dict[str, Any]:
    """What a client asks for to get a token for `name`."""
    return {
        "name": _id(name),
        "protocol": "openid-connect",
        "attributes": {"include.in.token.scope": "true"},
        "protocolMappers": [_mapper("audience", "oidc-audience-mapper", {"included.custom.audience": _id(name)})],
    }


def _client(name: str, port: int, names: list[str]) -> dict[str, Any]:
    membership = {"claim.name": "membership", "claim.value": "active", "jsonType.label": "String"}
    return {
        "clientId": _id(name),
        "protocol": "openid-connect",
        "publicClient": False,
        "standardFlowEnabled": False,
        "serviceAccountsEnabled": True,
        "fullScopeAllowed": False,
        "clientAuthenticatorType": "client-jwt",
        "attributes": {
            "use.jwks.url": "true",
            "jwks.url": f"http://127.0.0.1:{port}/{name}/oauth2/jwks",
            "token.endpoint.auth.signing.alg": "ES256",
        },
        "defaultClientScopes": [],
        "optionalClientScopes": [_id(one) for one in names],
        "protocolMappers": [
            _mapper("subject", "oidc-sub-mapper", {}),
            _mapper("membership", "oidc-hardcoded-claim-mapper", membership),
        ],
    }


def _mapper(name: str, kind: str, config: dict[str, str]) -> dict[str, Any]:
    where = {"access.token.claim": "true", "introspection.token.claim": "true"}
    return {"name": name, "protocol": "openid-connect", "protocolMapper": kind, "config": {**config, **where}}


def _part(realm: Realm) -> dict[str, Any]:
    """What the settings of a connector say of the space."""
    return {
        "issuer": realm.issuer,
        "id_claim": "azp",
        "parameters": {"scope": "{peer}"},
        "claims": {"membership": "membership"},
    }


async def refused(member: Member, of: Member) -> str:
    """Why `member` gets no catalogue."""
    try:
        await member.catalog(of)
    except KontorError as fault:
        return str(fault)
    raise AssertionError(f"`{member.name}` was let in")


async def story(realm: Realm) -> None:
    """The whole of it."""
    names = ("acme", "beta", "stranger")
    ports = dict(zip(names, free_ports(3), strict=True))
    await realm.make({name: ports[name] for name in names[:2]})
    async with DataSpace() as space:
        acme, beta, stranger = (space.join(name, oauth2=_part(realm), unsafe_static_tokens=[]) for name in names)
        for member in (acme, beta, stranger):
            space._ports[member.name] = ports[member.name]
        offer = await acme.publish("weather", content=b"rain", policy=members_only())

        agreed = await beta.negotiate(offer)
        assert agreed.state == "FINALIZED", agreed
        assert await beta.get(agreed) == b"rain"
        say("two connectors negotiate and move data by tokens of Keycloak alone")

        say(f"who is no client gets no token: {await refused(stranger, acme)}")
        async with httpx.AsyncClient(trust_env=False) as http:
            for shown in ({}, {"Authorization": "Bearer x"}):
                assert (await http.post(f"{acme.address}/catalog/request", json={}, headers=shown)).status_code == 401
        say("who shows none is refused")

        await realm.enable("beta", is_enabled=False)
        began = time.monotonic()

        async def is_out() -> str:
            try:
                await beta.catalog(acme)
            except KontorError as fault:
                return str(fault)
            return ""

        why = await beta.until(is_out, bool)
        took = time.monotonic() - began
        # it has a token that is good for minutes by what stands in it
        assert took < 2, f"{took:.1f} s"
        say(f"a client that is switched off is out in {took:.2f} s with the token that it has: {why}")
        await realm.enable("beta", is_enabled=True)

        async def is_back() -> bool:
            return not await is_out()

        assert await beta.until(is_back, bool)
        say("and is back when it is switched on again")


def say(words: str) -> None:
    print(words, flush=True)


async def played(url: str) -> None:
    """The story with the Keycloak at `url`, which carries its administrator's name and password."""
    parts = urlsplit(url)
    base = f"{parts.scheme}://{parts.hostname}:{parts.port}"
    async with httpx.AsyncClient(trust_env=False, timeout=60) as http:
        form = {"grant_type": "password", "client_id": "admin-cli", "username": parts.username, "password": parts.password}
        answer = await http.post(f"{base}/realms/master/protocol/openid-connect/token", data=form)
        await story(Realm(base, http, {"Authorization": f"Bearer {answer.json()['access_token']}"}))


def main() -> int:
    """Play the story; 0 when all of it is true."""
    given = os.environ.get("KONTOR_KEYCLOAK")
    if given:
        asyncio.run(played(given))
        return 0
    began = time.monotonic()
    try:
        with keycloak.running() as url:
            say(f"Keycloak {keycloak.VERSION} is ready after {time.monotonic() - began:.0f} s")
            asyncio.run(played(url))
    except keycloak.ServerError as fault:
        print(fault, file=sys.stderr)
        return 1
    say(f"all of it is true, in {time.monotonic() - began:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
