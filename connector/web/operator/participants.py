"""Routes: the participant contexts of this node, and their automation rules."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from connector.api.common import Listing
from connector.api.participants import NewParticipant, PublishedDescription, Rules, SelfDescription
from connector.api.participants import Participant as Shown
from connector.errors import NotFound
from connector.web.operator import views
from connector.web.operator.keys import NodeAdministrator, Participant, ShownKey
from connector.web.operator.parts import Parts
from connector.web.operator.queries import Cursor, Limit
from connector.web.operator.rooms import room

End = Annotated[bool, Query(description="End what is open, and tell the peers, before.")]


def routes(parts: Parts) -> APIRouter:
    """`/participants` and what belongs to a participant itself."""
    router = room("participants")

    @router.get("/participants")
    async def list_participants(key: ShownKey, cursor: Cursor = None, limit: Limit = 1000) -> Listing[Shown]:
        """The participant contexts that the key is good for, by name."""
        mine = [c for c in await parts.participants.all() if key.opens(c.name)]
        return views.listing(views.part(mine, lambda c: c.name, cursor, limit), views.participant)

    @router.post("/participants", status_code=201)
    async def add_participant(by: NodeAdministrator, wanted: NewParticipant) -> Shown:
        """A participant context, served from now on."""
        return views.participant(await parts.participants.add(wanted.name, wanted.id, wanted.title))

    @router.get("/participants/{participant}")
    async def get_participant(participant: Participant) -> Shown:
        """One participant context."""
        return views.participant(await parts.participants.context(participant))

    @router.delete("/participants/{participant}", status_code=204)
    async def remove_participant(by: NodeAdministrator, participant: Participant, end: End = False) -> None:
        """Serve a context no longer; its agreements and the trail of what was done stay."""
        await parts.leaving.remove(participant, is_ending=end)

    @router.put("/participants/{participant}/rules")
    async def set_rules(participant: Participant, rules: Rules) -> Shown:
        """All automation rules, in order, in place of those there were."""
        return views.participant(await parts.participants.set_rules(participant, rules.root))

    @router.get("/participants/{participant}/self-description")
    async def get_self_description(participant: Participant) -> PublishedDescription:
        """What the participant says of itself."""
        found = await parts.describing.published(participant)
        if found is None:
            raise NotFound("nothing is published", where=participant, mend="see `kontor describe participant`")
        return views.self_description(found, await parts.participants.context(participant))

    @router.put("/participants/{participant}/self-description")
    async def put_self_description(participant: Participant, wanted: SelfDescription) -> PublishedDescription:
        """What the participant says of itself from now on, checked, and signed where it has a wallet."""
        found = await parts.describing.put(participant, wanted.description, wanted.attestations)
        return views.self_description(found, await parts.participants.context(participant))

    @router.delete("/participants/{participant}/self-description", status_code=204)
    async def delete_self_description(participant: Participant) -> None:
        """Say nothing of the participant any more."""
        await parts.describing.drop(participant)

    return router
