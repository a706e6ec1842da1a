"""What may be registered of a plane: every address on its list (rule d), something that proves its calls (rule c), nothing half."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from connector.errors import AddressRefused, BadMessage
from connector.signaling.entries import Authorization, Entry, authorization_of, entry_of, is_below, tree_of

OAUTH2 = {
    "type": "oauth2_client_credentials",
    "tokenEndpoint": "https://login.internal/token",
    "clientId": "us",
    "clientSecret": "s3cret",
    "jwksUri": "https://login.internal/jwks",
}
EXCHANGED = {
    "type": "oauth2_token_exchange",
    "tokenExchangeEndpoint": "https://broker.internal/token",
    "issuer": "https://broker.internal",
    "jwksUri": "https://broker.internal/jwks",
    "resource": "urn:us",
    "audience": "the-plane",
    "scope": "signaling:dataflow",
}
ENTRY = Entry(
    participant="acme",
    id="dp-1",
    endpoint="https://dp.internal/v1",
    profiles=("HttpData-PULL",),
    authorization=authorization_of(OAUTH2),
    hosts=("*.internal",),
)


def test_a_whole_entry_is_lawful_and_comes_back_as_it_was() -> None:
    ENTRY.vet()
    assert authorization_of(ENTRY.authorization.tree()) == ENTRY.authorization
    assert entry_of("acme", "dp-1", tree_of(ENTRY), ENTRY.authorization, allows_http=False) == ENTRY
    brokered = replace(ENTRY, authorization=authorization_of(EXCHANGED), principal="urn:them")
    brokered.vet()
    assert brokered.authorization.tree() == EXCHANGED
    assert entry_of("acme", "dp-1", tree_of(brokered), authorization_of(EXCHANGED), allows_http=False) == brokered


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"endpoint": "https://elsewhere.example/v1"}, "endpoint"),
        ({"endpoint": "http://dp.internal/v1"}, "endpoint"),
        ({"endpoint": "https://user:pass@dp.internal/v1"}, "endpoint"),
        ({"endpoint": "https://dp.internal/v1?next=1"}, "endpoint"),
        ({"endpoint": "ftp://dp.internal/v1"}, "endpoint"),
        ({"endpoint": "https://[::1/v1"}, "endpoint"),
        ({"endpoint": "https://dp.internal:99999/v1"}, "endpoint"),
        ({"hosts": ()}, "authorization.tokenEndpoint"),
        ({"authorization": authorization_of({**OAUTH2, "jwksUri": "https://evil.example/jwks"})}, "authorization.jwksUri"),
        (
            {"authorization": authorization_of({**EXCHANGED, "tokenExchangeEndpoint": "https://evil.example/t"})},
            "authorization.tokenExchangeEndpoint",
        ),
        (
            {"authorization": authorization_of({**OAUTH2, "tokenEndpoint": "https://169.254.169.254/t"})},
            "authorization.tokenEndpoint",
        ),
    ],
)
def test_each_address_of_a_plane_must_be_on_its_list(changes: dict[str, Any], where: str) -> None:
    with pytest.raises(AddressRefused) as caught:
        replace(ENTRY, **changes).vet()
    assert caught.value.where == where


def test_a_plane_without_keys_is_refused_unless_the_operator_says_so() -> None:
    keyless = authorization_of({name: value for name, value in OAUTH2.items() if name != "jwksUri"})
    for without in (Authorization(), keyless):
        with pytest.raises(BadMessage, match="no keys"):
            replace(ENTRY, authorization=without).vet()
        replace(ENTRY, authorization=without, is_unverified=True).vet()


@pytest.mark.parametrize(
    "tree",
    [
        {"type": "oauth2_token_exchange", "issuer": "https://k8s"},
        {**EXCHANGED, "issuer": None},
        {**EXCHANGED, "jwksUri": None},
        {**EXCHANGED, "jwks": {"keys": []}},
        {"type": "oauth2_device_code"},
        {"type": "shared_secret"},
        {"type": "shared_secret", "secret": "two\nlines"},
        {**OAUTH2, "clientSecret": None},
        {**OAUTH2, "jwks": "keys"},
        {**OAUTH2, "jwks": {"keys": ["key"]}},
    ],
)
def test_an_authorization_that_is_unknown_or_not_whole_is_refused(tree: dict[str, Any]) -> None:
    with pytest.raises(BadMessage):
        authorization_of(tree)


def test_what_a_broker_is_asked_for_is_the_word_of_the_operator() -> None:
    named = authorization_of(EXCHANGED)
    # whoever gets a token that is made for another plane could speak for us there
    own = authorization_of({**EXCHANGED, "audience": "another plane", "resource": "urn:admin", "scope": "all"})
    assert own.vouched(named) == named
    for other in (authorization_of(OAUTH2), authorization_of({**EXCHANGED, "tokenExchangeEndpoint": "https://dp.internal/t"})):
        with pytest.raises(AddressRefused, match="no plane names the broker"):
            own.vouched(other)
    assert authorization_of(OAUTH2).vouched(named) == authorization_of(OAUTH2)


@pytest.mark.parametrize(
    ("url", "is_lawful"),
    [
        ("https://cp.internal/acme", True),
        ("https://cp.internal/acme/v2", True),
        ("https://cp.internal/acme2", False),
        ("https://cp.internal/other", False),
        ("https://cp.internal/acme/../other", False),
        ("https://cp.internal/acme/%2e%2e/other", False),
        ("https://cp.internal:8443/acme", False),
        ("http://cp.internal/acme", False),
        ("https://cp.internal@evil.example/acme", False),
        ("https://evil.example/acme", False),
        ("https://cp.internal:443/acme", True),
        ("https://cp.internal/acme/did%3Aweb%3Ax", True),
        ("https://cp.internal/acme/%2F..%2Fother", False),
        ("https://cp.internal/acme/%252e%252e/other", False),
        ("https://cp.internal/acme/..\\other", False),
        ("https://cp.internal/acme#x", False),
        ("https://[::1/acme", False),
        ("https://cp.internal:99999/acme", False),
    ],
)
def test_a_callback_lies_below_what_was_registered(url: str, is_lawful: bool) -> None:
    assert is_below(url, "https://cp.internal/acme/") is is_lawful


def test_what_opens_anything_is_never_shown() -> None:
    shared = replace(ENTRY, authorization=Authorization(secret="between us"))
    assert "s3cret" not in repr(ENTRY)
    assert "between us" not in repr(shared)
    assert "s3cret" not in str(tree_of(ENTRY))
