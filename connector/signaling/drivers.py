"""The control planes that may drive our data plane: those that the settings name, as they have registered themselves since.

What lives here: proving one, and its registration. What does not: what it may do then (`table.py`).
A control plane is never taken in by its own word: only one that the settings name may register, and only with hosts that they allow.
Source: Data Plane Signaling v1.0-RC3, "Control Plane Registration".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from urllib.parse import urlsplit

from connector import observe
from connector.dps.messages import ControlPlaneRegistration
from connector.errors import Conflict, NotFound
from connector.signaling.book import Book
from connector.signaling.callers import Callers
from connector.signaling.entries import Entry, Owner, authorization_of
from connector.signaling.flows import HOME


class Drivers:
    """The control planes' way in."""

    def __init__(self, book: Book, callers: Callers, named: Sequence[Entry], *, id_: str) -> None:
        """`named` are those of the settings; `id_` is our own id."""
        self._book = book
        self._callers = callers
        self._named = {entry.id: entry for entry in named}
        self._id = id_

    async def all(self) -> tuple[Entry, ...]:
        """Every control plane that may call; what one has registered counts while the settings name it."""
        found = dict(self._named)
        for entry in await self._book.all(HOME):
            if entry.id in self._named:
                named = self._named[entry.id]
                found[entry.id] = replace(entry, dialect=named.dialect, hosts=named.hosts or entry.hosts)
        return tuple(found.values())

    async def get(self, id_: str) -> Entry:
        """A control plane.

        Raises: NotFound.
        """
        found = next((entry for entry in await self.all() if entry.id == id_), None)
        if found is None:
            raise NotFound(f"no control plane `{id_}` may drive this data plane", where=id_)
        return found

    async def prove(self, authorization: str | None) -> Entry:
        """The control plane that calls.

        Raises: Unauthenticated.
        """
        return await self._callers.prove(authorization, await self.all(), audience=self._id)

    async def register(self, caller: Entry, wanted: ControlPlaneRegistration) -> Entry:
        """A control plane that announces itself, replacing its earlier entry whole; `caller` is as `prove` gave it.

        Raises: Conflict for another one's id; AddressRefused, BadMessage.
        """
        if caller.id != wanted.id:
            raise Conflict("this id belongs to another control plane", where=wanted.id, mend="register under your own id")
        named, mine = self._named[caller.id], caller.authorization
        own = authorization_of(wanted.authorization).vouched(named.authorization)
        if not own.proves:
            own = replace(own, jwks=mine.jwks, jwks_uri=mine.jwks_uri, issuer=mine.issuer, secret=mine.secret)
        own = own if own.calls else own.calling(mine)
        entry = replace(named, endpoint=wanted.endpoint, authorization=own, owner=Owner.PLANE)
        if not named.hosts:
            # without a list it stays at the host that the settings name
            replace(entry, endpoint=named.endpoint).vet()
            entry = replace(entry, hosts=_hosts(named))
        await self._book.put(entry)
        observe.info("signaling.registered", control_plane=entry.id, endpoint=entry.endpoint)
        return entry

    async def leave(self, authorization: str | None, id_: str) -> None:
        """Forget what a control plane has registered.

        Raises: Unauthenticated, NotFound, Conflict.
        """
        caller = await self.prove(authorization)
        if caller.id != id_:
            raise Conflict("this id belongs to another control plane", where=id_)
        await self._book.delete(HOME, id_, by=Owner.PLANE)


def _hosts(entry: Entry) -> tuple[str, ...]:
    return (urlsplit(entry.endpoint).hostname or "",)
