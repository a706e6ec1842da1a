"""What is free in a SQLite file, given back to the disk: in small steps while a node writes to it, or all at once while none does.

A file that was made by this release can give its free pages back one by one (`auto_vacuum = INCREMENTAL`); one of an earlier release has
to be written anew once (`rewrite`), which nobody can write beside. Each step is a transaction: what is cut short stays as it was, and a
full disk ends it without harm. A step moves as many pages as take some milliseconds, and rests for longer than it took.
Source: SQLite, "PRAGMA auto_vacuum", "PRAGMA incremental_vacuum", "VACUUM".
"""

from __future__ import annotations

import asyncio
import os
import pathlib
import shutil
import sqlite3
import time
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import Final

from connector import observe
from connector.errors import ConfigurationError
from connector.storage.sqlite import faults

_INCREMENTAL: Final = 2
WORTH_BYTES: Final = 8 << 20
"""Less is left for what is written next."""
_WORTH_SHARE: Final = 0.2
_KEPT_SHARE: Final = 0.05
"""What stays free: a file that shrinks to its last byte grows again with the next message."""
_FIRST_PAGES, _LEAST_PAGES, _MOST_PAGES = 64, 8, 512
_STEP_S: Final = 0.005
_REST: Final = 4.0
"""Rest after a step, in times of what it took."""
_WAIT_S, _LOOK_S = 5.0, 0.0005
"""How long a step waits for the file, and how often it looks."""
_FRESH: Final = ".new"
"""Ends the name of a file that is to take the place of the old one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """How a file is used."""

    page_bytes: int
    pages: int
    free_pages: int
    is_incremental: bool
    """Whether it can give pages back one by one."""

    @property
    def file_bytes(self) -> int:
        return self.pages * self.page_bytes

    @property
    def free_bytes(self) -> int:
        return self.free_pages * self.page_bytes

    @property
    def is_worth_it(self) -> bool:
        """Whether so much is free that giving it back is worth the work."""
        return self.free_bytes >= max(WORTH_BYTES, self.file_bytes * _WORTH_SHARE)


def look(connection: sqlite3.Connection) -> Space:
    """How the file of `connection` is used."""

    def number(name: str) -> int:
        (found,) = connection.execute(f"PRAGMA {name}").fetchone()
        return int(found)

    return Space(
        page_bytes=number("page_size"),
        pages=number("page_count"),
        free_pages=number("freelist_count"),
        is_incremental=number("auto_vacuum") == _INCREMENTAL,
    )


async def give_back(path: pathlib.Path, *, is_all: bool = False) -> int:
    """How many bytes the file at `path` has become smaller; nothing is done where that is not worth it, unless `is_all`.

    Raises: StoreUnavailable when the disk is full or somebody holds the file; what was given back until then is.
    """
    connection = await asyncio.to_thread(_connected, path)
    try:
        before = look(connection)
        if not before.is_incremental or not (is_all or before.is_worth_it):
            if before.is_worth_it:
                mend = "stop the node, and say `kontor compact` once"
                observe.warning("store.free_bytes_kept", free_bytes=before.free_bytes, file=str(path), mend=mend)
            return 0
        kept = 0 if is_all else int((before.pages - before.free_pages) * _KEPT_SHARE)
        pages = _FIRST_PAGES
        while (left := look(connection).free_pages - kept) > 0:
            took_s = await asyncio.to_thread(_step, connection, min(pages, left))
            if took_s is None:
                # somebody writes without a pause: what is left goes back another time
                break
            pages = _adapted(pages, took_s)
            await asyncio.sleep(took_s * _REST)
        await asyncio.to_thread(_fold, connection)
        return before.file_bytes - look(connection).file_bytes
    except sqlite3.Error as fault:
        raise faults.unavailable(fault, path) from fault
    finally:
        await asyncio.to_thread(connection.close)


async def compact(path: pathlib.Path) -> tuple[int, int]:
    """The bytes of the file at `path` before and after everything that is free in it was given back to the disk.

    Raises: ConfigurationError for a file of an earlier release that a node has open; StoreUnavailable.
    """
    before = await asyncio.to_thread(os.path.getsize, path)
    with closing(_connected(path)) as connection:
        is_incremental = look(connection).is_incremental
    if is_incremental:
        await give_back(path, is_all=True)
    else:
        await asyncio.to_thread(rewrite, path)
    return before, await asyncio.to_thread(os.path.getsize, path)


def _connected(path: pathlib.Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, timeout=0, check_same_thread=False)
    try:
        # nothing is lost when the last steps are: the next commit of the writer syncs them, too
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA wal_autocheckpoint = 4000")
    except sqlite3.Error as fault:
        connection.close()
        raise faults.unavailable(fault, path) from fault
    return connection


def _step(connection: sqlite3.Connection, pages: int) -> float | None:
    """How long the file was held to give back so many pages; None when it could not be had.

    The engine's own waiting looks ever more seldom, and would find a busy writer's lock taken each time.
    """
    end = time.monotonic() + _WAIT_S
    while True:
        begun = time.monotonic()
        try:
            cut(connection, pages)
        except sqlite3.Error as fault:
            if connection.in_transaction:
                with suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
            if not faults.is_busy(fault):
                raise
            if begun > end:
                return None
            time.sleep(_LOOK_S)
        else:
            return time.monotonic() - begun


def cut(connection: sqlite3.Connection, pages: int) -> None:
    """Give back so many pages in a transaction of their own.

    As a script: of this statement the engine's door in Python does one page each time that it is executed.
    """
    connection.executescript(f"BEGIN IMMEDIATE;PRAGMA incremental_vacuum({pages});COMMIT")


def _adapted(pages: int, took_s: float) -> int:
    if took_s < _STEP_S / 2:
        return min(pages * 2, _MOST_PAGES)
    return max(pages // 2, _LEAST_PAGES) if took_s > _STEP_S else pages


def _fold(connection: sqlite3.Connection) -> None:
    """Have the file itself cut: the log is folded in, which holds nobody up, and emptied where nobody reads it."""
    connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
    with suppress(sqlite3.OperationalError):
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def rewrite(path: pathlib.Path) -> None:
    """Write the file anew, so that from now on it can give pages back; nothing is free in it then.

    The new file is whole and on the disk before it takes the place of the old one: a crash leaves one of the two.

    Raises: ConfigurationError when a node has it open, or there is no room; the file is as it was then.
    """
    fresh = path.with_name(f"{path.name}{_FRESH}")
    with closing(sqlite3.connect(path, isolation_level=None, timeout=1)) as connection:
        _take(connection, path)
        space = look(connection)
        _check_room(path, space.file_bytes - space.free_bytes)
        fresh.unlink(missing_ok=True)
        try:
            os.close(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
            connection.execute(f"PRAGMA auto_vacuum = {_INCREMENTAL}")
            connection.execute("VACUUM INTO ?", (str(fresh),))
            _sync(fresh)
            os.replace(fresh, path)
            _sync(path.parent)
        except (sqlite3.Error, OSError) as fault:
            mend = "make room on its disk; the store is as it was"
            raise ConfigurationError(f"the state store cannot be written anew: {fault}", where=str(path), mend=mend) from fault
        finally:
            fresh.unlink(missing_ok=True)


def _take(connection: sqlite3.Connection, path: pathlib.Path) -> None:
    """Have the file for ourselves alone, and all of it in the file itself."""
    try:
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("PRAGMA journal_mode = DELETE").fetchall()
        connection.execute("BEGIN EXCLUSIVE")
        connection.execute("COMMIT")
    except sqlite3.Error as fault:
        if faults.is_busy(fault):
            mend = "stop it: nobody can write while the file is written anew"
            raise ConfigurationError("a node has the state store open", where=str(path), mend=mend) from fault
        raise faults.at_opening(fault, path) from fault


def _sync(path: pathlib.Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _check_room(path: pathlib.Path, needed: int) -> None:
    free = shutil.disk_usage(path.parent).free
    if free < needed:
        raise ConfigurationError(
            f"writing the file anew takes {needed >> 20} MiB for a while, {free >> 20} MiB are free",
            where=str(path.parent),
            mend="make room, or restore a backup into a new store on a larger disk",
        )
