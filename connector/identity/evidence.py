"""Fetching what a presentation must be judged by: documents of its issuers, and their status lists.

What lives here: `EvidenceSource`. It fetches what `credentials.open_` names and nothing else: the documents at once, then the lists of
what they prove, and keeps lists a while.
What does not: judging (`credentials.py`), and documents' cache (`resolver.py`).
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from weakref import WeakValueDictionary

from connector.errors import AddressRefused, KontorError, Overloaded, PeerAnswer, PeerError, PeerMessage, Unproven
from connector.identity import credentials, status
from connector.identity.credentials import Evidence, Missing, Opened, SchemaCheck
from connector.identity.did import Document
from connector.identity.resolver import Resolver
from connector.outbound.client import OutboundClient

_LATE_S = 1.0
"""A host that fails sooner holds nobody up, and may be asked again at once."""


@dataclass(slots=True)
class EvidenceSource:
    """Gathers evidence, within the outbound rules."""

    outbound: OutboundClient
    resolver: Resolver
    keep_lists: timedelta = timedelta(minutes=1)
    """How long a withdrawn credential may still pass, unless `forget_lists` is called."""
    most_lists: int = 1_000
    most_bytes: int = 64 << 20
    """Of all lists that are kept: whoever attests something may have us read one, and each may be large."""
    schemas: Mapping[str, SchemaCheck] = field(default_factory=dict)
    """The JSON Schemas that the operator gave; none is ever fetched."""
    _lists: OrderedDict[str, tuple[datetime, bytes]] = field(default_factory=OrderedDict, repr=False)
    keep_failures_s: float = 10.0
    """How long a list whose host hung is not asked for again: that costs one wait, and not one for each asker."""
    seconds: Callable[[], float] = time.monotonic
    _bytes: int = 0
    _failures: OrderedDict[str, tuple[float, Missing]] = field(default_factory=OrderedDict, repr=False)
    """Until when they are kept."""
    _turns: WeakValueDictionary[str, asyncio.Lock] = field(default_factory=WeakValueDictionary, repr=False)
    """Of each list that is being fetched."""

    async def gather(self, opened: Opened, *, anew: bool = False) -> Evidence:
        """What `opened` needs; what cannot be had is there as `Missing`. `anew` looks documents up again."""
        dids = sorted(opened.documents)
        documents = dict(zip(dids, await asyncio.gather(*(self._document(did, anew) for did in dids)), strict=True))
        # what is at hand costs nobody a request; for the rest a signature is the price
        at_hand = {url: kept for url in opened.lists if (kept := self._at_hand(url, opened.now)) is not None}
        urls = sorted(credentials.lists_to_fetch(opened, documents) - at_hand.keys()) if opened.lists - at_hand.keys() else []
        fetched = await asyncio.gather(*(self._list(url, opened.now) for url in urls))
        lists: dict[str, bytes | Missing] = {**at_hand, **dict(zip(urls, fetched, strict=True))}
        missing = Missing(words="the operator gave no such schema", is_passing=False)
        schemas = {url: self.schemas.get(url, missing) for url in opened.schemas}
        return Evidence(documents=documents, lists=lists, schemas=schemas)

    def forget_lists(self) -> None:
        """Drops all lists that are kept: when something was withdrawn."""
        self._lists.clear()
        self._failures.clear()
        self._bytes = 0

    async def _document(self, did: str, anew: bool) -> Document | Missing:
        try:
            return await self.resolver.resolve(did, anew=anew)
        except Unproven as fault:
            return Missing(words=fault.words, is_passing=False)
        except KontorError as fault:
            return _missing(fault)

    def _at_hand(self, url: str, now: datetime) -> bytes | None:
        kept = self._lists.get(url)
        if kept is None or not kept[0] <= now < kept[0] + self.keep_lists:
            return None
        self._lists.move_to_end(url)
        return kept[1]

    async def _list(self, url: str, now: datetime) -> bytes | Missing:
        turn = self._turns.get(url)
        if turn is None:
            turn = self._turns[url] = asyncio.Lock()
        # whoever waited finds what the one before has brought, or could not bring
        async with turn:
            kept = self._at_hand(url, now)
            if kept is not None:
                return kept
            until, missing = self._failures.get(url, (0.0, None))
            if missing is not None and self.seconds() < until:
                return missing
            return await self._fetched(url, now)

    async def _fetched(self, url: str, now: datetime) -> bytes | Missing:
        headers = {"Accept": "application/vc+jwt, application/jwt, application/vc, application/json;q=0.5, */*;q=0.1"}
        self._failures.pop(url, None)
        begun = self.seconds()
        try:
            answer = await self.outbound.get(url, headers, max_bytes=status.LIMITS.max_bytes)
            if answer.status != 200:
                raise PeerAnswer(f"status {answer.status} instead of a status list", answer_status=answer.status, where=url)
        except PeerError as fault:
            missing, now_s = _missing(fault), self.seconds()
            if now_s - begun >= _LATE_S:
                self._failures[url] = (now_s + self.keep_failures_s, missing)
                while len(self._failures) > self.most_lists:
                    self._failures.popitem(last=False)
            return missing
        self._keep(url, now, answer.body)
        return answer.body

    def _keep(self, url: str, now: datetime, data: bytes) -> None:
        _, before = self._lists.pop(url, (now, b""))
        self._lists[url] = (now, data)
        self._bytes += len(data) - len(before)
        while len(self._lists) > self.most_lists or self._bytes > self.most_bytes:
            self._bytes -= len(self._lists.popitem(last=False)[1][1])


def is_passing(fault: KontorError) -> bool:
    """Whether what failed so may succeed a moment later."""
    if isinstance(fault, PeerAnswer):
        return fault.answer_status >= 500 or fault.answer_status in (408, 425, 429)
    return isinstance(fault, PeerError | Overloaded) and not isinstance(fault, AddressRefused | PeerMessage)


def _missing(fault: KontorError) -> Missing:
    return Missing(words=str(fault), is_passing=is_passing(fault))
