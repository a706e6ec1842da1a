"""Cuts what flows to or from a peer that may do nothing any more in its data space.

What lives here: `Standings`. What does not: transfers that were stopped (`watch.py`), and requests, which are judged as they come
(`access.py`).

A stream that has begun asks nobody again; so each node looks how the peers of what runs here stand: when an authority tells of a
change, and every half second as the net below. That is kept in memory by who knows it, and forgotten when it has changed. A peer
whose standing cannot be told goes on with what it has begun, and gets nothing new. One of whom nothing holds any longer (a
provider's token that is over) gets nothing new either; what runs with it is decided about again: terms that ask for membership end
it, open ones let it finish.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Final, Protocol

from connector import observe
from connector.controlplane.reviews import Reviews
from connector.dsp.tables import Kind
from connector.dsp.transfer import Transfer
from connector.errors import KontorError, StoreUnavailable
from connector.ports.clock import Clock
from connector.ports.identity import ACTIVE, STANDING, UNKNOWN, UNPROVEN, TokenSource
from connector.ports.store import Store

LOOK_EVERY: Final = timedelta(seconds=0.5)
_GOES_ON: Final = (ACTIVE, UNKNOWN)
Place = tuple[str, str]
"""Participant and pid of a transfer, or participant and peer."""


class Moving(Protocol):
    """Who moves data: the built-in data plane, or that and the planes of others."""

    def running(self) -> tuple[Place, ...]:
        """Participant and pid of each transfer whose data is moving."""
        ...

    async def stop(self, participant: str, pid: str) -> None:
        """Cut what is moving for a transfer."""
        ...


class Standings:
    """Looks how the peers stand with whom data is moving at this node."""

    def __init__(
        self, store: Store, data_plane: Moving, tokens: TokenSource, reviews: Reviews, clock: Clock, woken: asyncio.Event
    ) -> None:
        self._store = store
        self._data_plane = data_plane
        self._tokens = tokens
        self._reviews = reviews
        self._clock = clock
        self._woken = woken
        """Set when somebody's standing has changed: nobody waits for the next look then."""
        self._peers: dict[Place, str] = {}
        """The peer of each transfer that runs here."""
        self._judging: dict[Place, asyncio.Task[None]] = {}
        """By participant and peer."""
        self._lapsed: set[Place] = set()
        """Participants and peers that nothing holds of any longer, and what runs with them was decided about."""

    async def run(self) -> None:
        """Look until cancelled."""
        try:
            while True:
                await self.look()
                await self._clock.wait_until(self._clock.now() + LOOK_EVERY, self._woken)
        finally:
            for one in self._judging.values():
                one.cancel()
            await asyncio.gather(*self._judging.values(), return_exceptions=True)

    async def look(self) -> None:
        """Cut what runs here with a peer that is suspended or revoked. Who is asked about one and answers late holds up no other."""
        running = self._data_plane.running()
        self._peers = {place: peer for place, peer in self._peers.items() if place in running}
        new = tuple(place for place in running if place not in self._peers)
        if new:
            try:
                found = await self._store.several(Kind.TRANSFER, new)
            except StoreUnavailable:
                return  # the watch sees to that
            self._peers |= {(one.participant, one.pid): one.peer for one in found if isinstance(one, Transfer)}
        pairs = {(participant, peer) for (participant, _), peer in self._peers.items()}
        self._lapsed &= pairs
        for pair in pairs - self._judging.keys():
            self._judging[pair] = asyncio.create_task(self._judge(*pair))
        if not self._judging:
            return
        done, _ = await asyncio.wait(self._judging.values(), timeout=LOOK_EVERY.total_seconds())
        self._judging = {pair: one for pair, one in self._judging.items() if one not in done}
        for one in done:
            one.result()

    async def _judge(self, participant: str, peer: str) -> None:
        try:
            state = (await self._tokens.claims_of(participant, peer)).get(STANDING, ACTIVE)
        except KontorError as fault:
            observe.warning("data.standing_unknown", participant=participant, peer=peer, cause=str(fault))
            return
        if state == UNPROVEN:
            if (participant, peer) not in self._lapsed:
                self._lapsed.add((participant, peer))
                await self._reviews.peer(participant, peer)
            return
        self._lapsed.discard((participant, peer))
        if state in _GOES_ON:
            return
        for place, whose in tuple(self._peers.items()):
            if place[0] == participant and whose == peer:
                observe.warning("data.cut", participant=participant, pid=place[1], peer=peer, cause=f"it is {state}")
                await self._data_plane.stop(*place)
