"""Units of measure that convert into each other: time, digital size, length; and one name for each currency.

Only factors that never change stand here. Currencies are one dimension each: no rate is known, so nothing converts.
Source: ODRL Vocabulary & Expression 2.2, `unit` (any vocabulary may name units); QUDT 2.1 and ISO 4217 for the names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType

from connector.odrl.values import EXACT

_QUDT = "http://qudt.org/vocab/unit/"
_DBPEDIA = "http://dbpedia.org/resource/"
_Table = Mapping[str, tuple[Decimal | int, tuple[str, ...]]]
_TIME: _Table = {
    "SEC": (1, ("s", "second", "seconds")),
    "MIN": (60, ("min", "minute", "minutes")),
    "HR": (3600, ("h", "hour", "hours")),
    "DAY": (86400, ("d", "day", "days")),
    "WK": (604800, ("week", "weeks")),
}
_SIZE: _Table = {
    "BIT": (Decimal("0.125"), ("bit", "bits")),
    "BYTE": (1, ("B", "byte", "bytes")),
    "KiloBYTE": (10**3, ("kB", "KB", "kilobyte")),
    "MegaBYTE": (10**6, ("MB", "megabyte")),
    "GigaBYTE": (10**9, ("GB", "gigabyte")),
    "TeraBYTE": (10**12, ("TB", "terabyte")),
    "KibiBYTE": (2**10, ("KiB", "kibibyte")),
    "MebiBYTE": (2**20, ("MiB", "mebibyte")),
    "GibiBYTE": (2**30, ("GiB", "gibibyte")),
    "TebiBYTE": (2**40, ("TiB", "tebibyte")),
}
_LENGTH: _Table = {
    "MilliM": (Decimal("0.001"), ("mm", "millimetre")),
    "CentiM": (Decimal("0.01"), ("cm", "centimetre")),
    "M": (1, ("m", "metre", "meter")),
    "KiloM": (1000, ("km", "kilometre")),
    "IN": (Decimal("0.0254"), ("in", "inch")),
}
_DIMENSIONS: Mapping[str, _Table] = MappingProxyType({"time": _TIME, "size": _SIZE, "length": _LENGTH})
_CURRENCIES = {
    "EUR": ("Euro",),
    "USD": ("United_States_dollar", "USD"),
    "GBP": ("Pound_sterling",),
    "CNY": ("Renminbi", "Chinese_yuan"),
    "JPY": ("Japanese_yen",),
    "CHF": ("Swiss_franc",),
}


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit by what it measures and how many of the dimension's base it is."""

    dimension: str
    factor: Decimal


def _table() -> Mapping[str, Unit]:
    found: dict[str, Unit] = {}
    for dimension, units in _DIMENSIONS.items():
        for name, (factor, spellings) in units.items():
            found |= dict.fromkeys((_QUDT + name, *spellings), Unit(dimension, Decimal(factor)))
    return MappingProxyType(found)


_UNITS = _table()


def unit_of(name: str) -> Unit | None:
    """The unit that a name or IRI stands for; None when its factor is not known."""
    return _UNITS.get(name.replace("https://", "http://", 1))


_BASES = {"time": f"{_QUDT}SEC", "size": f"{_QUDT}BYTE", "length": f"{_QUDT}M"}


def base_of(name: str) -> str | None:
    """The unit in which quantities of the same dimension are compared; None when the unit is not known."""
    unit = unit_of(name)
    return _BASES[unit.dimension] if unit else None


def convert(amount: Decimal, unit: str, into: str) -> Decimal | None:
    """The same quantity in another unit; None when the two measure different things or one is unknown."""
    if unit == into:
        return amount
    have, want = unit_of(unit), unit_of(into)
    if have is None or want is None or have.dimension != want.dimension:
        return None
    product = EXACT.multiply(amount, have.factor)
    # units convert into the base of their dimension, of which this is one
    return product if want.factor == 1 else product / want.factor


def _currencies() -> Mapping[str, str]:
    found: dict[str, str] = {}
    for code, names in _CURRENCIES.items():
        found |= dict.fromkeys((code, code.lower(), f"{_QUDT}CCY_{code}", f"urn:iso:std:iso:4217:{code}"), code)
        found |= {_DBPEDIA + name: code for name in names}
    return MappingProxyType(found)


_CODES = _currencies()


def is_recorded(name: str) -> bool:
    """Whether payments in a currency can be on record: those are by three-letter code (ISO 4217)."""
    code = currency(name)
    return len(code) == 3 and code.isascii() and code.isalpha() and code.isupper()


def currency(name: str) -> str:
    """One spelling for each currency: its code where the name is known, else the name itself."""
    return _CODES.get(name.replace("https://", "http://", 1), name)
