"""Routes: the timeline of a process, and every attempt to deliver its messages."""

from __future__ import annotations

from fastapi import APIRouter

from connector.api.processes import Timeline
from connector.errors import NotFound
from connector.web.operator import views
from connector.web.operator.keys import Participant
from connector.web.operator.parts import Parts
from connector.web.operator.rooms import room


def routes(parts: Parts) -> APIRouter:
    """`/processes`, below a participant."""
    router = room("processes", "/participants/{participant}/processes")

    @router.get("/{pid}")
    async def timeline(participant: Participant, pid: str) -> Timeline:
        """Everything kept about a negotiation or transfer, oldest first."""
        await parts.participants.context(participant)
        key = await parts.store.find(participant, pid)
        found = await parts.store.process(key) if key is not None else None
        if key is None or found is None:
            raise NotFound(f"there is no process `{pid}`", where=pid, mend="list negotiations or transfers to find its id")
        return views.timeline(found, await parts.store.timeline(key), await parts.refusals.of(participant, pid))

    return router
