"""The real nginx with our configuration in front of a node: TLS outside, the node's own addresses, ranges and cuts unchanged."""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import pytest
import trustme

from connector.app.listening import free_ports
from connector.testing.dataspace import DataSpace
from tests.servers import tools


@pytest.fixture
async def space() -> AsyncIterator[DataSpace]:
    async with DataSpace() as found:
        yield found


async def test_a_consumer_reads_through_the_proxy(deployment: None, deploy: Path, space: DataSpace, tmp_path: Path) -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost")
    certificate.private_key_pem.write_to_path(tmp_path / "key.pem")
    (tmp_path / "certificate.pem").write_bytes(b"".join(blob.bytes() for blob in certificate.cert_chain_pems))
    worker = {"workers": 1, "public_url": "http://127.0.0.1:0", "listener": {"host": "127.0.0.1", "port": 0}}
    provider, consumer = space.join("provider", sections={"data": worker}), space.join("consumer")
    data = bytes(range(256)) * 4096
    agreed = await consumer.negotiate(await provider.publish("weather", content=data))
    transfer = await consumer.transfer(agreed)
    address = await consumer.send(consumer.calls.data_address(transfer.pid))
    behind = re.sub("^http://", "", provider.app.public_url)
    at_worker = urlsplit(address.endpoint).netloc
    assert at_worker != behind

    # our file, with the addresses of this test in place of its examples
    port = free_ports(1)[0]
    text = (deploy / "nginx" / "kontor.conf").read_text()
    changes = {
        "server 127.0.0.1:8080;": f"server {behind};",
        "listen 443 ssl;": f"listen 127.0.0.1:{port} ssl;",
        "server_name data.example.org;": "server_name localhost;",
        "/etc/nginx/kontor/": f"{tmp_path}/",
        "client_header_timeout 10s;": "client_header_timeout 300ms;",
        # its marked line, for data workers
        "# location ~": "location ~",
        "http://127.0.0.1:8082": f"http://{at_worker}",
    }
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    (tmp_path / "site.conf").write_text(text)
    (tmp_path / "nginx.conf").write_text(
        f"daemon off; pid {tmp_path}/pid; error_log {tmp_path}/error.log;\n"
        f"events {{}}\nhttp {{ client_body_temp_path {tmp_path}/body; proxy_temp_path {tmp_path}/proxy;\n"
        f"log_format upstream '$upstream_addr $uri'; access_log {tmp_path}/access.log upstream;\n"
        f"fastcgi_temp_path {tmp_path}/f; uwsgi_temp_path {tmp_path}/u; scgi_temp_path {tmp_path}/s;\n"
        f"include {tmp_path}/site.conf; }}\n"
    )
    program = await asyncio.to_thread(tools.nginx)
    nginx = await asyncio.create_subprocess_exec(program, "-c", str(tmp_path / "nginx.conf"), "-p", str(tmp_path))
    try:
        context = ssl.create_default_context()
        authority.configure_trust(context)
        outside = f"https://localhost:{port}"
        async with asyncio.timeout(30), aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)) as client:
            while True:
                try:
                    async with client.get(f"{outside}/provider/.well-known/dspace-version") as answer:
                        assert answer.status == 200
                        break
                except aiohttp.ClientConnectorError:
                    assert nginx.returncode is None, (tmp_path / "error.log").read_text()
                    await asyncio.sleep(0.05)
            url = outside + urlsplit(address.endpoint).path
            token = address.properties["authorization"]
            async with client.get(url, headers={"Authorization": token}) as answer:
                assert (answer.status, await answer.read()) == (200, data)
                assert answer.headers["repr-digest"].startswith("sha-256=")
            async with client.get(url, headers={"Authorization": token, "Range": "bytes=256-511"}) as answer:
                assert (answer.status, await answer.read()) == (206, bytes(range(256)))
                assert answer.headers["content-range"] == f"bytes 256-511/{len(data)}"
            async with client.get(url, headers={"Authorization": "wrong"}) as answer:
                assert answer.status == 401
            # who says half of what it wants is not waited for
            slow = [await asyncio.open_connection("localhost", port, ssl=context) for _ in range(3)]
            for _, writer in slow:
                writer.write(b"GET /provider/.well-known/dspace-version HTTP/1.1\r\nHost: localh")
            async with asyncio.timeout(5):
                assert [await reader.read() for reader, _ in slow] == [b""] * 3
        served = [line.split() for line in (tmp_path / "access.log").read_text().splitlines()]
        assert {at for at, path in served if "/data/" in path} == {at_worker}
        # `-`: what was never said to its end was passed to nobody
        assert {at for at, path in served if "/data/" not in path} == {behind, "-"}
    finally:
        nginx.terminate()
        await nginx.wait()
