"""Addresses of an operator's own programs that are told what happens: which there are, and what was sent to them.

What lives here: `Webhooks`, the list. What does not: sending (`webhook_delivery.py`). A webhook stands in a document of the node, so that
one look shows all of them; its key is a secret of its participant. How far the feed was read for it stands in the journal, in a
stream of the node: a document would make every cache look again. What was tried stands in a stream of the participant.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import Final

from connector import observe
from connector.controlplane.participants import NODE, Participants, Revisions
from connector.controlplane.secrets import Secrets
from connector.errors import Conflict, NotFound, StoreUnavailable
from connector.outbound.client import OutboundClient
from connector.outbound.signing import key_of, new_key
from connector.ports.clock import Clock
from connector.ports.feed import Happening
from connector.ports.jobs import NewJob
from connector.ports.journal import Entry
from connector.ports.page import Page
from connector.ports.store import Document, Store

KIND: Final = "webhook"
PLAN: Final = "webhook-plan"
_MOST_OF_ONE: Final = 100
_TAKE_UP_EVERY: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """One address that is told."""

    participant: str
    name: str
    url: str
    events: tuple[str, ...]
    """Patterns such as `negotiation.*`; empty: everything."""
    secret: str
    """Name of the participant's secret that messages are signed with."""
    begins: str
    """Position of the feed from which on it is told."""
    created_at: datetime

    @property
    def id(self) -> str:
        """Names it within the node."""
        return f"{self.participant}/{self.name}"

    @property
    def cursor_stream(self) -> str:
        """The node's stream that says how far the feed was read."""
        return f"webhook-{hashlib.sha256(self.id.encode()).hexdigest()[:32]}"

    def wants(self, found: Happening) -> bool:
        """Whether it is told of `found`."""
        said = type_of(found)
        return not self.events or any(fnmatchcase(said, pattern) for pattern in self.events)


def type_of(found: Happening) -> str:
    """What happened, in one word: `negotiation.send-request`, `transfer.start`."""
    return f"{found.kind}.{found.record.event}".replace(" ", "-")


def tries_stream(name: str) -> str:
    """The participant's stream of what was tried for the webhook `name`."""
    return f"webhook-{name}"


class Webhooks:
    """The webhooks of all contexts."""

    def __init__(
        self,
        store: Store,
        participants: Participants,
        revisions: Revisions,
        secrets: Secrets,
        outbound: OutboundClient,
        clock: Clock,
        *,
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._store = store
        self._participants = participants
        self._revisions = revisions
        self._secrets = secrets
        self._outbound = outbound
        self._clock = clock
        self._random = random
        self._known: tuple[int, tuple[Webhook, ...]] = (-1, ())

    async def all(self) -> tuple[Webhook, ...]:
        """Every webhook of the node, by participant and name; those that another node writes are seen within a second."""
        revision = await self._revisions.of(NODE)
        if self._known[0] != revision:
            found: list[Webhook] = []
            cursor: str | None = None
            while True:
                page = await self._store.documents(NODE, KIND, cursor=cursor, limit=1000)
                found += map(_read, page.items)
                cursor = page.next_cursor
                if cursor is None:
                    break
            self._known = (revision, tuple(found))
        return self._known[1]

    async def page(self, participant: str, *, cursor: str | None, limit: int) -> Page[Webhook]:
        """Those of a participant, by name."""
        await self._participants.context(participant)
        mine = sorted((one for one in await self.all() if one.participant == participant), key=lambda one: one.name)
        left = [one for one in mine if cursor is None or one.name > cursor]
        shown = tuple(left[:limit])
        return Page(items=shown, total=len(mine), next_cursor=shown[-1].name if len(left) > limit else None)

    async def get(self, participant: str, name: str) -> Webhook:
        """One webhook.

        Raises: NotFound.
        """
        found = next((one for one in await self.all() if (one.participant, one.name) == (participant, name)), None)
        if found is None:
            raise NotFound(f"there is no webhook `{name}`", where="name", mend="`kontor webhooks` lists them")
        return found

    async def add(
        self, participant: str, name: str, url: str, *, events: tuple[str, ...], secret: str | None
    ) -> tuple[Webhook, str]:
        """A webhook, told of everything from now on; and its key, when one was made here: it is shown once.

        Raises: AddressRefused for an address that this node may not reach; NotFound for a secret that there is not; Conflict when the
        name is taken, or there are too many.
        """
        await self._participants.context(participant)
        self._outbound.vet(url)
        if sum(one.participant == participant for one in await self.all()) >= _MOST_OF_ONE:
            raise Conflict(
                f"there are {_MOST_OF_ONE} webhooks", where="name", mend="remove one, or tell one program that tells others"
            )
        key, kept = "", secret or f"webhook-{name}"
        if secret is not None:
            key_of(await self._secrets.opened(participant, secret), secret)
        now = self._clock.now()
        made = Webhook(
            participant=participant,
            name=name,
            url=url,
            events=events,
            secret=kept,
            begins=await self._store.feed.end(),
            created_at=now,
        )
        body = {"url": url, "events": list(events), "secret": kept, "begins": made.begins}
        document = Document(participant=NODE, kind=KIND, id=made.id, body=body, created_at=now, updated_at=now)
        try:
            await self._store.put_document(document, expect=0)
        except Conflict as fault:
            raise Conflict(
                f"there is a webhook `{name}` already", where="name", mend="choose another name, or remove it"
            ) from fault
        if secret is None:
            key = new_key(self._random)
            await self._secrets.put(participant, kept, key)
        self._revisions.forget(NODE)
        await self.take_up()
        return made, key

    async def remove(self, participant: str, name: str) -> None:
        """Tell it nothing any more; what waits for it is dropped when its turn comes.

        Raises: NotFound.
        """
        found = await self.get(participant, name)
        await self._store.delete_document(NODE, KIND, found.id)
        self._revisions.forget(NODE)
        if found.secret == f"webhook-{name}" and found.secret in await self._secrets.names(participant):
            await self._secrets.delete(participant, found.secret)

    async def tries(self, participant: str, name: str, *, cursor: str | None, limit: int) -> Page[Entry]:
        """What was sent to it and what came of it, newest first.

        Raises: NotFound.
        """
        await self.get(participant, name)
        return await self._store.journal.page(participant, tries_stream(name), cursor=cursor, limit=limit, is_newest_first=True)

    async def keep(self) -> None:
        """See to it, as long as the node runs, that the feed is read when there is a webhook."""
        never = asyncio.Event()
        while True:
            try:
                await self.take_up()
            except StoreUnavailable as fault:
                observe.error("webhooks.store_unavailable", cause=fault)
            await self._clock.wait_until(self._clock.now() + _TAKE_UP_EVERY, never)

    async def take_up(self) -> None:
        """See to it that one node of the store reads the feed, when there is a webhook."""
        if await self.all():
            await self._store.jobs.put([NewJob(participant=NODE, kind=PLAN, id="plan", body={})], self._clock.now())


def _read(document: Document) -> Webhook:
    participant, _, name = document.id.partition("/")
    body = document.body
    return Webhook(
        participant=participant,
        name=name,
        url=str(body["url"]),
        events=tuple(body["events"]),
        secret=str(body["secret"]),
        begins=str(body["begins"]),
        created_at=document.created_at,
    )
