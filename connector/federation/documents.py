"""What is searched of a product: its document for the index, with languages and facets.

What lives here: `document_of`. What does not: reading descriptions (`reading.py`), stems (`words.py`), and the index itself.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Final

from connector.federation import prices
from connector.federation.reading import (
    MAX_TEXT,
    Tree,
    by_name,
    columns,
    forms,
    last_part,
    media_types,
    moment,
    named,
    plain_texts,
    publisher_of,
    readers_of,
    texts,
    themes,
    tree_of,
)
from connector.ports.catalog import Product
from connector.ports.index import Document

_MOST_VALUES: Final = 64
_MOST_FACET: Final = 300
_LANGUAGE: Final = re.compile("[a-zA-Z]{2}(-|$)")
_AHEAD: Final = timedelta(days=1)
"""A day that has begun somewhere has begun; other clocks may go a little wrong."""


def document_of(product: Product, *, space: str, publisher: str = "") -> Document:
    """What is searched of a product; `space` names the data space it is in, `publisher` stands in for one that names none."""
    members = by_name(tree_of(product))
    described = tuple((lang, text[:MAX_TEXT]) for lang, text in texts(members, "description"))
    titles = texts(members, "title") or (("", product.entry.id),)
    keywords = tuple((lang, text[:200]) for lang, text in texts(members, "keyword")[:200])
    price = prices.price_of(members)
    shown = publisher_of(members) or publisher or product.entry.origin
    facets: dict[str, tuple[str, ...]] = {
        "theme": tuple(themes(members)),
        "publisher": (shown,),
        "space": (product.entry.via[0] if product.entry.via else space,) if (product.entry.via or space) else (),
        "region": tuple(last_part(value) for value in named(members.get("spatial"))),
        "format": tuple(dict.fromkeys(media_types(members))),
        "license": tuple(named(members.get("license"))),
        "grade": tuple(plain_texts(members.get("grade"))),
        "price": (price.word if price is not None else prices.UNTOLD,),
        "currency": (price.currency,) if price is not None and price.currency else (),
        "origin": (product.entry.origin,),
        "language": tuple(dict.fromkeys(lang[:2].lower() for lang, _ in (*titles, *described) if _LANGUAGE.match(lang))),
        "form": tuple(forms(members)),
    }
    more = [("", column) for column in columns(members)] + [("", shown), ("", last_part(product.entry.id))]
    return Document(
        number=product.number,
        titles=titles[:20],
        texts=(*described[:20], *more),
        keywords=keywords,
        facets={name: tuple(v[:_MOST_FACET] for v in values[:_MOST_VALUES]) for name, values in facets.items()},
        terms=product.entry.terms,
        is_open=readers_of(members) is None,
        modified_s=_changed_s(members, product),
        added_s=int(product.added_at.timestamp()),
        price_cents=price.cents if price is not None else None,
    )


def _changed_s(members: Tree, product: Product) -> int:
    """When the data last changed, in seconds since 1970, as far as it is believed for an order; 0 when nobody says.

    Nothing is changed in the future: whoever says so would be the latest for ever.
    """
    said = moment(members.get("modified"))
    if said is None or said > product.changed_at + _AHEAD:
        return 0
    return max(0, int(said.timestamp()))
