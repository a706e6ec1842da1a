"""Bodies that the kernel moves by itself, from a file or a socket into the receiver's socket, without a copy through this process.

What lives here: `from_file` (sendfile) and `from_socket` (splice through a pipe), each a flow of byte counts that fills a socket.
What does not: who may read, ranges, and the answer's head; whether the receiver's socket may be filled so (`web/data.py`: never
under TLS), and the way without it, which every body has (`Served.chunks`).

A thread moves bytes for some milliseconds at a time, so that neither a slow disk nor a fast receiver keeps the event loop from the
control plane; a flow that stands still has no thread and waits in the loop. Whoever is cut waits for those milliseconds.
Measured on two shared and busy cores, CPU for each GB over loopback: a local file 0.34 s by reads of 256 KiB and 0.20 s by sendfile;
a relay 0.59 s through buffers and 0.26 s by splice. Below `WORTH_BYTES` the setting up costs more than it saves. Linux alone has both.
Source: sendfile(2), splice(2), pipe(7).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Final, Protocol

from connector.errors import SourceError, Unreachable

WORTH_BYTES: Final = 256 << 10
"""Smaller bodies go the usual way."""
IS_HERE: Final = sys.platform == "linux" and hasattr(os, "splice")
_PIECE_BYTES: Final = 512 << 10
_PIPE_BYTES: Final = 1 << 20
_PIPE_BYTES_AT_LEAST: Final = 64 << 10
_AT_A_TIME_S: Final = 0.01
"""How long a thread moves bytes of one flow before it asks for more time."""
_AT_A_TIME_BYTES: Final = 16 << 20
_WAITS_MS: Final = 5
"""How long it waits for a socket that is not ready, before the loop does."""

Flow = Callable[[int], AsyncIterator[int]]
"""Fills the socket whose descriptor it is given, which must not block; gives the number of bytes of each piece that went."""


class Move(Protocol):
    """Runs `work` in a thread, and returns when it is done also where it was cancelled meanwhile (`disk.py`)."""

    async def __call__(self, work: Callable[[], int], /) -> int: ...


def from_file(fd: int, first: int, length: int, name: str, move: Move) -> Flow:
    """`length` bytes of the open file `fd` from `first`.

    Raises, while it flows: SourceError when the file has become shorter; Unreachable when the receiver is gone.
    """

    async def flow(receiver: int) -> AsyncIterator[int]:
        offset, end = first, first + length
        while offset < end:

            def send(offset: int = offset) -> int:
                return _sent(fd, offset, min(end - offset, _AT_A_TIME_BYTES), receiver, name)

            count = await move(send)
            if count:
                offset += count
                yield count
            else:
                await _until(receiver, is_writable=True)

    return flow


def _sent(fd: int, offset: int, most: int, receiver: int, name: str) -> int:
    """How many bytes of the file went until the receiver took no more, or the time was over."""
    over_at, count = time.monotonic() + _AT_A_TIME_S, 0
    while count < most and time.monotonic() < over_at:
        try:
            sent = os.sendfile(receiver, fd, offset + count, min(most - count, _PIECE_BYTES))
        except BlockingIOError:
            if not _is_ready(receiver, select.POLLOUT):
                break
            continue
        except OSError as fault:
            raise _gone() from fault
        if sent == 0:
            raise SourceError("the file became shorter while it was read", where=name)
        count += sent
    return count


def from_socket(fd: int, before: bytes, length: int, where: str, move: Move) -> Flow:
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
        # 2. the rest
        with _pipe() as (out, into, room):
            pipe = _Pipe(source=fd, into=into, out=out, receiver=receiver, room=room, left=length, where=where)
            while pipe.left or pipe.held:
                count = await move(pipe.moved)
                if count:
                    yield count
                elif pipe.held:
                    await _until(receiver, is_writable=True)
                else:
                    await _until(fd, is_writable=False)

    return flow


@dataclass(slots=True, kw_only=True)
class _Pipe:
    """Between two sockets."""

    source: int
    into: int
    out: int
    receiver: int
    room: int
    """Bytes that it holds at most."""
    left: int
    """Bytes that the source still has to give."""
    where: str
    held: int = 0

    def moved(self) -> int:
        """How many bytes reached the receiver until one of the sockets was not ready, or the time was over."""
        over_at, count = time.monotonic() + _AT_A_TIME_S, 0
        while (self.left or self.held) and time.monotonic() < over_at:
            if not self.held and not self._take():
                if not _is_ready(self.source, select.POLLIN):
                    break
            elif given := self._give():
                count += given
            elif not _is_ready(self.receiver, select.POLLOUT):
                break
        return count

    def _take(self) -> bool:
        """Fill the pipe; False when nothing is there."""
        try:
            count = os.splice(self.source, self.into, min(self.left, self.room), flags=os.SPLICE_F_MOVE | os.SPLICE_F_NONBLOCK)
        except BlockingIOError:
            return False
        except OSError as fault:
            raise SourceError(f"the upstream broke off: {fault.strerror}", where=self.where) from fault
        if count == 0:
            raise SourceError("the upstream broke off before the end", where=self.where)
        self.left -= count
        self.held += count
        return True

    def _give(self) -> int:
        """How many bytes of the pipe the receiver takes; 0 when it takes none."""
        flags = os.SPLICE_F_MOVE | os.SPLICE_F_NONBLOCK | (os.SPLICE_F_MORE if self.left else 0)
        try:
            count = os.splice(self.out, self.receiver, self.held, flags=flags)
        except BlockingIOError:
            return 0
        except OSError as fault:
            raise _gone() from fault
        self.held -= count
        return count


def _is_ready(fd: int, event: int) -> bool:
    waiting = select.poll()
    waiting.register(fd, event)
    return bool(waiting.poll(_WAITS_MS))


async def _written(receiver: int, view: memoryview) -> int:
    while True:
        try:
            return os.write(receiver, view)
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
