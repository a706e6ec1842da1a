"""Routes: examinations of the node, of a participant as others see it, and of peers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from fastapi import APIRouter

from connector.api.doctor import Examination, Finding, Findings
from connector.controlplane.participants import Participants
from connector.web.operator.keys import Operated, ShownKey
from connector.web.operator.rooms import room

_FEW_ISSUERS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Doctor:
    """What the routes stand on."""

    participants: Participants
    node: Callable[[], Awaitable[tuple[Finding, ...]]]
    examine: Callable[[str | None, str | None], Awaitable[tuple[Finding, ...]]]


def routes(doctor: Doctor) -> APIRouter:
    """`/doctor`, of the node and below a participant."""
    router = room("doctor")

    @router.get("/doctor")
    async def examine_node(by: ShownKey) -> Findings:
        """The node itself: store, disk, workers, settings that weaken a check."""
        return Findings(findings=list(await doctor.node()))

    @router.post("/participants/{participant}/doctor")
    async def examine(participant: Operated, wanted: Examination) -> Findings:
        """The participant as others see it, with the issuers that it believes; or a peer."""
        context = await doctor.participants.context(participant)
        if wanted.subject is not None:
            is_did = wanted.subject.startswith("did:")
            found = await doctor.examine(wanted.subject if is_did else None, None if is_did else wanted.subject)
            return Findings(findings=list(found))
        found = await doctor.examine(context.id, context.address)
        issuers = [one.id for one in context.membership.trusted_issuers] if context.membership is not None else []
        for issuer in issuers[:_FEW_ISSUERS]:
            found += tuple(one for one in await doctor.examine(issuer, None) if one.check in ("did", "clock", "certificate"))
        return Findings(findings=list(found))

    return router
