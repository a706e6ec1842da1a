"""Routes: background work, of the node and of each participant: seen, taken up again, forgotten. Every node has this.

What a job carries is not shown: it may hold what only its handler may know.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Path, Query

from connector.api import jobs as api
from connector.api.common import Listing
from connector.controlplane.participants import NODE, Participants
from connector.errors import NotFound
from connector.ports.clock import Clock
from connector.ports.jobs import Job, Jobs
from connector.web.operator import views
from connector.web.operator.keys import NodeAdministrator, Participant
from connector.web.operator.queries import Cursor, Limit
from connector.web.operator.rooms import room

Subject = Literal["node", "authority", "catalog"]
CONTEXTS: Final[Mapping[Subject, str]] = MappingProxyType({"node": NODE, "authority": "authority", "catalog": "@catalog"})
"""Where the work of each role stands that belongs to no participant."""

Kind = Annotated[str | None, Query(max_length=64, description="Only work of this kind.")]
GivenUp = Annotated[bool | None, Query(description="Only what was given up, or only what was not.")]
Of = Annotated[Subject, Query(description="Whose work: the node's own, or that of a role.")]
KindOf = Annotated[str, Path(max_length=64, description="Its kind.")]
IdOf = Annotated[str, Path(max_length=1024, description="Its id.")]


def routes(jobs: Jobs, participants: Participants, clock: Clock) -> APIRouter:
    """`/jobs`, of the node and below a participant."""
    router = room("jobs")

    @router.get("/jobs")
    async def list_node_jobs(
        by: NodeAdministrator, of: Of = "node", kind: Kind = None, given_up: GivenUp = None,
        cursor: Cursor = None, limit: Limit = 100,
    ) -> Listing[api.Job]:  # fmt: skip
        """Background work that belongs to no participant, newest first."""
        page = await jobs.page(CONTEXTS[of], kind=kind, is_given_up=given_up, cursor=cursor, limit=limit)
        return views.listing(page, _view)

    @router.post("/jobs/{kind}/{id:path}/retry")
    async def retry_node_job(by: NodeAdministrator, kind: KindOf, id: IdOf, of: Of = "node") -> api.Job:
        """Work that was given up, begun anew."""
        return await retried(CONTEXTS[of], kind, id)

    @router.delete("/jobs/{kind}/{id:path}", status_code=204)
    async def drop_node_job(by: NodeAdministrator, kind: KindOf, id: IdOf, of: Of = "node") -> None:
        """Have work never done."""
        await dropped(CONTEXTS[of], kind, id)

    @router.get("/participants/{participant}/jobs")
    async def list_jobs(
        participant: Participant, kind: Kind = None, given_up: GivenUp = None, cursor: Cursor = None, limit: Limit = 100
    ) -> Listing[api.Job]:
        """The background work of a participant, newest first."""
        await participants.context(participant)
        page = await jobs.page(participant, kind=kind, is_given_up=given_up, cursor=cursor, limit=limit)
        return views.listing(page, _view)

    @router.post("/participants/{participant}/jobs/{kind}/{id:path}/retry")
    async def retry_job(participant: Participant, kind: KindOf, id: IdOf) -> api.Job:
        """Work that was given up, begun anew."""
        await participants.context(participant)
        return await retried(participant, kind, id)

    @router.delete("/participants/{participant}/jobs/{kind}/{id:path}", status_code=204)
    async def drop_job(participant: Participant, kind: KindOf, id: IdOf) -> None:
        """Have work never done."""
        await participants.context(participant)
        await dropped(participant, kind, id)

    async def retried(context: str, kind: str, id: str) -> api.Job:
        is_revived = await jobs.revive(context, kind, id, clock.now())
        found = await jobs.job(context, kind, id)
        if not is_revived or found is None:
            raise NotFound(f"no `{kind}` with this id was given up", where=id, mend="list what was with `given_up=true`")
        return _view(found)

    async def dropped(context: str, kind: str, id: str) -> None:
        if not await jobs.drop(context, kind, id):
            raise NotFound(f"there is no `{kind}` with this id", where=id, mend="it may be done by now")

    return router


def _view(found: Job) -> api.Job:
    return api.Job(
        kind=found.kind,
        id=found.id,
        order_key=found.order_key,
        created_at=found.created_at,
        not_before=found.not_before,
        tries=found.tries,
        failures=[api.JobFailure(at=one.at, cause=one.cause) for one in found.failures],
        node=found.node,
        given_up_at=found.given_up_at,
    )
