"""NATS JetStream: connections, the place where a reader of a stream stopped, reading, and publishing. The one place that imports
`nats`, and only when it is used.

What lives here: `Link`, one connection; `Reader`, which reads a stream for one transfer and remembers at the server how far it came.
What does not: what becomes of the messages (`events.py`), and whether they may pass (the port Authorizer).

A reader's place is a durable consumer of the server's. Whoever reads on makes a new one that begins behind the last message that
was acknowledged, and only then drops the old one: so nothing is delivered out of order, and a crash between the two loses nothing.
A connection goes to one server: others that it tells of are never followed, for nobody has judged them.
Source: NATS JetStream API ("Consumers", "Pull Consumers"); ADR-13 (pull subscribe), ADR-4 (message headers).
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from connector.dataplane.nkeys import Login, login_of
from connector.errors import ConfigurationError, KontorError, PeerMessage, SourceError, Unreachable
from connector.ports.dataplane import EventPlace

if TYPE_CHECKING:
    import ssl

    from nats.aio.client import Client
    from nats.aio.msg import Msg
    from nats.js.client import JetStreamContext

BATCH: Final = 64
"""Messages that are under way at once: what memory holds of a stream."""
_BATCH_BYTES: Final = 8 << 20
_CONNECT_S: Final = 5
_CLOSED_S: Final = 0.2
_ANSWER_S: Final = 5.0
_KEPT_S: Final = 30 * 24 * 3600.0
"""How long the server keeps the place of a reader that does not come back."""
_ACKNOWLEDGED_WITHIN_S: Final = 24 * 3600.0
"""A slow receiver holds a batch for as long as it needs: nothing is delivered twice meanwhile."""
_NANOSECONDS: Final = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """A server and what opens it."""

    url: str
    """`nats://host:port`, or `tls://host:port`."""
    credentials: str | None = field(default=None, repr=False)
    """Any of `nkeys.SHAPES`."""
    address: str | None = None
    """The IP address to connect to, when it was judged before; the host of `url` is still what the certificate has to name."""
    tls: Callable[[str | None], ssl.SSLContext] = field(repr=False)
    """Whom we believe over TLS, and who we are: by a certificate with its key, PEM, when there is one."""
    is_peers: bool = False
    """Whether a peer named it: its faults are the peer's then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message of a stream."""

    sequence: int
    subject: str
    data: bytes
    headers: Mapping[str, str]
    at: datetime


class Link:
    """One connection."""

    def __init__(self, client: Client, door: Door) -> None:
        self._client = client
        self._door = door
        self.stream: JetStreamContext = client.jetstream(timeout=_ANSWER_S)

    async def check(self, place: EventPlace) -> None:
        """Raises: SourceError when there is no such stream."""
        with translated(self._door):
            await self.stream.stream_info(place.stream)

    async def publish(self, subject: str, data: bytes, headers: dict[str, str]) -> None:
        """A message, kept by a stream of the server when this returns.

        Raises: Unreachable, PeerMessage when the server takes no such message.
        """
        with translated(self._door):
            await self.stream.publish(subject, data, headers=headers)

    @asynccontextmanager
    async def reading(self, place: EventPlace, reader: str, *, after: int | None = None) -> AsyncIterator[Reader]:
        """A reader of `place`: from where `reader` stopped, or behind the message `after`.

        Raises: SourceError.
        """
        with translated(self._door):
            name = await self._placed(place, reader, after)
            inbox = self._client.new_inbox()
            sub = await self._client.subscribe(inbox)
        try:
            yield Reader(self._client, sub, self._door, f"$JS.API.CONSUMER.MSG.NEXT.{place.stream}.{name}", inbox)
        finally:
            if self._client.is_connected:
                with translated(self._door):
                    await sub.unsubscribe()

    async def _placed(self, place: EventPlace, reader: str, after: int | None) -> str:
        """The name of a consumer that begins where `reader` has to."""
        from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
        from nats.js.errors import NotFoundError

        names = [f"kontor-{hashlib.sha256(reader.encode()).hexdigest()[:32]}-{letter}" for letter in "ab"]
        floors: dict[str, int] = {}
        for name in names:
            try:
                found = await self.stream.consumer_info(place.stream, name)
            except NotFoundError:
                continue
            floors[name] = found.ack_floor.stream_seq if found.ack_floor is not None else 0
        config = ConsumerConfig(
            ack_policy=AckPolicy.ALL,
            filter_subject=place.subject,
            max_ack_pending=2 * BATCH,
            ack_wait=_ACKNOWLEDGED_WITHIN_S,
            inactive_threshold=_KEPT_S,
        )
        old = max(floors, key=floors.__getitem__, default=None)
        if after is not None or old is not None:
            config.deliver_policy = DeliverPolicy.BY_START_SEQUENCE
            config.opt_start_seq = (after if after is not None else floors[old or ""]) + 1
        else:
            config.deliver_policy = DeliverPolicy.NEW if place.is_new_only else DeliverPolicy.ALL
        config.durable_name = next(name for name in names if name != old)
        # INVARIANT: one of the two stands at all times once there was one, and none before it delivers behind it
        if config.durable_name in floors:
            await self.stream.delete_consumer(place.stream, config.durable_name)
        await self.stream.add_consumer(place.stream, config)
        if old is not None:
            await self.stream.delete_consumer(place.stream, old)
        return config.durable_name


class Reader:
    """Reads a stream, a batch at a time; what was read is acknowledged when somebody has it."""

    def __init__(self, client: Client, sub: Any, door: Door, next_: str, inbox: str) -> None:
        self._client = client
        self._sub = sub
        self._door = door
        self._next = next_
        self._inbox = inbox
        self._wanted = 0
        self._last: dict[int, Msg] = {}

    async def batch(self, wait_s: float) -> tuple[Message, ...]:
        """The messages that are there, at most `BATCH`; none when `wait_s` went by without any.

        Raises: SourceError when the server is gone.
        """
        with translated(self._door):
            if not self._wanted:
                wanted = {"batch": BATCH, "max_bytes": _BATCH_BYTES, "expires": int(wait_s * _NANOSECONDS)}
                await self._client.publish(self._next, json.dumps(wanted).encode(), self._inbox)
                self._wanted = BATCH
            found: list[Message] = []
            try:
                while len(found) < BATCH and (not found or self._sub.pending_msgs):
                    message = await self._sub.next_msg(timeout=wait_s + _ANSWER_S)
                    if message.headers and "Status" in message.headers and not message.data:
                        self._wanted = 0
                        self._check(message.headers["Status"], message.headers.get("Description", ""), is_empty=not found)
                        break
                    self._wanted -= 1
                    found.append(self._read(message))
            except TimeoutError as fault:
                raise SourceError("the event server went silent", where=_shown(self._door)) from fault
            return tuple(found)

    def _check(self, status: str, words: str, *, is_empty: bool) -> None:
        """Nothing when a request is over because nothing came, or not as much as was asked for."""
        if status == "409" and "MaxBytes" in words:
            if is_empty:
                raise SourceError(f"a message is larger than {_BATCH_BYTES} bytes", where=_shown(self._door))
        elif status not in ("404", "408"):
            raise SourceError(
                f"the event server ends the reading: {status} {words}",
                where=_shown(self._door),
                mend="another reader may have come",
            )

    def _read(self, message: Msg) -> Message:
        about = message.metadata
        sequence = about.sequence.stream
        self._last[sequence] = message
        return Message(
            sequence=sequence,
            subject=message.subject,
            data=message.data,
            headers=dict(message.headers or {}),
            at=about.timestamp.astimezone(UTC),
        )

    async def done(self, sequence: int) -> None:
        """Message `sequence`, and all before it, are with the receiver: nobody reads them again.

        Raises: SourceError; they may be read again then.
        """
        with translated(self._door):
            await self._last[sequence].ack_sync(timeout=_ANSWER_S)
        for older in [one for one in self._last if one <= sequence]:
            del self._last[older]


@asynccontextmanager
async def connected(door: Door) -> AsyncIterator[Link]:
    """A connection to a server, closed at the end.

    Raises: ConfigurationError without the library, or for a secret that is none; SourceError when our operator's server refuses us or
    is not reached; PeerMessage when a peer's refuses us, Unreachable when it is not reached.
    """
    with translated(door):
        from nats.aio.client import Client

        parts = urlsplit(door.url)
        login, client = _login(door), Client()
        host = door.address or parts.hostname or ""
        try:
            async with asyncio.timeout(2 * _CONNECT_S):
                await client.connect(
                    f"{parts.scheme}://{f'[{host}]' if ':' in host else host}:{parts.port or 4222}",
                    name="kontor",
                    allow_reconnect=False,
                    connect_timeout=_CONNECT_S,
                    # none at all would be as many as there can be
                    max_reconnect_attempts=1,
                    reconnect_time_wait=0,
                    error_cb=_unheard,
                    # a server may want TLS behind `nats://`, too
                    tls=await asyncio.to_thread(door.tls, login.certificate),
                    tls_hostname=parts.hostname,
                    **_proof(client, door, login),
                )
            _check_secrecy(client, door)
        except BaseException:
            # after a handshake that failed the library waits for the end of a stream that has none
            with suppress(TimeoutError):
                async with asyncio.timeout(_CLOSED_S):
                    await client.close()
            raise
    try:
        yield Link(client, door)
    finally:
        await client.close()


def _login(door: Door) -> Login:
    try:
        return login_of(door.credentials, _shown(door))
    except ConfigurationError as fault:
        if door.is_peers:
            raise PeerMessage(fault.what, where=fault.where) from fault
        raise


def _proof(client: Client, door: Door, login: Login) -> dict[str, Any]:
    """What the library sends of `login`, asked for when TLS stands: a server that offers none gets nothing.

    A bare NKey has no way in but the field that the library itself sets.
    """

    def guarded(value: str) -> Callable[[], str]:
        def tell() -> str:
            _check_secrecy(client, door)
            return value

        return tell

    def sign(nonce: str) -> bytes:
        _check_secrecy(client, door)
        assert login.nkey is not None
        return login.nkey.sign(nonce)

    if login.nkey is not None:
        jwt = login.jwt
        if jwt is not None:
            return {"signature_cb": sign, "user_jwt_cb": jwt.encode}
        client._public_nkey = login.nkey.public
        return {"signature_cb": sign}
    if login.user is not None:
        return {"user": guarded(login.user), "password": guarded(login.password or "")}
    return {"token": guarded(login.token)} if login.token is not None else {}


def _check_secrecy(client: Client, door: Door) -> None:
    """Raises: SourceError, or PeerMessage for a peer's, when the server leaves out the TLS that its address promises."""
    if door.url.startswith("tls:") and not client._server_info.get("tls_required"):
        what = "the event server speaks no TLS"
        if door.is_peers:
            raise PeerMessage(what, where=_shown(door))
        raise SourceError(what, where=_shown(door), mend="have it do so, or name it as `nats://`")


async def _unheard(fault: Exception) -> None:
    """What the library tells beside; whoever waits for the connection gets it, too."""


@contextmanager
def translated(door: Door) -> Iterator[None]:
    """What the library raises, as one of our errors."""
    try:
        from nats.errors import AuthorizationError, Error
        from nats.js.errors import APIError, NoStreamResponseError
    except ImportError as fault:
        raise ConfigurationError(
            "streams of events need a library that is not installed",
            where=_shown(door),
            mend="install `kontor-connector[nats]`",
        ) from fault
    try:
        yield
        # INVARIANT: who is cut stops. The library waits by `asyncio.wait_for`, which in Python 3.11 loses a cancellation that comes
        # together with a result
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise asyncio.CancelledError
    except KontorError:
        raise
    except (AuthorizationError, NoStreamResponseError, APIError) as fault:
        raise _refusal(door, fault) from fault
    except (Error, OSError, TimeoutError) as fault:
        words = " ".join(str(fault).split())[:200] or type(fault).__name__
        if "uthorization" in words:
            raise _refusal(door, fault) from fault
        if door.is_peers:
            raise Unreachable(f"the event server failed: {words}", where=_shown(door)) from fault
        is_strange = "CERTIFICATE_VERIFY_FAILED" in words
        mend = "see `outbound.ca_file`" if is_strange else "check address and secret of this asset's source"
        raise SourceError(f"the event server failed: {words}", where=_shown(door), mend=mend) from fault


def _refusal(door: Door, fault: Exception) -> KontorError:
    words = " ".join(str(fault).split())[:200] or type(fault).__name__
    if door.is_peers:
        return PeerMessage(f"the event server takes nothing from us: {words}", where=_shown(door))
    return SourceError(
        f"the event server refuses us: {words}",
        where=_shown(door),
        mend="check stream, subject and secret of this asset's source",
    )


def _shown(door: Door) -> str:
    parts = urlsplit(door.url)
    return f"{parts.scheme}://{parts.hostname}:{parts.port or 4222}"
