"""What is running for each transfer, and how it is cut at once.

What lives here: `Streams`, the register; `Stream`, one flow of bytes with an end that can be moved.
What does not: what flows, and whether it may.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Callable
from contextlib import asynccontextmanager

from connector.dataplane.kernel import Flow
from connector.dataplane.lanes import Lane
from connector.errors import Conflict


class Stream:
    """One flow. It ends by itself, by `cut`, or after `silence_s` in which not a single piece moved."""

    def __init__(self, scope: asyncio.Timeout, silence_s: float, *, is_upload: bool) -> None:
        self.is_upload = is_upload
        self._scope = scope
        self._silence_s = silence_s
        self._loop = loop = asyncio.get_running_loop()
        self._due_at = loop.time() + silence_s
        # one timer for a stream: what moves says when it did, and nothing is set anew with each piece
        self._timer = loop.call_at(self._due_at, self._look)
        self.is_cut = False
        self.lane: Lane | None = None
        """Bounds its pace, once it is known whose stream it is."""
        self.over = asyncio.Event()

    def cut(self) -> None:
        """End it at the next turn of the loop, wherever it waits."""
        self.is_cut = True
        if not self.over.is_set() and not self._scope.expired():
            self._scope.reschedule(self._loop.time())

    def moved(self, silence_s: float | None = None) -> None:
        """Something moved: the silence begins anew; `silence_s` when the next may take longer than usual."""
        self._due_at = due_at = self._loop.time() + (silence_s or self._silence_s)
        if self._timer.when() > due_at:
            self._timer.cancel()
            self._timer = self._loop.call_at(due_at, self._look)

    def _look(self) -> None:
        """End it when it was silent for too long; else look again when it would have been."""
        now = self._loop.time()
        if now < self._due_at:
            self._timer = self._loop.call_at(self._due_at, self._look)
        elif not self.is_cut and not self.over.is_set() and not self._scope.expired():
            self._scope.reschedule(now)

    def end(self) -> None:
        """It is over."""
        self._timer.cancel()
        self.over.set()

    async def went(self, count: int) -> None:
        """Return when the next bytes may go, after `count` that went."""
        self.moved()
        if self.lane is not None:
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
        self._running: dict[tuple[str, str], set[Stream]] = {}
        self.over: Callable[[str, str], None] = lambda participant, pid: None
        """Called when nothing of a transfer runs any more."""

    @asynccontextmanager
    async def running(self, participant: str, pid: str, silence_s: float, *, is_upload: bool = False) -> AsyncIterator[Stream]:
        """A flow of transfer `pid`, for as long as the context is open.

        INVARIANT: enter it before asking whether the flow is allowed. Who stops a transfer first writes that down and then
        calls `cut`, so each flow either is seen by `cut` or is not allowed any more.

        Raises: Conflict when it was cut or went silent.
        """
        flows = self._running.setdefault((participant, pid), set())
        stream: Stream | None = None
        try:
            async with asyncio.timeout(None) as scope:
                stream = Stream(scope, silence_s, is_upload=is_upload)
                flows.add(stream)
                yield stream
        except TimeoutError as fault:
            if stream is None or not scope.expired():
                raise
            if stream.is_cut:
                raise Conflict("the flow of data was stopped", mend="see the state of the transfer") from fault
            raise Conflict(f"nothing moved for {silence_s:g} s", mend="take up the transfer again") from fault
        finally:
            if stream is not None:
                stream.end()
                flows.discard(stream)
            if not flows and self._running.get((participant, pid)) is flows:
                del self._running[participant, pid]
                self.over(participant, pid)

    def count(self, participant: str, pid: str) -> int:
        """How many flows of a transfer are running."""
        return len(self._running.get((participant, pid), ()))

    def places(self) -> tuple[tuple[str, str], ...]:
        """The transfers that have flows."""
        return tuple(self._running)

    async def cut(self, participant: str, pid: str) -> None:
        """End all flows of a transfer, and return when they have ended."""
        await _ended(tuple(self._running.get((participant, pid), ())))

    async def cut_uploads(self, participant: str, pid: str, *, spare: Stream | None = None) -> None:
        """End what is being received for a transfer, but for `spare`; as `cut`."""
        flows = self._running.get((participant, pid), ())
        await _ended(tuple(stream for stream in flows if stream.is_upload and stream is not spare))


async def _ended(flows: tuple[Stream, ...]) -> None:
    for stream in flows:
        stream.cut()
    for stream in flows:
        await stream.over.wait()
