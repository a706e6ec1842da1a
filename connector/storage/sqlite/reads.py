"""What reads, as plain functions on a connection that sees what is committed and never waits for the writer.

Those that find one row by its key run on the event loop; lists and timelines run on a thread (`store.py` says which).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar

import msgspec

from connector.dsp.negotiation import Agreement
from connector.dsp.process import Process
from connector.dsp.tables import Kind, State
from connector.ports.documents import Changes
from connector.ports.store import Attempt, Document, Filter, Key, Page, Timeline
from connector.storage import codec
from connector.storage.sqlite.access import one_view
from connector.storage.sqlite.writes import SQL, message_in

T = TypeVar("T")

_decode_attempts = msgspec.json.Decoder(tuple[Attempt, ...]).decode


# --- one row by its key


def process_row(connection: sqlite3.Connection, participant: str, pid: str, kind: Kind) -> bytes | None:
    row = connection.execute(SQL["process_by_pid"], (participant, pid, str(kind), None)).fetchone()
    return row[1] if row is not None else None


def opening_row(connection: sqlite3.Connection, participant: str, pid: str) -> tuple[bytes, bytes | None] | None:
    row: tuple[bytes, bytes | None] | None = connection.execute(
        SQL["opening"], (participant, pid, str(Kind.TRANSFER))
    ).fetchone()
    return row


def process(connection: sqlite3.Connection, key: Key) -> Process | None:
    row = process_row(connection, key.participant, key.pid, key.kind)
    return codec.decode_process(key.kind, row) if row is not None else None


def find(connection: sqlite3.Connection, participant: str, pid: str) -> Key | None:
    row = connection.execute(SQL["find"], (participant, pid)).fetchone()
    return Key(kind=Kind(row[0]), participant=participant, pid=pid) if row is not None else None


def agreement_row(connection: sqlite3.Connection, participant: str, id_: str) -> bytes | None:
    row = connection.execute(SQL["agreement"], (participant, id_)).fetchone()
    return row[0] if row is not None else None


def document(connection: sqlite3.Connection, participant: str, kind: str, id_: str) -> Document | None:
    row = connection.execute(SQL["document"], (participant, kind, id_)).fetchone()
    return _document(participant, kind, id_, *row) if row is not None else None


def revision(connection: sqlite3.Connection, participant: str) -> int:
    row = connection.execute(SQL["revision"], (participant,)).fetchone()
    return int(row[0]) if row is not None else 0


def held(connection: sqlite3.Connection, kind: Kind, participant: str, peer: str) -> int:
    return int(connection.execute(SQL["held"], (participant, peer, kind)).fetchone()[0])


def next_moment(connection: sqlite3.Connection) -> datetime | None:
    (first,) = connection.execute(SQL["next_moment"]).fetchone()
    return codec.moment_of(first) if first is not None else None


# --- lists


def processes(
    connection: sqlite3.Connection, kind: Kind, participant: str, filter_: Filter, cursor: str | None, limit: int
) -> Page[Process]:
    narrowed: dict[str, object] = {
        "kind": kind,
        "participant": participant,
        "state": filter_.state,
        "role": filter_.role,
        "peer": filter_.peer,
        "dataset": filter_.dataset,
        "agreement_id": filter_.agreement_id,
        "is_held": filter_.is_held,
    }
    return _newest(connection, "process", "id", narrowed, cursor, limit, lambda body: codec.decode_process(kind, body))


def agreements(
    connection: sqlite3.Connection, participant: str, filter_: Filter, cursor: str | None, limit: int
) -> Page[Agreement]:
    narrowed: dict[str, object] = {
        "participant": participant,
        "role": filter_.role,
        "peer": filter_.peer,
        "dataset": filter_.dataset,
        "id": filter_.agreement_id,
    }
    if filter_.state is not None or filter_.is_held:
        # agreements have no state and are never held
        narrowed["seq"] = 0
    return _newest(connection, "agreement", "seq", narrowed, cursor, limit, codec.decode_agreement)


def _newest(
    connection: sqlite3.Connection,
    table: str,
    order: str,
    narrowed: dict[str, object],
    cursor: str | None,
    limit: int,
    decode: Callable[[bytes], T],
) -> Page[T]:
    """The page behind `cursor` of the rows whose columns have the values in `narrowed` that are not None."""
    asked = {column: value for column, value in narrowed.items() if value is not None}
    # columns and tables are words of this file; values are always parameters
    where = " AND ".join(f"{column} = ?" for column in asked)
    behind, before = ("", ()) if cursor is None else (f" AND {order} < ?", (codec.number_after(cursor),))
    with one_view(connection):
        (total,) = connection.execute(f"SELECT count(*) FROM {table} WHERE {where}", tuple(asked.values())).fetchone()
        rows = connection.execute(
            f"SELECT {order}, body FROM {table} WHERE {where}{behind} ORDER BY {order} DESC LIMIT ?",
            (*asked.values(), *before, limit + 1),
        ).fetchall()
    return Page(
        items=tuple(decode(body) for _, body in rows[:limit]),
        total=total,
        next_cursor=codec.cursor(rows[limit - 1][0]) if len(rows) > limit else None,
    )


def documents(connection: sqlite3.Connection, participant: str, kind: str, cursor: str | None, limit: int) -> Page[Document]:
    after = codec.text_after(cursor) if cursor is not None else ""
    with one_view(connection):
        (total,) = connection.execute(SQL["count_documents"], (participant, kind)).fetchone()
        rows = connection.execute(SQL["documents"], (participant, kind, after, limit + 1)).fetchall()
    return Page(
        items=tuple(_document(participant, kind, *row) for row in rows[:limit]),
        total=total,
        next_cursor=codec.cursor(rows[limit - 1][0]) if len(rows) > limit else None,
    )


def documents_since(connection: sqlite3.Connection, participant: str, revision: int, limit: int) -> Changes | None:
    rows = connection.execute(SQL["documents_since"], (participant, revision, limit + 1)).fetchall()
    if not codec.is_all_known(rows, revision, limit):
        return None
    return Changes(
        written=tuple(_document(participant, *row[1:]) for row in rows if row[3] is not None),
        deleted=tuple((row[1], row[2]) for row in rows if row[3] is None),
    )


def _document(participant: str, kind: str, id_: str, version: int, created_at: int, updated_at: int, body: bytes) -> Document:
    return Document(
        participant=participant,
        kind=kind,
        id=id_,
        body=codec.decode_tree(body),
        version=version,
        created_at=codec.moment_of(created_at),
        updated_at=codec.moment_of(updated_at),
    )


def timeline(connection: sqlite3.Connection, key: Key) -> Timeline:
    with one_view(connection):
        row: tuple[Any, ...] | None = connection.execute(
            SQL["process_by_pid"], (key.participant, key.pid, key.kind, None)
        ).fetchone()
        if row is None:
            return Timeline(records=(), attempts=(), pending=(), due=())
        number = (row[0],)
        steps = connection.execute(SQL["steps"], number).fetchall()
        pending = connection.execute(SQL["pending"], number).fetchall()
        due = connection.execute(SQL["waiting_due"], number).fetchall()
    return Timeline(
        records=tuple(record for records, _ in steps for record in codec.decode_records(records)),
        attempts=tuple(attempt for _, attempts in steps for attempt in _decode_attempts(attempts)),
        pending=tuple(map(message_in, pending)),
        due=tuple(codec.decode_due(body) for (body,) in due),
    )


def running(connection: sqlite3.Connection, kind: Kind, states: tuple[State | None, ...]) -> tuple[Key, ...]:
    found: list[Key] = []
    with one_view(connection):
        for state in dict.fromkeys(states):
            rows = connection.execute(SQL["running"], (state, kind)).fetchall()
            found += (Key(kind=kind, participant=participant, pid=pid) for participant, pid in rows)
    return tuple(found)


def ended(
    connection: sqlite3.Connection, kind: Kind, states: tuple[State, ...], before: datetime, after: int, limit: int
) -> tuple[tuple[Process, ...], int]:
    rows: list[tuple[int, bytes]] = []
    with one_view(connection):
        for state in dict.fromkeys(states):
            rows += connection.execute(SQL["ended"], (state, kind, after, limit)).fetchall()
    return codec.ended(kind, sorted(rows)[:limit], before, limit)
