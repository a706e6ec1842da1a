"""The provider's end of a push: a task for each transfer that sends, takes up again where it broke off, and tells the end.

What lives here: attempts, pauses between them, and what is told to the control plane.
What does not: one request (`sending.py`), folders (`folders.py`), the receiver (`receive.py`), opening sources (`cargo.py`), and
the state of the transfer (control plane).

A receiver that says it is resumable (ours) is asked how much it has and sent the rest; so is one of another make that can go on with
uploads (`uploads.py`). Any other gets one request with the whole, and again the whole when that failed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Final

from connector import observe
from connector.dataplane.addresses import Destination, destination
from connector.dataplane.cargo import Cargo, Cargoes
from connector.dataplane.deposit import FORMATS, Deposits
from connector.dataplane.folders import Folders
from connector.dataplane.lanes import Lanes, Turns
from connector.dataplane.sending import NOTHING, Moved, Sender, Way
from connector.dataplane.streams import Stream, Streams
from connector.dataplane.uploads import Begun, Uploads
from connector.dsp.transfer import Transfer
from connector.errors import (
    AddressRefused,
    DigestMismatch,
    Forbidden,
    InternalError,
    KontorError,
    PeerAnswer,
    PeerMessage,
    StoreUnavailable,
)
from connector.outbound.rules import shown
from connector.ports.clock import Clock
from connector.ports.dataplane import ENDLESS, Source, TransferEvents

_FINAL_STATUSES: Final = frozenset({400, 405, 413, 415, 501})
"""What no repetition mends. 401, 403 and 404 may pass: the consumer may not have seen yet that the transfer is started."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pushing:
    """How often and how patiently."""

    attempts: int
    first_delay_s: float
    max_delay_s: float
    parallel: int
    silence_s: float


class Pushes:
    """All pushes of a data plane. Its tasks live in a group that the data plane opens and closes."""

    def __init__(
        self,
        *,
        pushing: Pushing,
        cargoes: Cargoes,
        folders: Folders,
        deposits: Deposits,
        publish: Callable[[Transfer, Source, Way, Stream], Awaitable[Moved]],
        streams: Streams,
        lanes: Lanes,
        sender: Sender,
        events: TransferEvents,
        clock: Clock,
    ) -> None:
        self._pushing = pushing
        self._cargoes = cargoes
        self._folders = folders
        self._deposits = deposits
        self._publish = publish
        self._streams = streams
        self._lanes = lanes
        self._sender = sender
        self._uploads = Uploads(sender=sender)
        self._events = events
        self._clock = clock
        self._turns = Turns(pushing.parallel)
        self._tasks: dict[tuple[str, str], asyncio.Task[None]] = {}
        """What moves."""
        self._ending: dict[asyncio.Task[None], tuple[str, str]] = {}
        """What moves or is being told, until it is over."""

    def start(self, group: asyncio.TaskGroup, transfer: Transfer, source: Source) -> None:
        """Begin to push, or take it up again; nothing when it is running."""
        key = (transfer.participant, transfer.pid)
        if key not in self._tasks:
            task = group.create_task(self._run(transfer, source), name=f"push {transfer.pid}")
            self._tasks[key] = task
            self._ending[task] = key
            task.add_done_callback(self._ending.pop)

    async def stop(self, participant: str, pid: str) -> None:
        """Stop pushing, at once."""
        task = self._tasks.pop((participant, pid), None)
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    async def over(self, participant: str, pid: str) -> None:
        """Returns when no push of the transfer is under way, its telling included."""
        while running := [task for task, key in self._ending.items() if key == (participant, pid)]:
            await asyncio.wait(running)

    def places(self) -> tuple[tuple[str, str], ...]:
        """The transfers that are pushed."""
        return tuple(self._tasks)

    async def close(self) -> None:
        """Stop all of them; the control plane starts them again after the next start."""
        for participant, pid in tuple(self._tasks):
            await self.stop(participant, pid)

    async def _run(self, transfer: Transfer, source: Source) -> None:
        with observe.bound(participant=transfer.participant, pid=transfer.pid):
            key = (transfer.participant, transfer.pid)
            moved: Moved | None = None
            reason = ""
            try:
                moved = await self._move(transfer, source)
                observe.info("data.push", bytes=moved.byte_size, digest=moved.digest)
            except KontorError as fault:
                reason = fault.what
                observe.warning("data.push", cause=str(fault))
            except Exception as fault:  # noqa: BLE001 - one push must not end all others; the log has the whole story
                reason = "an error of this node"
                observe.error("data.push", fault=fault)
            # over before it is told: who hears of it may stop the transfer, and must not wait for us
            if self._tasks.pop(key, None) is None:
                return
            if moved is not None:
                await self._tell(
                    lambda: self._events.completed(*key, moved_bytes=moved.byte_size, digest=moved.digest), "completed"
                )
            else:
                await self._tell(lambda: self._events.failed(*key, reason), "failed")

    async def _tell(self, telling: Callable[[], Awaitable[None]], what: str) -> None:
        """Tell the control plane; for as long as its store takes no writes, again."""
        failures = 0
        while True:
            try:
                return await telling()
            except StoreUnavailable as fault:
                observe.warning("data.tell", event_=what, cause=str(fault))
            except KontorError as fault:
                observe.error("data.tell", fault=fault, event_=what)
                return None
            failures += 1
            await self._pause(failures)

    async def _move(self, transfer: Transfer, source: Source) -> Moved:
        """Attempts until the receiver has everything.

        Raises: KontorError when it is over for good: the last attempt's.
        """
        way = Way(mark=transfer.mark, keep=partial(self._events.noted, transfer.participant, transfer.pid))
        while True:
            before = way.offset
            try:
                place = transfer.participant, transfer.pid
                # what has no end must not keep others from their turn
                turn = nullcontext() if transfer.format in ENDLESS else self._turns.taken(transfer.participant, transfer.peer)
                async with turn, self._streams.running(*place, self._pushing.silence_s) as stream:
                    with self._lanes.ours(transfer.participant, transfer.peer) as stream.lane:
                        return await self._attempt(transfer, source, way, stream)
            except (AddressRefused, Forbidden, PeerMessage, InternalError):
                raise
            except KontorError as fault:
                if isinstance(fault, PeerAnswer) and fault.answer_status in _FINAL_STATUSES:
                    raise
                way.failures = 1 if way.offset > before else way.failures + 1
                if way.failures >= self._pushing.attempts:
                    raise
                asked_s = fault.wait_s if isinstance(fault, PeerAnswer) else None
                await self._tell_attempt(transfer, way, fault)
            await self._pause(way.failures, asked_s or 0)

    async def _tell_attempt(self, transfer: Transfer, way: Way, fault: KontorError) -> None:
        url = shown((transfer.destination.endpoint_url() if transfer.destination else None) or "")
        observe.info("data.push-again", failures=way.failures, offset=way.offset, cause=str(fault))
        cause, place = f"{fault.what}; {way.offset} bytes are there", (transfer.participant, transfer.pid)
        await self._tell(lambda: self._events.attempted(*place, url=url, cause=cause), "attempted")

    async def _pause(self, failures: int, asked_s: int = 0) -> None:
        """Return when the next attempt may be made: after a pause that doubles, or the longer one that the receiver asked for."""
        delay_s = min(self._pushing.max_delay_s, max(self._pushing.first_delay_s * 2 ** min(failures - 1, 30), asked_s))
        await self._clock.wait_until(self._clock.now() + timedelta(seconds=delay_s), asyncio.Event())

    async def _attempt(self, transfer: Transfer, source: Source, way: Way, stream: Stream) -> Moved:
        """One attempt.

        Raises: KontorError when the receiver does not have everything after it.
        """
        if transfer.format in ENDLESS:
            return await self._publish(transfer, source, way, stream)
        if transfer.format in FORMATS:
            return await self._deposits.attempt(transfer.format, transfer.destination, source, way, stream)
        goal = destination(transfer.destination)
        if source.is_folder:
            return await self._folders.attempt(goal, source, way, stream)
        # 1. on with an upload that a receiver of another make has begun, while the data is what it was begun with
        begun = None if goal.is_resumable else await self._uploads.found(goal, way)
        if begun is not None:
            if begun.is_complete:
                return Moved(byte_size=begun.offset, digest=source.digest)
            async with self._cargoes.open(source, begun.offset, stream.moved, begun.state) as cargo:
                if begun.is_of(cargo):
                    return await self._send(goal, begun, source, cargo, way, stream)
        # 2. on where our own receivers are; else from the beginning
        here = await self._sender.ask(goal) if goal.is_resumable else NOTHING
        if here.is_complete:
            return Moved(byte_size=here.offset, digest=source.digest)
        async with self._cargoes.open(source, here.offset, stream.moved, here.state) as cargo:
            begun = None if goal.is_resumable else await self._uploads.begin(goal, cargo, source.name, way)
            return await self._send(goal, begun, source, cargo, way, stream)

    async def _send(
        self, goal: Destination, begun: Begun | None, source: Source, cargo: Cargo, way: Way, stream: Stream
    ) -> Moved:
        # where it really goes on: whoever claims more each time than there is has moved nothing
        way.offset = cargo.offset
        try:
            if begun is not None:
                await self._uploads.append(goal, begun, cargo, stream)
            else:
                await self._sender.send(goal, cargo, source.name, stream)
        except PeerAnswer as fault:
            if fault.answer_status == DigestMismatch.status:
                self._cargoes.doubt(source)
            raise
        return Moved(byte_size=cargo.sent(), digest=cargo.final_digest())
