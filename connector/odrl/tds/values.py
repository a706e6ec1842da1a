"""Values of constraints, between the texts of the contract and the typed values of ODRL.

    time                 20270131120000, China Standard Time <-> 2027-01-31T12:00:00+08:00
    lists                [a,b] for the operators 06 to 08, in quotes where a value has a comma or a bracket
    payAmount            100.00 CNY <-> a number and its unit
    dataSize             bytes
    executionEnv and other codes   two digits; what documents write behind them is not part of the code
Source: TC609-6-2025-14, annex C.6 (formats), annex D (what documents write).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

from connector import strict
from connector.errors import BadMessage, PolicyError, TooLarge
from connector.odrl.model import Constraint, Operator, Value
from connector.odrl.terms import term
from connector.odrl.units import convert
from connector.odrl.values import has_zone, parse_decimal, parse_moment

LISTED = frozenset({Operator.IS_ALL_OF, Operator.IS_ANY_OF, Operator.IS_NONE_OF})
CODED = frozenset({"executionEnv", "encryptMode", "deliveryMethod"})
WHOLE = frozenset({"count", "frequency", "dataSize", "dataRecord"})
_BYTE = "http://qudt.org/vocab/unit/BYTE"
_CHINA = timezone(timedelta(hours=8))
_STAMP = re.compile(r"\d{14}", re.ASCII)
_CODE = re.compile(r"(\d{2})(?:\s*[:：、.]?\s*\D.*)?", re.ASCII | re.DOTALL)
_MONEY = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z]{3})", re.ASCII)
_NUMBER = re.compile(r"(\d+)\s*(?:次|条|个|times?|records?)?", re.ASCII)
_RATE = re.compile(
    r"(\d+)\s*(?:次|times?|calls?)?\s*(?:/|per|每)\s*(天|日|小时|分钟|秒|周|月|年|day|hour|minute|second|week|month|year)",
    re.ASCII,
)
_PERIODS = {
    **dict.fromkeys(("天", "日", "day"), "P1D"),
    **dict.fromkeys(("小时", "hour"), "PT1H"),
    **dict.fromkeys(("分钟", "minute"), "PT1M"),
    **dict.fromkeys(("秒", "second"), "PT1S"),
    **dict.fromkeys(("周", "week"), "P7D"),
    **dict.fromkeys(("月", "month"), "P1M"),
    **dict.fromkeys(("年", "year"), "P1Y"),
}
_SPAN = re.compile(
    r"(\d{4}-\d{2}-\d{2})[ T](\d{2}:\d{2}:\d{2})\s*(?:--|—|~|至)\s*(\d{4}-\d{2}-\d{2})[ T](\d{2}:\d{2}:\d{2})", re.ASCII
)


def rate(text: str) -> tuple[str, str] | None:
    """The number and the period of "10000 times/day"; None when a text is no rate."""
    found = _RATE.fullmatch(text.strip())
    return (found[1], _PERIODS[found[2]]) if found else None


def span(text: str) -> tuple[str, str] | None:
    """The two moments of "2024-03-20 23:59:59 -- 2025-03-20 23:59:59", in China Standard Time."""
    found = _SPAN.fullmatch(" ".join(text.split()))
    return (f"{found[1]}T{found[2]}+08:00", f"{found[3]}T{found[4]}+08:00") if found else None


def split(text: str) -> list[str] | None:
    """The items of a text that is a list; None when it is none."""
    stripped = text.strip()
    if not (stripped.startswith("[") and stripped.endswith("]")):
        return None
    try:
        found = strict.scan(stripped.encode())
    except (BadMessage, TooLarge, UnicodeEncodeError):
        found = None
    if isinstance(found, list) and all(isinstance(item, str) for item in found):
        return found
    return [item.strip() for item in re.split("[,，;；、\n]", stripped[1:-1]) if item.strip()]


def join(items: Iterable[str]) -> str:
    """The one text of a list."""
    texts = list(items)
    is_plain = all(text and text == text.strip() and not re.search(r'[,，;；、\n\[\]"]', text) for text in texts)
    plain = f"[{','.join(texts)}]"
    return plain if is_plain and split(plain) == texts else json.dumps(texts, ensure_ascii=False)


def taken(name: str, text: str, where: str) -> tuple[Value, Value | None]:
    """One value of the constraint `name`, and its unit.

    Raises: PolicyError when the text is not of the form that the dictionary gives it.
    """
    if name == "time":
        return Value(text=_moment(text, where)), None
    if name in CODED:
        code = _CODE.fullmatch(text.strip())
        if code is None:
            raise PolicyError(f"`{text[:40]}` is no code", where=where, mend="write two digits, such as `02`")
        return Value(text=code[1]), None
    if name in WHOLE:
        number = _NUMBER.fullmatch(text.strip())
        if number is None:
            raise PolicyError(f"`{text[:40]}` is no whole number", where=where, mend="write digits")
        return Value(text=str(int(number[1]))), None
    if name == "payAmount":
        money = _MONEY.fullmatch(text.strip())
        if money is None:
            raise PolicyError(
                f"`{text[:40]}` is no amount", where=where, mend="write number and currency, such as `100.00 CNY`"
            )
        return Value(text=money[1]), Value(text=money[2].upper())
    return Value(text=text), None


def _moment(text: str, where: str) -> str:
    stripped = text.strip()
    try:
        if _STAMP.fullmatch(stripped):
            moment = datetime.strptime(stripped, "%Y%m%d%H%M%S").replace(tzinfo=_CHINA)
            return moment.isoformat()
    except ValueError:
        stripped = ""
    found = parse_moment(stripped.replace(" ", "T", 1)) if stripped else None
    if found is None or not found.is_moment:
        raise PolicyError(f"`{text[:40]}` is no moment", where=where, mend="write YYYYMMDDHHMMSS, such as `20270131120000`")
    # without a zone it is the contract's own: China Standard Time
    start = found.start if has_zone(stripped) else found.start.replace(tzinfo=_CHINA)
    try:
        return start.astimezone(_CHINA).isoformat()
    except OverflowError:
        raise PolicyError(f"`{text[:40]}` is beyond the calendar", where=where, mend="write an earlier moment") from None


def given(name: str, value: Value, constraint: Constraint) -> str:
    """The text of one value of the constraint `name`.

    Raises: PolicyError when the dictionary's form cannot hold it.
    """
    where, text = constraint.where, value.text
    if name == "time":
        return stamp(text, where)
    unit = constraint.unit.text if constraint.unit else None
    number = parse_decimal(text)
    if name == "payAmount":
        if number is None or unit is None or not re.fullmatch("[A-Za-z]{3}", unit):
            raise PolicyError("an amount without a currency code", where=where, mend="write `payAmount == 100.00 CNY`")
        return f"{text} {unit}"
    if name == "dataSize" and unit is not None and number is not None:
        number = convert(number, term(unit), _BYTE)
        unit = None
    if unit is not None:
        raise PolicyError(f"`{name}` with a unit", where=where, mend="write the number in the dictionary's own unit")
    if name in WHOLE:
        if number is None or number != number.to_integral_value() or number < 0:
            raise PolicyError(f"`{text[:40]}` is no whole number", where=where, mend=f"`{name}` counts in whole numbers")
        return str(int(number))
    if name in CODED and not re.fullmatch("[0-9]{2}", text):
        raise PolicyError(f"`{text[:40]}` is no code", where=where, mend="write two digits, such as `02`")
    return text


def stamp(text: str, where: str) -> str:
    """A moment as YYYYMMDDHHMMSS in China Standard Time.

    Raises: PolicyError for a day (write a moment) and for parts of a second.
    """
    found = parse_moment(text)
    if found is None or not found.is_moment or found.start.microsecond:
        raise PolicyError(f"`{text[:40]}` is no moment of whole seconds", where=where, mend="write it as 2027-01-31T12:00:00Z")
    try:
        return found.start.astimezone(_CHINA).strftime("%Y%m%d%H%M%S")
    except OverflowError:
        raise PolicyError(f"`{text[:40]}` is beyond the calendar", where=where, mend="write an earlier moment") from None


def day_edge(text: str, operator: Operator) -> tuple[Operator, str] | None:
    """A comparison with a whole day as one with a moment: `lteq` the day is `lt` the next one; None for a moment, eq and neq."""
    found = parse_moment(text)
    if found is None or found.is_moment:
        return None
    edges = {
        Operator.LT: (Operator.LT, found.start),
        Operator.GTEQ: (Operator.GTEQ, found.start),
        Operator.LTEQ: (Operator.LT, found.end),
        Operator.GT: (Operator.GTEQ, found.end),
    }
    edge = edges.get(operator)
    return (edge[0], edge[1].astimezone(UTC).isoformat()) if edge else None


def is_number(text: str) -> bool:
    """Whether a text is a plain number."""
    return isinstance(parse_decimal(text), Decimal)
