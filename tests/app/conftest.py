"""Settings of a node that may run beside others: free ports, memory, a folder of its own."""

from __future__ import annotations

import asyncio
import pathlib
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from connector.settings import Settings

Make = Callable[..., Settings]


@pytest.fixture
def settings(tmp_path: pathlib.Path) -> Make:
    """Makes settings; keyword arguments change sections."""

    def make(**sections: dict[str, Any]) -> Settings:
        known: dict[str, dict[str, Any]] = {
            "node": {"public_url": "http://127.0.0.1:0", "data_dir": tmp_path / "data"},
            "public": {"port": 0},
            "operator": {"port": 0},
            "store": {"url": "memory:"},
            "outbound": {"unsafe_allow_http": True, "unsafe_allow_loopback": True},
            "participants": {"acme": {"id": "urn:acme"}},
        }
        for name, section in sections.items():
            known[name] = {**known.get(name, {}), **section}
        return Settings.model_validate(known)

    return make


async def until(holds: Callable[[], bool | Awaitable[bool]]) -> None:
    """Return as soon as `holds` does."""
    async with asyncio.timeout(10):
        while True:
            found = holds()
            if found if isinstance(found, bool) else await found:
                return
            await asyncio.sleep(0.005)
