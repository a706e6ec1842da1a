"""A product in a list, as programs read it: its card.

What lives here: the card, and cards written once for all answers they stand in. What does not: the product by itself (`api.py`), and
who sees which products (`federation/ledger.py`): a card is asked for once that is settled.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, Final

import orjson

from connector.federation import judging, prices, reading
from connector.ports.catalog import Product

Tree = dict[str, Any]
_MOST_SAID: Final = 400
_MOST_KEPT: Final = 4_096
"""Cards of about a kilobyte each."""


class Cards:
    """Cards of the ledger at `address`."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._kept: OrderedDict[tuple[object, ...], bytes] = OrderedDict()

    def card(self, product: Product, language: str, title: str = "") -> orjson.Fragment:
        """The card as it goes into an answer: what is said of the product as written before, and when it was last seen as it is now."""
        entry = product.entry
        key = (
            product.number,
            entry.digest,
            entry.is_placed,
            entry.is_placed,
            entry.signed,
            product.member,
            product.changed_at,
            language,
            title,
        )
        body = self._kept.get(key)
        if body is None:
            tree = short(product, self._address, language, title)
            del tree["seenAt"]
            body = self._kept[key] = orjson.dumps(tree)[:-1]
            if len(self._kept) > _MOST_KEPT:
                self._kept.popitem(last=False)
        else:
            self._kept.move_to_end(key)
        return orjson.Fragment(b'%s,"seenAt":"%s"}' % (body, _seen_at(product).encode()))


def short(product: Product, address: str, language: str, title: str = "") -> Tree:
    """A product in a list, its provenance and age among it; `title` is the name of who offers it, as the list of members has it."""
    members = reading.by_name(reading.tree_of(product))
    entry = product.entry
    modified = reading.moment(members.get("modified"))
    price = prices.price_of(members)
    return {
        "number": product.number,
        "address": f"{address}/products/{product.number}",
        "id": entry.id,
        "origin": entry.origin,
        "title": reading.best_text(reading.texts(members, "title"), language) or entry.id,
        "description": reading.best_text(reading.texts(members, "description"), language)[:_MOST_SAID],
        "keywords": [text for _, text in reading.texts(members, "keyword")[:20]],
        "themes": list(reading.themes(members)),
        "offeredBy": title or entry.origin,
        "publisher": reading.publisher_of(members) or title or None,
        "formats": reading.formats(members),
        "mediaTypes": list(dict.fromkeys(reading.media_types(members))),
        "price": float(price.amount) if price is not None else None,
        "currency": (price.currency if price is not None else "") or None,
        "modified": modified.isoformat() if modified else None,
        "endpoint": entry.endpoint,
        "endpointProof": endpoint_proof(product),
        "via": entry.via,
        "signature": signature(entry.signed),
        "member": product.member,
        "addedAt": product.added_at.isoformat(),
        "changedAt": product.changed_at.isoformat(),
        "seenAt": _seen_at(product),
    }


def endpoint_proof(product: Product) -> str:
    """How it is known that the origin answers at the endpoint: `origin`, it was read there; `proven`, it has signed so; or `unproven`:
    a catalogue on the way says so."""
    if not product.entry.via:
        return "origin"
    return "proven" if product.entry.is_placed else "unproven"


def signature(signed: str) -> Tree:
    """How the signature on a description stands: `verified` with its signer, `none`, or `unjudged` for the moment."""
    if not signed:
        return {"state": "none"}
    return {"state": "unjudged"} if judging.is_unjudged(signed) else {"state": "verified", "by": signed}


def _seen_at(product: Product) -> str:
    return (product.entry.origin_seen_at or product.seen_at).isoformat()
