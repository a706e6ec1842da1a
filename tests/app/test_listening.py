"""Listeners: TLS, forwarded headers, IPv6, and answers that are finished before the end."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import pathlib
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Awaitable
from datetime import timedelta

import httpx
import pytest
import trustme

from connector.app import App, listening
from connector.app.listening import free_ports, public_url
from connector.errors import ConfigurationError
from tests.app.conftest import Make, until


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


def issued(authority: trustme.CA, folder: pathlib.Path) -> dict[str, str]:
    """Certificate and key for this machine, as settings of a listener."""
    made = authority.issue_cert("127.0.0.1", "localhost")
    made.private_key_pem.write_to_path(str(folder / "server.key"))
    for number, blob in enumerate(made.cert_chain_pems):
        blob.write_to_path(str(folder / "server.pem"), append=number > 0)
    return {"tls_certificate": str(folder / "server.pem"), "tls_key": str(folder / "server.key")}


async def test_both_listeners_speak_tls(settings: Make, authority: trustme.CA, tmp_path: pathlib.Path) -> None:
    tls = issued(authority, tmp_path)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    made = settings(
        node={"public_url": "https://localhost:0"}, public=tls, operator=tls, outbound={"ca_file": str(tmp_path / "ca.pem")}
    )
    trust = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
    async with App(made) as app, httpx.AsyncClient(verify=trust, trust_env=False) as http:
        assert app.public_url.startswith("https://localhost:")
        assert (await http.get(f"{app.public_url}/acme/.well-known/dspace-version")).status_code == 200
        assert (await http.get(f"{app.operator_url}/health")).status_code == 200
        with pytest.raises(httpx.TransportError):
            await http.get(app.public_url.replace("https", "http"))


async def test_a_renewed_certificate_is_shown_without_a_restart_and_half_of_one_is_not(
    settings: Make,
    authority: trustme.CA,
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(listening, "_TICK_S", 0.005)
    tls = issued(authority, tmp_path)
    async with App(settings(node={"public_url": "https://localhost:0"}, public=tls)) as app:
        port = int(app.public_url.rpartition(":")[2])

        async def is_shown(pem: str) -> bool:
            return await asyncio.to_thread(ssl.get_server_certificate, ("127.0.0.1", port)) == pem

        first = (tmp_path / "server.pem").read_text()
        assert await is_shown(first)
        key = (tmp_path / "server.key").read_bytes()
        issued(authority, tmp_path)
        renewed, new_key = (tmp_path / "server.pem").read_text(), (tmp_path / "server.key").read_bytes()
        (tmp_path / "server.key").write_bytes(key)
        await until(lambda: "listener.certificate_not_taken" in caplog.messages)
        assert await is_shown(first)
        (tmp_path / "server.key").write_bytes(new_key)
        await until(lambda: is_shown(renewed))


@pytest.mark.parametrize("section", ["public", "operator"])
async def test_a_certificate_that_cannot_be_read_stops_the_start(settings: Make, tmp_path: pathlib.Path, section: str) -> None:
    (tmp_path / "empty.pem").touch()
    for path in ("empty.pem", "missing.pem"):
        tls = {"tls_certificate": str(tmp_path / path), "tls_key": str(tmp_path / path)}
        with pytest.raises(ConfigurationError) as fault:
            async with App(settings(**{section: tls})):
                pass
        assert f"{section}.tls_certificate" in fault.value.where


async def test_an_ipv6_address_is_listened_on(settings: Make) -> None:
    if not socket.has_ipv6:
        return
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return  # this machine has none
    async with App(settings(operator={"host": "::1"})) as app, httpx.AsyncClient(trust_env=False) as http:
        assert app.operator_url.startswith("http://[::1]:")
        assert (await http.get(f"{app.operator_url}/health")).status_code == 200


@pytest.mark.parametrize(
    ("trusted", "seen"), [(("127.0.0.1",), "203.0.113.7"), ((), "127.0.0.1"), (("10.0.0.1",), "127.0.0.1")]
)
async def test_forwarded_headers_are_believed_from_trusted_proxies_only(
    settings: Make, caplog: pytest.LogCaptureFixture, trusted: tuple[str, ...], seen: str
) -> None:
    caplog.set_level(logging.INFO, logger="kontor")
    async with App(settings(operator={"trusted_proxies": trusted})) as app, httpx.AsyncClient(trust_env=False) as http:
        await http.get(f"{app.operator_url}/health", headers={"X-Forwarded-For": "203.0.113.7"})
    lines = [record.__dict__["fields"] for record in caplog.records if record.getMessage() == "http.request"]
    assert [line["client"] for line in lines if line["listener"] == "operator"] == [seen]


@pytest.mark.parametrize(
    ("url", "port", "expected"),
    [
        ("http://127.0.0.1:0", 8123, "http://127.0.0.1:8123"),
        ("https://data.example.org", 8123, "https://data.example.org"),
        ("https://data.example.org:444/kontor", 8123, "https://data.example.org:444/kontor"),
        ("http://[::1]:0/x", 8123, "http://[::1]:8123/x"),
    ],
)
def test_port_0_in_the_public_address_is_the_one_that_was_given(settings: Make, url: str, port: int, expected: str) -> None:
    class At:
        def getsockname(self) -> tuple[str, int]:
            return "127.0.0.1", port

    assert public_url(settings(node={"public_url": url}), At()) == expected  # type: ignore[arg-type]


async def test_an_answer_under_way_is_finished_before_the_end(settings: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    from connector.storage.memory import MemoryStore

    asked, go_on = asyncio.Event(), asyncio.Event()

    async def slow(self: MemoryStore, now: object) -> timedelta:
        asked.set()
        await go_on.wait()
        return timedelta()

    async with httpx.AsyncClient(trust_env=False) as http:
        app = App(settings())
        await app.__aenter__()
        monkeypatch.setattr(MemoryStore, "pulse", slow)
        answer = asyncio.create_task(http.get(f"{app.operator_url}/ready"))
        async with asyncio.timeout(10):
            await asked.wait()
            closing = asyncio.create_task(app.__aexit__(None, None, None))
            await until(lambda: _is_closed(app.operator_url))
            go_on.set()
            assert (await answer).status_code == 200
            await closing


async def test_an_answer_without_end_is_cut_off(settings: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    from connector.app import listening
    from connector.storage.memory import MemoryStore

    asked = asyncio.Event()

    async def endless(self: MemoryStore, now: object) -> None:
        asked.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(listening, "_FINISH_WITHIN_S", 0.05)
    async with httpx.AsyncClient(trust_env=False) as http, asyncio.timeout(10):
        async with App(settings()) as app:
            monkeypatch.setattr(MemoryStore, "pulse", endless)
            answer = asyncio.create_task(http.get(f"{app.operator_url}/ready"))
            await asked.wait()
        assert (await answer).status_code == 500


async def _is_closed(url: str) -> bool:
    async with httpx.AsyncClient(trust_env=False) as late:
        try:
            await late.get(f"{url}/health")
        except httpx.ConnectError:
            return True
    return False


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_node_in_a_process_says_when_it_is_ready_and_stops_at_a_signal(
    tmp_path: pathlib.Path, number: signal.Signals
) -> None:
    code = f"""
import pathlib
from connector import app
from connector.settings import Settings
app.serve(Settings.model_validate({{
    "node": {{"public_url": "http://127.0.0.1:0", "data_dir": {str(tmp_path)!r}}},
    "public": {{"port": 0}}, "operator": {{"port": 0}}, "store": {{"url": "sqlite:///kontor.db"}},
    "outbound": {{"unsafe_allow_http": True, "unsafe_allow_loopback": True}},
    "participants": {{"acme": {{"id": "urn:acme"}}}},
}}))
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        ready = process.stdout.readline()
        process.send_signal(number)
        _, log = process.communicate(timeout=20)
    assert ready.startswith("ready: peers reach http://127.0.0.1:")
    assert process.returncode == 0, log
    assert '"event":"node.stopping"' in log
    assert '"level":"error"' not in log


def test_free_ports_are_all_different() -> None:
    assert len(set(free_ports(20))) == 20


async def test_a_program_that_asks_too_much_at_once_keeps_nobody_else_out(settings: Make) -> None:
    keys = [{"name": name, "sha256": hashlib.sha256(name.encode()).hexdigest()} for name in ("busy", "calm")]
    operator = {"requests_at_once_per_key": 1, "requests_at_once": 2, "api_keys": keys}
    async with App(settings(operator=operator)) as app, httpx.AsyncClient(base_url=app.operator_url, trust_env=False) as http:

        async def asked(key: str, path: str = "negotiations") -> httpx.Response:
            return await http.get(f"/api/v1/participants/acme/{path}", headers={"X-Api-Key": key})

        async def waits(key: str) -> None:
            while (await asked(key, "events?wait_s=30")).status_code in (429, 503):
                pass

        waiting = asyncio.create_task(waits("busy"))
        await until(lambda: _is(asked("busy"), 429))
        assert (await asked("busy")).headers["retry-after"] == "1"
        assert (await asked("calm")).status_code == 200
        waiting_too = asyncio.create_task(waits("calm"))
        await until(lambda: _is(asked("nobody"), 503))
        assert (await http.get("/health")).status_code == 200
        for task in (waiting, waiting_too):
            task.cancel()


async def _is(asked: Awaitable[httpx.Response], status: int) -> bool:
    return (await asked).status_code == status
