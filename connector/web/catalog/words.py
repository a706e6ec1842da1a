"""What pages say: the policy of an offer in plain words, and names that people know for facets and values.

The sentences tell what the offer says, in its own order. They are a reading aid: what binds is the offer itself, which the page links.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from connector.federation.reading import last_part
from connector.odrl.model import ActionRef, AnyConstraint, Constraint, Duty, LogicalConstraint, Permission, Policy, Prohibition

FACET_NAMES: Final = {
    "theme": "Theme", "publisher": "Publisher", "space": "Data space", "region": "Region", "format": "Format",
    "license": "Licence", "grade": "Grade", "price": "Price", "currency": "Currency",
    "freshness": "Data changed", "language": "Language", "form": "Form",
    "action": "You may", "purpose": "For the purpose", "origin": "Participant",
}  # fmt: skip
_VALUES: Final = {
    ("freshness", "day"): "today", ("freshness", "week"): "this week", ("freshness", "month"): "this month",
    ("freshness", "year"): "this year", ("freshness", "older"): "earlier", ("freshness", "unknown"): "nobody says",
    ("language", "en"): "English", ("language", "de"): "German", ("language", "fr"): "French", ("language", "zh"): "Chinese",
}  # fmt: skip
_OPERATORS: Final = {
    "eq": "is", "neq": "is not", "lt": "is below", "lteq": "is at most", "gt": "is above", "gteq": "is at least",
    "isA": "is a kind of", "isAnyOf": "is one of", "isAllOf": "is all of", "isNoneOf": "is none of",
    "isPartOf": "lies in", "hasPart": "contains",
}  # fmt: skip
_OPERANDS: Final = {
    "purpose": "the purpose", "count": "the number of uses", "spatial": "the place of use", "payAmount": "the amount paid",
    "elapsedTime": "the time of use",
}  # fmt: skip
_TIMES: Final = {"lt": "before", "lteq": "until", "gt": "after", "gteq": "from", "eq": "at"}
_JOINED: Final = {"and": " and ", "or": " or ", "xone": " or else ", "andSequence": ", then "}
_ACTIONS: Final = {"use": "use it", "read": "read it", "distribute": "pass it on", "derive": "make something new of it",
                   "modify": "change it", "reproduce": "copy it", "delete": "delete it", "display": "show it",
                   "aggregate": "combine it with other data", "anonymize": "make it anonymous", "compensate": "pay",
                   "inform": "inform", "attribute": "name the source", "archive": "keep it", "sell": "sell it",
                   "execute": "run it", "analyze": "analyse it", "index": "index it", "transfer": "hand it over"}  # fmt: skip
_MOST: Final = 200
_MOST_SHOWN: Final = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentence:
    """One sentence about an offer."""

    kind: str
    """`may`, `must` or `never`."""
    text: str


def facet_value(facet: str, value: str) -> str:
    """The value of a facet as people read it."""
    known = _VALUES.get((facet, value))
    if known is not None:
        return known
    if facet in ("action", "purpose"):
        return last_part(value).replace("-", " ")[:_MOST_SHOWN]
    if facet == "license" and "://" in value:
        return " ".join(value.rstrip("/").split("/")[-2:])[:_MOST_SHOWN]
    return (last_part(value) if facet == "theme" and "://" in value else value)[:_MOST_SHOWN]


def sentences(policy: Policy) -> Iterator[Sentence]:
    """What an offer allows, asks and forbids, in its own order."""
    for permission in policy.permissions:
        yield from _permission(permission, policy)
    for prohibition in policy.prohibitions:
        yield Sentence(kind="never", text=_said("You may not", prohibition, policy))
    for duty in policy.obligations:
        yield Sentence(kind="must", text=_said("You must", duty, policy))


def _permission(rule: Permission, policy: Policy) -> Iterator[Sentence]:
    yield Sentence(kind="may", text=_said("You may", rule, policy))
    for duty in rule.duties:
        yield Sentence(kind="must", text=_said("For that you must", duty, policy))
        for more in duty.consequences:
            yield Sentence(kind="must", text=_said("If you do not, you must", more, policy))


def _said(begin: str, rule: Permission | Prohibition | Duty, policy: Policy) -> str:
    acts = " or ".join(_action(one) for one in rule.actions or policy.actions) or "do nothing"
    conditions = _all(rule.constraints)
    word = "while" if isinstance(rule, Prohibition) else "if"
    return f"{begin} {acts}{f', {word} {conditions}' if conditions else ''}."[:2_000]


def _action(action: ActionRef) -> str:
    name = last_part(action.name)
    said = _ACTIONS.get(name, name)
    return f"{said} ({_all(action.refinements)})" if action.refinements else said


def _all(constraints: Iterable[AnyConstraint]) -> str:
    return " and ".join(_condition(one) for one in constraints)


def _condition(one: AnyConstraint) -> str:
    if isinstance(one, LogicalConstraint):
        return f"({_JOINED.get(one.operand, ' and ').join(_condition(member) for member in one.members)})"
    return _comparison(one)


def _comparison(one: Constraint) -> str:
    left, operator = last_part(one.left), str(one.operator)
    right = ", ".join(value.text if "T" in value.text[:11] else last_part(value.text) for value in one.right)[:_MOST]
    unit = f" {last_part(one.unit.text)}" if one.unit is not None else ""
    if left == "dateTime" and operator in _TIMES:
        return f"it is {_TIMES[operator]} {right}"
    if left == "purpose" and operator in ("eq", "isA", "isPartOf"):
        return f"you use it for {right}"
    return f"{_OPERANDS.get(left, left)} {_OPERATORS.get(operator, operator)} {right}{unit}"
