"""Offers by what of them is judged at the moment of negotiating: most differ only in what is looked at later.

What lives here: `shaped`, which takes out of an offer the conditions that are no matter of negotiating (how often, until when) and tells
until when the offer can be of use at all. What does not: judging (`connector.odrl`), and who may do what (`permitted.py`).

38,000 products may have 38,000 different offers, each with an end or a count of its own; without those they are some dozens, and those
are compiled and asked once. Only conditions are taken out that are whole and plain beyond doubt: whatever is odd stays, and is judged
by the engine as it stands.
Source: ODRL 2.2, `dateTime` and `count`; `vocab/odrl.json`, the stages of operands.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final

from connector.odrl.truth import Stage
from connector.odrl.vocabulary import Vocabulary

Tree = dict[str, Any]
_MEMBERS: Final = frozenset({"leftOperand", "operator", "rightOperand"})
_BEFORE: Final = ("lt", "lteq", "eq")
_AFTER: Final = ("gt", "gteq")
_AT_MOST: Final = ("lt", "lteq")
_TYPES: Final = tuple(
    f"{prefix}{name}" for prefix in ("xsd:", "http://www.w3.org/2001/XMLSchema#") for name in ("dateTime", "date")
)


def shaped(offer: Mapping[str, Any], vocabulary: Vocabulary) -> tuple[Tree, datetime | None]:
    """The offer without what is looked at later, and when it ends; None for never, or when only the engine can say."""
    tree = dict(offer)
    permissions = tree.get("permission")
    rules = [rule for rule in (permissions if isinstance(permissions, list) else [permissions]) if isinstance(rule, dict)]
    if not rules or (isinstance(permissions, list) and len(rules) != len(permissions)):
        return tree, None
    pairs = [_shaped_rule(rule, vocabulary) for rule in rules]
    tree["permission"] = [rule for rule, _ in pairs]
    # an offer lasts as long as the longest of its permissions
    ends = [end for _, end in pairs if end is not None]
    return tree, max(ends) if len(ends) == len(pairs) else None


def _shaped_rule(rule: Tree, vocabulary: Vocabulary) -> tuple[Tree, datetime | None]:
    constraints = rule.get("constraint")
    given = constraints if isinstance(constraints, list) else [constraints]
    listed = [one for one in given if isinstance(one, dict)]
    if len(listed) != len(given):
        return rule, None
    kept: list[Tree] = []
    end: datetime | None = None
    for one in listed:
        name = _later(one, vocabulary)
        if (
            name == "dateTime"
            and (moment := _moment(one["rightOperand"])) is not None
            and one["operator"] in (*_BEFORE, *_AFTER)
        ):
            if one["operator"] in _BEFORE:
                end = min(end, moment) if end is not None else moment
        elif not (name == "count" and one["operator"] in _AT_MOST and _is_count(one["rightOperand"])):
            kept.append(one)
    if len(kept) == len(listed):
        return rule, None
    return {**rule, "constraint": kept} if kept else {n: v for n, v in rule.items() if n != "constraint"}, end


def _later(constraint: Tree, vocabulary: Vocabulary) -> str | None:
    """The operand of a plain constraint that negotiating does not ask about."""
    if constraint.keys() != _MEMBERS or not isinstance(constraint["leftOperand"], str):
        return None
    operand = vocabulary.operand(constraint["leftOperand"])
    return operand.name if operand is not None and Stage.NEGOTIATE not in operand.stages else None


def _is_count(value: Any) -> bool:
    return isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 16


def _moment(value: Any) -> datetime | None:
    """The instant that a right operand names beyond doubt: a date and time with its zone, or the end of a day."""
    if isinstance(value, dict):
        if (
            value.keys() - {"@value", "@type"}
            or str(value.get("@type", "dateTime")).rpartition(":")[2].rpartition("#")[2] not in _TYPES
        ):
            return None
        value = value.get("@value")
    if not isinstance(value, str) or len(value) > 40:
        return None
    try:
        if len(value) == 10:
            return datetime.combine(date.fromisoformat(value), time(), UTC) + timedelta(days=1)
        found = datetime.fromisoformat(value)
    except (ValueError, OverflowError):
        return None
    return found if found.tzinfo is not None else None
