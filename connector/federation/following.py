"""The index follows the record: whatever changes is found a moment later, on every replica.

What lives here: `Indexer`, its worker. What does not: the index (`tantivy_index`, or SQLite's), which runs in a thread here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from connector import observe
from connector.errors import Gone
from connector.federation.documents import document_of
from connector.federation.origins import name_of
from connector.ports.catalog import ITSELF, Product, Records
from connector.ports.clock import Clock
from connector.ports.index import Document, Index

_AT_ONCE: Final = 4_000
_LOOK_AGAIN: Final = timedelta(seconds=0.5)
"""Another replica may have changed the record."""
_NAMES: Final = 50_000
_MOST_BEHIND: Final = 2 * _AT_ONCE
"""So many changes may wait to be found before whoever records more is asked to wait."""
_PATIENCE: Final = timedelta(seconds=10)
"""An index that cannot follow does not stop the record."""


class Indexer:
    """Keeps an index as the record is."""

    def __init__(self, records: Records, index: Index, clock: Clock, *, space: str, most_behind: int = _MOST_BEHIND) -> None:
        self._records = records
        self._index = index
        self._clock = clock
        self._space = space
        self._most_behind = most_behind
        self._names: dict[str, str] = {}
        self._applied = 0
        self._moved = asyncio.Event()
        self.woken = asyncio.Event()
        self.fresh: set[str] = set()
        """Terms that changes came with since somebody has taken them from here."""
        self.generation = 0
        """Grows with each change just before it is found: what was asked before may have another answer."""

    @property
    def sequence(self) -> int:
        """The number of the last change that is found."""
        return self._applied

    async def open(self) -> None:
        """Open the index; when it was lost, it is made anew by `run`."""
        self._applied = await asyncio.to_thread(self._index.open)
        if self._applied > await self._records.sequence():
            # the record was thrown away since: numbers mean other products now
            await self._anew()

    async def close(self) -> None:
        await asyncio.to_thread(self._index.close)

    async def run(self) -> None:
        """Follow, for ever."""
        while True:
            if not await self.catch_up():
                await self._clock.wait_until(self._clock.now() + _LOOK_AGAIN, self.woken)

    async def near(self) -> None:
        """Return when what is found is not far behind the record, or after some seconds: both share a processor, and a record that runs
        ahead would only have everything found later."""
        until = self._clock.now() + _PATIENCE
        while await self._records.sequence() - self._applied > self._most_behind and self._clock.now() < until:
            await self._clock.wait_until(until, self._moved)

    async def catch_up(self) -> bool:
        """Take over what has changed, as much as one commit takes; whether there may be more."""
        try:
            changes = await self._records.changes(self._applied, _AT_ONCE)
        except Gone:
            observe.warning("catalog.index_behind", mend="it is made anew")
            await self._anew()
            return True
        if not changes:
            return False
        shown = [change.product for change in changes if change.product is not None and not change.is_itself]
        shown += await self._renamed({c.key[0] for c in changes if c.is_itself}, {one.number for one in shown})
        names = await self._publishers({one.entry.origin for one in shown})
        gone = [c.number for c in changes if c.product is None and not c.is_itself]
        last = changes[-1].sequence

        def applied() -> None:
            documents = [found for one in shown if (found := self._document(one, names)) is not None]
            self._index.apply(documents, [*gone, *({one.number for one in shown} - {one.number for one in documents})], last)

        # before and not after: whoever finds these products knows their terms already
        self.fresh.update(one.entry.terms for one in shown)
        self.generation += 1
        await asyncio.to_thread(applied)
        self._applied = last
        observe.count("catalog_changes_found", len(changes))
        self._moved.set()
        return len(changes) == _AT_ONCE

    def _document(self, product: Product, names: Mapping[str, str]) -> Document | None:
        """What is searched of a product; None when it cannot be read, which keeps nobody from the others."""
        try:
            return document_of(product, space=self._space, publisher=names.get(product.entry.origin, ""))
        except Exception as fault:  # noqa: BLE001 - one broken description never harms the rest
            observe.error("catalog.not_searchable", product=product.number, member=product.member, fault=fault)
            return None

    async def _anew(self) -> None:
        await asyncio.to_thread(self._index.clear)
        self._applied = 0

    async def _renamed(self, origins: set[str], known: set[int]) -> list[Product]:
        """The products of origins that may call themselves otherwise now, but for those in `known`: they are found by the name."""
        found: list[Product] = []
        for origin in origins:
            member = await self._records.member(origin)
            before = self._names.pop(origin, None)
            if (member is not None and member.title) or (await self._publishers({origin}))[origin] == before:
                continue
            after = 0
            while part := await self._records.of_origin(origin, after, _AT_ONCE):
                after = part[-1].number
                found += [one for one in part if one.number not in known]
        return found

    async def _publishers(self, origins: set[str]) -> dict[str, str]:
        """The names of these participants, as the list of members has them, or else as they say themselves."""
        if len(self._names) > _NAMES:
            self._names.clear()
        for origin in origins - set(self._names):
            member = await self._records.member(origin)
            said = None if member is not None and member.title else await self._records.product(origin, ITSELF)
            self._names[origin] = name_of(said.entry) if said is not None else member.title if member else ""
        return self._names
