"""A provider over a memory store, with clients whose keys are at hand."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest_asyncio

from connector import jose
from connector.errors import Unproven
from connector.identity.keys import Keys, Passphrase, Sealed
from connector.identity.oauth2 import assertions
from connector.identity.oauth2.clients import Client
from connector.identity.oauth2.provider import Provider, ProviderRules, Reply
from connector.jose import PublicKey, SigningKey
from connector.storage import open_store
from connector.testing.clock import MovedClock

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
ISSUER = "https://authority.example/authority"
ACME, BETA, GONE = "urn:member:acme", "urn:member:beta", "urn:member:gone"


@dataclass
class Known:
    """The clients of a space, and how often their keys were asked for."""

    clients: dict[str, Client]
    keys: dict[str, SigningKey]
    asked: list[str] = field(default_factory=list)

    async def client(self, id_: str) -> Client | None:
        return self.clients.get(id_)

    async def key(self, id_: str, key_id: str | None) -> PublicKey:
        self.asked.append(id_)
        if key_id != self.keys[id_].id:
            raise Unproven("no such key", check="key-id")
        return self.keys[id_].public


@dataclass
class Scene:
    """The provider and whoever asks it."""

    provider: Provider
    known: Known
    clock: MovedClock
    ids: Any = field(default_factory=itertools.count)

    def assertion(self, client: str = ACME, key: SigningKey | None = None, **changes: Any) -> str:
        at = int(self.clock.now().timestamp())
        claims = {"iss": client, "sub": client, "aud": ISSUER, "iat": at, "exp": at + 60, "jti": f"a{next(self.ids)}"}
        kept = {name: value for name, value in {**claims, **changes}.items() if value is not ...}
        return jose.sign(key or self.known.keys[client], kept)

    def form(self, client: str = ACME, **changes: Any) -> dict[str, str]:
        plain = {
            "grant_type": "client_credentials",
            "client_assertion_type": assertions.TYPE,
            "client_assertion": changes.pop("assertion", None) or self.assertion(client),
            "resource": BETA,
        }
        return {name: value for name, value in {**plain, **changes}.items() if value is not ...}

    async def token(self, client: str = ACME, **changes: Any) -> str:
        reply = await self.provider.token(self.form(client, **changes))
        assert reply.status == 200, reply.body
        return str(reply.body["access_token"])

    async def about(self, what: str, raw: str, client: str = BETA) -> Reply:
        ask = self.provider.introspect if what == "introspect" else self.provider.revoke
        return await ask(self.form(client, token=raw, resource=...))

    async def is_active(self, raw: str, client: str = BETA) -> bool:
        return bool((await self.about("introspect", raw, client)).body["active"])


async def scene_with(rules: ProviderRules) -> AsyncIterator[Scene]:
    clock = MovedClock(NOW)
    store = open_store("memory:", node="n", lease_s=30)
    await store.open()
    ids = itertools.count()
    keys = Keys(store, Sealed(Passphrase(b"a passphrase of tests")), clock, lambda: f"k{next(ids)}", lambda _: None)
    known = Known(
        clients={
            ACME: Client(id=ACME, is_active=True, scopes=frozenset({"catalog"}), claims={"region": "EU"}),
            BETA: Client(id=BETA, is_active=True),
            GONE: Client(id=GONE, is_active=False),
        },
        keys={one: jose.generate(f"{one}#k") for one in (ACME, BETA, GONE)},
    )
    yield Scene(
        Provider(rules, clients=known, keys=keys, store=store, clock=clock, new_id=lambda: f"t{next(ids)}"), known, clock
    )
    await store.close()


@pytest_asyncio.fixture
async def scene() -> AsyncIterator[Scene]:
    async for found in scene_with(ProviderRules(issuer=ISSUER)):
        yield found
