"""What a description says: values, and the closed sets of words that it uses, with the IRIs that they stand for.

What lives here: `Description` and its parts, and the tables of words. What does not: reading them from YAML (`reading`), and
telling them as DCAT (`members`).
Source: EU Vocabularies, authority tables "frequency" and "data-theme"; NDI-TR-2025-06 (draft), codes of source and form;
GB/T 43697-2024 (grades).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Final

from connector.describe.table import Column

_FREQUENCY: Final = "http://publications.europa.eu/resource/authority/frequency/"
_THEME: Final = "http://publications.europa.eu/resource/authority/data-theme/"
_NOWHERE: Final[Mapping[str, str]] = MappingProxyType({})

FREQUENCIES: Final[Mapping[str, str]] = MappingProxyType({
    word: _FREQUENCY + code
    for word, code in {
        "continuous": "UPDATE_CONT", "hourly": "HOURLY", "twice-daily": "DAILY_2", "daily": "DAILY", "weekly": "WEEKLY",
        "biweekly": "BIWEEKLY", "monthly": "MONTHLY", "quarterly": "QUARTERLY", "twice-yearly": "ANNUAL_2", "annual": "ANNUAL",
        "biennial": "BIENNIAL", "irregular": "IRREG", "never": "NEVER", "unknown": "UNKNOWN",
    }.items()
})  # fmt: skip
THEMES: Final[Mapping[str, str]] = MappingProxyType({
    word: _THEME + code
    for word, code in {
        "agriculture": "AGRI", "economy": "ECON", "education": "EDUC", "energy": "ENER", "environment": "ENVI",
        "government": "GOVE", "health": "HEAL", "international": "INTR", "justice": "JUST", "regions": "REGI", "society": "SOCI",
        "technology": "TECH", "transport": "TRAN",
    }.items()
})  # fmt: skip
SOURCES: Final[Mapping[str, str]] = MappingProxyType({"original": "001", "collected": "002", "traded": "003", "other": "004"})
"""How the publisher came by the data, with the code of the trusted data space."""
FORMS: Final[Mapping[str, str]] = MappingProxyType({
    "dataset": "001", "api": "002", "application": "003", "report": "004", "object": "005", "other": "006",
})  # fmt: skip
"""In what form it is delivered, with the code of the trusted data space."""
QUALITY_GRADES: Final = ("A", "B", "C", "D")
GRADES: Final = ("core", "important", "general")
"""Of GB/T 43697; core data is what harms most when it leaks."""
LEVELS: Final = ("1", "2", "3", "4", "5")
RIGHTS: Final = ("holding", "processing", "operating")

Texts = tuple[tuple[str, str], ...]
"""A text by language; the empty language stands for a text that names none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Party:
    """A person or an organisation."""

    id: str | None = None
    name: Texts = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One measurement of quality: `completeness: 0.98`."""

    metric: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What it costs. The policy of the offer binds; this tells people in advance."""

    amount: str | None = None
    currency: str | None = None
    per: str | None = None
    terms: Texts = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """A data product in its publisher's words."""

    title: Texts = ()
    description: Texts = ()
    keywords: Texts = ()
    themes: tuple[str, ...] = ()
    """IRIs of SKOS concepts."""
    publisher: Party | None = None
    contact: str | None = None
    """IRI: `mailto:` or a page."""
    license: str | None = None
    source: str | None = None
    provenance: Texts = ()
    derived_from: tuple[str, ...] = ()
    frequency: str | None = None
    """IRI."""
    quality_grade: str | None = None
    measures: tuple[Measure, ...] = ()
    columns: tuple[Column, ...] = ()
    rows: int | None = None
    form: str | None = None
    grade: str | None = None
    level: str | None = None
    rights: tuple[tuple[str, Party], ...] = ()
    """Who has which of the three rights: holding, processing, operating."""
    price: Price | None = None
    identifiers: tuple[str, ...] = ()
    product_code: str | None = None
    conforms_to: tuple[str, ...] = ()
    spatial: tuple[str, ...] = ()
    begins: str | None = None
    ends: str | None = None
    """The time that the data is about: a day, or a date and time."""
    landing_page: str | None = None
    version: str | None = None
    media_type: str | None = None
    byte_size: int | None = None
    sha256: str | None = None
    modified: datetime | None = None
    places: Mapping[str, str] = field(default_factory=lambda: _NOWHERE, compare=False)
    """Where each word of the document stands: `file:line:column`."""
