"""Data workers as their node sees them: processes that move bytes, while who may move them is decided here.

What lives here: `Attached`, one worker: what it asks, and what it is told; `Crew`, all of them: what was stopped is cut in each.
What does not: starting and watching processes (`app/`), the worker's own side (`remote.py`).

INVARIANT: when `Crew.stop` returns, nothing of the transfer moves in any worker. A worker enters a flow before it asks whether it is
allowed, and what is told on its channel comes in order: each flow either is seen by the stop, or is refused.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Awaitable, Callable, Iterator, Sequence

from connector import measures, observe
from connector.dataplane.channel import Channel, End, Gone
from connector.dsp.transfer import Access, Transfer
from connector.dsp.values import replace
from connector.errors import Conflict
from connector.ports.dataplane import Authorizer, Event, Grant, Source, TransferEvents, Use

Place = tuple[str, str]
"""Participant and pid."""


class Attached:
    """One worker."""

    def __init__(self, crew: Crew, at: End, orders: tuple[object, ...]) -> None:
        self._crew = crew
        self._numbers = itertools.count(1)
        self._uses: dict[int, Use] = {}
        self.places: set[Place] = set()
        """Transfers of which something may flow there."""
        self.pushes: set[Place] = set()
        """Transfers that it pushes, or rests from pushing."""
        self.is_ready = False
        """It listens."""
        self.channel = Channel(
            at,
            answers={
                "may_pull": self._may_pull,
                "may_pass": self._may_pass,
                "may_push": self._may_push,
                "may_stream": self._may_stream,
                "renew": self._renew,
                "begin": self._begin,
                "completed": self._completed,
                "received": self._received,
                "failed": self._failed,
                "attempted": self._attempted,
                "noted": crew.events.noted,
            },
            hears={
                "end": self._end,
                "over": self._over,
                "ready": self._ready,
                "counted": observe.add,
                "measured": measures.put,
            },
            first=(("begin", orders),),
        )

    def let_go(self) -> None:
        """It is gone: what it had in use is in use no more."""
        uses, self._uses = self._uses, {}
        for use in uses.values():
            use.end(0)
        places = self.places | self.pushes
        self.places.clear()
        self.pushes.clear()
        for place in places:
            self._crew.ended(*place)

    async def _may_pull(self, participant: str, pid: str, token: str | None, is_look: bool) -> tuple[Grant, int | None]:
        self.places.add((participant, pid))
        grant = await self._crew.authorizer.may_pull(participant, pid, token, is_look=is_look)
        return replace(grant, use=None), self._numbered(grant.use)

    async def _may_stream(self, transfer: Transfer) -> tuple[None, int | None]:
        return None, self._numbered(await self._crew.authorizer.may_stream(transfer))

    def _numbered(self, use: Use | None) -> int | None:
        if use is None:
            return None
        number = next(self._numbers)
        self._uses[number] = use
        return number

    async def _may_pass(self, transfer: Transfer, events: Sequence[Event]) -> int:
        return await self._crew.authorizer.may_pass(transfer, events)

    async def _may_push(self, participant: str, pid: str, token: str | None) -> Transfer:
        self.places.add((participant, pid))
        found = await self._crew.authorizer.may_push(participant, pid, token)
        await self._crew.cut_uploads(participant, pid, spare=self)
        return found

    async def _renew(self, participant: str, pid: str, token: str | None, access: Access) -> None:
        await self._crew.authorizer.renew(participant, pid, token, access)

    async def _begin(self, number: int) -> None:
        use = self._uses.get(number)
        if use is None:
            raise Conflict("it took too long until data was there", mend="ask again")
        await use.begin()

    def _end(self, number: int, moved_bytes: int) -> None:
        use = self._uses.pop(number, None)
        if use is not None:
            use.end(moved_bytes)

    def _over(self, participant: str, pid: str) -> None:
        self.places.discard((participant, pid))
        self._crew.ended(participant, pid)

    def _ready(self) -> None:
        self.is_ready = True

    async def _completed(self, participant: str, pid: str, moved_bytes: int, digest: str | None) -> None:
        await self._crew.events.completed(participant, pid, moved_bytes=moved_bytes, digest=digest)

    async def _received(self, participant: str, pid: str, moved_bytes: int, digest: str) -> None:
        await self._crew.events.received(participant, pid, moved_bytes=moved_bytes, digest=digest)

    async def _failed(self, participant: str, pid: str, reason: str) -> None:
        await self._crew.events.failed(participant, pid, reason)

    async def _attempted(self, participant: str, pid: str, url: str, cause: str) -> None:
        await self._crew.events.attempted(participant, pid, url=url, cause=cause)


class Crew:
    """All workers of a node."""

    def __init__(self, authorizer: Authorizer, events: TransferEvents) -> None:
        self.authorizer = authorizer
        self.events = events
        self._attached: set[Attached] = set()
        self.is_leaving = False
        self.cut_here: Callable[[str, str], Awaitable[None]] | None = None
        """Ends what this process itself receives for a transfer."""
        self.tell_over: Callable[[str, str], None] = lambda participant, pid: None
        """Called when nothing of a transfer runs in any worker any more."""

    @contextlib.contextmanager
    def attached(self, at: End, *orders: object) -> Iterator[Attached]:
        """A worker at the other end of `at`, for as long as the context is open; it begins with `orders`."""
        worker = Attached(self, at, orders)
        self._attached.add(worker)
        try:
            yield worker
        finally:
            self._attached.discard(worker)
            worker.let_go()

    @property
    def ready(self) -> int:
        """How many of them listen."""
        return sum(worker.is_ready for worker in self._attached)

    def leave(self) -> None:
        """The node stops: all of them cut what flows, tell how far it came, and end."""
        self.is_leaving = True
        for worker in self._attached:
            worker.channel.tell("leave")

    def places(self) -> tuple[Place, ...]:
        """The transfers of which something may run in a worker."""
        return tuple({place for worker in self._attached for place in (*worker.places, *worker.pushes)})

    def ended(self, participant: str, pid: str) -> None:
        """Nothing of a transfer runs in one of them any more: told when that is so in all."""
        if (participant, pid) not in self.places():
            self.tell_over(participant, pid)

    async def start(self, transfer: Transfer, source: Source) -> bool:
        """Have a worker push `source`; nothing when one does so. False: there is none that could."""
        place = transfer.participant, transfer.pid
        listening = [worker for worker in self._attached if worker.is_ready]
        if any(place in worker.pushes for worker in listening):
            return True
        for worker in sorted(listening, key=lambda one: len(one.pushes)):
            worker.pushes.add(place)
            with contextlib.suppress(Gone):
                await worker.channel.call("start", transfer, source)
                return True
        return False

    async def fetch(self, transfer: Transfer) -> tuple[int, str] | None:
        """Bytes and digest of a pull that a worker has fetched into the inbox; None: there is none that could.

        Raises: as `Fetcher.fetch`.
        """
        place = transfer.participant, transfer.pid
        for worker in sorted((one for one in self._attached if one.is_ready), key=lambda one: len(one.places)):
            # it says by itself when nothing flows there any more
            worker.places.add(place)
            with contextlib.suppress(Gone):
                found: tuple[int, str] = await worker.channel.call("fetch", transfer)
                return found
        return None

    async def over(self, participant: str, pid: str) -> None:
        """Returns when no worker pushes for a transfer any more, its telling included."""
        place = participant, pid
        for worker in [one for one in self._attached if place in one.pushes]:
            # one that is gone pushes nothing; whoever waits finds that its end was not told
            with contextlib.suppress(Gone):
                await worker.channel.call("over", participant, pid)
            worker.pushes.discard(place)

    async def stop(self, participant: str, pid: str) -> None:
        """Cut what runs for a transfer in any worker."""
        await self._all("stop", participant, pid)

    async def cut_uploads(self, participant: str, pid: str, *, spare: Attached | None = None) -> None:
        """End what other workers than `spare` receive for a transfer; and this process, when one of them receives it."""
        if spare is not None and self.cut_here is not None:
            await self.cut_here(participant, pid)
        await self._all("cut_uploads", participant, pid, spare=spare)

    async def _all(self, name: str, participant: str, pid: str, *, spare: Attached | None = None) -> None:
        async def told(worker: Attached) -> None:
            # one that is gone moves nothing
            with contextlib.suppress(Gone):
                await worker.channel.call(name, participant, pid)

        place = participant, pid
        concerned = [one for one in self._attached if one is not spare and (place in one.places or place in one.pushes)]
        await asyncio.gather(*(told(one) for one in concerned))
