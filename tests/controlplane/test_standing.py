"""What flows with a peer that is suspended is cut, and who answers late about one holds up nobody."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from connector.controlplane.standing import Standings
from tests.controlplane.conftest import NewNode
from tests.controlplane.scene import PUSH


@dataclass
class Told:
    """Says how peers stand, when it may."""

    state: str | None
    may: asyncio.Event = field(default_factory=asyncio.Event)
    asked: int = 0

    async def claims_of(self, participant: str, peer: str) -> Mapping[str, Any]:
        self.asked += 1
        await self.may.wait()
        return {} if self.state is None else {"standing": self.state}

    async def authorization(self, participant: str, peer: str, address: str) -> str | None:
        return None


@pytest.mark.parametrize(
    ("state", "goes_on"),
    [
        (None, True),
        ("ACTIVE", True),
        ("UNKNOWN", True),
        ("UNPROVEN", True),  # the terms are open; the story with others is in tests/scenarios/test_oauth2.py
        ("SUSPENDED", False),
        ("REVOKED", False),
    ],
)
async def test_what_runs_is_cut_when_its_peer_has_fallen(new_node: NewNode, state: str | None, goes_on: bool) -> None:
    here = await new_node("here")
    await here.publish()
    await here.started(PUSH)
    told = Told(state)
    standings = Standings(here.store, here.plane, told, here.reviews, here.clock, asyncio.Event())
    # an answer that is late is waited for by nobody, and asked for once
    for _ in range(2 if state == "SUSPENDED" else 1):
        async with asyncio.timeout(5):
            await standings.look()
    assert (bool(here.plane.moving), told.asked) == (True, 1)
    told.may.set()
    await standings.look()
    assert bool(here.plane.moving) is goes_on
