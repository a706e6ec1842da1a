"""What the command line asks of a benchmark."""

from __future__ import annotations

import sys
from dataclasses import dataclass
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
    seed: int | None = None
    """None: a new one."""
    products: int | None = None
    participants: int | None = None
    """Of the catalogue's benchmark; None: as many as its figures say."""

    def of(self, number: int) -> int:
        """So much work, or a tenth of it in a small run."""
        return max(1, number // 10) if self.is_small else number

    def tell(self, text: str) -> None:
        """Progress, for whoever waits."""
        print(text, file=sys.stderr, flush=True)
