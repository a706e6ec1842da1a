"""What is moving, external data planes included: what `Standings` looks at, so that nothing flows to a peer that was suspended.

What lives here: knowing which transfers those are, and stopping one. What does not: how peers stand (`standing.py`), telling planes
(`signals.py`).
Nobody asks us when data moves there; so the transfer itself is suspended, its data plane with it, and the peer may read why.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Final

from connector import observe
from connector.controlplane.transfer import Transfers
from connector.dps.flow import Call
from connector.dsp.tables import Kind, State
from connector.dsp.transfer import Transfer
from connector.errors import CallerError, StoreUnavailable
from connector.ports.clock import Clock
from connector.ports.dataplane import DataPlane
from connector.ports.store import Store

LOOK_EVERY: Final = timedelta(seconds=5)
_BATCH: Final = 500
_RUNNING: Final = (Call.START, Call.STARTED, Call.RESUME)


class OuterFlows:
    """The transfers whose data is moving at present, at this node or by external planes."""

    def __init__(self, store: Store, transfers: Transfers, data_plane: DataPlane, clock: Clock) -> None:
        self._store = store
        self._transfers = transfers
        self._data_plane = data_plane
        self._clock = clock
        self._places: tuple[tuple[str, str], ...] = ()

    def running(self) -> tuple[tuple[str, str], ...]:
        """Participant and pid of each; those of external planes as last seen."""
        return (*self._data_plane.running(), *self._places)

    async def stop(self, participant: str, pid: str) -> None:
        """Cut what moves here; suspend a transfer whose data an external plane moves, when its peer may have none any more."""
        if (participant, pid) not in self._places:
            await self._data_plane.stop(participant, pid)
            return
        try:
            await self._transfers.act(
                participant,
                pid,
                "suspend",
                code="not-in-good-standing",
                reason="you may do nothing in the data space at present",
            )
        except CallerError as fault:
            # it is being stopped already, or has ended
            observe.info("signaling.not_suspended", pid=pid, cause=fault)
        self._places = tuple(place for place in self._places if place != (participant, pid))

    async def run(self) -> None:
        """Look which they are, until cancelled."""
        never = asyncio.Event()
        while True:
            await self.look()
            await self._clock.wait_until(self._clock.now() + LOOK_EVERY, never)

    async def look(self) -> None:
        """Find them; whichever node has begun them."""
        try:
            keys = await self._store.running(Kind.TRANSFER, (State.STARTED,))
            places = [(key.participant, key.pid) for key in keys]
            found: list[tuple[str, str]] = []
            for first in range(0, len(places), _BATCH):
                for one in await self._store.several(Kind.TRANSFER, places[first : first + _BATCH]):
                    if isinstance(one, Transfer) and one.flow is not None and one.flow.told in _RUNNING:
                        found.append((one.participant, one.pid))
        except StoreUnavailable:
            return
        self._places = tuple(found)
