"""Figures 6, 7, 10, 11, 12 and 25: pulls, beside nginx. Each part stands in a file of its own; `--figures 6,7` runs some of them."""

from __future__ import annotations

from tests.bench import beside, figures, growth, relay
from tests.bench.asked import Asked

_PARTS = (((6, 7, 25), relay.run), ((10,), growth.run), ((11, 12), beside.run))


def run(asked: Asked) -> list[figures.Figure]:
    """The figures that are wanted."""
    found: list[figures.Figure] = []
    for number, (numbers, part) in enumerate(_PARTS):
        if asked.wants(*numbers):
            found += part(asked.below(f"part-{number}"))
    return found
