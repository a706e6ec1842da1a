"""What the command line asks of a benchmark."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """How a benchmark is to run."""

    folder: Path
    """Empty, for everything it writes."""
    rounds: int = 5
    is_small: bool = False
    is_profiled: bool = False
    kills: int = 100
    minutes: float = 10.0
    store: str = "sqlite"
    """`sqlite` or `postgres`: where nodes keep their state."""
    workers: int = 0
    """Data workers of the node that is asked."""
    seed: int | None = None
    """None: a new one."""
    products: int | None = None
    participants: int | None = None
    """Of the catalogue's benchmark; None: as many as its figures say."""
    is_search_only: bool = False
    """Of the catalogue's benchmark the queries alone, over an index filled without a crawl."""

    figures: frozenset[int] = frozenset()
    """Those that are wanted; empty: all."""

    def wants(self, *numbers: int) -> bool:
        """Whether one of these figures is wanted."""
        return not self.figures or not self.figures.isdisjoint(numbers)

    def below(self, name: str) -> Asked:
        """The same in a folder of its own."""
        folder = self.folder / name
        folder.mkdir()
        return replace(self, folder=folder)

    def of(self, number: int) -> int:
        """So much work, or a tenth of it in a small run."""
        return max(1, number // 10) if self.is_small else number

    def tell(self, text: str) -> None:
        """Progress, for whoever waits."""
        print(text, file=sys.stderr, flush=True)
