"""Decisions made again: when something was recorded, revoked or ended that can change them, and now and then in any case.

The instant at which the clock alone can change a decision is a persisted due row of its transfer (`transfer_course.py`); nothing
here waits for that. The sweep is a net below: what nobody told of is found within five minutes.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final, Protocol

from connector import observe
from connector.dsp.tables import Kind, Role, State
from connector.errors import CallerError, KontorError, StoreUnavailable
from connector.ports.clock import Clock
from connector.ports.identity import GROUNDS, Caller, MessageKind, Verifier
from connector.ports.store import Filter, Key, Store

EVERY = timedelta(minutes=5)
_AT_ONCE: Final = 32
"""Transfers of a sweep that are decided about side by side: whoever is asked about one peer and answers late holds up few others."""
_MOST_PEERS = 65_536


class Reviewer(Protocol):
    """Decides about a running transfer again."""

    async def review(self, participant: str, pid: str) -> None:
        """End the transfer when it is not permitted any more; note when that can change by the clock."""
        ...


class Reviews:
    """Who is looked at again, and when."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._reviewer: Reviewer | None = None

    def connect(self, reviewer: Reviewer) -> None:
        """Name the use case that decides."""
        self._reviewer = reviewer

    async def transfer(self, participant: str, pid: str) -> None:
        """Decide about one transfer again."""
        assert self._reviewer is not None
        try:
            await self._reviewer.review(participant, pid)
        except StoreUnavailable:
            raise
        except CallerError as fault:
            # it has ended, or completes, at this moment: nothing is left to decide
            observe.info("reviews.passed_over", pid=pid, cause=fault)

    async def agreement(self, participant: str, agreement: str) -> int:
        """Decide about everything again that runs under an agreement; how many transfers there were."""
        return await self._all(participant, Filter(agreement_id=agreement))

    async def peer(self, participant: str, peer: str) -> int:
        """Decide about everything again that runs with a peer, of whom something else is known now."""
        return await self._all(participant, Filter(peer=peer))

    async def _all(self, participant: str, filter_: Filter) -> int:
        count, cursor = 0, None
        # of what has ended, however much that is, nothing is read; what begins meanwhile is judged as it begins
        running = replace(filter_, state=State.STARTED, role=Role.PROVIDER)
        while True:
            page = await self._store.processes(Kind.TRANSFER, participant, running, cursor=cursor)
            for process in page.items:
                await self.transfer(participant, process.pid)
                count += 1
            cursor = page.next_cursor
            if cursor is None:
                return count

    async def sweep(self) -> None:
        """Decide about all that runs, once."""
        keys = iter(await self._store.running(Kind.TRANSFER, (State.STARTED,)))
        await asyncio.gather(*(self._sweep(keys) for _ in range(_AT_ONCE)))

    async def _sweep(self, keys: Iterator[Key]) -> None:
        """Decide about what is left of `keys`, one after another."""
        for key in keys:
            try:
                await self.transfer(key.participant, key.pid)
            except StoreUnavailable as fault:
                observe.error("reviews.store_unavailable", cause=fault)
                return
            except KontorError as fault:
                # such as a participant that is no longer served: no reason to leave the others alone
                observe.warning("reviews.failed", pid=key.pid, participant=key.participant, cause=fault)

    async def run(self) -> None:
        """Sweep every five minutes until cancelled."""
        never = asyncio.Event()
        while True:
            await self._clock.wait_until(self._clock.now() + EVERY, never)
            await self.sweep()


class Noticing:
    """A verifier that notices when something else is proven of a peer than before: what runs with it is decided about again."""

    def __init__(self, verifier: Verifier, reviews: Reviews) -> None:
        self._verifier = verifier
        self._reviews = reviews
        self._known: OrderedDict[tuple[str, str, MessageKind], Mapping[str, Any]] = OrderedDict()

    async def verify(self, participant: str, authorization: str | None, kind: MessageKind) -> Caller:
        """The author of a request, as the verifier behind proves it; raises as that does."""
        caller = await self._verifier.verify(participant, authorization, kind)
        place = participant, caller.id, kind
        # what let it in is newer each time a list is, and changes no decision by itself
        said = {name: value for name, value in caller.claims.items() if name != GROUNDS}
        before = self._known.get(place)
        self._known[place] = said
        if len(self._known) > _MOST_PEERS:
            self._known.popitem(last=False)
        if before is not None and before != said:
            await self._reviews.peer(participant, caller.id)
        return caller
