"""The catalogue of a peer, asked for through this node."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from connector.api.common import Address, Asked, Id, Shown, Tree


class CatalogRequest(Asked):
    """Which catalogue to ask for."""

    address: Address
    peer: Id | None = Field(None, description="The peer's participant id; needed where its token or claims depend on it.")
    filter: tuple[Any, ...] = Field(
        (), description="Passed on as it is: the standard leaves the filter's language to each peer."
    )
    limit: int | None = Field(None, ge=1, description="Stop after so many datasets; none reads every page.")


class DatasetRequest(Asked):
    """Which dataset to ask for."""

    address: Address
    peer: Id | None = Field(None, description="The peer's participant id; needed where its token or claims depend on it.")
    dataset: Id = Field(description="Id of the dataset, as in the catalogue.")


class PeerDataset(Shown):
    """One dataset of a peer."""

    dataset: Tree = Field(description="As the Dataspace Protocol spells it.")
    base: str = Field(description="Base address that answered: what a negotiation about it goes to.")


class PeerCatalog(Shown):
    """A peer's catalogue, all pages put together."""

    catalog: Tree = Field(description="As the Dataspace Protocol spells it.")
    base: str = Field("", description="Base address that answered: what a negotiation about it goes to.")
    pages: int = Field(description="How many pages were read.")
    warnings: list[str] = Field(default_factory=list, description="What could not be read or was left out, and why.")
