"""The data of a transfer for our own people, from a provider that may have to be shown anew who we are.

What lives here: `Collecting`. What does not: fetching itself (`dataplane/collect.py`), and whether our own terms allow it (`access.py`).

Where a space proves its members by tokens of a provider, a peer knows us no longer than the last token that it saw is good, and a peer
that was started anew knows nobody. Its answer to a token for data is 403 then. Any message proves us again, so we ask how the transfer
stands, once, and try again; and while data flows we ask now and then, so that a long download is not cut for want of a token.
What a push has delivered is read from our own disk, also when its transfer is over, which would cut it. So whether our terms still allow
it is looked at while it is read.
Source: Dataspace Protocol 2025-1, "Transfer Process HTTPS Binding", `GET /transfers/:providerPid`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from connector import observe
from connector.controlplane.access import DataAccess
from connector.controlplane.peers import Peers
from connector.dsp.process import below
from connector.dsp.transfer import Transfer
from connector.errors import KontorError, PeerAnswer, StoreUnavailable
from connector.ports.clock import Clock
from connector.ports.dataplane import DataPlane, DataRequest, Served, Use

SHOWN_EVERY: Final = timedelta(seconds=8)
"""A token is replaced half a minute before its end, or half of its life: the peer sees the next one before the last is over."""
_LOOKED_AT_EVERY: Final = timedelta(seconds=1)
_UNKNOWN_THERE: Final = 403


@dataclass(frozen=True, slots=True, kw_only=True)
class Collecting:
    """Collects the data of transfers."""

    plane: DataPlane
    access: DataAccess
    peers: Peers
    clock: Clock
    by_tokens: frozenset[str]
    """The participants whose peers know them by tokens of a provider."""

    @asynccontextmanager
    async def collect(self, transfer: Transfer, request: DataRequest, use: Use | None) -> AsyncIterator[Served]:
        """As `DataPlane.collect`, with a second try when the provider does not know us any more.

        Raises, on entering: as `DataPlane.collect`; Forbidden when our own terms allow no second try.
        """
        async with AsyncExitStack() as stack:
            try:
                served = await stack.enter_async_context(self.plane.collect(transfer, request, use))
            except PeerAnswer as fault:
                if fault.answer_status != _UNKNOWN_THERE or not await self._is_shown(transfer):
                    raise
                again = await self.access.may_collect(transfer.participant, transfer) if use is not None else None
                served = await stack.enter_async_context(self.plane.collect(transfer, request, again))
            if transfer.participant in self.by_tokens and not transfer.is_push:
                showing = asyncio.create_task(self._keep_shown(transfer))
                stack.callback(showing.cancel)
            if transfer.is_push and not transfer.is_provider:
                heeding = asyncio.create_task(self._heed(transfer, served))
                stack.callback(heeding.cancel)
            yield served

    async def show(self, transfer: Transfer) -> None:
        """Prove us to the provider, where it knows us by tokens, for a program of ours that goes there by itself."""
        if transfer.participant in self.by_tokens:
            await self._is_shown(transfer)

    async def _keep_shown(self, transfer: Transfer) -> None:
        """Prove us to the provider now and then, until cancelled."""
        never = asyncio.Event()
        while True:
            await self.clock.wait_until(self.clock.now() + SHOWN_EVERY, never)
            await self._is_shown(transfer)

    async def _heed(self, transfer: Transfer, served: Served) -> None:
        """Cut what is read of a push once our own terms allow it no more, or its agreement has ended."""
        never, may_go_on = asyncio.Event(), True
        while may_go_on:
            await self.clock.wait_until(self.clock.now() + _LOOKED_AT_EVERY, never)
            try:
                may_go_on = await self.access.may_read_on(transfer)
            except StoreUnavailable as fault:
                observe.debug("data.not_looked_at", participant=transfer.participant, pid=transfer.pid, cause=str(fault))
        served.cut()

    async def _is_shown(self, transfer: Transfer) -> bool:
        """Whether the provider has taken a message of ours that changes nothing."""
        if transfer.is_provider or transfer.is_push or transfer.peer_pid is None:
            return False
        url = below(transfer.peer_address, "transfers", transfer.peer_pid)
        try:
            await self.peers.ask("GET", url, None, participant=transfer.participant, peer=transfer.peer)
        except KontorError as fault:
            observe.debug("data.not_shown", participant=transfer.participant, pid=transfer.pid, cause=str(fault))
            return False
        return True
