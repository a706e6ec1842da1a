"""The data of a transfer for its consumer's own people: fetched from the provider, or as a push delivered it.

What does not live here: receiving a push (`inbox.py`), and who of our people may read (the operator API).
"""

from __future__ import annotations

import pathlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial

from connector import tracing
from connector.dataplane import asking, digests, upstream
from connector.dataplane.addresses import S3_PULL, readings
from connector.dataplane.disk import Disk
from connector.dataplane.inbox import Inbox
from connector.dataplane.manifests import Manifest
from connector.dataplane.pull import serve_file, serve_manifest
from connector.dataplane.representation import MOST_OF_A_REASON, reason_in
from connector.dataplane.shelf import Shelf
from connector.dataplane.sinks import check_allowed
from connector.dataplane.sources import LocalFile, open_below, open_file
from connector.dataplane.streams import Stream, Streams
from connector.dsp.tables import State
from connector.dsp.transfer import Transfer
from connector.errors import BadMessage, Conflict, NotFound, PeerAnswer, PeerMessage
from connector.outbound.client import OutboundClient, StreamedAnswer
from connector.outbound.rules import shown
from connector.ports.dataplane import DataRequest, Served

_BODIES = (200, 203, 206)
_SMALL_BYTES = 256 << 10
"""A body below this that has a digest is looked at before anybody gets a byte of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Collector:
    """What collecting needs."""

    streams: Streams
    readings: Streams
    """What our own people read of what has arrived: it flows between no parties, and goes on when its transfer is complete."""
    disk: Disk
    inbox: Inbox
    shelf: Shelf
    peers: OutboundClient
    allowed: tuple[str, ...]
    """Object stores that a provider may send us to."""
    silence_s: float

    @asynccontextmanager
    async def collect(self, transfer: Transfer, request: DataRequest) -> AsyncIterator[Served]:
        """The answer to `request`, flowing for as long as the context is open.

        Raises, on entering: NotFound, Conflict, PeerError.
        """
        flows = self.readings if transfer.is_push else self.streams
        async with flows.running(transfer.participant, transfer.pid, self.silence_s) as stream:
            opened = self._received(transfer, request, stream) if transfer.is_push else self._fetched(transfer, request, stream)
            async with opened as served:
                yield served

    @asynccontextmanager
    async def _received(self, transfer: Transfer, request: DataRequest, stream: Stream) -> AsyncIterator[Served]:
        folder = await self.disk.run(self.shelf.arrived, transfer.participant, transfer.pid)
        if folder is not None:
            async with self._below(*folder, request, stream) as served:
                yield served
            return
        arrived = await self.disk.run(self.inbox.arrived, transfer.participant, transfer.pid)
        if arrived is None or request.path:
            raise _missing(transfer)
        async with self.disk.opened(open_file, str(arrived.path)) as file:
            yield await serve_file(
                LocalFile(self.disk, file),
                arrived.name,
                request,
                stream,
                media_type=arrived.media_type,
                digest=arrived.digest,
            )

    @asynccontextmanager
    async def _below(
        self, root: pathlib.Path, manifest: Manifest, request: DataRequest, stream: Stream
    ) -> AsyncIterator[Served]:
        """The manifest of a folder that has arrived, or one of its files."""
        if not request.path:
            yield serve_manifest(manifest, request, stream)
            return
        async with self.disk.opened(open_below, str(root), request.path) as file:
            entry = manifest.entries.get(request.path)
            digest = entry.digest if entry is not None and entry.byte_size == file.byte_size else None
            name = request.path.rpartition("/")[2]
            yield await serve_file(LocalFile(self.disk, file), name, request, stream, digest=digest)

    @asynccontextmanager
    async def _fetched(self, transfer: Transfer, request: DataRequest, stream: Stream) -> AsyncIterator[Served]:
        if transfer.address is None:
            raise Conflict("the provider has named no address yet", where=transfer.pid, mend="wait for the transfer to start")
        url, attempts = readings(transfer.address, request.path)
        asked = {name: request.headers[name] for name in asking.ASKED if name in request.headers}
        async with AsyncExitStack() as stack:
            answer: StreamedAnswer | None = None
            for credentials in attempts:
                await stack.aclose()
                headers = {**asked, **tracing.headers(), **credentials}
                opening = self.peers.stream(request.method, url, headers, silence_s=self.silence_s)
                answer = await stack.enter_async_context(opening)
                if answer.status != 401:
                    break
            if answer is not None and answer.status == 307 and transfer.format == S3_PULL:
                # the address is signed for whoever has it: no token goes there
                url = answer.headers.get("location", "")
                check_allowed(url, self.allowed)
                await stack.aclose()
                opening = self.peers.stream(request.method, url, asked, silence_s=self.silence_s)
                answer = await stack.enter_async_context(opening)
            assert answer is not None
            if answer.status not in upstream.PASSED:
                reason = reason_in(await answer.read(MOST_OF_A_REASON))
                raise PeerAnswer(
                    f"the provider answers {answer.status}{reason}",
                    answer_status=answer.status,
                    where=shown(url),
                    mend="see the state of the transfer",
                )
            told = {name: value for name, value in answer.headers.items() if name in upstream.TOLD}
            has_body = request.method == "GET" and answer.status in _BODIES
            if not has_body and request.method == "GET" and answer.status != 304:
                told["content-length"] = "0"
            check = _check_of(answer, url) if has_body else None
            if check is not None:
                # what is held against its digest comes through this process
                coming = digests.checked(answer.chunks(), check, partial(_other_content, url))
                if (answer.length or _SMALL_BYTES) < _SMALL_BYTES:
                    body = b"".join([chunk async for chunk in coming])
                    yield Served(status=answer.status, headers=told, chunks=None, body=body, cut=stream.cut)
                    return
                yield Served(status=answer.status, headers=told, chunks=stream.paced(coming), cut=stream.cut)
                return
            chunks = stream.paced(answer.chunks()) if has_body else None
            direct = (
                stream.filling(partial(upstream.direct, answer, self.disk.move))
                if has_body and upstream.is_direct(answer)
                else None
            )
            yield Served(status=answer.status, headers=told, chunks=chunks, direct=direct, cut=stream.cut)


def _check_of(answer: StreamedAnswer, url: str) -> digests.Check | None:
    """What a provider says that the content of its answer is."""
    try:
        return digests.check_of(answer.headers)
    except BadMessage as fault:
        raise PeerMessage(f"the provider's `Content-Digest` is none: {fault.what}", where=shown(url)) from fault


def _other_content(url: str) -> PeerMessage:
    mend = "read it again, and tell the provider when it stays so"
    return PeerMessage("what came is not what the provider's `Content-Digest` says", where=shown(url), mend=mend)


def _missing(transfer: Transfer) -> NotFound:
    """What to say of a push whose data is not here."""
    if transfer.state is State.COMPLETED:
        mend = "it went when its time was over (`retention`), or `data_dir/inbox` was not brought back after a restore"
        return NotFound("what arrived is not here any more", where=transfer.pid, mend=mend)
    if transfer.is_ended:
        return NotFound("it ended before all had arrived", where=transfer.pid, mend="begin a new transfer")
    return NotFound("nothing has arrived completely yet", where=transfer.pid, mend="wait until the push is complete")
