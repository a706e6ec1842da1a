"""A whole store in one file: what `kontor backup` writes and `kontor restore` reads, the same for every kind of store.

The file is gzip of JSON lines: a head with the schema's version, for each table a line that names it and a line for each row, and a
foot with the counts and the SHA-256 of all lines before it. Moments are numbers, bytes are base64. Rows keep their numbers, so that
what refers to them goes on doing so. What lives here: the form, and what is in it. What does not: reading and writing tables
(`sqlite/rows.py`, `postgres/rows.py`). Left out: rows without meaning for another day (pulse, changes of
documents), the record of the federated catalogue (made anew from its members), and files in the data folder (`app/archives.py` tells
of them).
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import os
import pathlib
import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, aclosing, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Protocol

import orjson

from connector.dsp.tables import State
from connector.errors import ConfigurationError, InternalError
from connector.ports.jobs import NewJob
from connector.storage import codec, drafts

Row = tuple[Any, ...]
_FORM: Final = "kontor-archive"
_VERSION: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table of every store: columns in the order of an archive's rows, the bytes among them, what rows are ordered by."""

    name: str
    columns: tuple[str, ...]
    bytes_: frozenset[str] = frozenset({"body"})
    order: str


def _table(name: str, order: str, columns: str, bytes_: str = "body") -> Table:
    return Table(name=name, columns=tuple(columns.split()), bytes_=frozenset(bytes_.split()), order=order)


_PROCESS: Final = "id participant kind pid role peer opened_as dataset state agreement_id is_held body"
_OUTBOX: Final = "id process message_id event url body is_harmless tries created_at not_before free_at node"
_JOB: Final = "number participant kind id order_key body created_at not_before free_at tries turn failures node given_up_at"
TABLES: Final = (
    _table("process", "id", _PROCESS),
    _table("step", "id", "id process message_id answer records attempts", "answer records attempts"),
    _table("outbox", "id", _OUTBOX),
    _table("due", "id", "id process body not_before free_at node"),
    _table("agreement", "seq", "seq participant id role peer dataset body"),
    _table("document", "participant, kind, id", "participant kind id version created_at updated_at body"),
    _table("revision", "participant", "participant number"),
    _table("journal_stream", "participant, stream", "participant stream before before_sha256 last last_sha256"),
    _table("journal", "participant, stream, number", "participant stream number at previous sha256 body"),
    _table("job", "number", _JOB, "body failures"),
    _table("used_token", "digest", "digest until", "digest"),
    _table("book", "id", "id participant agreement next_at body"),
    _table("posting", "book, number", "book number key kind at facts evidence result", "facts"),
)
"""In the order in which they can be written: what is referred to comes first."""
_PROCESSES: Final = TABLES[0]
_STATE: Final = _PROCESSES.columns.index("state")
_ENDED: Final = frozenset(state.value for state in State if state.is_terminal)
_JOBS: Final = next(table for table in TABLES if table.name == "job")


class Rows(Protocol):
    """A store seen as rows, on one connection and in one transaction."""

    @property
    def schema(self) -> int:
        """The version of the schema."""
        ...

    async def tables(self) -> tuple[Table, ...]:
        """Those of `TABLES` that its schema has, in that order; none of them has ever changed its columns."""
        ...

    def rows(self, table: Table) -> AsyncIterator[Row]:
        """All rows of a table in their order."""
        ...

    async def insert(self, table: Table, rows: list[Row]) -> None:
        """Add rows, with the numbers that they have."""
        ...


class Source(Protocol):
    """A store that can be opened as rows."""

    where: str
    """What may be said of its address."""
    latest: int
    """The version of the schema in this release."""

    @property
    def is_there(self) -> bool:
        """False for a file that is not there yet; a server is asked when it is opened."""
        ...

    def reading(self) -> AbstractAsyncContextManager[Rows]:
        """One view of it; others go on writing meanwhile."""
        ...

    def writing(self, version: int) -> AbstractAsyncContextManager[Rows]:
        """It, to be filled: made with that version of the schema when it is not there; written when the context ends without an
        error, and else left as it was.

        Raises: ConfigurationError when it is there with an older one.
        """
        ...

    async def migrate(self) -> None:
        """Bring its schema up to this release."""
        ...


@dataclass(slots=True)
class _Sum:
    """Digest and counts of the lines of an archive."""

    counts: dict[str, int] = field(default_factory=dict)
    hash: Any = field(default_factory=hashlib.sha256)

    def foot(self) -> bytes:
        return orjson.dumps({"end": True, "rows": self.counts, "sha256": self.hash.hexdigest()}) + b"\n"


async def write(
    source: Source, path: pathlib.Path, now: datetime, *, more: Mapping[str, Any] | None = None
) -> Mapping[str, int]:
    """How many rows of each table were written to the new file `path`, which is whole or not there; `more` stands in its head.

    Raises: ConfigurationError when there is such a file already, or none can be made or written; as opening the store does.
    """
    fd, draft = drafts.opened(path)
    sum_ = _Sum()
    try:
        with os.fdopen(fd, "wb") as raw:
            with gzip.GzipFile(fileobj=raw, mode="wb", filename="", mtime=0, compresslevel=3) as file:
                async with aclosing(_lines(source, sum_, now, more or {})) as lines:
                    async for line in lines:
                        sum_.hash.update(line)
                        file.write(line)
                file.write(sum_.foot())
            raw.flush()
            os.fsync(raw.fileno())
        drafts.publish(draft, path)
    except FileExistsError as fault:
        raise ConfigurationError("there is such a file already", where=str(path), mend="name another one") from fault
    except OSError as fault:
        raise ConfigurationError(
            f"the archive cannot be written: {(fault.strerror or str(fault)).lower()}",
            where=str(path),
            mend="make room, or name a file elsewhere; nothing is left of this one",
        ) from fault
    finally:
        with suppress(FileNotFoundError):
            draft.unlink()
    return sum_.counts


async def _lines(source: Source, sum_: _Sum, now: datetime, more: Mapping[str, Any]) -> AsyncGenerator[bytes]:
    async with source.reading() as rows:
        if rows.schema == 0:
            raise ConfigurationError("there is no store yet", where=source.where, mend="check `store.url` and `node.data_dir`")
        head = {"form": _FORM, "version": _VERSION, "schema": rows.schema, "written_at": now.isoformat(), **more}
        yield orjson.dumps(head) + b"\n"
        # of an older schema, too: a backup is made before `kontor migrate`
        for table in await rows.tables():
            yield orjson.dumps({"table": table.name, "columns": table.columns}) + b"\n"
            sum_.counts[table.name] = 0
            async for row in rows.rows(table):
                sum_.counts[table.name] += 1
                yield _encoded(table, row)


def _encoded(table: Table, row: Row) -> bytes:
    cells = [
        base64.b64encode(cell).decode() if name in table.bytes_ and cell is not None else cell
        for name, cell in zip(table.columns, row, strict=True)
    ]
    return orjson.dumps(cells) + b"\n"


def _decoded(table: Table, cells: list[Any]) -> Row:
    return tuple(
        base64.b64decode(cell) if name in table.bytes_ and cell is not None else cell
        for name, cell in zip(table.columns, cells, strict=True)
    )


def head(path: pathlib.Path) -> Mapping[str, Any]:
    """What stands in the head of an archive that is whole.

    Raises: ConfigurationError.
    """
    _checked(path)
    return head_of_checked(path)


def head_of_checked(path: pathlib.Path) -> Mapping[str, Any]:
    """The same of one that was checked before, without reading all of it again."""
    with gzip.open(path, "rb") as file:
        found: Mapping[str, Any] = orjson.loads(file.readline())
    return found


async def read(
    path: pathlib.Path, target: Source, *, mark: NewJob | None = None, now: datetime | None = None
) -> Mapping[str, int]:
    """How many rows of each table went from the file `path` into the empty store `target`: all, or none.

    `mark` is put among its jobs, at `now`, where a process in it had not ended: in the same transaction, so that no node ever starts
    without it.

    Each row is read back from the store and compared with the file, field by field, before it counts. The store has the schema of the
    archive until then, and that of this release afterwards.

    Raises: ConfigurationError when the file is none of ours, damaged, of a newer release, or the store is not empty, or of another
    schema.
    """
    schema, counts = _checked(path)
    if schema > target.latest:
        raise ConfigurationError(
            f"the archive is of schema {schema}, this release knows {target.latest}",
            where=str(path),
            mend="restore it with the release that wrote it or a newer one",
        )
    async with target.writing(schema) as rows:
        if schema != rows.schema:
            raise ConfigurationError(
                f"the archive is of schema {schema}, the store has {rows.schema}",
                where=target.where,
                mend="name a new store in `store.url`: it is made as the archive has it, and brought up to date then",
            )
        tables = await rows.tables()
        for table in tables:
            async for _ in rows.rows(table):
                raise ConfigurationError(
                    f"the store is not empty: it has rows in `{table.name}`",
                    where=target.where,
                    mend="name a new store in `store.url`; what is there is never overwritten",
                )
        unended, last_job = 0, 0
        for table, batch in _batches(path):
            await rows.insert(table, batch)
            if table is _PROCESSES:
                unended += sum(row[_STATE] not in _ENDED for row in batch)
            elif table is _JOBS:
                last_job = batch[-1][0]
        await _compare(path, rows, tables)
        has_jobs = _JOBS in tables
        if mark is not None and unended and has_jobs:
            await rows.insert(_JOBS, [_marked(mark, last_job + 1, now)])
    await target.migrate()
    if mark is not None and unended and not has_jobs:
        # the first schema of all had no jobs
        async with target.writing(target.latest) as rows:
            await rows.insert(_JOBS, [_marked(mark, 1, now)])
    return counts


def _marked(job: NewJob, number: int, now: datetime | None) -> Row:
    at = codec.micros(now or datetime.now(UTC))
    return (number, job.participant, job.kind, job.id, job.order_key, codec.job_body(job), at, at, at, 0, 0, b"[]", None, None)


async def _compare(path: pathlib.Path, rows: Rows, tables: tuple[Table, ...]) -> None:
    """Nothing, when the store holds what the file says.

    Raises: InternalError, naming the first row and field that differ.
    """
    wanted = _rows(path)
    for table in tables:
        async for row in rows.rows(table):
            place, expected = next(wanted, (None, ()))
            if place is not table or row != expected:
                names = [n for n, a, b in zip(table.columns, row, expected, strict=False) if a != b]
                raise InternalError(
                    f"`{table.name}` differs after it was written, in {', '.join(names) or 'its rows'}: {row[:4]}"
                )
    if next(wanted, None) is not None:
        raise InternalError("not everything of the archive is in the store")


def _checked(path: pathlib.Path) -> tuple[int, Mapping[str, int]]:
    """The schema and the counts of an archive whose every line is what was written.

    Raises: ConfigurationError.
    """
    sum_, schema, last = _Sum(), 0, b""
    try:
        with gzip.open(path, "rb") as file:
            head = orjson.loads(file.readline())
            if not isinstance(head, dict) or head.get("form") != _FORM or head.get("version") != _VERSION:
                raise ValueError("another form")
            schema = int(head["schema"])
            file.seek(0)
            for line in file:
                if last:
                    sum_.hash.update(last)
                last = line
        foot = orjson.loads(last)
        is_whole = isinstance(foot, dict) and foot.get("end") is True and foot.get("sha256") == sum_.hash.hexdigest()
    except FileNotFoundError as fault:
        raise ConfigurationError("there is no such file", where=str(path)) from fault
    except (OSError, EOFError, ValueError, KeyError, TypeError, zlib.error) as fault:
        mend = "restore from another backup; nothing was written"
        raise ConfigurationError(f"this is no archive of ours, or damaged: {fault}", where=str(path), mend=mend) from fault
    if not is_whole:
        mend = "restore from another backup; nothing was written"
        raise ConfigurationError("the archive is damaged or was cut off", where=str(path), mend=mend)
    return schema, foot["rows"]


def _rows(path: pathlib.Path) -> Iterator[tuple[Table, Row]]:
    """Every row of an archive that was checked."""
    tables = {table.name: table for table in TABLES}
    table: Table | None = None
    with gzip.open(path, "rb") as file:
        for line in file:
            tree = orjson.loads(line)
            if isinstance(tree, dict):
                table = tables.get(tree.get("table", ""))
            elif table is not None:
                yield table, _decoded(table, tree)


def _batches(path: pathlib.Path, most: int = 1000) -> Iterator[tuple[Table, list[Row]]]:
    batch: list[Row] = []
    last: Table | None = None
    for table, row in _rows(path):
        if last is not None and (table is not last or len(batch) >= most):
            yield last, batch
            batch = []
        last = table
        batch.append(row)
    if last is not None and batch:
        yield last, batch
