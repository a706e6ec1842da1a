"""A policy as Rego, for Open Policy Agent.

    input: {"action": "use", "principal": "did:...", "resource": "urn:...", "context": {...}}     see `logic`
    data.kontor.policy.allow

Each condition has two rules, `t_N` (surely true) and `f_N` (surely false).
Source: Rego v1, the policy language of Open Policy Agent 1.
"""

from __future__ import annotations

import json
from decimal import Decimal

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
from connector.odrl.model import Operator

_LONGEST = 100
_SIGNS = {
    Operator.EQ: "==",
    Operator.NEQ: "!=",
    Operator.LT: "<",
    Operator.LTEQ: "<=",
    Operator.GT: ">",
    Operator.GTEQ: ">=",
}


def write(found: Logic, title: str = "") -> str:
    """The module as text."""
    writer = _Writer()
    permits = [writer.node(node)[0] for node in found.permits]
    forbids = [writer.node(node)[1] for node in found.forbids]
    head = [
        *(f"# {line}" for line in title.splitlines()),
        *(f"# not carried, {one.severity}: {one.where}: {one.what}" for one in found.lost),
        *(f"# context.{key}: {operand.name}" for key, operand in found.keys.items()),
        "package kontor.policy",
        "",
        "import rego.v1",
        "",
        "default allow := false",
        "",
        "allow if {",
        "\tpermitted",
        "\tnot forbidden",
        "}",
        "",
        "default permitted := false",
        "",
        *(f"permitted if {name}" for name in permits),
        "",
        "default forbidden := false",
        "",
        *(f"forbidden if not {name}" for name in forbids),
    ]
    return "\n".join((*head, "", *writer.lines)) + "\n"


class _Writer:
    def __init__(self) -> None:
        self.lines: list[str] = []
        self.count = 0

    def node(self, node: Node) -> tuple[str, str]:
        """The names of the two rules of a condition, which are then among the lines."""
        if isinstance(node, Join):
            names = [self.node(member) for member in node.members]
            yes, no = ways(node.operand, [true for true, _ in names], [false for _, false in names])
        else:
            yes, no = _leaf(node)
        self.count += 1
        pair = (f"t_{self.count}", f"f_{self.count}")
        for name, found in zip(pair, (yes, no), strict=True):
            self.lines.append(f"default {name} := false")
            for way in found:
                body = "\n".join(f"\t{line}" for line in way) or "\ttrue"
                self.lines.append(f"{name} if {{\n{body}\n}}")
        return pair


_Ways = list[list[str]]


def _leaf(node: Node) -> tuple[_Ways, _Ways]:
    if isinstance(node, Sure):
        return ([[]] if node.truth is True else []), ([[]] if node.truth is False else [])
    if isinstance(node, Clock):
        edge = f"input.context.agreed_at + {node.at}" if node.is_relative else str(node.at)
        before, later = [f"input.context.now < {edge}"], [f"input.context.now >= {edge}"]
        return ([before], [later]) if node.is_before else ([later], [before])
    if isinstance(node, Performed):
        line = f"{_text(node.duty)} in input.context.duties"
        return [[line]], [[f"not {line}"]]
    if isinstance(node, Named):
        asked = f"input.{node.part}"
        return [[f"{asked} == {_text(node.name)}"]], [[f"{asked} != {_text(node.name)}", f'{asked} != ""']]
    if isinstance(node, Does):
        line = f"input.action in {_set(node.actions)}"
        return [[line]], [[f"not {line}"]]
    if isinstance(node, Number):
        line = f"input.context[{_text(node.key)}] {_SIGNS[node.operator]} {_number(node.number)}"
        return [[line]], [[f"input.context[{_text(node.key)}] != null", f"not {line}"]]
    if isinstance(node, Join):
        raise TypeError("a join is no leaf")
    values = f"values := {{value | some value in input.context[{_text(node.key)}]}}"
    there = f"input.context[{_text(node.key)}] != null"
    if isinstance(node, Within):
        return [[there, values, f"count(values & {_set(node.yes)}) > 0"]], [
            [there, values, f"count(values - {_set(node.no)}) == 0"]
        ]
    yes, no = _among(node)
    return [[there, values, yes]], [[there, values, no]]


def _among(node: Among) -> tuple[str, str]:
    wanted = _set(node.values)
    if node.how in (Set.EQUAL, Set.DIFFERENT):
        pair = (f"values == {wanted}", f"values != {wanted}")
        return pair if node.how is Set.EQUAL else pair[::-1]
    if node.how is Set.ALL:
        return f"count({wanted} - values) == 0", f"count({wanted} - values) > 0"
    pair = (f"count(values & {wanted}) > 0", f"count(values & {wanted}) == 0")
    return pair if node.how is Set.ANY else pair[::-1]


def _set(values: tuple[str, ...]) -> str:
    """A set, on several lines when it is long: some engines take no more than a thousand signs in one."""
    if not values:
        return "set()"
    texts = list(map(_text, values))
    line = ", ".join(texts)
    return f"{{{line}}}" if len(line) <= _LONGEST else "{" + ",".join(f"\n\t\t{text}" for text in texts) + ",\n\t}"


def _text(text: str) -> str:
    return json.dumps(text)


def _number(number: Decimal) -> str:
    return format(number, "f")
