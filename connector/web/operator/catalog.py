"""Routes: our own catalogue as we see it, and that of a peer, asked for through this node."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query

from connector.api.catalog import (
    CatalogRequest,
    DatasetRequest,
    LedgerMembers,
    LedgerReport,
    LedgerSearch,
    PeerCatalog,
    PeerDataset,
    Visibility,
)
from connector.web.operator import views
from connector.web.operator.keys import Participant
from connector.web.operator.parts import Parts
from connector.web.operator.rooms import room

DatasetId = Annotated[str, Query(min_length=1, max_length=512, description="Id of the dataset.")]
PartyId = Annotated[str, Query(min_length=1, max_length=512, description="Participant id of whoever asks for the catalogue.")]


def routes(parts: Parts) -> APIRouter:
    """`/catalog`, below a participant."""
    router = room("catalog", "/participants/{participant}/catalog")

    @router.get("")
    async def own_catalog(participant: Participant) -> dict[str, Any]:
        """Our own catalogue with all that we offer to anybody, as the Dataspace Protocol spells it."""
        return dict(await parts.catalogs.own(participant))

    @router.get("/visibility")
    async def explain_visibility(participant: Participant, dataset: DatasetId, party: PartyId) -> Visibility:
        """Why somebody sees an offer of ours, or does not, judged by what is known of it now."""
        found = await parts.catalogs.visibility(participant, dataset, party)
        return views.visibility(dataset, party, found)

    @router.post("/request")
    async def request_catalog(participant: Participant, wanted: CatalogRequest) -> PeerCatalog:
        """The catalogue of a peer, all pages put together."""
        found = await parts.catalogs.of_peer(
            participant, address=wanted.address, peer=wanted.peer, filter_=wanted.filter, limit=wanted.limit
        )
        return views.peer_catalog(found)

    @router.post("/dataset")
    async def request_dataset(participant: Participant, wanted: DatasetRequest) -> PeerDataset:
        """One dataset of a peer, asked for by its id: quicker than the whole catalogue."""
        found = await parts.catalogs.dataset_of_peer(participant, address=wanted.address, peer=wanted.peer, id_=wanted.dataset)
        return views.peer_dataset(found)

    @router.post("/search")
    async def search_ledger(participant: Participant, wanted: LedgerSearch) -> dict[str, Any]:
        """A page of what the ledger of data products finds that the participant belongs to, as the ledger spells it."""
        found = await parts.ledgers.search(participant, wanted.fields(), address=wanted.catalog, peer=wanted.peer)
        return dict(found)

    @router.post("/report")
    async def report_of_ledger(participant: Participant, wanted: LedgerReport) -> dict[str, Any]:
        """How the ledger's last look at a member's catalogue went, and what it left out."""
        found = await parts.ledgers.report(participant, wanted.member, address=wanted.catalog, peer=wanted.peer)
        return dict(found)

    @router.post("/members")
    async def members_of_ledger(participant: Participant, wanted: LedgerMembers) -> dict[str, Any]:
        """The members of a ledger and how its last looks at them went, a page of them."""
        found = await parts.ledgers.members(
            participant, wanted.after, wanted.size, failing=wanted.failing, address=wanted.catalog, peer=wanted.peer
        )
        return dict(found)

    return router
