"""Typed values from their lexical forms: moments and whole days, durations, numbers, offsets from the agreement.

Dates are whole days, zones count, a moment without a zone is UTC. What does not fit is None, never a guess. What lies beyond
the years 1 to 9999 in UTC, such as the end of 9999-12-31, lies at the end of the calendar: no clock ever comes there.
Which type a value should have, and how values compare, is in `operands`.
Source: XML Schema 1.1 part 2, sections 3.3 and 3.4.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal, InvalidOperation

TICK = timedelta(microseconds=1)
"""The finest step of the clock: the first moment after T is T + TICK."""
EXACT = Context(prec=2200)
"""Arithmetic that rounds nothing of the numbers that `parse_decimal` reads: a limit is not moved by the thirtieth digit."""
_DAY = timedelta(days=1)
_FIRST, _LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A moment (`end` is `start`), or a whole day from `start` up to but not including `end`."""

    start: datetime
    end: datetime

    @property
    def is_moment(self) -> bool:
        return self.start == self.end


@dataclass(frozen=True, slots=True)
class Relative:
    """A moment that counts from the agreement."""

    offset: timedelta


@dataclass(frozen=True, slots=True)
class Duration:
    """An xsd:duration: months and seconds do not convert into each other."""

    months: int
    seconds: Decimal


Typed = Span | Relative | Duration | Decimal | bool | str

_MOMENT = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:[Tt ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,12}))?)?)?([Zz]|[+-]\d\d:?\d\d)?", flags=re.ASCII
)
_DURATION = re.compile(
    r"(-?)P(?:(\d{1,6})Y)?(?:(\d{1,6})M)?(?:(\d{1,9})D)?"
    r"(T(?:(\d{1,9})H)?(?:(\d{1,9})M)?(?:(\d{1,9}(?:\.\d{1,9})?)S)?)?",
    flags=re.ASCII,
)
_DECIMAL = re.compile(r"[+-]?(?:\d{1,40}(?:\.\d{0,40})?|\.\d{1,40})(?:[eE][+-]?\d{1,3})?", flags=re.ASCII)
_RELATIVE = re.compile(r"contractAgreement\s*([+-])\s*(\d{1,9})([smhd])", flags=re.ASCII)
_RELATIVE_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_LONGEST_S = 1000 * 366 * 86400
# a thousand years: beyond it a calendar may end


def parse_moment(text: str) -> Span | None:
    """The moment or whole day that an xsd:dateTime or xsd:date spells, without a zone in UTC; None when it is neither.

    Seconds may be missing: the Dataspace Protocol's own examples leave them out.
    """
    match = _MOMENT.fullmatch(text.strip())
    if not match:
        return None
    year, month, day, hour, minute, second, fraction, zone = match.groups()
    try:
        offset = _zone(zone)
        midnight = datetime(int(year), int(month), int(day), tzinfo=UTC)
        if hour is None:
            return Span(moved(midnight, -offset), moved(midnight, _DAY - offset))
        micro = int((fraction or "0")[:6].ljust(6, "0"))
        if hour == "24" and minute == "00" and (second or "00") == "00" and micro == 0:
            moment = moved(midnight, _DAY - offset)
        else:
            spelled = midnight.replace(hour=int(hour), minute=int(minute), second=int(second or 0), microsecond=micro)
            moment = moved(spelled, -offset)
        return Span(moment, moment)
    except ValueError:
        return None


def moved(moment: datetime, by: timedelta) -> datetime:
    """The moment so much later, or earlier; beyond the calendar, its last or first moment."""
    try:
        return moment + by
    except OverflowError:
        return _LAST if by > timedelta(0) else _FIRST


def has_zone(text: str) -> bool:
    """True when a date or moment names its zone."""
    match = _MOMENT.fullmatch(text.strip())
    return bool(match and match.group(8))


def _zone(text: str | None) -> timedelta:
    if text is None or text in "Zz":
        return timedelta(0)
    digits = text[1:].replace(":", "")
    offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    if offset > timedelta(hours=14) or int(digits[2:]) > 59:
        raise ValueError("no such zone")
    return -offset if text[0] == "-" else offset


def parse_duration(text: str) -> Duration | None:
    """The months and seconds of an xsd:duration; None when it is none. P60M is sixty months, as XML Schema has it."""
    match = _DURATION.fullmatch(text.strip())
    if not match or text.strip().endswith(("P", "T")):
        return None
    sign, years, months, days, _, hours, minutes, seconds = match.groups()
    whole = int(years or 0) * 12 + int(months or 0)
    parts = int(days or 0) * 86400 + int(hours or 0) * 3600 + int(minutes or 0) * 60 + Decimal(seconds or 0)
    return Duration(-whole, -parts) if sign else Duration(whole, Decimal(parts))


def parse_decimal(text: str) -> Decimal | None:
    """The number that a text spells; None when it spells none or is beyond all measure."""
    stripped = text.strip()
    if not _DECIMAL.fullmatch(stripped):
        return None
    try:
        return Decimal(stripped)
    except InvalidOperation:
        return None


def parse_relative(text: str) -> Relative | None:
    """`contractAgreement+30d` as an offset; None when it is something else (EDC, in-force date)."""
    match = _RELATIVE.fullmatch(text.strip())
    if not match:
        return None
    sign, number, unit = match.groups()
    seconds = int(number) * _RELATIVE_UNITS[unit]
    if seconds > _LONGEST_S:
        return None
    return Relative(timedelta(seconds=-seconds if sign == "-" else seconds))
