"""Whose request is being answered: what a stranger makes a node look up or keep is bounded by this.

Set once a request at the edge (`web/edge.py`), read deep below it (`identity/resolver.py`, `identity/authority/registry.py`): the calls
between are none the wiser. It bounds, and decides nothing else: an address proves nobody.
"""

from __future__ import annotations

from contextvars import ContextVar
from ipaddress import IPv6Address, ip_address
from typing import Final

ASKER: Final[ContextVar[str]] = ContextVar("asker", default="")
"""The machine that asks; empty for what this node does on its own."""

_SITE: Final = 64
"""Bits of an IPv6 address that one owner may vary freely are all behind these."""


def asker(address: str) -> str:
    """The name under which what comes from `address` is counted: all addresses that one owner has for the asking are one."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if not isinstance(found, IPv6Address):
        return address
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return f"{IPv6Address(int(found) >> _SITE << _SITE)}/{_SITE}"
