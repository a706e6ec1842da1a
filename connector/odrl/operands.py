"""The operators, on values that their left operand types.

A right operand is typed by its left operand, not by how it happened to be written: string or IRI, number or text.
What does not fit its type is an `Unknown`, never a guess. Lexical forms are in `values`; who looks a left operand up, and
when, is in `closures`.
Source: ODRL Vocabulary & Expression 2.2, section 3.4 (operators), 4.9 (left operands).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal

from connector.odrl.model import XSD, Constraint, Operator, Value
from connector.odrl.terms import nearest, term
from connector.odrl.truth import Code, Quantity, Taxonomy, Truth, Unknown
from connector.odrl.units import base_of, convert
from connector.odrl.values import (
    EXACT,
    Duration,
    Relative,
    Span,
    Typed,
    parse_decimal,
    parse_duration,
    parse_moment,
    parse_relative,
)
from connector.odrl.vocabulary import Operand, SourceKind, ValueType

ORDERED = frozenset({Operator.LT, Operator.LTEQ, Operator.GT, Operator.GTEQ})
SET_BASED = frozenset(
    {Operator.IS_A, Operator.IS_ANY_OF, Operator.IS_ALL_OF, Operator.IS_NONE_OF, Operator.IS_PART_OF, Operator.HAS_PART}
)
IN_TREE = frozenset({Operator.IS_A, Operator.IS_PART_OF, Operator.HAS_PART})
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


# --- both sides


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
    operand = measured(constraint, operand)
    unit = constraint.unit.text if constraint.unit is not None and not _is_counted(operand) else None
    if unit is not None and (operand.unit is None or convert(Decimal(1), term(unit), term(operand.unit)) is None):
        return Unknown(code=Code.UNIT_MISMATCH, detail=f"`{name}` is not measured in `{unit}`")
    typed: dict[Typed, None] = {}
    for value in constraint.right:
        found = _right(value, constraint.datatype, operand, unit)
        if isinstance(found, Unknown):
            return found
        typed[found] = None
    if constraint.status is not None and _is_counted(operand):
        left_over = _less_status(tuple(typed), constraint, operand)
        if isinstance(left_over, Unknown):
            return left_over
        typed = dict.fromkeys(left_over)
    # values are a set: the same one twice is one
    if operator in ORDERED and len(typed) != 1:
        return Unknown(code=Code.VALUE_TYPE, detail=f"`{operator}` compares with one value, not {len(typed)}")
    return tuple(typed)


def measured(constraint: Constraint, operand: Operand) -> Operand:
    """The operand as a constraint with a unit measures it: an operand without a unit takes the base of the unit's dimension."""
    if constraint.unit is None or operand.unit is not None or operand.value is not ValueType.DECIMAL or _is_counted(operand):
        return operand
    base = base_of(term(constraint.unit.text))
    return operand if base is None else replace(operand, unit=base, is_unit_told=False)


def _is_counted(operand: Operand) -> bool:
    # the ledger keeps what it counts by unit
    return any(source.kind is SourceKind.LEDGER for source in operand.sources)


def _less_status(right: tuple[Typed, ...], constraint: Constraint, operand: Operand) -> tuple[Typed, ...] | Unknown:
    """What is left of limits once `status`, accumulated before our record began, is taken off (Information Model 2.5.1)."""
    status = _right(constraint.status, constraint.datatype, operand, None) if constraint.status is not None else None
    if isinstance(status, Unknown):
        return status
    is_negative = (
        status.months < 0 or status.seconds < 0
        if isinstance(status, Duration)
        else status < 0
        if isinstance(status, Decimal)
        else False
    )
    if is_negative:
        # what was used already makes a limit smaller, never larger
        return Unknown(code=Code.VALUE_TYPE, detail=f"`{operand.short}` has a status below nothing")
    found: list[Typed] = []
    for limit in right:
        if isinstance(limit, Decimal) and isinstance(status, Decimal):
            found.append(EXACT.subtract(limit, status))
        elif isinstance(limit, Duration) and isinstance(status, Duration):
            found.append(Duration(limit.months - status.months, EXACT.subtract(limit.seconds, status.seconds)))
        else:
            return Unknown(code=Code.VALUE_TYPE, detail=f"`{operand.short}` has no status to count from")
    return tuple(found)


def _right(value: Value, datatype: str | None, operand: Operand, unit: str | None) -> Typed | Unknown:
    fitting = _FITTING.get(operand.value)
    for declared in (value.datatype, datatype):
        if declared and fitting is not None and term(declared) not in fitting and term(declared) != f"{XSD}string":
            return Unknown(code=Code.VALUE_TYPE, detail=f"`{operand.short}` takes {operand.value}, not `{declared}`")
    found = _parse(operand, value.text)
    if found is None:
        return Unknown(code=Code.VALUE_TYPE, detail=f"`{value.text[:80]}` is no {operand.value}")
    if isinstance(found, Decimal) and unit is not None and operand.unit is not None:
        found = convert(found, term(unit), term(operand.unit))
        if found is None:
            return Unknown(code=Code.UNIT_MISMATCH, detail=f"`{operand.short}` is not measured in `{unit}`")
    if isinstance(found, Decimal) and operand.range is not None:
        low, high = operand.range
        if not Decimal(low) <= found <= Decimal(high):
            return Unknown(code=Code.VALUE_TYPE, detail=f"`{value.text[:80]}` is not within {low} to {high}")
    if operand.pattern is not None and not re.fullmatch(operand.pattern, value.text, re.ASCII):
        return Unknown(
            code=Code.VALUE_TYPE, detail=f"`{value.text[:80]}` is no value of `{operand.short}`: `{operand.pattern}`"
        )
    if operand.codes and operand.is_closed and found not in operand.codes.taxonomy.parents:
        hint = nearest(str(found), operand.codes.taxonomy.parents)
        return Unknown(code=Code.VALUE_TYPE, detail=f"`{value.text[:80]}` is no value of `{operand.short}`; {hint}")
    return found


def left_side(fact: object, operand: Operand) -> tuple[Typed, ...] | Unknown:
    """The typed values of a fact of the world; an `Unknown` when it says nothing or is not of the operand's type."""
    if isinstance(fact, (list, tuple, set, frozenset)):
        if not operand.is_many and len(fact) != 1:
            return Unknown(
                code=Code.VALUE_TYPE, detail=f"`{operand.short}` has one value, and {len(fact)} were given", needs=operand.name
            )
        facts = list(fact)
    else:
        facts = [fact]
    typed: list[Typed] = []
    for item in facts:
        if operand.unit is not None or type(item) is Quantity:
            quantity = _quantity(item, operand)
            if isinstance(quantity, Unknown):
                return quantity
            item = quantity
        text = _fact_text(item)
        found = None if text is None else _parse(operand, text)
        if found is None or isinstance(found, Relative):
            return Unknown(
                code=Code.VALUE_TYPE, detail=f"the value given for `{operand.short}` is no {operand.value}", needs=operand.name
            )
        typed.append(found)
    return tuple(typed)


def _quantity(item: object, operand: Operand) -> object | Unknown:
    """A quantity as a number of the operand's unit."""
    if not isinstance(item, Quantity):
        if operand.is_unit_told:
            return item
        detail = f"the value given for `{operand.short}` has no unit"
        return Unknown(code=Code.UNIT_MISMATCH, detail=detail, needs=operand.name)
    found = convert(item.amount, term(item.unit), term(operand.unit)) if operand.unit else None
    if found is None:
        detail = f"`{item.unit}` does not convert into `{operand.unit or 'a number without unit'}`"
        return Unknown(code=Code.UNIT_MISMATCH, detail=detail, needs=operand.name)
    return found


def _fact_text(item: object) -> str | None:
    if isinstance(item, str):
        return item
    if isinstance(item, bool):
        return "true" if item else "false"
    if isinstance(item, int):
        return str(item) if abs(item) < 10**40 else None
    if isinstance(item, (float, Decimal)):
        return format(item, "f") if isinstance(item, Decimal) and item.is_finite() else str(item)
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
                code=Code.REFERENCE_UNRESOLVABLE, detail=f"no taxonomy of `{operand.short}` knows the value", needs=operand.name
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
