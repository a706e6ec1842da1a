"""Routes: the audit trail of the node and of each participant, and whether it is whole."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query

from connector.api.audit import AuditEntry, AuditVerdict
from connector.api.common import Listing
from connector.controlplane.audit import Audit
from connector.controlplane.participants import NODE
from connector.errors import BadMessage
from connector.ports.journal import Entry, Link
from connector.web.operator import views
from connector.web.operator.keys import Administered, NodeAdministrator
from connector.web.operator.queries import Cursor, Limit
from connector.web.operator.rooms import room

Since = Annotated[datetime | None, Query(description="Not before this moment, with its zone.")]
Until = Annotated[datetime | None, Query(description="Before this moment, with its zone.")]
Number = Annotated[int | None, Query(ge=1, description="Number of an entry that was noted earlier.")]
Digest = Annotated[str | None, Query(pattern="^[0-9a-f]{64}$", description="The digest that was noted with it.")]


def routes(audit: Audit) -> APIRouter:
    """`/audit`, of the node and below a participant."""
    router = room("audit")

    @router.get("/audit")
    async def list_audit(
        by: NodeAdministrator, since: Since = None, until: Until = None, cursor: Cursor = None, limit: Limit = 100
    ) -> Listing[AuditEntry]:
        """What operators did with the node itself, newest first."""
        return await listed(NODE, since, until, cursor, limit)

    @router.get("/audit/verification")
    async def verify_audit(by: NodeAdministrator, number: Number = None, sha256: Digest = None) -> AuditVerdict:
        """Whether the node's trail is whole, and still holds the entry that was noted."""
        return await verified(NODE, number, sha256)

    @router.get("/participants/{participant}/audit")
    async def list_participant_audit(
        participant: Administered, since: Since = None, until: Until = None, cursor: Cursor = None, limit: Limit = 100
    ) -> Listing[AuditEntry]:
        """What operators did for the participant, newest first."""
        return await listed(participant, since, until, cursor, limit)

    @router.get("/participants/{participant}/audit/verification")
    async def verify_participant_audit(participant: Administered, number: Number = None, sha256: Digest = None) -> AuditVerdict:
        """Whether the participant's trail is whole, and still holds the entry that was noted."""
        return await verified(participant, number, sha256)

    async def listed(
        context: str, since: datetime | None, until: datetime | None, cursor: str | None, limit: int
    ) -> Listing[AuditEntry]:
        for name, moment in (("since", since), ("until", until)):
            if moment is not None and moment.tzinfo is None:
                raise BadMessage("the moment has no zone", where=name, mend="write `2026-11-28T12:00:00Z`")
        page = await audit.page(context, since=since, until=until, cursor=cursor, limit=limit)
        return views.listing(page, _view)

    async def verified(context: str, number: int | None, sha256: str | None) -> AuditVerdict:
        if (number is None) != (sha256 is None):
            raise BadMessage("number and digest of a noted entry go together", where="number", mend="give both or none")
        noted = None if number is None or sha256 is None else Link(number=number, sha256=sha256)
        found = await audit.verify(context, noted)
        return AuditVerdict(
            is_whole=found.is_whole,
            checked=found.checked,
            last_number=found.last.number,
            last_sha256=found.last.sha256,
            fault=found.fault or None,
        )

    return router


def _view(entry: Entry) -> AuditEntry:
    body = entry.body
    return AuditEntry(
        number=entry.number,
        at=entry.at,
        stage=body["stage"],
        act=body["act"],
        who=body.get("who"),
        what=body.get("what"),
        source=body.get("from"),
        status=body.get("status"),
        object=body.get("object"),
        error_id=body.get("error_id"),
        cause=body.get("cause"),
        previous=entry.previous,
        sha256=entry.sha256,
    )
