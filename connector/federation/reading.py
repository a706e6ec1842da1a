"""What a member's description of a dataset says to a catalogue: the entry of the record, and the document that is searched.

What lives here: bounds on what one description may be, languages, the facets. What does not: reading the catalogue around it
(`dsp.catalog`). Names are taken by their last part, whatever prefix or IRI stands before them, as members in the field write them.
Nothing here trusts what it reads: a text that looks like markup stays a text, and is told in the member's report.
Source: DCAT 3; DCAT-AP 3.0; `describe/members.py` for our own terms.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any, Final

import orjson

from connector.describe.document import FORMS, THEMES
from connector.dsp.catalog import MEDIA_TYPES
from connector.errors import BadMessage
from connector.ports.catalog import Entry, Product
from connector.ports.index import Document

Tree = Mapping[str, Any]
MAX_TREE_BYTES: Final = 256 << 10
"""Of one description, its offers among it."""
MAX_TEXT: Final = 20_000
"""Characters of one text."""
MAX_ID: Final = 2_048
_MOST_VALUES: Final = 64
_MOST_FACET: Final = 300
_WORD_OF_THEME: Final = {iri: word for word, iri in THEMES.items()}
_WORD_OF_FORM: Final = {code: word for word, code in FORMS.items()}
_LANGUAGE: Final = re.compile("[a-zA-Z]{2}(-|$)")
_CURRENCY: Final = re.compile("[A-Z]{3}")
_PRICES: Final = ((0, "free"), (1_000, "up to 10"), (10_000, "up to 100"), (100_000, "up to 1000"))
_NOT_RULES: Final = frozenset({"@id", "@type", "target", "assigner", "uid", "@context"})


def entry_of(
    tree: Tree, *, origin: str, endpoint: str, via: tuple[str, ...] = (), origin_seen_at: datetime | None = None
) -> Entry:
    """The entry that a description makes.

    Raises: BadMessage when it is beyond the bounds of what a catalogue takes.
    """
    id_ = str(tree.get("@id") or "")
    # INVARIANT: no dataset has an empty id, which is that of what its origin says of itself
    if not id_ or len(id_) > MAX_ID:
        raise BadMessage(f"the id has {len(id_)} characters", where="@id", mend=f"give it an id of at most {MAX_ID}")
    body = orjson.dumps(tree)
    if len(body) > MAX_TREE_BYTES:
        raise BadMessage(
            f"the description of `{id_[:100]}` has {len(body)} bytes",
            where="dataset",
            mend=f"describe it in at most {MAX_TREE_BYTES}",
        )
    # a text that is too long is longer than most descriptions are as a whole
    for name in ("title", "description") if len(body) > MAX_TEXT else ():
        for _, text in texts(tree, name):
            if len(text) > MAX_TEXT:
                raise BadMessage(
                    f"a text of `{id_[:100]}` has {len(text)} characters", where=name, mend=f"write at most {MAX_TEXT}"
                )
    rules = _rules(tree)
    offers = orjson.dumps(rules, option=orjson.OPT_SORT_KEYS)
    shown = hashlib.sha256(body)
    shown.update(orjson.dumps([origin, endpoint, via]))
    return Entry(
        origin=origin,
        id=id_,
        endpoint=endpoint,
        tree=body,
        digest=shown.hexdigest(),
        terms=hashlib.sha256(offers).hexdigest()[:32],
        offers=offers,
        readers=readers(rules),
        via=via,
        origin_seen_at=origin_seen_at,
    )


def _rules(tree: Tree) -> list[Any]:
    """The offers without what differs from dataset to dataset, each once: equal ones are judged once."""
    found = {}
    for offer in several(tree.get("hasPolicy")):
        if isinstance(offer, Mapping):
            rules = {name: _untargeted(value, tree.get("@id")) for name, value in offer.items() if name not in _NOT_RULES}
            found[orjson.dumps(rules, option=orjson.OPT_SORT_KEYS)] = rules
    return [found[key] for key in sorted(found)]


def _untargeted(rules: Any, id_: Any) -> Any:
    """Rules without the target that each of them may name again: the dataset itself."""
    return (
        [
            {name: value for name, value in rule.items() if name != "target" or value != id_}
            if isinstance(rule, Mapping)
            else rule
            for rule in rules
        ]
        if isinstance(rules, list)
        else rules
    )


def addressees(offer: Any) -> frozenset[str]:
    """Whom an offer names as its assignee, itself or in each of its permissions; empty when it is for everybody."""
    if not isinstance(offer, Mapping):
        return frozenset()
    members = by_name(offer)
    if "assignee" in members:
        return _parties(members["assignee"])
    rules = [by_name(rule) if isinstance(rule, Mapping) else Members() for rule in several(members.get("permission"))]
    named = [_parties(rule.get("assignee")) for rule in rules]
    return frozenset().union(*named) if named and all(named) else frozenset()


def readers(offers: Collection[Any]) -> frozenset[str] | None:
    """Whom all of these offers name; None when there is one for everybody, or none at all: so many may see what is offered."""
    named = [addressees(offer) for offer in offers]
    return frozenset().union(*named) if named and all(named) else None


def _parties(value: Any) -> frozenset[str]:
    """The parties that are named; where it cannot be told who they are, one that nobody is."""
    found = [one.get("@id", one.get("uid")) if isinstance(one, Mapping) else one for one in several(value)]
    return frozenset(one if isinstance(one, str) else "" for one in found)


def addressed(tree: Tree, viewer: str | None) -> dict[str, Any]:
    """A description without the offers that name somebody other than `viewer`; the proof of a whole one proves no part of it."""
    offers = several(tree.get("hasPolicy"))
    kept = [one for one in offers if not (who := addressees(one)) or viewer in who]
    if len(kept) == len(offers):
        return dict(tree)
    return {**{name: value for name, value in tree.items() if name != "proof"}, "hasPolicy": kept}


def document_of(product: Product, *, space: str, publisher: str = "") -> Document:
    """What is searched of a product; `space` names the data space it is in, `publisher` stands in for one that names none."""
    members = by_name(tree_of(product))
    described = tuple((lang, text[:MAX_TEXT]) for lang, text in texts(members, "description"))
    titles = texts(members, "title") or (("", product.entry.id),)
    keywords = tuple((lang, text[:200]) for lang, text in texts(members, "keyword")[:200])
    price = price_cents(members)
    modified = moment(members.get("modified"))
    shown = publisher_of(members) or publisher or product.entry.origin
    facets: dict[str, tuple[str, ...]] = {
        "theme": tuple(themes(members)),
        "publisher": (shown,),
        "space": (product.entry.via[0] if product.entry.via else space,) if (product.entry.via or space) else (),
        "region": tuple(last_part(value) for value in named(members.get("spatial"))),
        "format": tuple(dict.fromkeys(media_types(members))),
        "license": tuple(named(members.get("license"))),
        "grade": tuple(plain_texts(members.get("grade"))),
        "price": (price_word(price),),
        "currency": (code,) if (code := currency(members)) else (),
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
        modified_s=max(0, min(int(modified.timestamp()), (1 << 32) - 1)) if modified else 0,
        added_s=int(product.added_at.timestamp()),
        price_cents=price,
    )


def tree_of(product: Product) -> dict[str, Any]:
    """The description of a product, its members as the origin wrote them."""
    return kept(product.entry)


def kept(entry: Entry) -> dict[str, Any]:
    """The description of an entry, as the record keeps it."""
    found: dict[str, Any] = orjson.loads(entry.tree)
    return found


# --- parts of a description, for the index and for pages


def several(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


@lru_cache(maxsize=8192)
def last_part(name: str) -> str:
    """The last part of an IRI or of a name with a prefix."""
    return re.split("[/#:]", name.rstrip("/#"))[-1] or name


class Members(dict[str, Any]):
    """Members by the last part of their names. Whatever reads a description reads these as well, and looks the names up once."""


def by_name(tree: Tree) -> Members:
    """The members by the last part of their names; the first of equal ones."""
    if isinstance(tree, Members):
        return tree
    found = Members()
    for name, value in tree.items():
        found.setdefault(last_part(name), value)
    return found


def texts(tree: Tree, name: str) -> tuple[tuple[str, str], ...]:
    """The texts that stand under `name`, each with its language or the empty one."""
    found: list[tuple[str, str]] = []
    for one in several(by_name(tree).get(name)):
        if isinstance(one, str) and one.strip():
            found.append(("", one))
        elif isinstance(one, Mapping):
            value, language = one.get("@value"), one.get("@language")
            if isinstance(value, str) and value.strip():
                found.append((language[:20] if isinstance(language, str) else "", value))
    return tuple(found)


def named(value: Any) -> Iterator[str]:
    """What is named by ids, or by texts that stand for them."""
    for one in several(value):
        found = one.get("@id") if isinstance(one, Mapping) else one
        if isinstance(found, str) and found:
            yield found


def plain_texts(value: Any) -> Iterator[str]:
    """Texts, numbers as text, and the ids of what is named."""
    for one in several(value):
        found = one.get("@value", one.get("@id")) if isinstance(one, Mapping) else one
        if isinstance(found, str | int | float) and not isinstance(found, bool) and str(found):
            yield str(found)


def themes(members: Tree) -> Iterator[str]:
    """The themes, known ones by their word."""
    for iri in named(members.get("theme")):
        yield _WORD_OF_THEME.get(iri, iri)


def publisher_of(members: Tree) -> str:
    """The name of the publisher, in English where there is one; else its id; empty when none is named."""
    for one in several(members.get("publisher")):
        if isinstance(one, str) and one:
            return one
        if isinstance(one, Mapping):
            names = dict(reversed(texts(one, "name")))
            return names.get("en") or next(iter(names.values()), "") or str(one.get("@id") or "")
    return ""


def publisher_id(tree: Tree) -> str:
    """The id of the publisher; empty when none is named by one."""
    for one in several(by_name(tree).get("publisher")):
        if isinstance(one, Mapping):
            return str(one.get("@id") or "")
    return ""


def media_types(tree: Tree) -> Iterator[str]:
    """The media types of the distributions, short."""
    for one in several(by_name(tree).get("distribution")):
        if isinstance(one, Mapping):
            for value in named(by_name(one).get("mediaType")):
                yield value.removeprefix(MEDIA_TYPES)


def formats(tree: Tree) -> tuple[str, ...]:
    """How it can be transferred."""
    distributions = [one for one in several(by_name(tree).get("distribution")) if isinstance(one, Mapping)]
    return tuple(dict.fromkeys(text for one in distributions for text in plain_texts(by_name(one).get("format"))))


def columns(members: Tree) -> Iterator[str]:
    """The names of its columns, the first hundred."""
    for row in column_rows(members):
        yield from plain_texts(row.get("name"))


def column_rows(members: Tree) -> Iterator[Members]:
    """What is said of each of its columns, the first hundred."""
    schema = members.get("tableSchema")
    listed = by_name(schema).get("column") if isinstance(schema, Mapping) else None
    rows = listed.get("@list") if isinstance(listed, Mapping) else listed
    for row in several(rows)[:100]:
        if isinstance(row, Mapping):
            yield by_name(row)


def forms(members: Tree) -> Iterator[str]:
    """In what form it is delivered, known forms by their word."""
    for code in plain_texts(members.get("form")):
        yield _WORD_OF_FORM.get(code, code)


def moment(value: Any) -> datetime | None:
    """A day or a date and time, in UTC; None when it is none."""
    for text in plain_texts(value):
        try:
            found = datetime.fromisoformat(text[:40])
        except ValueError:
            continue
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    return None


def price_cents(members: Tree) -> int | None:
    """The price in hundredths of whatever currency it names; None when nobody says."""
    for one in several(members.get("priceSpecification")):
        if isinstance(one, Mapping):
            for text in plain_texts(by_name(one).get("price")):
                try:
                    amount = Decimal(text[:40])
                except InvalidOperation:
                    continue
                if amount.is_finite() and 0 <= amount < 10**9:
                    return int(amount * 100)
    return None


def currency(members: Tree) -> str:
    """The currency of the price; empty when none is named, or nothing is to be paid."""
    for one in several(members.get("priceSpecification")):
        if isinstance(one, Mapping) and price_cents(members):
            for text in plain_texts(by_name(one).get("priceCurrency")):
                if _CURRENCY.fullmatch(text):
                    return text
    return ""


def price_word(cents: int | None) -> str:
    """The value of the facet `price`."""
    if cents is None:
        return "not told"
    return next((word for most, word in _PRICES if cents <= most), "more")


def best(found: Sequence[tuple[str, str]], language: str) -> tuple[str, str]:
    """The text in the language asked for, else in English, else without a language, else the first; with its language."""
    by_language = {lang[:2].lower(): (lang, text) for lang, text in reversed(found)}
    for code in (language, "en", ""):
        if code in by_language:
            return by_language[code]
    return found[0] if found else ("", "")


def best_text(found: Sequence[tuple[str, str]], language: str) -> str:
    """The same without its language."""
    return best(found, language)[1]
