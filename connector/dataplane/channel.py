"""Calls between processes of one node, both ways over one socket that nobody else can reach.

What lives here: `Channel`. What does not: what is called (`workers.py`, `remote.py`), starting processes (`app/`).

Values travel pickled: both ends are this very release, started one by the other, on a pair of sockets without a name. Nothing that a
peer sent is ever unpickled. A call is answered in a task of its own, and what is told is done at once, in the order in which it came.
"""

from __future__ import annotations

import asyncio
import itertools
import pickle
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from enum import IntEnum
from typing import Any, Final

from connector import observe
from connector.errors import InternalError, KontorError

_LENGTH_BYTES: Final = 4


class _Kind(IntEnum):
    CALL = 0
    TELL = 1
    DONE = 2
    FAULT = 3


End = socket.socket
"""One end of a pair of sockets without a name."""


def pair() -> tuple[End, End]:
    """Both ends."""
    return socket.socketpair()


def inherited(fd: int) -> End:
    """The end that a process was started with."""
    return socket.socket(fileno=fd)


class Gone(ConnectionError):
    """The other process is gone; whatever it was asked, it does not do it any more."""


class Channel:
    """One end. `serve` has to run for calls to be answered, in both directions."""

    def __init__(
        self,
        at: End,
        *,
        answers: Mapping[str, Callable[..., Awaitable[object]]],
        hears: Mapping[str, Callable[..., None]],
        first: Sequence[tuple[str, tuple[object, ...]]] = (),
    ) -> None:
        """`answers`: what the other side may call, by name; `hears`: what it may tell, which answers nothing and never waits.

        `first`: what the other side is told before anything else.
        """
        self._at = at
        self._answers = answers
        self._hears = hears
        self._first = first
        self._numbers = itertools.count()
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._writer: asyncio.StreamWriter | None = None

    async def serve(self) -> None:
        """Answer until the other side is gone; then everything that still waits for it fails with Gone."""
        loop = asyncio.get_running_loop()
        reader, self._writer = await asyncio.open_unix_connection(sock=self._at)
        for name, values in self._first:
            self.tell(name, *values)
        try:
            async with asyncio.TaskGroup() as group:
                tasks: set[asyncio.Task[None]] = set()
                try:
                    while True:
                        length = int.from_bytes(await reader.readexactly(_LENGTH_BYTES))
                        kind, number, what, values = pickle.loads(await reader.readexactly(length))
                        match kind:
                            case _Kind.CALL:
                                task = group.create_task(self._answer(number, what, values))
                                tasks.add(task)
                                task.add_done_callback(tasks.discard)
                            case _Kind.TELL:
                                # not before the first step of the calls that came before it
                                loop.call_soon(self._hears[what], *values)
                            case _:
                                self._settle(kind, number, what)
                except (asyncio.IncompleteReadError, ConnectionError):
                    for task in tasks:
                        task.cancel()
        finally:
            writer, self._writer = self._writer, None
            for waiting in self._waiting.values():
                if not waiting.done():
                    waiting.set_exception(Gone("the other process is gone"))
            writer.close()

    async def call(self, name: str, *values: object) -> Any:
        """What the other side answers to `name`.

        Raises: what it raises, Gone.
        """
        if self._writer is None:
            raise Gone("the other process is gone")
        number = next(self._numbers)
        waiting = self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            self._send(_Kind.CALL, number, name, values)
            return await waiting
        finally:
            del self._waiting[number]

    def tell(self, name: str, *values: object) -> None:
        """Let the other side know; nothing happens when it is gone."""
        if self._writer is not None:
            self._send(_Kind.TELL, 0, name, values)

    def _send(self, kind: int, number: int, what: object, values: tuple[object, ...] = ()) -> None:
        body = pickle.dumps((kind, number, what, values), pickle.HIGHEST_PROTOCOL)
        assert self._writer is not None
        self._writer.write(len(body).to_bytes(_LENGTH_BYTES) + body)

    async def _answer(self, number: int, name: str, values: tuple[object, ...]) -> None:
        try:
            kind, found = _Kind.DONE, await self._answers[name](*values)
        except KontorError as fault:
            kind, found = _Kind.FAULT, (type(fault), fault.args, fault.__dict__)
        except Exception as fault:  # noqa: BLE001 - whoever asked must get an answer; the log has the whole story
            observe.error("data.channel", call=name, fault=fault)
            kind, found = _Kind.FAULT, (InternalError, ("an error of this node",), {"what": "an error of this node"})
        if self._writer is not None:
            self._send(kind, number, found)

    def _settle(self, kind: int, number: int, found: Any) -> None:
        waiting = self._waiting.get(number)
        if waiting is None or waiting.done():  # whoever called does not wait any more
            return
        if kind == _Kind.DONE:
            waiting.set_result(found)
            return
        type_, args, fields = found
        fault = type_.__new__(type_)
        fault.args = args
        fault.__dict__.update(fields)
        waiting.set_exception(fault)
