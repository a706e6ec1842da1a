"""The flows of our data plane in the store: sealed, each changed by one writer at a time, and taken up after a restart.

What lives here: keeping flows. What does not: what they are (`flows.py`), and what changes them (`table.py`, `serving.py`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Final

import orjson

from connector.errors import Conflict, InternalError, NotFound
from connector.ports.clock import Clock
from connector.ports.seal import Sealer
from connector.ports.store import Document, Store
from connector.signaling.flows import HOME, Flow, flow_of, tree_of
from connector.strict import scan

KIND: Final = "data-flow"
_TRIES: Final = 8


class Flows:
    """All flows of our data plane."""

    def __init__(self, store: Store, sealer: Sealer, clock: Clock) -> None:
        self._store = store
        self._sealer = sealer
        self._clock = clock

    async def find(self, id_: str) -> Flow | None:
        """The flow with our id, or None."""
        document = await self._store.document(HOME, KIND, id_)
        return self._opened(document) if document is not None else None

    async def add(self, flow: Flow) -> None:
        """Keep a new flow.

        Raises: Conflict when there is one with its id.
        """
        await self._put(flow, 0)

    async def change(self, id_: str, decide: Callable[[Flow], Flow]) -> Flow:
        """The flow after `decide`, which may be asked more than once; what it raises goes to the caller and nothing changes.

        Raises: NotFound.
        """
        for _ in range(_TRIES):
            document = await self._store.document(HOME, KIND, id_)
            if document is None:
                raise NotFound("there is no such data flow")
            before = self._opened(document)
            after = decide(before)
            if after == before:
                return before
            try:
                await self._put(after, document.version)
            except Conflict:
                continue
            return after
        raise InternalError("a data flow changes without end", where=id_)

    async def all(self) -> AsyncIterator[Flow]:
        """Every flow."""
        cursor: str | None = None
        while True:
            page = await self._store.documents(HOME, KIND, cursor=cursor, limit=200)
            for document in page.items:
                yield self._opened(document)
            cursor = page.next_cursor
            if cursor is None:
                return

    async def forget(self, id_: str) -> None:
        """Drop a flow."""
        await self._store.delete_document(HOME, KIND, id_)

    async def _put(self, flow: Flow, version: int) -> None:
        now = self._clock.now()
        sealed = self._sealer.seal(HOME, f"{KIND}:{flow.id}", orjson.dumps(tree_of(flow)).decode())
        body = {"sealed": sealed}
        document = Document(participant=HOME, kind=KIND, id=flow.id, body=body, created_at=now, updated_at=now)
        await self._store.put_document(document, expect=version)

    def _opened(self, document: Document) -> Flow:
        text = self._sealer.unseal(HOME, f"{KIND}:{document.id}", str(document.body["sealed"]))
        return flow_of(scan(text.encode()))
