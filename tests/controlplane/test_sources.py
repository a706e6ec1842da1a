"""From the description of a source and the text of its secret to what the data plane reads from."""

from __future__ import annotations

from base64 import b64decode, b64encode

import pytest
from pydantic import ValidationError

from connector.api.offerings import Asset
from connector.api.sources import AssetSource
from connector.controlplane.sources import source_of, unlocked
from connector.errors import ConfigurationError
from connector.ports.dataplane import ObjectPlace, Passing, Source, StoreKind

URL = "https://upstream.example/api"


def opened(secret: str, **source: object) -> Source:
    described = AssetSource.model_validate({"type": "http", "url": URL, "secret": "word", **source})
    return unlocked(source_of(Asset(id="urn:a", source=described)), described, secret)


def test_each_login_shows_the_secret_in_its_own_way() -> None:
    assert opened("whole value").headers == {"Authorization": "whole value"}
    assert opened("k", secret_header="X-Key").headers == {"X-Key": "k"}
    assert opened("t\n", login={"type": "bearer"}).headers == {"Authorization": "Bearer t"}
    basic = opened("anna:a:b", login={"type": "basic"}).headers
    assert basic is not None
    assert b64decode(basic["Authorization"].removeprefix("Basic ")) == b"anna:a:b"
    client = opened("id:sec:ret", login={"type": "oauth2", "token_url": "https://login.example/token", "scope": "read"}).client
    assert client is not None
    assert (client.client_id, client.client_secret, client.scope) == ("id", "sec:ret", "read")
    pem = "-----BEGIN CERTIFICATE-----\n...\n-----BEGIN PRIVATE KEY-----\n..."
    assert opened(pem, login={"type": "certificate"}).certificate == pem


def stored(secret: str, **source: object) -> ObjectPlace:
    found = opened(secret, url=None, bucket="weather", key="2025/", **source).objects
    assert found is not None
    return found


def test_each_object_store_is_opened_by_its_own_kind_of_secret() -> None:
    place = stored("A:S:T", type="s3")
    assert (place.kind, place.access_key, place.secret_key, place.session_token) == (StoreKind.S3, "A", "S", "T")
    key = b64encode(b"k" * 32).decode()
    place = stored(f"{key}\n", type="azure", account="weather")
    assert (place.kind, place.account, place.secret_key) == (StoreKind.AZURE, "weather", key)
    assert stored("?sv=2018&sig=x", type="azure", account="weather").secret_key == "sv=2018&sig=x"
    account = '{"client_email": "a@b", "private_key": "pem"}'
    place = stored(account, type="gcs")
    assert (place.kind, place.secret_key) == (StoreKind.GCS, account)
    assert "pem" not in repr(place)


@pytest.mark.parametrize(
    ("secret", "kind"), [("A", "s3"), ("no key!", "azure"), ("c2hvcnQ=", "azure"), ("{}", "gcs"), ("x", "gcs")]
)
def test_a_secret_that_opens_no_such_store_says_how_to_store_it(secret: str, kind: str) -> None:
    with pytest.raises(ConfigurationError, match="store"):
        stored(secret, type=kind, **({"account": "weather"} if kind == "azure" else {}))


def test_no_secret_shows_in_a_log() -> None:
    login = {"type": "oauth2", "token_url": "https://login.example/token"}
    assert "hush" not in repr(opened("id:hush", login=login).client)
    assert "hush" not in repr(opened("-----BEGIN CERTIFICATE-----PRIVATE KEY-----hush", login={"type": "certificate"}))


@pytest.mark.parametrize(
    ("secret", "kind"),
    [("anna", "basic"), (":b", "basic"), ("id", "oauth2"), ("-----BEGIN CERTIFICATE-----", "certificate"), ("", "basic")],
)
def test_a_secret_that_does_not_fit_its_login_says_how_to_store_it(secret: str, kind: str) -> None:
    login = {"type": kind, "token_url": "https://login.example/token"} if kind == "oauth2" else {"type": kind}
    with pytest.raises(ConfigurationError, match="store"):
        opened(secret, login=login)


def test_what_passes_is_what_the_source_says() -> None:
    passes = {"methods": ["GET", "POST"], "path": True, "query": ["from"], "errors": True}
    described = AssetSource.model_validate({"type": "http", "url": URL, "passes": passes})
    assert source_of(Asset(id="urn:a", source=described)).passing == Passing(
        methods=("GET", "POST"), path=True, query=("from",), errors=True
    )
    assert source_of(Asset(id="urn:a", source=AssetSource(type="none"))).passing == Passing()


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ({"type": "file", "path": "/a", "login": {"type": "bearer"}, "secret": "s"}, "is no upstream"),
        ({"type": "file", "path": "/a", "passes": {"path": True}}, "is no upstream"),
        ({"type": "http", "url": URL, "login": {"type": "bearer"}}, "needs `secret`"),
        ({"type": "http", "url": URL, "secret": "s", "login": {"type": "oauth2"}}, "needs `token_url`"),
        ({"type": "http", "url": URL, "secret": "s", "login": {"type": "basic", "scope": "x"}}, "has no `token_url`"),
        ({"type": "azure", "bucket": "weather"}, "needs `account`"),
        ({"type": "gcs", "bucket": "weather", "account": "weather"}, "has no `account`"),
        ({"type": "gcs", "bucket": "weather", "endpoint": "https://store.example/path"}, "has a path"),
        ({"type": "azure", "account": "weather", "bucket": "abc", "region": "eu"}, "has no `region`"),
        ({"type": "http", "url": URL, "passes": {"methods": []}}, "at least 1"),
        ({"type": "http", "url": URL, "passes": {"methods": ["DELETE"]}}, "'GET' or 'POST'"),
    ],
)
def test_a_source_that_makes_no_sense_is_refused_with_the_reason(source: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        AssetSource.model_validate(source)
