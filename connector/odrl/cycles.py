"""Periods in which uses are counted anew, such as each day or each month: `tds:frequency <= 100` with the unit `P1D`.

Periods follow each other without a gap, by the calendar in UTC: days begin at midnight, weeks on a Monday, months on the first,
and whatever else is counted off from the first day of the calendar. So every node finds the same ones, with nothing on record.
How many uses fall into one is counted by whoever keeps the record (`controlplane/books.py`), and compared in `ledger`.
Source: TC609-6-2025-15, annex A (frequency); XML Schema 1.1 part 2, section 3.3.6 (duration).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from connector.odrl.values import parse_duration

FREQUENCY = "frequency"
"""What the record of use calls the number of uses in one period."""
_FIRST = datetime(1, 1, 1, tzinfo=UTC)
_DAY = timedelta(days=1)
_LONGEST_MONTHS, _LONGEST_S = 1200, 100 * 366 * 86400


@dataclass(frozen=True, slots=True)
class Cycle:
    """Periods of one length: months, or time; never both, because then they would not repeat by the calendar."""

    months: int
    length: timedelta

    @property
    def key(self) -> str:
        """One spelling for each length, under which uses are recorded."""
        return f"P{self.months}M" if self.months else f"PT{self.length // timedelta(microseconds=1)}U"

    @property
    def seconds(self) -> float:
        """About how long a period is, to order them by."""
        return self.months * 30 * 86400 + self.length.total_seconds()

    def lies_in(self, other: Cycle) -> bool:
        """Whether each period lies within one of `other`, so that there are never more uses in it than in that one."""
        if self.months:
            return other.months > 0 and other.months % self.months == 0
        # a period that parts a day lies within its day, and months are made of days
        whole = _DAY if other.months else other.length
        return whole % self.length == timedelta(0)

    def begin(self, moment: datetime) -> datetime:
        """When the period began that `moment` lies in."""
        utc = moment.astimezone(UTC)
        if not self.months:
            return utc - (utc - _FIRST) % self.length
        year, month = divmod((utc.year * 12 + utc.month - 1) // self.months * self.months, 12)
        return _FIRST.replace(year=max(year, 1), month=month + 1)

    def end(self, moment: datetime) -> datetime | None:
        """When the next period begins; None beyond the calendar."""
        began = self.begin(moment)
        try:
            if not self.months:
                return began + self.length
            year, month = divmod(began.year * 12 + began.month - 1 + self.months, 12)
            return began.replace(year=year, month=month + 1)
        except (ValueError, OverflowError):
            return None


def cycle_of(text: str) -> Cycle | None:
    """The periods that a duration names, such as `P1D` or `P1M`; None for what is no length of a period."""
    found = parse_duration(text)
    if found is None:
        return None
    if found.months and not found.seconds:
        return Cycle(found.months, timedelta(0)) if 0 < found.months <= _LONGEST_MONTHS else None
    length = timedelta(microseconds=int(found.seconds * 1_000_000)) if 0 < found.seconds <= _LONGEST_S else timedelta(0)
    return Cycle(0, length) if not found.months and length else None
