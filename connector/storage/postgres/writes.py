"""What writes. Each write is one statement and so one transaction, made of the functions in the schema's script.

A transition takes two round trips: what is there is read, decided on, and written under the condition that nobody has written
to the process meanwhile. Who comes too late locks the row, reads and decides again: each contender waits once, nobody starves.
No lock is held while somebody decides, unless the process is contended.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import asyncpg

from connector.dsp.negotiation import Agreement
from connector.dsp.process import Process
from connector.dsp.tables import Kind
from connector.errors import Conflict
from connector.ports.documents import MOST_BEHIND
from connector.ports.jobs import NewJob
from connector.ports.store import Change, Decide, Document, DueRow, Key, Message, PeerKey, Snapshot
from connector.storage import codec
from connector.storage.postgres import faults
from connector.storage.postgres.herald import Herald
from connector.storage.postgres.link import Link
from connector.storage.queries import statements

SQL: Final = statements("postgres")
_NOTHING: Final = b"[]"
_MESSAGE_EXISTS: Final = "KT002"
_AGREEMENT_EXISTS: Final = "KT003"
TRIES: Final = 5
"""How often a transaction is begun that the server undoes for another's sake."""


def message_in(row: Any) -> Message:
    """The message in a row of `claim_messages` or `pending`."""
    kind, participant, pid, peer, body, tries, created_at = row
    return Message(
        key=Key(kind=Kind(kind), participant=participant, pid=pid),
        peer=peer,
        outgoing=codec.decode_outgoing(body),
        tries=tries,
        created_at=codec.moment_of(created_at),
    )


class _Stale(Exception):
    """Somebody else wrote to the process after we had looked at it."""

    def __init__(self, row: int | None = None, taken: Conflict | None = None) -> None:
        super().__init__()
        self.row = row
        """The row to lock; None when there was none and now there may be one."""
        self.taken = taken
        """What it means when there is still none."""


class Writes:
    """The writing half of the store port, for one node."""

    def __init__(self, link: Link, herald: Herald, *, node: str, lease_s: float) -> None:
        self._link = link
        self._herald = herald
        self._node = node
        self._lease = timedelta(seconds=lease_s) // timedelta(microseconds=1)

    # --- processes

    async def advance(self, key: Key | PeerKey, decide: Decide[Any], received: str | None) -> Change[Any]:
        """What `Store.advance` promises."""
        async with self._link.writing() as connection:
            stale, tries = _Stale(), 0
            while True:
                try:
                    if stale.row is None:
                        return await self._transition(connection, key, decide, received, stale.taken)
                    async with connection.transaction():
                        await connection.fetchval(SQL["lock_process"], stale.row)
                        return await self._transition(connection, key, decide, received, None)
                except _Stale as found:
                    stale = found
                except asyncpg.PostgresError as fault:
                    tries += 1
                    if faults.state(fault) not in faults.TRY_AGAIN or tries == TRIES:
                        raise

    async def _transition(
        self, connection: Any, key: Key | PeerKey, decide: Decide[Any], received: str | None, taken: Conflict | None
    ) -> Change[Any]:
        # 1. read
        if isinstance(key, Key):
            row = await connection.fetchrow(SQL["process_by_pid"], key.participant, key.pid, key.kind, received)
        else:
            row = await connection.fetchrow(
                SQL["process_by_peer"], key.participant, key.peer, key.peer_pid, key.role, key.kind, received
            )
        if row is None and taken is not None:
            # the index that was broken is not that of this key: the pid belongs to another process
            raise taken
        number, version, body, answer = row or (None, None, b"", None)
        found = codec.decode_process(key.kind, body) if row is not None else None
        # 2. decide
        change = decide(Snapshot(process=found, answer=answer))
        codec.checked(key, found, change)
        process = change.process or found
        if process is None:
            return change
        # 3. write
        values, earliest = self._values(key, found, change, received if answer is None else None)
        if values is None:
            return change
        try:
            if change.jobs:
                jobs = job_values(change.jobs, codec.micros(codec.moment(change, found)))
                async with connection.transaction():
                    is_written = await connection.fetchval(SQL["write_change"], number, version, *values)
                    if is_written:
                        await connection.fetchval(SQL["put_jobs"], *jobs)
            else:
                is_written = await connection.fetchval(SQL["write_change"], number, version, *values)
        except asyncpg.UniqueViolationError as fault:
            raise _Stale(taken=codec.pid_exists(process.pid)) from fault
        except asyncpg.PostgresError as fault:
            if faults.state(fault) == _MESSAGE_EXISTS:
                raise codec.message_exists(fault.message) from fault
            if faults.state(fault) == _AGREEMENT_EXISTS and change.agreement is not None:
                raise codec.agreement_exists(change.agreement.id) from fault
            raise
        if not is_written:
            raise _Stale(number)
        if earliest is not None:
            self._herald.tell(earliest)
        return change

    def _values(
        self, key: Key | PeerKey, found: Process | None, change: Change[Any], received: str | None
    ) -> tuple[tuple[object, ...] | None, int | None]:
        """The arguments of `write_change` behind row and version, or None when there is nothing to write; the earliest moment."""
        process, agreement = change.process, change.agreement
        has_step = bool(change.records or change.attempts or received is not None)
        # what has ended acts no more
        planned = () if (known := process or found) is not None and known.is_ended else change.due
        rest = change.outgoing or change.removed or change.retries or planned or change.jobs
        if process is None and not has_step and not rest and agreement is None:
            return None, None
        now = codec.micros(codec.moment(change, found)) if change.outgoing else 0
        retries = [codec.micros(retry.not_before) for retry in change.retries]
        dues = [codec.micros(due.at) for due in planned]
        moments = [*retries, *dues, *([now + self._lease] if change.outgoing else ())]
        values = (
            key.participant,
            key.kind,
            process.pid if process is not None else "",
            process.role if process is not None else "",
            process.peer if process is not None else "",
            key.peer_pid if isinstance(key, PeerKey) else None,
            codec.dataset(process) if process is not None else "",
            process.state if process is not None else None,
            codec.agreement_id(process) if process is not None else None,
            process is not None and process.hold is not None,
            codec.encode(process) if process is not None else None,
            received,
            change.answer if received is not None else None,
            (codec.encode(change.records) if change.records else _NOTHING) if has_step else None,
            (codec.encode(change.attempts) if change.attempts else _NOTHING) if has_step else None,
            [outgoing.message_id for outgoing in change.outgoing],
            [codec.encode(outgoing) for outgoing in change.outgoing],
            now,
            now + self._lease,
            self._node,
            change.removed,
            [retry.message_id for retry in change.retries],
            retries,
            [codec.encode(due) for due in planned],
            dues,
            *(_agreement(agreement) if agreement is not None else (None,) * 6),
        )
        return values, min(moments, default=None)

    # --- the workers' calls

    async def claim(self, now: datetime, limit: int) -> tuple[Message, ...]:
        return tuple(map(message_in, await self._leased("claim_messages", now, limit)))

    async def claim_due(self, now: datetime, limit: int) -> tuple[DueRow, ...]:
        return tuple(
            DueRow(id=number, key=Key(kind=Kind(kind), participant=participant, pid=pid), due=codec.decode_due(body))
            for number, kind, participant, pid, body in await self._leased("claim_due", now, limit)
        )

    async def _leased(self, name: str, now: datetime, limit: int) -> Any:
        moment = codec.micros(now)
        async with self._link.writing() as connection:
            return await connection.fetch(SQL[name], moment, limit, self._node, moment + self._lease)

    async def release(self) -> None:
        async with self._link.writing() as connection:
            earliest = await connection.fetchval(SQL["release"], self._node)
        if earliest is not None:
            self._herald.tell(earliest)

    async def drop_due(self, ids: tuple[int, ...]) -> None:
        async with self._link.writing() as connection:
            await connection.execute(SQL["drop_due"], ids)

    # --- what is over

    async def sweep(self, name: str, kind: Kind, places: Sequence[tuple[str, str]]) -> int:
        participants, pids = [participant for participant, _ in places], [pid for _, pid in places]
        async with self._link.writing() as connection:
            return int(await connection.fetchval(SQL[name], kind, participants, pids))

    # --- agreements and documents

    async def put_agreement(self, agreement: Agreement, is_new: bool) -> None:
        id_, role, peer, negotiation, dataset, body = _agreement(agreement)
        async with self._link.writing() as connection:
            try:
                await connection.execute(
                    SQL["keep_agreement"], agreement.participant, id_, role, peer, negotiation, dataset, body, is_new
                )
            except asyncpg.PostgresError as fault:
                if faults.state(fault) != _AGREEMENT_EXISTS:
                    raise
                raise codec.agreement_exists(agreement.id) from fault

    async def put_document(self, document: Document, expect: int | None) -> Document:
        async with self._link.writing() as connection:
            is_written, version, since = await connection.fetchrow(
                SQL["write_document"],
                document.participant,
                document.kind,
                document.id,
                expect,
                codec.micros(document.created_at),
                codec.micros(document.updated_at),
                codec.tree(document.body),
            )
        if not is_written:
            raise codec.version_differs(document.id, expect or 0, version)
        return Document(
            participant=document.participant,
            kind=document.kind,
            id=document.id,
            body=document.body,
            version=version,
            created_at=codec.moment_of(since),
            updated_at=document.updated_at,
        )

    async def delete_document(self, participant: str, kind: str, id_: str) -> bool:
        async with self._link.writing() as connection:
            return bool(await connection.fetchval(SQL["delete_document"], participant, kind, id_, MOST_BEHIND))


def job_values(jobs: Sequence[NewJob], now: int) -> tuple[object, ...]:
    """The arguments of `put_jobs`."""
    return (
        [job.participant for job in jobs],
        [job.kind for job in jobs],
        [job.id for job in jobs],
        [job.order_key for job in jobs],
        [codec.job_body(job) for job in jobs],
        [codec.micros(job.not_before) if job.not_before is not None else now for job in jobs],
        now,
    )


def _agreement(agreement: Agreement) -> tuple[str, str, str, str | None, str, bytes]:
    """The columns of an agreement, in the order of `write_change`: id, role, peer, negotiation, dataset, body."""
    body = codec.encode(agreement)
    return agreement.id, agreement.role, agreement.peer, agreement.negotiation, agreement.dataset, body
