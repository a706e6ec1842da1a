"""Names that never resolve, and names that always did."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from connector.outbound.names import SystemNames


@pytest.fixture
def silence(monkeypatch: pytest.MonkeyPatch) -> Iterator[set[str]]:
    """Names whose servers do not answer, in place of the system's."""
    found: set[str] = set()
    over = threading.Event()

    def getaddrinfo(host: str, port: int, **_: Any) -> list[Any]:
        if host in found:
            over.wait(30)
            raise socket.gaierror("no name server answers")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", port))]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    yield found
    over.set()


async def test_who_was_found_is_found_while_others_never_are(silence: set[str]) -> None:
    names = SystemNames()
    assert await names.find("member.example", 443) == ["192.0.2.1"]
    silence |= {f"{number}.invalid" for number in range(64)}
    waiting = [asyncio.create_task(names.find(name, 443)) for name in silence]
    await asyncio.sleep(0)
    async with asyncio.timeout(5):
        assert await names.find("member.example", 443) == ["192.0.2.1"]
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


async def test_a_name_that_falls_silent_keeps_none_of_the_places_of_the_others(silence: set[str]) -> None:
    names = SystemNames()
    turned = [f"{number}.turned.example" for number in range(32)]
    for name in ("member.example", *turned):
        await names.find(name, 443)
    silence.update(turned)
    for name in turned[:8]:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await names.find(name, 443)
    # they are strangers again: what they hold on to from now on are the places of strangers
    again = [asyncio.create_task(names.find(name, 443)) for name in turned[:8] * 4]
    await asyncio.sleep(0)
    async with asyncio.timeout(5):
        assert await names.find("member.example", 443) == ["192.0.2.1"]
    for task in again:
        task.cancel()
    await asyncio.gather(*again, return_exceptions=True)
