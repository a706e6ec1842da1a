"""Places for what others make this node wait for: so many at once, of one host, for one sender, about one identity.

What lives here: `Places`, `Place`. What does not: what is waited for (documents of identities: `resolver.py`; presentations of wallets:
`verifier.py`).

Whoever sends us a token chooses whose answer we wait for. Where all places are taken, the one that has waited longest gives way: hosts
that answer slowly, however many, keep out nobody whose host answers. Whom we know has places that no stranger gets.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field

from connector.errors import Overloaded
from connector.ports.asker import ASKER, asker


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceRules:
    """How much a stranger can make us wait for."""

    at_once: int = 64
    """Of strangers."""
    per_host: int = 32
    """Of strangers at one host."""
    per_asker: int = 48
    """For one machine that sends us tokens of strangers."""
    known_at_once: int = 512
    """Of those whom we know."""
    per_known: int = 128
    """About one of those; its messages come many at once."""
    patience_s: float = 0.5
    """After so long a stranger's host gives way to another's where all places are taken."""


@dataclass(slots=True, kw_only=True, eq=False)
class Place:
    """One that is taken."""

    identity: str
    host: str
    asker: str
    is_known: bool
    began: float
    """By the event loop."""
    end: asyncio.Timeout | None = None
    """When the wait is over; None until it has begun."""
    has_given_way: bool = False

    def give_way(self) -> None:
        """End the wait now, as if its time were over."""
        self.has_given_way = True
        if self.end is not None:
            with contextlib.suppress(RuntimeError):  # it ends at this moment by itself
                self.end.reschedule(asyncio.get_running_loop().time())


@dataclass(slots=True)
class Places:
    """The places of one node for one kind of wait."""

    _taken: dict[Place, None] = field(default_factory=dict, repr=False)
    """In the order in which they were taken."""

    def take(self, identity: str, host: str, rules: PlaceRules, *, is_known: bool) -> Place:
        """A place for the wait for `host` about `identity`; to be left by whoever took it.

        Raises: Overloaded when there is none.
        """
        place = Place(
            identity=identity,
            host=host,
            asker=asker(ASKER.get()),
            is_known=is_known,
            began=asyncio.get_running_loop().time(),
        )
        # who has given way leaves in a moment
        alike = [one for one in self._taken if one.is_known is is_known and not one.has_given_way]
        if is_known:
            if len(alike) >= rules.known_at_once or sum(one.identity == identity for one in alike) >= rules.per_known:
                raise _full("identities")
        elif sum(one.host == host for one in alike) >= rules.per_host:
            raise _full("identities of one host", host)
        elif place.asker and sum(one.asker == place.asker for one in alike) >= rules.per_asker:
            raise _full("identities for one sender")
        elif len(alike) >= rules.at_once:
            oldest = alike[0]
            if oldest.end is None or place.began - oldest.began < rules.patience_s:
                raise _full("identities")
            oldest.give_way()
        self._taken[place] = None
        return place

    def leave(self, place: Place) -> None:
        """Give a place back; again changes nothing."""
        self._taken.pop(place, None)


def _full(whose: str, where: str = "") -> Overloaded:
    return Overloaded(f"too many questions are open about {whose}", where=where, mend="try again later")
