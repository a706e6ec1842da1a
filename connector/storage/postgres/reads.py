"""What reads. Each call is one statement and so one view of the database; a timeline is a read-only transaction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, TypeVar

import msgspec

from connector.dsp.negotiation import Agreement
from connector.dsp.process import Process
from connector.dsp.tables import Kind, State
from connector.ports.documents import Changes
from connector.ports.store import Attempt, Document, Filter, Key, Opening, Page, Timeline
from connector.storage import codec
from connector.storage.postgres.link import Link
from connector.storage.postgres.writes import SQL, message_in

T = TypeVar("T")

_decode_attempts = msgspec.json.Decoder(tuple[Attempt, ...]).decode


class Reads:
    """The reading half of the store port."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._openings = codec.Openings()

    # --- one row by its key

    async def process(self, key: Key) -> Process | None:
        row = await self._row("process_by_pid", key.participant, key.pid, key.kind, None)
        return codec.decode_process(key.kind, row["body"]) if row is not None else None

    async def opening(self, participant: str, pid: str) -> Opening | None:
        row = await self._row("opening", participant, pid, Kind.TRANSFER)
        return self._openings.of(participant, pid, *row) if row is not None else None

    async def find(self, participant: str, pid: str) -> Key | None:
        row = await self._row("find", participant, pid)
        return Key(kind=Kind(row[0]), participant=participant, pid=pid) if row is not None else None

    async def agreement(self, participant: str, id_: str) -> Agreement | None:
        row = await self._row("agreement", participant, id_)
        return codec.decode_agreement(row[0]) if row is not None else None

    async def document(self, participant: str, kind: str, id_: str) -> Document | None:
        row = await self._row("document", participant, kind, id_)
        return _document(participant, kind, *row) if row is not None else None

    async def revision(self, participant: str) -> int:
        row = await self._row("revision", participant)
        return int(row[0]) if row is not None else 0

    async def held(self, kind: Kind, participant: str, peer: str) -> int:
        return int((await self._row("held", participant, peer, kind))[0])

    async def next_moment(self) -> datetime | None:
        row = await self._row("next_moment")
        return codec.moment_of(row[0]) if row[0] is not None else None

    async def _row(self, name: str, *values: object) -> Any:
        async with self._link.connection() as connection:
            return await connection.fetchrow(SQL[name], *values)

    # --- lists

    async def processes(self, kind: Kind, participant: str, filter_: Filter, cursor: str | None, limit: int) -> Page[Process]:
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
        return await self._newest("process", "id", narrowed, cursor, limit, lambda body: codec.decode_process(kind, body))

    async def agreements(self, participant: str, filter_: Filter, cursor: str | None, limit: int) -> Page[Agreement]:
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
        return await self._newest("agreement", "seq", narrowed, cursor, limit, codec.decode_agreement)

    async def _newest(
        self,
        table: str,
        order: str,
        narrowed: dict[str, object],
        cursor: str | None,
        limit: int,
        decode: Callable[[bytes], T],
    ) -> Page[T]:
        """The page behind `cursor` of the rows whose columns have the values in `narrowed` that are not None."""
        asked = {column: value for column, value in narrowed.items() if value is not None}
        values = list(asked.values())
        # columns and tables are words of this file; values are always parameters
        where = " AND ".join(f"{column} = ${number}" for number, column in enumerate(asked, start=1))
        behind = ""
        if cursor is not None:
            values.append(codec.number_after(cursor))
            behind = f" AND {order} < ${len(values)}"
        values.append(limit + 1)
        async with self._link.connection() as connection:
            rows = await connection.fetch(
                f"SELECT c.total, p.{order}, p.body FROM (SELECT count(*) AS total FROM {table} WHERE {where}) AS c"
                f" LEFT JOIN (SELECT {order}, body FROM {table} WHERE {where}{behind}"
                f" ORDER BY {order} DESC LIMIT ${len(values)}) AS p ON true ORDER BY p.{order} DESC",
                *values,
            )
        found = [row for row in rows if row["body"] is not None]
        return Page(
            items=tuple(decode(row["body"]) for row in found[:limit]),
            total=rows[0]["total"],
            next_cursor=codec.cursor(found[limit - 1][1]) if len(found) > limit else None,
        )

    async def documents(self, participant: str, kind: str, cursor: str | None, limit: int) -> Page[Document]:
        after = codec.text_after(cursor) if cursor is not None else ""
        async with self._link.connection() as connection:
            rows = await connection.fetch(SQL["documents"], participant, kind, after, limit + 1)
        found = [tuple(row)[1:] for row in rows if row["body"] is not None]
        return Page(
            items=tuple(_document(participant, kind, *row) for row in found[:limit]),
            total=rows[0]["total"],
            next_cursor=codec.cursor(found[limit - 1][0]) if len(found) > limit else None,
        )

    async def documents_since(self, participant: str, revision: int, limit: int) -> Changes | None:
        async with self._link.connection() as connection:
            rows = [tuple(row) for row in await connection.fetch(SQL["documents_since"], participant, revision, limit + 1)]
        if not codec.is_all_known(rows, revision, limit):
            return None
        return Changes(
            written=tuple(_document(participant, *row[1:]) for row in rows if row[3] is not None),
            deleted=tuple((row[1], row[2]) for row in rows if row[3] is None),
        )

    async def timeline(self, key: Key) -> Timeline:
        async with self._link.connection() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
            row = await connection.fetchrow(SQL["process_by_pid"], key.participant, key.pid, key.kind, None)
            if row is None:
                return Timeline(records=(), attempts=(), pending=(), due=())
            steps = await connection.fetch(SQL["steps"], row["id"])
            pending = await connection.fetch(SQL["pending"], row["id"])
            due = await connection.fetch(SQL["waiting_due"], row["id"])
        return Timeline(
            records=tuple(record for records, _ in steps for record in codec.decode_records(records)),
            attempts=tuple(attempt for _, attempts in steps for attempt in _decode_attempts(attempts)),
            pending=tuple(map(message_in, pending)),
            due=tuple(codec.decode_due(body) for (body,) in due),
        )

    async def several(self, kind: Kind, places: Sequence[tuple[str, str]]) -> tuple[Process, ...]:
        participants, pids = [participant for participant, _ in places], [pid for _, pid in places]
        async with self._link.connection() as connection:
            rows = await connection.fetch(SQL["several"], kind, participants, pids)
        return tuple(codec.decode_process(kind, body) for (body,) in rows)

    async def ended(
        self, kind: Kind, states: tuple[State, ...], before: datetime, after: int, limit: int
    ) -> tuple[tuple[Process, ...], int]:
        async with self._link.connection() as connection:
            rows = await connection.fetch(SQL["ended"], states, kind, after, limit)
        return codec.ended(kind, [(number, body) for number, body in rows], before, limit)

    async def running(self, kind: Kind, states: tuple[State | None, ...]) -> tuple[Key, ...]:
        async with self._link.connection() as connection:
            rows = await connection.fetch(SQL["running"], states, kind)
        return tuple(Key(kind=kind, participant=participant, pid=pid) for participant, pid in rows)


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
