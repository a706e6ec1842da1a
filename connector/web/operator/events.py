"""Routes: what happens in a context, in parts or as a stream.

Source: WHATWG HTML, section 9.2 (server-sent events): `id` is the position, so that a client that comes back reads on behind it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Annotated, Final

from fastapi import APIRouter, Header, Query
from starlette.responses import StreamingResponse

from connector.api.events import Event, EventPage
from connector.controlplane.events import Events
from connector.errors import Overloaded
from connector.ports.feed import Happening, Stretch
from connector.web.operator.keys import Participant
from connector.web.operator.parts import Parts
from connector.web.operator.queries import Limit
from connector.web.operator.rooms import room

_QUIET_FOR: Final = timedelta(seconds=15)
"""After so long without news a comment is sent, so that nobody in between takes the connection for dead."""

After = Annotated[
    str | None, Query(max_length=64, description="Position behind which to read; from the beginning without one.")
]
WaitS = Annotated[float, Query(ge=0, le=30, description="How long to wait for news when there are none, seconds.")]
LastId = Annotated[
    str | None, Header(alias="Last-Event-ID", max_length=64, description="As `after`, for clients that come back.")
]


def routes(parts: Parts) -> APIRouter:
    """`/events`, below a participant."""
    router = room("events", "/participants/{participant}/events")

    @router.get("")
    async def list_events(participant: Participant, after: After = None, limit: Limit = 100, wait_s: WaitS = 0) -> EventPage:
        """What happened behind a position, oldest first; with `wait_s`, what happens next."""
        await parts.participants.context(participant)
        _check_room(parts.events)
        stretch = await parts.events.page(participant, after, limit=limit, wait=timedelta(seconds=wait_s))
        return EventPage(items=[_event(one) for one in stretch.happenings], position=stretch.position)

    @router.get(
        "/stream",
        response_class=StreamingResponse,
        responses={
            200: {"content": {"text/event-stream": {}}, "description": "Server-sent events; `data` is an event as JSON."}
        },
    )
    async def stream_events(participant: Participant, after: After = None, last_id: LastId = None) -> StreamingResponse:
        """Everything that happens from now on, or behind a position, as server-sent events."""
        await parts.participants.context(participant)
        _check_room(parts.events)
        position = last_id or after or await parts.events.end()
        # read once before the answer begins: a position that is none is an error, and not a broken stream
        first = await parts.events.page(participant, position, limit=100, wait=timedelta(0))
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        return StreamingResponse(_told(parts.events, participant, first), media_type="text/event-stream", headers=headers)

    return router


def _check_room(events: Events) -> None:
    if events.is_full:
        raise Overloaded("too many follow the events of this node already", mend="share one stream among your programs")


async def _told(events: Events, participant: str, first: Stretch) -> AsyncIterator[str]:
    yield _written(first)
    async for stretch in events.follow(participant, first.position, pause=_QUIET_FOR):
        yield _written(stretch)


def _written(stretch: Stretch) -> str:
    if not stretch.happenings:
        return f": nothing new\nid: {stretch.position}\n\n"
    return "".join(
        f"id: {one.position}\nevent: {one.kind}.{one.record.event}\ndata: {_event(one).model_dump_json()}\n\n"
        for one in stretch.happenings
    )


def _event(found: Happening) -> Event:
    record = found.record
    return Event(
        id=found.id,
        position=found.position,
        at=record.at,
        kind=found.kind.value,
        pid=found.pid,
        event=record.event,
        state=record.state.value if record.state else None,
        by=record.by.value,
        note=record.note,
        role=found.role.value,
        peer=found.peer,
        dataset=found.dataset,
        agreement_id=found.agreement_id,
    )
