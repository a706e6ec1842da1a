"""Sets of requests as unions of boxes: a box is one mask of cells for each axis, a request lies in it when each of its cells does.

Cells and axes are cut in `axes`; which boxes a policy is, in `normal`. The algebra is exact, and stops at a cap instead of
growing without bound: what is beyond it is unknown, never guessed. The caps are on single steps and, within `bounded`, on all of a
question together: a peer's policy of a few thousand characters can ask for a minute of work, step by step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextvars import ContextVar
from functools import wraps
from operator import and_
from typing import ParamSpec, TypeVar

MOST_BOXES = 4096
MOST_WORK = 300_000
"""Boxes that one question may look at, one by one: some tenths of a second at worst."""
_MOST_STEPS = 200_000
_MOST_JOINED = 20_000
# masks beyond which joining boxes costs more than it saves

_P = ParamSpec("_P")
_R = TypeVar("_R")
_LEFT: ContextVar[list[int] | None] = ContextVar("kontor.analyse.work", default=None)
# of the question that is being answered, what work is left

Box = tuple[int, ...]
"""For each axis the cells that lie in it, as bits. No mask is zero."""


class Beyond(Exception):
    """The analysis would grow beyond its bounds; whoever asked answers `unknown` with this reason."""


def bounded(question: Callable[_P, _R]) -> Callable[_P, _R]:
    """A question whose answer may take `MOST_WORK`; one that is asked for the sake of another has what that one has left."""

    @wraps(question)
    def ask(*args: _P.args, **named: _P.kwargs) -> _R:
        if _LEFT.get() is not None:
            return question(*args, **named)
        token = _LEFT.set([MOST_WORK])
        try:
            return question(*args, **named)
        finally:
            _LEFT.reset(token)

    return ask


def _spend(work: int) -> None:
    left = _LEFT.get()
    if left is not None:
        left[0] -= work
        if left[0] < 0:
            raise Beyond(f"the comparison takes more than {MOST_WORK} steps")


def common(a: Box, b: Box) -> Box | None:
    """What two boxes have in common; None when that is nothing."""
    found = tuple(map(and_, a, b))
    return found if all(found) else None


def intersection(a: Sequence[Box], b: Sequence[Box]) -> list[Box]:
    """What two unions of boxes have in common.

    Raises: Beyond when it takes too many boxes.
    """
    if len(a) * len(b) > MOST_BOXES * 16:
        raise Beyond(f"the comparison takes more than {MOST_BOXES} boxes")
    _spend(len(a) * len(b))
    found = [box for x in a for y in b if (box := common(x, y)) is not None]
    return _capped(found if len(found) < 2 else absorbed(found))


def union(*parts: Sequence[Box]) -> list[Box]:
    """All boxes of several unions, without those that lie within another.

    Raises: Beyond when there are too many.
    """
    found = [box for part in parts for box in part]
    return _capped(found if len(found) < 2 else absorbed(found))


def difference(boxes: Sequence[Box], holes: Iterable[Box]) -> list[Box]:
    """What is left of `boxes` outside all `holes`.

    Raises: Beyond when it takes too many boxes.
    """
    left = list(boxes)
    steps = 0
    for hole in holes:
        if not left:
            break
        steps += len(left)
        _spend(len(left))
        if steps > _MOST_STEPS:
            raise Beyond(f"the comparison takes more than {_MOST_STEPS} steps")
        left = _capped([piece for box in left for piece in _pieces(box, hole)])
    return left


def _pieces(box: Box, hole: Box) -> Iterator[Box]:
    shared = tuple(map(and_, box, hole))
    if not all(shared):
        yield box
        return
    for axis, cells in enumerate(box):
        rest = cells & ~hole[axis]
        if rest:
            yield (*shared[:axis], rest, *box[axis + 1 :])


def is_within(box: Box, whole: Box) -> bool:
    """Whether one box lies in another."""
    return tuple(map(and_, box, whole)) == box


def absorbed(boxes: Sequence[Box]) -> list[Box]:
    """The same set without boxes that lie within another one, and with those joined that differ on one axis only."""
    joined = list(dict.fromkeys(boxes))
    if len(joined) * len(joined[0] if joined else ()) > _MOST_JOINED:
        return joined
    before = 0
    while len(joined) != before and len(joined) > 1:
        before = len(joined)
        _spend(before * len(joined[0]))
        for axis in range(len(joined[0])):
            groups: dict[Box, int] = {}
            for box in joined:
                rest = (*box[:axis], *box[axis + 1 :])
                groups[rest] = groups.get(rest, 0) | box[axis]
            if len(groups) < len(joined):
                joined = [(*rest[:axis], cells, *rest[axis:]) for rest, cells in groups.items()]
    if 1 < len(joined) <= 256:
        # beyond that, keeping a few boxes too many is cheaper than looking for them
        kept = sorted(joined, key=lambda box: -sum(map(int.bit_count, box)))
        joined = []
        for box in kept:
            _spend(len(joined))
            if not any(is_within(box, whole) for whole in joined):
                joined.append(box)
    return joined


def _capped(boxes: list[Box]) -> list[Box]:
    if len(boxes) > MOST_BOXES:
        boxes = absorbed(boxes)
    if len(boxes) > MOST_BOXES:
        raise Beyond(f"the comparison takes more than {MOST_BOXES} boxes")
    return boxes
