"""A query of the ledger out of named fields: the same words for programs, for the forms of the pages and for saved searches.

q=wind&theme=energy&theme=transport&purpose=research&price_at_most=10.50&modified=2026-01-01&sort=modified&size=50&facets=theme
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Final

from connector.errors import BadMessage
from connector.federation.query import MOST_PER_PAGE, Query
from connector.ports.index import FACETS, Sort

_WORDS: Final = frozenset(
    {"q", "action", "purpose", "price_at_most", "modified", "sort", "size", "cursor", "facets", "language"}
)
Fields = dict[str, list[str]]


def first(found: Fields, name: str, default: str = "") -> str:
    """The first value of a field."""
    return found.get(name, [default])[0]


def count(found: Fields, name: str, default: int, most: int) -> int:
    """A number that is not negative.

    Raises: BadMessage.
    """
    text = first(found, name)
    if not text:
        return default
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise BadMessage(f"`{text[:40]}` is no count", where=name, mend="send digits")
    return min(int(text), most)


def query(found: Fields, *, facets: tuple[str, ...] = ()) -> Query:
    """The query that the fields mean; `facets` are counted when they name none.

    Raises: BadMessage for a field that means nothing here, with those that would.
    """
    for name in found:
        if name not in _WORDS and name not in FACETS:
            known = ", ".join(sorted({*_WORDS, *FACETS}))
            raise BadMessage(f"unknown field `{name[:40]}`", where="query", mend=f"known: {known}")
    named = [one for text in found.get("facets", []) for one in text.split(",") if one]
    return Query(
        text=first(found, "q"),
        chosen={name: tuple(found[name]) for name in FACETS if name in found},
        action=first(found, "action") or None,
        purpose=first(found, "purpose") or None,
        modified_after=_day(first(found, "modified")),
        price_at_most_cents=_cents(first(found, "price_at_most")),
        sort=_sort(first(found, "sort")),
        size=max(1, count(found, "size", 20, MOST_PER_PAGE)),
        cursor=first(found, "cursor") or None,
        facets=tuple(dict.fromkeys(named)) if named else facets,
    )


def _sort(text: str) -> Sort:
    try:
        return Sort(text or Sort.RELEVANCE)
    except ValueError:
        raise BadMessage(f"unknown order `{text[:40]}`", where="sort", mend=f"known: {', '.join(Sort)}") from None


def _day(text: str) -> datetime | None:
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text[:40])
    except ValueError:
        raise BadMessage(f"`{text[:40]}` is no day", where="modified", mend="write `2026-01-31`") from None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def _cents(text: str) -> int | None:
    if not text:
        return None
    try:
        amount = Decimal(text[:20])
    except InvalidOperation:
        amount = Decimal(-1)
    if not amount.is_finite() or not 0 <= amount < 10**9:
        raise BadMessage(f"`{text[:20]}` is no price", where="price_at_most", mend="write `10.50`")
    return int(amount * 100)
