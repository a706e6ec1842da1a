"""Routes: the data spaces of a participant."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Protocol

from fastapi import APIRouter, Query

from connector.api.common import Listing
from connector.api.spaces import JoinedSpace, SpaceWish
from connector.controlplane.participants import Participants
from connector.identity.joined import Joined
from connector.identity.joining import Joining
from connector.web.operator import views
from connector.web.operator.keys import Participant
from connector.web.operator.queries import Cursor, Limit
from connector.web.operator.rooms import room


class Opened(Protocol):
    """The open wallets, as far as spaces go."""

    @property
    def joining(self) -> Joining: ...


def routes(participants: Participants, opened: Callable[[], Awaitable[Opened]]) -> APIRouter:
    """`/spaces`, below a participant."""
    router = room("identity", "/participants/{participant}/spaces")

    @router.get("")
    async def list_spaces(participant: Participant, cursor: Cursor = None, limit: Limit = 1000) -> Listing[JoinedSpace]:
        """The spaces, by their ids, and how the participant stands in each."""
        await participants.context(participant)
        found = await (await opened()).joining.spaces(participant)
        return views.listing(views.part(found, lambda one: one.space, cursor, limit), _shown)

    @router.post("", status_code=201)
    async def join_space(participant: Participant, wanted: SpaceWish) -> JoinedSpace:
        """Apply for membership and prove who you are. What follows goes on by itself: the credential, the lists."""
        context = await participants.context(participant)
        attributes = {"name": context.title or participant, **wanted.attributes}
        return _shown(await (await opened()).joining.join(participant, wanted.authority, attributes))

    @router.delete("", status_code=204)
    async def leave_space(
        participant: Participant, space: Annotated[str, Query(max_length=512, description="The space's id.")]
    ) -> None:
        """Take no part in a space any more. Its authority is told as soon as it can be reached, and withdraws what it gave."""
        await participants.context(participant)
        await (await opened()).joining.leave(participant, space)

    return router


def _shown(one: Joined) -> JoinedSpace:
    return JoinedSpace.model_validate(
        {
            "space": one.space,
            "title": one.title,
            "authority": one.authority,
            "state": one.state,
            "types": list(one.types),
            "error": one.error,
        }
    )
