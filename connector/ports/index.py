"""The search index of the federated catalogue: the seam behind which tantivy and SQLite's full text stand.

What lives here: what is indexed, asked and found, and `Index`. What does not: the record it is made of (`ports/catalog.py`), and
who may see what (`federation/`): an index answers what it is asked. It is local to a process and made anew when it is lost.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Final, Protocol

LANGUAGES: Final = ("en", "de", "fr", "zh")
FACETS: Final = (
    "theme", "publisher", "space", "region", "format", "license", "grade", "price", "currency", "freshness", "origin", "language",
    "form",
)  # fmt: skip
"""What can be counted and chosen, each by words that the index keeps as they are."""
MOST_VALUES: Final = 50
"""So many values of a facet are counted, the most frequent ones."""
MAX_DEPTH: Final = 10_000
"""How far into a ranking one can page."""
MOST_TERMS: Final = 20_000
"""So many different terms are counted at most."""


class Sort(StrEnum):
    """The order of what is found."""

    RELEVANCE = "relevance"
    MODIFIED = "modified"
    """When the data last changed, the latest first."""
    ADDED = "added"
    """When the product came into this catalogue, the latest first."""
    CHEAPEST = "cheapest"


class Way(IntEnum):
    """How words are looked for; what is found in one way is found in the next ones."""

    WORDS = 0
    """Every word, in any of its forms."""
    PARTS = 1
    """Every word, perhaps as a part of a longer one, or in parts."""
    SOME = 2
    """Some of the words."""


ENOUGH: Final = 10
"""So many products that have every word are an answer; with fewer of them the next way is gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One product as it is searched."""

    number: int
    titles: tuple[tuple[str, str], ...]
    """Texts with their language, which may be empty."""
    texts: tuple[tuple[str, str], ...]
    keywords: tuple[tuple[str, str], ...]
    facets: Mapping[str, tuple[str, ...]]
    terms: str
    is_open: bool = True
    """False when all its offers name somebody."""
    modified_s: int = 0
    """Seconds since 1970; 0 when nobody says."""
    added_s: int = 0
    price_cents: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is asked of the index."""

    text: str = ""
    chosen: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Of a facet, any of the values; of several facets, all."""
    named: frozenset[str] | None = None
    """Only products that are open, or under one of these terms: those that name the viewer. None where nothing names anybody."""
    terms: frozenset[str] | None = None
    """Only products under one of these terms."""
    without: frozenset[str] = frozenset()
    """No products under one of these terms. Of two sets that mean the same, the smaller one is quicker."""
    numbers: frozenset[int] | None = None
    """Only these products."""
    modified_after_s: int | None = None
    price_at_most_cents: int | None = None
    sort: Sort = Sort.RELEVANCE
    size: int = 20
    now_s: int = 0
    """For the ages of data, seconds since 1970."""
    after: tuple[float, int] | None = None
    """Sort value and number of the last hit of the page before."""
    skip: int = 0
    """How many hits the pages before had; a hint where a ranking is paged."""
    way: Way | None = None
    """None: the first that finds enough, whatever else narrows the search, so that pages and counts of one text agree."""
    counted: tuple[str, ...] = ()
    """Facets to count; `terms` counts products by their terms."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """One product that was found, with the value it is sorted by."""

    number: int
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A page of what was found."""

    total: int
    hits: tuple[Hit, ...]
    counts: Mapping[str, tuple[tuple[str, int], ...]]
    """By facet: values with the number of products, the largest first."""
    has_more: bool
    way: Way = Way.WORDS


def start_of(ranking: Sequence[int], wanted: Wanted) -> int:
    """Where in a ranking of product numbers the page begins that follows the hit `wanted.after`: behind it, or where it would be
    when it is there no more."""
    if wanted.after is None:
        return 0
    try:
        return ranking.index(wanted.after[1]) + 1
    except ValueError:
        return max(0, wanted.skip - 1)


class Index(Protocol):
    """A search index. Calls come from several threads; one `apply` at a time."""

    def open(self) -> int:
        """Open it; the sequence number up to which it is made, 0 when it is new or was lost."""
        ...

    def close(self) -> None: ...

    def clear(self) -> None:
        """Throw everything away; `open` would begin at 0."""
        ...

    def apply(self, documents: Sequence[Document], gone: Sequence[int], sequence: int) -> None:
        """Take over changes up to `sequence`; when this returns, they are found, here and after a restart."""
        ...

    def search(self, wanted: Wanted) -> Found: ...

    def suggest(self, beginning: str, limit: int, named: frozenset[str] | None = None) -> tuple[str, ...]:
        """Words and names that begin so, the most frequent first; `named` as in `Wanted`."""
        ...

    def size_bytes(self) -> int:
        """How large it is on disk."""
        ...
