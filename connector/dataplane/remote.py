"""The control plane as a data worker sees it: asked and told over the channel to the process that holds it.

What lives here: `RemoteAuthorizer` and `RemoteEvents`, which implement the ports of those names in a worker.
What does not: the other end (`workers.py`). Nothing is decided or remembered here: every request for data is judged there, anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from connector.dataplane.channel import Channel, Gone
from connector.dsp.transfer import Access, Transfer
from connector.dsp.values import replace
from connector.errors import Overloaded
from connector.ports.dataplane import Event, Grant, Use


@dataclass(slots=True)
class _RemoteUse:
    """A use that the control plane has granted, known there by its number."""

    channel: Channel
    number: int
    is_over: bool = False

    async def begin(self) -> None:
        await self.channel.call("begin", self.number)

    def end(self, moved_bytes: int) -> None:
        if not self.is_over:
            self.is_over = True
            self.channel.tell("end", self.number, moved_bytes)


@dataclass(frozen=True, slots=True)
class RemoteAuthorizer:
    """Implements the port `Authorizer`."""

    channel: Channel

    async def may_pull(self, participant: str, pid: str, token: str | None, *, is_look: bool = False) -> Grant:
        """As the port says; Overloaded, too, when the control plane is gone: nothing is served without it."""
        grant, number = await self._granted("may_pull", participant, pid, token, is_look)
        granted: Grant = grant
        return replace(granted, use=_RemoteUse(self.channel, number)) if number is not None else granted

    async def renew(self, participant: str, pid: str, token: str | None, access: Access) -> None:
        """As the port says."""
        await self._call("renew", participant, pid, token, access)

    async def may_stream(self, transfer: Transfer) -> Use | None:
        """As the port says."""
        _, number = await self._granted("may_stream", transfer)
        return _RemoteUse(self.channel, number) if number is not None else None

    async def may_pass(self, transfer: Transfer, events: Sequence[Event]) -> int:
        """As the port says."""
        count: int = await self._call("may_pass", transfer, tuple(events))
        return count

    async def may_push(self, participant: str, pid: str, token: str | None) -> Transfer:
        """As the port says; when it returns, no other worker receives for this transfer any more."""
        found: Transfer = await self._call("may_push", participant, pid, token)
        return found

    async def _granted(self, name: str, *values: object) -> Any:
        """What is granted, and the number of its use; what is granted to somebody who is gone meanwhile is given back."""
        asking = asyncio.ensure_future(self._call(name, *values))
        try:
            return await asyncio.shield(asking)
        except asyncio.CancelledError:
            asking.add_done_callback(self._give_back)
            raise

    def _give_back(self, asking: asyncio.Future[Any]) -> None:
        if not asking.cancelled() and asking.exception() is None and asking.result()[1] is not None:
            self.channel.tell("end", asking.result()[1], 0)

    async def _call(self, name: str, *values: object) -> Any:
        try:
            return await self.channel.call(name, *values)
        except Gone as fault:
            raise Overloaded("the node is being started again", mend="come again in a moment") from fault


@dataclass(frozen=True, slots=True)
class RemoteEvents:
    """Implements the port `TransferEvents`."""

    channel: Channel

    async def completed(self, participant: str, pid: str, *, moved_bytes: int, digest: str | None) -> None:
        await self.channel.call("completed", participant, pid, moved_bytes, digest)

    async def received(self, participant: str, pid: str, *, moved_bytes: int, digest: str) -> None:
        await self.channel.call("received", participant, pid, moved_bytes, digest)

    async def failed(self, participant: str, pid: str, reason: str) -> None:
        await self.channel.call("failed", participant, pid, reason)

    async def attempted(self, participant: str, pid: str, *, url: str, cause: str) -> None:
        await self.channel.call("attempted", participant, pid, url, cause)

    async def noted(self, participant: str, pid: str, mark: str) -> None:
        await self.channel.call("noted", participant, pid, mark)
