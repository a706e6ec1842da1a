"""Saved searches that tell when something new fits, and notices of what members want.

What lives here: `Notices`: what members leave with the ledger, what fits it, and telling a webhook. What does not: their spelling
on the wire (`web/catalog/notices.py`).

A saved search belongs to a member and is asked as that member: it never tells of what its owner could not see. Something new is a
product that came or changed since; each is told once for each change. Who reads the feed asks when it likes; a webhook is told by
a job, which is tried again until it is taken, and each message is signed with a key that its owner alone was shown. Of several nodes
one looks for what is new; another takes over when it dies. What its owner left behind when it left the alliance tells nothing any more.
A notice of what is wanted is seen by the members whose products fit, and by everybody where its owner says so.
"""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

import orjson

from connector import observe
from connector.describe.words import fold, runs
from connector.errors import BadMessage, CallerError, Conflict, Gone, NotFound, PeerAnswer
from connector.federation import asking, reading
from connector.federation.following import Indexer
from connector.federation.leavings import Leavings
from connector.federation.ledger import Ledger
from connector.federation.query import MOST_PER_PAGE
from connector.outbound.client import OutboundClient
from connector.outbound.signing import key_of, new_key, signed
from connector.ports.catalog import Change, MemberState, Product, Records
from connector.ports.clock import Clock
from connector.ports.identity import Caller
from connector.ports.index import Sort, Way
from connector.ports.jobs import Job, NewJob
from connector.ports.seal import Sealer
from connector.ports.store import Document, Store

CONTEXT: Final = "@catalog"
"""The context of what members leave here; no participant can have this name."""
KIND: Final = "catalog.notify"
WATCH: Final = "catalog.watch"
"""The work of whoever looks for what is new: one job, which never ends while there is a saved search with a webhook."""
SEARCHES: Final = "saved-search"
DEMANDS: Final = "demand"
_MOST_EACH: Final = 50
_MOST_CHANGES: Final = 1_000
_AGAIN: Final = timedelta(seconds=1)
_TAKE_UP_EVERY: Final = timedelta(minutes=1)
_NOTED_EVERY: Final = 10_000
"""Changes that fit nothing, after which it is written down that they were looked at."""
_DEMAND_LIVES: Final = timedelta(days=90)
_MOST_TEXT: Final = 4_000
_MOST_SHOWN: Final = 500
_MOST_WORDS: Final = 12
_MOST_ASKED: Final = 1_000
"""Words that are looked for in a viewer's products for one answer: under half a second. Older notices with others fit it not."""
_LOOKED_FOR: Final = 100
_TELLING: Final = 4
"""Letters of a word that says something."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """A saved search."""

    id: str
    owner: Caller
    fields: Mapping[str, Sequence[str]]
    webhook: str | None
    sealed: str
    """The key that its webhook's messages are signed with; empty without a webhook."""
    after: int
    """Up to which change its webhook was told."""
    created_at: datetime


class Readers(StrEnum):
    """Who sees a notice of what is wanted."""

    MATCHING = "matching"
    """Its owner, and members with a product that fits."""
    EVERYBODY = "everybody"
    """Whoever may ask the ledger."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What a member wants and does not find."""

    id: str
    owner: str
    title: str
    text: str
    readers: Readers
    created_at: datetime
    fits: bool | None = None
    """Whether the viewer offers something that fits; None when nobody known asks."""


class Notices:
    """What members leave with the ledger."""

    def __init__(
        self,
        store: Store,
        records: Records,
        ledger: Ledger,
        indexer: Indexer,
        outbound: OutboundClient,
        seal: Sealer,
        clock: Clock,
    ) -> None:
        self._store = store
        self._left = Leavings(store, CONTEXT)
        self._seal = seal
        self._records = records
        self._ledger = ledger
        self._indexer = indexer
        self._outbound = outbound
        self._clock = clock
        self._waits = asyncio.Event()

    # --- saved searches

    async def save(self, owner: Caller, fields: Mapping[str, Sequence[str]], webhook: str | None) -> tuple[Saved, str]:
        """A saved search of `owner`, from now on; and the key that messages to its webhook are signed with, which is shown once.

        Raises: BadMessage for a search that cannot be asked, AddressRefused for a webhook that may not be reached, CallerError
        when the owner has too many.
        """
        asking.query({name: list(values) for name, values in fields.items()})
        if webhook is not None:
            self._outbound.vet(webhook)
        await self._vet_count(SEARCHES, owner.id)
        now, sequence, id_ = self._clock.now(), await self._records.sequence(), str(uuid.uuid4())
        key = new_key() if webhook is not None else ""
        sealed = self._seal.seal(CONTEXT, id_, key) if key else ""
        found = Saved(id=id_, owner=owner, fields=dict(fields), webhook=webhook, sealed=sealed, after=sequence, created_at=now)
        await self._store.put_document(_written(found, now), expect=0)
        if webhook is not None:
            await self._take_up()
        return found, key

    async def saved(self, owner: str) -> list[Saved]:
        """The saved searches of `owner`."""
        return [one for one in map(_read, await self._left.all(SEARCHES)) if one.owner.id == owner]

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
            # something that has some of the words is no news to whoever asked for all
            wanted = replace(
                query, numbers=numbers, way=Way.PARTS, sort=Sort.ADDED, size=MOST_PER_PAGE, cursor=cursor, facets=()
            )
            answer = await self._ledger.search(wanted, saved.owner)
            found += answer.products
            cursor = answer.cursor
            if cursor is None:
                return found

    # --- webhooks

    async def run(self) -> None:
        """See to it, as long as the node runs, that one node looks for what is new while there is a webhook."""
        while True:
            if any(_read(one).webhook is not None for one in await self._left.all(SEARCHES)):
                await self._take_up()
            await self._clock.wait_until(self._clock.now() + _TAKE_UP_EVERY, self._waits)

    async def _take_up(self) -> None:
        await self._store.jobs.put([NewJob(participant=CONTEXT, kind=WATCH, id="watch", body={})], self._clock.now())

    async def watch(self, job: Job) -> None:
        """Have webhooks told of what is new, as long as there is one; the job's lease keeps other nodes from it."""
        reached: dict[str, int] = {}
        done: tuple[Sequence[Document], int] | None = None
        while True:
            every, sequence = await self._left.all(SEARCHES), self._indexer.sequence
            if done is not None and done[0] is every and done[1] == sequence:
                await self._clock.wait_until(self._clock.now() + _AGAIN, self._waits)
                continue
            found = [document for document in every if _read(document).webhook is not None]
            if not found:
                return
            # in the order in which they have been told, so that each change is read once for all, and few are in memory
            starts = sorted(((max(_read(one).after, reached.get(one.id, 0)), one) for one in found), key=lambda pair: pair[0])
            stretch: Sequence[Change] = ()
            for after, document in starts:
                if after >= sequence:
                    break
                if not stretch or not after < stretch[-1].sequence:
                    stretch = await self._changes(after)
                reached[document.id] = await self._notice(_read(document), document.version, after, stretch)
            done = (every, sequence) if starts[0][0] >= sequence else None
            await self._clock.wait_until(self._clock.now() + _AGAIN, self._waits)

    async def _changes(self, after: int) -> Sequence[Change]:
        """What has changed after the change `after`, as far as it is found; nothing where that is forgotten."""
        try:
            changes = await self._records.changes(after, _MOST_CHANGES)
        except Gone:
            return ()
        return [change for change in changes if change.sequence <= self._indexer.sequence]

    async def _notice(self, saved: Saved, version: int, after: int, stretch: Sequence[Change]) -> int:
        """Put a message when something of the stretch fits a search and came after the change `after`; up to which change that is."""
        changes = [change for change in stretch if change.sequence > after]
        last = stretch[-1].sequence if stretch else self._indexer.sequence
        try:
            found = await self._fitting(saved, changes)
        except BadMessage as fault:
            # saved with an earlier release, in words that mean nothing any more: its owner is told when it asks for the news
            observe.warning("catalog.search_not_asked", search=saved.id, owner=saved.owner.id, cause=str(fault))
            found = []
        now = self._clock.now()
        if found:
            # a node that dies between the two has it told again, and never forgotten
            body = {"search": saved.id, "sequence": last, "items": [brief(one) for one in found]}
            job = NewJob(participant=CONTEXT, kind=KIND, id=f"{saved.id}-{last}", body=body, order_key=saved.id)
            await self._store.jobs.put([job], now)
        if found or last - saved.after >= _NOTED_EVERY:
            with suppress(Conflict, NotFound):
                # it was taken away meanwhile
                await self._store.put_document(_written(replace(saved, after=last), now), expect=version)
        return last

    async def tell(self, job: Job) -> None:
        """Tell a webhook.

        Raises: KontorError: it is tried again.
        """
        document = await self._store.document(CONTEXT, SEARCHES, str(job.body["search"]))
        saved = _read(document) if document is not None else None
        if saved is None or saved.webhook is None:
            return
        key = key_of(self._seal.unseal(CONTEXT, saved.id, saved.sealed), saved.id)
        body = orjson.dumps({name: job.body[name] for name in ("search", "sequence", "items")})
        headers = signed(key, job.id, int(self._clock.now().timestamp()), body, "application/json")
        answer = await self._outbound.post(saved.webhook, body, headers, max_bytes=4096)
        if not answer.is_success:
            raise PeerAnswer(f"the webhook answered {answer.status}", answer_status=answer.status, where=saved.webhook)

    # --- demands

    async def want(self, owner: Caller, title: str, text: str, readers: Readers = Readers.MATCHING) -> Demand:
        """A notice of what `owner` wants, for ninety days.

        Raises: CallerError when it says nothing or too much, or the owner has too many.
        """
        if not title.strip() or len(title) > 300 or len(text) > _MOST_TEXT:
            mend = f"write a title of at most 300 characters, and a text of at most {_MOST_TEXT}"
            raise CallerError("this is no notice", where="title", mend=mend)
        await self._vet_count(DEMANDS, owner.id)
        now = self._clock.now()
        found = Demand(id=str(uuid.uuid4()), owner=owner.id, title=title.strip(), text=text, readers=readers, created_at=now)
        body = {"owner": found.owner, "title": found.title, "text": found.text, "readers": found.readers.value}
        document = Document(participant=CONTEXT, kind=DEMANDS, id=found.id, body=body, created_at=now, updated_at=now)
        await self._store.put_document(document, expect=0)
        return found

    async def demands(self, viewer: Caller | None) -> list[Demand]:
        """The notices that `viewer` sees, the latest first; those that its own products fit say so.

        Raises: Unauthenticated.
        """
        self._ledger.admit(viewer)
        now = self._clock.now()
        found: list[Demand] = []
        # who offers nothing fits nothing, whatever words there are
        known: dict[str, tuple[int, ...]] = {}
        offers = viewer is not None and bool(await self._offered("", viewer, known))
        for document in sorted(await self._left.all(DEMANDS), key=lambda one: one.created_at, reverse=True):
            if document.created_at + _DEMAND_LIVES < now:
                await self._store.delete_document(CONTEXT, DEMANDS, document.id)
                continue
            one = _demand(document)
            one = replace(one, fits=offers and await self._fits(one, viewer, known) if viewer else None)
            if one.fits or one.readers is Readers.EVERYBODY or (viewer is not None and viewer.id == one.owner):
                found.append(one)
            if len(found) == _MOST_SHOWN:
                break
        return found

    async def _fits(self, demand: Demand, viewer: Caller, known: dict[str, tuple[int, ...]]) -> bool:
        """Whether a product of the viewer's has at least half of the telling words of a notice's title."""
        every = [run for run, is_wide in runs(fold(demand.title)) if is_wide or len(run) >= _TELLING] or [demand.title]
        told = list(dict.fromkeys(every))[:_MOST_WORDS]
        seen: Counter[int] = Counter()
        for word in told:
            seen.update(await self._offered(word, viewer, known))
        return any(count * 2 >= len(told) for count in seen.values())

    async def _offered(self, word: str, viewer: Caller, known: dict[str, tuple[int, ...]]) -> tuple[int, ...]:
        """The products of the viewer's that have a word, each word looked for once: notices say the same ones again and again."""
        if word not in known and len(known) < _MOST_ASKED:
            query = asking.query({"q": [word], "origin": [viewer.id], "size": [str(_LOOKED_FOR)]})
            known[word] = await self._ledger.numbers(replace(query, way=Way.PARTS), viewer)
        return known.get(word, ())

    # --- documents

    async def _own(self, kind: str, id_: str, owner: str) -> Document:
        found = await self._store.document(CONTEXT, kind, id_)
        named = None if found is None else found.body["owner"]
        if found is None or (named["id"] if isinstance(named, Mapping) else named) != owner:
            raise NotFound("there is no such thing of yours", where=id_[:100])
        return found

    async def _vet_count(self, kind: str, owner: str) -> None:
        owners = [one.body["owner"] for one in await self._left.all(kind)]
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
        "sealed": saved.sealed,
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
        sealed=body["sealed"],
        after=body["after"],
        created_at=document.created_at,
    )


def _demand(document: Document) -> Demand:
    body = document.body
    return Demand(
        id=document.id,
        owner=body["owner"],
        title=body["title"],
        text=body["text"],
        readers=Readers(body["readers"]),
        created_at=document.created_at,
    )
