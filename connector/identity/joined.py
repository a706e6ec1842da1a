"""The data spaces that our participants have joined: one record for each, kept in the participant's context.

What lives here: `Joined`, its form in the store, and the framework that follows from having joined where no file says otherwise.
What does not: joining (`joining.py`), and what credentials are worth in a space (`admission.py`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from connector.identity.framework import ANY, Anchor, Framework, Limits
from connector.identity.listsource import ListAddress
from connector.identity.trustlists import Listing
from connector.ports.store import Store

KIND: Final = "space"


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """A space that a participant has joined, or wants to."""

    space: str
    authority: str
    """The DID that governs it."""
    title: str
    applications: str
    """Where the authority takes applications and tells how they stand."""
    participants: str
    """Where its signed list of participants stands."""
    issuers: str
    """Where its signed list of issuers stands."""
    types: tuple[str, ...]
    """What its authority issues; the first is membership."""
    state: str = "SUBMITTED"
    """How the participant stands there, as far as it was told."""
    error: str = ""
    """Why it does not go on."""
    version: int = 0

    @property
    def is_member(self) -> bool:
        """Whether the participant has been taken in and holds its credential."""
        return self.state == "ACTIVE"

    @property
    def participant_list(self) -> ListAddress:
        """The space's list of participants."""
        return ListAddress(url=self.participants, listing=Listing.PARTICIPANTS, governance=self.authority, space=self.space)

    @property
    def framework(self) -> Framework:
        """What counts in the space where no file says otherwise: its authority, and whom that lists."""
        where = f"joined {self.space}"
        own = Anchor(did=self.authority, limits=Limits(types=frozenset(self.types)), where=where)
        listed = Anchor(
            did=self.authority, limits=Limits(types=frozenset({ANY})), where=where, max_depth=1, list_url=self.issuers
        )
        return Framework(id=self.space, governance=self.authority, anchors=(own, listed), where=where)


def name_of(space: str) -> str:
    """The name of what belongs to a space in a participant's context."""
    return f"space-{hashlib.sha256(space.encode()).hexdigest()[:16]}"


def to_body(one: Joined) -> dict[str, Any]:
    """The record as it is stored; `from_body` reads it."""
    return {
        "authority": one.authority,
        "title": one.title,
        "applications": one.applications,
        "participants": one.participants,
        "issuers": one.issuers,
        "types": list(one.types),
        "state": one.state,
        "error": one.error,
    }


def from_body(space: str, body: Mapping[str, Any], version: int) -> Joined:
    """The record whose stored form is `body`."""
    return Joined(space=space, version=version, **{**body, "types": tuple(body["types"])})


async def joined(store: Store, participant: str) -> tuple[Joined, ...]:
    """The spaces of `participant`, by id."""
    found: list[Joined] = []
    cursor: str | None = None
    while True:
        page = await store.documents(participant, KIND, cursor=cursor, limit=100)
        found += [from_body(one.id, one.body, one.version) for one in page.items]
        cursor = page.next_cursor
        if cursor is None:
            return tuple(found)
