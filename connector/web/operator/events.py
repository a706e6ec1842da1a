"""Routes: what happens in a context, in parts or as a stream.

Source: WHATWG HTML, section 9.2 (server-sent events): `id` is the position, so that a client that comes back reads on behind it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Annotated, Final

from fastapi import APIRouter, Header, Query
from starlette.responses import StreamingResponse

from connector.api.events import Event, EventPage
from connector.controlplane.events import Events
from connector.errors import CallerError, Overloaded, TooMany
from connector.ports.feed import Happening, Stretch
from connector.web.operator.keys import Participant, ShownKey, StillLetIn
from connector.web.operator.parts import Parts
from connector.web.operator.queries import Limit
from connector.web.operator.rooms import room

_QUIET_FOR: Final = timedelta(seconds=15)
"""After so long without news a comment is sent, so that nobody in between takes the connection for dead."""
_MOST_OF_ONE: Final = 100
"""Streams of one key or person."""

After = Annotated[
    str | None, Query(max_length=64, description="Position behind which to read; from the beginning without one.")
]
WaitS = Annotated[float, Query(ge=0, le=30, description="How long to wait for news when there are none, seconds.")]
LastId = Annotated[
    str | None, Header(alias="Last-Event-ID", max_length=64, description="As `after`, for clients that come back.")
]


class _Followers:
    """Who follows: a program that opens one stream after the other keeps out itself alone."""

    def __init__(self, events: Events) -> None:
        self._events = events
        self._count: Counter[str] = Counter()

    def check(self, name: str) -> None:
        """Raises: TooMany when the operator `name` follows often enough; Overloaded when all together do."""
        if self._count[name] >= _MOST_OF_ONE:
            raise TooMany("too many streams of yours are open", mend="share one among your programs")
        if self._events.is_full:
            raise Overloaded("too many follow the events of this node already", mend="share one stream among your programs")

    @contextmanager
    def counted(self, name: str) -> Iterator[None]:
        """One more stream of the operator `name` is open meanwhile."""
        self._count[name] += 1
        try:
            yield
        finally:
            self._count[name] -= 1
            if not self._count[name]:
                del self._count[name]


def routes(parts: Parts) -> APIRouter:
    """`/events`, below a participant."""
    followers = _Followers(parts.events)
    router = room("events", "/participants/{participant}/events")

    @router.get("")
    async def list_events(
        operator: ShownKey,
        participant: Participant,
        still: StillLetIn,
        after: After = None,
        limit: Limit = 100,
        wait_s: WaitS = 0,
    ) -> EventPage:
        """What happened behind a position, oldest first; with `wait_s`, what happens next."""
        await parts.participants.context(participant)
        followers.check(operator.name)
        stretch = await parts.events.page(participant, after, limit=limit, wait=timedelta(seconds=wait_s))
        await still()
        return EventPage(items=[_event(one) for one in stretch.happenings], position=stretch.position)

    @router.get(
        "/stream",
        response_class=StreamingResponse,
        responses={
            200: {"content": {"text/event-stream": {}}, "description": "Server-sent events; `data` is an event as JSON."}
        },
    )
    async def stream_events(
        operator: ShownKey, participant: Participant, still: StillLetIn, after: After = None, last_id: LastId = None
    ) -> StreamingResponse:
        """Everything that happens from now on, or behind a position, as server-sent events: until the key or token that was shown ends."""

        async def is_let_in() -> bool:
            try:
                await still()
                await parts.participants.context(participant)
            except CallerError:
                return False
            return True

        await parts.participants.context(participant)
        followers.check(operator.name)
        position = last_id or after or await parts.events.end()
        # read once before the answer begins: a position that is none is an error, and not a broken stream
        first = await parts.events.page(participant, position, limit=100, wait=timedelta(0))
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}

        async def told() -> AsyncIterator[str]:
            with followers.counted(operator.name):
                async for text in _told(parts.events, participant, first, is_let_in):
                    yield text

        return StreamingResponse(told(), media_type="text/event-stream", headers=headers)

    return router


async def _told(
    events: Events, participant: str, first: Stretch, is_let_in: Callable[[], Awaitable[bool]]
) -> AsyncIterator[str]:
    yield _written(first)
    async for stretch in events.follow(participant, first.position, pause=_QUIET_FOR):
        # whoever came in by a key that is good for nothing any more hears nothing of what happens after that
        if not await is_let_in():
            return
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
