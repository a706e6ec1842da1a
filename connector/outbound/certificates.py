"""Certificates of TLS: when the one that a host shows ends, and what stands in the files of our own.

What lives here: `ends`, reached as everything else is: vetted, pinned, within the rules' time; `read` and `is_for`, for files that the
operator named. Whether a certificate is trusted is found by every request of `client.py`.
"""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from connector.errors import ConfigurationError, Unreachable
from connector.outbound.client import OutboundClient
from connector.outbound.rules import shown


async def ends(client: OutboundClient, url: str) -> datetime | None:
    """When the certificate at the https address `url` ends; None for plain http.

    Raises: AddressRefused, Unreachable.
    """
    target = client.vet(url)
    if target.scheme != "https":
        return None
    try:
        async with asyncio.timeout(client.rules.connect_s):
            address = (await client.addresses(target.host, target.port))[0]
            _, writer = await asyncio.open_connection(
                address, target.port, ssl=client.tls_context(), server_hostname=target.host.strip("[]")
            )
    except (OSError, ssl.SSLError, TimeoutError) as fault:
        words = " ".join(str(fault).split()) or type(fault).__name__
        raise Unreachable(f"no TLS connection: {words[:300]}", where=shown(url), mend="see its certificate and name") from fault
    try:
        certificate = writer.get_extra_info("peercert") or {}
    finally:
        writer.close()
    end = certificate.get("notAfter")
    return None if end is None else datetime.fromtimestamp(ssl.cert_time_to_seconds(str(end)), UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """What a file of certificates says."""

    names: tuple[str, ...]
    """Host names and addresses that the first one is for."""
    ends: datetime
    """When the first of the chain ends."""
    fits_key: bool
    """Whether the private key beside it is its own."""


def read(chain: Path, key: Path) -> Certificate:
    """What stands in the PEM files `chain` and `key`.

    Raises: ConfigurationError when one of them cannot be read, or holds something else.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization

    form = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    try:
        found = x509.load_pem_x509_certificates(chain.read_bytes())
        private = serialization.load_pem_private_key(key.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as fault:
        where = f"{chain}, {key}"
        words = getattr(fault, "strerror", None) or " ".join(str(fault).split())[:200]
        raise ConfigurationError(
            f"certificate or key cannot be read: {words}", where=where, mend="name PEM files that this process may read"
        ) from fault
    try:
        alternative = found[0].extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        names: tuple[str, ...] = ()
    else:
        addresses = alternative.get_values_for_type(x509.IPAddress)
        names = (*alternative.get_values_for_type(x509.DNSName), *(str(one) for one in addresses))
    return Certificate(
        names=names,
        ends=min(one.not_valid_after_utc for one in found),
        fits_key=found[0].public_key().public_bytes(*form) == private.public_key().public_bytes(*form),
    )


def is_for(certificate: Certificate, host: str) -> bool:
    """Whether `host` is one that the certificate names; `*` stands for one whole label. Source: RFC 9525, section 6.3."""
    wanted = host.lower().strip("[]").rstrip(".")
    rest = wanted.partition(".")[2]
    return any(name.lower() in (wanted, f"*.{rest}" if rest else wanted) for name in certificate.names)
