"""Telling the catalogues above that something has changed here, so that it is found there within moments.

What lives here: `Telling`. What does not: what they do with it: they ask for the change feed (`feed.py`), as they do by themselves now
and then, so that nothing is lost with what is not told.

An announcement says nothing but that there is news. There is one at a time for each catalogue: whatever changes meanwhile is told with
the next one, and one that cannot be delivered is tried again, ever more rarely. What came from above changes nothing here, so that two
catalogues that follow each other fall silent.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from connector import observe
from connector.errors import KontorError
from connector.ports.catalog import Records
from connector.ports.clock import Clock
from connector.ports.peers import Peers

_REST: Final = timedelta(seconds=0.2)
"""Between two announcements: a ledger that takes over thousands of members has news all the time."""
_LOOK_AGAIN: Final = timedelta(seconds=1)
"""Another replica may have changed the record."""
_FIRST_PAUSE: Final = timedelta(seconds=0.5)
_LONGEST_PAUSE: Final = timedelta(minutes=10)
_MAX_ANSWER_BYTES: Final = 64 << 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Above:
    """A catalogue that lists ours."""

    id: str
    address: str
    woken: asyncio.Event = field(default_factory=asyncio.Event, compare=False)


class Telling:
    """Tells on behalf of `participant`, as whom our ledger answers."""

    def __init__(self, records: Records, peers: Peers, clock: Clock, *, participant: str, above: Sequence[Above]) -> None:
        self._records = records
        self._peers = peers
        self._clock = clock
        self._participant = participant
        self._above = tuple(above)

    def changed(self) -> None:
        """Something has changed: look now."""
        for one in self._above:
            one.woken.set()

    async def run(self) -> None:
        """Tell, for ever. A start is news: nobody knows what the process before it has told."""
        async with asyncio.TaskGroup() as tasks:
            for one in self._above:
                tasks.create_task(self._tell(one))

    async def _tell(self, catalog: Above) -> None:
        told, failures, rest = -1, 0, asyncio.Event()
        while True:
            sequence = await self._records.sequence()
            if sequence == told:
                await self._clock.wait_until(self._clock.now() + _LOOK_AGAIN, catalog.woken)
                continue
            pause = _REST
            try:
                await self._peers.ask(
                    "POST", f"{catalog.address}/announcements", b"{}",
                    participant=self._participant, peer=catalog.id, max_bytes=_MAX_ANSWER_BYTES,
                )  # fmt: skip
            except KontorError as fault:
                pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** min(failures, 20)) * random.uniform(0.8, 1.2)
                failures += 1
                mend = "it finds what is new when it asks by itself; see that it lists this participant as a catalogue"
                observe.warning("catalog.not_told", catalog=catalog.id, failures=failures, cause=str(fault), mend=mend)
            else:
                told, failures = sequence, 0
            await self._clock.wait_until(self._clock.now() + pause, rest)
