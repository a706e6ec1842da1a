"""The credentials that our participants hold, sealed in the node's store.

What lives here: `Held`. What does not: whether a delivery may be kept (`deliveries.py`), and what is shown (`presenting.py`).
A credential replaces the one of the same issuer that has the same types and data model: wallets show one of a kind.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Final

from connector import observe
from connector.errors import ConfigurationError, NotFound, Unproven
from connector.identity.formats import Credential, read_credential
from connector.ports.clock import Clock
from connector.ports.seal import Sealer
from connector.ports.store import Document, Store

KIND: Final = "credential"


class Held:
    """Credentials by participant."""

    def __init__(self, store: Store, seal: Sealer, clock: Clock, changed: Callable[[str], None] = lambda _: None) -> None:
        """`changed` is called with the participant of which something was written."""
        self._store = store
        self._changed = changed
        self._seal = seal
        self._clock = clock

    async def put(self, participant: str, credential: Credential) -> str:
        """Keep a credential that was judged, in place of an older one of its kind; the id that it is kept under.

        Raises: StoreUnavailable.
        """
        assert credential.token is not None, "only signed credentials are held"
        id_, now = place_of(credential), self._clock.now()
        body = {"sealed": self._seal.seal(participant, f"{KIND}/{id_}", credential.token.raw)}
        await self._store.put_document(
            Document(participant=participant, kind=KIND, id=id_, body=body, created_at=now, updated_at=now)
        )
        self._changed(participant)
        return id_

    async def all(self, participant: str) -> dict[str, Credential]:
        """What `participant` holds, by the id that it is kept under; what does not open any more is told and left out."""
        found: dict[str, Credential] = {}
        cursor: str | None = None
        while True:
            page = await self._store.documents(participant, KIND, cursor=cursor, limit=100)
            for kept in page.items:
                try:
                    raw = self._seal.unseal(participant, f"{KIND}/{kept.id}", str(kept.body["sealed"]))
                    found[kept.id] = read_credential(raw)
                except (ConfigurationError, Unproven) as fault:
                    observe.error("identity.credential_lost", participant=participant, credential=kept.id, cause=str(fault))
            cursor = page.next_cursor
            if cursor is None:
                return found

    async def drop(self, participant: str, id_: str) -> None:
        """Forget a credential.

        Raises: NotFound.
        """
        if not await self._store.delete_document(participant, KIND, id_):
            raise NotFound(f"there is no credential `{id_}`", where=id_, mend="see `kontor credentials list`")
        self._changed(participant)


def place_of(credential: Credential) -> str:
    """The id that a credential is kept under: the same for all of one kind."""
    kind = "\0".join((credential.issuer, credential.model, *sorted(credential.types)))
    return hashlib.sha256(kind.encode()).hexdigest()[:16]
