"""Routes: what waits for a person, approved or rejected; contracts got or negotiated in one call."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Query

from connector.api.approvals import Approval, Contract, ContractWish, Rejection
from connector.api.common import Listing
from connector.api.negotiations import Negotiation
from connector.api.transfers import Transfer
from connector.controlplane.terms import NegotiationWish
from connector.dsp.process import Process
from connector.dsp.tables import Kind
from connector.errors import Conflict, NotFound
from connector.ports.store import Filter
from connector.web.operator import views
from connector.web.operator.keys import Participant
from connector.web.operator.parts import Parts
from connector.web.operator.queries import Cursor, Limit
from connector.web.operator.rooms import room

KindOf = Annotated[Kind, Query(description="Of which processes.")]


def routes(parts: Parts) -> APIRouter:
    """`/approvals` and `/contracts`, below a participant."""
    router = room("approvals", "/participants/{participant}")

    @router.get("/approvals")
    async def list_approvals(
        participant: Participant, kind: KindOf = Kind.NEGOTIATION, cursor: Cursor = None, limit: Limit = 100
    ) -> Listing[Approval]:
        """Negotiations, or transfers, that wait for a person, newest first; the event `hold` tells when one begins to."""
        await parts.participants.context(participant)
        page = await parts.store.processes(kind, participant, Filter(is_held=True), cursor=cursor, limit=limit)
        return views.listing(page, _approval)

    @router.post("/approvals/{pid}/approve")
    async def approve(participant: Participant, pid: str) -> Negotiation | Transfer:
        """The process after it was let go on as it would have without a person."""
        return await _acted(parts, participant, pid, "approve")

    @router.post("/approvals/{pid}/reject")
    async def reject(participant: Participant, pid: str, said: Rejection) -> Negotiation | Transfer:
        """The process, ended; the peer is told why."""
        return await _acted(parts, participant, pid, "terminate", said)

    @router.post("/contracts")
    async def obtain_contract(participant: Participant, wanted: ContractWish) -> Contract:
        """A live agreement about the dataset; where there is none, one is negotiated."""
        wish = NegotiationWish(
            peer=wanted.peer,
            address=wanted.address.rstrip("/"),
            dataset=wanted.dataset,
            offer_id=wanted.offer_id,
            offer=wanted.offer,
            purpose=wanted.purpose,
        )
        found = await parts.obtaining.obtain(participant, wish, wait=timedelta(seconds=wanted.wait_s))
        return Contract(
            agreement=views.agreement(found.agreement) if found.agreement is not None else None,
            negotiation=views.negotiation(found.negotiation) if found.negotiation is not None else None,
        )

    return router


async def _acted(parts: Parts, participant: str, pid: str, act: str, said: Rejection | None = None) -> Negotiation | Transfer:
    await parts.participants.context(participant)
    key = await parts.store.find(participant, pid)
    found = await parts.store.process(key) if key is not None else None
    if key is None or found is None:
        raise NotFound(f"there is no process `{pid}`", where=pid, mend="list the approvals to find its id")
    if found.hold is None:
        raise Conflict("this process waits for nobody here", where=pid, mend="it may have been decided, or ended, meanwhile")
    use = parts.negotiations if key.kind is Kind.NEGOTIATION else parts.transfers
    code, reason = (said.code, said.reason) if said is not None else (None, None)
    return views.either(await use.act(participant, pid, act, code=code, reason=reason))


def _approval(found: Process) -> Approval:
    return Approval(why=found.hold or "", since=found.updated_at, process=views.either(found))
