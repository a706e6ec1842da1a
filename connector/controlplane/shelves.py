"""The shelves of all contexts: each made when a document of its context has changed, once for all who ask for it at that time.

What lives here: `Shelves`, when a shelf is made and of what. A change of a few documents costs those (`shelving.py`); after a change
of many, and now and then, all are looked at again, and those that did not change are not read again. What does not: writing
documents (`offerings.py`), who may see what (`seeing.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from connector import observe
from connector.api.offerings import Asset
from connector.controlplane.participants import Participants, Revisions
from connector.controlplane.shelf import Shelf
from connector.controlplane.shelving import ASSET, MODELS, SOURCE_TYPES, Profiles, Stock, checked
from connector.errors import CallerError
from connector.ports.clock import Clock
from connector.ports.dataplane import DataPlane
from connector.ports.documents import Changes
from connector.ports.signaling import Planes
from connector.ports.store import Document, Store

_AT_ONCE: Final = 250
"""Documents of one reading: a store on a file reads so many without a thread."""
_WHOLE_EVERY: Final = timedelta(minutes=5)
"""A database that went back to an earlier state, such as a standby that lacked something, is noticed after so long at the latest."""


@dataclass(slots=True)
class _Place:
    """What is known of one context."""

    stock: Stock
    shelf: Shelf | None = None
    profiles: Profiles = field(default_factory=dict)
    whole_at: datetime | None = None
    """When all documents were looked at."""
    making: asyncio.Event | None = None
    """Set when the shelf that is being made is there; all who wait go on together, as they could not in turns of a lock."""
    made: int = 0
    """How many shelves were made."""


class Shelves:
    """The shelves of all contexts."""

    def __init__(
        self, store: Store, participants: Participants, revisions: Revisions, data_plane: DataPlane, clock: Clock
    ) -> None:
        self._store = store
        self._participants = participants
        self._revisions = revisions
        self._data_plane = data_plane
        self._clock = clock
        self._planes: Planes | None = None
        self._places: dict[str, _Place] = {}

    def connect(self, planes: Planes) -> None:
        """Offer, from now on, what the data planes of others serve, too."""
        self._planes = planes

    async def of(self, participant: str) -> Shelf:
        """The whole offering of the context as it is now.

        Raises: NotFound for an unknown participant.
        """
        revision = await self._revisions.of(participant)
        place = self._places.get(participant)
        if place is not None and place.shelf is not None and place.shelf.revision == revision:
            return place.shelf
        await self._participants.context(participant)
        place = self._places.setdefault(participant, _Place(Stock(self._data_plane)))
        # one that is being made now may have looked too early; the next one will not have, however often something is written
        enough = place.made + (2 if place.making is not None else 1)
        while place.shelf is None or (place.shelf.revision != revision and place.made < enough):
            if place.making is not None:
                await place.making.wait()
                continue
            place.making = making = asyncio.Event()
            try:
                place.shelf = await self._made(participant, place)
                place.made += 1
            finally:
                place.making = None
                making.set()
        return place.shelf

    async def current(self, participant: str) -> Shelf | None:
        """The shelf, where the last one that was made is as things are now."""
        place = self._places.get(participant)
        shelf = place.shelf if place is not None else None
        return shelf if shelf is not None and shelf.revision == await self._revisions.of(participant) else None

    async def asset(self, participant: str, id_: str) -> Asset | None:
        """The asset as it is now; None when there is none, or it cannot be read. Makes no shelf for it.

        Raises: NotFound for an unknown participant.
        """
        await self._participants.context(participant)
        document = await self._store.document(participant, ASSET, id_)
        if document is None:
            return None
        try:
            found = checked(ASSET, document.body)
        except CallerError:
            return None
        assert isinstance(found, Asset)
        return found

    async def _made(self, participant: str, place: _Place) -> Shelf:
        # looked at before the documents: what is written meanwhile makes another shelf
        revision, now = await self._revisions.of(participant), self._clock.now()
        profiles = await self._profiles(participant)
        changed = await self._since(participant, place, revision, now) if profiles == place.profiles else None
        whole = None if changed is not None else [one for kind in MODELS for one in await self._all(participant, kind)]
        known_at, place.whole_at = place.whole_at, None
        # should one of these fail in their midst, all is looked at again and into a new stock the next time
        stock, place.stock = place.stock, Stock(self._data_plane)
        if changed is not None:
            stock.follow(changed)
        elif whole is not None:
            stock.replace(whole, profiles)
            place.profiles, known_at = profiles, now
        place.stock, place.whole_at = stock, known_at
        shelf = place.stock.shelf(revision)
        told = place.shelf.faults if place.shelf is not None else ()
        for fault in shelf.faults:
            if fault not in told:
                observe.warning("offerings.left_out", participant=participant, fault=fault)
        return shelf

    async def _since(self, participant: str, place: _Place, revision: int, now: datetime) -> Changes | None:
        """What has changed since the last shelf; None when all must be looked at."""
        if place.shelf is None or place.whole_at is None or revision < place.shelf.revision:
            return None
        if not place.whole_at <= now < place.whole_at + _WHOLE_EVERY:
            return None
        return await self._store.documents_since(participant, place.shelf.revision, limit=_AT_ONCE)

    async def _profiles(self, participant: str) -> Mapping[str, tuple[str, ...]]:
        """In which formats the data planes of others can serve, by type of source."""
        if self._planes is None:
            return {}
        return {kind: await self._planes.profiles(participant, kind) for kind in SOURCE_TYPES}

    async def _all(self, participant: str, kind: str) -> tuple[Document, ...]:
        found: list[Document] = []
        cursor: str | None = None
        while True:
            page = await self._store.documents(participant, kind, cursor=cursor, limit=_AT_ONCE)
            found += page.items
            cursor = page.next_cursor
            if cursor is None:
                return tuple(found)
