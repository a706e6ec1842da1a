"""What is free in the files of a node, given back to the disk by command.

A running node does so by itself, in small steps (`controlplane/retention.py`); here is what it cannot: a SQLite file of an earlier
release, which is written anew, and a database server, which is asked to look now.
"""

from __future__ import annotations

from dataclasses import dataclass

from connector.errors import ConfigurationError
from connector.settings import Settings
from connector.storage import DATABASES, source_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Compacted:
    """A file or a database, before and after."""

    where: str
    before_bytes: int
    after_bytes: int


async def compact(settings: Settings, *, is_full: bool = False) -> tuple[Compacted, ...]:
    """What became of the store, and of the record of the federated catalogue where it has a file of its own; with `is_full` the tables
    of a database are written anew, which a file needs only once.

    Raises: ConfigurationError, StoreUnavailable.
    """
    url, folder = settings.store.url, settings.node.data_dir
    source = source_of(url, folder=folder)
    if not source.is_there:
        raise ConfigurationError("there is no store yet", where=source.where, mend="check `store.url` and `node.data_dir`")
    if url.partition(":")[0] in DATABASES:
        from connector.storage.postgres import space as server

        before, after = await server.compact(url, is_full=is_full)
        return (Compacted(where=source.where, before_bytes=before, after_bytes=after),)
    from pathlib import Path

    from connector.storage.sqlite import space

    found = []
    for path in (Path(source.where), folder / "catalog.db"):
        if path.is_file():
            before, after = await space.compact(path)
            found.append(Compacted(where=str(path), before_bytes=before, after_bytes=after))
    return tuple(found)
