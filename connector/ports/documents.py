"""What operators write, kept under a context, a kind and an id: the part of the store port that is about documents.

Each change of a document of a context gives the context its next revision: what caches compare, and from which on they ask what has
changed. `connector.testing.store_contract` is what adapters must pass.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

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

    async def documents_since(self, participant: str, revision: int, *, limit: int = 250) -> tuple[Document, ...] | None:
        """The documents of the context that were written after it had `revision`, in no order.

        None when that is not all there is to know, and whoever keeps something made of them looks at them all: one was deleted
        since, or more than `limit` were written.
        """
        ...
