"""The store in plain dictionaries: for tests, and for `memory:`. What it holds is gone with the process.

Rows are kept as the bytes that a durable store would keep, so that what is read is never the object that was written, and a
value that cannot be stored is noticed here too. Calls run on the event loop without waiting, so each is a transaction.
Several nodes share one `Memory`, as replicas share a database.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, TypeVar

from connector.dsp.negotiation import Agreement
from connector.dsp.process import Process
from connector.dsp.tables import Kind, State
from connector.ports.documents import MOST_BEHIND, Changes
from connector.ports.feed import Feed
from connector.ports.store import (
    Change,
    Decide,
    Document,
    DueRow,
    Filter,
    Key,
    Message,
    Opening,
    Page,
    PeerKey,
    Snapshot,
    Timeline,
)
from connector.storage import codec
from connector.storage.jobs import MemoryJobs
from connector.storage.memory_feed import MemoryFeed
from connector.storage.memory_ledger import MemoryLedger
from connector.storage.memory_rows import KeptProcess, Memory, Waiting

T = TypeVar("T")


class MemoryStore:
    """A node's view of a `Memory`."""

    def __init__(self, *, node: str, lease_s: float, memory: Memory | None = None) -> None:
        self._node = node
        self._lease = timedelta(seconds=lease_s)
        self._memory = memory or Memory()
        self.journal = self._memory.journal
        self.jobs = MemoryJobs(self._memory.jobs, node=node, lease=self._lease)
        self.replay = self._memory.replay
        self.ledger = MemoryLedger(self._memory.books)
        self.feed: Feed = MemoryFeed(self._memory.steps, self._told)

    async def open(self) -> None:
        """Nothing to ready."""

    async def close(self) -> None:
        """Nothing to let go of."""

    async def migrate(self) -> tuple[int, int]:
        """There is only ever the present schema."""
        return (1, 1)

    async def pulse(self, now: datetime) -> timedelta:
        """Writes are always taken."""
        return timedelta()

    # --- processes

    async def advance(
        self, key: Key | PeerKey, decide: Decide[Any], *, received: str | None = None, can_wait: bool = False
    ) -> Change[Any]:
        row = self._row(key)
        kept = self._memory.processes.get(row) if row is not None else None
        process = kept.load() if kept else None
        answer = kept.received.get(received) if kept and received is not None else None
        change = codec.traced(decide)(Snapshot(process=process, answer=answer))
        codec.checked(key, process, change)
        write = self._prepared(key, kept, process, change)
        if write is not None:
            kept = write()
        if kept is not None and received is not None:
            kept.received.setdefault(received, change.answer)
        return change

    def _row(self, key: Key | PeerKey) -> int | None:
        if isinstance(key, PeerKey):
            return self._memory.opened.get(key)
        row = self._memory.pids.get((key.participant, key.pid))
        return row if row is not None and self._memory.processes[row].key.kind is key.kind else None

    def _prepared(
        self, key: Key | PeerKey, kept: KeptProcess | None, found: Process | None, change: Change[Any]
    ) -> Callable[[], KeptProcess] | None:
        """What writes `change`, with everything that can fail behind it; None when there is no process to write to."""
        process = change.process or found
        if process is None:
            return None
        if kept is None and (key.participant, process.pid) in self._memory.pids:
            raise codec.pid_exists(process.pid)
        body = codec.encode(change.process) if change.process is not None else b""
        records = [codec.encode(record) for record in change.records]
        attempts = [codec.encode(attempt) for attempt in change.attempts]
        messages: dict[str, bytes] = {}
        for outgoing in change.outgoing:
            if outgoing.message_id in messages or (kept and outgoing.message_id in kept.outbox):
                raise codec.message_exists(outgoing.message_id)
            messages[outgoing.message_id] = codec.encode(outgoing)
        dues = [(due, codec.encode(due)) for due in change.due]
        jobs = [(job, codec.job_body(job)) for job in change.jobs]
        agreement = change.agreement
        if agreement is not None:
            self._same_origin(agreement)
        agreed = codec.encode(agreement) if agreement is not None else b""
        now = codec.moment(change, found)

        def write() -> KeptProcess:
            row = kept or self._insert(key, process, body)
            if change.process is not None:
                row.body, row.state = body, change.process.state
            for message_id, text in messages.items():
                row.outbox[message_id] = Waiting(next(self._memory.numbers), text, now, now + self._lease, self._node, now)
            for message_id in change.removed:
                row.outbox.pop(message_id, None)
            for retry in change.retries:
                if (waiting := row.outbox.get(retry.message_id)) is not None:
                    waiting.not_before = waiting.free_at = retry.not_before
                    waiting.node, waiting.tries = None, waiting.tries + 1
            row.records += records
            if records:
                self._memory.steps.append((row.key, records))
            row.attempts += attempts
            if row.state is not None and row.state.is_terminal:
                row.due.clear()
                dues.clear()
            for due, text in dues:
                number = next(self._memory.numbers)
                row.due[number] = Waiting(number, text, due.at, due.at, None, now)
            self.jobs.put_all(jobs, now)
            if agreement is not None:
                self._keep(agreement, agreed)
            return row

        return write

    def _insert(self, key: Key | PeerKey, process: Process, body: bytes) -> KeptProcess:
        number = next(self._memory.numbers)
        own = Key(kind=key.kind, participant=key.participant, pid=process.pid)
        opened = key if isinstance(key, PeerKey) else None
        row = KeptProcess(own, process.peer, body, process.state)
        self._memory.processes[number] = row
        self._memory.pids[own.participant, own.pid] = number
        if opened is not None:
            self._memory.opened[opened] = number
        return row

    def _told(self, key: Key) -> Process:
        """The process that a step of the feed is about."""
        return self._memory.processes[self._memory.pids[key.participant, key.pid]].load()

    async def process(self, key: Key) -> Process | None:
        row = self._row(key)
        return self._memory.processes[row].load() if row is not None else None

    async def opening(self, participant: str, pid: str) -> Opening | None:
        return self._memory.opening(participant, pid)

    async def processes(
        self, kind: Kind, participant: str, filter_: Filter, *, cursor: str | None = None, limit: int = 100
    ) -> Page[Process]:
        mine = (
            (number, row.load())
            for number, row in reversed(self._memory.processes.items())
            if row.key.kind is kind and row.key.participant == participant
        )
        return _newest(((n, p) for n, p in mine if codec.fits_process(p, filter_)), cursor, limit)

    async def find(self, participant: str, pid: str) -> Key | None:
        number = self._memory.pids.get((participant, pid))
        return self._memory.processes[number].key if number is not None else None

    async def timeline(self, key: Key) -> Timeline:
        number = self._row(key)
        if number is None:
            return Timeline(records=(), attempts=(), pending=(), due=())
        row = self._memory.processes[number]
        return Timeline(
            records=tuple(map(codec.decode_record, row.records)),
            attempts=tuple(map(codec.decode_attempt, row.attempts)),
            pending=tuple(map(row.message, row.outbox.values())),
            due=tuple(codec.decode_due(w.body) for w in sorted(row.due.values(), key=lambda w: (w.not_before, w.row))),
        )

    # --- the workers' calls

    async def claim(self, now: datetime, *, limit: int = 100) -> tuple[Message, ...]:
        rows = ((row, waiting) for row in self._memory.processes.values() for waiting in row.outbox.values())
        return tuple(row.message(waiting) for row, waiting in self._leased(rows, now, limit))

    async def claim_due(self, now: datetime, *, limit: int = 100) -> tuple[DueRow, ...]:
        rows = ((row, waiting) for row in self._memory.processes.values() for waiting in row.due.values())
        return tuple(
            DueRow(id=waiting.row, key=row.key, due=codec.decode_due(waiting.body))
            for row, waiting in self._leased(rows, now, limit)
        )

    def _leased(
        self, rows: Iterable[tuple[KeptProcess, Waiting]], now: datetime, limit: int
    ) -> list[tuple[KeptProcess, Waiting]]:
        free = sorted(((r, w) for r, w in rows if w.free_at <= now), key=lambda pair: (pair[1].free_at, pair[1].row))[:limit]
        for _, waiting in free:
            waiting.node, waiting.free_at = self._node, now + self._lease
        return free

    async def release(self) -> None:
        for waiting in self._waiting():
            if waiting.node == self._node:
                waiting.node, waiting.free_at = None, waiting.not_before

    def _waiting(self) -> Iterator[Waiting]:
        for row in self._memory.processes.values():
            yield from row.outbox.values()
            yield from row.due.values()

    async def drop_due(self, ids: tuple[int, ...]) -> None:
        for row in self._memory.processes.values():
            for id_ in ids:
                row.due.pop(id_, None)

    async def next_moment(self) -> datetime | None:
        return min((waiting.free_at for waiting in self._waiting()), default=None)

    def listen(self, wake: Callable[[], None]) -> None:
        """Nobody else writes: nodes that share a memory share a process, and are tests."""

    def notice(self, key: Key) -> None:
        for node, noticed in self._memory.heeding.items():
            if node != self._node:
                noticed(key)

    def heed(self, noticed: Callable[[Key], None]) -> None:
        self._memory.heeding[self._node] = noticed

    async def held(self, kind: Kind, participant: str, peer: str) -> int:
        return (await self.processes(kind, participant, Filter(peer=peer, is_held=True), limit=1)).total

    async def several(self, kind: Kind, places: Sequence[tuple[str, str]]) -> tuple[Process, ...]:
        keys = (Key(kind=kind, participant=participant, pid=pid) for participant, pid in places)
        return tuple([found for key in keys if (found := await self.process(key)) is not None])

    async def running(self, kind: Kind, states: tuple[State | None, ...]) -> tuple[Key, ...]:
        return tuple(row.key for row in self._memory.processes.values() if row.key.kind is kind and row.state in states)

    async def ended(
        self, kind: Kind, states: tuple[State, ...], before: datetime, *, after: int = 0, limit: int = 200
    ) -> tuple[tuple[Process, ...], int]:
        rows = [
            (number, row.load())
            for number, row in sorted(self._memory.processes.items())
            if number > after and row.key.kind is kind and row.state in states
        ][:limit]
        found = tuple(process for _, process in rows if process.created_at < before)
        return found, rows[-1][0] if len(rows) == limit and len(found) == limit else 0

    async def forget(self, kind: Kind, places: Sequence[tuple[str, str]]) -> int:
        count = 0
        for row, kept in self._at(kind, places):
            if kept.outbox:
                continue
            count += 1
            del self._memory.processes[row]
            del self._memory.pids[kept.key.participant, kept.key.pid]
            for opened in [key for key, number in self._memory.opened.items() if number == row]:
                del self._memory.opened[opened]
        return count

    async def compact(self, kind: Kind, places: Sequence[tuple[str, str]]) -> int:
        count = 0
        for _, kept in self._at(kind, places):
            count += bool(kept.received or kept.attempts)
            kept.received.clear()
            kept.attempts.clear()
        return count

    def _at(self, kind: Kind, places: Sequence[tuple[str, str]]) -> Iterator[tuple[int, KeptProcess]]:
        """The ended processes at `places`."""
        for participant, pid in places:
            row = self._row(Key(kind=kind, participant=participant, pid=pid))
            kept = self._memory.processes.get(row) if row is not None else None
            if row is not None and kept is not None and kept.state is not None and kept.state.is_terminal:
                yield row, kept

    async def give_back(self) -> int:
        return 0

    # --- agreements

    def _same_origin(self, agreement: Agreement) -> None:
        kept = self._memory.agreements.get((agreement.participant, agreement.id))
        if kept is not None:
            codec.same_origin(codec.decode_agreement(kept[1]), agreement)

    def _keep(self, agreement: Agreement, body: bytes) -> None:
        place = (agreement.participant, agreement.id)
        number = self._memory.agreements[place][0] if place in self._memory.agreements else next(self._memory.numbers)
        self._memory.agreements[place] = (number, body)

    async def agreement(self, participant: str, id_: str) -> Agreement | None:
        kept = self._memory.agreements.get((participant, id_))
        return codec.decode_agreement(kept[1]) if kept is not None else None

    async def agreements(
        self, participant: str, filter_: Filter, *, cursor: str | None = None, limit: int = 100
    ) -> Page[Agreement]:
        mine = (
            (number, codec.decode_agreement(body))
            for (owner, _), (number, body) in reversed(self._memory.agreements.items())
            if owner == participant
        )
        return _newest(((n, a) for n, a in mine if codec.fits_agreement(a, filter_)), cursor, limit)

    async def put_agreement(self, agreement: Agreement, *, is_new: bool) -> None:
        if is_new and (agreement.participant, agreement.id) in self._memory.agreements:
            raise codec.agreement_exists(agreement.id)
        self._same_origin(agreement)
        self._keep(agreement, codec.encode(agreement))

    # --- documents

    async def document(self, participant: str, kind: str, id_: str) -> Document | None:
        kept = self._memory.documents.get((participant, kind), {}).get(id_)
        return _opened(*kept) if kept is not None else None

    async def documents(self, participant: str, kind: str, *, cursor: str | None = None, limit: int = 100) -> Page[Document]:
        mine = self._memory.documents.get((participant, kind), {})
        after = codec.text_after(cursor) if cursor is not None else None
        ids = [id_ for id_ in sorted(mine) if after is None or id_ > after]
        return Page(
            items=tuple(_opened(*mine[id_]) for id_ in ids[:limit]),
            total=len(mine),
            next_cursor=codec.cursor(ids[limit - 1]) if len(ids) > limit else None,
        )

    async def put_document(self, document: Document, *, expect: int | None = None) -> Document:
        mine = self._memory.documents.setdefault((document.participant, document.kind), {})
        kept = mine.get(document.id)
        version = kept[0].version if kept else 0
        if expect is not None and expect != version:
            raise codec.version_differs(document.id, expect, version)
        created_at = kept[0].created_at if kept else document.created_at
        body = codec.tree(document.body)
        written = replace(document, version=version + 1, created_at=created_at)
        mine[document.id] = (written, body)
        self._changed(document.participant, document.kind, document.id)
        return written

    async def delete_document(self, participant: str, kind: str, id_: str) -> bool:
        gone = self._memory.documents.get((participant, kind), {}).pop(id_, None)
        if gone is not None:
            self._changed(participant, kind, id_)
        return gone is not None

    def _changed(self, participant: str, kind: str, id_: str) -> None:
        self._memory.revisions[participant] = self._memory.revisions.get(participant, 0) + 1
        changed = self._memory.changed.setdefault(participant, {})
        changed.pop((kind, id_), None)
        changed[kind, id_] = self._memory.revisions[participant]

    async def revision(self, participant: str) -> int:
        return self._memory.revisions.get(participant, 0)

    async def documents_since(self, participant: str, revision: int, *, limit: int = 250) -> Changes | None:
        late = self._memory.changed_since(participant, revision)
        if len(late) > limit or (late and await self.revision(participant) - revision > MOST_BEHIND):
            return None
        kept = {(kind, id_): self._memory.documents[participant, kind].get(id_) for kind, id_ in late}
        gone = tuple(at for at, one in kept.items() if one is None)
        return Changes(written=tuple(_opened(*one) for one in kept.values() if one is not None), deleted=gone)


def _opened(document: Document, body: bytes) -> Document:
    return replace(document, body=codec.decode_tree(body))


def _newest(fitting: Iterator[tuple[int, T]], cursor: str | None, limit: int) -> Page[T]:
    """The page behind `cursor` of items that come newest first."""
    before = codec.number_after(cursor) if cursor is not None else None
    items: list[T] = []
    total, last, more = 0, 0, False
    for number, item in fitting:
        total += 1
        if before is None or number < before:
            if len(items) == limit:
                more = True
                continue
            items.append(item)
            last = number
    return Page(items=tuple(items), total=total, next_cursor=codec.cursor(last) if more else None)
