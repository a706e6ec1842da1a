"""The PostgreSQL adapter of the store port: one database for all replicas of a node.

Any replica answers any message: transitions are compared by version and contenders wait at the row's lock, unique indexes
decide races of first messages, claims are leases taken with `SKIP LOCKED`. What one node writes wakes the timers of the others
(`herald.py`). A server that is away answers every call with StoreUnavailable until it is back. When a connection breaks while
an answer is under way, the write may have happened all the same: the peer repeats its message and gets the first answer.
A connection pooler in between must keep sessions (no transaction pooling): statements are prepared, and one session listens.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from connector.dsp.negotiation import Agreement
from connector.dsp.process import Process
from connector.dsp.tables import Kind, State
from connector.errors import StoreUnavailable
from connector.ports.documents import Changes
from connector.ports.feed import Feed
from connector.ports.store import Change, Decide, Document, DueRow, Filter, Key, Message, Opening, Page, PeerKey, Timeline
from connector.storage import codec
from connector.storage.postgres import faults, schema
from connector.storage.postgres.feed import PostgresFeed
from connector.storage.postgres.herald import Herald
from connector.storage.postgres.jobs import PostgresJobs
from connector.storage.postgres.journal import PostgresJournal
from connector.storage.postgres.ledger import PostgresLedger
from connector.storage.postgres.link import Link
from connector.storage.postgres.reads import Reads
from connector.storage.postgres.replay import PostgresReplay
from connector.storage.postgres.writes import SQL, Writes


class PostgresStore:
    """The store in the database that `url` names, for the node `node`, with at most `connections` at once."""

    def __init__(self, *, url: str, node: str, lease_s: float, connections: int) -> None:
        self._link = Link(url, size=connections)
        self._node = node
        self._lease_s = lease_s
        self._wake: Callable[[], None] = _nobody
        self._noticed: Callable[[Key], None] = _heedless
        self._reads = Reads(self._link)
        self.ledger = PostgresLedger(self._link)
        self.feed: Feed = PostgresFeed(self._link)
        self._open: tuple[Writes, Herald] | None = None
        self.journal = PostgresJournal(self._link)
        self.jobs = PostgresJobs(self._link, node=node, lease_s=lease_s, tell=self._tell)
        self.replay = PostgresReplay(self._link)

    async def open(self) -> None:
        if self._open is not None:
            return
        connection = await self._link.connect()
        try:
            await schema.prepare(connection, self._link.where)
            name = await connection.fetchval("SELECT current_schema()")
        except Exception as fault:
            raise faults.at_opening(fault, self._link.where) from fault
        finally:
            await self._link.hang_up(connection)
        await self._link.open()
        herald = Herald(self._link, node=self._node, schema=name, wake=self._heard, noticed=lambda key: self._noticed(key))
        self._open = Writes(self._link, herald, node=self._node, lease_s=self._lease_s), herald
        herald.start()

    async def close(self) -> None:
        if self._open is not None:
            (_, herald), self._open = self._open, None
            await herald.close()
            await self._link.close()

    async def migrate(self) -> tuple[int, int]:
        connection = await self._link.connect()
        try:
            await schema.check_server(connection, self._link.where)
            return await schema.migrate(connection, self._link.where)
        except Exception as fault:
            raise faults.at_opening(fault, self._link.where) from fault
        finally:
            await self._link.hang_up(connection)

    def _tell(self, moment: int) -> None:
        if self._open is not None:
            self._open[1].tell(moment)

    def _heard(self) -> None:
        self._wake()
        self.jobs.hear()

    def listen(self, wake: Callable[[], None]) -> None:
        self._wake = wake

    @property
    def _writes(self) -> Writes:
        if self._open is None:
            raise StoreUnavailable("the state store is not open", where=self._link.where)
        return self._open[0]

    async def pulse(self, now: datetime) -> timedelta:
        begun, sizes = time.monotonic(), (codec.PROBE_BYTES, 0) if self._link.is_refusing else (0,)
        for size in sizes:
            async with self._link.connection() as connection:
                asked = time.monotonic()
                # random, so that it does not shrink on its way to the disk
                theirs: datetime = await connection.fetchval(SQL["pulse"], self._node, codec.micros(now), os.urandom(size))
                answered = time.monotonic()
        self._link.is_refusing = False
        # it looked at its clock between the question and the answer: what may be the way is no difference
        ahead = now + timedelta(seconds=asked - begun) - theirs
        return min(ahead + timedelta(seconds=answered - asked), max(ahead, timedelta()))

    # --- processes

    async def advance(
        self, key: Key | PeerKey, decide: Decide[Any], *, received: str | None = None, can_wait: bool = False
    ) -> Change[Any]:
        change = await self._writes.advance(key, codec.traced(decide), received)
        if change.jobs:
            self.jobs.has_news(0)
        return change

    async def process(self, key: Key) -> Process | None:
        return await self._reads.process(key)

    async def opening(self, participant: str, pid: str) -> Opening | None:
        return await self._reads.opening(participant, pid)

    async def processes(
        self, kind: Kind, participant: str, filter_: Filter, *, cursor: str | None = None, limit: int = 100
    ) -> Page[Process]:
        return await self._reads.processes(kind, participant, filter_, cursor, limit)

    async def find(self, participant: str, pid: str) -> Key | None:
        return await self._reads.find(participant, pid)

    async def timeline(self, key: Key) -> Timeline:
        return await self._reads.timeline(key)

    # --- the workers' calls

    async def claim(self, now: datetime, *, limit: int = 100) -> tuple[Message, ...]:
        return await self._writes.claim(now, limit)

    async def release(self) -> None:
        await self._writes.release()

    async def claim_due(self, now: datetime, *, limit: int = 100) -> tuple[DueRow, ...]:
        return await self._writes.claim_due(now, limit)

    async def drop_due(self, ids: tuple[int, ...]) -> None:
        await self._writes.drop_due(ids)

    async def next_moment(self) -> datetime | None:
        return await self._reads.next_moment()

    def notice(self, key: Key) -> None:
        if self._open is not None:
            self._open[1].notice(key)

    def heed(self, noticed: Callable[[Key], None]) -> None:
        self._noticed = noticed

    async def held(self, kind: Kind, participant: str, peer: str) -> int:
        return await self._reads.held(kind, participant, peer)

    async def several(self, kind: Kind, places: Sequence[tuple[str, str]]) -> tuple[Process, ...]:
        return await self._reads.several(kind, places)

    async def running(self, kind: Kind, states: tuple[State | None, ...]) -> tuple[Key, ...]:
        return await self._reads.running(kind, states)

    # --- what is over

    async def ended(
        self, kind: Kind, states: tuple[State, ...], before: datetime, *, after: int = 0, limit: int = 200
    ) -> tuple[tuple[Process, ...], int]:
        return await self._reads.ended(kind, states, before, after, limit)

    async def forget(self, kind: Kind, places: Sequence[tuple[str, str]]) -> int:
        return await self._writes.sweep("forget_processes", kind, places)

    async def compact(self, kind: Kind, places: Sequence[tuple[str, str]]) -> int:
        return await self._writes.sweep("compact_steps", kind, places)

    async def give_back(self) -> int:
        """Nothing: what `autovacuum` frees, the server uses again, and cuts off where it lies at the end of a table."""
        return 0

    # --- agreements

    async def agreement(self, participant: str, id_: str) -> Agreement | None:
        return await self._reads.agreement(participant, id_)

    async def agreements(
        self, participant: str, filter_: Filter, *, cursor: str | None = None, limit: int = 100
    ) -> Page[Agreement]:
        return await self._reads.agreements(participant, filter_, cursor, limit)

    async def put_agreement(self, agreement: Agreement, *, is_new: bool) -> None:
        await self._writes.put_agreement(agreement, is_new)

    # --- documents

    async def document(self, participant: str, kind: str, id_: str) -> Document | None:
        return await self._reads.document(participant, kind, id_)

    async def documents(self, participant: str, kind: str, *, cursor: str | None = None, limit: int = 100) -> Page[Document]:
        return await self._reads.documents(participant, kind, cursor, limit)

    async def put_document(self, document: Document, *, expect: int | None = None) -> Document:
        return await self._writes.put_document(document, expect)

    async def delete_document(self, participant: str, kind: str, id_: str) -> bool:
        return await self._writes.delete_document(participant, kind, id_)

    async def revision(self, participant: str) -> int:
        return await self._reads.revision(participant)

    async def documents_since(self, participant: str, revision: int, *, limit: int = 250) -> Changes | None:
        return await self._reads.documents_since(participant, revision, limit)


def _nobody() -> None:
    """Nobody asked to be woken."""


def _heedless(key: Key) -> None:
    """Nobody asked what others notice."""
