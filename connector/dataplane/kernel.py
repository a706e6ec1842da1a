"""Bodies that the kernel moves by itself, from a file or a socket into the receiver's socket, without a copy through this process.

What lives here: `from_file` (sendfile) and `from_socket` (splice through a pipe), each a flow of byte counts that fills a socket.
What does not: who may read, ranges, and the answer's head; whether the receiver's socket may be filled so (`web/data.py`: never
under TLS), and the way without it, which every body has (`Served.chunks`).

Measured on two shared and busy cores, CPU for each GB over loopback: a local file 0.34 s by reads of 256 KiB and 0.28 s by sendfile;
a relay 0.59 s through buffers and 0.42 s by splice. Below `WORTH_BYTES` the setting up costs more than it saves. Linux alone has both.
Source: sendfile(2), splice(2), pipe(7).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Final, Protocol

from connector.errors import SourceError, Unreachable

WORTH_BYTES: Final = 256 << 10
"""Smaller bodies go the usual way."""
IS_HERE: Final = sys.platform == "linux" and hasattr(os, "splice")
_PIECE_BYTES: Final = 512 << 10
_PIPE_BYTES: Final = 1 << 20
_PIPE_BYTES_AT_LEAST: Final = 64 << 10

Flow = Callable[[int], AsyncIterator[int]]
"""Fills the socket whose descriptor it is given, which must not block; gives the number of bytes of each piece that went."""


class Cached(Protocol):
    """Sees to it that a part of a file is in memory, without holding up the event loop."""

    async def __call__(self, fd: int, offset: int, size: int) -> None: ...


def from_file(fd: int, first: int, length: int, name: str, cached: Cached) -> Flow:
    """`length` bytes of the open file `fd` from `first`.

    Raises, while it flows: SourceError when the file has become shorter; Unreachable when the receiver is gone.
    """

    async def flow(receiver: int) -> AsyncIterator[int]:
        offset, end = first, first + length
        while offset < end:
            size = min(_PIECE_BYTES, end - offset)
            await cached(fd, offset, size)
            try:
                sent = os.sendfile(receiver, fd, offset, size)
            except BlockingIOError:
                await _until(receiver, is_writable=True)
                continue
            except OSError as fault:
                raise _gone() from fault
            if sent == 0:
                raise SourceError("the file became shorter while it was read", where=name)
            offset += sent
            # neither a file in memory nor a fast receiver ever waits: without this, one flow would keep the loop to itself
            await asyncio.sleep(0)
            yield sent

    return flow


def from_socket(fd: int, before: bytes, length: int, where: str) -> Flow:
    """What was read already, `before`, and then `length` bytes of the socket `fd`, which must not block.

    Raises, while it flows: SourceError when the sender breaks off; Unreachable when the receiver is gone.
    """

    async def flow(receiver: int) -> AsyncIterator[int]:
        # 1. what is here already
        view = memoryview(before)
        while view:
            view = view[await _written(receiver, view) :]
        if before:
            yield len(before)
        # 2. the rest, through a pipe that holds at most `room` bytes
        with _pipe() as (out, into, room):
            left, held = length, 0
            while left or held:
                if left and not held:
                    held = await _taken(fd, into, min(left, room), where)
                    left -= held
                sent = await _given(out, receiver, held, is_last=not left)
                held -= sent
                await asyncio.sleep(0)
                yield sent

    return flow


async def _written(receiver: int, view: memoryview) -> int:
    while True:
        try:
            return os.write(receiver, view)
        except BlockingIOError:
            await _until(receiver, is_writable=True)
        except OSError as fault:
            raise _gone() from fault


async def _taken(fd: int, into: int, most: int, where: str) -> int:
    """How many bytes went from the socket into the pipe; at least one."""
    while True:
        try:
            count = os.splice(fd, into, most, flags=os.SPLICE_F_MOVE | os.SPLICE_F_NONBLOCK)
        except BlockingIOError:
            await _until(fd, is_writable=False)
            continue
        except OSError as fault:
            raise SourceError(f"the upstream broke off: {fault.strerror}", where=where) from fault
        if count == 0:
            raise SourceError("the upstream broke off before the end", where=where)
        return count


async def _given(out: int, receiver: int, held: int, *, is_last: bool) -> int:
    """How many bytes went from the pipe to the receiver; at least one."""
    flags = os.SPLICE_F_MOVE | os.SPLICE_F_NONBLOCK | (0 if is_last else os.SPLICE_F_MORE)
    while True:
        try:
            return os.splice(out, receiver, held, flags=flags)
        except BlockingIOError:
            await _until(receiver, is_writable=True)
        except OSError as fault:
            raise _gone() from fault


@contextlib.contextmanager
def _pipe() -> Iterator[tuple[int, int, int]]:
    """Both ends of a pipe, and how much it holds."""
    import fcntl

    out, into = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        room = _PIPE_BYTES_AT_LEAST
        # the system lets one user have so much; beyond that pipes stay as they are made
        with contextlib.suppress(PermissionError):
            room = fcntl.fcntl(into, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        yield out, into, room
    finally:
        os.close(out)
        os.close(into)


async def _until(fd: int, *, is_writable: bool) -> None:
    """Return when `fd` takes, or has, something again."""
    loop = asyncio.get_running_loop()
    ready = loop.create_future()

    def tell() -> None:
        if not ready.done():
            ready.set_result(None)

    watch, forget = (loop.add_writer, loop.remove_writer) if is_writable else (loop.add_reader, loop.remove_reader)
    watch(fd, tell)
    try:
        await ready
    finally:
        forget(fd)


def _gone() -> Unreachable:
    return Unreachable("the receiver is gone", mend="it may take up the transfer again")
