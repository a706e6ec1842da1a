"""One connection that writes, for all callers of a node: group commit.

Calls that arrive together share one transaction. Their statements run on the event loop: each takes microseconds, and on a
thread of its own each would have to win the interpreter's lock back from a busy loop, a hundred times in a transaction
(measured beside a busy loop: two thirds of the transitions per second, and longer waits). What waits for the disk or for another
process, the commit and a lock that is taken, runs on the writer's thread.

1. A call is queued; the queue is bounded, later callers wait.
2. When no transaction is under way, one begins once a turn of the loop brings no further call, and takes what is queued. While there
   are only calls that can wait, it waits a moment for others: an acknowledgement from a peer is often followed by its next message,
   and both share a commit.
   A call that raises leaves nothing behind: when it had written already, all of them are undone and run again, each inside a
   savepoint of its own.
3. The thread commits. Only then do callers get their results: what they are told is on the disk.
4. A fault of the disk or the file rolls everything back; all callers of the transaction get StoreUnavailable.
What does not live here: what the statements are (`writes.py`).
"""

from __future__ import annotations

import asyncio
import pathlib
import queue
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from connector import measures
from connector.errors import StoreUnavailable
from connector.storage.sqlite import faults

T = TypeVar("T")
_MOST_IN_ONE = 32
"""Calls in one transaction: bounds how long its statements keep the event loop, to about two milliseconds."""
_MOST_QUEUED = 1024
_PATIENCE_S = 0.002
"""How long calls that can wait are kept back; the peer's next message comes a round trip later."""
_COMPANY = 8
"""So many calls that can wait are a transaction of their own."""
_LOCK_WAIT_S = 5.0
"""How long another process may hold the lock before calls are told so."""
_LOCK_LOOK_S = 0.001


@dataclass(slots=True)
class _Call:
    run: Callable[[], Any]
    future: asyncio.Future[Any]
    can_wait: bool
    result: Any = None
    fault: BaseException | None = None


class Writer:
    """Runs functions in transactions on `connection`, from the event loop that it was made on."""

    def __init__(self, connection: sqlite3.Connection, path: pathlib.Path) -> None:
        self.connection = connection
        self._path = path
        self._loop = asyncio.get_running_loop()
        self._room = asyncio.Event()
        """Set while the queue has room."""
        self._queued: deque[_Call] = deque()
        self._is_busy = False
        self._patience: asyncio.TimerHandle | None = None
        self._is_closed = False
        self.is_refusing = False
        """Set when the disk or the file refused a transaction; whoever finds that there is room again clears it."""
        self._is_careful = False
        """The next transaction gives each call a savepoint: the last one had to be undone."""
        self._begun_s = 0.0
        """When the transaction under way began."""
        self._idle = asyncio.Event()
        self._idle.set()
        self._orders: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="kontor-store-writer", daemon=True)
        self._thread.start()

    async def run(self, function: Callable[[], T], *, can_wait: bool = False) -> T:
        """What `function` gives back, once its writes are durable; with `can_wait` they may be kept back for a moment.

        Raises: whatever `function` raises, and its writes are undone; StoreUnavailable, and nothing was written.
        """
        while len(self._queued) >= _MOST_QUEUED:
            await self._room.wait()
        if self._is_closed:
            raise StoreUnavailable("the state store is closed", where=str(self._path))
        call = _Call(function, self._loop.create_future(), can_wait)
        self._queued.append(call)
        self._idle.clear()
        if not self._is_busy:
            if can_wait and len(self._queued) < _COMPANY:
                self._be_patient()
            else:
                self._start()
        if len(self._queued) >= _MOST_QUEUED:
            self._room.clear()
        return cast(T, await call.future)

    async def close(self) -> None:
        """Finish what is queued, then let go of the connection."""
        self._is_closed = True
        if self._queued and not self._is_busy:
            self._start()
        await self._idle.wait()
        if self._thread.is_alive():
            self._orders.put(None)
            await asyncio.to_thread(self._thread.join)

    # --- on the event loop

    def _be_patient(self) -> None:
        if self._patience is None:
            self._patience = self._loop.call_later(_PATIENCE_S, self._start)

    def _start(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
        self._is_busy = True
        # not at once: whoever else is ready comes along
        self._loop.call_soon(self._gather, 0)

    def _go_on(self) -> None:
        """After a transaction: the next one, or patience, or rest."""
        if not self._queued:
            self._is_busy = False
            self._idle.set()
        elif len(self._queued) < _COMPANY and not self._is_closed and all(call.can_wait for call in self._queued):
            self._is_busy = False
            self._be_patient()
        else:
            self._gather(0)

    def _gather(self, before: int) -> None:
        """Begin, once a turn of the loop brings nobody else along: a busy node commits less often for it, an idle one no later."""
        count = len(self._queued)
        if before < count < _MOST_IN_ONE and not self._is_closed:
            self._loop.call_soon(self._gather, count)
        else:
            self._begin()

    def _begin(self) -> None:
        self._begun_s = time.monotonic()
        self._undo()
        try:
            self.connection.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as fault:
            if faults.is_busy(fault):
                self._orders.put(self._wait_for_lock)
            else:
                self._refuse_next(fault)
            return
        self._fill()

    def _taken(self) -> list[_Call]:
        """The calls of the next transaction; whoever has stopped waiting is left out."""
        calls: list[_Call] = []
        while self._queued and len(calls) < _MOST_IN_ONE:
            call = self._queued.popleft()
            if not call.future.cancelled():
                calls.append(call)
        self._room.set()
        return calls

    def _fill(self) -> None:
        """Run calls inside the transaction that has begun, and have it committed."""
        calls = self._taken()
        before = self.connection.total_changes
        try:
            if self._is_careful:
                self._is_careful = False
                self._run_apart(calls)
            elif not self._run_plainly(calls):
                self.connection.execute("ROLLBACK")
                self._is_careful = True
                self._measure("undone")
                self._queued.extendleft(reversed(calls))
                self._begin()
                return
            if self.connection.total_changes == before:
                self.connection.execute("COMMIT")
                self._finish(calls)
            else:
                self._orders.put(lambda: self._commit(calls))
        except sqlite3.Error as fault:
            self._undo()
            self._refuse(calls, fault)

    def _run_plainly(self, calls: list[_Call]) -> bool:
        """Run `calls` one after the other; False when one has written and then raised, so that all must be undone.

        A savepoint costs a fifth of a transition, and a call that raises has nearly always written nothing.
        """
        for call in calls:
            before = self.connection.total_changes
            try:
                call.result = call.run()
            except Exception as fault:
                if isinstance(fault, sqlite3.Error) and faults.is_environment(fault):
                    raise
                if self.connection.total_changes != before:
                    return False
                call.fault = faults.as_told(fault)
        return True

    def _run_apart(self, calls: list[_Call]) -> None:
        """Run `calls`, each undone alone when it raises."""
        for call in calls:
            call.fault = None
            self.connection.execute("SAVEPOINT one")
            try:
                call.result = call.run()
            except Exception as fault:
                if isinstance(fault, sqlite3.Error) and faults.is_environment(fault):
                    raise
                call.fault = faults.as_told(fault)
                self.connection.execute("ROLLBACK TO one")
            self.connection.execute("RELEASE one")

    def _undo(self) -> None:
        # the engine has rolled back by itself after some faults; what it refuses now, the next beginning tries again
        if self.connection.in_transaction:
            with suppress(sqlite3.Error):
                self.connection.execute("ROLLBACK")

    def _refuse_next(self, fault: sqlite3.Error) -> None:
        self._refuse(self._taken(), fault)

    def _refuse(self, calls: list[_Call], fault: sqlite3.Error) -> None:
        self.is_refusing = True
        for call in calls:
            call.fault = faults.unavailable(fault, self._path)
        self._finish(calls, "refused")

    def _measure(self, outcome: str) -> None:
        measures.TRANSACTIONS.add(time.monotonic() - self._begun_s, "sqlite", outcome)

    def _finish(self, calls: list[_Call], outcome: str = "committed") -> None:
        """Tell the callers, and go on with who came meanwhile."""
        self._measure(outcome)
        for call in calls:
            if call.future.done():
                continue
            if call.fault is not None:
                call.future.set_exception(call.fault)
            else:
                call.future.set_result(call.result)
        # in the next turn of the loop: those who were just told may have more to write
        self._loop.call_soon(self._go_on)

    # --- on the thread

    def _work(self) -> None:
        while (order := self._orders.get()) is not None:
            order()
        self.connection.close()

    def _commit(self, calls: list[_Call]) -> None:
        try:
            self.connection.execute("COMMIT")
        except sqlite3.Error as fault:
            self._undo()
            self._loop.call_soon_threadsafe(self._refuse, calls, fault)
        else:
            self._loop.call_soon_threadsafe(self._finish, calls)

    def _wait_for_lock(self) -> None:
        end = time.monotonic() + _LOCK_WAIT_S
        while True:
            try:
                self.connection.execute("BEGIN IMMEDIATE")
            except sqlite3.Error as fault:
                if faults.is_busy(fault) and time.monotonic() < end:
                    time.sleep(_LOCK_LOOK_S)
                    continue
                self._loop.call_soon_threadsafe(self._refuse_next, fault)
            else:
                self._loop.call_soon_threadsafe(self._fill)
            return
