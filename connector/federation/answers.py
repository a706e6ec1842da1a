"""What the ledger answers: pages of products, participants, members and how they stand, numbers.

What lives here: values. What does not: who sees what of them (`ledger.py`), and their spelling (`web/catalog`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from connector.ports.catalog import MemberRow, Product, Totals


class Audience(StrEnum):
    """Who may ask the ledger."""

    MEMBERS = "members"
    EVERYBODY = "everybody"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A page of the ledger."""

    total: int
    products: tuple[Product, ...]
    """As the viewer sees them."""
    facets: Mapping[str, tuple[tuple[str, int], ...]]
    cursor: str | None
    is_relaxed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A member, and how it stands with this ledger, as far as the viewer is told."""

    member: MemberRow
    entries: int | None
    """How many of its products the viewer sees; None for whoever may see none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offering:
    """A participant, and a page of what it offers."""

    name: str
    standing: Standing | None
    """None when it is known through others only."""
    said: Product | None
    """What it says of itself (`origins.py`), and by which way we know it."""
    at: datetime
    """When that was asked: what held only until before then is shown no more."""
    products: tuple[Product, ...]
    after: int | None
    """The number behind which the next page begins; None on the last one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """The ledger in numbers."""

    totals: Totals
    facets: Mapping[str, tuple[tuple[str, int], ...]]
