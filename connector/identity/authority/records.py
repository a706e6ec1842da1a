"""What the authority keeps, in the node's store: members, applications, requests, credentials given, places in status lists.

What lives here: `Records`, reading and changing them without losing what another replica writes meanwhile.
What does not: what may be written (`registry.py`, `issuer.py`, `statuslists.py`).

Everything stands in contexts of its own, whose names no participant can have. Members have theirs alone: its revision tells the signed
list of participants whether anything has changed.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from connector.errors import Conflict, NotFound
from connector.identity.authority import members
from connector.identity.authority.members import Member
from connector.ports.clock import Clock
from connector.ports.store import Document, Store

AUTHORITY: Final = "authority"
"""The name under which the authority has keys, takes tokens, and runs jobs; reserved among participants."""
MEMBERS: Final = "@authority-members"
APPLICATIONS: Final = "@authority-applications"
ISSUED: Final = "@authority-issued"
LISTS: Final = "@authority-lists"
FOLLOWERS: Final = "@authority-followers"
"""Members that are told of whoever joins: catalogues."""
_MOST_TRIES: Final = 100

Body = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """A list, signed."""

    raw: str
    at: datetime


class Records:
    """The authority's records."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def member(self, did: str) -> Member | None:
        """The member, or None."""
        kept = await self._store.document(MEMBERS, "member", did)
        return None if kept is None else members.from_body(did, kept.body, kept.version)

    async def known(self, did: str) -> Member:
        """The member. Raises: NotFound."""
        found = await self.member(did)
        if found is None:
            raise NotFound(f"there is no member `{did}`", mend="`kontor authority participants` lists them")
        return found

    async def members(self) -> AsyncIterator[Member]:
        """Every member, by DID."""
        async for one in self.all(MEMBERS, "member"):
            yield members.from_body(one.id, one.body, one.version)

    async def revision(self) -> int:
        """A number that grows with every change of a member."""
        return await self._store.revision(MEMBERS)

    async def change(self, did: str, change: Callable[[Member | None], Member]) -> Member:
        """The member after `change`, which is called again when somebody else was faster. Raises: what `change` raises."""
        for _ in range(_MOST_TRIES):
            found = await self.member(did)
            changed = change(found)
            if changed == found:
                return changed
            try:
                version = await self.put(MEMBERS, "member", did, members.to_body(changed), found.version if found else 0)
            except Conflict:
                continue
            return members.from_body(did, members.to_body(changed), version)
        raise Conflict(f"the record of `{did}` changes too often", mend="try again")

    async def application(self, id_: str) -> Member | None:
        """An application whose control of its DID is not shown yet, or None."""
        kept = await self._store.document(APPLICATIONS, "application", id_)
        return None if kept is None else members.from_body(str(kept.body["did"]), kept.body, kept.version)

    async def put_application(self, member: Member) -> None:
        """Keep a new application."""
        body = {**members.to_body(member), "did": member.did}
        await self.put(APPLICATIONS, "application", member.application, body, 0)

    async def applications(self) -> AsyncIterator[Member]:
        """Every application that is not proven yet."""
        async for one in self.all(APPLICATIONS, "application"):
            yield members.from_body(str(one.body["did"]), one.body, one.version)

    async def drop_application(self, id_: str) -> None:
        """Forget an application."""
        await self._store.delete_document(APPLICATIONS, "application", id_)

    async def count_applications(self) -> int:
        """How many are not proven yet."""
        return (await self._store.documents(APPLICATIONS, "application", limit=1)).total

    async def get(self, context: str, kind: str, id_: str) -> Document | None:
        """A record of another kind, or None."""
        return await self._store.document(context, kind, id_)

    async def put(self, context: str, kind: str, id_: str, body: Body, expect: int) -> int:
        """The new version of a record that has the version `expect` now, 0 for none. Raises: Conflict."""
        now = self._clock.now()
        document = Document(participant=context, kind=kind, id=id_, body=body, created_at=now, updated_at=now)
        return (await self._store.put_document(document, expect=expect)).version

    async def drop(self, context: str, kind: str, id_: str) -> None:
        """Forget a record, if there is one."""
        await self._store.delete_document(context, kind, id_)

    async def update(self, context: str, kind: str, id_: str, change: Callable[[Body | None], Body]) -> Body:
        """The record after `change`, which is called again when somebody else was faster."""
        for _ in range(_MOST_TRIES):
            kept = await self.get(context, kind, id_)
            changed = change(kept.body if kept is not None else None)
            if kept is not None and changed == kept.body:
                return changed
            try:
                await self.put(context, kind, id_, changed, kept.version if kept is not None else 0)
            except Conflict:
                continue
            return changed
        raise Conflict(f"the record `{id_}` changes too often", mend="try again")

    async def signed(
        self, what: str, id_: str, wanted: Body, write: Callable[[datetime], str], now: datetime, good_for: timedelta
    ) -> Signed:
        """The signed form of a list, one for all replicas: the one that is kept, or what `write` makes where that is no longer good.

        `wanted` says of which version it must be, and by which key. One that was signed of a later version than the caller has seen
        stays: its signer has seen more, and the caller's is served once, by itself.
        """
        kind = f"signed-{what}-token"
        for _ in range(_MOST_TRIES):
            kept = await self.get(LISTS, kind, id_)
            if kept is not None and {name: kept.body[name] for name in wanted} == wanted:
                at = datetime.fromisoformat(kept.body["at"])
                if at <= now < at + good_for:
                    return Signed(raw=kept.body["raw"], at=at)
            raw = write(now)
            if kept is not None and kept.body["version"] > wanted["version"]:
                return Signed(raw=raw, at=now)
            body = {**wanted, "at": now.isoformat(), "raw": raw}
            try:
                await self.put(LISTS, kind, id_, body, kept.version if kept is not None else 0)
            except Conflict:
                continue
            return Signed(raw=raw, at=now)
        raise Conflict(f"the list `{id_}` changes too often", mend="try again")

    async def all(self, context: str, kind: str) -> AsyncIterator[Document]:
        """Every record of one kind, by id."""
        cursor: str | None = None
        while True:
            page = await self._store.documents(context, kind, cursor=cursor, limit=1000)
            for one in page.items:
                yield one
            cursor = page.next_cursor
            if cursor is None:
                return
