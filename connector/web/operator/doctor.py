"""Routes: examinations of the node, of a participant as others see it, and of peers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from fastapi import APIRouter

from connector.api.doctor import Examination, Finding, Findings
from connector.controlplane.participants import Participants
from connector.web.operator.keys import Operated, ShownKey
from connector.web.operator.rooms import room

_FEW_ISSUERS = 8


class Space(Protocol):
    """A space that a participant has joined, or wants to, as far as it is looked at here."""

    @property
    def space(self) -> str: ...
    @property
    def authority(self) -> str: ...
    @property
    def state(self) -> str: ...
    @property
    def error(self) -> str: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Doctor:
    """What the routes stand on."""

    participants: Participants
    node: Callable[[], Awaitable[tuple[Finding, ...]]]
    examine: Callable[[str | None, str | None], Awaitable[tuple[Finding, ...]]]
    spaces: Callable[[str], Awaitable[tuple[Space, ...]]]
    """Those that a participant has joined, or wants to."""
    credentials: Callable[[str], Awaitable[tuple[Finding, ...]]]
    """How what a participant holds would be judged; nothing where it has no wallet here."""
    given_up: Callable[[str], Awaitable[tuple[Finding, ...]]]
    """Work and messages of a participant that nobody tries any more."""


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
        spaces = await doctor.spaces(participant)
        found += tuple(_standing(one) for one in spaces)
        found += await doctor.credentials(participant)
        found += await doctor.given_up(participant)
        issuers += [one.authority for one in spaces]
        for issuer in [*dict.fromkeys(issuers)][:_FEW_ISSUERS]:
            found += tuple(one for one in await doctor.examine(issuer, None) if one.check in ("did", "clock", "certificate"))
        return Findings(findings=list(found))

    return router


def _standing(one: Space) -> Finding:
    """How the participant stands in a space."""
    if one.state == "ACTIVE":
        return Finding(check="space", state="ok", what="it is a member", where=one.space)
    is_out = one.state in ("SUSPENDED", "REVOKED") or bool(one.error)
    what = f"it is {one.state}" + (f": {one.error}" if one.error else "")
    mend = f"ask the authority, {one.authority}" if is_out else "wait for the authority's operator"
    return Finding(check="space", state="error" if is_out else "warning", what=what, where=one.space, mend=mend)
