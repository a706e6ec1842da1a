"""Participants without wallets: nothing of theirs is signed."""

from __future__ import annotations

from typing import Any

from connector.app.assembly.attesting import Attests
from connector.ports.clock import Clock


async def _nothing(*_: str) -> Any:
    """The part that somebody without a wallet takes in a space with wallets."""


def without_wallets(clock: Clock) -> Attests:
    """Signs for nobody."""
    return Attests(_nothing, _nothing, clock)
