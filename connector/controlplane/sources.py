"""From the description of a source to the source itself, with what opens it.

What lives here: pure steps from the models of the operator API, and the text of a secret, to what the data plane reads from.
What does not: keeping and opening secrets (`secrets.py`), the offering (`offerings.py`), reading (`dataplane/`).
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import replace
from typing import Final

from connector.api.offerings import Asset
from connector.api.sources import AssetSource, Login
from connector.errors import ConfigurationError, KontorError
from connector.ports.dataplane import ClientCredentials, EventPlace, ObjectPlace, Passing, Source, StoreKind
from connector.strict import scan

_SHORTEST_KEY: Final = 16


def source_of(asset: Asset) -> Source:
    """Where the data of `asset` lies, without credentials."""
    found = asset.source
    place = found.path or found.stream or found.url or found.key or found.bucket or asset.id
    return Source(
        type=found.type,
        path=found.path,
        url=found.url if found.type == "http" else None,
        events=EventPlace(url=found.url, stream=found.stream, subject=found.subject, is_new_only=found.new_only)
        if found.stream is not None and found.url is not None
        else None,
        objects=ObjectPlace(
            kind=StoreKind(found.type),
            bucket=found.bucket,
            key=found.key or "",
            endpoint=found.endpoint,
            region=found.region or "us-east-1",
            account=found.account,
        )
        if found.bucket is not None
        else None,
        is_proxied=found.proxied,
        passing=Passing(
            methods=found.passes.methods, path=found.passes.path, query=found.passes.query, errors=found.passes.errors
        ),
        media_type=asset.media_type,
        name=place.rstrip("/").rsplit("/", 1)[-1] or "data",
        digest=asset.digest,
        byte_size=asset.byte_size,
    )


def unlocked(source: Source, described: AssetSource, secret: str) -> Source:
    """`source` with what the text of its secret opens.

    Raises: ConfigurationError when the secret is not what its source needs.
    """
    name = described.secret or ""
    if source.objects is not None:
        return replace(source, objects=_with_keys(source.objects, secret, name))
    if source.events is not None:
        return replace(source, events=replace(source.events, credentials=secret.strip()))
    login = described.login
    if login is None:
        return replace(source, headers={described.secret_header: secret})
    match login.type:
        case "basic":
            pair = ":".join(_pair(secret, name, "USER:PASSWORD"))
            return replace(source, headers={"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"})
        case "bearer":
            return replace(source, headers={"Authorization": f"Bearer {secret.strip()}"})
        case "oauth2":
            return replace(source, client=_client(login, secret, name))
        case "certificate":
            if "PRIVATE KEY-----" not in secret or "-----BEGIN CERTIFICATE-----" not in secret:
                raise ConfigurationError(
                    "the secret holds no certificate with its key", where=name, mend="store both, one after the other, as PEM"
                )
            return replace(source, certificate=secret)


def _client(login: Login, secret: str, name: str) -> ClientCredentials:
    client_id, client_secret = _pair(secret, name, "CLIENT_ID:CLIENT_SECRET")
    return ClientCredentials(
        token_url=login.token_url or "", client_id=client_id, client_secret=client_secret, scope=login.scope
    )


def _pair(secret: str, name: str, shape: str) -> tuple[str, str]:
    first, colon, second = secret.strip().partition(":")
    if not first or not colon:
        raise ConfigurationError(f"the secret is not of the form `{shape}`", where=name, mend=f"store it as `{shape}`")
    return first, second


def _with_keys(place: ObjectPlace, secret: str, name: str) -> ObjectPlace:
    """`place` with the keys in `secret`.

    Raises: ConfigurationError when it does not hold any.
    """
    match place.kind:
        case StoreKind.AZURE:
            return replace(place, secret_key=_azure_key(secret.strip(), name))
        case StoreKind.GCS:
            return replace(place, secret_key=_google_key(secret, name))
        case StoreKind.S3:
            return _with_s3_keys(place, secret, name)


def _azure_key(secret: str, name: str) -> str:
    if "sig=" in secret:
        return secret.lstrip("?")
    try:
        is_key = len(base64.b64decode(secret, validate=True)) >= _SHORTEST_KEY
    except binascii.Error:
        is_key = False
    if not is_key:
        raise ConfigurationError(
            "the secret is no key of a storage account and no shared access signature", where=name, mend="store one of them"
        )
    return secret


def _google_key(secret: str, name: str) -> str:
    try:
        found = scan(secret.encode())
    except KontorError:
        found = None
    if not isinstance(found, dict) or not all(isinstance(found.get(word), str) for word in ("client_email", "private_key")):
        raise ConfigurationError(
            "the secret is no key of a service account", where=name, mend="store its JSON file as it was downloaded"
        )
    return secret


def _with_s3_keys(place: ObjectPlace, secret: str, name: str) -> ObjectPlace:
    access_key, _, rest = secret.strip().partition(":")
    secret_key, _, token = rest.partition(":")
    if not access_key or not secret_key:
        raise ConfigurationError(
            "the secret holds no keys of an object store", where=name, mend="store it as `ACCESS_KEY:SECRET_KEY`"
        )
    return replace(place, access_key=access_key, secret_key=secret_key, session_token=token or None)
