"""Used tokens, remembered in this process: for tests, and for nodes that run alone and may forget when they stop.

What is remembered is a digest, so that nothing of a token stays, and so that the memory for one is fixed whatever its sender wrote.
Calls run on the event loop without waiting, so of many at once exactly one is the first.
"""

from __future__ import annotations

import hashlib
import heapq
from datetime import datetime

from connector.errors import Overloaded


class MemoryReplay:
    """A ReplayStore in a dictionary. It is bounded, and when it is full it refuses rather than forgets."""

    def __init__(self, most: int = 1_000_000) -> None:
        self._most = most
        self._until: dict[bytes, float] = {}
        self._ends: list[tuple[float, bytes]] = []

    async def use(self, participant: str, issuer: str, jti: str, until: datetime, now: datetime) -> bool:
        """Whether this is the first use.

        Raises: Overloaded when no more can be remembered.
        """
        at = now.timestamp()
        while self._ends and self._ends[0][0] <= at:
            del self._until[heapq.heappop(self._ends)[1]]
        key = fingerprint(participant, issuer, jti)
        if key in self._until:
            return False
        if len(self._until) >= self._most:
            raise Overloaded("no more used tokens can be remembered", mend="try again later")
        end = until.timestamp()
        if end > at:
            self._until[key] = end
            heapq.heappush(self._ends, (end, key))
        return True


def fingerprint(participant: str, issuer: str, jti: str) -> bytes:
    """The 32 bytes that a token is remembered by."""
    # each part is digested by itself: no text in one can move into the next
    parts = (hashlib.sha256(part.encode("utf-8", "surrogatepass")).digest() for part in (participant, issuer, jti))
    return hashlib.sha256(b"".join(parts)).digest()
