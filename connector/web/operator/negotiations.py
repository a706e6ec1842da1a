"""Routes: negotiations, begun and acted in by an operator."""

from __future__ import annotations

from fastapi import APIRouter

from connector.api.common import Listing
from connector.api.negotiations import Negotiation, NegotiationAct, NegotiationStep, NewNegotiation
from connector.controlplane.terms import NegotiationWish
from connector.dsp import negotiation as dsp
from connector.dsp.process import Process
from connector.dsp.tables import Kind, Role
from connector.web.operator import views
from connector.web.operator.keys import Participant
from connector.web.operator.parts import Parts
from connector.web.operator.queries import Cursor, Fitting, Limit
from connector.web.operator.rooms import room


def routes(parts: Parts) -> APIRouter:
    """`/negotiations`, below a participant."""
    router = room("negotiations", "/participants/{participant}/negotiations")

    @router.get("")
    async def list_negotiations(
        participant: Participant, fitting: Fitting, cursor: Cursor = None, limit: Limit = 100
    ) -> Listing[Negotiation]:
        """Negotiations that fit, newest first."""
        await parts.participants.context(participant)
        page = await parts.store.processes(Kind.NEGOTIATION, participant, fitting, cursor=cursor, limit=limit)
        return views.listing(page, _view)

    @router.post("", status_code=201)
    async def begin_negotiation(participant: Participant, wanted: NewNegotiation) -> Negotiation:
        """A negotiation with its first message on the way; look at it again to see how it goes on."""
        wish = NegotiationWish(
            peer=wanted.peer,
            address=wanted.address.rstrip("/"),
            dataset=wanted.dataset,
            offer_id=wanted.offer_id,
            offer=wanted.offer,
            purpose=wanted.purpose,
            role=Role(wanted.role),
        )
        return views.negotiation(await parts.negotiations.start(participant, wish))

    @router.get("/{pid}")
    async def get_negotiation(participant: Participant, pid: str) -> Negotiation:
        """One negotiation."""
        await parts.participants.context(participant)
        return views.negotiation(await parts.negotiations.get(participant, pid))

    @router.post("/{pid}/{act}")
    async def act_in_negotiation(
        participant: Participant, pid: str, act: NegotiationAct, step: NegotiationStep | None = None
    ) -> Negotiation:
        """The negotiation after an act of ours, which may still be on its way to the peer."""
        given = step or NegotiationStep()
        done = await parts.negotiations.act(participant, pid, act, offer=given.offer, code=given.code, reason=given.reason)
        return views.negotiation(done)

    return router


def _view(found: Process) -> Negotiation:
    assert isinstance(found, dsp.Negotiation)
    return views.negotiation(found)
