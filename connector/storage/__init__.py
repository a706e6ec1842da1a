"""Where state is kept: the adapters of `connector.ports.store`, and the one place that chooses between them by URL."""

from __future__ import annotations

import pathlib
from urllib.parse import unquote

from connector.errors import ConfigurationError
from connector.ports.store import Store

_KNOWN = "`sqlite:///PATH`, `memory:`"


def open_store(url: str, *, node: str, lease_s: float, folder: pathlib.Path | None = None) -> Store:
    """The store that `url` names, for the node with the id `node`; nothing is touched before its `open`.

    `sqlite:///kontor.db` is relative to `folder` (the node's data folder; None: the working folder),
    `sqlite:////var/lib/kontor.db` is absolute, `memory:` is lost at exit. `lease_s` is how long a node owns what it took from
    the outbox.

    Raises: ConfigurationError for another scheme, or a SQLite URL without a path.
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
    raise ConfigurationError(f"`{scheme}` is no kind of store", where="store.url", mend=f"known: {_KNOWN}")
