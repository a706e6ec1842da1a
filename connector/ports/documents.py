"""What operators write, kept under a context, a kind and an id: the part of the store port that is about documents.

Each change of a document of a context gives the context its next revision: what caches compare, and from which on they ask what has
changed. `connector.testing.store_contract` is what adapters must pass.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol

from connector.ports.page import Page


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """Something an operator wrote: an asset, a policy, a definition, a participant, a sealed secret."""

    participant: str
    kind: str
    """`asset`, `policy`, `contract-definition`, `participant`, `rules`, `secret`."""
    id: str
    body: Mapping[str, Any]
    version: int = 1
    created_at: datetime
    updated_at: datetime


MOST_BEHIND: Final = 256
"""Revisions of a context after which it is no longer known what was deleted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What has happened to the documents of a context."""

    written: tuple[Document, ...] = ()
    """In no order."""
    deleted: tuple[tuple[str, str], ...] = ()
    """Kinds and ids."""


class Documents(Protocol):
    """Documents of all contexts. Every call may raise StoreUnavailable."""

    async def document(self, participant: str, kind: str, id_: str) -> Document | None:
        """The document, or None."""
        ...

    async def documents(self, participant: str, kind: str, *, cursor: str | None = None, limit: int = 100) -> Page[Document]:
        """The documents of one kind in one context, by id."""
        ...

    async def put_document(self, document: Document, *, expect: int | None = None) -> Document:
        """Write a document; the result has its new version.

        `expect` is the version it must have now, 0 for "must not exist", None for whatever.
        Raises: Conflict when it is another.
        """
        ...

    async def delete_document(self, participant: str, kind: str, id_: str) -> bool:
        """True when there was one."""
        ...

    async def revision(self, participant: str) -> int:
        """A number that grows with every change of a document of the context: what caches compare."""
        ...

    async def documents_since(self, participant: str, revision: int, *, limit: int = 250) -> Changes | None:
        """What was written and deleted in the context after it had `revision`.

        None when that is not known, and whoever keeps something made of the documents looks at them all: it was more than
        `limit`, or more than `MOST_BEHIND` revisions ago.
        """
        ...
