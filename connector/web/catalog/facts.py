"""What a product says of itself, as rows that people read: for its page.

What lives here: one row for each thing that a description can say, in plain words. What does not: title, texts, keywords and terms, which
stand by themselves (`pages.py`), and sentences about policies (`words.py`). Every value is a text, and stays one.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from connector.describe.document import FREQUENCIES, SOURCES
from connector.federation import prices, reading
from connector.federation.reading import Members, by_name, last_part, several
from connector.ports.catalog import Product
from connector.web.catalog import about

Values = dict[str, Any]
_MOST: Final = 12
_MOST_SAID: Final = 2_000
_FREQUENCY: Final = {iri: word for word, iri in FREQUENCIES.items()}
_SOURCE: Final = {code: word for word, code in SOURCES.items()}
_RIGHTS: Final = (
    ("holdingRight", "Holds the data"),
    ("processingRight", "May process it"),
    ("operatingRight", "May operate it"),
)
_UNITS: Final = ("bytes", "kB", "MB", "GB", "TB")


def rows(product: Product, members: Members) -> list[Values]:
    """The rows of the page of a product, those that there are."""
    modified = reading.moment(members.get("modified"))
    facts = {
        "Dataset": product.entry.id,
        "Also known as": ", ".join(
            one for one in _every(members.get("identifier"), members.get("alsoKnownAs")) if one != product.entry.id
        ),
        "Version": _listed(members.get("version")),
        "Form": ", ".join(reading.forms(members)),
        "Data changed": modified.date().isoformat() if modified else "",
        "Changes": ", ".join(_FREQUENCY.get(one, last_part(one)) for one in _names(members.get("accrualPeriodicity"))),
        "About the time": _period(members.get("temporal")),
        "Region": ", ".join(last_part(one) for one in _names(members.get("spatial"))),
        "Format": ", ".join(dict.fromkeys(reading.media_types(members))),
        "Size": ", ".join(_sizes(members)),
        "Rows": ", ".join(_grouped(one) for one in _first(members.get("rowCount"))),
        "Ways of transfer": ", ".join(reading.formats(members)),
        "Price": price(members),
        "Licence": ", ".join(_names(members.get("license"))),
        "Quality": "; ".join(_measured(members)),
        "Grade": _listed(members.get("grade")),
        "Security level": _listed(members.get("securityLevel")),
        **{name: _parties(members.get(right)) for right, name in _RIGHTS},
        "Source": ", ".join(_SOURCE.get(one, one) for one in _first(members.get("source"))),
        "How it was collected": _said(members.get("provenance"), "label"),
        "Derived from": ", ".join(_names(members.get("wasDerivedFrom"))),
        "Conforms to": ", ".join(_names(members.get("conformsTo"))),
        "Contact": ", ".join(_contacts(members.get("contactPoint"))),
        "More about it": ", ".join(_names(members.get("landingPage"))),
        "In this ledger since": product.added_at.date().isoformat(),
        "Signature": about.signature(product.entry.signed),
    }
    return [{"name": name, "value": value[:_MOST_SAID]} for name, value in facts.items() if value]


def price(members: Mapping[str, Any]) -> str:
    """What it costs, in words; empty when nobody says."""
    it = prices.price_of(members)
    words = ""
    if it is not None:
        parts = (it.text, it.currency, f"per {it.unit}" if it.unit else "") if it.amount else ("free of charge",)
        words = " ".join(part for part in parts if part)
    for one in several(members.get("priceSpecification")):
        if isinstance(one, Mapping):
            terms = reading.best_text(reading.texts(one, "description"), "")
            return "; ".join(part for part in (words, terms) if part)
    return words


def columns(members: Mapping[str, Any]) -> Iterator[Values]:
    """The columns, each with its type, its unit and what it means where that is said."""
    for one in reading.column_rows(members):
        title = reading.best_text(reading.texts(one, "title"), "") or reading.best_text(reading.texts(one, "description"), "")
        kinds = [last_part(kind) for kind in _names(one.get("datatype"))]
        more = ", ".join([*kinds, *_first(one.get("unit"))])
        yield {"name": ", ".join(_first(one.get("name"))), "more": more[:100], "about": title[:300]}


def command(product: Product, purposes: Sequence[str], *, needs_purpose: bool) -> str:
    """The command that gets it, safe to be pasted into a shell whatever a member has written."""
    entry = product.entry
    words = ["kontor", "get", entry.endpoint, entry.id, "--peer", entry.origin]
    if needs_purpose and purposes:
        words += ["--purpose", purposes[0]]
    return " ".join(shlex.quote(word) for word in words)


def _names(value: Any) -> list[str]:
    return list(reading.named(value))[:_MOST]


def _first(value: Any) -> list[str]:
    return list(reading.plain_texts(value))[:_MOST]


def _every(*values: Any) -> list[str]:
    return list(dict.fromkeys(text for value in values for text in _first(value)))


def _listed(value: Any) -> str:
    return ", ".join(_every(value))


def _grouped(number: str) -> str:
    return f"{int(number):,}" if number.isascii() and number.isdigit() and len(number) < 19 else number


def _sizes(members: Members) -> Iterator[str]:
    found = {
        text
        for one in several(members.get("distribution"))
        if isinstance(one, Mapping)
        for text in _first(by_name(one).get("byteSize"))
    }
    for text in sorted(found)[:_MOST]:
        if not text.isascii() or not text.isdigit() or len(text) > 18:
            continue
        size, unit = float(text), 0
        while size >= 1000 and unit < len(_UNITS) - 1:
            size, unit = size / 1000, unit + 1
        yield f"{size:.3g} {_UNITS[unit]}" if unit else f"{text} bytes"


def _period(value: Any) -> str:
    for one in several(value):
        if isinstance(one, Mapping):
            said = by_name(one)
            begin, end = (_listed(said.get(name))[:10] for name in ("startDate", "endDate"))
            if begin or end:
                return f"{begin or 'the beginning'} to {end or 'now'}"
    return ""


def _measured(members: Members) -> Iterator[str]:
    for one in several(members.get("hasQualityMeasurement"))[:_MOST]:
        if isinstance(one, Mapping):
            said = by_name(one)
            of, value = ", ".join(map(last_part, _names(said.get("isMeasurementOf")))), _listed(said.get("value"))
            if value:
                yield f"grade {value}" if of == "qualityGrade" else f"{of}: {value}"


def _parties(value: Any) -> str:
    found = []
    for one in several(value)[:_MOST]:
        name = reading.best_text(reading.texts(one, "name"), "") if isinstance(one, Mapping) else ""
        found += [name] if name else _names(one)
    return ", ".join(found)


def _said(value: Any, name: str) -> str:
    return " ".join(
        reading.best_text(reading.texts(one, name), "") if isinstance(one, Mapping) else "" for one in several(value)[:_MOST]
    ).strip()


def _contacts(value: Any) -> Iterator[str]:
    for one in several(value)[:_MOST]:
        said = by_name(one) if isinstance(one, Mapping) else Members()
        found = [text for name in ("hasEmail", "hasTelephone", "hasURL") for text in _names(said.get(name))] or _names(one)
        yield from (text.removeprefix("mailto:").removeprefix("tel:") for text in found)
