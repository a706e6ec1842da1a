"""Addresses where a participant answers, and whether an endpoint is one of them.

What lives here: `covers`, and what stands for an address in services of DID documents. What does not: who has signed which address
(`federation/`), and whether an address may be reached (`outbound/`).
Source: Dataspace Protocol 2025-1, Discovery of services (`DataService`, `CatalogService`); RFC 3986, section 6.2.2.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

SERVICES: Final = ("DataService", "CatalogService")
"""Types of services in a DID document that say where the protocol is spoken."""
_ENDINGS: Final = re.compile(r"(/\.well-known/dspace-version|/catalog)?/*\Z")
_PLAIN_REST: Final = re.compile(r"(/[A-Za-z0-9_~:@=-][A-Za-z0-9._~:@=-]*)*/*\Z")
"""Of a path below another: no dots or escapes that could lead out of it, no query."""


def base_of(endpoint: str) -> str:
    """The base address that a service of a DID document stands for."""
    return _ENDINGS.sub("", endpoint)


def covers(addresses: Iterable[str], endpoint: str) -> bool:
    """Whether the endpoint is one of the addresses, or lies below one of them."""
    return any(_is_below(address, endpoint) for address in addresses)


def _is_below(address: str, endpoint: str) -> bool:
    try:
        one, other = urlsplit(address), urlsplit(endpoint)
    except ValueError:
        return False
    if not one.netloc or (one.scheme.lower(), one.netloc.lower()) != (other.scheme.lower(), other.netloc.lower()):
        return False
    path, rest = one.path.rstrip("/"), other.path.removeprefix(one.path.rstrip("/"))
    is_bare = not (one.query or one.fragment or other.query or other.fragment)
    return is_bare and other.path.startswith(path) and _PLAIN_REST.match(rest) is not None
