"""What a folder of cases covers: how often each two values of six dimensions meet in a case, and which pairs the text rules out.

    class      what a constraint or refinement belongs to: Permission, Prohibition, Obligation, Duty, Remedy, Consequence,
               Action, AssetCollection, PartyCollection
    operator   of a constraint: the twelve
    kind       of the value of its left operand: moment, duration, count, payment, event, number, quantity (a number with its
               unit), word, term (of a list), set, language, truth, claim
    conflict   where permission and prohibition stand together: perm, prohibit, invalid, different (contradicting strategies)
    duty       how the duties of the policy stand: pending, fulfilled, violated, waived, inactive
    stage      of the question: publish to after

The cube of all six has hundreds of thousands of cells that no text tells apart; each two dimensions are one table, fifteen in all.
A cell is unlawful when a row of `unlawful` in the folder's index says so: it names values of two dimensions and the section that
rules their meeting out. Every other cell needs a case.
Source: ODRL Information Model 2.2, section 2; ODRL Vocabulary & Expression 2.2, section 4.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations, product
from typing import TYPE_CHECKING, Any

from connector.errors import ConfigurationError

if TYPE_CHECKING:
    from connector.cli.policy_cases import Ran
    from connector.odrl.closures import Frame
    from connector.odrl.compile import Compiled, CompiledDuty
    from connector.odrl.model import AnyConstraint, Constraint, Policy
    from connector.odrl.vocabulary import Vocabulary

DIMENSIONS = ("class", "operator", "kind", "conflict", "duty", "stage")
_LEDGER_KINDS = {"count": "count", "payAmount": "payment", "event": "event"}
Values = dict[str, str]
Cell = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Two dimensions: how many cases stand in each cell."""

    rows: str
    columns: str
    counts: Mapping[Cell, int]
    unlawful: Mapping[Cell, str]
    # with the section that rules the cell out

    @property
    def empty(self) -> list[Cell]:
        """The cells that need a case and have none."""
        cells = product(_VALUES[self.rows], _VALUES[self.columns])
        return [cell for cell in cells if not self.counts.get(cell) and cell not in self.unlawful]

    @property
    def astray(self) -> list[Cell]:
        """The cells that have a case although the text is said to rule them out."""
        return [cell for cell in self.unlawful if self.counts.get(cell)]


_VALUES: Mapping[str, tuple[str, ...]] = {
    "class": (
        *("Permission", "Prohibition", "Obligation", "Duty", "Remedy", "Consequence"),
        *("Action", "AssetCollection", "PartyCollection"),
    ),
    "operator": (
        *("eq", "neq", "lt", "lteq", "gt", "gteq"),
        *("isA", "isAnyOf", "isAllOf", "isNoneOf", "isPartOf", "hasPart"),
    ),
    "kind": (
        *("moment", "duration", "count", "payment", "event", "number", "quantity"),
        *("word", "term", "set", "language", "truth", "claim"),
    ),
    "conflict": ("perm", "prohibit", "invalid", "different"),
    "duty": ("pending", "fulfilled", "violated", "waived", "inactive"),
    "stage": ("publish", "catalog", "negotiate", "agree", "transfer", "ongoing", "request", "after"),
}


def tables(ran: Iterable[Ran], vocabulary: Vocabulary, law: Mapping[str, Any]) -> list[Table]:
    """The fifteen tables of a folder; `law` is the `matrix` of its index.

    Raises: ConfigurationError when the law names a dimension or a value that there is not, or no section.
    """
    unlawful = _unlawful(law)
    counts: Counter[tuple[str, str, str, str]] = Counter()
    for one in ran:
        if one.case is not None and one.compiled is not None:
            found = {
                (rows, columns, values[rows], values[columns])
                for values in _occurrences(one, vocabulary)
                for rows, columns in combinations(DIMENSIONS, 2)
                if rows in values and columns in values
            }
            counts.update(found)
    return [
        Table(
            rows=rows,
            columns=columns,
            counts={key[2:]: number for key, number in counts.items() if key[:2] == (rows, columns)},
            unlawful=unlawful.get((rows, columns), {}),
        )
        for rows, columns in combinations(DIMENSIONS, 2)
    ]


def _unlawful(law: Mapping[str, Any]) -> dict[tuple[str, str], dict[Cell, str]]:
    found: dict[tuple[str, str], dict[Cell, str]] = {}
    for number, row in enumerate(law.get("unlawful", ())):
        where = f"matrix.unlawful[{number}]"
        named = [name for name in DIMENSIONS if name in row]
        if len(named) != 2 or not row.get("section") or set(row) - {*named, "section"}:
            raise ConfigurationError(
                "a row names two dimensions and a section", where=where, mend=f"of {', '.join(DIMENSIONS)}"
            )
        rows, columns = named
        for name in named:
            strange = set(_list(row[name])) - set(_VALUES[name])
            if strange:
                raise ConfigurationError(
                    f"unknown {name} `{strange.pop()}`", where=where, mend=f"one of {', '.join(_VALUES[name])}"
                )
        cells = product(_list(row[rows]), _list(row[columns]))
        found.setdefault((rows, columns), {}).update(dict.fromkeys(cells, str(row["section"])))
    return found


def _list(value: Any) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list) else [str(value)]


# --- what a case is about


def _occurrences(ran: Ran, vocabulary: Vocabulary) -> Iterator[Values]:
    """Each class and constraint of a case, with each of its strategies and duty states."""
    if ran.case is None or ran.compiled is None:
        return
    policy = ran.compiled.policy
    conflicts = _conflict(ran.compiled) if policy.permissions and policy.prohibitions else ()
    duties = sorted(set(_duty_states(ran.compiled, ran)))
    rest = [{"conflict": one} for one in conflicts] or [{}]
    also = [{"duty": one} for one in duties] or [{}]
    for about in _about(policy, vocabulary):
        for conflict, duty in product(rest, also):
            yield {**about, **conflict, **duty, "stage": ran.case.stage.value}


def _conflict(compiled: Compiled) -> tuple[str, ...]:
    return (compiled.conflict.value if compiled.conflict is not None else "different",)


def _duty_states(compiled: Compiled, ran: Ran) -> Iterator[str]:
    from connector.odrl.closures import Frame

    if ran.case is None:
        return
    frame = Frame(ran.case.world.now, ran.case.request, ran.case.stage.number, ran.case.world)
    for rule in compiled.rules:
        for duty in (*rule.duties, *rule.remedies):
            yield from _states(duty, frame)
    for duty in compiled.obligations:
        yield from _states(duty, frame)


def _states(duty: CompiledDuty, frame: Frame) -> Iterator[str]:
    from connector.odrl.evaluate import state_of

    yield "inactive" if duty.test(frame) is False else state_of(duty, frame.world).value
    for consequence in duty.consequences:
        yield from _states(consequence, frame)


def _about(policy: Policy, vocabulary: Vocabulary) -> Iterator[Values]:
    from connector.odrl.model import Duty, Permission, Prohibition

    def constraints(name: str, those: Iterable[AnyConstraint]) -> Iterator[Values]:
        yield {"class": name}
        for one in _leaves(those):
            if kind := kind_of(one, vocabulary):
                yield {"class": name, "operator": one.operator.value, "kind": kind}

    def rule(name: str, one: Permission | Prohibition | Duty) -> Iterator[Values]:
        yield from constraints(name, one.constraints)
        for action in one.actions or policy.actions:
            if action.refinements:
                yield from constraints("Action", action.refinements)
        for asset in one.targets or policy.targets:
            if asset.is_collection:
                yield from constraints("AssetCollection", asset.refinements)
        for party in one.assignees or policy.assignees:
            if party.is_collection:
                yield from constraints("PartyCollection", party.refinements)
        if isinstance(one, Permission):
            inner = [("Duty", duty) for duty in one.duties]
        elif isinstance(one, Duty):
            inner = [("Consequence", duty) for duty in one.consequences]
        else:
            inner = [("Remedy", duty) for duty in one.remedies]
        for below, duty in inner:
            yield from rule(below, duty)

    for permission in policy.permissions:
        yield from rule("Permission", permission)
    for prohibition in policy.prohibitions:
        yield from rule("Prohibition", prohibition)
    for duty in policy.obligations:
        yield from rule("Obligation", duty)


def _leaves(constraints: Iterable[AnyConstraint]) -> Iterator[Constraint]:
    from connector.odrl.model import Constraint

    for one in constraints:
        if isinstance(one, Constraint):
            yield one
        else:
            yield from _leaves(one.members)


def kind_of(constraint: Constraint, vocabulary: Vocabulary) -> str | None:
    """The kind of a constraint's left operand; None for one that nobody knows, or that does not take the operator."""
    from connector.odrl.vocabulary import ValueType

    operand = vocabulary.operand(constraint.left)
    if operand is None or constraint.operator not in operand.operators:
        return None
    if operand.name in _LEDGER_KINDS:
        return _LEDGER_KINDS[operand.name]
    if operand.value is ValueType.DECIMAL:
        return "quantity" if constraint.unit is not None else "number"
    if operand.value in (ValueType.STRING, ValueType.IRI):
        return "set" if operand.is_many else "term" if operand.codes else "word"
    names = {
        ValueType.DATE_TIME: "moment",
        ValueType.DURATION: "duration",
        ValueType.LANGUAGE: "language",
        ValueType.BOOLEAN: "truth",
        ValueType.ANY: "claim",
    }
    return names[operand.value]


# --- printing


def lines(found: list[Table]) -> Iterator[str]:
    """The tables as text: counts, `-` for a cell that the text rules out, `!` for one that lacks a case."""
    for table in found:
        columns = _VALUES[table.columns]
        width = max(len(value) for value in _VALUES[table.rows])
        yield f"{table.rows} x {table.columns}"
        yield f"  {'':{width}}  {'  '.join(columns)}"
        for row in _VALUES[table.rows]:
            cells = [_cell(table, (row, column)).rjust(len(column)) for column in columns]
            yield f"  {row:{width}}  {'  '.join(cells)}"
    empty = [(table, cell) for table in found for cell in table.empty]
    astray = [(table, cell) for table in found for cell in table.astray]
    for what, those in (("lacks a case", empty), ("has a case and is said to be unlawful", astray)):
        yield from (f"{table.rows} x {table.columns}: {cell[0]} x {cell[1]} {what}" for table, cell in those)
    lawful = sum(len(_VALUES[table.rows]) * len(_VALUES[table.columns]) - len(table.unlawful) for table in found)
    ruled_out = sum(len(table.unlawful) for table in found)
    yield f"matrix: {lawful} lawful cells, {len(empty)} without a case; {ruled_out} ruled out by the text"


def _cell(table: Table, cell: Cell) -> str:
    count = table.counts.get(cell, 0)
    return str(count) if count else "-" if cell in table.unlawful else "!"
