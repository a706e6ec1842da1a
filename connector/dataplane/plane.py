"""The built-in data plane: what the control plane drives, and what the public listener's data routes call.

What lives here: the parts put together, opened and closed; which formats a source can be moved in.
What does not: the moving itself; see the package's docstring for the rooms of each.
"""

from __future__ import annotations

import asyncio
import pathlib
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass
from functools import partial

from connector.dataplane import deposit, upstream
from connector.dataplane.addresses import NATS_PUSH, PULL, PUSH, S3_PULL, new_endpoint
from connector.dataplane.cargo import Cargoes
from connector.dataplane.collect import Collector
from connector.dataplane.deposit import Deposits
from connector.dataplane.disk import Disk
from connector.dataplane.fetch import Fetcher
from connector.dataplane.folders import Folders
from connector.dataplane.inbox import Inbox
from connector.dataplane.lanes import BoundsOf, Lanes
from connector.dataplane.logins import Logins
from connector.dataplane.manifests import MANIFEST_TYPE, Manifests
from connector.dataplane.objects import Objects
from connector.dataplane.pull import Pulls
from connector.dataplane.push import Pushes, Pushing
from connector.dataplane.receive import Receipt, Receiver, Upload
from connector.dataplane.sending import Moved, Sender, Way
from connector.dataplane.shelf import Shelf
from connector.dataplane.sources import Places, media_type_of
from connector.dataplane.streams import Stream, Streams
from connector.dataplane.using import counted
from connector.dataplane.workers import Crew
from connector.dsp.process import below
from connector.dsp.transfer import Transfer
from connector.errors import InternalError, SourceError
from connector.outbound.client import OutboundClient
from connector.ports.clock import Clock
from connector.ports.dataplane import Authorizer, DataRequest, Description, Endpoint, Served, Source, TransferEvents, Use
from connector.settings import Bounds


@dataclass(frozen=True, slots=True, kw_only=True)
class DataPlaneConfig:
    """How this data plane works."""

    public_url: str
    """Base address under which peers reach this node, without a trailing slash."""
    data_dir: pathlib.Path
    """Below it: `inbox/`, `manifests/`."""
    pull_token_ttl_s: int = 3600
    push_token_ttl_s: int = 7 * 24 * 3600
    """A push goes on for as long as its transfer is open; its token must not end it sooner."""
    max_push_bytes: int = 1 << 40
    max_request_bytes: int = 16 << 20
    """Of a consumer's POST to an upstream."""
    keep_free_bytes: int = 256 << 20
    """Room that received data leaves on the disk."""
    allowed_object_endpoints: tuple[str, ...] = ()
    """Object stores that peers may name, as origins or patterns of them."""
    allowed_event_endpoints: tuple[str, ...] = ()
    """Event servers that peers may name, likewise."""
    push_attempts: int = 8
    """In a row without a single byte moved."""
    push_first_delay_s: float = 0.5
    push_max_delay_s: float = 300.0
    push_parallel: int = 32
    """Half of them at most to one peer."""
    bounds: BoundsOf = lambda participant, peer: Bounds()
    """Of the streams of a participant, or of one peer of it; none by default."""
    silence_s: float = 60.0
    """Longest time in which nothing moves in a flow before it is cut."""


class BuiltInDataPlane:
    """Implements the port `DataPlane`. Connect it, then open it with `async with`: after the clients, before the listeners."""

    def __init__(self, config: DataPlaneConfig, *, peers: OutboundClient, upstreams: OutboundClient, clock: Clock) -> None:
        """`peers` reaches what other participants name, `upstreams` what our operator names."""
        self._config = config
        self._peers = peers
        self._logins = Logins(upstreams, clock)
        self._clock = clock
        self._streams = Streams()
        self._readings = Streams()
        self._lanes = Lanes(config.bounds)
        self._disk = Disk()
        self._places = Places(disk=self._disk, objects=Objects())
        self._manifests = Manifests(config.data_dir / "manifests", self._disk)
        self._inbox = Inbox(config.data_dir / "inbox", keep_free_bytes=config.keep_free_bytes)
        self._shelf = Shelf(self._inbox)
        self._collector = Collector(
            streams=self._streams,
            readings=self._readings,
            disk=self._disk,
            inbox=self._inbox,
            shelf=self._shelf,
            allowed=config.allowed_object_endpoints,
            peers=peers,
            silence_s=config.silence_s,
        )
        self._stack = AsyncExitStack()
        self._group: asyncio.TaskGroup | None = None

    def connect(self, authorizer: Authorizer, events: TransferEvents, crew: Crew | None = None) -> None:
        """Give it whom to ask and whom to tell: the control plane, which is made after it; and its workers, where it has any."""
        config = self._config
        self._crew = crew
        if crew is not None:
            crew.cut_here = self.cut_uploads
        self._authorizer = authorizer
        self._pulls = Pulls(
            authorizer=authorizer,
            streams=self._streams,
            places=self._places,
            manifests=self._manifests,
            logins=self._logins,
            max_request_bytes=config.max_request_bytes,
            lanes=self._lanes,
            clock=self._clock,
            silence_s=config.silence_s,
        )
        self._receiver = Receiver(
            authorizer=authorizer,
            events=events,
            streams=self._streams,
            lanes=self._lanes,
            disk=self._disk,
            inbox=self._inbox,
            shelf=self._shelf,
            max_bytes=config.max_push_bytes,
            elsewhere=crew.cut_uploads if crew is not None else None,
            silence_s=config.silence_s,
        )
        cargoes = Cargoes(self._places, self._logins)
        sender = Sender(peers=self._peers, silence_s=config.silence_s)
        self._pushes = Pushes(
            pushing=Pushing(
                attempts=config.push_attempts,
                first_delay_s=config.push_first_delay_s,
                max_delay_s=config.push_max_delay_s,
                parallel=config.push_parallel,
                silence_s=config.silence_s,
            ),
            cargoes=cargoes,
            deposits=Deposits(
                places=self._places,
                manifests=self._manifests,
                cargoes=cargoes,
                peers=self._peers,
                clock=self._clock,
                allowed=config.allowed_object_endpoints,
                silence_s=config.silence_s,
            ),
            publish=self._publish,
            folders=Folders(places=self._places, manifests=self._manifests, sender=sender),
            streams=self._streams,
            lanes=self._lanes,
            sender=sender,
            events=events,
            clock=self._clock,
        )

    async def __aenter__(self) -> BuiltInDataPlane:
        self._stack.callback(self._disk.close)
        await self._stack.enter_async_context(self._logins)
        self._group = await self._stack.enter_async_context(asyncio.TaskGroup())
        self._stack.push_async_callback(self._pushes.close)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._group = None
        await self._stack.aclose()

    # --- driven by the control plane

    def formats(self, source: Source) -> tuple[str, ...]:
        """The transfer formats in which `source` can be served."""
        if source.events is not None:
            return (PULL, NATS_PUSH) if self._config.allowed_event_endpoints else (PULL,)
        if not (source.is_file or source.is_folder or source.type == "http"):
            return ()
        # a folder is moved file by file, its manifest first
        found = (PULL, PUSH, S3_PULL) if source.type == "s3" and source.is_file else (PULL, PUSH)
        # a push into a peer's store is offered where there is one that a peer may name
        return (*found, *deposit.FORMATS) if self._config.allowed_object_endpoints else found

    def endpoint(self, participant: str, pid: str, format_: str) -> Endpoint | None:
        """Where the peer of transfer `pid` fetches (pull) or delivers (push) data, with a new token; None for other formats."""
        config, now = self._config, self._clock.now()
        if format_ in (PULL, S3_PULL):
            url, renewal = (below(config.public_url, participant, "data", word, pid) for word in ("pull", "renew"))
            return new_endpoint(url, now, config.pull_token_ttl_s, renewal=renewal)
        if format_ == PUSH:
            url = below(config.public_url, participant, "data", "push", pid)
            return new_endpoint(url, now, config.push_token_ttl_s, is_resumable=True)
        return None

    async def start(self, transfer: Transfer, source: Source) -> None:
        """Begin, or take up again, the push of `source`; nothing for a pull, or when it is running."""
        if not transfer.is_push:
            return
        if self._group is None:
            raise InternalError("the data plane is not open")
        if self._crew is not None and await self._crew.start(transfer, source):
            return
        self._pushes.start(self._group, transfer, source)

    async def _publish(self, transfer: Transfer, source: Source, way: Way, stream: Stream) -> Moved:
        from connector.dataplane.events import Events, Publisher

        events = Events(authorizer=self._authorizer, logins=self._logins, silence_s=self._config.silence_s)
        publisher = Publisher(events=events, peers=self._peers, allowed=self._config.allowed_event_endpoints)
        return await publisher.attempt(transfer, source, way, stream)

    async def over(self, participant: str, pid: str) -> None:
        """Returns when the push of a transfer has ended here, and its end was told."""
        await self._pushes.over(participant, pid)
        if self._crew is not None:
            await self._crew.over(participant, pid)

    def running(self) -> tuple[tuple[str, str], ...]:
        """Transfers for which something runs here."""
        elsewhere = self._crew.places() if self._crew is not None else ()
        return tuple({*self._streams.places(), *self._pushes.places(), *elsewhere})

    async def stop(self, participant: str, pid: str) -> None:
        """Cut what is running for a transfer; nothing of it moves any more when this returns."""
        await self._pushes.stop(participant, pid)
        await self._streams.cut(participant, pid)
        if self._crew is not None:
            await self._crew.stop(participant, pid)

    async def withdraw(self, participant: str, pid: str) -> None:
        """As `stop`; what our own people read of what has arrived is cut, too: they may not any more."""
        await self.stop(participant, pid)
        await self._readings.cut(participant, pid)

    async def cut_uploads(self, participant: str, pid: str) -> None:
        """End what is being received for a transfer in this process."""
        await self._streams.cut_uploads(participant, pid)

    def tell_over(self, over: Callable[[str, str], None]) -> None:
        """Have `over` called when nothing of a transfer runs in this process any more, or in the workers that it has."""
        self._streams.over = over
        if self._crew is not None:
            self._crew.tell_over = over

    async def describe(self, source: Source, *, with_digest: bool = True) -> Description:
        """Size, digest and media type of `source`, found out by reading it.

        A folder's digest is that of its manifest, which holds those of its files; its size is that of all files.

        Raises: SourceError when it cannot be read; do not publish it then.
        """
        if source.is_file:
            async with self._places.opened(source) as file:
                digest = await file.sha256() if with_digest else None
                media_type = source.media_type or media_type_of(source.path or source.name)
                return Description(byte_size=file.byte_size, digest=digest, media_type=media_type)
        if source.is_folder:
            look = self._manifests.describe if with_digest else self._manifests.current
            manifest = await look(self._places.tree(source))
            digest = manifest.digest() if with_digest else None
            return Description(byte_size=manifest.byte_size, digest=digest, media_type=MANIFEST_TYPE)
        if source.type == "http":
            return await upstream.describe(self._logins, source, with_digest=with_digest)
        if source.events is not None:
            from connector.dataplane import events

            await events.check(source, self._logins)
            return Description(byte_size=None, digest=None, media_type=source.media_type or events.MEDIA_TYPE)
        raise SourceError(f"a source of type `{source.type}` has no data to describe", mend="leave digest and size out")

    async def fetch(self, transfer: Transfer) -> tuple[int, str]:
        """Bytes and SHA-256 of the data of a pull, which lies in the inbox now; raises as `Fetcher.fetch`."""
        if self._crew is not None and (found := await self._crew.fetch(transfer)) is not None:
            return found
        arrived = await Fetcher(collector=self._collector, disk=self._disk, inbox=self._inbox).fetch(transfer)
        return arrived.byte_size, arrived.digest

    def received_file(self, participant: str, pid: str) -> str | None:
        """Path of what a push has delivered here completely; None before."""
        arrived = self._inbox.arrived(participant, pid)
        if arrived is not None:
            return str(arrived.path)
        folder = self._shelf.arrived(participant, pid)
        return str(folder[0]) if folder is not None else None

    async def received(self) -> tuple[tuple[str, str], ...]:
        """Participant and pid of each transfer of which something lies in the inbox."""
        return await self._disk.run(self._inbox.places)

    async def forget(self, participant: str, pid: str, *, is_whole_kept: bool) -> bool:
        """Remove what a push brought; True when something was removed."""
        return await self._disk.run(partial(self._inbox.forget, participant, pid, is_whole_kept=is_whole_kept))

    # --- called by the routes

    def pull(self, participant: str, pid: str, request: DataRequest) -> AbstractAsyncContextManager[Served]:
        """A consumer's request, served for as long as the context is open; raises as `Pulls.pull`."""
        return self._pulls.pull(participant, pid, request)

    async def renew(self, participant: str, pid: str, token: str | None) -> Mapping[str, str]:
        """A new token for the pull that `token` opens, and how long it is good; raises as `Authorizer.renew`."""
        endpoint = self.endpoint(participant, pid, PULL)
        assert endpoint is not None
        await self._authorizer.renew(participant, pid, token, endpoint.access)
        return {name: endpoint.address.property(name) or "" for name in ("authorization", "authType", "expiresIn")}

    async def push(self, participant: str, pid: str, upload: Upload) -> Receipt:
        """A provider's delivery, received; raises as `Receiver.push`."""
        return await self._receiver.push(participant, pid, upload)

    def collect(self, transfer: Transfer, request: DataRequest, use: Use | None = None) -> AbstractAsyncContextManager[Served]:
        """The data of `transfer` for its consumer's own people; raises as `Collector.collect`."""
        return counted(use, self._collector.collect(transfer, request))
