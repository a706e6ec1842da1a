"""Which addresses may be reached: the rules, the check of a URL, and the check of an IP address.

What lives here: `OutboundRules`, `vet` (before an address is stored or used) and `refusal` (for every address that a name
resolves to, at the moment of connecting). Pure: nothing is resolved or opened here.
What does not: connections (`client.py`), and which peers are trusted (identity).

Refused whatever the rules allow: `0.0.0.0/8`, multicast, reserved and link-local addresses, the metadata services of clouds, and
IPv6 forms that carry an IPv4 address through a tunnel. Mapped and NAT64 forms are judged by the IPv4 address that they carry.
Source: RFC 6890 (special-purpose addresses), RFC 6052 (NAT64), RFC 3986, section 7.4 ("Rare IP Address Formats").
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cached_property
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, NamedTuple

from connector.errors import AddressRefused, ConfigurationError

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_MOST_CHARACTERS = 4096
_ORIGIN = re.compile(r"(?i:(https?)://)([^/?#]*)")
_AUTHORITY = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[0-9A-Za-z_](?:[0-9A-Za-z._-]*[0-9A-Za-z_.])?)(?::([0-9]{1,5}))?")
_NUMBER = re.compile(r"0[xX][0-9A-Fa-f]*|[0-9]+")
_AS_HTTP: Final = {"nats": "http", "tls": "https"}
DEFAULT_PORTS: Final = {"http": 80, "https": 443}

_METADATA: Final = frozenset(
    ip_address(text) for text in ("169.254.169.254", "168.63.129.16", "100.100.100.200", "192.0.0.192", "fd00:ec2::254")
)
_NEVER: Final = tuple(
    (ip_network(text), word)
    for text, word in (
        ("0.0.0.0/8", "stands for this machine"),
        ("169.254.0.0/16", "is link-local"),
        ("fe80::/10", "is link-local"),
        ("224.0.0.0/4", "is multicast"),
        ("ff00::/8", "is multicast"),
        ("240.0.0.0/4", "is reserved"),
        ("::/128", "stands for this machine"),
        ("2001::/32", "is a Teredo tunnel"),
        ("2002::/16", "is a 6to4 tunnel"),
    )
)
_COMPATIBLE = ip_network("::/96")
_NAT64 = ip_network("64:ff9b::/96")


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboundRules:
    """What may be reached, how long it may take, how much may come back."""

    allow_http: bool = False
    allow_loopback: bool = False
    allow_private: bool = False
    """Private, shared and other not globally reachable networks; never link-local or metadata addresses."""
    allowed_ports: tuple[int, ...] = ()
    """Empty: all."""
    allowed_hosts: tuple[str, ...] = ()
    """Patterns such as `*.example.org`; empty: all. A host must match, and is vetted all the same."""
    denied: tuple[str, ...] = ()
    """Host patterns and networks (`203.0.113.0/24`) that are never reached; stronger than everything that allows."""
    connect_s: float = 5.0
    """Resolving a name, and each attempt to connect."""
    read_s: float = 10.0
    """Longest silence in an answer."""
    total_s: float = 30.0
    """A whole exchange, from resolving to the last byte; streams of data have no such end."""
    max_answer_bytes: int = 16 << 20
    per_host: int = 32
    """Connections to one host at once; streams of data are not counted."""


class Target(NamedTuple):
    """A URL that was found lawful."""

    scheme: str
    host: str
    """Lower case, without brackets."""
    port: int


@dataclass(frozen=True)
class Judge:
    """The rules, ready to judge: patterns and networks read once."""

    rules: OutboundRules
    _known: dict[str, Target] = field(default_factory=dict, repr=False)

    def denied_networks(self) -> tuple[Network, ...]:
        """The networks on the deny list.

        Raises: ConfigurationError for an entry that looks like a network and is none.
        """
        return self._lists[0]

    @cached_property
    def _lists(self) -> tuple[tuple[Network, ...], tuple[str, ...]]:
        read = [(pattern.lower(), _network(pattern)) for pattern in self.rules.denied]
        return tuple(n for _, n in read if n is not None), tuple(p for p, n in read if n is None)

    def vet(self, url: str) -> Target:
        """The target of `url`, when the rules let us reach it as far as its text can tell; names are judged when they resolve.

        Raises: AddressRefused, saying why; such a URL must not be stored or used.
        Source: RFC 3986, section 3; RFC 9110, section 4.2.4 (no user information in http URLs).
        """
        if len(url) > _MOST_CHARACTERS or not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
            raise _refused("the address has characters that a URL cannot have, or is too long", url, "percent-encode them")
        found = _ORIGIN.match(url)
        if found is None:
            raise _refused("the address is no absolute http(s) URL", url, "write it as `https://host/path`")
        # judging is remembered per origin: a peer has one, and a process id in the path changes nothing
        origin = found.group()
        known = self._known.get(origin)
        if known is None:
            known = self._judged(url, found.group(1).lower(), found.group(2))
            if len(self._known) >= 10_000:
                self._known.clear()
            self._known[origin] = known
        return known

    def _judged(self, url: str, scheme: str, authority: str) -> Target:
        rules = self.rules
        if "@" in authority:
            raise _refused("the address carries credentials", url, "send them in a header, never in a URL")
        parts = _AUTHORITY.fullmatch(authority)
        if parts is None:
            raise _refused("the address has no readable host and port", url, "write names in their ASCII form (`xn--...`)")
        if scheme == "http" and not rules.allow_http:
            raise _refused("plain http is not allowed", url, "use https, or set `outbound.unsafe_allow_http`")
        port = int(parts.group(2)) if parts.group(2) else DEFAULT_PORTS[scheme]
        if not 0 < port < 65536 or (rules.allowed_ports and port not in rules.allowed_ports):
            raise _refused(f"port {port} is not allowed", url, "see `outbound.allowed_ports`")
        host = parts.group(1).lower().strip("[]").rstrip(".")
        literal = _literal(host, url)
        if literal is not None:
            reason = self.refusal(literal)
            if reason is not None:
                raise _refused(reason[0], url, reason[1])
        elif not rules.allow_loopback and (host == "localhost" or host.endswith(".localhost")):
            raise _refused("the address is on this machine", url, "see `outbound.unsafe_allow_loopback`")
        if any(fnmatchcase(host, p) for p in self._lists[1]):
            raise _refused("the host is on the deny list", url, "see `outbound.denied`")
        if rules.allowed_hosts and not any(fnmatchcase(host, p.lower()) for p in rules.allowed_hosts):
            raise _refused("the host is not on the allow list", url, "see `outbound.allowed_hosts`")
        return Target(scheme=scheme, host=host, port=port)

    def refusal(self, address: Address) -> tuple[str, str] | None:
        """Why `address` may not be connected to and how to mend that; None when it may."""
        if isinstance(address, IPv6Address):
            carried = address.ipv4_mapped
            if carried is None and address in _NAT64:
                carried = IPv4Address(int(address) & 0xFFFFFFFF)
            if carried is not None:
                return self.refusal(carried)
        rules = self.rules
        if any(address in network for network in self._lists[0]):
            return f"`{address}` is on the deny list", "see `outbound.denied`"
        if address in _METADATA:
            return f"`{address}` is a metadata service", "no setting allows it"
        if address.is_loopback:
            if rules.allow_loopback:
                return None
            return f"`{address}` is this machine", "see `outbound.unsafe_allow_loopback`"
        for network, word in _NEVER:
            if address in network:
                return f"`{address}` {word}", "no setting allows it"
        if address in _COMPATIBLE:
            return f"`{address}` is an IPv4 address in disguise", "write the IPv4 address"
        if not address.is_global and not rules.allow_private:
            return f"`{address}` is not on the public internet", "see `outbound.unsafe_allow_private`"
        return None


def vet(url: str, rules: OutboundRules) -> Target:
    """The target of `url` under `rules`; as `Judge.vet`, for who asks seldom.

    Raises: AddressRefused.
    """
    return Judge(rules).vet(url)


def as_http(url: str) -> str:
    """The http address by which the rules judge a server of another protocol: plain `nats://`, or `tls://`; others as they are."""
    scheme, colon, rest = url.partition("://")
    return f"{_AS_HTTP.get(scheme.lower(), scheme)}{colon}{rest}"


def shown(url: str) -> str:
    """`url` as it may stand in a log or an error: without query, fragment and credentials, and not too long."""
    text = re.split(r"[?#]", url, maxsplit=1)[0]
    text = re.sub(r"//[^/@]*@", "//", text)
    return text if len(text) <= 200 else text[:200] + "..."


def _refused(what: str, url: str, mend: str) -> AddressRefused:
    return AddressRefused(what, where=shown(url), mend=mend)


def _literal(host: str, url: str) -> Address | None:
    """The IP address that `host` spells, None for a name.

    Decimal, octal, hexadecimal and shortened spellings are refused: libraries disagree on which address they mean.
    """
    if ":" in host:
        try:
            return ip_address(host)
        except ValueError:
            raise _refused("the address has no readable IPv6 host", url, "write it as `[2001:db8::1]`") from None
    if not _NUMBER.fullmatch(host.rpartition(".")[2]):
        return None
    try:
        return IPv4Address(host)
    except ValueError:
        raise _refused("the host is a number but no IPv4 address", url, "write four decimal numbers with dots") from None


def _network(pattern: str) -> Network | None:
    """The network that an entry of the deny list names, None for a host pattern."""
    if "/" not in pattern:
        try:
            return ip_network(pattern)
        except ValueError:
            return None
    try:
        return ip_network(pattern, strict=False)
    except ValueError as fault:
        raise ConfigurationError(f"`{pattern}` is no network: {fault}", where="outbound.denied") from fault
