"""Parts of a list: what every seam that lists gives back.

What lives here: `Page`. What does not: how a cursor is made and read, which is each adapter's own matter.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[T]):
    """A part of a list, in the order that the call promises."""

    items: tuple[T, ...]
    total: int
    """How many there are on all pages together."""
    next_cursor: str | None = None
    """Opaque; None on the last page."""
