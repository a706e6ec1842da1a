"""A query of the ledger: its fields, what it asks of the index, and the cursors that lead from page to page.

What lives here: values and pure functions. What does not: the fields as programs and forms send them (`asking.py`), and who sees what
of an answer (`ledger.py`).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import orjson

from connector import strict
from connector.errors import BadMessage
from connector.ports.index import FACETS, MAX_DEPTH, Hit, Sort, Wanted, Way

MOST_PER_PAGE: Final = 100
POLICY_FACETS: Final = ("action", "purpose")
"""What the policies allow this viewer: counted by asking the engine."""
_MOST: Final = (1 << 63) - 1
"""What databases take for a number; an index has larger ones in no order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What is looked for."""

    text: str = ""
    chosen: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    action: str | None = None
    purpose: str | None = None
    modified_after: datetime | None = None
    price_at_most_cents: int | None = None
    sort: Sort = Sort.RELEVANCE
    size: int = 20
    cursor: str | None = None
    facets: tuple[str, ...] = ()
    numbers: frozenset[int] | None = None
    """Only products of these numbers."""
    way: Way | None = None
    """None: the first that finds enough."""

    def key(self) -> str:
        """What a cursor belongs to."""
        parts = [self.text, sorted(self.chosen.items()), self.action, self.purpose, str(self.modified_after)]
        return hashlib.sha256(orjson.dumps([*parts, self.price_at_most_cents, self.sort])).hexdigest()[:16]


def wanted_of(query: Query, now: datetime, named: frozenset[str] | None) -> Wanted:
    """What is asked of the index, of products that a viewer sees; `named` as in `Wanted`.

    Raises: BadMessage for an unknown facet, a cursor of another query, or a ranking that is gone through too deeply.
    """
    for name in (*query.facets, *query.chosen):
        if name not in FACETS and (name not in POLICY_FACETS or name in query.chosen):
            known = ", ".join((*FACETS, *POLICY_FACETS))
            raise BadMessage(f"unknown facet `{name[:60]}`", where="facets", mend=f"known: {known}")
    after, skip, way = _opened(query)
    if skip >= MAX_DEPTH and query.sort is Sort.RELEVANCE and query.text:
        raise BadMessage(
            f"a ranking goes no deeper than {MAX_DEPTH:,} products",
            where="cursor",
            mend="narrow it down by facets, or go through everything with `sort=added` or `sort=modified`",
        )
    counted = tuple(name for name in query.facets if name in FACETS)
    if set(query.facets) & set(POLICY_FACETS):
        counted = (*counted, "terms")
    return Wanted(
        text=query.text[:1_000],
        chosen={name: values for name, values in query.chosen.items() if values},
        named=named,
        modified_after_s=int(query.modified_after.timestamp()) if query.modified_after else None,
        price_at_most_cents=query.price_at_most_cents,
        sort=query.sort,
        size=max(1, min(query.size, MOST_PER_PAGE)),
        now_s=int(now.timestamp()),
        numbers=query.numbers,
        after=after,
        skip=skip,
        way=way if query.way is None else query.way,
        counted=counted,
    )


def cursor_of(query: Query, hit: Hit, skip: int, way: Way) -> str:
    """Where the page behind `hit` begins, `skip` hits into what is found in this way.

    A score stands in no cursor: it is made of how many products have a word, those among them that its reader does not see.
    """
    value = int(hit.value) if type(hit.value) is int else 0
    text = orjson.dumps([query.key(), value, hit.number, skip, way])
    return base64.urlsafe_b64encode(text).decode().rstrip("=")


def _opened(query: Query) -> tuple[tuple[int, int] | None, int, Way | None]:
    if query.cursor is None:
        return None, 0, None
    cursor = query.cursor
    try:
        tree = strict.scan(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
        key, value, number, skip, said = tree
        is_ours = key == query.key() and all(type(one) is int and 0 <= one <= _MOST for one in (value, number, skip, said))
        found, way = int(value), Way(said)
    except (binascii.Error, BadMessage, ValueError, TypeError):
        is_ours, found, number, skip, way = False, 0, 0, 0, Way.WORDS
    if not is_ours:
        raise BadMessage("this cursor is none of this search", where="cursor", mend="begin again without it")
    return (found, number), skip, way
