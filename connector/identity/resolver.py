"""DID documents of others, fetched and kept for a while.

What lives here: `Resolver`. Nothing is asked for an identifier that `did.url_of` refuses, or an address that the outbound rules do.
What does not: what a document means (`did.py`).

Bounds, because whoever sends us a token chooses what we fetch: one fetch at a time for one identifier, few at once for one host and
for one asker, a number for all (`places.py`), each with a short end; few failures per host and minute and not many of all hosts,
failures remembered shortly, a cache that forgets what was used longest ago.
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
    _kept: OrderedDict[str, _Kept] = field(default_factory=OrderedDict, repr=False)
    _under_way: dict[str, asyncio.Task[dids.Document]] = field(default_factory=dict, repr=False)
    _places: Places = field(default_factory=Places, repr=False)
    _failures: OrderedDict[str, _Failures] = field(default_factory=OrderedDict, repr=False)
    _all_failures: _Failures = field(default_factory=lambda: _Failures(minute=-1), repr=False)

    async def resolve(self, did: str, *, anew: bool = False) -> dids.Document:
        """The document of `did`; `anew` when the kept one lacks a key or proved a signature wrong, and it may have changed.

        Raises: Unproven when the identifier or the document is not lawful; AddressRefused when we may not go there;
        Unreachable, PeerAnswer or PeerMessage when the host does not give one (trying later may help); Overloaded when too
        much is being fetched for strangers already.
        """
        kept, now = self._kept.get(did), self.seconds()
        # a clock that was put back makes nothing last longer
        if kept is not None and kept.fetched <= now < kept.until and not (anew and now >= kept.fetched + self.rules.refetch_s):
            self._kept.move_to_end(did)
            if isinstance(kept.found, KontorError):
                raise kept.found.with_traceback(None)
            return kept.found
        waiting = self._under_way.get(did)
        if waiting is not None:
            # a cancelled asker must not take the answer away from the others
            return await asyncio.shield(waiting)
        url = dids.url_of(did, unsafe_http=self.rules.unsafe_http, unsafe_local=self.rules.unsafe_local)
        host = self.outbound.vet(url).host
        # INVARIANT: whoever makes up identifiers of a host takes it from nobody there whom we know
        is_known = kept is not None and isinstance(kept.found, dids.Document)
        if not is_known:
            self._judge_failures(host)
        place = self._places.take(did, host, self.rules.places, is_known=is_known)
        task = self._under_way[did] = asyncio.create_task(self._fetch(place, did, url))
        task.add_done_callback(lambda done: self._settle(did, place, done))
        return await asyncio.shield(task)

    def fetched(self, did: str) -> float:
        """When the document of `did` that is kept was fetched, in seconds; 0 when none is."""
        kept = self._kept.get(did)
        return kept.fetched if kept is not None else 0

    def forget(self, did: str) -> None:
        """Drops what is kept of `did`."""
        self._kept.pop(did, None)

    def forgive(self, did: str) -> None:
        """Drops a failure that is kept of `did`: what we looked up on our own leaves none behind for whom it concerns."""
        kept = self._kept.get(did)
        if kept is not None and isinstance(kept.found, KontorError):
            del self._kept[did]

    async def close(self) -> None:
        """Ends what is under way."""
        tasks = [*self._under_way.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _judge_failures(self, host: str) -> None:
        """Returns when strangers of `host` may be looked up within this minute. Raises: Overloaded."""
        minute = self._minute()
        if self._all_failures.minute == minute and self._all_failures.count >= self.rules.failures:
            raise Overloaded("too many identities could not be looked up", mend="try again later")
        failed = self._failures.get(host)
        if failed is not None and failed.minute == minute and failed.count >= self.rules.failures_per_host:
            raise Overloaded("too many identities of one host could not be looked up", where=host, mend="try again later")

    async def _fetch(self, place: Place, did: str, url: str) -> dids.Document:
        headers = {"Accept": "application/did+json, application/did+ld+json, application/json"}
        try:
            async with asyncio.timeout(self.rules.deadline_s) as place.end:
                answer = await self.outbound.get(url, headers, max_bytes=dids.LIMITS.max_bytes)
        except TimeoutError as fault:
            raise Unreachable("no DID document came in time", where=url) from fault
        if answer.status != 200:
            raise PeerAnswer(f"status {answer.status} instead of a DID document", answer_status=answer.status, where=url)
        return dids.read(did, answer.body)

    def _settle(self, did: str, place: Place, done: asyncio.Future[dids.Document]) -> None:
        host = place.host
        self._under_way.pop(did, None)
        self._places.leave(place)
        if done.cancelled():
            return
        fault, now = done.exception(), self.seconds()
        if fault is None:
            self._keep(did, _Kept(found=done.result(), fetched=now, until=now + self.rules.keep_s))
            return
        minute = self._minute()
        failures = self._failures.setdefault(host, _Failures(minute=minute))
        failures.add(minute)
        self._all_failures.add(minute)
        self._failures.move_to_end(host)
        while len(self._failures) > self.rules.most_kept:
            self._failures.popitem(last=False)
        kept = self._kept.get(did)
        if kept is not None and isinstance(kept.found, dids.Document) and now < kept.until and isinstance(fault, PeerError):
            kept.fetched = now  # a host that is away for a moment takes no identity with it
        elif isinstance(fault, KontorError):
            self._keep(did, _Kept(found=fault, fetched=now, until=now + self.rules.keep_failure_s))

    def _keep(self, did: str, kept: _Kept) -> None:
        self._kept[did] = kept
        self._kept.move_to_end(did)
        while len(self._kept) > self.rules.most_kept:
            self._kept.popitem(last=False)

    def _minute(self) -> int:
        return int(self.seconds() // 60)
