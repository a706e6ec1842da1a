"""The signed lists of data spaces, fetched, proven and kept: what crawlers and verifiers ask.

What lives here: `ListSource`. The newest version seen of each list is kept in the store, so that no restart lets an older one pass, and a
node counts by what another one on the same store has seen: an authority tells one of them.
What does not: the form of lists and what makes one lawful (`trustlists.py`).

A list that cannot be fetched counts on until it is over by its own `exp`, and a time of grace where a framework gives one; then the asker
gets an error, never an old list.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from connector import observe
from connector.errors import Conflict, KontorError, PeerAnswer, PeerMessage, Unproven
from connector.identity import trustlists
from connector.identity.resolver import Resolver
from connector.identity.trustlists import Listing, TrustList, Version
from connector.outbound.client import OutboundClient
from connector.ports.clock import Clock
from connector.ports.store import Document, Store

KIND: Final = "trust-list"
CONTEXT: Final = "@trust"
"""The context of the store that holds lists: they are the node's, whoever of its participants asked first."""

_PATIENCE: Final = timedelta(seconds=30)
_MOST_NEWER: Final = 4_096


@dataclass(frozen=True, slots=True, kw_only=True)
class ListAddress:
    """Where a list stands, and whose it is."""

    url: str
    listing: Listing
    governance: str
    """The DID that must have signed it."""
    space: str = ""
    """The id of its space; empty takes a list of whichever space its governance has."""
    grace: timedelta = timedelta(0)
    """How long a list counts after its end when no newer one can be had."""


@dataclass(slots=True)
class ListSource:
    """Gives lists that are proven and not older than one seen before."""

    outbound: OutboundClient
    resolver: Resolver
    store: Store
    clock: Clock
    keep: timedelta = timedelta(minutes=5)
    """How long a list is used before the next asker has it looked up anew."""
    revision: Callable[[str], Awaitable[int]] | None = None
    """Grows when a list was written to the store; None asks the store itself each time."""
    keep_failure: timedelta = timedelta(seconds=5)
    """How long nobody is asked again after a failure."""
    told: set[Callable[[], None]] = field(default_factory=set, repr=False)
    """Called when an authority has said that something in its space, whose list we keep, has changed."""
    _kept: dict[ListAddress, TrustList] = field(default_factory=dict, repr=False)
    _seen: dict[ListAddress, int] = field(default_factory=dict, repr=False)
    """The revision of the store that the kept list was held against."""
    _look_at: dict[ListAddress, datetime] = field(default_factory=dict, repr=False)
    _failed: dict[ListAddress, KontorError] = field(default_factory=dict, repr=False)
    _locks: dict[ListAddress, asyncio.Lock] = field(default_factory=dict, repr=False)
    _newer: OrderedDict[tuple[ListAddress, str], datetime] = field(default_factory=OrderedDict, repr=False)
    """When a list was looked up again for somebody's sake."""

    async def get(self, address: ListAddress, *, anew: bool = False) -> TrustList:
        """The list at `address`; `anew` looks it up whatever is kept.

        Raises: Unproven when what is there is stale, rolled back, forged or unreadable and nothing lawful is kept; as
        `OutboundClient.get` and `Resolver.resolve` when it cannot be had.
        """
        now = self.clock.now()
        kept = await self._newest_kept(address, now)
        # a clock that was put back puts off no look: none is ever further away than `keep`
        if not anew and now < self._look_at.get(address, now) <= now + self.keep:
            if kept is not None and now < kept.valid_until + address.grace:
                return kept
            if address in self._failed:
                raise self._failed[address].with_traceback(None)
        async with self._locks.setdefault(address, asyncio.Lock()):
            again = self._kept.get(address)
            if again is not None and again is not kept and now < again.valid_until + address.grace:
                return again  # somebody else has just looked
            try:
                found = await self._fetch(address, now)
            except KontorError as fault:
                words = fault.words if isinstance(fault, Unproven) else str(fault)
                last = again or await self._last(address)
                observe.warning("trust.list_refused", url=address.url, space=address.space, words=words)
                if last is None or now >= last.valid_until + address.grace:
                    self._failed[address], self._look_at[address] = fault, now + self.keep_failure
                    raise
                self._keep(address, last, now + self.keep_failure)
                return last
            await self._remember(address, found)
            self._keep(address, found, now + self.keep)
            return found

    async def newer(self, address: ListAddress, did: str) -> TrustList:
        """The list, looked up again for the sake of `did`, which the kept one does not have yet; not again and again for the same one.

        Raises: as `get`.
        """
        place, now = (address, did), self.clock.now()
        before = self._newer.get(place)
        is_due = before is None or not before <= now < before + _PATIENCE
        if is_due:
            self._newer[place] = now
            self._newer.move_to_end(place)
            while len(self._newer) > _MOST_NEWER:
                self._newer.popitem(last=False)
        return await self.get(address, anew=is_due)

    def peek(self, address: ListAddress) -> TrustList | None:
        """What is kept and not over, without asking."""
        kept = self._kept.get(address)
        return kept if kept is not None and self.clock.now() < kept.valid_until + address.grace else None

    def forget(self, governance: str) -> None:
        """Have the lists of `governance` looked up by the next asker: when something in its space has changed."""
        known = [one for one in self._look_at if one.governance == governance]
        for address in known:
            self._look_at[address] = datetime.min.replace(tzinfo=self.clock.now().tzinfo)
        for tell in tuple(self.told) if known else ():
            tell()

    async def _newest_kept(self, address: ListAddress, now: datetime) -> TrustList | None:
        """What is kept here, or what another node on the store has proven since."""
        revision = await (self.revision or self.store.revision)(CONTEXT)
        kept = self._kept.get(address)
        if kept is None or self._seen.get(address) == revision:
            return kept
        newest = await self._newest(address)
        self._seen[address] = revision
        if newest is None or newest.seq <= kept.version.seq:
            return kept
        found = await self._last(address)
        if found is None:
            del self._kept[address]
        else:
            self._keep(address, found, now + self.keep)
        return found

    async def _fetch(self, address: ListAddress, now: datetime) -> TrustList:
        answer = await self.outbound.get(address.url, {"Accept": "application/jwt"}, max_bytes=trustlists.MOST_BYTES)
        if answer.status != 200:
            raise PeerAnswer(f"status {answer.status} instead of a list", answer_status=answer.status, where=address.url)
        try:
            raw = answer.body.strip().decode("ascii")
        except UnicodeDecodeError as fault:
            raise PeerMessage("the list is no token", where=address.url) from fault
        found = self._open(raw, address, now)
        try:
            trustlists.prove(found, await self.resolver.resolve(address.governance))
        except Unproven as fault:
            if fault.check not in ("key-id", "signature"):
                raise
            trustlists.prove(found, await self.resolver.resolve(address.governance, anew=True))
        self.resolver.acquaint(address.governance)
        trustlists.judge_succession(found.version, await self._newest(address))
        return found

    def _open(self, raw: str, address: ListAddress, now: datetime) -> TrustList:
        return trustlists.open_(raw, address.listing, governance=address.governance, space=address.space, now=now)

    async def _newest(self, address: ListAddress) -> Version | None:
        kept = await self.store.document(CONTEXT, KIND, _id(address))
        return None if kept is None else Version(seq=kept.body["seq"], digest=kept.body["digest"])

    async def _last(self, address: ListAddress) -> TrustList | None:
        """The list of an earlier run, which was proven then; perhaps it is over."""
        kept = await self.store.document(CONTEXT, KIND, _id(address))
        try:
            return None if kept is None else self._open(kept.body["raw"], address, kept.updated_at)
        except Unproven:
            return None

    async def _remember(self, address: ListAddress, found: TrustList) -> None:
        id_, now = _id(address), self.clock.now()
        body: Mapping[str, Any] = {
            "url": address.url,
            "seq": found.version.seq,
            "digest": found.version.digest,
            "raw": found.token.raw,
        }
        while True:
            kept = await self.store.document(CONTEXT, KIND, id_)
            if kept is not None:
                # another replica may have seen a newer one meanwhile
                trustlists.judge_succession(found.version, Version(seq=kept.body["seq"], digest=kept.body["digest"]))
                if kept.body["raw"] == found.token.raw:
                    return
            document = Document(participant=CONTEXT, kind=KIND, id=id_, body=body, created_at=now, updated_at=now)
            try:
                await self.store.put_document(document, expect=kept.version if kept is not None else 0)
            except Conflict:
                continue
            return

    def _keep(self, address: ListAddress, found: TrustList, look_at: datetime) -> None:
        self._kept[address] = found
        self._look_at[address] = look_at
        self._failed.pop(address, None)


def _id(address: ListAddress) -> str:
    """Whose list it is, not where it stands: moving a list must not let an older one pass."""
    text = f"{address.governance}\n{address.space}\n{address.listing}"
    return hashlib.sha256(text.encode()).hexdigest()
