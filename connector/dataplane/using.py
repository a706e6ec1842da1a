"""A flow as one use of the data: it counts from the moment at which something is handed out, and ends with the flow."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from functools import partial

from connector.dataplane.kernel import Flow
from connector.ports.dataplane import Served, Use

_NOT_MODIFIED = 304


@asynccontextmanager
async def counted(use: Use | None, opened: AbstractAsyncContextManager[Served]) -> AsyncIterator[Served]:
    """What `opened` serves, as the use that it was allowed as; None: nothing is handed out, or nobody counts.

    Raises, on entering: Conflict when the use may not begin any more.
    """
    if use is None:
        async with opened as served:
            yield served
        return
    moved = 0

    async def counting(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        nonlocal moved
        async for chunk in chunks:
            moved += len(chunk)
            yield chunk

    async def filling(direct: Flow, receiver: int) -> AsyncIterator[int]:
        nonlocal moved
        async for count in direct(receiver):
            moved += count
            yield count

    try:
        async with opened as served:
            if served.status < 400 and served.status != _NOT_MODIFIED:
                await use.begin()
                if served.chunks is not None:
                    direct = partial(filling, served.direct) if served.direct is not None else None
                    served = replace(served, chunks=counting(served.chunks), direct=direct)
            yield served
    finally:
        use.end(moved)
