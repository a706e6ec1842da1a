"""What a node looks up by participant, where a test knows all of it beforehand."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

T = TypeVar("T")


def registry(known: Mapping[str, T]) -> Callable[[str], Awaitable[T | None]]:
    """Gives what is known by name, None for others."""

    async def look_up(name: str) -> T | None:
        return known.get(name)

    return look_up
