"""What has happened to processes, in one order, for those who follow it: event streams, webhooks.

What lives here: `Feed`. What does not: who is told (`controlplane/events.py`), and the story of one process (`Store.timeline`).
The feed is the same rows as the timelines, so nothing is written for it and nothing in it can be lost or differ.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from connector.dsp.process import Record
from connector.dsp.tables import Kind, Role


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """One line of a process's timeline, and where it stands among all others."""

    id: str
    """Unique within the store and the same at each reading."""
    position: str
    """Where to read on behind it; what one transaction wrote has one position."""
    kind: Kind
    participant: str
    pid: str
    role: Role
    """Our role in the process."""
    peer: str
    dataset: str
    agreement_id: str | None
    record: Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """A part of the feed."""

    happenings: tuple[Happening, ...]
    position: str
    """Where to read on: behind everything that was looked at, of other contexts too."""


class Feed(Protocol):
    """The feed of a store, across replicas: what is read behind a position is complete up to the new one."""

    async def after(self, participant: str, position: str | None, *, limit: int = 100) -> Stretch:
        """What happened in a context behind `position` (None: from the beginning), oldest first, of at most `limit` transactions.

        A position behind the end is the end: what was there was removed since.

        Raises: BadMessage for a position that is none; StoreUnavailable.
        """
        ...

    async def end(self) -> str:
        """The position behind everything that there is now, in whichever context."""
        ...
