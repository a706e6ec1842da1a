"""What peers ask about that is not known here: processes and agreements of which a restored store has no memory.

Their messages get the answer that the protocol has for it, 404; here stands who spoke of what, so that the operator is told. Only
participants that proved themselves set it off, and it is bounded all the same: little of one peer in an hour, few at once, for a month.
What lives here: `Strays`, in a stream of the journal, so that every replica shows it.
Source: Dataspace Protocol 2025-1, HTTPS bindings, "404".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from connector import observe
from connector.controlplane.bounded_notes import BoundedNotes, Bounds
from connector.ports.clock import Clock
from connector.ports.store import Store

STREAM: Final = "strays"
AGREEMENT: Final = "agreement"
_BOUNDS: Final = Bounds(stream=STREAM, most_of_one=20, kept=timedelta(days=30))
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
    """Notes them, by peer."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._notes = BoundedNotes(store, clock, _BOUNDS, self._told)
        self.run = self._notes.run

    def note(self, participant: str, kind: str, id_: str, peer: str) -> None:
        """Have it told that `peer` spoke of something that was not found."""
        if id_ and len(id_) <= _MOST_ID:
            self._notes.add(participant, peer, Stray(at=self._clock.now(), kind=kind, id=id_, peer=peer))

    async def of(self, participant: str) -> tuple[Stray, ...]:
        """The last of each, newest first. Raises: StoreUnavailable."""
        await self._notes.flush()
        page = await self._store.journal.page(participant, STREAM, limit=_SHOWN, is_newest_first=True)
        found: dict[tuple[str, str], Stray] = {}
        for entry in page.items:
            said = entry.body
            one = Stray(at=entry.at, kind=said["kind"], id=said["id"], peer=said["peer"])
            found.setdefault((one.kind, one.id), one)
        return tuple(found.values())

    async def _told(self, participant: str, peer: str, one: Stray) -> Mapping[str, Any] | None:
        """What is written of it, unless it is there: somebody else's process is none of this."""
        if await self._is_there(participant, one):
            return None
        mend = "was the store restored? see `kontor reconcile --last`"
        observe.warning("process.unknown", participant=participant, kind=one.kind, pid=one.id, peer=peer, mend=mend)
        return {"kind": one.kind, "id": one.id, "peer": peer}

    async def _is_there(self, participant: str, one: Stray) -> bool:
        if one.kind == AGREEMENT:
            return await self._store.agreement(participant, one.id) is not None
        return await self._store.find(participant, one.id) is not None
