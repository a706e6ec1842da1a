"""What a member's description of a dataset says to a catalogue: the entry of the record, and the parts that are searched and shown.

What lives here: bounds on what one description may be, languages. What does not: reading the catalogue around it (`dsp.catalog`), what is
searched (`documents.py`), prices (`prices.py`). Names are taken by their last part, whatever prefix or IRI stands before them, as members
in the field write them. Nothing here trusts what it reads: a text that looks like markup stays a text, and is told in the member's report.
Source: DCAT 3; DCAT-AP 3.0; `describe/members.py` for our own terms.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final

import orjson

from connector.describe.document import FORMS, THEMES
from connector.dsp.catalog import MEDIA_TYPES
from connector.errors import BadMessage
from connector.ports.catalog import Entry, Product

Tree = Mapping[str, Any]
MAX_TREE_BYTES: Final = 256 << 10
"""Of one description, its offers among it."""
MAX_ADDRESS: Final = 2_048
MAX_TEXT: Final = 20_000
"""Characters of one text."""
MAX_ID: Final = 1_024
"""Bytes of an id, that of a participant too: an index of PostgreSQL takes 2,700 of both together."""
_WORD_OF_THEME: Final = {iri: word for word, iri in THEMES.items()}
_WORD_OF_FORM: Final = {code: word for word, code in FORMS.items()}
_NOT_RULES: Final = frozenset({"@id", "@type", "target", "assigner", "uid", "@context"})


def entry_of(
    tree: Tree, *, origin: str, endpoint: str, via: tuple[str, ...] = (), origin_seen_at: datetime | None = None
) -> Entry:
    """The entry that a description makes.

    Raises: BadMessage when it is beyond the bounds of what a catalogue takes.
    """
    id_ = str(tree.get("@id") or "")
    # INVARIANT: no dataset has an empty id, which is that of what its origin says of itself
    if not id_ or len(id_.encode()) > MAX_ID or len(origin.encode()) > MAX_ID:
        mend = f"give it an id of at most {MAX_ID} bytes"
        raise BadMessage(f"the id has {len(id_)} characters, that of its provider {len(origin)}", where="@id", mend=mend)
    if not id_.isprintable() or not origin.isprintable():
        # people paste them: a sign that cannot be seen could be a command to their terminal, or turn round what stands beside it
        raise BadMessage("an id holds signs that cannot be seen", where="@id", mend="write it without control characters")
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


def readers_of(tree: Tree) -> frozenset[str] | None:
    """The same of the offers in a description, without what is no offer."""
    return readers([one for one in several(tree.get("hasPolicy")) if isinstance(one, Mapping)])


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


def endpoints(tree: Tree) -> Iterator[str]:
    """Where the description itself says that its distributions are negotiated."""
    for one in several(by_name(tree).get("distribution")):
        for service in several(by_name(one).get("accessService") if isinstance(one, Mapping) else None):
            if isinstance(service, Mapping):
                yield from named(by_name(service).get("endpointURL"))


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
    return next((found for text in plain_texts(value) if (found := moment_in(text)) is not None), None)


def moment_in(text: str) -> datetime | None:
    """The day, or the date and time, that a text is, in UTC; None when it is none."""
    try:
        found = datetime.fromisoformat(text[:40])
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        # the first and the last hours that there are lie beyond the calendar in another zone
        return None


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
