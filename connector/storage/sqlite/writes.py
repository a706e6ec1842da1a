"""What writes, as plain functions inside a transaction that someone else begins and commits (`writer.py`).

A transition is one read and about five small statements, each by key. Nothing here waits, retries or commits.
Words of the house are given to the engine as plain texts: for each other type it asks for adapters first, which takes as long as
the statement itself (5 µs).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from connector.dsp.negotiation import Agreement
from connector.dsp.process import Outgoing, Process
from connector.dsp.tables import Event, Kind, State
from connector.ports.documents import MOST_BEHIND
from connector.ports.jobs import Job, NewJob
from connector.ports.store import Change, Decide, Document, DueRow, Key, Message, PeerKey, Snapshot
from connector.storage import codec
from connector.storage.queries import statements

SQL = statements("sqlite")
_BY_PID, _BY_PEER = SQL["process_by_pid"], SQL["process_by_peer"]
_UPDATE, _UPDATE_BODY = SQL["update_process"], SQL["update_process_body"]
_STEP, _DROP_DUE = SQL["insert_step"], SQL["delete_due_of"]
_SEND, _REMOVE, _PUT_OFF = SQL["insert_message"], SQL["delete_message"], SQL["put_off_message"]
_NOTHING = b"[]"
NO_FAILURES = b"[]"


def _word(state: State | None) -> str | None:
    return None if state is None else str(state)


def message_in(row: tuple[Any, ...]) -> Message:
    """The message in a row of `free_messages` or `pending`."""
    _, kind, participant, pid, peer, tries, created_at, message_id, event, url, body, is_harmless = row
    return Message(
        key=Key(kind=Kind(kind), participant=participant, pid=pid),
        peer=peer,
        outgoing=Outgoing(message_id=message_id, event=Event(event), url=url, body=body, is_harmless=bool(is_harmless)),
        tries=tries,
        created_at=codec.moment_of(created_at),
    )


def job_at(connection: sqlite3.Connection, participant: str, kind: str, id_: str) -> Job | None:
    """The job, or None."""
    row = connection.execute(SQL["job"], (participant, kind, id_)).fetchone()
    return codec.job_of(row) if row is not None else None


def put_job(connection: sqlite3.Connection, job: NewJob, body: bytes, now: int) -> bool:
    """Whether `job`, with its body as JSON, is new; as `Jobs.put`."""
    place = (job.participant, job.kind, job.id)
    kept = job_at(connection, *place)
    if kept is not None:
        if kept.given_up_at is None:
            return False
        connection.execute(SQL["drop_job"], place)
    not_before = codec.micros(job.not_before) if job.not_before is not None else now
    connection.execute(SQL["insert_job"], (*place, job.order_key, body, now, not_before, NO_FAILURES))
    return True


class Writes:
    """The writing half of the store port, for one node on one connection."""

    def __init__(self, connection: sqlite3.Connection, *, node: str, lease_s: float) -> None:
        self._connection = connection
        self._execute = connection.execute
        self._node = node
        self._lease = timedelta(seconds=lease_s) // timedelta(microseconds=1)

    # --- processes

    def advance(self, key: Key | PeerKey, decide: Decide[Any], received: str | None) -> Change[Any]:
        """What `Store.advance` promises, up to the commit."""
        if isinstance(key, Key):
            row = self._execute(_BY_PID, (key.participant, key.pid, str(key.kind), received)).fetchone()
        else:
            row = self._execute(
                _BY_PEER, (key.participant, key.peer, key.peer_pid, str(key.role), str(key.kind), received)
            ).fetchone()
        number, found, answer = None, None, None
        if row is not None:
            number, body, answer = row
            found = codec.decode_process(key.kind, body)
        change = decide(Snapshot(process=found, answer=answer))
        codec.checked(key, found, change)
        if change.process is not None:
            number = self._write_process(key, number, found, change.process)
        if number is not None:
            self._write_rest(number, found, change, received if answer is None else None)
        if change.agreement is not None:
            self._keep(change.agreement)
        return change

    def _write_process(self, key: Key | PeerKey, number: int | None, found: Process | None, process: Process) -> int:
        body, is_held, agreement = codec.encode(process), int(process.hold is not None), codec.agreement_id(process)
        if number is not None and found is not None:
            if process.state is found.state and agreement == codec.agreement_id(found):
                # spares the indexes
                self._execute(_UPDATE_BODY, (body, is_held, number))
            else:
                self._execute(_UPDATE, (body, is_held, _word(process.state), agreement, number))
                if process.is_ended:
                    self._execute(_DROP_DUE, (number,))
            return number
        opened_as = key.peer_pid if isinstance(key, PeerKey) else None
        values = (
            process.participant,
            str(key.kind),
            process.pid,
            str(process.role),
            process.peer,
            opened_as,
            codec.dataset(process),
            _word(process.state),
            agreement,
            is_held,
            body,
        )
        try:
            inserted = self._execute(SQL["insert_process"], values).lastrowid
        except sqlite3.IntegrityError as fault:
            # nobody else writes between our look and this, so it is not the peer's pid that is taken
            raise codec.pid_exists(process.pid) from fault
        assert inserted is not None
        return inserted

    def _write_rest(self, number: int, found: Process | None, change: Change[Any], received: str | None) -> None:
        if change.outgoing:
            now = codec.micros(codec.moment(change, found))
            for outgoing in change.outgoing:
                message = (outgoing.message_id, str(outgoing.event), outgoing.url, outgoing.body, int(outgoing.is_harmless))
                try:
                    self._execute(_SEND, (number, *message, now, now + self._lease, self._node))
                except sqlite3.IntegrityError as fault:
                    raise codec.message_exists(outgoing.message_id) from fault
        for message_id in change.removed:
            self._execute(_REMOVE, (number, message_id))
        for retry in change.retries:
            self._execute(_PUT_OFF, (codec.micros(retry.not_before), number, retry.message_id))
        if change.records or change.attempts or received is not None:
            records = codec.encode(change.records) if change.records else _NOTHING
            attempts = codec.encode(change.attempts) if change.attempts else _NOTHING
            answer = change.answer if received is not None else None
            self._execute(_STEP, (number, received, answer, records, attempts))
        for job in change.jobs:
            put_job(self._connection, job, codec.job_body(job), codec.micros(codec.moment(change, found)))
        process = change.process or found
        for due in change.due if process is not None and not process.is_ended else ():
            self._execute(SQL["insert_due"], (number, codec.encode(due), codec.micros(due.at)))

    # --- the workers' calls

    def claim(self, now: datetime, limit: int) -> tuple[Message, ...]:
        rows = self._leased("free_messages", "lease_message", now, limit)
        return tuple(map(message_in, rows))

    def claim_due(self, now: datetime, limit: int) -> tuple[DueRow, ...]:
        return tuple(
            DueRow(id=number, key=Key(kind=Kind(kind), participant=participant, pid=pid), due=codec.decode_due(body))
            for number, kind, participant, pid, body in self._leased("free_due", "lease_due", now, limit)
        )

    def _leased(self, find: str, lease: str, now: datetime, limit: int) -> list[tuple[Any, ...]]:
        moment = codec.micros(now)
        rows = self._execute(SQL[find], (moment, limit)).fetchall()
        self._connection.executemany(SQL[lease], [(self._node, moment + self._lease, row[0]) for row in rows])
        return rows

    def release(self) -> None:
        self._execute(SQL["release_messages"], (self._node,))
        self._execute(SQL["release_due"], (self._node,))

    def drop_due(self, ids: tuple[int, ...]) -> None:
        self._connection.executemany(SQL["delete_due"], [(id_,) for id_ in ids])

    # --- what is over

    def forget(self, kind: Kind, places: Sequence[tuple[str, str]]) -> int:
        return sum(self._execute(SQL["forget_process"], (participant, pid, str(kind))).rowcount for participant, pid in places)

    def compact(self, kind: Kind, places: Sequence[tuple[str, str]]) -> int:
        count = 0
        for participant, pid in places:
            changed = self._execute(SQL["compact_steps"], (participant, pid, str(kind))).rowcount
            count += changed > 0
        return count

    # --- agreements and documents

    def put_agreement(self, agreement: Agreement, is_new: bool) -> None:
        if self._keep(agreement) and is_new:
            raise codec.agreement_exists(agreement.id)

    def _keep(self, agreement: Agreement) -> bool:
        """True when there was one with this id."""
        row = self._execute(SQL["agreement"], (agreement.participant, agreement.id)).fetchone()
        if row is not None:
            codec.same_origin(codec.decode_agreement(row[0]), agreement)
        values = (agreement.participant, agreement.id, str(agreement.role), agreement.peer, agreement.dataset)
        self._execute(SQL["put_agreement"], (*values, codec.encode(agreement)))
        return row is not None

    def put_document(self, document: Document, expect: int | None) -> Document:
        place = (document.participant, document.kind, document.id)
        row = self._execute(SQL["document"], place).fetchone()
        version, created_at = (row[0], codec.moment_of(row[1])) if row else (0, document.created_at)
        if expect is not None and expect != version:
            raise codec.version_differs(document.id, expect, version)
        times = (codec.micros(created_at), codec.micros(document.updated_at))
        self._execute(SQL["put_document"], (*place, version + 1, *times, codec.tree(document.body)))
        self._changed(*place, is_gone=False)
        return Document(
            participant=document.participant,
            kind=document.kind,
            id=document.id,
            body=document.body,
            version=version + 1,
            created_at=created_at,
            updated_at=document.updated_at,
        )

    def delete_document(self, participant: str, kind: str, id_: str) -> bool:
        if self._execute(SQL["delete_document"], (participant, kind, id_)).rowcount == 0:
            return False
        self._changed(participant, kind, id_, is_gone=True)
        self._execute(SQL["forget_deletions"], (participant, MOST_BEHIND))
        return True

    def _changed(self, participant: str, kind: str, id_: str, *, is_gone: bool) -> None:
        self._execute(SQL["grow_revision"], (participant,))
        self._execute(SQL["note_change"], (participant, kind, id_, is_gone))
