"""Times at which constraints on the clock hold: sorted lists of instants, joined once instead of asked one by one.

A policy of working hours has hundreds of windows. Each comparison with the clock is a set of intervals, `and` is their
intersection, `or` their union; what is left is one list of the instants at which the truth changes, and a bisection.
Source: ODRL Information Model 2.2, section 2.5.2.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from connector.odrl.closures import Frame, Test
from connector.odrl.truth import Truth


@dataclass(frozen=True, slots=True)
class Times:
    """Times on the clock: whether they reach back for ever, and the instants at which they stop and begin again, sorted."""

    is_first: bool
    flips: tuple[datetime, ...]

    def holds(self, now: datetime) -> bool:
        """Whether `now` is one of these times."""
        return self.is_first ^ (bisect_right(self.flips, now) & 1 == 1)

    def next_flip(self, now: datetime) -> datetime | None:
        """The first instant after `now` at which the answer changes; None when it never does."""
        place = bisect_right(self.flips, now)
        return self.flips[place] if place < len(self.flips) else None


def union(members: Sequence[Times]) -> Times:
    """The times that are in at least one of `members`."""
    return _joined(members, 1)


def intersection(members: Sequence[Times]) -> Times:
    """The times that are in all of `members`."""
    return _joined(members, len(members))


def _joined(members: Sequence[Times], least: int) -> Times:
    """The times that are in at least `least` of the members: one sweep along the clock."""
    steps: Counter[datetime] = Counter()
    for times in members:
        inside = times.is_first
        for flip in times.flips:
            steps[flip] += -1 if inside else 1
            inside = not inside
    count = sum(times.is_first for times in members)
    is_first = is_inside = count >= least
    flips: list[datetime] = []
    for instant in sorted(steps):
        count += steps[instant]
        if (count >= least) is not is_inside:
            is_inside = not is_inside
            flips.append(instant)
    return Times(is_first, tuple(flips))


def within(times: Times) -> Test:
    """A closure that says whether the frame's now is one of these times."""
    flips, is_first = times.flips, times.is_first

    def test(frame: Frame) -> Truth:
        return is_first ^ (bisect_right(flips, frame.now) & 1 == 1)

    return test
