"""A query of the ledger out of named fields: the same words for programs, for the forms of the pages and for saved searches.

q=wind&theme=energy&theme=transport&purpose=research&price_at_most=10.50&currency=EUR&modified=2026-01-01&size=50&facets=theme

Prices are compared within one currency: a bound, and the order by price, need the choice of one; it finds what is free as well.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from connector.errors import BadMessage
from connector.federation.prices import CURRENCY, amount_in
from connector.federation.query import MOST_PER_PAGE, Query
from connector.federation.reading import moment_in
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
    asked = Query(
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
    return _vetted(asked)


def _sort(text: str) -> Sort:
    try:
        return Sort(text or Sort.RELEVANCE)
    except ValueError:
        raise BadMessage(f"unknown order `{text[:40]}`", where="sort", mend=f"known: {', '.join(Sort)}") from None


def _day(text: str) -> datetime | None:
    if not text:
        return None
    found = moment_in(text)
    if found is None:
        raise BadMessage(f"`{text[:40]}` is no day", where="modified", mend="write `2026-01-31`")
    return found


def _cents(text: str) -> int | None:
    if not text:
        return None
    amount = amount_in(text)
    if amount is None or amount < 0:
        raise BadMessage(f"`{text[:20]}` is no price", where="price_at_most", mend="write `10.50`")
    return int(amount * 100)


def _vetted(asked: Query) -> Query:
    """The query, when it compares no prices of different currencies.

    Raises: BadMessage.
    """
    currencies = asked.chosen.get("currency", ())
    for code in currencies:
        if not CURRENCY.fullmatch(code):
            raise BadMessage(f"`{code[:20]}` is no currency", where="currency", mend="write three letters such as `EUR`")
    name = "sort" if asked.sort is Sort.CHEAPEST else "price_at_most" if asked.price_at_most_cents else ""
    if name and len(set(currencies)) != 1:
        said = "of several currencies" if currencies else "without a currency"
        mend = "choose one, such as `currency=EUR`; `facets=currency` tells which there are"
        raise BadMessage(f"prices {said} cannot be compared", where=name, mend=mend)
    return asked
