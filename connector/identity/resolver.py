"""DID documents of others, fetched and kept for a while.

What lives here: `Resolver`. Nothing is asked for an identifier that `did.url_of` refuses, or an address that the outbound rules do.
What does not: what a document means (`did.py`).

Bounds, because whoever sends us a token chooses what we fetch: one fetch at a time for one identifier, few at once for one host and
for one asker, a number for all (`places.py`), each with a short end; few failures per host and minute and not many of all hosts,
failures remembered shortly, a cache that forgets what was used longest ago. Strangers have a cache of their own, and places of their
own: whoever makes up identifiers by the thousand has us forget nobody who has ever proven more than its name (`acquaint`).
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from connector.errors import KontorError, Overloaded, PeerAnswer, PeerError, Unreachable
from connector.identity import did as dids
from connector.identity.places import Place, PlaceRules, Places
from connector.outbound.client import OutboundClient


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolverRules:
    """How long documents are kept, and how much a stranger can make us fetch."""

    keep_s: float = 300.0
    """As long as other connectors do: whoever rotates keys counts on five minutes."""
    keep_failure_s: float = 10.0
    refetch_s: float = 15.0
    """Least time between two fetches that a bad signature or an unknown key sets off."""
    most_kept: int = 20_000
    """Of those whom we know."""
    most_strangers: int = 4_096
    most_stranger_bytes: int = 32 << 20
    """Of documents of strangers, as they were sent; in memory they take about twice as much."""
    places: PlaceRules = field(default_factory=PlaceRules)
    """How many may be fetched at once."""
    deadline_s: float = 5.0
    """Longest time for a document."""
    failures_per_host: int = 30
    """Within a minute; then the host is left alone for its rest."""
    failures: int = 600
    """Of all hosts within a minute; then nobody new is looked up for its rest, and who is known gets through as ever."""
    unsafe_http: bool = False
    """Fetch documents over plain http; for development on one machine."""
    unsafe_local: bool = False
    """Take host names of one label, such as `localhost`."""


@dataclass(slots=True)
class _Kept:
    found: dids.Document | KontorError
    fetched: float
    until: float
    size: int = 0
    """Bytes of the document, as it was sent."""


@dataclass(slots=True)
class _Shelf:
    """What is kept by identifier, up to a number and a size; what was used longest ago goes first."""

    kept: OrderedDict[str, _Kept] = field(default_factory=OrderedDict)
    bytes: int = 0

    def get(self, did: str) -> _Kept | None:
        return self.kept.get(did)

    def put(self, did: str, one: _Kept, most: int, most_bytes: int | None) -> None:
        self.pop(did)
        self.kept[did] = one
        self.bytes += one.size
        while len(self.kept) > most or (most_bytes is not None and self.bytes > most_bytes):
            self.pop(next(iter(self.kept)))

    def pop(self, did: str) -> _Kept | None:
        one = self.kept.pop(did, None)
        self.bytes -= one.size if one is not None else 0
        return one


@dataclass(slots=True)
class _Failures:
    minute: int
    count: int = 0

    def add(self, minute: int) -> None:
        """One more, in this minute."""
        if self.minute != minute:
            self.minute, self.count = minute, 0
        self.count += 1


@dataclass(slots=True)
class Resolver:
    """Resolves did:web identifiers, within its rules."""

    outbound: OutboundClient
    rules: ResolverRules = field(default_factory=ResolverRules)
    seconds: Callable[[], float] = time.monotonic
    _known: OrderedDict[str, None] = field(default_factory=OrderedDict, repr=False)
    """Who has proven more than its name, those who did so last at the end."""
    _of_known: _Shelf = field(default_factory=_Shelf, repr=False)
    _of_strangers: _Shelf = field(default_factory=_Shelf, repr=False)
    _under_way: dict[str, asyncio.Task[tuple[dids.Document, int]]] = field(default_factory=dict, repr=False)
    _places: Places = field(default_factory=Places, repr=False)
    _failures: OrderedDict[str, _Failures] = field(default_factory=OrderedDict, repr=False)
    _all_failures: _Failures = field(default_factory=lambda: _Failures(minute=-1), repr=False)

    async def resolve(self, did: str, *, anew: bool = False) -> dids.Document:
        """The document of `did`; `anew` when the kept one lacks a key or proved a signature wrong, and it may have changed.

        Raises: Unproven when the identifier or the document is not lawful; AddressRefused when we may not go there;
        Unreachable, PeerAnswer or PeerMessage when the host does not give one (trying later may help); Overloaded when too
        much is being fetched for strangers already.
        """
        shelf, now = self._shelf(did), self.seconds()
        kept = shelf.get(did)
        # a clock that was put back makes nothing last longer
        if kept is not None and kept.fetched <= now < kept.until and not (anew and now >= kept.fetched + self.rules.refetch_s):
            shelf.kept.move_to_end(did)
            if isinstance(kept.found, KontorError):
                raise kept.found.with_traceback(None)
            return kept.found
        waiting = self._under_way.get(did)
        if waiting is not None:
            # a cancelled asker must not take the answer away from the others
            return (await asyncio.shield(waiting))[0]
        url = dids.url_of(did, unsafe_http=self.rules.unsafe_http, unsafe_local=self.rules.unsafe_local)
        host = self.outbound.vet(url).host
        # INVARIANT: whoever makes up identifiers of a host takes it from nobody there who has a document
        if kept is None or not isinstance(kept.found, dids.Document):
            self._judge_failures(host, did)
        is_known = did in self._known
        place = self._places.take(did, host, self.rules.places, is_known=is_known)
        task = self._under_way[did] = asyncio.create_task(self._fetch(place, did, url))
        task.add_done_callback(lambda done: self._settle(did, place, done))
        return (await asyncio.shield(task))[0]

    def acquaint(self, *names: str) -> None:
        """Have those known from now on that have proven more than their name: they are members, or members believe them."""
        for did in names:
            if did not in self._known and (kept := self._of_strangers.pop(did)) is not None:
                self._of_known.put(did, kept, self.rules.most_kept, None)
            self._known[did] = None
            self._known.move_to_end(did)
        while len(self._known) > self.rules.most_kept:
            self._of_known.pop(self._known.popitem(last=False)[0])

    def fetched(self, did: str) -> float:
        """When the document of `did` that is kept was fetched, in seconds; 0 when none is."""
        kept = self._shelf(did).get(did)
        return kept.fetched if kept is not None else 0

    def forget(self, did: str) -> None:
        """Drops what is kept of `did`."""
        self._shelf(did).pop(did)

    def forgive(self, did: str) -> None:
        """Drops a failure that is kept of `did`: what we looked up on our own leaves none behind for whom it concerns."""
        kept = self._shelf(did).get(did)
        if kept is not None and isinstance(kept.found, KontorError):
            self.forget(did)

    async def close(self) -> None:
        """Ends what is under way."""
        tasks = [*self._under_way.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _judge_failures(self, host: str, did: str) -> None:
        """Returns when `did` may be looked up within this minute: whom we know always may. Raises: Overloaded."""
        if did in self._known:
            return
        minute = self._minute()
        if self._all_failures.minute == minute and self._all_failures.count >= self.rules.failures:
            raise Overloaded("too many identities could not be looked up", mend="try again later")
        failed = self._failures.get(host)
        if failed is not None and failed.minute == minute and failed.count >= self.rules.failures_per_host:
            raise Overloaded("too many identities of one host could not be looked up", where=host, mend="try again later")

    async def _fetch(self, place: Place, did: str, url: str) -> tuple[dids.Document, int]:
        """The document, and how many bytes it has."""
        headers = {"Accept": "application/did+json, application/did+ld+json, application/json"}
        try:
            async with asyncio.timeout(self.rules.deadline_s) as place.end:
                answer = await self.outbound.get(url, headers, max_bytes=dids.LIMITS.max_bytes)
        except TimeoutError as fault:
            raise Unreachable("no DID document came in time", where=url) from fault
        if answer.status != 200:
            raise PeerAnswer(f"status {answer.status} instead of a DID document", answer_status=answer.status, where=url)
        return dids.read(did, answer.body), len(answer.body)

    def _settle(self, did: str, place: Place, done: asyncio.Future[tuple[dids.Document, int]]) -> None:
        host = place.host
        self._under_way.pop(did, None)
        self._places.leave(place)
        if done.cancelled():
            return
        fault, now = done.exception(), self.seconds()
        if fault is None:
            document, size = done.result()
            self._keep(did, _Kept(found=document, fetched=now, until=now + self.rules.keep_s, size=size))
            return
        minute = self._minute()
        failures = self._failures.setdefault(host, _Failures(minute=minute))
        failures.add(minute)
        self._all_failures.add(minute)
        self._failures.move_to_end(host)
        while len(self._failures) > self.rules.most_strangers:
            self._failures.popitem(last=False)
        kept = self._shelf(did).get(did)
        if kept is not None and isinstance(kept.found, dids.Document) and now < kept.until and isinstance(fault, PeerError):
            kept.fetched = now  # a host that is away for a moment takes no identity with it
        elif isinstance(fault, KontorError):
            self._keep(did, _Kept(found=fault, fetched=now, until=now + self.rules.keep_failure_s))

    def _shelf(self, did: str) -> _Shelf:
        return self._of_known if did in self._known else self._of_strangers

    def _keep(self, did: str, kept: _Kept) -> None:
        rules, is_known = self.rules, did in self._known
        most, most_bytes = (rules.most_kept, None) if is_known else (rules.most_strangers, rules.most_stranger_bytes)
        self._shelf(did).put(did, kept, most, most_bytes)

    def _minute(self) -> int:
        return int(self.seconds() // 60)
