"""What a record of use can say at once: whole numbers of uses, no more in a day than in its week, and no more in either than ever.

The axes of `count` and of frequencies that speak of one rule are read from one record. A box is real only where some record has
the values that it asks for: all of them are known or none is. `numbers` finds the smallest.
Source: ODRL Vocabulary 2.2, `count`; TC609-6-2025-15, annex A (frequency).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from connector.odrl.analyse.axes import ALL_STAGES, Axis, Cell, Kind
from connector.odrl.analyse.boxes import Box
from connector.odrl.truth import Stage

COUNT = "count"


@dataclass(frozen=True, slots=True)
class Uses:
    """How many uses the values of a cell are: from the first to the last, None without an end."""

    first: int
    last: int | None


@dataclass(frozen=True, slots=True)
class Group:
    """The axes of one record, the shorter periods first."""

    axes: tuple[int, ...]
    within: tuple[tuple[int, ...], ...]
    """For each of them, the places here of those that never count more."""
    uses: tuple[tuple[Uses | None, ...], ...]
    """For each of them, what its cells are; None where no whole number lies."""
    known: dict[tuple[int, ...], int] = field(default_factory=dict, compare=False, repr=False)
    """The stages of what was asked for already."""


def groups(axes: Sequence[Axis]) -> tuple[Group, ...]:
    """The axes that are read from one record."""
    found: dict[int, list[int]] = {}
    for number, axis in enumerate(axes):
        if _is_counted(axis):
            found.setdefault(axis.order, []).append(number)
    return tuple(_group(axes, sorted(numbers, key=lambda n: _length(axes[n]))) for numbers in found.values())


def _is_counted(axis: Axis) -> bool:
    if axis.kind is not Kind.OPERAND or axis.operand is None or axis.is_party:
        return False
    return axis.cycle is not None or (axis.operand.on_record == COUNT and not axis.unit)


def _length(axis: Axis) -> float:
    return axis.cycle.seconds if axis.cycle is not None else math.inf


def _group(axes: Sequence[Axis], numbers: Sequence[int]) -> Group:
    within = tuple(tuple(m for m in range(n) if _never_more(axes[numbers[m]], axes[one])) for n, one in enumerate(numbers))
    return Group(axes=tuple(numbers), within=within, uses=tuple(_uses(axes[number]) for number in numbers))


def _never_more(inner: Axis, outer: Axis) -> bool:
    if outer.cycle is None:
        return inner.cycle is not None
    return inner.cycle is not None and inner.cycle.lies_in(outer.cycle)


def _uses(axis: Axis) -> tuple[Uses | None, ...]:
    """The whole numbers in each cell: points, and what lies between and beside them (`cells`)."""
    values = [cell.values[0].left[0] for cell in axis.cells if cell.values]
    points = [value for value in values[1::2] if isinstance(value, Decimal)]
    found: list[Uses | None] = []
    for number in range(len(axis.cells)):
        if number >= len(values):
            found.append(None)
            continue
        if number % 2:
            point = points[number // 2]
            found.append(Uses(int(point), int(point)) if point == int(point) and point >= 0 else None)
            continue
        below, above = number // 2 - 1, number // 2
        first = max(math.floor(points[below]) + 1 if below >= 0 else 0, 0)
        last = math.ceil(points[above]) - 1 if above < len(points) else None
        found.append(Uses(first, last) if last is None or first <= last else None)
    return tuple(found)


def stages(axes: Sequence[Axis], group: Group, box: Box) -> int:
    """The stages, as bits, at which a record can lie in the box, or none is kept, or nothing of it is judged yet."""
    masks = tuple(box[number] for number in group.axes)
    if all(mask == axes[number].full for mask, number in zip(masks, group.axes, strict=True)):
        return ALL_STAGES
    found = group.known.get(masks)
    if found is None:
        bits = (1 << bit for bit in range(len(Stage)))
        found = group.known[masks] = sum(stage for stage in bits if _is_possible(axes, group, box, stage))
    return found


def _is_possible(axes: Sequence[Axis], group: Group, box: Box, stage: int) -> bool:
    here = [_here(axes[number], box[number], stage) for number in group.axes]
    if all(any(_is_missing(axis.cells[number]) for number in cells) for axis, cells in _paired(axes, group, here)):
        return True
    return _smallest(axes, group, here) is not None


def _is_missing(cell: Cell) -> bool:
    return not cell.values and not cell.is_deferred


def numbers(axes: Sequence[Axis], group: Group, box: Box, stage: int) -> dict[int, int] | None:
    """By axis, the smallest numbers of uses in the box that one record can hold; None when none can."""
    return _smallest(axes, group, [_here(axes[number], box[number], stage) for number in group.axes])


def _here(axis: Axis, cells: int, stage: int) -> list[int]:
    return [number for number, cell in enumerate(axis.cells) if cells >> number & 1 and cell.stages & stage]


def _paired(axes: Sequence[Axis], group: Group, here: Sequence[list[int]]) -> list[tuple[Axis, list[int]]]:
    return [(axes[number], cells) for number, cells in zip(group.axes, here, strict=True)]


def _smallest(axes: Sequence[Axis], group: Group, here: Sequence[list[int]]) -> dict[int, int] | None:
    found: dict[int, int] = {}
    for place, (axis, cells) in enumerate(_paired(axes, group, here)):
        least = max((found[group.axes[m]] for m in group.within[place] if group.axes[m] in found), default=0)
        fitting = [
            max(uses.first, least)
            for number in cells
            if (uses := group.uses[place][number]) is not None and (uses.last is None or uses.last >= least)
        ]
        if fitting:
            found[group.axes[place]] = min(fitting)
        elif not any(axis.cells[number].is_deferred for number in cells):
            return None
    return found
