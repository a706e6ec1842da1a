"""Streams of events: what a consumer reads of one over HTTP, and what is published where a consumer says.

What lives here: a stream as server-sent events, one CloudEvent each; a push from JetStream to JetStream. Both read on where they
stopped, hold one batch in memory, take no more than the receiver takes, and ask before each message is handed over.
What does not: connections and the reader's place (`jetstream.py`); what a message counts as (the port Authorizer).
A message is acknowledged when the receiver has it. A pull's receiver has it when its connection has taken it: what was lost with the
connection it asks for by `Last-Event-ID`. A push's has it when its server has kept it; a repeat carries the same `Nats-Msg-Id`.
Source: WHATWG HTML, 9.2 (server-sent events); CloudEvents 1.0, JSON format; NATS JetStream ("Message Deduplication").
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import orjson

from connector.dataplane.addresses import token_of
from connector.dataplane.jetstream import Door, Link, Message, Reader, connected
from connector.dataplane.logins import Logins
from connector.dataplane.representation import digest_field
from connector.dataplane.sending import Moved, Way
from connector.dataplane.sinks import check_allowed, found_in
from connector.dataplane.streams import Stream
from connector.dsp.messages import DataAddress
from connector.dsp.transfer import Transfer
from connector.errors import AddressRefused, BadMessage, PeerMessage, TooLarge, Unreachable
from connector.outbound.client import OutboundClient
from connector.outbound.rules import as_http
from connector.ports.dataplane import Authorizer, DataRequest, Event, EventPlace, Served, Source
from connector.strict import Limits, scan

MEDIA_TYPE: Final = "text/event-stream"
_IDLE_S: Final = 10.0
"""How often a quiet stream gives a sign of life."""
_PORT: Final = 4222
_PAYLOAD: Final = Limits(max_bytes=8 << 20)
_HEADERS: Final = {"content-type": MEDIA_TYPE, "cache-control": "no-store", "x-content-type-options": "nosniff"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where a consumer wants messages published."""

    door: Door
    subject: str

    def subject_of(self, message: Message) -> str:
        """The subject that a message gets: the target's, which may leave its end to the message's own."""
        return self.subject[:-1] + message.subject if self.subject.endswith(".>") else self.subject


@dataclass(frozen=True, slots=True, kw_only=True)
class Events:
    """What reading a stream for a transfer needs."""

    authorizer: Authorizer
    logins: Logins
    silence_s: float

    async def serve(
        self, stack: AsyncExitStack, transfer: Transfer, source: Source, request: DataRequest, stream: Stream
    ) -> Served:
        """The answer to a consumer that reads: a stream that ends when it is cut. `stack` keeps the connection open.

        Raises: BadMessage, SourceError.
        """
        if request.method == "HEAD":
            return Served(status=200, headers=_HEADERS, chunks=None, cut=stream.cut)
        after = _last_seen(request)
        reader = await stack.enter_async_context(self.reading(transfer, source, after))
        return Served(status=200, headers=_HEADERS, chunks=stream.paced(self._told(transfer, reader, stream)), cut=stream.cut)

    async def _told(self, transfer: Transfer, reader: Reader, stream: Stream) -> AsyncIterator[bytes]:
        yield b": the stream begins\n\n"
        async for batch in self.passing(transfer, reader, stream):
            if not batch:
                yield b":\n\n"
                continue
            for message in batch:
                yield _written(transfer, message)
            # who takes the next piece has taken those before it
            await reader.done(batch[-1].sequence)

    async def passing(self, transfer: Transfer, reader: Reader, stream: Stream) -> AsyncIterator[Sequence[Message]]:
        """Messages that may be handed over now, a batch at a time; an empty one when nothing came for a while.

        Raises: Forbidden when the terms let no more of them pass; SourceError.
        """
        while True:
            stream.moved(_IDLE_S + self.silence_s)
            rest = await reader.batch(_IDLE_S)
            if not rest:
                yield ()
            while rest:
                events = [Event(id=str(message.sequence), byte_size=len(message.data)) for message in rest]
                count = await self.authorizer.may_pass(transfer, events)
                yield rest[:count]
                rest = rest[count:]

    @asynccontextmanager
    async def reading(self, transfer: Transfer, source: Source, after: int | None = None) -> AsyncIterator[Reader]:
        """A reader of the stream for `transfer`, from where it stopped or behind the message `after`.

        Raises: SourceError.
        """
        place = place_of(source)
        async with (
            connected(_door(place, self.logins)) as link,
            link.reading(place, f"{transfer.participant}\n{transfer.pid}", after=after) as reader,
        ):
            yield reader


@dataclass(frozen=True, slots=True, kw_only=True)
class Publisher:
    """What publishing a stream where a consumer says needs."""

    events: Events
    peers: OutboundClient
    allowed: tuple[str, ...]
    """Event servers that peers may name, as `tls://host:port` or patterns of it."""

    async def attempt(self, transfer: Transfer, source: Source, way: Way, stream: Stream) -> Moved:
        """One attempt: it ends by a fault, or from outside.

        Raises: KontorError; PeerMessage, AddressRefused and Forbidden when no attempt can succeed.
        """
        target = await self._target(transfer.destination)
        use = await self.events.authorizer.may_stream(transfer)
        moved = 0
        try:
            if use is not None:
                await use.begin()
            async with connected(target.door) as theirs, self.events.reading(transfer, source) as reader:
                async for batch in self.events.passing(transfer, reader, stream):
                    for message in batch:
                        await self._publish(theirs, target, transfer, message)
                        way.offset += len(message.data)
                        moved += len(message.data)
                        await stream.went(len(message.data))
                    if batch:
                        await reader.done(batch[-1].sequence)
        finally:
            if use is not None:
                use.end(moved)
        return Moved(byte_size=moved, digest=None)

    async def _publish(self, link: Link, target: Target, transfer: Transfer, message: Message) -> None:
        headers = {name: value for name, value in message.headers.items() if not name.lower().startswith("nats-")}
        headers["Nats-Msg-Id"] = f"{transfer.pid}:{message.sequence}"
        headers["Content-Digest"] = digest_field(hashlib.sha256(message.data).hexdigest())
        await link.publish(target.subject_of(message), message.data, headers)

    async def _target(self, address: DataAddress | None) -> Target:
        """Where the consumer wants messages, judged.

        Raises: PeerMessage when it is nowhere; AddressRefused.
        """
        url = address.endpoint_url() if address is not None else None
        subject = found_in(address, "subject", "topic")
        parts = urlsplit(url or "")
        if url is None or parts.scheme not in ("nats", "tls") or not subject or not parts.hostname:
            raise PeerMessage(
                "the data address of the push names no event server",
                where="dataAddress",
                mend="name `endpoint` (`tls://host:port`) and `subject`",
            )
        if not _is_subject(subject) or parts.path.strip("/") or parts.query or "@" in parts.netloc:
            raise PeerMessage("this is no address of an event server with a subject", where="dataAddress")
        check_allowed(url, self.allowed, "data.allowed_event_endpoints")
        port = parts.port or _PORT
        self.peers.vet(as_http(url))
        try:
            found = await self.peers.addresses(parts.hostname, port)
        except AddressRefused:
            raise
        except OSError as fault:
            raise Unreachable("the event server has no address", where=f"{parts.hostname}:{port}") from fault
        user, password = found_in(address, "user", "username"), found_in(address, "password")
        token = token_of(found_in(address, "authorization", "token"))
        credentials = f"{user}:{password}" if user and password else token
        door = Door(url=url, credentials=credentials, address=found[0], tls=self.peers.tls_context_for, is_peers=True)
        return Target(door=door, subject=subject)


async def check(source: Source, logins: Logins) -> None:
    """Raises: SourceError when there is no such stream, or it cannot be read."""
    place = place_of(source)
    async with connected(_door(place, logins)) as link:
        await link.check(place)


def _door(place: EventPlace, logins: Logins) -> Door:
    return Door(url=place.url, credentials=place.credentials, tls=logins.tls_context_for)


def place_of(source: Source) -> EventPlace:
    """The stream that `source` is."""
    assert source.events is not None
    return source.events


def _last_seen(request: DataRequest) -> int | None:
    text = request.headers.get("last-event-id")
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise BadMessage("this is no id of an event", where="Last-Event-ID", mend="send the `id` of the last event that came")
    return int(text)


def _is_subject(text: str) -> bool:
    """Whether one may publish to it; at its end `.>` stands for the subject that a message has."""
    steps = text.removesuffix(".>").split(".")
    return text.isascii() and all(step and step.isprintable() and not set(step) & set(" *>$") for step in steps)


def _written(transfer: Transfer, message: Message) -> bytes:
    """A message as an event: its data as JSON where it is, else in base64."""
    tree: dict[str, object] = {
        "specversion": "1.0",
        "id": str(message.sequence),
        "source": transfer.dataset,
        "type": "nats.message",
        "subject": message.subject,
        "time": message.at,
    }
    try:
        tree["data"] = scan(message.data, _PAYLOAD)
    except (BadMessage, TooLarge):
        tree["data_base64"] = b64encode(message.data).decode()
    return b"id: %d\ndata: %s\n\n" % (message.sequence, orjson.dumps(tree, option=orjson.OPT_UTC_Z))
