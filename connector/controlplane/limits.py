"""Keeps to the bounds of requests and transfers: of the node, of each participant, of each peer of one.

What lives here: `Limiter`, counted by each node for itself, in memory. What does not: the bounds (`settings/limits.py`), and those of
streams (`dataplane/`). A request is counted in before its sender is proven, so that strangers cannot hold up more than is allowed, and
again when it is. What is refused costs next to nothing, and nothing of it is remembered: whoever comes again later is served.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final, TypeVar

from connector import observe
from connector.dsp.tables import Kind, Role, State
from connector.errors import Overloaded, TooMany
from connector.ports.store import Filter, Store
from connector.settings import Bounds, Settings

F = TypeVar("F", TooMany, Overloaded)
_MOST_KNOWN: Final = 65_536
_COUNTED_FOR_S: Final = 5.0
_ONE_MINUTE_S: Final = 60
_OPEN: Final = (State.REQUESTED, State.STARTED, State.SUSPENDED)


class _Count:
    """What is under way for one of whom bounds are known, and when its next request is due at its rate."""

    __slots__ = (
        "at_once", "beginning", "busy", "counting", "due_at", "max_body_bytes", "pause_s", "room", "room_until", "transfers",
    )  # fmt: skip

    def __init__(self, bounds: Bounds, max_body_bytes: int) -> None:
        self.at_once, self.transfers = bounds.requests_at_once, bounds.transfers_at_once
        self.max_body_bytes = min(bounds.max_body_bytes or max_body_bytes, max_body_bytes)
        self.pause_s = 1 / bounds.requests_per_s if bounds.requests_per_s is not None else 0.0
        self.due_at = 0.0
        self.busy = 0
        self.room, self.room_until = 0, 0.0
        """Transfers that may begin before they are counted again."""
        self.beginning = 0
        """Transfers that may begin and are not written yet: no count of the store has them."""
        self.counting: asyncio.Lock | None = None

    def wait_s(self, now: float) -> float:
        """How long a request would have to wait; one that need not is counted. A second's worth may come at once."""
        if not self.pause_s:
            return 0.0
        due_at = max(self.due_at, now) + self.pause_s
        if (wait_s := due_at - now - max(1.0, self.pause_s)) > 1e-9:
            return wait_s
        self.due_at = due_at
        return 0.0


class _Busy:
    """A request that is counted for as long as the context is open: a class, since each message opens two of them."""

    __slots__ = ("_counts",)

    def __init__(self, *counts: _Count) -> None:
        self._counts = counts

    def __enter__(self) -> None:
        for count in self._counts:
            count.busy += 1

    def __exit__(self, *_: object) -> None:
        for count in self._counts:
            count.busy -= 1


class Limiter:
    """Counts what is asked of this node."""

    def __init__(self, settings: Settings, store: Store, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._store = store
        self._monotonic = monotonic
        self._most = settings.limits.requests_at_once
        self._whole = _Count(Bounds(), settings.public.max_body_bytes)
        """Everything, whomever it is asked of; its bounds are those of the node."""
        self._counts: dict[tuple[str, str | None], _Count] = {}

    @property
    def under_way(self) -> int:
        """Requests that are being answered."""
        return self._whole.busy

    def request(self, participant: str) -> _Busy:
        """Count a request to `participant` for as long as the context is open, whoever sends it.

        Raises: Overloaded.
        """
        count = self._count(participant, None)
        if self._whole.busy >= self._most or count.busy >= (count.at_once or self._most):
            raise _noted(Overloaded("too much is asked at once", mend="come again in a moment"))
        if wait_s := count.wait_s(self._monotonic()):
            raise _noted(Overloaded("too much is asked", mend=f"come again in {math.ceil(wait_s)} s"))
        return _Busy(self._whole, count)

    def request_of(self, participant: str, peer: str) -> _Busy:
        """Count a request of a proven peer for as long as the context is open.

        Raises: TooMany.
        """
        count = self._count(participant, peer)
        if count.at_once is not None and count.busy >= count.at_once:
            mend = f"send at most {count.at_once} at once"
            raise _noted(TooMany("too many requests of yours are being answered", mend=mend, retry_after_s=1))
        if wait_s := count.wait_s(self._monotonic()):
            mend = f"send at most {1 / count.pause_s:g} a second"
            raise _noted(TooMany("you ask too often", mend=mend, retry_after_s=math.ceil(wait_s)))
        return _Busy(count)

    def max_body_bytes(self, participant: str, peer: str) -> int:
        """The largest message that `participant` takes of a peer."""
        return min(self._count(participant, None).max_body_bytes, self._count(participant, peer).max_body_bytes)

    @asynccontextmanager
    async def transfer(self, participant: str, peer: str) -> AsyncIterator[TooMany | Overloaded | None]:
        """Why a consumer may not begin one more transfer, None when it may; write it while the context is open.

        What was counted is believed for some seconds, as long as there is room: of requests that come at the same moment to
        several nodes a few more may pass, and of those that come to one node none.

        Raises: StoreUnavailable.
        """
        own, whole = self._count(participant, peer), self._count(participant, None)
        async with AsyncExitStack() as stack:
            if not await self._has_room(own, participant, peer, stack):
                what, mend = f"{own.transfers} transfers of yours have not ended", "end some of them first"
                yield _noted(TooMany(what, mend=mend, retry_after_s=_ONE_MINUTE_S))
            elif not await self._has_room(whole, participant, None, stack):
                yield _noted(Overloaded("too many transfers have not ended", mend="come again later"))
            else:
                yield None

    async def _has_room(self, count: _Count, participant: str, peer: str | None, stack: AsyncExitStack) -> bool:
        """Whether one transfer more may begin; it is counted as beginning until `stack` is closed."""
        if count.transfers is None:
            return True
        count.counting = count.counting or asyncio.Lock()
        # one after another: two who count at once would both find the same room
        async with count.counting:
            now = self._monotonic()
            if count.room <= 0 or now >= count.room_until:
                filters = (Filter(state=state, role=Role.PROVIDER, peer=peer) for state in _OPEN)
                pages = [await self._store.processes(Kind.TRANSFER, participant, one, limit=1) for one in filters]
                count.room = count.transfers - sum(page.total for page in pages) - count.beginning
                count.room_until = now + _COUNTED_FOR_S
            if count.room <= 0:
                return False
            count.room -= 1
            count.beginning += 1
        stack.callback(_begun, count)
        return True

    def _count(self, participant: str, peer: str | None) -> _Count:
        place = participant, peer
        found = self._counts.get(place)
        if found is None:
            if len(self._counts) >= _MOST_KNOWN:
                # whoever asks for participants that do not exist fills this; who is being answered stays counted
                self._counts = {at: one for at, one in self._counts.items() if one.busy or one.beginning}
            found = self._counts[place] = _Count(self._settings.bounds(participant, peer), self._settings.public.max_body_bytes)
        return found


def _begun(count: _Count) -> None:
    count.beginning -= 1


def _noted(fault: F) -> F:
    observe.count("requests_refused", code=fault.code)
    return fault
