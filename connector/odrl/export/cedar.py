"""A policy as Cedar, for Amazon Verified Permissions, cedarpy and other engines of that language.

    principal Party::"did:...", action Action::"use", resource Asset::"urn:...", context see `logic`
    Who names no party or asset writes Party::"" or Asset::"". Numbers are decimals: {"__extn": {"fn": "decimal", "arg": "3.0"}}.
Source: Cedar policy language 4, decimals and sets.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from connector.odrl.export.logic import (
    Among,
    Clock,
    Does,
    Join,
    Logic,
    Named,
    Node,
    Number,
    Performed,
    Set,
    Sure,
    Within,
    ways,
)
from connector.odrl.model import Diagnostic, Operator, Severity

_METHODS = {
    Operator.LT: "lessThan",
    Operator.LTEQ: "lessThanOrEqual",
    Operator.GT: "greaterThan",
    Operator.GTEQ: "greaterThanOrEqual",
}
_LARGEST = Decimal("922337203685477.5807")


def write(found: Logic, title: str = "") -> tuple[str, tuple[Diagnostic, ...]]:
    """The policies as text, and what was lost on the way from the logic: numbers that a Cedar decimal cannot hold."""
    writer = _Writer()
    rules = [f"permit(principal, action, resource)\nwhen {{ {writer.true(node)} }};" for node in found.permits]
    rules += [f"forbid(principal, action, resource)\nunless {{ {writer.false(node)} }};" for node in found.forbids]
    head = [
        *(f"// {line}" for line in title.splitlines()),
        *(f"// not carried, {one.severity}: {one.where}: {one.what}" for one in (*found.lost, *writer.lost)),
        *(f"// context.{key}: {operand.name}" for key, operand in found.keys.items()),
    ]
    return "\n".join((*head, *rules)) + "\n", tuple(dict.fromkeys(writer.lost))


def context(tree: Mapping[str, object]) -> dict[str, Any]:
    """A context of `logic` as Cedar takes it; numbers beyond its decimals are left out, as if they were not known."""
    found: dict[str, Any] = {}
    for key, value in tree.items():
        if not isinstance(value, Decimal):
            found[key] = value
        elif _fits(value):
            found[key] = {"__extn": {"fn": "decimal", "arg": _decimal(value)}}
    return found


class _Writer:
    def __init__(self) -> None:
        self.lost: list[Diagnostic] = []

    def true(self, node: Node) -> str:
        """An expression that holds when a condition is surely true."""
        return self.face(node, is_true=True)

    def false(self, node: Node) -> str:
        """An expression that holds when a condition is surely false."""
        return self.face(node, is_true=False)

    def face(self, node: Node, *, is_true: bool) -> str:
        if isinstance(node, Join):
            return self.joined(node, is_true=is_true)
        if isinstance(node, Sure):
            return "true" if node.truth is is_true else "false"
        if isinstance(node, Clock):
            edge = f"context.agreed_at + {node.at}" if node.is_relative else str(node.at)
            line = f"context.now {'<' if node.is_before is is_true else '>='} {edge}"
            return f"(context has agreed_at && {line})" if node.is_relative else line
        if isinstance(node, Performed):
            return f"{'' if is_true else '!'}context.duties.contains({_text(node.duty)})"
        if isinstance(node, Named):
            kind = "Asset" if node.part == "resource" else "Party"
            same = f"{node.part} == {kind}::{_text(node.name)}"
            return same if is_true else f'(!({same}) && !({node.part} == {kind}::""))'
        if isinstance(node, Does):
            line = f"[{', '.join(f'Action::{_text(name)}' for name in node.actions)}].contains(action)"
            return line if is_true else f"!{line}"
        return f"(context has {node.key} && {self.held(node, is_true=is_true)})"

    def held(self, node: Among | Within | Number, *, is_true: bool) -> str:
        here = f"context.{node.key}"
        if isinstance(node, Number):
            return self.number(node, here, is_true=is_true)
        if isinstance(node, Within):
            return f"{here}.containsAny({_set(node.yes)})" if is_true else f"{_set(node.no)}.containsAll({here})"
        wanted = _set(node.values)
        line = {
            Set.EQUAL: f"{here} == {wanted}",
            Set.DIFFERENT: f"!({here} == {wanted})",
            Set.ANY: f"{here}.containsAny({wanted})",
            Set.ALL: f"{here}.containsAll({wanted})",
            Set.NONE: f"!{here}.containsAny({wanted})",
        }[node.how]
        return line if is_true else f"!({line})"

    def number(self, node: Number, here: str, *, is_true: bool) -> str:
        if not _fits(node.number):
            what = f"`{node.key}` with {node.number}, which is no decimal of Cedar"
            self.lost.append(Diagnostic(code="not-carried", severity=Severity.ERROR, where=node.key, what=what))
            return "false"
        number = f'decimal("{_decimal(node.number)}")'
        if node.operator in _METHODS:
            line = f"{here}.{_METHODS[node.operator]}({number})"
        else:
            line = f"{here} == {number}" if node.operator is Operator.EQ else f"!({here} == {number})"
        return line if is_true else f"!({line})"

    def joined(self, node: Join, *, is_true: bool) -> str:
        yes, no = [self.true(member) for member in node.members], [self.false(member) for member in node.members]
        found = ways(node.operand, yes, no)[0 if is_true else 1]
        return _any([_all(way) for way in found])


def _all(parts: list[str]) -> str:
    return (parts[0] if len(parts) == 1 else f"({' && '.join(parts)})") if parts else "true"


def _any(parts: list[str]) -> str:
    return (parts[0] if len(parts) == 1 else f"({' || '.join(parts)})") if parts else "false"


def _fits(number: Decimal) -> bool:
    exponent = number.normalize().as_tuple().exponent
    return isinstance(exponent, int) and exponent >= -4 and abs(number) <= _LARGEST


def _decimal(number: Decimal) -> str:
    text = format(number.normalize(), "f")
    return text if "." in text else f"{text}.0"


def _set(values: tuple[str, ...]) -> str:
    return f"[{', '.join(map(_text, values))}]"


def _text(text: str) -> str:
    """A Cedar string: what is not printable ASCII is escaped by its code point."""
    return '"' + "".join(sign if " " <= sign <= "~" and sign not in '"\\' else f"\\u{{{ord(sign):x}}}" for sign in text) + '"'
