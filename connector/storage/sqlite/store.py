"""The SQLite adapter of the store port: one file in the node's data folder, in WAL mode, durable at each answer.

Three connections: one writes (`writer.py`), one reads single rows by their keys on the event loop, a few microseconds each,
one reads lists on a thread. Readers see what is committed and never wait for the writer. A second process on the same file is
served correctly: transactions are serialised by the file's lock, unique indexes decide races, claims are leases.
"""

from __future__ import annotations

import asyncio
import pathlib
import sqlite3
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeVar

from connector.dsp.negotiation import Agreement
from connector.dsp.process import Process
from connector.dsp.tables import Kind, State
from connector.errors import StoreUnavailable
from connector.ports.documents import Changes
from connector.ports.feed import Feed
from connector.ports.store import Change, Decide, Document, DueRow, Filter, Key, Message, Opening, Page, PeerKey, Timeline
from connector.storage import codec
from connector.storage.sqlite import reads, schema, space
from connector.storage.sqlite.access import Access
from connector.storage.sqlite.feed import SqliteFeed
from connector.storage.sqlite.jobs import SqliteJobs
from connector.storage.sqlite.journal import SqliteJournal
from connector.storage.sqlite.ledger import SqliteLedger
from connector.storage.sqlite.replay import SqliteReplay
from connector.storage.sqlite.writes import SQL, Writes

T = TypeVar("T")
_SOME = 250
"""Documents that are read at once on the event loop, in about two milliseconds; more are read on the thread."""


class SqliteStore:
    """The store in the file `path`, for the node `node`."""

    def __init__(self, *, path: pathlib.Path, node: str, lease_s: float) -> None:
        self._access = Access(path)
        self._node = node
        self._lease_s = lease_s
        self._opened: Writes | None = None
        self._openings = codec.Openings()
        self.journal = SqliteJournal(self._access)
        self.jobs = SqliteJobs(self._access, node=node, lease_s=lease_s)
        self.replay = SqliteReplay(self._access)
        self.ledger = SqliteLedger(self._access)
        self.feed: Feed = SqliteFeed(self._access)

    async def open(self) -> None:
        if self._opened is None:
            self._opened = Writes(await self._access.open(), node=self._node, lease_s=self._lease_s)

    async def close(self) -> None:
        self._opened = None
        await self._access.close()

    async def migrate(self) -> tuple[int, int]:
        return await asyncio.to_thread(schema.migrate, self._access.path)

    @property
    def _writes(self) -> Writes:
        if self._opened is None:
            raise StoreUnavailable("the state store is not open", where=str(self._access.path))
        return self._opened

    async def _write(self, function: Callable[[Writes], T], *, can_wait: bool = False) -> T:
        writes = self._writes
        return await self._access.write(lambda _: function(writes), can_wait=can_wait)

    async def pulse(self, now: datetime) -> timedelta:
        sizes = (codec.PROBE_BYTES, 0) if self._access.is_refusing else (0,)
        for size in sizes:
            await self._access.write(partial(_beat, values=(self._node, codec.micros(now), bytes(size))))
        self._access.has_room()
        return timedelta()

    # --- processes

    async def advance(
        self, key: Key | PeerKey, decide: Decide[Any], *, received: str | None = None, can_wait: bool = False
    ) -> Change[Any]:
        deciding = codec.traced(decide)
        change = await self._write(lambda writes: writes.advance(key, deciding, received), can_wait=can_wait)
        if change.jobs:
            self.jobs.tell()
        return change

    async def process(self, key: Key) -> Process | None:
        row = self._access.look_up(reads.process_row, key.participant, key.pid, key.kind)
        return codec.decode_process(key.kind, row) if row is not None else None

    async def opening(self, participant: str, pid: str) -> Opening | None:
        row = self._access.look_up(reads.opening_row, participant, pid)
        return self._openings.of(participant, pid, *row) if row is not None else None

    async def processes(
        self, kind: Kind, participant: str, filter_: Filter, *, cursor: str | None = None, limit: int = 100
    ) -> Page[Process]:
        return await self._access.list(reads.processes, kind, participant, filter_, cursor, limit)

    async def find(self, participant: str, pid: str) -> Key | None:
        return self._access.read(reads.find, participant, pid)

    async def timeline(self, key: Key) -> Timeline:
        return await self._access.list(reads.timeline, key)

    # --- the workers' calls

    async def claim(self, now: datetime, *, limit: int = 100) -> tuple[Message, ...]:
        return await self._write(lambda writes: writes.claim(now, limit))

    async def release(self) -> None:
        await self._write(lambda writes: writes.release())

    async def claim_due(self, now: datetime, *, limit: int = 100) -> tuple[DueRow, ...]:
        return await self._write(lambda writes: writes.claim_due(now, limit))

    async def drop_due(self, ids: tuple[int, ...]) -> None:
        await self._write(lambda writes: writes.drop_due(ids))

    async def next_moment(self) -> datetime | None:
        return self._access.read(reads.next_moment)

    def listen(self, wake: Callable[[], None]) -> None:
        """Nobody else writes: a file belongs to one node."""

    def notice(self, key: Key) -> None:
        """Nobody else works on the file."""

    def heed(self, noticed: Callable[[Key], None]) -> None:
        """Nobody else works on the file."""

    async def held(self, kind: Kind, participant: str, peer: str) -> int:
        return self._access.read(reads.held, kind, participant, peer)

    async def several(self, kind: Kind, places: Sequence[tuple[str, str]]) -> tuple[Process, ...]:
        keys = (Key(kind=kind, participant=participant, pid=pid) for participant, pid in places)
        return tuple(found for key in keys if (found := self._access.read(reads.process, key)) is not None)

    async def running(self, kind: Kind, states: tuple[State | None, ...]) -> tuple[Key, ...]:
        return await self._access.list(reads.running, kind, states)

    # --- what is over

    async def ended(
        self, kind: Kind, states: tuple[State, ...], before: datetime, *, after: int = 0, limit: int = 200
    ) -> tuple[tuple[Process, ...], int]:
        return await self._access.list(reads.ended, kind, states, before, after, limit)

    async def forget(self, kind: Kind, places: Sequence[tuple[str, str]]) -> int:
        return await self._write(lambda writes: writes.forget(kind, places), can_wait=True)

    async def compact(self, kind: Kind, places: Sequence[tuple[str, str]]) -> int:
        return await self._write(lambda writes: writes.compact(kind, places), can_wait=True)

    async def give_back(self) -> int:
        return await space.give_back(self._access.path)

    # --- agreements

    async def agreement(self, participant: str, id_: str) -> Agreement | None:
        row = self._access.look_up(reads.agreement_row, participant, id_)
        return codec.decode_agreement(row) if row is not None else None

    async def agreements(
        self, participant: str, filter_: Filter, *, cursor: str | None = None, limit: int = 100
    ) -> Page[Agreement]:
        return await self._access.list(reads.agreements, participant, filter_, cursor, limit)

    async def put_agreement(self, agreement: Agreement, *, is_new: bool) -> None:
        await self._write(lambda writes: writes.put_agreement(agreement, is_new))

    # --- documents

    async def document(self, participant: str, kind: str, id_: str) -> Document | None:
        return self._access.read(reads.document, participant, kind, id_)

    async def documents(self, participant: str, kind: str, *, cursor: str | None = None, limit: int = 100) -> Page[Document]:
        read = self._access.some if limit <= _SOME else self._access.list
        return await read(reads.documents, participant, kind, cursor, limit)

    async def put_document(self, document: Document, *, expect: int | None = None) -> Document:
        return await self._write(lambda writes: writes.put_document(document, expect))

    async def delete_document(self, participant: str, kind: str, id_: str) -> bool:
        return await self._write(lambda writes: writes.delete_document(participant, kind, id_))

    async def revision(self, participant: str) -> int:
        return self._access.read(reads.revision, participant)

    async def documents_since(self, participant: str, revision: int, *, limit: int = 250) -> Changes | None:
        read = self._access.some if limit <= _SOME else self._access.list
        return await read(reads.documents_since, participant, revision, limit)


def _beat(connection: sqlite3.Connection, *, values: tuple[str, int, bytes]) -> None:
    connection.execute(SQL["pulse"], values)
