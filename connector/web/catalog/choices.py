"""What can be chosen on a page of search, and the links that choose it.

What lives here: facets with their links, the addresses of pages, and which comparison of prices makes sense. What does not: what pages show
(`pages.py`), names of facets and values (`words.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import quote, urlencode

from connector.federation import asking
from connector.ports.index import Sort
from connector.web.catalog import words

Values = dict[str, Any]
_OPEN: Final = ("theme", "purpose", "publisher", "format")
_MOST_VALUES: Final = 12


def comparable(found: asking.Fields) -> tuple[asking.Fields, bool]:
    """The fields without a comparison of prices of different currencies, and whether there was none: a page says what to choose."""
    if len(set(found.get("currency", ()))) == 1:
        return found, True
    compares = {"price_at_most"} if asking.first(found, "price_at_most") not in ("", "0") else set()
    compares |= {"sort"} if asking.first(found, "sort") == Sort.CHEAPEST else set()
    return {name: values for name, values in found.items() if name not in compares}, not compares


def href(fields: dict[str, list[str]]) -> str:
    """The search page with these choices."""
    text = urlencode(fields, doseq=True)
    return f"/catalog/?{text}" if text else "/catalog/"


def participant(id_: str) -> str:
    """The page of a participant."""
    return f"/catalog/participants/{quote(id_, safe='')}"


def without(fields: dict[str, list[str]], name: str, value: str) -> dict[str, list[str]]:
    """The choices but for one."""
    left = [one for one in fields.get(name, ()) if one != value]
    return {key: values for key, values in fields.items() if key != name} | ({name: left} if left else {})


def facet(name: str, counts: Sequence[tuple[str, int]], fields: dict[str, list[str]]) -> Values:
    """A facet with the values that there are, each with the link that chooses it or takes it back."""
    chosen = fields.get(name, [])
    values: list[Values] = []
    for value, count in counts[:_MOST_VALUES]:
        is_chosen = value in chosen
        if is_chosen:
            link = href(without(fields, name, value))
        else:
            link = href({**fields, name: [value] if name in ("action", "purpose") else [*chosen, value]})
        shown = words.facet_value(name, value)
        values.append({"name": shown, "count": f"{count:,}", "href": link, "is_chosen": is_chosen})
    return {"name": words.FACET_NAMES[name], "options": values, "is_open": name in _OPEN or bool(chosen)}
