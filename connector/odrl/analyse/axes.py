"""Axes: the values of one thing that rules ask for, cut into cells, and each constraint as the cells in which it holds.

A constraint is true, false or in doubt in a cell, and the doubts are of two kinds: hard (nobody knows) and soft (another stage
or the law sees to it). So each axis has, besides its values, a cell for a value that is not known and one for a stage at which
it is not judged. What cannot be cut (unknown terms, words that are ordered) gets an axis of its own on which it is simply
true, false or in doubt: nothing is claimed of how it lies to others.
Truth in a cell is asked of the operators that judge real requests. Which values there are is in `cells`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from connector.odrl.analyse.boxes import MOST_BOXES, Beyond
from connector.odrl.analyse.cells import AGREED, Test, Value, is_counted, is_line, representatives
from connector.odrl.closures import is_judged, resolve
from connector.odrl.cycles import Cycle
from connector.odrl.ledger import POLICY_USAGE
from connector.odrl.model import Operator
from connector.odrl.operands import ORDERED, matcher
from connector.odrl.truth import Stage, Truth
from connector.odrl.values import Typed
from connector.odrl.vocabulary import Operand

ALL_STAGES = (1 << len(Stage)) - 1
_MOST_TRUTHS = 100_000
_MOST_CELLS = 1_000_000
# of all constraints on one axis


class Kind(StrEnum):
    """What an axis is about, which says how a witness states its value."""

    ACTION = "action"
    TARGET = "target"
    PARTY = "party"
    OPERAND = "operand"
    DUTY = "duty"
    TARGET_COLLECTION = "target collection"
    PARTY_COLLECTION = "party collection"
    OPEN = "open"
    # a condition that cannot be cut


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """Values that no rule in play tells apart; without values, what is not known or not judged."""

    values: tuple[Value, ...] = ()
    text: str = ""
    stages: int = ALL_STAGES
    # the stages at which a request can lie here, as bits
    is_vague: bool = False
    # whether a constraint holds here cannot be said although the value is given
    is_deferred: bool = False


@dataclass(frozen=True, slots=True)
class Masks:
    """The cells in which a constraint is true, in hard doubt, in soft doubt; elsewhere it is false."""

    true: int
    hard: int = 0
    soft: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """All cells of one thing that rules ask for."""

    kind: Kind
    name: str
    cells: tuple[Cell, ...]
    operand: Operand | None = None
    is_relative: bool = False
    is_party: bool = False
    # of a refinement of a party
    unit: str = ""
    # in which constraints count
    order: int = 0
    # which of the rules that count their use it is about
    cycle: Cycle | None = None
    # the periods in which it has uses counted
    event: str = ""
    # about which it is
    tests: tuple[tuple[Test, Masks], ...] = ()
    # the constraints that cut it

    @property
    def full(self) -> int:
        """The mask of all cells."""
        return (1 << len(self.cells)) - 1

    def where(self, test: Callable[[Cell], object]) -> int:
        """The mask of the cells for which `test` holds."""
        return sum(1 << number for number, cell in enumerate(self.cells) if test(cell))


def stages_of(operand: Operand) -> int:
    """The stages at which an operand is judged, as bits."""
    return sum(1 << number for number, stage in enumerate(Stage) if is_judged(operand, stage))


def cut(
    operand: Operand, tests: Sequence[Test], *, is_clock: bool, name: str, is_party: bool = False
) -> tuple[Axis, list[Masks]]:
    """The axis of an operand and, for each of `tests`, where it holds.

    Raises: Beyond when the values are too many to compare.
    """
    values = representatives(operand, tests, is_clock=is_clock)
    is_ordered = is_line(operand, tests, is_clock=is_clock)
    searched = [test for test in tests if not (is_ordered and test.operator in ORDERED)]
    if len(values) * len(searched) > _MOST_TRUTHS or len(values) > MOST_BOXES or len(values) * len(tests) > _MOST_CELLS:
        raise Beyond(f"too many values of `{operand.label}` to compare")
    truths = [_truths(operand, test, values, is_ordered=is_ordered) for test in tests]
    groups: dict[object, list[int]] = {}
    for number, value in enumerate(values):
        # words that are judged alike are one cell; edges of ranges stay as they are, in their order
        key = (tuple(row[number] for row in truths), value.is_vague) if value.text else number
        groups.setdefault(key, []).append(number)
    judged = stages_of(operand)
    cells = [
        Cell(
            values=tuple(values[number] for number in group),
            stages=ALL_STAGES if operand.is_legal_only else judged,
            is_vague=any(values[n].is_vague for n in group) or any(row[group[0]] is None for row in truths),
        )
        for group in groups.values()
    ]
    masks = []
    for row in truths:
        true = hard = 0
        for bit, group in enumerate(groups.values()):
            truth = row[group[0]]
            if truth is True:
                true |= 1 << bit
            elif truth is None:
                hard |= 1 << bit
        masks.append((true, hard))
    missing = deferred = 0
    if not is_clock or operand.is_legal_only:
        missing = 1 << len(cells)
        # without a ledger a counted value is not known at any stage
        cells.append(Cell(text="not known", stages=ALL_STAGES if is_counted(operand) else judged))
    if operand.is_legal_only or judged != ALL_STAGES:
        deferred = 1 << len(cells)
        stages = ALL_STAGES if operand.is_legal_only else ALL_STAGES & ~judged
        cells.append(Cell(text="not judged yet", stages=stages, is_deferred=True))
    found = [Masks(true, hard | missing, deferred) for true, hard in masks]
    axis = Axis(
        kind=Kind.OPERAND,
        name=name,
        cells=tuple(cells),
        operand=operand,
        is_relative=isinstance(values[0].fact, timedelta),
        is_party=is_party,
        tests=tuple(zip(tests, found, strict=True)),
    )
    return axis, found


def _truths(operand: Operand, test: Test, values: Sequence[Value], *, is_ordered: bool) -> list[bool | None]:
    right = tuple(_fixed(value) for value in test.right)
    match = matcher(test.operator, right, operand)

    def ask(value: Value) -> bool | None:
        truth: Truth = match(value.left, value.given)
        return truth if isinstance(truth, bool) else None

    if not (is_ordered and test.operator in ORDERED):
        return [ask(value) for value in values]
    # along ordered values an ordered operator changes once: find where
    is_first = test.operator in (Operator.LT, Operator.LTEQ)
    low, high = 0, len(values)
    while low < high:
        middle = (low + high) // 2
        if ask(values[middle]) is is_first:
            low = middle + 1
        else:
            high = middle
    return [is_first if number < low else not is_first for number in range(len(values))]


def _fixed(value: Typed) -> Typed:
    return resolve(value, AGREED) or value


_BEFORE, _DURING, _AFTER = 1, 2, 4
TO_EVENTS = {
    Operator.LT: _BEFORE,
    Operator.LTEQ: _BEFORE,
    Operator.EQ: _DURING,
    Operator.GT: _AFTER,
    Operator.GTEQ: _AFTER,
}
"""How constraints ask for events: before, during or after one, which has no inner order."""


def event(operand: Operand, name: str) -> tuple[Axis, dict[Operator, Masks]]:
    """The axis of one event, and where each operator holds on it. How it lies to other events nobody says."""
    judged = stages_of(operand)
    cells = [
        Cell(values=(Value(left=(word,), text=f"{word} {name}"),), stages=judged) for word in ("before", "during", "after")
    ]
    begun = 0
    if name == POLICY_USAGE:
        # a record tells when use began, and not whether it is over
        begun = 1 << len(cells)
        cells.append(Cell(text=f"not before {name}", stages=judged, is_vague=True))
    missing, deferred = 1 << len(cells), 1 << len(cells) + 1
    cells.append(Cell(text="not known"))
    cells.append(Cell(text="not judged yet", stages=ALL_STAGES & ~judged, is_deferred=True))
    masks = {
        operator: Masks(true, missing | (0 if true == _BEFORE else begun), deferred) for operator, true in TO_EVENTS.items()
    }
    return Axis(kind=Kind.OPERAND, name=operand.name, cells=tuple(cells), operand=operand, event=name), masks


# --- what is not an operand


def named(kind: Kind, names: Sequence[str], another: str) -> tuple[Axis, dict[str, Masks]]:
    """The axis of an asset or a party, by name, and where each name is the one that is asked for."""
    ordered = list(dict.fromkeys(names))
    cells = [Cell(values=(Value(left=(name,), fact=name, text=name),)) for name in ordered]
    cells.append(Cell(values=(Value(left=(another,), fact=another, text="another"),)))
    missing = 1 << len(cells)
    cells.append(Cell(text="not named"))
    axis = Axis(kind=kind, name=kind.value, cells=tuple(cells))
    return axis, {name: Masks(1 << number, missing) for number, name in enumerate(ordered)}


def undivided(kind: Kind, name: str, text: str, *, is_alone: bool = True) -> tuple[Axis, Masks]:
    """The axis of a condition that is simply true, false or in doubt; nothing is claimed of how it lies to others.

    Where it is not alone with its operand, even its truth leaves open what that means for the others.
    """
    is_open = kind is Kind.OPEN
    cells = (
        Cell(text=text, is_vague=not is_alone),
        Cell(text=f"not {text}", is_vague=is_open),
        Cell(text=f"{text} not known", is_vague=is_open),
        Cell(text=f"{text} not judged", is_vague=is_open, is_deferred=True),
    )
    return Axis(kind=kind, name=name, cells=cells), Masks(1, 4, 8)


def duty(name: str, text: str) -> tuple[Axis, Masks]:
    """The axis of a duty: fulfilled, or open and due. Before there is access to give none is due."""
    due = ALL_STAGES & ~((1 << list(Stage).index(Stage.TRANSFER)) - 1)
    cells = (Cell(text=f"{text} fulfilled"), Cell(text=f"{text} open", stages=due))
    return Axis(kind=Kind.DUTY, name=name, cells=cells), Masks(1)
