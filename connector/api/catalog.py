"""The catalogue of a peer, and the ledger of data products, asked for through this node."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from connector.api.common import Address, Asked, Id, Shown, Tree


class CatalogRequest(Asked):
    """Which catalogue to ask for."""

    address: Address
    peer: Id | None = Field(
        default=None, description="The peer's participant id; needed where its token or claims depend on it."
    )
    filter: tuple[Any, ...] = Field(
        default=(), description="Passed on as it is: the standard leaves the filter's language to each peer."
    )
    limit: int | None = Field(default=None, ge=1, description="Stop after so many datasets; none reads every page.")


class DatasetRequest(Asked):
    """Which dataset to ask for."""

    address: Address
    peer: Id | None = Field(
        default=None, description="The peer's participant id; needed where its token or claims depend on it."
    )
    dataset: Id = Field(description="Id of the dataset, as in the catalogue.")


class OfferVisibility(Shown):
    """Whether somebody sees one of our offers."""

    offer: str = Field(description="Id of the offer.")
    definition: str = Field(description="The contract definition that makes it.")
    access_policy: str | None = Field(
        default=None, description="Id of the policy that decides; null: every proven caller sees the offer."
    )
    is_visible: bool
    reasons: list[str] = Field(default_factory=list, description="Why not, with the rule.")


class Visibility(Shown):
    """What somebody sees of one of our datasets, by what is known of it now."""

    dataset: str
    party: str
    offers: list[OfferVisibility]


class PeerDataset(Shown):
    """One dataset of a peer."""

    dataset: Tree = Field(description="As the Dataspace Protocol spells it.")
    base: str = Field(description="Base address that answered: what a negotiation about it goes to.")


class PeerCatalog(Shown):
    """A peer's catalogue, all pages put together."""

    catalog: Tree = Field(description="As the Dataspace Protocol spells it.")
    base: str = Field(default="", description="Base address that answered: what a negotiation about it goes to.")
    pages: int = Field(description="How many pages were read.")
    warnings: list[str] = Field(default_factory=list, description="What could not be read or was left out, and why.")


class LedgerReport(Asked):
    """Whose report to ask for."""

    member: Id = Field(description="The member's participant id.")
    catalog: Address | None = Field(
        default=None, description="The ledger's address; without it the participant's first catalogue."
    )
    peer: Id | None = Field(default=None, description="The ledger's participant id, where its token depends on it.")


class LedgerMembers(Asked):
    """Which members of a ledger to list."""

    failing: bool = Field(default=False, description="Only those at which the ledger's last look failed.")
    after: Id | None = Field(default=None, description="`next` of the page before.")
    size: int = Field(default=50, ge=1, le=100, description="How many at most.")
    catalog: Address | None = Field(
        default=None, description="The ledger's address; without it the participant's first catalogue."
    )
    peer: Id | None = Field(default=None, description="The ledger's participant id, where its token depends on it.")


class LedgerSearch(Asked):
    """What to look for in a ledger of data products."""

    text: str = Field(default="", max_length=1000, description="Words, in any of the ledger's languages.")
    chosen: dict[str, tuple[str, ...]] = Field(
        default_factory=dict,
        description="Values by facet, such as `theme`, `publisher`, `region`, `format`, `license`, `grade`.",
    )
    action: str | None = Field(default=None, description="Only what the policies let us do this with.")
    purpose: str | None = Field(default=None, description="Only what the policies let us use for this purpose.")
    price_at_most: str | None = Field(
        default=None, description="Highest price, such as `10.50`, in the one `chosen` `currency`."
    )
    modified: str | None = Field(default=None, description="Only data that changed on this day or later, such as `2026-01-31`.")
    sort: str = Field(
        default="relevance", description="`relevance`, `modified`, `added`, `cheapest`: in the one `chosen` `currency`."
    )
    size: int = Field(default=20, ge=1, le=100, description="How many at most.")
    cursor: str | None = Field(default=None, max_length=1000, description="`next` of the page before.")
    facets: tuple[str, ...] = Field(default=(), description="Facets to count, `action` and `purpose` among them.")
    language: str | None = Field(default=None, max_length=20, description="Language of titles, where there is a choice.")
    catalog: Address | None = Field(
        default=None, description="The ledger's address; without it the participant's first catalogue."
    )
    peer: Id | None = Field(default=None, description="The ledger's participant id, where its token depends on it.")

    def fields(self) -> dict[str, list[str]]:
        """The same as fields of the ledger's address."""
        one = {
            "q": self.text, "action": self.action, "purpose": self.purpose, "price_at_most": self.price_at_most,
            "modified": self.modified, "sort": self.sort, "size": str(self.size), "cursor": self.cursor,
            "language": self.language,
        }  # fmt: skip
        found = {name: [value] for name, value in one.items() if value}
        found |= {name: list(values) for name, values in self.chosen.items()}
        return found | ({"facets": list(self.facets)} if self.facets else {})
