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
            print(spelled(json.dumps(tree, indent=2, ensure_ascii=False)))
        else:
            people()

    def lines(self, tree: Any, *lines: str) -> None:
        """Print `tree` as JSON, or `lines` for people."""
        self.show(tree, lambda: tell("\n".join(lines)))

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


def tell(text: str, *, flush: bool = False) -> None:
    """Print a text of one line or several, for people. INVARIANT: whatever a peer has written commands nothing to the terminal."""
    print(_lines(text), flush=flush)


def note(text: str) -> None:
    """Say something beside the result, on stderr; as `tell`."""
    print(_lines(text), file=sys.stderr)


def _plain(text: str) -> str:
    return text if text.isprintable() else "".join(sign if sign.isprintable() else " " for sign in text)


def _lines(text: str) -> str:
    return "\n".join(map(_plain, text.split("\n")))


def spelled(text: str) -> str:
    """JSON with everything spelled out that a terminal might obey."""
    return text if _lines(text) == text else "".join(s if s.isprintable() or s == "\n" else json.dumps(s)[1:-1] for s in text)
