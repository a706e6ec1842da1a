"""What is running for each transfer, and how it is cut at once.

What lives here: `Streams`, the register; `Stream`, one flow of bytes with an end that can be moved.
What does not: what flows, and whether it may.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterable, AsyncIterator, Callable
from functools import cached_property
from types import TracebackType
from typing import Final

from connector.dataplane.kernel import Flow
from connector.dataplane.lanes import Lane
from connector.errors import Conflict

Place = tuple[str, str]
"""Participant and pid of a transfer."""
_TICK_S: Final = 0.005
"""The loop's clock is coarse: what is due within its next tick is due."""


class Stream:
    """One flow, in the task that began it. It ends by itself, by `cut`, or after a silence in which not a single piece moved."""

    __slots__ = (
        "_cancelling",
        "_is_interrupted",
        "_over",
        "_silence_s",
        "_streams",
        "_task",
        "due_at",
        "is_cut",
        "is_over",
        "is_upload",
        "lane",
        "place",
    )

    def __init__(self, streams: Streams, place: Place, silence_s: float, *, is_upload: bool) -> None:
        task = asyncio.current_task(streams.loop)
        assert task is not None
        self._streams = streams
        self._task = task
        self._cancelling = task.cancelling()
        self._silence_s = silence_s
        self._is_interrupted = False
        self._over: asyncio.Event | None = None
        self.place = place
        self.is_upload = is_upload
        self.is_cut = False
        self.is_over = False
        self.lane: Lane | None = None
        """Bounds its pace, once it is known whose stream it is."""
        self.due_at = streams.loop.time() + silence_s
        """When it was silent for too long, if nothing moves until then."""

    def cut(self) -> None:
        """End it at the next turn of the loop, wherever it waits."""
        self.is_cut = True
        self._streams.loop.call_soon(self.interrupt)

    def interrupt(self) -> None:
        """End it now, wherever it waits; once."""
        if not self.is_over and not self._is_interrupted:
            self._is_interrupted = True
            self.due_at = math.inf
            self._task.cancel()

    def moved(self, silence_s: float | None = None) -> None:
        """Something moved: the silence begins anew; `silence_s` when the next may take longer than usual."""
        if not self._is_interrupted:
            self.due_at = self._streams.loop.time() + (silence_s or self._silence_s)
            self._streams.expect(self.due_at)

    def end(self, fault: BaseException | None) -> None:
        """It is over, by `fault`.

        Raises: Conflict in the place of a cancellation by which it was cut, or ended for its silence.
        """
        self.is_over = True
        if self._over is not None:
            self._over.set()
        self._streams.leave(self)
        # as `asyncio.timeout` does it: whoever else has cancelled the task meanwhile is heard
        if not self._is_interrupted or self._task.uncancel() > self._cancelling:
            return
        if isinstance(fault, asyncio.CancelledError):
            if self.is_cut:
                raise Conflict("the flow of data was stopped", mend="see the state of the transfer") from fault
            raise Conflict(f"nothing moved for {self._silence_s:g} s", mend="take up the transfer again") from fault

    async def ended(self) -> None:
        """Return when it is over."""
        if not self.is_over:
            self._over = self._over or asyncio.Event()
            await self._over.wait()

    async def turn(self) -> None:
        """Return when the first bytes may go: what went before in its lane has had its time."""
        if self.lane is not None and self.lane.is_bounded:
            await self.lane.pace(0, self.moved)

    async def went(self, count: int) -> None:
        """Return when the next bytes may go, after `count` that went."""
        self.moved()
        if self.lane is not None and self.lane.is_bounded:
            await self.lane.pace(count, self.moved)

    async def paced(self, chunks: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
        """`chunks` at the pace that is allowed; each of them ends the silence."""
        async for chunk in chunks:
            self.moved()
            yield chunk
            await self.went(len(chunk))

    def filling(self, direct: Flow) -> Flow:
        """`direct`, paced likewise."""

        async def paced(receiver: int) -> AsyncIterator[int]:
            async for count in direct(receiver):
                self.moved()
                yield count
                await self.went(count)

        return paced


class Streams:
    """All flows of a data plane."""

    def __init__(self) -> None:
        self._running: dict[Place, set[Stream]] = {}
        self._timer: asyncio.TimerHandle | None = None
        """One for all: set for whoever is the first to be silent for too long, and not anew with each piece that moves."""
        self._look_at = 0.0
        """What it is set to."""
        self.over: Callable[[str, str], None] = lambda participant, pid: None
        """Called when nothing of a transfer runs any more."""

    @cached_property
    def loop(self) -> asyncio.AbstractEventLoop:
        """Where the flows run; looked up once, because Python asks the system for it each time."""
        return asyncio.get_running_loop()

    def begin(self, participant: str, pid: str, silence_s: float, *, is_upload: bool = False) -> Stream:
        """A flow of transfer `pid` in this task; `end` it, whatever becomes of it.

        INVARIANT: begin it before asking whether the flow is allowed. Who stops a transfer first writes that down and then
        calls `cut`, so each flow either is seen by `cut` or is not allowed any more.
        """
        stream = Stream(self, (participant, pid), silence_s, is_upload=is_upload)
        flows = self._running.get(stream.place)
        if flows is None:
            flows = self._running[stream.place] = set()
        flows.add(stream)
        self.expect(stream.due_at)
        return stream

    def running(self, participant: str, pid: str, silence_s: float, *, is_upload: bool = False) -> _Running:
        """A flow as `begin` gives it, for as long as the context is open.

        Raises: Conflict when it was cut or went silent.
        """
        return _Running(lambda: self.begin(participant, pid, silence_s, is_upload=is_upload))

    def leave(self, stream: Stream) -> None:
        """A flow is over."""
        flows = self._running.get(stream.place)
        if flows is None:
            return
        flows.discard(stream)
        if not flows:
            del self._running[stream.place]
            self.over(*stream.place)

    def expect(self, due_at: float) -> None:
        """Look for who is silent at `due_at` at the latest."""
        if self._timer is not None:
            if self._look_at <= due_at:
                return
            self._timer.cancel()
        self._look_at = due_at
        self._timer = self.loop.call_at(due_at, self._look)

    def _look(self) -> None:
        """End whoever was silent for too long; look again when the next one would have been."""
        self._timer = None
        now, first = self.loop.time(), math.inf
        for flows in tuple(self._running.values()):
            for stream in tuple(flows):
                if stream.due_at <= now + _TICK_S:
                    stream.interrupt()
                else:
                    first = min(first, stream.due_at)
        if first < math.inf:
            self.expect(first)

    def count(self, participant: str, pid: str) -> int:
        """How many flows of a transfer are running."""
        return len(self._running.get((participant, pid), ()))

    def places(self) -> tuple[Place, ...]:
        """The transfers that have flows."""
        return tuple(self._running)

    async def cut(self, participant: str, pid: str) -> None:
        """End all flows of a transfer, and return when they have ended."""
        await _ended(tuple(self._running.get((participant, pid), ())))

    async def cut_uploads(self, participant: str, pid: str, *, spare: Stream | None = None) -> None:
        """End what is being received for a transfer, but for `spare`; as `cut`."""
        flows = self._running.get((participant, pid), ())
        await _ended(tuple(stream for stream in flows if stream.is_upload and stream is not spare))


class _Running:
    """A flow as a context."""

    __slots__ = ("_begin", "_stream")

    def __init__(self, begin: Callable[[], Stream]) -> None:
        self._begin = begin

    async def __aenter__(self) -> Stream:
        self._stream = self._begin()
        return self._stream

    async def __aexit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.end(fault)


async def _ended(flows: tuple[Stream, ...]) -> None:
    for stream in flows:
        stream.cut()
    for stream in flows:
        await stream.ended()
