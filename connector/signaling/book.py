"""The entries of a context, kept in the store: who is registered, under whose word.

What lives here: writing, reading, listing and forgetting entries, with their secrets sealed. What does not: what a plane must be
(`entries.py`), which one serves a transfer (`planes.py`).
An entry belongs to whoever wrote it: a plane that registers itself never replaces what an operator wrote, nor another plane's entry.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Final

import orjson

from connector.errors import Conflict, NotFound
from connector.ports.clock import Clock
from connector.ports.seal import Sealer
from connector.ports.store import Document, Store
from connector.signaling.entries import Authorization, Entry, Owner, authorization_of, entry_of, tree_of
from connector.strict import scan

DATA_PLANE: Final = "data-plane"
CONTROL_PLANE: Final = "control-plane"
_KEPT: Final = 4096


class Book:
    """Entries of one kind."""

    def __init__(
        self, store: Store, sealer: Sealer, clock: Clock, kind: str, *, allows_http: bool, written: Callable[[str], None]
    ) -> None:
        """`written` is told which context has changed."""
        self._store = store
        self._sealer = sealer
        self._clock = clock
        self._kind = kind
        self._allows_http = allows_http
        self._written = written
        self._opened: OrderedDict[tuple[str, str, int], Entry] = OrderedDict()

    async def put(self, entry: Entry) -> Entry:
        """Keep `entry`, in place of an older one of the same owner.

        Raises: AddressRefused, BadMessage; Conflict when the id belongs to somebody else.
        """
        entry.vet()
        document = await self._store.document(entry.participant, self._kind, entry.id)
        if document is not None and entry.owner is Owner.PLANE and document.body["owner"] != Owner.PLANE:
            raise Conflict("this id belongs to an entry of the operator", where=entry.id, mend="register under another id")
        now, name = self._clock.now(), f"{self._kind}:{entry.id}"
        sealed = self._sealer.seal(entry.participant, name, orjson.dumps(entry.authorization.tree()).decode())
        await self._store.put_document(
            Document(
                participant=entry.participant,
                kind=self._kind,
                id=entry.id,
                body={**tree_of(entry), "authorization": sealed},
                created_at=now,
                updated_at=now,
            )
        )
        self._written(entry.participant)
        return entry

    async def find(self, participant: str, id_: str) -> Entry | None:
        """The entry, or None."""
        document = await self._store.document(participant, self._kind, id_)
        return self._entry(document) if document is not None else None

    async def get(self, participant: str, id_: str) -> Entry:
        """The entry.

        Raises: NotFound.
        """
        found = await self.find(participant, id_)
        if found is None:
            raise NotFound(f"there is no {self._kind.replace('-', ' ')} `{id_}`", where=id_)
        return found

    async def all(self, participant: str) -> tuple[Entry, ...]:
        """Every entry of a context, by id."""
        found: list[Entry] = []
        cursor: str | None = None
        while True:
            page = await self._store.documents(participant, self._kind, cursor=cursor, limit=1000)
            found += [self._entry(document) for document in page.items]
            cursor = page.next_cursor
            if cursor is None:
                return tuple(found)

    async def delete(self, participant: str, id_: str, *, by: Owner = Owner.OPERATOR) -> None:
        """Forget an entry; a plane forgets none but its own.

        Raises: NotFound, Conflict.
        """
        entry = await self.get(participant, id_)
        if by is Owner.PLANE and entry.owner is not Owner.PLANE:
            raise Conflict("this id belongs to an entry of the operator", where=id_)
        await self._store.delete_document(participant, self._kind, id_)
        self._written(participant)

    def _entry(self, document: Document) -> Entry:
        place = (document.participant, document.id, document.version)
        known = self._opened.get(place)
        if known is None:
            name = f"{self._kind}:{document.id}"
            text = self._sealer.unseal(document.participant, name, str(document.body["authorization"]))
            authorization: Authorization = authorization_of(scan(text.encode()))
            known = entry_of(document.participant, document.id, document.body, authorization, allows_http=self._allows_http)
            self._opened[place] = known
            while len(self._opened) > _KEPT:
                self._opened.popitem(last=False)
        return known
