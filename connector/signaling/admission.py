"""Which data planes may speak to our control plane, and which may register themselves.

What lives here: proving a data plane of a participant, and registering one that the settings expect. What does not: what it says then.
Registering a plane gives away what opens sources and pushes, so it is never open: an operator writes the entry, or the settings expect
the plane by id, with what proves it and the hosts that it may name.
Source: Data Plane Signaling v1.0-RC3, "Data Plane Registration".
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from connector import observe
from connector.dps.messages import PlaneRegistration
from connector.errors import Conflict
from connector.signaling.book import Book
from connector.signaling.callers import Callers
from connector.signaling.entries import Entry, Owner, authorization_of


class Admission:
    """The data planes' way in."""

    def __init__(
        self,
        book: Book,
        callers: Callers,
        expected: Sequence[Entry],
        *,
        id_: str,
        announce: Callable[[Entry], Awaitable[None]],
    ) -> None:
        """`expected` are the planes that may register themselves, once for each participant; `id_` is our own id."""
        self._book = book
        self._callers = callers
        self._expected = tuple(expected)
        self._id = id_
        self._announce = announce

    async def plane(self, participant: str, authorization: str | None) -> Entry:
        """The registered data plane of `participant` that calls.

        Raises: Unauthenticated, for a participant that we do not have, too.
        """
        return await self._callers.prove(authorization, await self._book.all(participant), audience=self._id)

    async def registering(self, participant: str, authorization: str | None) -> Entry:
        """The data plane that may register itself with `participant` and calls; asked before its message is read.

        Raises: Unauthenticated, for a participant that we do not have, too.
        """
        # one that is registered may come with the keys that it has registered: so keys change
        known = [entry for entry in await self._book.all(participant) if entry.owner is Owner.PLANE]
        return await self._callers.prove(authorization, [*self._here(participant), *known], audience=self._id)

    def _here(self, participant: str) -> list[Entry]:
        return [entry for entry in self._expected if entry.participant == participant]

    async def register(self, participant: str, caller: Entry, wanted: PlaneRegistration) -> Entry:
        """The entry of a plane that registers itself, replacing its earlier one whole; `caller` is as `registering` gave it.

        Raises: Conflict for another plane's id or an operator's entry; AddressRefused, BadMessage.
        """
        if caller.id != wanted.id:
            raise Conflict("this id belongs to another data plane", where=wanted.id, mend="register under your own id")
        expected = next((entry for entry in self._here(participant) if entry.id == wanted.id), caller)
        own = authorization_of(wanted.authorization).vouched(expected.authorization)
        if not own.proves:
            mine = expected.authorization
            own = replace(own, jwks=mine.jwks, jwks_uri=mine.jwks_uri, issuer=mine.issuer, secret=mine.secret)
        if not own.calls:
            own = own.calling(expected.authorization)
        entry = await self._book.put(
            replace(
                expected,
                dialect=wanted.dialect,
                endpoint=wanted.endpoint,
                profiles=wanted.profiles,
                labels=wanted.labels,
                source_types=wanted.source_types,
                provision_types=wanted.provision_types,
                authorization=own,
                owner=Owner.PLANE,
            )
        )
        observe.info("signaling.registered", participant=participant, plane=entry.id, endpoint=entry.endpoint)
        await self._announce(entry)
        return entry

    async def leave(self, participant: str, authorization: str | None, id_: str) -> None:
        """Forget a plane that has registered itself and takes its leave.

        Raises: Unauthenticated, NotFound, Conflict.
        """
        caller = await self.plane(participant, authorization)
        if caller.id != id_:
            raise Conflict("this id belongs to another data plane", where=id_)
        await self._book.delete(participant, id_, by=Owner.PLANE)
