"""A flow as one use of the data: it counts from the moment at which something is handed out, and ends with the flow."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from types import TracebackType

from connector.dataplane.kernel import Flow
from connector.dsp.values import replace
from connector.ports.dataplane import Served, Use

_NOT_MODIFIED = 304


class Counting:
    """One use: what it was allowed as, and how many bytes of it moved. Without a use: nothing is handed out, or nobody counts."""

    __slots__ = ("_moved", "use")

    def __init__(self) -> None:
        self.use: Use | None = None
        self._moved = 0

    async def begun(self, served: Served) -> Served:
        """`served`, counted from now on if it hands something out.

        Raises: Conflict when the use may not begin any more.
        """
        use = self.use
        if use is None or served.status >= 400 or served.status == _NOT_MODIFIED:
            return served
        await use.begin()
        if served.body is not None or served.chunks is None:
            return served
        direct = self._filling(served.direct) if served.direct is not None else None
        return replace(served, chunks=self._counting(served.chunks), direct=direct)

    def moved(self, count: int) -> None:
        """So many bytes went."""
        self._moved += count

    def end(self) -> None:
        """The flow is over; one that never began was no use."""
        if self.use is not None:
            self.use.end(self._moved)

    async def _counting(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        async for chunk in chunks:
            self._moved += len(chunk)
            yield chunk

    def _filling(self, direct: Flow) -> Flow:
        async def filling(receiver: int) -> AsyncIterator[int]:
            async for count in direct(receiver):
                self._moved += count
                yield count

        return filling


class counted:
    """What `opened` serves, as the use that it was allowed as.

    Raises, on entering: Conflict when the use may not begin any more.
    """

    __slots__ = ("_counting", "_opened", "_served")

    def __init__(self, use: Use | None, opened: AbstractAsyncContextManager[Served]) -> None:
        self._counting = Counting()
        self._counting.use = use
        self._opened = opened

    async def __aenter__(self) -> Served:
        try:
            served = await self._opened.__aenter__()
            try:
                self._served = served = await self._counting.begun(served)
                return served
            except BaseException:
                await self._opened.__aexit__(*sys.exc_info())
                raise
        except BaseException:
            self._counting.end()
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        if self._served.body is not None and fault is None:
            self._counting.moved(len(self._served.body))
        try:
            return await self._opened.__aexit__(kind, fault, trace)
        finally:
            self._counting.end()
