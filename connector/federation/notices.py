"""Saved searches that tell when something new fits, and notices of what members want.

What lives here: `Notices`: what members leave with the ledger, what fits it, and telling a webhook. What does not: their spelling
on the wire (`web/catalog/notices.py`).

A saved search belongs to a member and is asked as that member: it never tells of what its owner could not see. Something new is a
product that came or changed since; each is told once for each change. Who reads the feed asks when it likes; a webhook is told by
a job, which is tried again until it is taken. What its owner left behind when it left the alliance tells nothing any more.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

import orjson

from connector.errors import CallerError, Conflict, Gone, NotFound, PeerAnswer
from connector.federation import asking, reading
from connector.federation.following import Indexer
from connector.federation.ledger import Ledger
from connector.federation.query import MOST_PER_PAGE
from connector.outbound.client import OutboundClient
from connector.ports.catalog import Change, MemberState, Product, Records
from connector.ports.clock import Clock
from connector.ports.identity import Caller
from connector.ports.index import Sort
from connector.ports.jobs import Job, NewJob
from connector.ports.store import Document, Store

CONTEXT: Final = "@catalog"
"""The context of what members leave here; no participant can have this name."""
KIND: Final = "catalog.notify"
SEARCHES: Final = "saved-search"
DEMANDS: Final = "demand"
_MOST_EACH: Final = 50
_MOST_CHANGES: Final = 1_000
_AGAIN: Final = timedelta(seconds=1)
_DEMAND_LIVES: Final = timedelta(days=90)
_MOST_TEXT: Final = 4_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """A saved search."""

    id: str
    owner: Caller
    fields: Mapping[str, Sequence[str]]
    webhook: str | None
    after: int
    """Up to which change its webhook was told."""
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What a member wants and does not find."""

    id: str
    owner: str
    title: str
    text: str
    created_at: datetime
    fits: bool | None = None
    """Whether the viewer offers something that fits; None when nobody known asks."""


class Notices:
    """What members leave with the ledger."""

    def __init__(
        self, store: Store, records: Records, ledger: Ledger, indexer: Indexer, outbound: OutboundClient, clock: Clock
    ) -> None:
        self._store = store
        self._records = records
        self._ledger = ledger
        self._indexer = indexer
        self._outbound = outbound
        self._clock = clock
        self._waits = asyncio.Event()

    # --- saved searches

    async def save(self, owner: Caller, fields: Mapping[str, Sequence[str]], webhook: str | None) -> Saved:
        """A saved search of `owner`, from now on.

        Raises: BadMessage for a search that cannot be asked, AddressRefused for a webhook that may not be reached, CallerError
        when the owner has too many.
        """
        asking.query({name: list(values) for name, values in fields.items()})
        if webhook is not None:
            self._outbound.vet(webhook)
        await self._vet_count(SEARCHES, owner.id)
        now, sequence = self._clock.now(), await self._records.sequence()
        found = Saved(id=str(uuid.uuid4()), owner=owner, fields=dict(fields), webhook=webhook, after=sequence, created_at=now)
        await self._store.put_document(_written(found, now), expect=0)
        return found

    async def saved(self, owner: str) -> list[Saved]:
        """The saved searches of `owner`."""
        return [one for one in map(_read, await self._all(SEARCHES)) if one.owner.id == owner]

    async def news(self, owner: Caller, id_: str, after: int) -> tuple[list[Product], int, bool]:
        """What fits a saved search and came or changed after the change `after`; up to which change that is, and whether there
        is more.

        Raises: NotFound; Gone when `after` is too long ago.
        """
        found = await self._own(SEARCHES, id_, owner.id)
        saved = replace(_read(found), owner=owner)
        changes = await self._records.changes(after, _MOST_CHANGES)
        changes = [change for change in changes if change.sequence <= self._indexer.sequence]
        last = changes[-1].sequence if changes else after
        return await self._fitting(saved, changes), last, len(changes) == _MOST_CHANGES

    async def drop(self, owner: str, kind: str, id_: str) -> None:
        """Take away what `owner` left.

        Raises: NotFound.
        """
        await self._own(kind, id_, owner)
        await self._store.delete_document(CONTEXT, kind, id_)

    async def _fitting(self, saved: Saved, changes: Sequence[Change]) -> list[Product]:
        numbers = frozenset(change.number for change in changes if change.product is not None)
        member = await self._records.member(saved.owner.id)
        if not numbers or (member is not None and member.state is not MemberState.LISTED):
            return []
        query = asking.query({name: list(values) for name, values in saved.fields.items()})
        found: list[Product] = []
        cursor: str | None = None
        while True:
            wanted = replace(query, numbers=numbers, sort=Sort.ADDED, size=MOST_PER_PAGE, cursor=cursor, facets=())
            answer = await self._ledger.search(wanted, saved.owner)
            if answer.is_relaxed:
                # something that has some of the words is no news to whoever asked for all
                return found
            found += answer.products
            cursor = answer.cursor
            if cursor is None:
                return found

    # --- webhooks

    async def run(self) -> None:
        """Have webhooks told of what is new, for ever."""
        while True:
            changes: dict[int, Sequence[Change]] = {}
            for document in await self._all(SEARCHES):
                saved = _read(document)
                if saved.webhook is not None and saved.after < self._indexer.sequence:
                    await self._notice(document, saved, changes)
            await self._clock.wait_until(self._clock.now() + _AGAIN, self._waits)

    async def _notice(self, document: Document, saved: Saved, known: dict[int, Sequence[Change]]) -> None:
        if saved.after not in known:
            try:
                known[saved.after] = await self._records.changes(saved.after, _MOST_CHANGES)
            except Gone:
                known[saved.after] = ()
        changes = [change for change in known[saved.after] if change.sequence <= self._indexer.sequence]
        last = changes[-1].sequence if changes else self._indexer.sequence
        found = await self._fitting(saved, changes)
        now = self._clock.now()
        if found:
            # put twice by two replicas it is one job; put and not noted it is told twice, and never forgotten
            body = {"search": saved.id, "webhook": saved.webhook, "sequence": last, "items": [brief(one) for one in found]}
            job = NewJob(participant=CONTEXT, kind=KIND, id=f"{saved.id} {last}", body=body, order_key=saved.id)
            await self._store.jobs.put([job], now)
        try:
            await self._store.put_document(_written(replace(saved, after=last), now), expect=document.version)
        except Conflict:
            # another replica was quicker
            return

    async def tell(self, job: Job) -> None:
        """Tell a webhook.

        Raises: KontorError: it is tried again.
        """
        url = str(job.body["webhook"])
        tree = {name: job.body[name] for name in ("search", "sequence", "items")}
        answer = await self._outbound.post(url, orjson.dumps(tree), {"content-type": "application/json"}, max_bytes=4096)
        if not answer.is_success:
            raise PeerAnswer(f"the webhook answered {answer.status}", answer_status=answer.status, where=url)

    # --- demands

    async def want(self, owner: Caller, title: str, text: str) -> Demand:
        """A notice of what `owner` wants, for ninety days.

        Raises: CallerError when it says nothing or too much, or the owner has too many.
        """
        if not title.strip() or len(title) > 300 or len(text) > _MOST_TEXT:
            mend = f"write a title of at most 300 characters, and a text of at most {_MOST_TEXT}"
            raise CallerError("this is no notice", where="title", mend=mend)
        await self._vet_count(DEMANDS, owner.id)
        now = self._clock.now()
        found = Demand(id=str(uuid.uuid4()), owner=owner.id, title=title.strip(), text=text, created_at=now)
        body = {"owner": found.owner, "title": found.title, "text": found.text}
        document = Document(participant=CONTEXT, kind=DEMANDS, id=found.id, body=body, created_at=now, updated_at=now)
        await self._store.put_document(document, expect=0)
        return found

    async def demands(self, viewer: Caller | None) -> list[Demand]:
        """The notices, the latest first; those that the viewer's own products fit say so.

        Raises: Unauthenticated.
        """
        self._ledger.admit(viewer)
        now = self._clock.now()
        found: list[Demand] = []
        for document in await self._all(DEMANDS):
            if document.created_at + _DEMAND_LIVES < now:
                await self._store.delete_document(CONTEXT, DEMANDS, document.id)
                continue
            one = Demand(id=document.id, created_at=document.created_at, **document.body)
            found.append(replace(one, fits=await self._fits(one, viewer) if viewer else None))
        return sorted(found, key=lambda one: one.created_at, reverse=True)

    async def _fits(self, demand: Demand, viewer: Caller) -> bool:
        query = asking.query({"q": [f"{demand.title} {demand.text}"[:1_000]], "origin": [viewer.id], "size": ["1"]})
        return (await self._ledger.search(query, viewer)).total > 0

    # --- documents

    async def _all(self, kind: str) -> list[Document]:
        found: list[Document] = []
        cursor: str | None = None
        while True:
            page = await self._store.documents(CONTEXT, kind, cursor=cursor, limit=1_000)
            found += page.items
            cursor = page.next_cursor
            if cursor is None:
                return found

    async def _own(self, kind: str, id_: str, owner: str) -> Document:
        found = await self._store.document(CONTEXT, kind, id_)
        named = None if found is None else found.body["owner"]
        if found is None or (named["id"] if isinstance(named, Mapping) else named) != owner:
            raise NotFound("there is no such thing of yours", where=id_[:100])
        return found

    async def _vet_count(self, kind: str, owner: str) -> None:
        owners = [one.body["owner"] for one in await self._all(kind)]
        if sum((one["id"] if isinstance(one, Mapping) else one) == owner for one in owners) >= _MOST_EACH:
            raise CallerError(f"you have {_MOST_EACH} of these already", where=kind, mend="take one away")


def brief(product: Product) -> dict[str, Any]:
    """A product in a notice."""
    tree = reading.tree_of(product)
    title = reading.best_text(reading.texts(tree, "title"), "") or product.entry.id
    return {"number": product.number, "id": product.entry.id, "origin": product.entry.origin, "title": title}


def _written(saved: Saved, now: datetime) -> Document:
    owner = {"id": saved.owner.id, "claims": dict(saved.owner.claims)}
    body = {
        "owner": owner,
        "fields": {name: list(values) for name, values in saved.fields.items()},
        "webhook": saved.webhook,
        "after": saved.after,
    }
    return Document(participant=CONTEXT, kind=SEARCHES, id=saved.id, body=body, created_at=saved.created_at, updated_at=now)


def _read(document: Document) -> Saved:
    body = document.body
    return Saved(
        id=document.id,
        owner=Caller(id=body["owner"]["id"], claims=body["owner"]["claims"]),
        fields=body["fields"],
        webhook=body["webhook"],
        after=body["after"],
        created_at=document.created_at,
    )
