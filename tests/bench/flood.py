"""Requests at a pace that whoever is asked does not set: in an open loop, over many connections that are open already.

What lives here: `Hose`, and `Tally`, what came of its requests. A request that is due is sent though others wait for their answer,
as those of many clients are. What does not: the requests, and what they show (`overload.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from tests.bench.load import Connection, LoadError

_TICK_S: Final = 0.01
_REFUSED: Final = (429, 503)


@dataclass(slots=True, kw_only=True)
class Tally:
    """What came of the requests of a hose."""

    sent: int = 0
    unsent: int = 0
    """Were due while no connection was to be had: the load was smaller by so many."""
    served: list[float] = field(default_factory=list)
    """Seconds until each answer that did what was asked."""
    refused: Counter[int] = field(default_factory=Counter)
    """Answers that told to come again later, by status."""
    slowest_s: float = 0.0
    """Longest wait for any answer."""
    faults: Counter[str] = field(default_factory=Counter)
    """Requests that got no answer, or another one than is promised, by what happened."""
    closed: int = 0
    """Connections that the server would not have, with an answer or without."""
    answer: int | None = None
    """The status that each request should get; None for any success."""

    def answered(self, connection: Connection, status: int, body: bytes, took_s: float) -> None:
        """Count an answer."""
        self.slowest_s = max(self.slowest_s, took_s)
        if (200 <= status < 300) if self.answer is None else (status == self.answer):
            self.served.append(took_s)
        elif status not in _REFUSED:
            self.faults[f"answered {status}: {body[:200].decode(errors='replace')}"] += 1
        elif b"\r\nretry-after: " not in connection.head.lower():
            self.faults[f"answered {status} without Retry-After"] += 1
        else:
            self.refused[status] += 1


class Hose:
    """Requests to one port."""

    def __init__(self, port: int, requests: Iterator[bytes], *, most: int, within_s: float, answer: int | None = None) -> None:
        """`most` connections at once; whoever is not answered `within_s` has been left hanging."""
        self._port = port
        self._requests = requests
        self._most = most
        self._within_s = within_s
        self._answer = answer
        self._free: list[Connection] = []
        self._open = 0

    async def run(self, per_second: float, for_s: float) -> Tally:
        """Send so many a second for so long, and wait for all answers."""
        tally = Tally(answer=self._answer)
        self._free = [await Connection.to(self._port) for _ in range(self._most)]
        self._open = self._most
        begin = time.perf_counter()
        async with asyncio.TaskGroup() as tasks:
            while (gone_s := time.perf_counter() - begin) < for_s:
                for _ in range(int(gone_s * per_second) - tally.sent - tally.unsent):
                    if not self._free and self._open >= self._most:
                        tally.unsent += 1
                        continue
                    tally.sent += 1
                    tasks.create_task(self._asked(tally, self._free.pop() if self._free else None))
                await asyncio.sleep(_TICK_S)
        for connection in self._free:
            connection.close()
        return tally

    async def _asked(self, tally: Tally, connection: Connection | None) -> None:
        begin = time.perf_counter()
        if connection is None:
            self._open += 1
        try:
            async with asyncio.timeout(self._within_s):
                connection = connection or await Connection.to(self._port)
                status, body = await connection.ask(next(self._requests))
        except TimeoutError:
            tally.faults[f"no answer within {self._within_s:.0f} s"] += 1
        except (OSError, LoadError) as fault:
            tally.faults[f"{type(fault).__name__}: {fault}"] += 1
        else:
            tally.answered(connection, status, body, time.perf_counter() - begin)
            if b"\r\nconnection: close" not in connection.head.lower():
                self._free.append(connection)
                return
            tally.closed += 1
        self._open -= 1
        if connection is not None:
            with contextlib.suppress(OSError):
                connection.close()
