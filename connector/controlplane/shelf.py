"""What a participant offers, at one revision: datasets with their offers, as values.

What lives here: the values. What does not: the documents that they are made of (`offerings.py`), and who sees which of them
(`seeing.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

from connector.api.offerings import Asset, ContractDefinition
from connector.controlplane.inheriting import Known
from connector.odrl.model import Policy
from connector.ports.dataplane import Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """One offer for one dataset."""

    definition: ContractDefinition
    dataset: str
    offer_id: str
    policy: Policy
    access: Policy | None
    """Who sees the offer at all; None: every proven caller."""
    policy_key: str
    access_key: str
    """What tells these policies from all others, for whoever keeps something made of them."""
    tree: Mapping[str, Any]
    """The offer as a catalogue carries it: with `@id`, without target."""

    def offer(self) -> dict[str, Any]:
        """The offer as a message carries it: with its target."""
        return {**self.tree, "@type": "Offer", "target": self.dataset}


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One dataset: the asset and its offers."""

    asset: Asset
    modified: datetime
    formats: tuple[str, ...]
    terms: tuple[Terms, ...]


@dataclass(frozen=True, kw_only=True)
class Shelf:
    """Everything that one context offers, at one revision; without slots, for what is made when somebody first asks."""

    revision: int
    items: Mapping[str, Item]
    """By dataset id, in the order of ids; only those with an offer and a format."""
    assets: Mapping[str, Asset]
    definitions: Mapping[str, ContractDefinition]
    policies: Mapping[str, Policy]
    """As they were written, by the names under which they are kept."""
    known: Known
    """The same as parents of others."""
    faults: tuple[str, ...] = ()
    """What could not be used, and why."""
    sources: dict[str, Source] = field(default_factory=dict, repr=False)
    """Where the data of those assets lies that were read, without credentials."""

    @cached_property
    def by_access(self) -> Mapping[str, tuple[Terms, ...]]:
        """All offers by the keys of their access policies: those of one key are seen by the same callers."""
        return by_access(terms for item in self.items.values() for terms in item.terms)

    def offer(self, dataset: str, offer_id: str) -> Terms | None:
        """The offer of a dataset that has this id."""
        item = self.items.get(dataset)
        return next((t for t in item.terms if t.offer_id == offer_id), None) if item else None

    def terms_of(self, dataset: str, definition: str | None) -> Terms | None:
        """The terms of `definition` for `dataset`; None when it no longer offers it."""
        item = self.items.get(dataset)
        return next((t for t in item.terms if t.definition.id == definition), None) if item else None


def by_access(offers: Iterable[Terms]) -> Mapping[str, tuple[Terms, ...]]:
    """The offers by the keys of their access policies, in their order."""
    found: dict[str, list[Terms]] = {}
    for terms in offers:
        found.setdefault(terms.access_key, []).append(terms)
    return {key: tuple(group) for key, group in found.items()}
