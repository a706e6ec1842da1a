"""Uses under terms that ask for nothing on record: added up here as they come, and posted together some seconds later.

What lives here: `Tallies`. No decision depends on them: a node that is killed loses the seconds that were not posted.
What does not: uses that are reserved one by one (`usage.py`), and what a posting does to a book (`books.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from connector.controlplane import books
from connector.controlplane.process import new_urn
from connector.ports.ledger import Book, BookChange, PostingKind, UsageLedger, Use

EVERY: Final = timedelta(seconds=5)
Place = tuple[str, str]
"""Participant and agreement."""
Rules = tuple[str, ...]
"""Keys of the rules that a use is a use of."""


@dataclass(slots=True)
class _Sum:
    """Uses of the same rules."""

    first_at: datetime | None
    last_at: datetime
    count: int = 0
    moved_bytes: int = 0

    def add(self, first_at: datetime | None, last_at: datetime, count: int, moved_bytes: int) -> None:
        if first_at is not None and (self.first_at is None or first_at < self.first_at):
            self.first_at = first_at
        if last_at > self.last_at:
            self.last_at = last_at
        self.count += count
        self.moved_bytes += moved_bytes


class _Posting(NamedTuple):
    """What is posted under a key; what comes meanwhile is no part of it."""

    key: str
    place: Place
    sums: dict[Rules, _Sum]


class Tallies:
    """What was used under each agreement and is not posted yet."""

    def __init__(self, ledger: UsageLedger) -> None:
        self._ledger = ledger
        self._sums: dict[Place, dict[Rules, _Sum]] = {}
        self._begun: _Posting | None = None
        """What was handed to the ledger, which has not said yet that it is written."""
        self.due_at: datetime | None = None
        """When it is to be posted; None: there is nothing."""

    def __len__(self) -> int:
        return len(self._sums) + (self._begun is not None)

    def began(self, place: Place, rules: Rules, now: datetime, moved_bytes: int = 0) -> bool:
        """Count a use; whether it is the first that waits."""
        return self._add(place, rules, now, now, 1, moved_bytes)

    def moved(self, place: Place, rules: Rules, now: datetime, moved_bytes: int) -> bool:
        """Add bytes to uses that were counted; as `began`."""
        return self._add(place, rules, None, now, 0, moved_bytes)

    def _add(
        self, place: Place, rules: Rules, first_at: datetime | None, last_at: datetime, count: int, moved_bytes: int
    ) -> bool:
        sums = self._sums.get(place)
        if sums is None:
            sums = self._sums[place] = {}
        known = sums.get(rules)
        if known is None:
            known = sums[rules] = _Sum(first_at, last_at)
        known.add(first_at, last_at, count, moved_bytes)
        if self.due_at is not None:
            return False
        self.due_at = last_at + EVERY
        return True

    async def post(self, now: datetime) -> None:
        """Post all of it; what comes meanwhile waits for the next time.

        INVARIANT: a posting whose end nobody was told may be written all the same: it is repeated as it was, under its own key.

        Raises: StoreUnavailable; what was not posted waits, also when this is cancelled.
        """
        waiting, self._sums, self.due_at = self._sums, {}, None
        try:
            while self._begun is not None or waiting:
                if self._begun is None:
                    place = next(iter(waiting))
                    self._begun = _Posting(new_urn(), place, waiting.pop(place))
                await self._post(self._begun, now)
                self._begun = None
        except BaseException:
            for place, sums in waiting.items():
                for rules, one in sums.items():
                    self._add(place, rules, one.first_at, one.last_at, one.count, one.moved_bytes)
            self.due_at = self.due_at or now
            raise

    async def _post(self, posting: _Posting, now: datetime) -> None:
        uses = {
            rules: Use(count=one.count, moved_bytes=one.moved_bytes, first_at=one.first_at, last_at=one.last_at)
            for rules, one in posting.sums.items()
        }

        def decide(book: Book) -> BookChange:
            total = {"count": sum(one.count for one in uses.values())}
            return BookChange(book=books.tallied(book, uses), kind=PostingKind.USED, at=now, facts=total)

        await self._ledger.post(*posting.place, posting.key, decide)
