"""Where state is kept: the adapters of `connector.ports.store`, and the one place that chooses between them by URL."""

from __future__ import annotations

import pathlib
from urllib.parse import unquote

from connector.errors import ConfigurationError
from connector.ports.store import Store
from connector.storage.archive import Source

_KNOWN = "`sqlite:///PATH`, `postgresql://USER:PASSWORD@HOST:PORT/DATABASE`, `memory:`"
DEFAULT_CONNECTIONS = 16
DATABASES = ("postgresql", "postgres")
"""Schemes of stores that a server keeps."""


def source_of(url: str, *, folder: pathlib.Path | None = None) -> Source:
    """The store that `url` names, as rows, for archives.

    Raises: ConfigurationError for a store that keeps nothing; as `open_store`.
    """
    # whether the address can be understood, and its library is there
    open_store(url, node="archive", lease_s=1, folder=folder)
    scheme, _, rest = url.partition(":")
    if scheme == "memory":
        raise ConfigurationError("this store keeps nothing", where="store.url", mend=f"known: {_KNOWN}")
    if scheme == "sqlite":
        from connector.storage.sqlite.rows import SqliteSource

        return SqliteSource((folder or pathlib.Path()) / unquote(rest.removeprefix("///")))
    from connector.storage.postgres.rows import PostgresSource

    return PostgresSource(url)


def open_store(
    url: str, *, node: str, lease_s: float, folder: pathlib.Path | None = None, connections: int = DEFAULT_CONNECTIONS
) -> Store:
    """The store that `url` names, for the node with the id `node`; nothing is touched before its `open`.

    `sqlite:///kontor.db` is relative to `folder` (the node's data folder; None: the working folder),
    `sqlite:////var/lib/kontor.db` is absolute, `memory:` is lost at exit; `postgresql://` is shared by replicas, each with at
    most `connections` at work. `lease_s` is how long a node owns what it took from the outbox.

    Raises: ConfigurationError for another scheme, a SQLite URL without a path, or a store whose library is not installed.
    """
    scheme, colon, rest = url.partition(":")
    if colon and scheme == "memory" and rest in ("", "//"):
        from connector.storage.memory import MemoryStore

        return MemoryStore(node=node, lease_s=lease_s)
    if colon and scheme == "sqlite":
        path = unquote(rest.removeprefix("///"))
        if not rest.startswith("///") or not path:
            raise ConfigurationError(
                f"`{url}` names no file",
                where="store.url",
                mend="write `sqlite:///kontor.db`, or `sqlite:////` and an absolute path",
            )
        from connector.storage.sqlite.store import SqliteStore

        return SqliteStore(path=(folder or pathlib.Path()) / path, node=node, lease_s=lease_s)
    if colon and scheme in DATABASES:
        try:
            from connector.storage.postgres.store import PostgresStore
        except ModuleNotFoundError as fault:
            raise ConfigurationError(
                f"the library `{fault.name}` for this store is not installed",
                where="store.url",
                mend="install the extra: `kontor-connector[postgres]`",
            ) from fault
        return PostgresStore(url=url, node=node, lease_s=lease_s, connections=connections)
    raise ConfigurationError(f"`{scheme}` is no kind of store", where="store.url", mend=f"known: {_KNOWN}")
