"""The file of a SQLite store: making it, recognising it, bringing its schema up to date, connecting to it.

The schema's version stands in `user_version`; `application_id` tells our files from others. A new or empty file gets the
schema at once. A file with an older schema is left alone until the operator says `kontor migrate`, after a backup.
"""

from __future__ import annotations

import os
import pathlib
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing

from connector.errors import ConfigurationError, SchemaTooNew
from connector.storage.queries import Migration, migrations
from connector.storage.sqlite.faults import at_opening, is_busy

APPLICATION_ID = 0x4B6E7472
"""`Kntr` in the file's header."""
_WAIT_S = 10.0
_WRITER_KIB, _READER_KIB = 8192, 2048


def connect(path: pathlib.Path, *, wait_ms: int, is_reader: bool = False) -> sqlite3.Connection:
    """A connection as the store needs it; `wait_ms` is how long it waits for a lock of another process once it is open."""
    connection = sqlite3.connect(path, isolation_level=None, timeout=_WAIT_S, check_same_thread=False, cached_statements=128)
    try:
        _log_ahead(connection)
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        # what is not in these pages is in the system's: three large caches would only be memory that grows with the file
        connection.execute(f"PRAGMA cache_size = -{_READER_KIB if is_reader else _WRITER_KIB}")
        # the log is folded into the file every 16 MiB, not every 4: each time costs two more syncs
        connection.execute("PRAGMA wal_autocheckpoint = 4000")
        if is_reader:
            connection.execute("PRAGMA query_only = ON")
        connection.execute(f"PRAGMA busy_timeout = {wait_ms}")
    except BaseException:
        connection.close()
        raise
    return connection


def _log_ahead(connection: sqlite3.Connection) -> None:
    """See to it that the file is in WAL mode.

    The change needs the file for itself alone, and the engine does not wait for that: another process may just be opening it.
    """
    end = time.monotonic() + _WAIT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as fault:
            if not is_busy(fault) or time.monotonic() > end:
                raise
            time.sleep(0.005)
        else:
            return


def prepare(path: pathlib.Path, wanted: int | None = None) -> None:
    """See to it that `path` is a store with the present schema; with that of version `wanted`, or a newer one.

    Raises: SchemaTooNew; ConfigurationError for a foreign, damaged or older file; StoreUnavailable.
    """
    make(path)
    steps = tuple(step for step in migrations("sqlite") if wanted is None or step.version <= wanted)
    needed = steps[-1].version
    try:
        with closing(connect_plainly(path)) as connection:
            version = recognise(connection, path)
            if version == 0:
                run(connection, path, steps)
            elif version < needed:
                raise ConfigurationError(
                    f"the state store has schema {version}, this release needs {needed}",
                    where=str(path),
                    mend="make a backup, then run `kontor migrate`",
                )
    except sqlite3.Error as fault:
        raise at_opening(fault, path) from fault


def migrate(path: pathlib.Path, steps: tuple[Migration, ...] | None = None) -> tuple[int, int]:
    """The schema's versions before and after it was brought up to date; `steps` are those of this release.

    Raises: as `prepare`, but for the older file.
    """
    make(path)
    try:
        with closing(connect_plainly(path)) as connection:
            return run(connection, path, migrations("sqlite") if steps is None else steps)
    except sqlite3.Error as fault:
        raise at_opening(fault, path) from fault


def latest() -> int:
    """The schema's version in this release."""
    return migrations("sqlite")[-1].version


def make(path: pathlib.Path) -> None:
    """See to it that there is a file at `path` which only our user can read.

    Raises: ConfigurationError.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        # the files that SQLite puts beside it get the same permissions
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as fault:
        raise ConfigurationError(
            f"the state store cannot be opened: {fault.strerror}",
            where=str(path),
            mend="let the node read and write the file and its folder, or name another file in `store.url`",
        ) from fault


def connect_plainly(path: pathlib.Path) -> sqlite3.Connection:
    """A connection that changes nothing about the file by being opened: it may be somebody else's."""
    return sqlite3.connect(path, isolation_level=None, timeout=_WAIT_S)


def recognise(connection: sqlite3.Connection, path: pathlib.Path) -> int:
    """The schema's version in the file; 0 when it is new.

    Raises: SchemaTooNew; ConfigurationError when the file is somebody else's.
    """
    # one view: another process may be making the schema right now
    connection.execute("BEGIN")
    try:
        return recognised(connection, path)
    finally:
        connection.execute("ROLLBACK")


def recognised(connection: sqlite3.Connection, path: pathlib.Path) -> int:
    """As `recognise`, inside a transaction."""
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if application == 0 and version == 0 and tables == 0:
        return 0
    if application != APPLICATION_ID:
        raise ConfigurationError(
            "this is a database of another program", where=str(path), mend="name another file in `store.url`"
        )
    if version > latest():
        raise SchemaTooNew(
            f"the state store has schema {version}, this release knows {latest()}",
            where=str(path),
            mend="run the release that wrote it or a newer one, or restore a backup",
        )
    return int(version)


def run(connection: sqlite3.Connection, path: pathlib.Path, steps: tuple[Migration, ...]) -> tuple[int, int]:
    """The versions before and after the steps that were missing: all of them in one transaction, so that nobody sees half of it."""
    # nothing about the file is changed before it is known to be ours
    if recognise(connection, path) == 0:
        # before anything is in it: what is freed later can be given back to the disk (`space.py`)
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    _log_ahead(connection)
    connection.execute("BEGIN IMMEDIATE")
    try:
        # another process may have been quicker
        before = after = recognised(connection, path)
        for step in steps:
            if after < step.version:
                for statement in parts(step.script):
                    connection.execute(statement)
                after = step.version
        if after != before:
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {after}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return before, after


def parts(script: str) -> Iterator[str]:
    """The statements of a script, one at a time."""
    text = ""
    for line in script.splitlines(keepends=True):
        text += line
        if sqlite3.complete_statement(text):
            yield text
            text = ""
    if text.strip():
        yield text
