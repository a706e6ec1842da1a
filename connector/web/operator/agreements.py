"""Routes: agreements, their import and their end."""

from __future__ import annotations

from fastapi import APIRouter

from connector.api.agreements import Agreement, AgreementEnd, ImportedAgreement
from connector.api.common import Listing
from connector.dsp.tables import Role
from connector.web.operator import views
from connector.web.operator.keys import Participant
from connector.web.operator.parts import Parts
from connector.web.operator.queries import Cursor, Fitting, Limit
from connector.web.operator.rooms import room


def routes(parts: Parts) -> APIRouter:
    """`/agreements`, below a participant."""
    router = room("agreements", "/participants/{participant}/agreements")

    @router.get("")
    async def list_agreements(
        participant: Participant, fitting: Fitting, cursor: Cursor = None, limit: Limit = 100
    ) -> Listing[Agreement]:
        """Agreements that fit, newest first."""
        await parts.participants.context(participant)
        page = await parts.store.agreements(participant, fitting, cursor=cursor, limit=limit)
        return views.listing(page, views.agreement)

    @router.post("", status_code=201)
    async def import_agreement(participant: Participant, wanted: ImportedAgreement) -> Agreement:
        """An agreement that was reached elsewhere, to be used here."""
        kept = await parts.agreements.import_(
            participant,
            role=Role(wanted.role),
            peer=wanted.peer,
            address=wanted.address or "",
            tree=wanted.agreement,
            purpose=wanted.purpose,
        )
        return views.agreement(kept)

    @router.get("/{id:path}")
    async def get_agreement(participant: Participant, id: str) -> Agreement:
        """One agreement."""
        await parts.participants.context(participant)
        return views.agreement(await parts.agreements.get(participant, id))

    @router.post("/{id:path}/end")
    async def end_agreement(participant: Participant, id: str, wanted: AgreementEnd) -> Agreement:
        """An agreement, ended now on this side: nothing begins under it any more, and what runs is terminated."""
        await parts.participants.context(participant)
        return views.agreement(await parts.agreements.end(participant, id, wanted.reason))

    return router
