"""What waits for a moment: messages to be tried again, messages a dead node left, acts that are due.

One loop that sleeps until the store's next moment or until it is woken. It looks at the store again after a while whatever
happens, so that what nobody told it of is late and never lost. What is due is carried out side by side: before some acts somebody
else is asked about a peer (a list of its issuer, say), and who answers late holds up neither other acts nor messages. Acts of one
process follow each other as their moments do: after a night without power what was to happen first happens first.
"""

from __future__ import annotations

import asyncio
from collections import deque
from datetime import timedelta
from typing import Final, Protocol

from connector import observe
from connector.controlplane.delivery import LOOK_AGAIN, Delivery
from connector.dsp.tables import Kind
from connector.errors import KontorError, StoreUnavailable
from connector.ports.clock import Clock
from connector.ports.store import DueRow, Key, Store

_AFTER_A_FAULT: Final = timedelta(seconds=1)
_BATCH: Final = 256
_ACTS_AT_ONCE: Final = 64


class DueHandler(Protocol):
    """A use case that delayed acts belong to."""

    async def due(self, row: DueRow) -> None:
        """Carry the act out, or let it be when the process has moved on."""
        ...


class Timers:
    """Wakes at the right moment and hands over what is due then."""

    def __init__(self, store: Store, delivery: Delivery, clock: Clock, handlers: dict[Kind, DueHandler]) -> None:
        self._store = store
        self._delivery = delivery
        self._clock = clock
        self._handlers = handlers
        self._acting = 0
        """Acts that are being carried out, or wait for others of their process."""
        self._lines: dict[Key, deque[DueRow]] = {}
        """By process, what was claimed of it and is not done: the first is being carried out."""

    async def run(self) -> None:
        """Wait and hand over until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                latest = self._clock.now() + LOOK_AGAIN
                try:
                    moment = await self._store.next_moment()
                    if moment is not None and moment <= self._clock.now():
                        has_room = await self._begin(tasks)
                        # each act that ends wakes us
                        moment = await self._store.next_moment() if has_room else None
                except StoreUnavailable as fault:
                    observe.error("timers.store_unavailable", cause=fault)
                    moment = self._clock.now() + _AFTER_A_FAULT
                await self._clock.wait_until(latest if moment is None else min(moment, latest), self._delivery.woken)

    async def work(self) -> None:
        """Hand over everything whose time has come; return when all of it is done."""
        is_all = False
        while not is_all:
            async with asyncio.TaskGroup() as tasks:
                is_all = await self._begin(tasks)

    async def _begin(self, tasks: asyncio.TaskGroup) -> bool:
        """Hand over what is due, acts as tasks; whether there was room for all of them."""
        now = self._clock.now()
        while messages := await self._store.claim(now, limit=_BATCH):
            self._delivery.submit(messages)
            if len(messages) < _BATCH:
                break
        while (free := _ACTS_AT_ONCE - self._acting) > 0:
            rows = await self._store.claim_due(now, limit=free)
            for row in rows:
                line = self._lines.setdefault(row.key, deque())
                if any(one.id == row.id for one in line):
                    # it took longer than it was lent for
                    continue
                self._acting += 1
                line.append(row)
                if len(line) == 1:
                    tasks.create_task(self._follow(row.key, line))
            if len(rows) < free:
                return True
        return False

    async def _follow(self, key: Key, line: deque[DueRow]) -> None:
        """Carry out what is due of one process, one act after the other."""
        try:
            while line:
                await self._carry_out(line[0])
                line.popleft()
        finally:
            del self._lines[key]

    async def _carry_out(self, row: DueRow) -> None:
        try:
            try:
                await self._handlers[row.key.kind].due(row)
            except StoreUnavailable:
                raise
            except KontorError as fault:
                # the process has moved on, or the act is unlawful now: either way it is not tried again
                observe.warning("timers.act_dropped", pid=row.key.pid, act=row.due.act, cause=fault)
            await self._store.drop_due((row.id,))
        except StoreUnavailable as fault:
            observe.error("timers.store_unavailable", pid=row.key.pid, act=row.due.act, cause=fault)
        except Exception as fault:  # noqa: BLE001 - one act must not hold up all others; it comes again with its lease
            observe.error("timers.act_failed", fault=fault, pid=row.key.pid, act=row.due.act)
        finally:
            self._acting -= 1
            if self._acting == _ACTS_AT_ONCE - 1:
                # there is room again for those that found none
                self._delivery.woken.set()
