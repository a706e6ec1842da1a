"""Requests about a process whose sender could not be proven: for the operator who wonders why the peer is silent.

What lives here: `Refusals`, the last few of each process, in the memory of this node alone: strangers set them off, and nothing that
a stranger sends is written to the store. To the outside every refusal reads the same; here stands the check that failed.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from connector.errors import KontorError, Unproven

_MOST_PROCESSES: Final = 2_000
_MOST_OF_ONE: Final = 10
_MOST_ID: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """One request that was refused."""

    at: datetime
    source: str
    """The machine that it came from."""
    check: str
    words: str


class Refusals:
    """Remembers the last refusals of each process."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, str], deque[Refusal]] = OrderedDict()

    def note(self, participant: str, pid: str, fault: KontorError, *, source: str) -> None:
        """Remember that a request about `pid` was refused, and why; the oldest are forgotten."""
        if not pid or len(pid) > _MOST_ID:
            return
        cause = fault.__cause__ if isinstance(fault.__cause__, KontorError) else fault
        check, words = (cause.check, cause.words) if isinstance(cause, Unproven) else (cause.code, str(cause))
        place = (participant, pid)
        found = self._kept.setdefault(place, deque(maxlen=_MOST_OF_ONE))
        found.append(Refusal(at=datetime.now(UTC), source=source, check=check, words=words))
        self._kept.move_to_end(place)
        while len(self._kept) > _MOST_PROCESSES:
            self._kept.popitem(last=False)

    def of(self, participant: str, pid: str) -> tuple[Refusal, ...]:
        """The last refusals, oldest first."""
        return tuple(self._kept.get((participant, pid), ()))
