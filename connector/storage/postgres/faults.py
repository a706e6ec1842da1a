"""What PostgreSQL's faults mean to the house: whose they are, and how to mend them.

Source: PostgreSQL, "Appendix A. PostgreSQL Error Codes".
"""

from __future__ import annotations

from typing import Final

import asyncpg

from connector.errors import BadMessage, ConfigurationError, InternalError, KontorError, StoreUnavailable

_RECOVERS: Final = "look at the database server; the node recovers by itself"
_MENDS: Final = {
    "25006": "the server is a standby: name the primary, or all of them with `?target_session_attrs=primary`",
    "42501": "let the node's user read and write the tables of its schema",
    "53100": "make room on the disk of the database server; the node recovers by itself",
    "53300": "raise `max_connections` of the database server, or lower `store.connections`",
    "55P03": "something holds a lock for long; it is tried again by itself",
    "57014": "the database server is too slow, or something holds a lock for long; it is tried again by itself",
    "57P03": "the database server is starting or stopping; the node recovers by itself",
}
# connection, resources, operator intervention, system, internal error, and failed transactions, read-only ones among them
_ENVIRONMENT: Final = ("08", "25", "40", "53", "55", "57", "58", "XX")
_CONFIGURATION: Final = ("28", "3D", "3F")
_NOT_ALLOWED: Final = "42501"
_NOT_A_TEXT: Final = ("22021", "22P05")
READ_ONLY: Final = "25006"
TRY_AGAIN: Final = frozenset({"40001", "40P01"})
"""Serialisation failures and deadlocks: the transaction was undone and may be begun again at once."""


def state(fault: BaseException) -> str:
    """The SQLSTATE of `fault`; empty when it does not come from the server."""
    return getattr(fault, "sqlstate", None) or ""


def told(fault: Exception, where: str) -> Exception:
    """`fault` as the caller of the store gets it; what is none of the database's comes back as it is."""
    code = state(fault)
    if isinstance(fault, asyncpg.DataError | UnicodeEncodeError) or code in _NOT_A_TEXT:
        return BadMessage("a text holds a character that cannot be kept", mend="leave out zero characters and lone surrogates")
    if isinstance(fault, OSError | TimeoutError | asyncpg.InterfaceError | asyncpg.InternalClientError):
        return _unavailable(fault, where, _RECOVERS)
    if code == _NOT_ALLOWED or code.startswith(_ENVIRONMENT):
        return _unavailable(fault, where, _MENDS.get(code, _RECOVERS))
    if isinstance(fault, asyncpg.PostgresError):
        return InternalError(f"a statement was refused by the state store: {_words(fault)}", where=where)
    return fault


def at_opening(fault: Exception, where: str) -> Exception:
    """`fault` as the reason why a store cannot be opened."""
    code = state(fault)
    if code.startswith(_CONFIGURATION) or code == _NOT_ALLOWED:
        return ConfigurationError(
            f"the state store cannot be opened: {_words(fault)}",
            where=where,
            mend="check user, password and database in `store.url`, and what that user may do",
        )
    if isinstance(fault, asyncpg.ClientConfigurationError | ValueError):
        # not in its own words: they may quote the password
        return ConfigurationError(
            "this is no address of a PostgreSQL server",
            where=where,
            mend="write `postgresql://USER:PASSWORD@HOST:PORT/DATABASE`, special characters percent-encoded",
        )
    return fault if isinstance(fault, KontorError) else told(fault, where)


def _unavailable(fault: Exception, where: str, mend: str) -> StoreUnavailable:
    return StoreUnavailable(f"the state store cannot be used: {_words(fault)}", where=where, mend=mend)


def _words(fault: Exception) -> str:
    """One line: what the server or the system says."""
    if isinstance(fault, TimeoutError):
        return "it does not answer in time"
    text = str(fault).strip() or type(fault).__name__
    return text.splitlines()[0].rstrip(".")
