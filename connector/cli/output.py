"""What a command prints: results on stdout, for people or as JSON; everything else on stderr, one line each.

`rich` is imported when a table or a bar is drawn, not before.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """Where a command puts its result."""

    as_json: bool = False

    def show(self, tree: Any, people: Callable[[], None]) -> None:
        """Print `tree` as JSON where that was asked for, else let `people` print it for people."""
        if self.as_json:
            print(json.dumps(tree, indent=2, ensure_ascii=False))
        else:
            people()

    def lines(self, tree: Any, *lines: str) -> None:
        """Print `tree` as JSON, or `lines` for people."""
        self.show(tree, lambda: print("\n".join(lines)))

    def rows(self, tree: Any, head: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str) -> None:
        """Print `tree` as JSON, or `rows` as a table under `head`; `empty` is said when there is none."""
        self.show(tree, lambda: table(head, rows, empty=empty))


def console(*, stderr: bool = False) -> Console:
    """A console of rich: as wide as the terminal, without wrapping where there is none."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    wide = None if stream.isatty() else 10_000
    return Console(file=stream, width=wide, highlight=False, markup=False, emoji=False)


def table(head: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str) -> None:
    """Print `rows` in columns under `head`; ids are folded on a narrow terminal, never cut."""
    from rich.table import Table

    shown = Table(*head, box=None, pad_edge=False, header_style="bold")
    for column in shown.columns:
        column.overflow = "fold"
    for row in rows:
        shown.add_row(*("" if cell is None else _plain(str(cell)) for cell in row))
    if shown.row_count:
        console().print(shown)
    else:
        note(empty)


def _plain(text: str) -> str:
    """A text that commands nothing to the terminal: what peers write stands in tables, too."""
    return text if text.isprintable() else "".join(sign if sign.isprintable() else " " for sign in text)


def note(text: str) -> None:
    """Say something beside the result, on stderr."""
    print(text, file=sys.stderr)
