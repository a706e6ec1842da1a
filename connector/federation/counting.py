"""How many of what was found there are by facet, counted by tantivy.

What lives here: `Counts`. What does not: what is found (`tantivy_index.py`), and which facets there are (`ports/index.py`).

Facets that have about as many values as there are products are counted by a number for each value, which costs no look into a
dictionary for every value that is counted; the names of the few that are told are looked up in the index once. The number of a value
is keyed by a secret of the index: nobody can name themselves so that they are counted as somebody else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b
from typing import Any, Final

from connector.ports.index import MOST_TERMS, MOST_VALUES, Wanted

NUMBERED: Final = ("publisher", "origin")
"""Facets with many values, one for each product; the field of their numbers is `n_` and the name."""
_MOST_KEPT: Final = 50_000
"""Names of numbers."""
_AGES: Final = (("day", 1), ("week", 7), ("month", 31), ("year", 366))
_DAY_S: Final = 86_400

_FREE: Final = "free"
"""What costs nothing is counted with each currency, as it is found with each."""

Rows = tuple[tuple[str, int], ...]


class Counts:
    """Counts facets of an index whose numbers of values have the key `secret`."""

    def __init__(self, schema: Any, secret: bytes) -> None:
        self._schema = schema
        self._secret = secret
        self._names: dict[int, str] = {}

    def number_of(self, value: str) -> int:
        """64 bits that stand for a value."""
        return int.from_bytes(blake2b(value.encode(), digest_size=8, key=self._secret).digest())

    def of(self, searcher: Any, query: Any, wanted: Wanted) -> Mapping[str, Rows]:
        """The largest counts by facet."""
        if not wanted.counted:
            return {}
        bounds = list(age_bounds(wanted.now_s))
        asked = {name: _asked(name, bounds) for name in wanted.counted}
        if "currency" in wanted.counted:
            asked[_FREE] = {"range": {"field": "price", "ranges": [{"key": _FREE, "from": 0, "to": 1}]}}
        found = searcher.aggregate(query, asked)
        counts: dict[str, Rows] = {}
        for name in wanted.counted:
            rows = [(one["key"], int(one["doc_count"])) for one in found[name]["buckets"] if one["doc_count"]]
            if name in NUMBERED:
                names = self._named(searcher, name, [number for number, _ in rows])
                rows = sorted(((names[number], count) for number, count in rows), key=lambda row: (-row[1], row[0]))
            elif name == "currency":
                free = next((int(one["doc_count"]) for one in found[_FREE]["buckets"] if one["key"] == _FREE), 0)
                rows = [(value, count + free) for value, count in rows]
            elif name == "freshness":
                order = {key: place for place, (key, _, _) in enumerate(bounds)}
                rows = sorted((row for row in rows if row[0] in order), key=lambda row: order[row[0]])
            counts[name] = tuple((str(value), count) for value, count in rows)
        return counts

    def _named(self, searcher: Any, name: str, numbers: Sequence[int]) -> Mapping[int, str]:
        """The values that numbers stand for: as known from before, or as the index has them."""
        from tantivy import Occur, Query

        known = self._names
        found = {number: value for number in numbers if (value := known.get(number)) is not None}
        missing = [number for number in numbers if number not in found]
        if missing:
            one_of = Query.boolean_query([(Occur.Should, Query.term_query(self._schema, f"n_{name}", one)) for one in missing])
            # INVARIANT: a product has one value of each of these facets, so there are no more than were missing
            values = searcher.aggregate(one_of, {name: {"terms": {"field": f"f_{name}", "size": MOST_VALUES}}})[name]["buckets"]
            fresh = {self.number_of(str(one["key"])): str(one["key"]) for one in values}
            found |= {number: fresh[number] for number in missing}
            if len(known) + len(missing) > _MOST_KEPT:
                known = self._names = {}
            known.update((number, fresh[number]) for number in missing)
        return found


def _asked(name: str, bounds: Sequence[tuple[str, int, int | None]]) -> dict[str, Any]:
    """How one facet is counted."""
    if name == "freshness":
        ranges = [{"key": key, "from": low, **({"to": high} if high is not None else {})} for key, low, high in bounds]
        return {"range": {"field": "modified", "ranges": ranges}}
    if name == "terms":
        return {"terms": {"field": "terms", "size": MOST_TERMS}}
    return {"terms": {"field": f"{'n' if name in NUMBERED else 'f'}_{name}", "size": MOST_VALUES}}


def age_bounds(now_s: int) -> Iterator[tuple[str, int, int | None]]:
    """The values of the facet `freshness`, each with its first second and the second behind its last one."""
    high: int | None = None
    for name, days in _AGES:
        low = max(1, now_s - days * _DAY_S)
        yield name, low, high
        high = low
    yield "older", 1, high
    yield "unknown", 0, 1
