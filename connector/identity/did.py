"""Decentralized identifiers of the method `web`: their addresses, and their documents read and written.

What lives here: `url_of` and `did_of`, `read` (bytes of a document to a `Document`), `Document.key` (which key may prove what),
`Document.endpoint` (services), `write` (the document of a participant of ours). Pure.
What does not: fetching and caching (`resolver.py`), and what keys are used for (`profiles.py`, `credentials.py`).
Source: W3C did:web method; W3C DID Core 1.0, sections 5.2 to 5.4; DCP 1.0, sections 4 and 5.2 (services).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final
from urllib.parse import unquote_to_bytes

from connector import jose, strict
from connector.errors import BadMessage, TooLarge, Unproven

DID_CONTEXT: Final = "https://www.w3.org/ns/did/v1"
JWS_CONTEXT: Final = "https://w3id.org/security/suites/jws-2020/v1"
DCP_CONTEXT: Final = "https://w3id.org/dspace-dcp/v1.0/dcp.jsonld"
LIMITS: Final = strict.Limits(max_bytes=128 << 10, max_depth=16)

_MOST_CHARACTERS: Final = 1024
_MOST_ENTRIES: Final = 100
_LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
_NUMBER = re.compile(r"(?:0[xX][0-9A-Fa-f]*|[0-9]+)")
_PORT = re.compile(r"[1-9][0-9]{0,4}")
_SEGMENT = re.compile(r"(?:[A-Za-z0-9._-]|%[0-9A-Fa-f]{2})+")
_FRAGMENT = re.compile(r"#?([!$&'()*+,;=:@/?A-Za-z0-9._~%-]{1,256})")
# what must not hide behind percent signs: whatever ends or climbs a path, and what is no text
_NOT_IN_SEGMENTS: Final = frozenset(b'/\\?#%@ "<>') | frozenset(range(0x20)) | {0x7F}


class Relationship(StrEnum):
    """What a document lets a key be used for."""

    AUTHENTICATION = "authentication"
    """Presentations."""
    ASSERTION = "assertionMethod"
    """Credentials and status lists."""
    INVOCATION = "capabilityInvocation"
    """Self-issued tokens."""
    DELEGATION = "capabilityDelegation"
    AGREEMENT = "keyAgreement"


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """A verification method of a document."""

    id: str
    """The full DID URL, however the document spells it."""
    key: jose.PublicKey | None
    fault: str = ""
    """Why there is no key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A service of a document."""

    id: str
    types: tuple[str, ...]
    endpoint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A DID document, as far as it matters here."""

    id: str
    methods: Mapping[str, Method]
    """By full DID URL."""
    relationships: Mapping[Relationship, frozenset[str]]
    """The ids of the methods that each names; empty ones are left out."""
    services: tuple[Service, ...] = ()

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the operator should know about this document."""
        if self.relationships:
            return ()
        return (f"`{self.id}` declares no verification relationship: each of its keys counts for everything",)

    def key(self, key_id: str | None, relationship: Relationship, *, must_declare: bool = False) -> jose.PublicKey:
        """The key that `key_id` names, when this document lets it be used for `relationship`.

        Without `key_id` there must be exactly one method. A document that declares no relationship at all lets any of its
        methods count, unless `must_declare`: wallets in the field publish such ones. As soon as it declares one, they bind.

        Raises: Unproven with the check `key-id`, `relationship` or `key`.
        Source: DCP 1.0, section 4.3.3; DID Core 1.0, section 5.3.
        """
        if key_id is None:
            if len(self.methods) != 1:
                raise _refused(self.id, "key-id", f"the token names no key and the document has {len(self.methods)}")
            (method,) = self.methods.values()
        else:
            found = self.methods.get(key_id)
            if found is None:
                raise _refused(self.id, "key-id", f"the document has no method {strict.shown(key_id)}")
            method = found
        if (self.relationships or must_declare) and method.id not in self.relationships.get(relationship, frozenset()):
            raise _refused(self.id, "relationship", f"the document does not let `{method.id}` be used for `{relationship}`")
        if method.key is None:
            raise _refused(self.id, "key", f"`{method.id}`: {method.fault}")
        return method.key

    def endpoint(self, type_: str) -> str:
        """The base address of the first service of exactly this type, kept as it is given but for a slash at its end.

        Raises: Unproven when there is none, or it is no base: with a query in it whoever wrote it would choose all that is asked.
        Source: DCP 1.0, sections 5.2 and 6.2: the endpoint must be interpreted as the base URL of the service.
        """
        for service in self.services:
            if type_ in service.types:
                if "?" in service.endpoint or "#" in service.endpoint:
                    raise _refused(self.id, "service", f"the address of its service `{type_}` is no base address")
                return service.endpoint.rstrip("/")
        raise _refused(self.id, "service", f"the document has no service of type `{type_}` with an address")


def url_of(did: str, *, unsafe_http: bool = False, unsafe_local: bool = False) -> str:
    """The address of the document of a did:web identifier.

    `unsafe_local` also takes host names of one label, such as `localhost`. Whether the host may be reached is for `outbound` to
    judge; what this refuses is never asked for.

    Raises: Unproven for other methods, IP addresses in any spelling, and whatever could lead to another path or host.
    Source: did:web, sections 2.2 and 3.2.
    """
    if len(did) > _MOST_CHARACTERS or not did.startswith("did:web:"):
        raise _refused(did, "did", "it is no did:web identifier")
    place, *segments = did.removeprefix("did:web:").split(":")
    host, percent, port = place.partition("%")
    if percent:
        if port[:2].upper() != "3A" or not _PORT.fullmatch(port[2:]) or int(port[2:]) > 65535:
            raise _refused(did, "did", "after the host comes `%3A` and a port, or nothing")
        host_and_port = f"{host}:{port[2:]}"
    else:
        host_and_port = host
    labels = host.split(".")
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels) or _NUMBER.fullmatch(labels[-1]):
        raise _refused(did, "did", "it does not begin with the name of a host")
    if len(labels) == 1 and not unsafe_local:
        raise _refused(did, "did", "its host is a name of one label, which only this network knows")
    for segment in segments:
        if not _SEGMENT.fullmatch(segment):
            raise _refused(did, "did", "a part of its path is empty or has characters that it cannot have")
        plain = unquote_to_bytes(segment)
        if plain in (b".", b"..") or _NOT_IN_SEGMENTS & set(plain):
            raise _refused(did, "did", "a part of its path hides another path")
    path = "/".join(segments) if segments else ".well-known"
    return f"{'http' if unsafe_http else 'https'}://{host_and_port}/{path}/did.json"


def did_of(url: str) -> str:
    """The did:web identifier whose document stands below `url`: `https://host:8080/anna` is `did:web:host%3A8080:anna`."""
    place, *segments = url.partition("://")[2].rstrip("/").split("/")
    return ":".join(["did:web", place.replace(":", "%3A"), *segments])


def read(did: str, data: bytes) -> Document:
    """The document in `data`, which must be that of `did`.

    Methods that cannot be used are kept with the reason, so that the others still count.

    Raises: Unproven when it is not strict JSON, is another identifier's, or names a method twice.
    Source: DID Core 1.0, sections 5.1 to 5.4; resolution must give the document with the same `id` (did:web, 3.2).
    """
    try:
        tree = strict.scan(data, LIMITS)
    except (BadMessage, TooLarge) as fault:
        raise _refused(did, "did-document", f"its document is not strict JSON: {fault}") from fault
    if not isinstance(tree, dict) or tree.get("id") != did:
        raise _refused(did, "did-document", "its document has another `id`")
    methods: dict[str, Method] = {}
    for entry in _entries(did, tree, "verificationMethod"):
        _add(did, methods, entry)
    relationships: dict[Relationship, frozenset[str]] = {}
    for relationship in Relationship:
        named = frozenset(_named(did, methods, entry) for entry in _entries(did, tree, relationship))
        if named:
            relationships[relationship] = named
    services = tuple(_services(did, tree))
    return Document(id=did, methods=methods, relationships=relationships, services=services)


def write(
    did: str, keys: Iterable[tuple[str, jose.PublicKey, Iterable[Relationship]]], services: Mapping[str, str]
) -> dict[str, Any]:
    """The document of a participant of ours: `keys` as id, key and what it is for; `services` by type.

    Full DID URLs and JsonWebKey2020 everywhere: the one spelling that all known connectors read.
    """
    listed = [(id_, key, frozenset(uses)) for id_, key, uses in keys]
    document: dict[str, Any] = {
        "@context": [DID_CONTEXT, JWS_CONTEXT, DCP_CONTEXT],
        "id": did,
        "verificationMethod": [
            {"id": id_, "type": "JsonWebKey2020", "controller": did, "publicKeyJwk": key.jwk()} for id_, key, _ in listed
        ],
    }
    for relationship in Relationship:
        named = [id_ for id_, _, uses in listed if relationship in uses]
        if named:
            document[relationship.value] = named
    document["service"] = [
        {"id": f"{did}#{type_}", "type": type_, "serviceEndpoint": endpoint} for type_, endpoint in services.items()
    ]
    return document


def _entries(did: str, tree: Mapping[str, Any], name: str) -> list[Any]:
    found = tree.get(name)
    entries = [] if found is None else found if isinstance(found, list) else [found]
    if len(entries) > _MOST_ENTRIES:
        raise _refused(did, "did-document", f"its document has {len(entries)} entries in `{name}`")
    return entries


def _full(did: str, id_: object) -> str | None:
    """A method's id as a full DID URL: documents spell it so, as `#key-1`, or as `key-1`. None when it is another's, or none."""
    if not isinstance(id_, str):
        return None
    part = id_.removeprefix(did) if id_.startswith(f"{did}#") else id_
    found = _FRAGMENT.fullmatch(part)
    return f"{did}#{found[1]}" if found and not part.startswith("did:") else None


def _add(did: str, methods: dict[str, Method], entry: object) -> str:
    id_ = _full(did, entry.get("id")) if isinstance(entry, dict) else None
    if not isinstance(entry, dict) or id_ is None:
        return ""
    # INVARIANT: one id, one key; of two that claim it neither counts, and the document is not to be trusted
    if id_ in methods:
        raise _refused(did, "did-document", f"its document has two methods {strict.shown(id_)}")
    methods[id_] = _method(did, id_, entry)
    return id_


def _method(did: str, id_: str, entry: Mapping[str, Any]) -> Method:
    if entry.get("controller") not in (None, did):
        return Method(id=id_, key=None, fault=f"it is controlled by {strict.shown(entry['controller'])}")
    if entry.get("publicKeyJwk") is None:
        return Method(id=id_, key=None, fault="it has no `publicKeyJwk`")
    try:
        return Method(id=id_, key=jose.from_jwk(entry["publicKeyJwk"]))
    except Unproven as fault:
        return Method(id=id_, key=None, fault=fault.words)


def _named(did: str, methods: dict[str, Method], entry: object) -> str:
    """The id that an entry of a relationship names; an embedded method becomes one of the document (DID Core 1.0, 5.3)."""
    return _add(did, methods, entry) if isinstance(entry, dict) else _full(did, entry) or ""


def _services(did: str, tree: Mapping[str, Any]) -> Iterable[Service]:
    for entry in _entries(did, tree, "service"):
        if not isinstance(entry, dict):
            continue
        types, endpoint = entry.get("type"), entry.get("serviceEndpoint")
        if isinstance(endpoint, list) and len(endpoint) == 1:
            (endpoint,) = endpoint
        named = tuple(one for one in (types if isinstance(types, list) else [types]) if isinstance(one, str))
        if named and isinstance(endpoint, str) and endpoint:
            yield Service(id=str(entry.get("id", "")), types=named, endpoint=endpoint)


def _refused(did: str, check: str, words: str) -> Unproven:
    return Unproven(f"{strict.shown(did)}: {words}", check=check, where=did[:200])
