"""What SQLite's faults mean to the house: whose they are, and how to mend them.

Source: SQLite, "Result and Error Codes".
"""

from __future__ import annotations

import pathlib
import sqlite3

from connector.errors import ConfigurationError, InternalError, KontorError, StoreUnavailable

_BUSY, _LOCKED, _CORRUPT, _FULL, _CANTOPEN, _NOTADB, _READONLY = 5, 6, 11, 13, 14, 26, 8
_NOMEM, _INTERRUPT, _IOERR, _PROTOCOL = 7, 9, 10, 15
_ENVIRONMENT = frozenset(
    {_BUSY, _LOCKED, _CORRUPT, _FULL, _CANTOPEN, _NOTADB, _READONLY, _NOMEM, _INTERRUPT, _IOERR, _PROTOCOL}
)
_MENDS = {
    _BUSY: "another process holds the file; it is tried again by itself",
    _LOCKED: "another process holds the file; it is tried again by itself",
    _FULL: "make room on the disk; the node recovers by itself",
    _READONLY: "let the node write to the file and its folder",
    _CANTOPEN: "let the node read and write the file and its folder",
    _CORRUPT: "stop the node and restore the file from a backup",
    _NOTADB: "stop the node and restore the file from a backup",
}


def primary(fault: sqlite3.Error) -> int:
    """The primary result code of `fault`; 0 when it does not come from the engine."""
    return getattr(fault, "sqlite_errorcode", 0) & 0xFF


def is_busy(fault: sqlite3.Error) -> bool:
    """True when another process holds the lock."""
    return primary(fault) in (_BUSY, _LOCKED)


def is_environment(fault: sqlite3.Error) -> bool:
    """True when the file, the disk or another process is the cause, and not what one statement says."""
    return primary(fault) in _ENVIRONMENT


def as_told(fault: Exception) -> Exception:
    """What the caller of a function that raised `fault` gets: the fault itself, unless the engine speaks in it."""
    if not isinstance(fault, sqlite3.Error):
        return fault
    told = InternalError(f"a statement was refused by the state store: {fault}")
    told.__cause__ = fault
    return told


def unavailable(fault: sqlite3.Error, path: pathlib.Path) -> StoreUnavailable:
    """`fault` as the answer to a call that was not carried out."""
    return StoreUnavailable(
        f"the state store cannot be used: {fault}",
        where=str(path),
        mend=_MENDS.get(primary(fault), "look at the disk and the system's log; the node recovers by itself"),
    )


def at_opening(fault: sqlite3.Error, path: pathlib.Path) -> KontorError:
    """`fault` as the reason why a store cannot be opened."""
    if primary(fault) == _NOTADB:
        return ConfigurationError(
            "this file is no SQLite database, or is encrypted", where=str(path), mend="name another file in `store.url`"
        )
    if primary(fault) == _CORRUPT:
        return ConfigurationError(
            f"the state store is damaged: {fault}", where=str(path), mend="restore the file from a backup, or name another one"
        )
    if primary(fault) in (_CANTOPEN, _READONLY):
        return ConfigurationError(f"the state store cannot be opened: {fault}", where=str(path), mend=_MENDS[primary(fault)])
    return unavailable(fault, path)
