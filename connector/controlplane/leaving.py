"""A participant context taken off a running node.

1. Whoever still has something open with it is told first: its negotiations and transfers must have ended, or are ended on request.
2. What it offers, its secrets, rules, webhooks and waiting work are removed; then it is served no longer, on every node of the store.
3. Its agreements, the processes behind them and its journal stay: they are evidence. Its keys stay sealed, and sign nothing any more.
   Its name can be taken again by the same participant id alone: nobody else comes to see what it has left.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final

from connector import observe
from connector.controlplane.events import Events
from connector.controlplane.negotiation import Negotiations
from connector.controlplane.participants import Participants, Revisions
from connector.controlplane.secrets import KIND as SECRET
from connector.controlplane.shelving import ASSET, DEFINITION, POLICY
from connector.controlplane.transfer import Transfers
from connector.controlplane.webhooks import Webhooks
from connector.dsp.process import Process
from connector.dsp.tables import Kind
from connector.errors import CallerError, Conflict
from connector.ports.clock import Clock
from connector.ports.store import Filter, Store

_REMOVED: Final = (DEFINITION, ASSET, POLICY, SECRET, "rules")
_TOLD_WITHIN: Final = timedelta(seconds=20)
_LOOK_AGAIN: Final = timedelta(seconds=1)
_BATCH: Final = 1000
_REASON: Final = "the participant leaves this connector"


class Leaving:
    """Removes contexts."""

    def __init__(
        self,
        store: Store,
        participants: Participants,
        revisions: Revisions,
        negotiations: Negotiations,
        transfers: Transfers,
        webhooks: Webhooks,
        events: Events,
        clock: Clock,
    ) -> None:
        self._store = store
        self._participants = participants
        self._revisions = revisions
        self._webhooks = webhooks
        self._events = events
        self._clock = clock
        self._acts: dict[Kind, Callable[..., Awaitable[Process]]] = {
            Kind.NEGOTIATION: negotiations.act,
            Kind.TRANSFER: transfers.act,
        }

    async def remove(self, name: str, *, is_ending: bool) -> None:
        """Serve a participant no longer; with `is_ending` what it has open is ended first, and its peers are told.

        Raises: NotFound; Conflict for one of the settings, and while something is open or a peer has not been told.
        """
        await self._participants.vet_removal(name)
        # 1. nobody is left waiting
        open_ = await self._open(name)
        if open_ and not is_ending:
            mend = "end them first, or ask for that with `end=true`"
            raise Conflict(f"{len(open_)} negotiations and transfers have not ended", where=name, mend=mend)
        await self._end(name, open_)
        # 2. what would be of use to whoever came by its name
        for hook in [one for one in await self._webhooks.all() if one.participant == name]:
            await self._webhooks.remove(name, hook.name)
        for kind in _REMOVED:
            await self._forget(name, kind)
        await self._drop_work(name)
        self._revisions.forget(name)
        # 3. from here on it is not there
        await self._participants.remove(name)
        observe.info("participant.removed", participant=name)

    async def _open(self, name: str) -> list[tuple[Kind, Process]]:
        found: list[tuple[Kind, Process]] = []
        for kind in Kind:
            cursor: str | None = None
            while True:
                page = await self._store.processes(kind, name, Filter(), cursor=cursor, limit=_BATCH)
                found += [(kind, one) for one in page.items if not one.is_ended or one.in_flight is not None]
                cursor = page.next_cursor
                if cursor is None:
                    break
        return found

    async def _end(self, name: str, open_: list[tuple[Kind, Process]]) -> None:
        for kind, one in open_:
            if one.is_ended:
                continue
            try:
                await self._acts[kind](name, one.pid, "terminate", code="participant-left", reason=_REASON)
            except CallerError as fault:
                # it ends by itself at this moment, or is being ended already
                observe.info("participant.process_not_ended", pid=one.pid, cause=fault)
        began = self._clock.now()
        until = began + _TOLD_WITHIN
        with self._events.bell() as bell:
            while open_ and (open_ := await self._open(name)):
                now = self._clock.now()
                if not began <= now < until:
                    mend = "ask again later; what cannot be delivered is given up in the end"
                    raise Conflict(f"peers of {len(open_)} processes have not been told yet", where=name, mend=mend)
                await self._clock.wait_until(min(until, now + _LOOK_AGAIN), bell)

    async def _forget(self, name: str, kind: str) -> None:
        while page := (await self._store.documents(name, kind, limit=_BATCH)).items:
            for document in page:
                await self._store.delete_document(name, kind, document.id)

    async def _drop_work(self, name: str) -> None:
        while page := (await self._store.jobs.page(name, limit=_BATCH)).items:
            for job in page:
                await self._store.jobs.drop(name, job.kind, job.id)
