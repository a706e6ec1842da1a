"""Typed values and the operators on them.

A right operand is typed by its left operand, not by how it happened to be written: string or IRI, number or text.
Dates are whole days, zones count, a moment without a zone is UTC. What does not fit its type is an `Unknown`, never a guess.
Who looks the left operand up, and when, is in `compile`.
Source: ODRL Vocabulary & Expression 2.2, section 3.4 (operators), 4.9 (left operands); XML Schema 1.1 part 2.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal, InvalidOperation

from connector.odrl.model import XSD, Constraint, Operator, Value
from connector.odrl.terms import nearest, term
from connector.odrl.truth import Code, Taxonomy, Truth, Unknown
from connector.odrl.vocabulary import Operand, SourceKind, ValueType

TICK = timedelta(microseconds=1)
"""The finest step of the clock: the first moment after T is T + TICK."""


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

ORDERED = frozenset({Operator.LT, Operator.LTEQ, Operator.GT, Operator.GTEQ})
SET_BASED = frozenset(
    {Operator.IS_A, Operator.IS_ANY_OF, Operator.IS_ALL_OF, Operator.IS_NONE_OF, Operator.IS_PART_OF, Operator.HAS_PART}
)
IN_TREE = frozenset({Operator.IS_A, Operator.IS_PART_OF, Operator.HAS_PART})

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
_NUMERIC = frozenset(
    f"{XSD}{sign}{size}"
    for sign, size in (
        *(("", size) for size in ("decimal", "integer", "int", "long", "short", "byte", "float", "double")),
        *(("unsigned", size) for size in ("Int", "Long", "Short", "Byte")),
        *((sign, "Integer") for sign in ("positive", "negative", "nonPositive", "nonNegative")),
    )
)
_FITTING: Mapping[ValueType, frozenset[str]] = {
    ValueType.DATE_TIME: frozenset({XSD + "date", XSD + "dateTime", XSD + "dateTimeStamp"}),
    ValueType.DURATION: frozenset({XSD + "duration", XSD + "dayTimeDuration", XSD + "yearMonthDuration"}),
    ValueType.DECIMAL: _NUMERIC,
    ValueType.BOOLEAN: frozenset({XSD + "boolean"}),
}


# --- lexical forms


def parse_moment(text: str) -> Span | None:
    """The moment or whole day that an xsd:dateTime or xsd:date spells, without a zone in UTC; None when it is neither.

    Seconds may be missing: the Dataspace Protocol's own examples leave them out.
    """
    match = _MOMENT.fullmatch(text.strip())
    if not match:
        return None
    year, month, day, hour, minute, second, fraction, zone = match.groups()
    try:
        tz = _zone(zone)
        midnight = datetime(int(year), int(month), int(day), tzinfo=tz)
        if hour is None:
            return Span(midnight.astimezone(UTC), (midnight + timedelta(days=1)).astimezone(UTC))
        micro = int((fraction or "0")[:6].ljust(6, "0"))
        if hour == "24" and minute == "00" and (second or "00") == "00" and micro == 0:
            moment = midnight + timedelta(days=1)
        else:
            moment = midnight.replace(hour=int(hour), minute=int(minute), second=int(second or 0), microsecond=micro)
        return Span(moment.astimezone(UTC), moment.astimezone(UTC))
    except (ValueError, OverflowError):
        return None


def has_zone(text: str) -> bool:
    """True when a date or moment names its zone."""
    match = _MOMENT.fullmatch(text.strip())
    return bool(match and match.group(8))


def _zone(text: str | None) -> timezone:
    if text is None or text in "Zz":
        return UTC
    digits = text[1:].replace(":", "")
    offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    if offset > timedelta(hours=14) or int(digits[2:]) > 59:
        raise ValueError("no such zone")
    return timezone(-offset if text[0] == "-" else offset)


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


def _parse(operand: Operand, text: str) -> Typed | None:
    kind = operand.value
    if kind is ValueType.DATE_TIME:
        return parse_moment(text) or (parse_relative(text) if operand.is_relative else None)
    if kind is ValueType.DECIMAL:
        return parse_decimal(text)
    if kind is ValueType.DURATION:
        return parse_duration(text)
    if kind is ValueType.BOOLEAN:
        return {"true": True, "1": True, "false": False, "0": False}.get(text.strip())
    if not text.strip():
        return None
    if kind is ValueType.LANGUAGE:
        return text.strip().casefold()
    if kind is ValueType.ANY:
        number = parse_decimal(text)
        return text if number is None or abs(number.adjusted()) > 40 else _plain(number)
    spelled = term(text)
    return operand.codes.spellings.get(spelled, spelled) if operand.codes else spelled


def _plain(number: Decimal) -> str:
    text = format(number, "f")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in ("-0", "") else text.lstrip("+")


# --- both sides


def right_side(constraint: Constraint, operand: Operand) -> tuple[Typed, ...] | Unknown:
    """The typed right operand of a constraint, or why it has none.

    Unknown: an operator that the operand does not take, a reference, a unit of another dimension, a value that is not of
    the operand's type, in its range or (for closed lists) in its list, several values where one is meant.
    """
    operator = constraint.operator
    name = constraint.left
    if operator not in operand.operators:
        allowed = ", ".join(sorted(f"`{o}`" for o in operand.operators))
        return Unknown(code=Code.OPERATOR_NOT_ALLOWED, detail=f"`{name}` does not take `{operator}`; it takes {allowed}")
    if constraint.right_references:
        return Unknown(code=Code.REFERENCE_UNRESOLVABLE, detail=f"`rightOperandReference` of `{name}` is not followed")
    is_counted = any(source.kind is SourceKind.LEDGER for source in operand.sources)
    if constraint.unit is not None and not is_counted and term(constraint.unit.text) != term(operand.unit or ""):
        return Unknown(code=Code.UNIT_MISMATCH, detail=f"`{name}` is not measured in `{constraint.unit.text}`")
    if operator in ORDERED and len(constraint.right) != 1:
        return Unknown(code=Code.VALUE_TYPE, detail=f"`{operator}` compares with one value, not {len(constraint.right)}")
    typed: list[Typed] = []
    for value in constraint.right:
        found = _right(value, constraint.datatype, operand)
        if isinstance(found, Unknown):
            return found
        typed.append(found)
    return tuple(typed)


def _right(value: Value, datatype: str | None, operand: Operand) -> Typed | Unknown:
    fitting = _FITTING.get(operand.value)
    for declared in (value.datatype, datatype):
        if declared and fitting is not None and term(declared) not in fitting and term(declared) != f"{XSD}string":
            return Unknown(code=Code.VALUE_TYPE, detail=f"`{operand.label}` takes {operand.value}, not `{declared}`")
    found = _parse(operand, value.text)
    if found is None:
        return Unknown(code=Code.VALUE_TYPE, detail=f"`{value.text[:80]}` is no {operand.value}")
    if isinstance(found, Decimal) and operand.range is not None:
        low, high = operand.range
        if not Decimal(low) <= found <= Decimal(high):
            return Unknown(code=Code.VALUE_TYPE, detail=f"`{value.text[:80]}` is not within {low} to {high}")
    if operand.codes and operand.is_closed and found not in operand.codes.taxonomy.parents:
        hint = nearest(str(found), operand.codes.taxonomy.parents)
        return Unknown(code=Code.VALUE_TYPE, detail=f"`{value.text[:80]}` is no value of `{operand.label}`; {hint}")
    return found


def left_side(fact: object, operand: Operand) -> tuple[Typed, ...] | Unknown:
    """The typed values of a fact of the world; an `Unknown` when it says nothing or is not of the operand's type."""
    if isinstance(fact, (list, tuple, set, frozenset)):
        if not operand.is_many and len(fact) != 1:
            return Unknown(
                code=Code.VALUE_TYPE, detail=f"`{operand.label}` has one value, and {len(fact)} were given", needs=operand.name
            )
        facts = list(fact)
    else:
        facts = [fact]
    typed: list[Typed] = []
    for item in facts:
        text = _fact_text(item)
        found = None if text is None else _parse(operand, text)
        if found is None or isinstance(found, Relative):
            return Unknown(
                code=Code.VALUE_TYPE, detail=f"the value given for `{operand.label}` is no {operand.value}", needs=operand.name
            )
        typed.append(found)
    return tuple(typed)


def _fact_text(item: object) -> str | None:
    if isinstance(item, str):
        return item
    if isinstance(item, bool):
        return "true" if item else "false"
    if isinstance(item, int):
        return str(item) if abs(item) < 10**40 else None
    if isinstance(item, (float, Decimal)):
        return str(item)
    if isinstance(item, (datetime, date)):
        return item.isoformat()
    return None


# --- operators


def matcher(
    operator: Operator, right: tuple[Typed, ...], operand: Operand
) -> Callable[[tuple[Typed, ...], Taxonomy | None], Truth]:
    """A function that says whether typed left values stand in the relation `operator` to `right`.

    Set semantics: eq and neq compare as sets, isAnyOf asks for a common value, isAllOf for all right values among the left,
    isNoneOf for none in common; isA, isPartOf and hasPart walk the taxonomy.
    """
    wanted = frozenset(right)
    if any(isinstance(value, Span) for value in right) and operator not in ORDERED:
        return _span_matcher(operator, right)
    if operator is Operator.EQ:
        return lambda left, _: frozenset(left) == wanted
    if operator is Operator.NEQ:
        return lambda left, _: frozenset(left) != wanted
    if operator is Operator.IS_ANY_OF:
        return lambda left, _: not wanted.isdisjoint(left)
    if operator is Operator.IS_NONE_OF:
        return lambda left, _: wanted.isdisjoint(left)
    if operator is Operator.IS_ALL_OF:
        return lambda left, _: wanted.issubset(left)
    if operator in IN_TREE:
        return _tree_matcher(operator, wanted, operand)
    return lambda left, _: _ordered(operator, left, right[0])


def _span_matcher(operator: Operator, right: tuple[Typed, ...]) -> Callable[[tuple[Typed, ...], Taxonomy | None], Truth]:
    def test(left: tuple[Typed, ...], _: Taxonomy | None) -> Truth:
        if operator not in (Operator.EQ, Operator.NEQ) or len(left) != 1 or len(right) != 1:
            return Unknown(code=Code.VALUE_TYPE, detail=f"`{operator}` compares one moment with one moment")
        order = compare_typed(left[0], right[0])
        return order if isinstance(order, Unknown) else holds(operator, order)

    return test


def _ordered(operator: Operator, left: tuple[Typed, ...], right: Typed) -> Truth:
    if len(left) != 1:
        return Unknown(code=Code.VALUE_TYPE, detail=f"`{operator}` compares one value, and {len(left)} were given")
    order = compare_typed(left[0], right)
    if isinstance(order, Unknown):
        return order
    return holds(operator, order)


def holds(operator: Operator, order: int) -> bool:
    """Whether an ordered operator holds when the left side is below (-1), at (0) or above (1) the right side."""
    if operator is Operator.LT:
        return order < 0
    if operator is Operator.LTEQ:
        return order <= 0
    if operator is Operator.GT:
        return order > 0
    if operator is Operator.GTEQ:
        return order >= 0
    return (order == 0) if operator is Operator.EQ else (order != 0)


def compare_typed(left: Typed, right: Typed) -> int | Unknown:
    """-1, 0 or 1 as `left` lies before, within or after `right`; Unknown when the two have no order.

    A day is compared as a whole: a moment lies before it, in it (0) or after it.
    """
    if isinstance(left, Span) and isinstance(right, Span):
        return _compare_spans(left, right)
    if isinstance(left, Duration) and isinstance(right, Duration):
        if left.months == right.months:
            return _sign(left.seconds, right.seconds)
        if left.seconds == right.seconds:
            return _sign(left.months, right.months)
        return Unknown(code=Code.VALUE_TYPE, detail="months and days have no common order")
    if isinstance(left, str) and isinstance(right, str):
        numbers = parse_decimal(left), parse_decimal(right)
        if numbers[0] is not None and numbers[1] is not None:
            return _sign(numbers[0], numbers[1])
        spans = parse_moment(left), parse_moment(right)
        if spans[0] and spans[1]:
            return _compare_spans(spans[0], spans[1])
        return Unknown(code=Code.VALUE_TYPE, detail="words have no order")
    if isinstance(left, Decimal) and isinstance(right, Decimal):
        return _sign(left, right)
    return Unknown(code=Code.VALUE_TYPE, detail="the two sides have no order")


def _compare_spans(left: Span, right: Span) -> int | Unknown:
    if left == right:
        return 0
    if left.end < right.start or (left.end == right.start and not left.is_moment):
        return -1
    if left.start > right.end or (left.start == right.end and not right.is_moment):
        return 1
    if left.is_moment:
        # a moment within a day
        return 0
    return Unknown(code=Code.VALUE_TYPE, detail="a day and a moment in it have no order")


def _sign(left: Decimal | int, right: Decimal | int) -> int:
    return int(left > right) - int(left < right)


def _tree_matcher(
    operator: Operator, wanted: frozenset[Typed], operand: Operand
) -> Callable[[tuple[Typed, ...], Taxonomy | None], Truth]:
    own = operand.codes.taxonomy if operand.codes else None

    def test(left: tuple[Typed, ...], given: Taxonomy | None) -> Truth:
        unsure = False
        for value in left:
            for other in wanted:
                below, above = (other, value) if operator is Operator.HAS_PART else (value, other)
                found = is_within(str(below), str(above), own, given)
                if found is True:
                    return True
                unsure = unsure or found is not False
        if unsure:
            return Unknown(
                code=Code.REFERENCE_UNRESOLVABLE, detail=f"no taxonomy of `{operand.label}` knows the value", needs=operand.name
            )
        return False

    return test


def is_within(value: str, whole: str, *taxonomies: Taxonomy | None) -> bool | None:
    """True when `value` is `whole` or lies in it by one of the taxonomies; None when none of them knows both."""
    if value == whole:
        return True
    known = [taxonomy.parents for taxonomy in taxonomies if taxonomy is not None]
    seen = {value}
    waiting = [value]
    while waiting:
        current = waiting.pop()
        for parents in known:
            for parent in parents.get(current, ()):
                if parent == whole:
                    return True
                if parent not in seen:
                    seen.add(parent)
                    waiting.append(parent)
    return False if any(value in parents for parents in known) and any(whole in parents for parents in known) else None
