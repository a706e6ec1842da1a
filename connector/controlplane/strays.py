"""What peers ask about that is not known here: processes and agreements of which a restored store has no memory.

Their messages get the answer that the protocol has for it, 404; here stands who spoke of what, so that the operator is told. Only
participants that proved themselves set it off, and it is bounded all the same: little of one peer in an hour, few at once, for a month.
What lives here: `Strays`, in a stream of the journal, so that every replica shows it.
Source: Dataspace Protocol 2025-1, HTTPS bindings, "404".
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from connector import observe
from connector.errors import KontorError
from connector.ports.clock import Clock
from connector.ports.journal import Line
from connector.ports.store import Store

STREAM: Final = "strays"
AGREEMENT: Final = "agreement"
_EVERY: Final = timedelta(seconds=1)
_MOST_AT_ONCE: Final = 50
_MOST_PEERS: Final = 2_000
_MOST_OF_ONE: Final = 20
"""Of one peer, within an hour."""
_HOUR: Final = timedelta(hours=1)
_KEPT: Final = timedelta(days=30)
_MOST_ID: Final = 500
_SHOWN: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Stray:
    """Something that a peer spoke of and that is not known here."""

    at: datetime
    kind: str
    """`negotiation`, `transfer` or `agreement`."""
    id: str
    """As the peer named it: our own process id, or the agreement's."""
    peer: str


class Strays:
    """Notes them."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._noted: deque[tuple[str, Stray]] = deque()
        self._written: OrderedDict[tuple[str, str], deque[datetime]] = OrderedDict()
        """When something was written of a peer, as far as it is not an hour ago."""
        self._woken = asyncio.Event()

    def note(self, participant: str, kind: str, id_: str, peer: str) -> None:
        """Have it told that `peer` spoke of something that was not found."""
        if not id_ or len(id_) > _MOST_ID or len(self._noted) >= _MOST_AT_ONCE:
            return
        self._noted.append((participant, Stray(at=self._clock.now(), kind=kind, id=id_, peer=peer)))
        self._woken.set()

    async def run(self) -> None:
        """Write what is noted until cancelled, at most once a second."""
        never = asyncio.Event()
        while True:
            await self._clock.wait_until(None, self._woken)
            await self._clock.wait_until(self._clock.now() + _EVERY, never)
            try:
                await self.flush()
            except KontorError as fault:
                observe.warning("strays.not_written", cause=fault)

    async def flush(self) -> None:
        """Write what is noted and is not there indeed; somebody else's process is none of this.

        Raises: StoreUnavailable.
        """
        noted, self._noted = self._noted, deque()
        lines: dict[str, list[Line]] = {}
        for participant, one in noted:
            if not self._may_write((participant, one.peer), one.at) or await self._is_there(participant, one):
                continue
            mend = "was the store restored? see `kontor reconcile --last`"
            observe.warning("process.unknown", participant=participant, kind=one.kind, pid=one.id, peer=one.peer, mend=mend)
            lines.setdefault(participant, []).append(Line(at=one.at, body={"kind": one.kind, "id": one.id, "peer": one.peer}))
        for participant, group in lines.items():
            await self._store.journal.append(participant, STREAM, group, can_wait=True)
            await self._store.journal.trim(participant, STREAM, self._clock.now() - _KEPT)

    async def of(self, participant: str) -> tuple[Stray, ...]:
        """The last of each, newest first. Raises: StoreUnavailable."""
        await self.flush()
        page = await self._store.journal.page(participant, STREAM, limit=_SHOWN, is_newest_first=True)
        found: dict[tuple[str, str], Stray] = {}
        for entry in page.items:
            said = entry.body
            one = Stray(at=entry.at, kind=said["kind"], id=said["id"], peer=said["peer"])
            found.setdefault((one.kind, one.id), one)
        return tuple(found.values())

    async def _is_there(self, participant: str, one: Stray) -> bool:
        if one.kind == AGREEMENT:
            return await self._store.agreement(participant, one.id) is not None
        return await self._store.find(participant, one.id) is not None

    def _may_write(self, place: tuple[str, str], at: datetime) -> bool:
        written = self._written.setdefault(place, deque())
        self._written.move_to_end(place)
        while len(self._written) > _MOST_PEERS:
            self._written.popitem(last=False)
        while written and written[0] + _HOUR <= at:
            written.popleft()
        if len(written) >= _MOST_OF_ONE:
            return False
        written.append(at)
        return True
