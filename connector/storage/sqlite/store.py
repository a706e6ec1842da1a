"""The SQLite adapter of the store port: one file in the node's data folder, in WAL mode, durable at each answer.

Three connections: one writes (`writer.py`), one reads single rows by their keys on the event loop, a few microseconds each,
one reads lists on a thread. Readers see what is committed and never wait for the writer. A second process on the same file is
served correctly: transactions are serialised by the file's lock, unique indexes decide races, claims are leases.
"""

from __future__ import annotations

import asyncio
import pathlib
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from datetime import datetime
from typing import Any, Concatenate, ParamSpec, TypeVar

from connector.dsp.negotiation import Agreement
from connector.dsp.process import Process
from connector.dsp.tables import Kind, State
from connector.errors import StoreUnavailable
from connector.ports.store import Change, Decide, Document, DueRow, Filter, Key, Message, Page, PeerKey, Timeline
from connector.storage.sqlite import faults, reads, schema
from connector.storage.sqlite.writer import Writer
from connector.storage.sqlite.writes import Writes

T = TypeVar("T")
A = ParamSpec("A")
_ROW_WAIT_MS, _LIST_WAIT_MS = 100, 1000
"""How long readers wait where the file is being recovered, the only time when they are kept out."""


class SqliteStore:
    """The store in the file `path`, for the node `node`."""

    def __init__(self, *, path: pathlib.Path, node: str, lease_s: float) -> None:
        self._path = path
        self._node = node
        self._lease_s = lease_s
        self._open: _Open | None = None

    async def open(self) -> None:
        if self._open is not None:
            return
        await asyncio.to_thread(schema.prepare, self._path)
        connections = await asyncio.to_thread(_connected, self._path)
        self._open = _Open(connections, self._path, self._node, self._lease_s)

    async def close(self) -> None:
        if self._open is not None:
            opened, self._open = self._open, None
            await opened.close()

    async def migrate(self) -> tuple[int, int]:
        return await asyncio.to_thread(schema.migrate, self._path)

    @property
    def _parts(self) -> _Open:
        if self._open is None:
            raise StoreUnavailable("the state store is not open", where=str(self._path))
        return self._open

    def _read(self, function: Callable[Concatenate[sqlite3.Connection, A], T], *args: A.args, **kwargs: A.kwargs) -> T:
        """A row found by its key, here and now."""
        try:
            return function(self._parts.rows, *args, **kwargs)
        except sqlite3.Error as fault:
            raise faults.unavailable(fault, self._path) from fault

    async def _list(self, function: Callable[Concatenate[sqlite3.Connection, A], T], *args: A.args, **kwargs: A.kwargs) -> T:
        """Many rows, read on the thread for that."""
        parts = self._parts
        try:
            return await asyncio.get_running_loop().run_in_executor(
                parts.thread, lambda: function(parts.lists, *args, **kwargs)
            )
        except sqlite3.Error as fault:
            raise faults.unavailable(fault, self._path) from fault

    # --- processes

    async def advance(
        self, key: Key | PeerKey, decide: Decide[Any], *, received: str | None = None, can_wait: bool = False
    ) -> Change[Any]:
        parts = self._parts
        return await parts.writer.run(lambda: parts.writes.advance(key, decide, received), can_wait=can_wait)

    async def process(self, key: Key) -> Process | None:
        return self._read(reads.process, key)

    async def processes(
        self, kind: Kind, participant: str, filter_: Filter, *, cursor: str | None = None, limit: int = 100
    ) -> Page[Process]:
        return await self._list(reads.processes, kind, participant, filter_, cursor, limit)

    async def find(self, participant: str, pid: str) -> Key | None:
        return self._read(reads.find, participant, pid)

    async def timeline(self, key: Key) -> Timeline:
        return await self._list(reads.timeline, key)

    # --- the workers' calls

    async def claim(self, now: datetime, *, limit: int = 100) -> tuple[Message, ...]:
        parts = self._parts
        return await parts.writer.run(lambda: parts.writes.claim(now, limit))

    async def release(self) -> None:
        await self._parts.writer.run(self._parts.writes.release)

    async def claim_due(self, now: datetime, *, limit: int = 100) -> tuple[DueRow, ...]:
        parts = self._parts
        return await parts.writer.run(lambda: parts.writes.claim_due(now, limit))

    async def drop_due(self, ids: tuple[int, ...]) -> None:
        parts = self._parts
        await parts.writer.run(lambda: parts.writes.drop_due(ids))

    async def next_moment(self) -> datetime | None:
        return self._read(reads.next_moment)

    def listen(self, wake: Callable[[], None]) -> None:
        """Nobody else writes: a file belongs to one node."""

    async def running(self, kind: Kind, states: tuple[State, ...]) -> tuple[Key, ...]:
        return await self._list(reads.running, kind, states)

    # --- agreements

    async def agreement(self, participant: str, id_: str) -> Agreement | None:
        return self._read(reads.agreement, participant, id_)

    async def agreements(
        self, participant: str, filter_: Filter, *, cursor: str | None = None, limit: int = 100
    ) -> Page[Agreement]:
        return await self._list(reads.agreements, participant, filter_, cursor, limit)

    async def put_agreement(self, agreement: Agreement, *, is_new: bool) -> None:
        parts = self._parts
        await parts.writer.run(lambda: parts.writes.put_agreement(agreement, is_new))

    # --- documents

    async def document(self, participant: str, kind: str, id_: str) -> Document | None:
        return self._read(reads.document, participant, kind, id_)

    async def documents(self, participant: str, kind: str, *, cursor: str | None = None, limit: int = 100) -> Page[Document]:
        return await self._list(reads.documents, participant, kind, cursor, limit)

    async def put_document(self, document: Document, *, expect: int | None = None) -> Document:
        parts = self._parts
        return await parts.writer.run(lambda: parts.writes.put_document(document, expect))

    async def delete_document(self, participant: str, kind: str, id_: str) -> bool:
        parts = self._parts
        return await parts.writer.run(lambda: parts.writes.delete_document(participant, kind, id_))

    async def revision(self, participant: str) -> int:
        return self._read(reads.revision, participant)


def _connected(path: pathlib.Path) -> tuple[sqlite3.Connection, ...]:
    """The connections that write, read rows and read lists: all of them or none."""
    with ExitStack() as undo:
        try:
            made = tuple(
                undo.enter_context(closing(schema.connect(path, wait_ms=wait_ms, is_reader=is_reader)))
                # the event loop never waits for the writer's lock: the writer's thread does
                for wait_ms, is_reader in ((0, False), (_ROW_WAIT_MS, True), (_LIST_WAIT_MS, True))
            )
        except sqlite3.Error as fault:
            raise faults.at_opening(fault, path) from fault
        undo.pop_all()
    return made


class _Open:
    """What an open store holds."""

    def __init__(self, connections: tuple[sqlite3.Connection, ...], path: pathlib.Path, node: str, lease_s: float) -> None:
        writing, self.rows, self.lists = connections
        self.writer = Writer(writing, path)
        self.writes = Writes(writing, node=node, lease_s=lease_s)
        self.thread = ThreadPoolExecutor(1, thread_name_prefix="kontor-store-lists")

    async def close(self) -> None:
        await asyncio.to_thread(self.thread.shutdown)
        self.lists.close()
        self.rows.close()
        await self.writer.close()
