"""Reading and writing files without holding up the event loop.

What lives here: `Disk`, the threads that wait for disks; reading a piece of a file; hashing a file.
What does not: which file may be opened (`sources.py`, `inbox.py`).
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Final, ParamSpec, Protocol, TypeVar, cast

from connector.errors import SourceError

CHUNK_BYTES: Final = 256 << 10
_HASHED_AT_ONCE = 64 << 20
_NOWAIT: Final[int | None] = getattr(os, "RWF_NOWAIT", None)

P = ParamSpec("P")
T = TypeVar("T")


class Closable(Protocol):
    """Something that is open."""

    def close(self) -> None: ...


C = TypeVar("C", bound=Closable)


class Disk:
    """A few threads of the data plane's own: a slow disk must not starve name resolution and others."""

    def __init__(self, threads: int = 8) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="kontor-disk")
        # of their own, so that opening a file does not wait for those that flow
        self._movers = ThreadPoolExecutor(threads, thread_name_prefix="kontor-move")

    def close(self) -> None:
        """Let the threads go; what they do is finished first."""
        for pool in (self._pool, self._movers):
            pool.shutdown(wait=True, cancel_futures=True)

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What `work` gives back, done in a thread.

        INVARIANT: a cancelled caller waits until the thread is done, so no thread ever touches a file descriptor that was
        closed and given to somebody else meanwhile.
        """
        future = asyncio.get_running_loop().run_in_executor(self._pool, lambda: work(*args, **kwargs))
        return await _finished(future)

    async def move(self, work: Callable[[], int]) -> int:
        """What `work`, which moves bytes between descriptors, gives back; as `run`."""
        return await _finished(asyncio.get_running_loop().run_in_executor(self._movers, work))

    @asynccontextmanager
    async def opened(self, work: Callable[P, C], *args: P.args, **kwargs: P.kwargs) -> AsyncIterator[C]:
        """What `work` opens in a thread, closed at the end; also when the caller was cancelled while it was opened."""
        future = asyncio.get_running_loop().run_in_executor(self._pool, lambda: work(*args, **kwargs))
        try:
            yield await _finished(future)
        finally:
            if not future.cancelled() and future.exception() is None:
                future.result().close()

    async def read(self, fd: int, offset: int, size: int) -> bytes:
        """At least one and at most `size` bytes of `fd` from `offset`; empty at the end of the file.

        What the kernel has in memory is taken at once, the rest in a thread.
        """
        if _NOWAIT is not None:
            buffer = bytearray(size)
            try:
                count = os.preadv(fd, [buffer], offset, _NOWAIT)
            except OSError:  # not in memory, or a file system that cannot tell: the thread finds out
                count = 0
            if count == size:
                return cast(bytes, buffer)  # never written again: no copy is needed
            if count > 0:
                return bytes(memoryview(buffer)[:count])
        return await self.run(os.pread, fd, size, offset)

    async def chunks(self, fd: int, first: int, length: int, name: str) -> AsyncIterator[bytes]:
        """`length` bytes of `fd` from `first`.

        Raises: SourceError when the file has become shorter; what was sent is not whole then.
        """
        offset, end = first, first + length
        while offset < end:
            chunk = await self.read(fd, offset, min(CHUNK_BYTES, end - offset))
            if not chunk:
                raise SourceError("the file became shorter while it was read", where=name)
            offset += len(chunk)
            # neither a file in memory nor a fast receiver ever waits: without this, one flow would keep the loop to itself
            await asyncio.sleep(0)
            yield chunk

    async def sha256(self, fd: int, size: int, progress: Callable[[], None] | None = None, *, first: int = 0) -> str:
        """The SHA-256 of the first `size` bytes of `fd`, without those before `first`, hexadecimal; `progress` is called now and then.

        Raises: SourceError when the file has become shorter.
        """
        hasher = hashlib.sha256()
        offset = first
        while offset < size:
            # piece by piece, so that whoever no longer wants the result need not wait for a terabyte
            count = await self.run(_hash_piece, hasher, fd, offset, min(_HASHED_AT_ONCE, size - offset))
            if count == 0:
                raise SourceError("the file became shorter while it was read")
            offset += count
            if progress is not None:
                progress()
        return hasher.hexdigest()


def _hash_piece(hasher: hashlib._Hash, fd: int, offset: int, length: int) -> int:
    buffer = bytearray(min(CHUNK_BYTES, length))
    view = memoryview(buffer)
    done = 0
    while done < length:
        count = os.preadv(fd, [view[: min(len(buffer), length - done)]], offset + done)
        if count == 0:
            break
        hasher.update(view[:count])
        done += count
    return done


async def _finished(future: asyncio.Future[T]) -> T:
    """The result of a thread's work; who is cancelled meanwhile waits for the thread all the same."""
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        while not future.done():
            await asyncio.wait([future])
        if not future.cancelled():
            future.exception()  # looked at, so that nothing is reported as never retrieved
        raise
