"""When the certificate of a host ends, over a real TLS connection to a vetted address."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme

from connector.errors import AddressRefused, Unreachable
from connector.outbound.certificates import ends
from connector.outbound.client import OutboundClient
from connector.outbound.rules import OutboundRules
from connector.outbound.tls import Tls

END = datetime.now(UTC).replace(microsecond=0) + timedelta(days=9)
LOCAL = OutboundRules(allow_loopback=True, allow_http=True, connect_s=2)


@asynccontextmanager
async def served(tmp_path: Path, name: str = "localhost") -> AsyncIterator[tuple[str, Tls]]:
    authority = trustme.CA()
    issued = authority.issue_cert(name, not_after=END)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    issued.configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))

    def done(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(done, "127.0.0.1", 0, ssl=context)
    async with server:
        yield f"https://localhost:{server.sockets[0].getsockname()[1]}/x", Tls(ca_file=tmp_path / "ca.pem")


async def test_its_end_is_read(tmp_path: Path) -> None:
    async with served(tmp_path) as (url, tls), OutboundClient(LOCAL, tls) as client:
        assert await ends(client, url) == END
        assert await ends(client, url.replace("https:", "http:")) is None


async def test_one_that_is_not_trusted_or_of_another_name_is_no_certificate(tmp_path: Path) -> None:
    async with served(tmp_path) as (url, _), OutboundClient(LOCAL) as client:
        with pytest.raises(Unreachable, match="no TLS connection"):
            await ends(client, url)
    async with served(tmp_path, "other.example") as (url, tls), OutboundClient(LOCAL, tls) as client:
        with pytest.raises(Unreachable):
            await ends(client, url)


async def test_an_address_that_must_not_be_reached_is_not(tmp_path: Path) -> None:
    async with served(tmp_path) as (url, tls), OutboundClient(OutboundRules(), tls) as client:
        with pytest.raises(AddressRefused):
            await ends(client, url)
    async with OutboundClient(OutboundRules(), resolve=lambda host, port: _internal()) as client:
        with pytest.raises(AddressRefused, match=r"10\.0\.0\.1"):
            await ends(client, "https://public.example/")


async def _internal() -> list[str]:
    return ["10.0.0.1"]
