"""What a product costs: an amount of one currency, which is compared with amounts of the same currency only.

What lives here: `Price`, how it is read, and the words of the facet `price`. What does not: what a search may ask of prices (`query.py`).
What is free is free in every currency. Of several prices in one description the first that can be read counts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal, InvalidOperation
from typing import Final

from connector.federation.reading import Tree, by_name, plain_texts, several

CURRENCY: Final = re.compile("[A-Z]{3}")
"""ISO 4217."""
_LEAST: Final = Decimal("1e-12")
_MOST: Final = Decimal(10**12)
_SHOWN: Final = Decimal("0.01")
_BOUNDS: Final = ((1_000, "up to 10"), (10_000, "up to 100"), (100_000, "up to 1000"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What is to be paid, by its first price that can be read."""

    amount: Decimal
    currency: str
    """Empty when none is named, or nothing is to be paid."""
    unit: str = ""

    @property
    def cents(self) -> int:
        """In hundredths of its currency. What costs less than one of them is not free."""
        return int((self.amount * 100).to_integral_value(ROUND_CEILING))

    @property
    def word(self) -> str:
        """Its value of the facet `price`."""
        if not self.amount:
            return FREE
        most = next((word for bound, word in _BOUNDS if self.cents <= bound), "more than 1000")
        return f"{most} {self.currency or NO_CURRENCY}"

    @property
    def text(self) -> str:
        """For people: `12.50`, and `0.002` where hundredths do not tell it."""
        return f"{self.amount:,.2f}" if self.amount == self.amount.quantize(_SHOWN) else f"{self.amount.normalize():,f}"


FREE: Final = "free"
UNTOLD: Final = "not told"
NO_CURRENCY: Final = "of no currency"


def price_of(members: Tree) -> Price | None:
    """The price; None when nobody says."""
    for one in several(members.get("priceSpecification")):
        if not isinstance(one, Mapping):
            continue
        said = by_name(one)
        for text in plain_texts(said.get("price")):
            amount = amount_in(text)
            if amount is not None:
                codes = [code for code in plain_texts(said.get("priceCurrency")) if CURRENCY.fullmatch(code)]
                units = list(plain_texts(said.get("unitText")))
                return Price(amount=amount, currency=codes[0] if codes and amount else "", unit=units[0] if units else "")
    return None


def amount_in(text: str) -> Decimal | None:
    """An amount of money; None for what is none, or more than any product costs."""
    try:
        found = Decimal(text[:40])
    except InvalidOperation:
        return None
    # an exponent of millions would make a number of as many digits
    return found if found.is_finite() and (found == 0 or _LEAST <= found < _MOST) else None
