"""The operands of state: what the usage ledger counts, measures and remembers, as closures over a `LedgerView`.

    count, payAmount                   a number on record, compared as it stands
    meteredTime                        the time of use on record, and of each use that runs until now
    elapsedTime                        how long ago the first use was; before the first use, no time has passed
    delayPeriod                        how long ago the wait was triggered
    timeInterval                       how long ago the last use was; before the first use, the interval has passed
    frequency                          uses in one period (`unit`, such as P1D), counted anew in each; see `cycles`
    event                              before (`lt`, `lteq`), during (`eq`) or after (`gt`, `gteq`) the event

Where the vocabulary asks for `eq` on a duration it means an allowance or a wait, not a moment: `elapsedTime eq P30D` allows
thirty days, `delayPeriod eq P1D` and `timeInterval eq P7D` ask that the time has passed. Months are counted by the calendar.
No ledger, or no record of the rule: unknown, which a permission does not survive. Who keeps the ledger is not known here.
Source: ODRL Vocabulary & Expression 2.2, section 4.9.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import MappingProxyType

from connector.odrl.closures import Frame, Test, after
from connector.odrl.cycles import FREQUENCY, Cycle, cycle_of
from connector.odrl.model import Constraint, Operator
from connector.odrl.operands import holds, left_side, matcher
from connector.odrl.terms import term
from connector.odrl.truth import Code, Period, Truth, Unknown, Usage
from connector.odrl.units import currency
from connector.odrl.values import TICK, Duration, Typed
from connector.odrl.vocabulary import Operand, ValueType

POLICY_USAGE = "policyUsage"
_SINCE: Mapping[str, Callable[[Usage], datetime | None]] = MappingProxyType(
    {
        "elapsedTime": lambda usage: usage.first_used_at,
        "delayPeriod": lambda usage: usage.triggered_at,
        "timeInterval": lambda usage: usage.last_used_at,
    }
)
# what `eq` asks of a duration: at most the allowance, or at least the wait
_READING = MappingProxyType(
    {"elapsedTime": Operator.LTEQ, "meteredTime": Operator.LTEQ, "delayPeriod": Operator.GTEQ, "timeInterval": Operator.GTEQ}
)
_SINGLE = frozenset({Operator.EQ, Operator.NEQ, Operator.LT, Operator.LTEQ, Operator.GT, Operator.GTEQ})
_UNTRIGGERED = Unknown(code=Code.STATE_MISSING, detail="it is not known when the wait began", needs="delayPeriod")
_BEYOND = Unknown(code=Code.VALUE_TYPE, detail="a moment beyond the calendar")
_BETWEEN = Unknown(code=Code.VALUE_TYPE, detail="months and days have no common order")
_YEARS = tuple(datetime(*moment, tzinfo=UTC) for moment in ((1696, 9, 1), (1697, 2, 1), (1903, 3, 1), (1903, 7, 1)))
# two durations are in order when they are after each of these
_AGE_S = 100 * 366 * 86400
_LAST_YEAR = 9000
_MOST_S = Decimal(10_000 * 366 * 86400)
# a century from before this year lies within the calendar
Read = Callable[[Frame], object]


class Counted:
    """A constraint on a counted operand: its test, how its left side is looked up, and when the clock changes it."""

    __slots__ = ("moving", "read", "test")

    def __init__(self, test: Test, read: Read, moving: Callable[[Frame], tuple[datetime, ...]] | None = None) -> None:
        self.test = test
        self.read = read
        self.moving = moving


KEPT = frozenset({"count", "meteredTime", "payAmount", "event", FREQUENCY, *_SINCE})
"""The operands that the record of use tells; of any other that a profile hangs on the ledger nothing is ever known."""


def counted(constraint: Constraint, operand: Operand, right: tuple[Typed, ...], rule: str) -> Counted:
    """The closures of a constraint on an operand whose value the ledger knows; `rule` is the key of the rule's record."""
    cycle = period_of(constraint) if operand.on_record == FREQUENCY else None
    if cycle is not None and len(right) == 1 and isinstance(right[0], Decimal) and constraint.operator in _SINGLE:
        return _rated(constraint.operator, cycle, right[0], operand, rule)
    if operand.name == "event":
        return _event(constraint, operand, right, rule)
    duration = right[0]
    if operand.name in _SINCE and isinstance(duration, Duration):
        return _since(constraint, operand, duration, rule)
    if operand.name == "meteredTime" and isinstance(duration, Duration):
        return _metered(constraint, operand, duration, rule)
    reading = _READING.get(operand.name)
    operator = reading if reading is not None and constraint.operator is Operator.EQ else constraint.operator
    if operand.name == "count" and len(right) == 1 and isinstance(right[0], Decimal) and operator in _SINGLE:
        return _count(operator, right[0], _absent(operand), rule)
    match = matcher(operator, right, operand)
    unit = currency(term(constraint.unit.text)) if constraint.unit is not None else None
    absent = _absent(operand)

    def read(frame: Frame) -> object:
        usage = _usage(frame, rule)
        return None if usage is None else _value(usage, operand.name, unit)

    def test(frame: Frame) -> Truth:
        fact = read(frame)
        if fact is None:
            return absent
        left = left_side(fact, operand)
        return left if isinstance(left, Unknown) else match(left, None)

    return Counted(test, read)


def _count(operator: Operator, limit: Decimal, absent: Unknown, rule: str) -> Counted:
    """The common case, without a way through lexical forms."""

    def test(frame: Frame) -> Truth:
        usage = _usage(frame, rule)
        if usage is None:
            return absent
        return holds(operator, (usage.count > limit) - (usage.count < limit))

    def read(frame: Frame) -> object:
        usage = _usage(frame, rule)
        return None if usage is None else usage.count

    return Counted(test, read)


def _absent(operand: Operand) -> Unknown:
    return Unknown(code=Code.STATE_MISSING, detail=f"nobody keeps count of `{operand.short}`", needs=operand.name)


def _usage(frame: Frame, rule: str) -> Usage | None:
    ledger = frame.world.ledger
    return None if ledger is None else ledger.usage(rule)


def _value(usage: Usage, name: str, unit: str | None) -> object:
    if name == "count":
        return usage.count
    if name == "meteredTime":
        return _lexical(usage.metered)
    if name == "payAmount":
        return sum((amount for paid, amount in usage.paid.items() if currency(paid) == unit), Decimal(0))
    return usage.values.get(name)


def _lexical(time: timedelta) -> str:
    """An xsd:duration; time that runs backwards is none."""
    return f"PT{time // timedelta(seconds=1)}.{time.microseconds:06}S" if time >= timedelta(0) else ""


# --- uses in one period


def period_of(constraint: Constraint) -> Cycle | None:
    """The periods that a frequency is counted in, which its unit names; None when it names none."""
    return cycle_of(constraint.unit.text) if constraint.unit is not None else None


NO_PERIOD = "it names no period, such as `P1D` for each day"
"""What is wrong with a frequency without one."""


def _rated(operator: Operator, cycle: Cycle, limit: Decimal, operand: Operand, rule: str) -> Counted:
    """Uses in the period that it is now; when the next one begins there were none."""
    absent = _absent(operand)

    def rate(frame: Frame) -> int | None:
        usage = _usage(frame, rule)
        found = usage.rates.get(cycle.key) if usage is not None else None
        if found is None:
            return None
        # a clock that was put back gives nobody what was used up
        return found.count if cycle.begin(frame.now) <= found.began else found.anew

    def test(frame: Frame) -> Truth:
        count = rate(frame)
        return absent if count is None else holds(operator, (count > limit) - (count < limit))

    def moving(frame: Frame) -> tuple[datetime, ...]:
        usage = _usage(frame, rule)
        found = usage.rates.get(cycle.key) if usage is not None else None
        flip = cycle.end(found.began) if found is not None and found.count != found.anew else None
        return () if flip is None else (flip,)

    return Counted(test, rate, moving)


# --- time since something


def _since(constraint: Constraint, operand: Operand, duration: Duration, rule: str) -> Counted:
    anchor = _SINCE[operand.name]
    operator = _READING[operand.name] if constraint.operator is Operator.EQ else constraint.operator
    absent = _absent(operand)
    is_before = operator in (Operator.LT, Operator.LTEQ)
    is_next = operator in (Operator.LTEQ, Operator.GT)
    # nothing has happened yet: no time has passed since a first use, and no interval is running
    unstarted = {"elapsedTime": is_before, "timeInterval": True}.get(operand.name)

    # most durations have no months: then the way to the edge is one addition
    plain = (
        timedelta(microseconds=int(duration.seconds * 1_000_000))
        if not duration.months and 0 <= duration.seconds < _AGE_S
        else None
    )

    def edge(usage: Usage) -> datetime | Unknown | None:
        start = anchor(usage)
        if start is None:
            return None
        if plain is not None and start.year < _LAST_YEAR:
            return start + plain + TICK if is_next else start + plain
        end = later(start, duration)
        return _BEYOND if end is None else after(end) if is_next else end

    def test(frame: Frame) -> Truth:
        usage = _usage(frame, rule)
        if usage is None:
            return absent
        flip = edge(usage)
        if flip is None:
            return _UNTRIGGERED if unstarted is None else unstarted
        if isinstance(flip, Unknown):
            return flip
        return frame.now < flip if is_before else frame.now >= flip

    def read(frame: Frame) -> object:
        usage = _usage(frame, rule)
        start = anchor(usage) if usage is not None else None
        if usage is None or (start is None and unstarted is None):
            return None
        return _lexical(frame.now - start if start is not None else timedelta(0)) or None

    def moving(frame: Frame) -> tuple[datetime, ...]:
        usage = _usage(frame, rule)
        flip = edge(usage) if usage is not None else None
        return (flip,) if isinstance(flip, datetime) else ()

    if operator not in (Operator.LT, Operator.LTEQ, Operator.GT, Operator.GTEQ):
        said = f"`{operand.name}` is not compared with `{operator}`"
        refused = Unknown(code=Code.OPERATOR_NOT_ALLOWED, detail=said, needs=operand.name)
        return Counted(lambda frame: refused, read)
    return Counted(test, read, moving)


def later(start: datetime, duration: Duration) -> datetime | None:
    """The moment one duration after `start`, months by the calendar (XML Schema 1.1 part 2, E.3.3); None beyond it."""
    try:
        utc = start.astimezone(UTC)
        months = utc.year * 12 + utc.month - 1 + duration.months
        year, month = divmod(months, 12)
        day = min(utc.day, _days(year, month + 1))
        return utc.replace(year=year, month=month + 1, day=day) + timedelta(microseconds=int(duration.seconds * 1_000_000))
    except (ValueError, OverflowError):
        return None


def _days(year: int, month: int) -> int:
    following = datetime(year + month // 12, month % 12 + 1, 1, tzinfo=UTC)
    return (following - datetime(year, month, 1, tzinfo=UTC)).days


# --- time of use


def _lengths(duration: Duration) -> Iterator[timedelta]:
    """The shortest and the longest time that a duration can be: months have 28 to 31 days (XML Schema 1.1 part 2, 3.3.6.2)."""
    found = [end - start for start in _YEARS if (end := later(start, duration)) is not None]
    if not duration.months or not found:
        yield timedelta(microseconds=int(max(-_MOST_S, min(duration.seconds, _MOST_S)) * 1_000_000))
    else:
        yield from (min(found), max(found))


def _metered(constraint: Constraint, operand: Operand, duration: Duration, rule: str) -> Counted:
    """Time of use against a limit; while a use runs, the clock alone reaches it."""
    operator = _READING[operand.name] if constraint.operator is Operator.EQ else constraint.operator
    limits = tuple(dict.fromkeys(_lengths(duration)))
    absent = _absent(operand)

    def used(frame: Frame) -> timedelta | None:
        usage = _usage(frame, rule)
        if usage is None or usage.metered < timedelta(0):
            return None
        return sum((max(frame.now - since, timedelta(0)) for since in usage.running), usage.metered)

    def test(frame: Frame) -> Truth:
        time = used(frame)
        if time is None:
            return absent
        first = holds(operator, (time > limits[0]) - (time < limits[0]))
        return first if all(holds(operator, (time > one) - (time < one)) == first for one in limits[1:]) else _BETWEEN

    def read(frame: Frame) -> object:
        time = used(frame)
        return None if time is None else _lexical(time)

    def moving(frame: Frame) -> tuple[datetime, ...]:
        usage = _usage(frame, rule)
        if usage is None or not usage.running:
            return ()
        # metered + n * (t - origin) - (starts - origin) = limit
        origin, number = max(usage.running), len(usage.running)
        ahead = sum((origin - since for since in usage.running), timedelta(0))
        flips = []
        for limit in limits:
            # rounded up: at that moment the limit is reached, never just before
            left = -((usage.metered + ahead - limit) // number)
            with contextlib.suppress(OverflowError):
                flips.append(origin + left + (TICK if operator in (Operator.LTEQ, Operator.GT) else timedelta(0)))
        return tuple(flips)

    return Counted(test, read, moving)


# --- events


def _event(constraint: Constraint, operand: Operand, right: tuple[Typed, ...], rule: str) -> Counted:
    name = str(right[0])
    # an event has no inner order: `lt` and `lteq` both say before it, `gt` and `gteq` both after it
    operator = {Operator.LTEQ: Operator.LT, Operator.GTEQ: Operator.GT}.get(constraint.operator, constraint.operator)
    absent = Unknown(code=Code.STATE_MISSING, detail=f"nobody keeps a record of the event `{name}`", needs=operand.name)

    def period(frame: Frame) -> Period | None:
        ledger = frame.world.ledger
        return ledger.events.get(name) if ledger is not None else None

    def test(frame: Frame) -> Truth:
        found = period(frame)
        if found is None:
            usage = _usage(frame, rule) if name == POLICY_USAGE else None
            if usage is None:
                return absent
            if usage.first_used_at is None and usage.count == 0:
                # nothing was used yet: before the use, and neither in it nor after it
                return operator is Operator.LT
            # it has begun; whether it is over the record does not say
            return False if operator is Operator.LT else absent
        began = found.began is not None and found.began <= frame.now
        ended = found.ended is not None and found.ended <= frame.now
        if operator is Operator.LT:
            return not began
        return ended if operator is Operator.GT else began and not ended

    def read(frame: Frame) -> object:
        found = period(frame)
        if found is None:
            return None
        return tuple(moment for moment in (found.began, found.ended) if moment is not None) or None

    def moving(frame: Frame) -> tuple[datetime, ...]:
        found = period(frame)
        return () if found is None else tuple(moment for moment in (found.began, found.ended) if moment is not None)

    return Counted(test, read, moving)


def is_counted(operand: Operand) -> bool:
    """Whether the engine knows how to compare an operand of the ledger: its own, and any that a profile types."""
    return operand.name in _SINCE or operand.value is not ValueType.DURATION or operand.name == "meteredTime"
