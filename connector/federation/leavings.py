"""What members leave with the ledger, as documents of its own context: read once, and then what has changed of them.

What lives here: `Leavings`. What does not: what they mean (`notices.py`). Somebody looks at all of them every second, on each node:
of thousands that stay as they are nothing is read.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from connector.ports.store import Document, Store

_PAGE: Final = 1_000


class Leavings:
    """The documents of `context`."""

    def __init__(self, store: Store, context: str) -> None:
        self._store = store
        self._context = context
        self._at: dict[str, int] = {}
        self._kept: dict[str, dict[str, Document]] = {}
        self._told: dict[str, tuple[Document, ...]] = {}

    async def all(self, kind: str) -> Sequence[Document]:
        """Those of one kind, as they are now: the same value as before when nothing has changed."""
        revision = await self._store.revision(self._context)
        if self._at.get(kind) != revision:
            changed = await self._store.documents_since(self._context, self._at[kind]) if kind in self._at else None
            if changed is None:
                self._kept[kind] = await self._read(kind)
            else:
                kept = self._kept[kind]
                for known, id_ in changed.deleted:
                    if known == kind:
                        kept.pop(id_, None)
                kept.update((one.id, one) for one in changed.written if one.kind == kind)
            # what is written from now on has a later one
            self._at[kind] = revision
            self._told[kind] = tuple(self._kept[kind].values())
        return self._told[kind]

    async def _read(self, kind: str) -> dict[str, Document]:
        found: dict[str, Document] = {}
        cursor: str | None = None
        while True:
            page = await self._store.documents(self._context, kind, cursor=cursor, limit=_PAGE)
            found.update((one.id, one) for one in page.items)
            cursor = page.next_cursor
            if cursor is None:
                return found
