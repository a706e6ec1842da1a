"""The audit trail: every act of an operator, in an append-only stream that shows when it was touched.

What lives here: `Audit`. An act is two entries: `asked` before anything happens, so that none is done that the trail does not know,
and `answered` with its result. An act without a second entry was cut off: whether it was done must be looked up.
What does not: chains and their verification (`ports/journal.py`), which requests are acts (`web/operator/gate.py`).

An entry says who, what, on what, from where and how it ended. Bodies, keys, tokens and query strings never come here.
Acts in a participant context stand in its own stream `audit`, all others in that of the node.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from connector import observe
from connector.controlplane.participants import NODE, Participants
from connector.errors import KontorError, NotFound
from connector.ports.clock import Clock
from connector.ports.journal import Entry, Journal, Line, Link, Verdict, verify
from connector.ports.page import Page

STREAM: Final = "audit"
_MOST_REFUSED: Final = 60
"""Refusals of one operator that are written in a minute: whoever may do nothing must not fill the disk with trying."""
_MINUTE_S: Final = 60.0
_MOST_WHAT: Final = 1000
"""Letters of an address."""


@dataclass(slots=True)
class _Refusals:
    """Of one operator, within a minute."""

    until: float
    count: int = 0

    @property
    def left_out(self) -> int:
        return max(0, self.count - _MOST_REFUSED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """What an operator asks for."""

    id: str
    who: str
    what: str
    """Method, and address without its query."""
    participant: str | None
    """The context that the address names, which need not exist; None for the node."""
    source: str
    """The address of the machine that it came from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """How an act ended."""

    status: int
    object_id: str = ""
    """What came into being, where the answer names it."""
    error_id: str = ""
    """Under it the log tells the whole story."""
    cause: str = ""


class Audit:
    """Writes and reads the trail."""

    def __init__(self, journal: Journal, participants: Participants, clock: Clock) -> None:
        self._journal = journal
        self._participants = participants
        self._clock = clock
        self._refusals: dict[str, _Refusals] = {}

    async def asked(self, act: Act) -> str:
        """The context in whose stream the act is written from now on. Do nothing of it when this raises.

        Raises: StoreUnavailable.
        """
        context = await self._context(act.participant)
        body = {"stage": "asked", "act": act.id, "who": act.who, "what": _cut(act.what), "from": act.source}
        await self._append(context, body)
        return context

    async def answered(self, context: str, act: Act, result: Result) -> None:
        """Returns when the result is written, or the log says that it could not be: the act is done by now."""
        told = {"object": result.object_id, "error_id": result.error_id, "cause": result.cause}
        body = {"stage": "answered", "act": act.id, "status": result.status, **{k: v for k, v in told.items() if v}}
        try:
            # who asked has the answer by now, and waits for nothing
            await self._append(context, body, can_wait=True)
        except KontorError as fault:
            observe.error("audit.result_lost", act=act.id, status=result.status, cause=str(fault))

    async def refused(self, act: Act, result: Result) -> None:
        """Returns when it is written that an operator asked for what it may not do; of very many refusals their number is.

        Raises: StoreUnavailable.
        """
        before = self._counted(act.who)
        if before is None:
            return
        cause = f"{result.cause}; {before} refusals before it are not written here" if before else result.cause
        body = {
            "stage": "refused", "act": act.id, "who": act.who, "what": _cut(act.what), "from": act.source,
            "status": result.status, "error_id": result.error_id, "cause": cause,
        }  # fmt: skip
        await self._append(await self._context(act.participant), body)

    async def page(
        self,
        context: str,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        cursor: str | None = None,
        limit: int,
    ) -> Page[Entry]:
        """Entries of one context (or of `NODE`), newest first."""
        return await self._journal.page(
            context, STREAM, since=since, until=until, cursor=cursor, limit=limit, is_newest_first=True
        )

    async def verify(self, context: str, noted: Link | None = None) -> Verdict:
        """Whether the stream is whole; `noted` is an entry that somebody wrote down earlier."""
        return await verify(self._journal, context, STREAM, noted=noted)

    def _counted(self, who: str) -> int | None:
        """How many refusals of `who` were left out before this one, which is written; None when it is left out too."""
        now = time.monotonic()
        own, before = self._refusals.get(who), 0
        if own is None or now >= own.until:
            before = own.left_out if own is not None else 0
            # those of others are kept for as long as there is something to say of them
            self._refusals = {name: one for name, one in self._refusals.items() if now < one.until or one.left_out}
            own = self._refusals[who] = _Refusals(until=now + _MINUTE_S)
        own.count += 1
        return before if own.count <= _MOST_REFUSED else None

    async def _context(self, participant: str | None) -> str:
        if participant is None:
            return NODE
        try:
            await self._participants.context(participant)
        except NotFound:
            # whoever makes names up gets no stream for each of them
            return NODE
        return participant

    async def _append(self, context: str, body: Mapping[str, Any], *, can_wait: bool = False) -> None:
        await self._journal.append(context, STREAM, [Line(at=self._clock.now(), body=body)], can_wait=can_wait)


def _cut(what: str) -> str:
    return what if len(what) <= _MOST_WHAT else f"{what[:_MOST_WHAT]}…"
