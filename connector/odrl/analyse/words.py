"""Boxes in words: `read for purpose marketing until 2026-12-31`, and in what a box is less than the whole it was cut from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from connector.odrl.analyse.axes import Axis, Kind
from connector.odrl.analyse.boxes import Box, absorbed
from connector.odrl.analyse.space import Space
from connector.odrl.truth import STAGE_ORDER, Stage

_MOST_WORDS = 8


def tell(space: Space, boxes: Sequence[Box], *, whole: Sequence[Box] = ()) -> str:
    """The boxes in one line; what a box has in common with all of `whole` is left unsaid."""
    return "; ".join(dict.fromkeys(one for box in absorbed(plain(space, boxes)) if (one := _box(space, box, whole))))


def plain(space: Space, boxes: Sequence[Box]) -> list[Box]:
    """The boxes as they are when data is asked for, where everything is judged; as they stand when there are none then."""
    at = STAGE_ORDER[Stage.REQUEST]
    kept = tuple(axis.where(lambda cell: cell.stages >> at & 1 and (not cell.is_deferred)) for axis in space.axes)
    found = [tuple(cells & mask for cells, mask in zip(box, kept, strict=True)) for box in boxes]
    return [box for box in found if all(box)] or list(boxes)


def _box(space: Space, box: Box, whole: Sequence[Box]) -> str:
    all_cells = plain(space, [space.full])[0]
    hull = list(all_cells)
    if whole:
        hull = [0] * len(box)
        for other in plain(space, whole):
            hull = [a | b for a, b in zip(hull, other, strict=True)]
    action = "everything"
    said: list[str] = []
    for axis, cells, least, most in zip(space.axes, box, hull, all_cells, strict=True):
        if axis.kind is Kind.ACTION:
            action = "everything" if whole and cells == least else _action(space, axis, cells)
        elif cells & least != least and cells & most != most:
            said.append(condition(axis, cells))
    return " ".join([action, " and ".join(said)]) if said else action


def _action(space: Space, axis: Axis, cells: int) -> str:
    names = [str(value.fact) for n, cell in enumerate(axis.cells) if cells >> n & 1 for value in cell.values]
    covering = space.vocabulary.covering
    tops = [name for name in names if not any(other != name and other in covering.get(name, ()) for other in names)]
    shown = tops[:_MOST_WORDS]
    left = len(tops) - len(shown)
    return " or ".join(shown) + (f" or {left} other actions" if left else "")


def condition(axis: Axis, cells: int) -> str:
    """The cells of an axis as a condition in words, such as `purpose marketing`."""
    name = axis.operand.short if axis.operand is not None else axis.name
    if axis.kind is Kind.ACTION:
        return f"with action {', '.join(value.text for n, cell in enumerate(axis.cells) if cells >> n & 1 for value in cell.values[:1])}"
    if axis.kind in (Kind.DUTY, Kind.OPEN, Kind.TARGET_COLLECTION, Kind.PARTY_COLLECTION):
        return "while " + " or ".join(cell.text for n, cell in enumerate(axis.cells) if cells >> n & 1)
    is_time = bool(axis.operand is not None and all(source.kind == "clock" for source in axis.operand.sources))
    parts = list(dict.fromkeys(_parts(axis, cells)))
    if len(parts) > _MOST_WORDS:
        parts = [*parts[:_MOST_WORDS], f"{len(parts) - _MOST_WORDS} more"]
    said = " or ".join(parts)
    return said if is_time and "not " not in said else f"with {name} {said}"


def _parts(axis: Axis, cells: int) -> Iterator[str]:
    number = 0
    while number < len(axis.cells):
        cell = axis.cells[number]
        if not cells >> number & 1:
            number += 1
            continue
        if not cell.values:
            yield cell.text
        elif cell.values[0].text:
            # `another` stands for everything that nobody names
            yield from (value.text for value in cell.values)
        else:
            first = number
            while number + 1 < len(axis.cells) and cells >> number + 1 & 1 and _is_range(axis, number + 1):
                number += 1
            low, high = axis.cells[first].values[0].low, axis.cells[number].values[0].high
            yield _range(low, high)
        number += 1


def _is_range(axis: Axis, number: int) -> bool:
    values = axis.cells[number].values
    return bool(values) and not values[0].text


def _range(low: str, high: str) -> str:
    if low.removeprefix("at least ") == high.removeprefix("at most ") and low.startswith("at least"):
        return low.removeprefix("at least ")
    return " ".join(part for part in (low, high) if part) or "any"
