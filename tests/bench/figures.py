"""What a benchmark found: figures with the bounds they must keep, as a table and as JSON.

A bound is a number that the measured value is compared with. Where a baseline is given the value is a ratio to it, else it is
the measurement itself.
"""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One line of the table."""

    number: int
    """Of the design's list."""
    what: str
    ours: float
    baseline: float | None = None
    unit: str
    """Of `ours` and `baseline`."""
    value: float
    """What the bounds are about."""
    value_unit: str = "x"
    must: float | None = None
    """None: told for information, nothing is asked of it."""
    ambition: float | None = None
    is_larger_better: bool = False
    spread: tuple[float, float] | None = None
    """Least and greatest value of the rounds."""

    @property
    def is_met(self) -> bool:
        return self._keeps(self.must)

    @property
    def is_ambition_met(self) -> bool:
        return self._keeps(self.ambition)

    def _keeps(self, bound: float | None) -> bool:
        if bound is None:
            return True
        return self.value >= bound if self.is_larger_better else self.value <= bound

    @property
    def verdict(self) -> str:
        if self.must is None:
            return "-"
        if not self.is_met:
            return "MISSED"
        return "ok, ambition" if self.ambition is not None and self.is_ambition_met else "ok"

    def tree(self) -> dict[str, Any]:
        return asdict(self) | {"is_met": self.is_met, "verdict": self.verdict}


def ratio(
    number: int,
    what: str,
    ours: Sequence[float],
    baseline: Sequence[float],
    *,
    unit: str,
    must: float | None = None,
    ambition: float | None = None,
    is_larger_better: bool = False,
) -> Figure:
    """The figure of a ratio ours / baseline, round by round; its value is the median of the rounds' ratios."""
    ratios = [a / b for a, b in zip(ours, baseline, strict=True)]
    return Figure(
        number=number,
        what=what,
        ours=statistics.median(ours),
        baseline=statistics.median(baseline),
        unit=unit,
        value=statistics.median(ratios),
        must=must,
        ambition=ambition,
        is_larger_better=is_larger_better,
        spread=(min(ratios), max(ratios)),
    )


def plain(
    number: int,
    what: str,
    ours: Sequence[float],
    *,
    unit: str,
    must: float | None = None,
    ambition: float | None = None,
    is_larger_better: bool = False,
) -> Figure:
    """The figure of a measurement without baseline: the median of the rounds."""
    middle = statistics.median(ours)
    return Figure(
        number=number,
        what=what,
        ours=middle,
        unit=unit,
        value=middle,
        value_unit=unit,
        must=must,
        ambition=ambition,
        is_larger_better=is_larger_better,
        spread=(min(ours), max(ours)),
    )


def beside(figure: Figure, baseline: Sequence[float]) -> Figure:
    """The same figure with a baseline told beside it; its bounds stay about the measurement itself."""
    return replace(figure, baseline=statistics.median(baseline))


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest of `values` that so many percent of them do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def table(figures: Sequence[Figure]) -> str:
    """The figures in columns."""
    head = ("figure", "what", "ours", "baseline", "ratio", "(rounds)", "must", "ambition", "ok")
    rows = [head, *(_row(figure) for figure in figures)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)


def _row(f: Figure) -> tuple[str, ...]:
    sign = ">=" if f.is_larger_better else "<="
    suffix = "x" if f.value_unit == "x" else f" {f.value_unit}"
    return (
        str(f.number),
        f.what,
        f"{_short(f.ours)} {f.unit}",
        f"{_short(f.baseline)} {f.unit}" if f.baseline is not None else "-",
        f"{_short(f.value)}x" if f.value_unit == "x" else "-",
        f"{_short(f.spread[0])} to {_short(f.spread[1])}" if f.spread else "",
        f"{sign} {_short(f.must)}{suffix}" if f.must is not None else "-",
        f"{sign} {_short(f.ambition)}{suffix}" if f.ambition is not None else "-",
        f.verdict,
    )


def _short(number: float) -> str:
    return f"{number:.3g}" if abs(number) < 1000 else f"{number:,.0f}"


def as_json(bench: str, figures: Sequence[Figure]) -> str:
    """The figures as one JSON document."""
    return json.dumps(
        {"bench": bench, "figures": [f.tree() for f in figures], "is_met": all(f.is_met for f in figures)}, indent=2
    )
