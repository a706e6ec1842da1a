"""A whole pull, fetched into the inbox: for a consumer whose data plane takes the data by itself, without anybody asking for it.

What lives here: one attempt. What does not: reading from the provider (`collect.py`), keeping (`inbox.py`), trying again (the caller).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from connector.dataplane.collect import Collector
from connector.dataplane.disk import Disk
from connector.dataplane.inbox import Announced, Arrived, Inbox, Part
from connector.dataplane.representation import digest_of
from connector.dsp.transfer import Transfer
from connector.errors import DigestMismatch, PeerAnswer
from connector.ports.dataplane import DataRequest

_WHOLE = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetcher:
    """Fetches pulls."""

    collector: Collector
    disk: Disk
    inbox: Inbox

    async def fetch(self, transfer: Transfer) -> Arrived:
        """The data of `transfer`, in the inbox.

        Raises: PeerError, DigestMismatch, Overloaded; nothing has arrived then.
        """
        place = transfer.participant, transfer.pid
        async with self.collector.collect(transfer, DataRequest()) as served:
            if served.status != _WHOLE:
                raise PeerAnswer(f"the provider answers {served.status}", answer_status=served.status, where=transfer.pid)
            told = digest_of(served.headers, is_whole=True)
            size = served.headers.get("content-length", "")
            announced = Announced(
                byte_size=int(size) if size.isdecimal() else None,
                digest=told,
                media_type=served.headers.get("content-type"),
            )
            part = await self.disk.run(self.inbox.begin, announced, *place)
            try:
                if served.body is not None:
                    await self.disk.run(part.write, served.body)
                digest = await self._written(part, served.chunks)
                if told is not None and told != digest:
                    raise DigestMismatch("what came is not what was announced", where=transfer.pid)
                return await self.disk.run(self.inbox.finish, *place, part, digest, announced)
            finally:
                part.close()

    async def _written(self, part: Part, chunks: AsyncIterator[bytes] | None) -> str:
        assert part.hasher is not None
        if chunks is not None:
            async for chunk in chunks:
                await self.disk.run(part.write, chunk)
        return part.hasher.hexdigest()
