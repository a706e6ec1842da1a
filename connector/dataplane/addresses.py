"""Data addresses over HTTP: making them with a token, reading them as the field writes them.

What does not live here: whether a token opens anything (the port Authorizer), and sending.
Source: Dataspace Protocol 2025-1, Transfer Process Protocol, "Data Address"; customs of the field: names by short name or IRI,
push addresses with `baseUrl`, a token that goes into `Authorization` as it stands.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import quote

from connector.dsp.messages import DataAddress, EndpointProperty
from connector.dsp.transfer import Access
from connector.errors import PeerMessage
from connector.ports.dataplane import Endpoint

PULL: Final = "HttpData-PULL"
PUSH: Final = "HttpData-PUSH"
S3_PULL: Final = "S3-PULL"
S3_PUSH: Final = "S3-PUSH"
AZURE_PUSH: Final = "AzureStorage-PUSH"
GOOGLE_PUSH: Final = "GoogleCloudStorage-PUSH"
NATS_PUSH: Final = "NATS-PUSH"
HTTP: Final = "https://w3id.org/idsa/v4.1/HTTP"
_EDC_SINK: Final = "HttpData"
"""How EDC names the sink of a push; it reads these properties, and takes the token as a header of its own."""
_EDC: Final = "https://w3id.org/edc/v0.0.1/ns/"
RESUMABLE: Final = "https://w3id.org/kontor/ns/resumable"
"""Our extension property: the receiver of a push says by it that a broken push can go on where it broke."""
FOLDERS: Final = "https://w3id.org/kontor/ns/folders"
"""Our extension property: the receiver of a push says by it that it takes folders, below its address."""
RENEWAL: Final = "https://w3id.org/kontor/ns/renewal"
"""Our extension property: where a consumer gets a new token for a pull, by POST with the one that it has."""
_TOKEN_BYTES = 32
_METHODS = ("POST", "PUT", "PATCH")


def new_endpoint(url: str, now: datetime, ttl_s: int, *, is_resumable: bool = False, renewal: str | None = None) -> Endpoint:
    """A data address at `url` with a new token, good for `ttl_s`."""
    token = secrets.token_urlsafe(_TOKEN_BYTES)
    properties = {"authorization": token, "authType": "bearer", "expiresIn": str(ttl_s)}
    if renewal is not None:
        properties[RENEWAL] = renewal
    if is_resumable:
        properties |= {RESUMABLE: "true", FOLDERS: "true"}
        properties |= {f"{_EDC}baseUrl": url, f"{_EDC}authKey": "Authorization", f"{_EDC}authCode": f"Bearer {token}"}
    return Endpoint(
        address=DataAddress(
            endpoint_type=_EDC_SINK if is_resumable else HTTP,
            endpoint=url,
            endpoint_properties=tuple(EndpointProperty(name=name, value=value) for name, value in properties.items()),
        ),
        access=Access(token_sha256=hashlib.sha256(token.encode()).hexdigest(), expires_at=now + timedelta(seconds=ttl_s)),
    )


def token_of(authorization: str | None) -> str | None:
    """The token in an `Authorization` header, with or without the scheme `Bearer`."""
    if authorization is None:
        return None
    text = authorization.strip()
    return text[7:].strip() if text[:7].lower() == "bearer " else text or None


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """Where a push goes."""

    url: str
    method: str
    headers: Mapping[str, str]
    is_resumable: bool
    takes_folders: bool = False


def destination(address: DataAddress | None) -> Destination:
    """Where the consumer wants a push, from its data address.

    Raises: PeerMessage when the address leads nowhere.
    """
    url = address.endpoint_url() if address is not None else None
    if address is None or not url:
        raise PeerMessage("the data address of the push names no endpoint", where="dataAddress", mend="name an `endpoint`")
    path = address.property("path")
    if path:
        url = f"{url.rstrip('/')}/{quote(path.lstrip('/'))}"
    headers: dict[str, str] = {}
    authorization, key, code = (address.property(name) for name in ("authorization", "authKey", "authCode"))
    if authorization:
        # a push is sent once: unlike a reader it cannot try the token bare and with its scheme
        is_bare = (address.property("authType") or "").lower() == "bearer" and " " not in authorization.strip()
        headers["Authorization"] = f"Bearer {authorization}" if is_bare else authorization
    elif key and code:
        headers[key] = code
    method = (address.property("method") or "POST").upper()
    return Destination(
        url=url,
        method=method if method in _METHODS else "POST",
        headers=headers,
        is_resumable=address.property(RESUMABLE) == "true",
        takes_folders=address.property(FOLDERS) == "true",
    )


def readings(address: DataAddress | None, path: str) -> tuple[str, tuple[Mapping[str, str], ...]]:
    """The URL of `path` below a pull's address, and the headers to try one after the other until one is not answered by 401.

    A token is sent as the provider gave it; some providers give it bare and still expect the scheme.

    Raises: PeerMessage when the address leads nowhere.
    """
    url = address.endpoint_url() if address is not None else None
    if address is None or not url:
        raise PeerMessage("the provider's data address names no endpoint", where="dataAddress")
    if path:
        url = f"{url.rstrip('/')}/{quote(path)}"
    token = address.property("authorization")
    if not token:
        key, code = address.property("authKey"), address.property("authCode")
        return url, ({key: code} if key and code else {},)
    as_given = {"Authorization": token}
    if " " in token.strip():
        return url, (as_given,)
    return url, (as_given, {"Authorization": f"Bearer {token}"})
