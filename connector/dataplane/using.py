"""A flow as one use of the data: it counts from the moment at which something is handed out, and ends with the flow."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from types import TracebackType

from connector.dataplane.kernel import Flow
from connector.ports.dataplane import Served, Use

_NOT_MODIFIED = 304


class counted:
    """What `opened` serves, as the use that it was allowed as; None: nothing is handed out, or nobody counts.

    Raises, on entering: Conflict when the use may not begin any more.
    """

    __slots__ = ("_moved", "_opened", "_served", "_use")

    def __init__(self, use: Use | None, opened: AbstractAsyncContextManager[Served]) -> None:
        self._use = use
        self._opened = opened
        self._moved = 0

    async def __aenter__(self) -> Served:
        use = self._use
        try:
            served = await self._opened.__aenter__()
            if use is not None and served.status < 400 and served.status != _NOT_MODIFIED:
                try:
                    await use.begin()
                except BaseException:
                    await self._opened.__aexit__(*sys.exc_info())
                    raise
                if served.body is None and served.chunks is not None:
                    direct = self._filling(served.direct) if served.direct is not None else None
                    served = replace(served, chunks=self._counting(served.chunks), direct=direct)
        except BaseException:
            if use is not None:
                use.end(0)
            raise
        self._served = served
        return served

    async def __aexit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        try:
            return await self._opened.__aexit__(kind, fault, trace)
        finally:
            if self._use is not None:
                if self._served.body is not None and fault is None:
                    self._moved = len(self._served.body)
                self._use.end(self._moved)

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
