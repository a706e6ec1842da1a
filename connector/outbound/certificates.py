"""The certificate that a host shows: when it ends. Reached as everything else is: vetted, pinned, within the rules' time.

What lives here: `ends`. Whether a certificate is trusted is found by every request of `client.py`.
"""

from __future__ import annotations

import asyncio
import ssl
from datetime import UTC, datetime

from connector.errors import Unreachable
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
