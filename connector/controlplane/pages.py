"""Pages of our own catalogues: made once for all callers who see the same, out of datasets written once for all pages.

What lives here: which part of a catalogue is asked for, the page as bytes, and what is kept of both. What does not: who sees what
(`seeing.py`, asked anew for each request), and what a dataset looks like (`connector.dsp.catalog`).

INVARIANT: a kept page is given out for the same outcome of the access policies only, asked for this caller just now. Whatever changes
the outcome - a claim, the clock, a policy - leads to another page, and whatever changes a dataset to another revision.
Pages begin at a dataset id, so that a page stays what it was while datasets come and go.
Source: Dataspace Protocol 2025-1, Catalog Protocol; RFC 9110, section 8.8.3.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from connector import observe, strict
from connector.controlplane.describing import Published
from connector.controlplane.participants import Context
from connector.controlplane.seeing import Outcome, shown
from connector.controlplane.shelf import Item, Shelf, Terms
from connector.dsp import catalog as shapes
from connector.dsp import messages as m
from connector.errors import BadMessage, UnsupportedFilter

_MOST_PAGES: Final = 64
_MOST_BYTES: Final = 16 << 20
"""Of all pages that are kept, and as many of all datasets as they are written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogPage:
    """One page of our catalogue, ready to send."""

    body: bytes
    etag: str
    next: str | None = None
    """Cursor of the page after it."""
    previous: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Which part of the catalogue is asked for."""

    start: str | None
    size: int
    offset: int = 0

    @property
    def is_first(self) -> bool:
        """Whether it is where the catalogue begins."""
        return self.start is None and self.offset == 0


@dataclass(frozen=True, slots=True)
class _Piece:
    """A dataset as it stands in a catalogue."""

    item: Item
    terms: tuple[Terms, ...]
    """The offers that it shows."""
    body: bytes
    """Empty for one that cannot be described."""
    digest: bytes


@dataclass(slots=True, kw_only=True)
class _Written:
    """The datasets of one shelf as they stand in its catalogue, by id."""

    revision: int
    service: shapes.ServiceDescription
    pieces: dict[str, _Piece] = field(default_factory=dict)
    size: int = 0


class Pages:
    """Makes pages, and keeps some."""

    def __init__(self) -> None:
        self._pages: OrderedDict[tuple[object, ...], CatalogPage] = OrderedDict()
        self._size = 0
        self._written: OrderedDict[str, _Written] = OrderedDict()

    def page(
        self, context: Context, shelf: Shelf, outcomes: tuple[Outcome, ...], window: Window, about: Published | None
    ) -> CatalogPage:
        """The page of the catalogue for whom the access policies of `shelf.by_access` have these outcomes."""
        service = service_of(context)
        key = (context.name, shelf.revision, service, about.digest if about is not None else "", window, outcomes)
        kept = self._pages.get(key)
        if kept is not None:
            self._pages.move_to_end(key)
            return kept
        more = about.members if about is not None and window.is_first else {}
        page = self._pages[key] = self._made(context, shelf, visible(shelf, outcomes), window, more)
        self._size += len(page.body)
        while len(self._pages) > 1 and (len(self._pages) > _MOST_PAGES or self._size > _MOST_BYTES):
            self._size -= len(self._pages.popitem(last=False)[1].body)
        return page

    def _made(
        self,
        context: Context,
        shelf: Shelf,
        seen: Sequence[tuple[Item, tuple[Terms, ...]]],
        window: Window,
        more: Mapping[str, Any],
    ) -> CatalogPage:
        def begin(place: int) -> str:
            return _cursor(seen[place][0].asset.id)

        if window.start is not None:
            first = bisect_left(seen, window.start, key=lambda one: one[0].asset.id)
        else:
            first = min(window.offset, len(seen))
        last = first + window.size
        pieces = self._pieces(context, shelf, seen[first:last])
        head = {**shapes.head(service_of(context)), **more}
        # whoever hashed the whole would do so as long as it takes to write it
        parts = hashlib.sha256(shapes.encode(head))
        parts.update(b"".join([piece.digest for piece in pieces]))
        return CatalogPage(
            body=shapes.joined(head, [piece.body for piece in pieces if piece.body]),
            etag=f'"{parts.hexdigest()[:32]}"',
            next=begin(last) if last < len(seen) else None,
            previous=begin(max(0, first - window.size)) if first > 0 and seen else None,
        )

    def _pieces(self, context: Context, shelf: Shelf, seen: Sequence[tuple[Item, tuple[Terms, ...]]]) -> list[_Piece]:
        """The datasets as they are written: those that were written before, and the others now."""
        written = self._of(context, shelf)
        known, found = written.pieces, []
        for item, terms in seen:
            piece = known.get(item.asset.id)
            if piece is None or piece.item is not item or piece.terms != terms:
                written.size -= len(piece.body) if piece is not None else 0
                piece = known[item.asset.id] = _piece(context, written.service, item, terms)
                written.size += len(piece.body)
            found.append(piece)
        self._bound()
        return found

    def _of(self, context: Context, shelf: Shelf) -> _Written:
        service, known = service_of(context), self._written.get(context.name)
        if known is None or known.service != service:
            known = self._written[context.name] = _Written(revision=shelf.revision, service=service)
        elif known.revision != shelf.revision:
            # a shelf hands on what did not change
            known.pieces = {id_: piece for id_, piece in known.pieces.items() if shelf.items.get(id_) is piece.item}
            known.revision, known.size = shelf.revision, sum(len(piece.body) for piece in known.pieces.values())
        self._written.move_to_end(context.name)
        return known

    def _bound(self) -> None:
        """Forget what was asked for longest ago, never the one that was asked for now."""
        size = sum(one.size for one in self._written.values())
        while len(self._written) > 1 and size > _MOST_BYTES:
            size -= self._written.popitem(last=False)[1].size


def _piece(context: Context, service: shapes.ServiceDescription, item: Item, terms: tuple[Terms, ...]) -> _Piece:
    try:
        body = shapes.encode(shapes.describe(service, described(item, terms)))
    except BadMessage as fault:
        cause = f"data set {strict.shown(item.asset.id)}: {fault}"
        observe.warning("catalog.left_out", participant=context.name, cause=cause)
        body = b""
    return _Piece(item, terms, body, hashlib.sha256(body).digest())


def visible(shelf: Shelf, outcomes: Sequence[Outcome]) -> list[tuple[Item, tuple[Terms, ...]]]:
    """The datasets with an offer that is seen, each with those offers, by their ids."""
    if all(outcome is True for outcome in outcomes):
        return everything(shelf)
    seen = shown(shelf.by_access, outcomes)
    found: list[tuple[Item, tuple[Terms, ...]]] = []
    for id_, item in shelf.items.items():
        terms = tuple(one for one in item.terms if (id_, one.offer_id) in seen)
        if terms:
            found.append((item, terms))
    return found


def everything(shelf: Shelf) -> list[tuple[Item, tuple[Terms, ...]]]:
    """The datasets with all their offers, by their ids."""
    return [(item, item.terms) for item in shelf.items.values() if item.terms]


def service_of(context: Context) -> shapes.ServiceDescription:
    """The connector as its catalogue tells it."""
    return shapes.ServiceDescription(participant_id=context.id, endpoint_url=context.address, title=context.title)


def described(item: Item, terms: Sequence[Terms]) -> shapes.DatasetDescription:
    """The dataset with these of its offers."""
    asset = item.asset
    return shapes.DatasetDescription(
        id=asset.id,
        title=asset.title,
        description=asset.description,
        keywords=asset.keywords,
        media_type=asset.media_type,
        byte_size=asset.byte_size,
        digest=asset.digest,
        modified=item.modified,
        properties=asset.properties,
        offers=tuple(t.tree for t in terms),
        formats=item.formats,
    )


def window_of(message: m.CatalogRequestMessage, cursor: str | None, page_size: int) -> Window:
    """What part is asked for: by our cursor, or by offset and limit of EDC's `QuerySpec`.

    Raises: UnsupportedFilter for any other filter, and for a `QuerySpec` that filters.
    """
    offset, size = 0, page_size
    for number, entry in enumerate(message.filter):
        if not isinstance(entry, Mapping) or not _is_plain_query(entry):
            raise UnsupportedFilter(
                "this catalogue knows no filter language",
                where=f"filter[{number}]",
                mend="ask without `filter` and choose from the pages",
            )
        offset = entry["offset"] if _is_count(entry.get("offset")) else offset
        size = min(size, entry["limit"]) if _is_count(entry.get("limit")) and entry["limit"] > 0 else size
    return Window(start=_opened(cursor) if cursor else None, size=size, offset=offset)


def _is_plain_query(entry: Mapping[str, Any]) -> bool:
    known = {"@type", "offset", "limit", "sortOrder", "sortField", "filterExpression"}
    return set(entry) <= known and not entry.get("filterExpression") and not entry.get("sortField")


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _cursor(id_: str) -> str:
    return base64.urlsafe_b64encode(id_.encode()).decode().rstrip("=")


def _opened(cursor: str) -> str:
    try:
        return base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError) as fault:
        raise BadMessage("this cursor is none of ours", where="cursor", mend="follow the `Link` of a page") from fault
