"""A plane of somebody else as it is kept: where it is, what it does, and how the two of us prove ourselves to each other.

What lives here: values, their trees, and the check of every address that a plane names. What does not: keeping them (`planes.py`),
proving (`callers.py`, `logins.py`).
An authorization says two things: how we get what our calls to that plane carry, and what proves that plane's calls to us. Planes are
mostly on private networks, so every address of one is held against a list of hosts that its operator wrote, not against what is public.
Source: Data Plane Signaling v1.0-RC3, "Authorization", and its authorization profiles; section 5 of the facts for what is refused.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

from connector.dps.messages import Dialect
from connector.errors import AddressRefused, BadMessage

OAUTH2: Final = "oauth2_client_credentials"
EXCHANGE: Final = "oauth2_token_exchange"
"""A broker gives tokens for what proves a process where it runs (Kubernetes, SPIFFE): RFC 8693."""
SHARED: Final = "shared_secret"
"""Our own: both planes hold one secret, sent as a bearer token. For pairs of ours, and for planes of the older dialect behind a proxy."""
_MOST_KEYS: Final = 20
_PORTS: Final = {"http": 80, "https": 443}
_ENCODED: Final = re.compile("%(2e|2f|5c|25)", re.IGNORECASE)


class Owner(StrEnum):
    """Who wrote an entry."""

    OPERATOR = "operator"
    PLANE = "plane"


@dataclass(frozen=True, slots=True, kw_only=True)
class Authorization:
    """How two planes prove themselves to each other; nothing set: not at all."""

    token_endpoint: str | None = None
    client_id: str | None = None
    client_secret: str | None = field(default=None, repr=False)
    exchange_endpoint: str | None = None
    """The broker that gives us the tokens of our calls."""
    issuer: str | None = None
    """What the tokens of its calls must name; None: whatever their keys have signed."""
    resource: str | None = None
    """Whom we speak for, as the broker knows us."""
    audience: str | None = None
    """What the plane calls itself there; None: its id."""
    scope: str = ""
    jwks: tuple[Mapping[str, Any], ...] = ()
    jwks_uri: str | None = None
    secret: str | None = field(default=None, repr=False)

    @property
    def proves(self) -> bool:
        """True when calls of the plane can be proven by it."""
        return bool(self.secret or self.jwks or self.jwks_uri)

    @property
    def calls(self) -> bool:
        """True when it says what our own calls carry."""
        return bool(self.secret or self.token_endpoint or self.exchange_endpoint)

    def calling(self, other: Authorization) -> Authorization:
        """This one, with what our own calls carry by `other`."""
        return replace(
            self,
            token_endpoint=other.token_endpoint,
            client_id=other.client_id,
            client_secret=other.client_secret,
            exchange_endpoint=other.exchange_endpoint,
            resource=other.resource,
            audience=other.audience,
            scope=other.scope,
        )

    def vouched(self, other: Authorization) -> Authorization:
        """This one, which a plane gives of itself, as far as its word goes: a broker is shown what proves this process. Which one that
        is, and for whom it is asked, is the operator's word in `other` alone.

        Raises: AddressRefused for another broker.
        """
        if self.exchange_endpoint is None:
            return self
        if self.exchange_endpoint != other.exchange_endpoint:
            raise AddressRefused(
                "no plane names the broker that is shown what proves this process",
                where="authorization.tokenExchangeEndpoint",
                mend="have the operator write it into the settings, or register the plane",
            )
        return self.calling(other)

    def addresses(self) -> Iterator[tuple[str, str]]:
        """The addresses in it, with their names."""
        named = ("tokenEndpoint", "tokenExchangeEndpoint", "jwksUri")
        for name, url in zip(named, (self.token_endpoint, self.exchange_endpoint, self.jwks_uri), strict=True):
            if url is not None:
                yield name, url

    def tree(self) -> dict[str, Any]:
        """As the standard spells it."""
        if self.secret is not None:
            return {"type": SHARED, "secret": self.secret}
        if self.exchange_endpoint is not None:
            exchanged = {
                "type": EXCHANGE,
                "tokenExchangeEndpoint": self.exchange_endpoint,
                "issuer": self.issuer,
                "jwksUri": self.jwks_uri,
                "resource": self.resource,
                "audience": self.audience,
                "scope": self.scope or None,
            }
            return {name: value for name, value in exchanged.items() if value is not None}
        found = {
            "type": OAUTH2,
            "tokenEndpoint": self.token_endpoint,
            "clientId": self.client_id,
            "clientSecret": self.client_secret,
            "issuer": self.issuer,
            "jwksUri": self.jwks_uri,
            "jwks": {"keys": [dict(key) for key in self.jwks]} if self.jwks else None,
        }
        return {name: value for name, value in found.items() if value is not None} if any(found.values()) else {}


def authorization_of(tree: Mapping[str, Any] | None) -> Authorization:
    """What `tree` says.

    Raises: BadMessage for a profile that we do not speak, or one that is not whole.
    """
    if not tree or not tree.get("type"):
        return Authorization()
    kind = tree["type"]
    if kind == SHARED:
        return Authorization(secret=_text(tree, "secret"))
    if kind == EXCHANGE:
        return _exchange(tree)
    if kind != OAUTH2:
        mend = f"use `{OAUTH2}`, `{EXCHANGE}` or `{SHARED}`"
        raise BadMessage(f"the authorization profile `{kind}` is not known here", where="authorization.type", mend=mend)
    keys = tree.get("jwks")
    keys = keys.get("keys") if isinstance(keys, Mapping) else keys
    if keys is not None and (
        not isinstance(keys, list) or len(keys) > _MOST_KEYS or not all(isinstance(k, dict) for k in keys)
    ):
        raise BadMessage("`jwks` is no set of keys", where="authorization.jwks", mend="send a JWK Set")
    is_caller = any(tree.get(name) for name in ("tokenEndpoint", "clientId", "clientSecret"))
    return Authorization(
        token_endpoint=_text(tree, "tokenEndpoint") if is_caller else None,
        client_id=_text(tree, "clientId") if is_caller else None,
        client_secret=_text(tree, "clientSecret") if is_caller else None,
        # not of the profile: an operator's word about tokens of a server that signs for many
        issuer=_text(tree, "issuer") if tree.get("issuer") is not None else None,
        jwks=tuple(keys or ()),
        jwks_uri=_text(tree, "jwksUri") if tree.get("jwksUri") is not None else None,
    )


def _exchange(tree: Mapping[str, Any]) -> Authorization:
    if tree.get("jwks") is not None:
        raise BadMessage("a broker's keys are served, never written down", where="authorization.jwks", mend="send `jwksUri`")
    given = {name: _text(tree, name) if tree.get(name) is not None else None for name in ("resource", "audience", "scope")}
    return Authorization(
        exchange_endpoint=_text(tree, "tokenExchangeEndpoint"),
        issuer=_text(tree, "issuer"),
        jwks_uri=_text(tree, "jwksUri"),
        resource=given["resource"],
        audience=given["audience"],
        scope=given["scope"] or "",
    )


def _text(tree: Mapping[str, Any], name: str) -> str:
    value = tree.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= 4096 or not value.isprintable():
        raise BadMessage(f"`{name}` is missing or no text", where=f"authorization.{name}", mend="send it as a text")
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A plane of somebody else: a data plane under our control, or a control plane that drives our data plane."""

    participant: str
    """Whose it is; of a control plane the context of our data plane."""
    id: str
    dialect: Dialect = Dialect.DPS
    endpoint: str
    profiles: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    source_types: tuple[str, ...] = ()
    provision_types: tuple[str, ...] = ()
    authorization: Authorization = field(default_factory=Authorization)
    principal: str | None = None
    """`sub` of the tokens of its calls, by the operator's word; None: its id."""
    is_unverified: bool = False
    """The operator's word that calls of this plane need no proof: who reaches the listener can speak for it."""
    is_announced: bool = False
    """Whether we register ourselves with it."""
    hosts: tuple[str, ...] = ()
    """Host patterns that its addresses must match; empty: the host of its endpoint alone."""
    owner: Owner = Owner.OPERATOR
    allows_http: bool = False

    def vet(self) -> None:
        """Nothing, when every address of it is lawful and its calls can be proven.

        Raises: AddressRefused, BadMessage.
        """
        vet(self.endpoint, self, "endpoint")
        for name, url in self.authorization.addresses():
            vet(url, self, f"authorization.{name}")
        if not self.authorization.proves and not self.is_unverified:
            raise BadMessage(
                "no keys are registered: nobody could tell its calls from anybody else's",
                where="authorization",
                mend=f"register `jwks` or `jwksUri`, or a `{SHARED}`; or let the operator allow it by `unverified`",
            )


def vet(url: str, entry: Entry, where: str) -> None:
    """Nothing, when a plane may name `url`.

    Raises: AddressRefused.
    """
    try:
        parts = urlsplit(url)
        is_plain = parts.scheme in _PORTS and parts.hostname and parts.port != 0
    except ValueError:
        is_plain = False
    if not is_plain or parts.hostname is None or parts.username or parts.query or parts.fragment:
        raise AddressRefused("this is no plain https address", where=where, mend="name one without user, query and fragment")
    if parts.scheme == "http" and not entry.allows_http:
        raise AddressRefused("plain http is not allowed", where=where, mend="use https, or set `signaling.unsafe_allow_http`")
    hosts = entry.hosts or (urlsplit(entry.endpoint).hostname or "",)
    if not any(fnmatchcase(parts.hostname, pattern.lower()) for pattern in hosts):
        raise AddressRefused(
            f"the host `{parts.hostname}` is not on the list of this plane", where=where, mend="add it to the plane's `hosts`"
        )


def is_below(url: str, base: str) -> bool:
    """True when `url` is `base` or an address below it, on the same host and port."""
    try:
        one, other = urlsplit(url), urlsplit(base)
        if _origin(one) != _origin(other) or one.username or one.query or one.fragment:
            return False
    except ValueError:
        return False
    path, root = one.path.rstrip("/"), other.path.rstrip("/")
    # what a server may read as `.`, `/` or `\` leads out, too
    is_plain = not {".", ".."} & set(path.split("/")) and _ENCODED.search(path) is None and "\\" not in path
    return is_plain and (path == root or path.startswith(f"{root}/"))


def _origin(parts: SplitResult) -> tuple[str, str | None, int | None]:
    return parts.scheme, parts.hostname, parts.port or _PORTS.get(parts.scheme)


def is_same(shown: str, known: str) -> bool:
    """Whether two secrets are the same, in a time that tells nothing."""
    digests = (hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest() for text in (shown, known))
    return hmac.compare_digest(*digests)


def tree_of(entry: Entry) -> dict[str, Any]:
    """The entry as it is kept, but for its authorization."""
    return {
        "dialect": entry.dialect.value,
        "endpoint": entry.endpoint,
        "profiles": list(entry.profiles),
        "labels": list(entry.labels),
        "source_types": list(entry.source_types),
        "provision_types": list(entry.provision_types),
        "principal": entry.principal,
        "unverified": entry.is_unverified,
        "announced": entry.is_announced,
        "hosts": list(entry.hosts),
        "owner": entry.owner.value,
    }


def entry_of(participant: str, id_: str, tree: Mapping[str, Any], authorization: Authorization, *, allows_http: bool) -> Entry:
    """The entry that `tree_of` wrote."""
    return Entry(
        participant=participant,
        id=id_,
        dialect=Dialect(tree["dialect"]),
        endpoint=tree["endpoint"],
        profiles=tuple(tree["profiles"]),
        labels=tuple(tree["labels"]),
        source_types=tuple(tree["source_types"]),
        provision_types=tuple(tree["provision_types"]),
        authorization=authorization,
        # what an earlier release has kept has none
        principal=tree.get("principal"),
        is_unverified=tree["unverified"],
        is_announced=tree["announced"],
        hosts=tuple(tree["hosts"]),
        owner=Owner(tree["owner"]),
        allows_http=allows_http,
    )
