"""Whose call it is: a plane is proven by its own secret or key, and everything that is not so gets one answer (rules b and c)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from connector import jose
from connector.errors import Unauthenticated, Unproven
from connector.jose import PublicKey
from connector.signaling.callers import Callers
from connector.signaling.entries import Authorization, Entry
from connector.storage.memory import Memory, MemoryStore
from connector.testing.clock import MovedClock

NOW = datetime(2026, 3, 1, tzinfo=UTC)
KEY, OTHER = jose.generate("key-1"), jose.generate("key-1")


def entry(id_: str, **authorization: Any) -> Entry:
    return Entry(participant="acme", id=id_, endpoint="https://dp.internal", authorization=Authorization(**authorization))


BY_KEY = entry("dp-1", jwks=({**KEY.public.jwk(), "kid": "key-1"},))
BY_URI = entry("dp-2", jwks_uri="https://login.internal/jwks")
BY_SECRET = entry("dp-3", secret="between us")
ALL = (BY_KEY, BY_URI, BY_SECRET)
BROKERED = replace(
    entry(
        "dp-4",
        exchange_endpoint="https://broker.internal/token",
        issuer="https://broker.internal",
        jwks_uri="https://broker.internal/jwks",
        scope="flows",
    ),
    principal="urn:them",
)


class _Keys:
    async def key(self, key_id: str | None) -> PublicKey:
        if key_id != "key-1":
            raise Unproven("no such key", check="key-id")
        return KEY.public


@pytest.fixture
def callers() -> Callers:
    store = MemoryStore(node="n", lease_s=30, memory=Memory())
    return Callers(MovedClock(NOW), store.replay, lambda _: _Keys())


def token(key: jose.SigningKey = KEY, **changes: Any) -> str:
    at = int(NOW.timestamp())
    claims = {"iss": "login", "sub": "dp-1", "aud": "us", "iat": at, "exp": at + 300, **changes}
    return f"Bearer {jose.sign(key, {name: value for name, value in claims.items() if value is not None})}"


async def test_each_plane_is_proven_by_what_is_registered_for_it(callers: Callers) -> None:
    assert await callers.prove("Bearer between us", ALL, audience="us") is BY_SECRET
    assert await callers.prove(token(), ALL, audience="us") is BY_KEY
    assert await callers.prove(token(sub="dp-2"), ALL, audience="us") is BY_URI
    # many servers name us among others
    assert await callers.prove(token(aud=["us", "others"]), ALL, audience="us") is BY_KEY


@pytest.mark.parametrize(
    "shown",
    [
        None,
        "",
        "between us",
        "Basic between us",
        "Bearer between them",
        "Bearer a.b.c",
        token(OTHER),
        token(jose.generate("key-9"), sub="dp-2"),
        token(aud="somebody else"),
        token(aud=[]),
        token(aud=None),
        token(sub="dp-9"),
        token(sub="dp-3"),
        token(sub=None),
        token(exp=None),
        token(iat=None),
        token(exp=int(NOW.timestamp()) - 60),
        token(iat=int(NOW.timestamp()) + 3600, exp=int(NOW.timestamp()) + 7200),
        token(exp=int((NOW + timedelta(days=30)).timestamp())),
    ],
)
async def test_everything_else_gets_one_answer(callers: Callers, shown: str | None) -> None:
    with pytest.raises(Unauthenticated) as caught:
        await callers.prove(shown, ALL, audience="us")
    assert caught.value.what == "no valid token"


def exchanged(key: jose.SigningKey = KEY, **changes: Any) -> str:
    """A token as a broker gives it."""
    claims = {
        "iss": "https://broker.internal",
        "sub": "urn:them",
        "scope": "flows more",
        "participant_context": "acme",
        "act": {"sub": "system:serviceaccount:a:b"},
    }
    return token(key, **{**claims, **changes})


async def test_a_plane_behind_a_broker_is_proven_by_whom_it_speaks_for(callers: Callers) -> None:
    assert await callers.prove(exchanged(), (*ALL, BROKERED), audience="us") is BROKERED


@pytest.mark.parametrize(
    "shown",
    [
        exchanged(OTHER),
        exchanged(iss="https://another.internal"),
        exchanged(iss=None),
        exchanged(aud="somebody else"),
        exchanged(sub="dp-4"),
        exchanged(sub="urn:others"),
        exchanged(scope="more"),
        exchanged(scope=None),
        exchanged(scope=["flows"]),
        exchanged(participant_context=None),
        exchanged(exp=int(NOW.timestamp()) - 60),
    ],
)
async def test_what_a_broker_has_not_said_of_it_opens_nothing(callers: Callers, shown: str) -> None:
    with pytest.raises(Unauthenticated):
        await callers.prove(shown, (*ALL, BROKERED), audience="us")


async def test_a_server_may_name_a_plane_as_the_operator_says(callers: Callers) -> None:
    named = replace(BY_URI, principal="service-account-7", authorization=replace(BY_URI.authorization, issuer="login"))
    assert await callers.prove(token(sub="service-account-7"), (BY_KEY, named), audience="us") is named
    for shown in (token(sub="dp-2"), token(sub="service-account-7", iss="another")):
        with pytest.raises(Unauthenticated):
            await callers.prove(shown, (BY_KEY, named), audience="us")


async def test_a_token_with_an_id_of_its_own_is_good_once(callers: Callers) -> None:
    once = token(jti="1")
    await callers.prove(once, ALL, audience="us")
    with pytest.raises(Unauthenticated):
        await callers.prove(once, ALL, audience="us")
    # without one it can be told from none, and lasts as long as it says
    for _ in range(2):
        await callers.prove(token(), ALL, audience="us")


async def test_a_plane_comes_unproven_only_by_the_operators_word_and_never_in_place_of_another(callers: Callers) -> None:
    open_ = Entry(participant="acme", id="edc", endpoint="http://edc.internal", is_unverified=True)
    assert await callers.prove(None, (*ALL, open_), audience="us") is open_
    with pytest.raises(Unauthenticated):
        await callers.prove(None, ALL, audience="us")
    # one that is expected, and registered by now, is still one
    assert await callers.prove(None, (open_, open_), audience="us") is open_
    # with two of them nobody could tell which one calls
    with pytest.raises(Unauthenticated):
        await callers.prove(
            None, (open_, Entry(participant="acme", id="b", endpoint="http://b", is_unverified=True)), audience="us"
        )
