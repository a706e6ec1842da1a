"""From the description of a source to the source itself, with what opens it.

What lives here: pure steps from the models of the operator API, and the text of a secret, to what the data plane reads from.
What does not: keeping and opening secrets (`secrets.py`), the offering (`offerings.py`), reading (`dataplane/`).
"""

from __future__ import annotations

import base64
from dataclasses import replace

from connector.api.offerings import Asset
from connector.api.sources import AssetSource, Login
from connector.errors import ConfigurationError
from connector.ports.dataplane import ClientCredentials, ObjectPlace, Passing, Source


def source_of(asset: Asset) -> Source:
    """Where the data of `asset` lies, without credentials."""
    found = asset.source
    place = found.path or found.url or found.key or found.bucket or asset.id
    return Source(
        type=found.type,
        path=found.path,
        url=found.url,
        objects=ObjectPlace(
            bucket=found.bucket, key=found.key or "", endpoint=found.endpoint, region=found.region or "us-east-1"
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
    access_key, _, rest = secret.strip().partition(":")
    secret_key, _, token = rest.partition(":")
    if not access_key or not secret_key:
        raise ConfigurationError(
            "the secret holds no keys of an object store", where=name, mend="store it as `ACCESS_KEY:SECRET_KEY`"
        )
    return replace(place, access_key=access_key, secret_key=secret_key, session_token=token or None)
