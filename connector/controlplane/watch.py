"""Sees to it that what flows at this node may still flow, whichever node has stopped it.

Who stops a transfer cuts what runs at his own node at once, and lets the others know. A notice may be lost; so each node also looks
at the transfers that have something running here, every half second, in one statement. While it cannot look, it lets go on what it
last saw open for the length of a lease, and then cuts it: nobody could tell it of a stop.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Final

from connector import observe
from connector.dsp.tables import Kind, State
from connector.dsp.transfer import Transfer
from connector.errors import StoreUnavailable
from connector.ports.clock import Clock
from connector.ports.dataplane import DataPlane
from connector.ports.store import Key, Store

LOOK_EVERY: Final = timedelta(seconds=0.5)


async def is_stopped(store: Store, process: Transfer) -> bool:
    """Whether what runs for a transfer has to be cut, now that `process` was committed.

    Of two changes that went to the disk together `process` may be what the earlier one left: what is open by now is not cut.
    """
    if process.is_open or State.STARTED not in process.entries:
        return False
    try:
        now = await store.process(Key(kind=Kind.TRANSFER, participant=process.participant, pid=process.pid))
    except StoreUnavailable:
        return True
    return not (isinstance(now, Transfer) and now.is_open)


class Watch:
    """Cuts what was stopped elsewhere."""

    def __init__(self, store: Store, data_plane: DataPlane, clock: Clock, *, lease_s: float) -> None:
        self._store = store
        self._data_plane = data_plane
        self._clock = clock
        self._lease = timedelta(seconds=lease_s)
        self._woken = asyncio.Event()
        self._noticed: set[tuple[str, str]] = set()
        self._looked_at = clock.now()

    def notice(self, key: Key) -> None:
        """Another node has stopped a process."""
        if key.kind is Kind.TRANSFER:
            self._noticed.add((key.participant, key.pid))
            self._woken.set()

    async def run(self) -> None:
        """Watch until cancelled."""
        self._store.heed(self.notice)
        while True:
            await self.look()
            await self._clock.wait_until(self._clock.now() + LOOK_EVERY, self._woken)

    async def look(self) -> None:
        """Cut what runs here and may not any more."""
        noticed, self._noticed = self._noticed, set()
        running = self._data_plane.running()
        if not running:
            self._looked_at = self._clock.now()
            return
        try:
            found = await self._store.several(Kind.TRANSFER, running)
        except StoreUnavailable as fault:
            self._noticed |= noticed
            # a clock that has jumped says nothing, and what nobody can say may flow does not
            if abs(self._clock.now() - self._looked_at) < self._lease:
                return
            observe.error("data.flows_cut", count=len(running), cause=fault, mend="the state of the transfers cannot be seen")
            stopped = running
        else:
            self._looked_at = self._clock.now()
            is_open = {(p.participant, p.pid) for p in found if isinstance(p, Transfer) and p.is_open}
            stopped = tuple(place for place in running if place not in is_open)
        for participant, pid in stopped:
            observe.info("data.cut", participant=participant, pid=pid)
            await self._data_plane.stop(participant, pid)
