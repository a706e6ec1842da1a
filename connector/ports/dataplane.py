"""Between the control plane, which decides, and a data plane, which moves bytes.

`DataPlane` is driven by the control plane; `Authorizer` and `TransferEvents` are what a data plane asks and tells back.
The built-in data plane and the test kit's implement `DataPlane`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final, Protocol

from connector.dsp.messages import DataAddress
from connector.dsp.transfer import Access, Transfer
from connector.dsp.values import Value


class StoreKind(StrEnum):
    """What an object store speaks. The words are those of a source's `type`."""

    S3 = "s3"
    AZURE = "azure"
    GCS = "gcs"


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectPlace:
    """Where objects lie in a store, and what opens it."""

    kind: StoreKind = StoreKind.S3
    bucket: str
    """`azure`: the container."""
    key: str
    """Of one object; empty or with a `/` at its end: everything below it, as a folder."""
    endpoint: str | None = None
    """Base address of the store; None: Amazon's for `region`, Azure's for `account`, Google's."""
    region: str = "us-east-1"
    account: str | None = None
    """`azure`: the storage account."""
    access_key: str | None = None
    """`s3`: None asks the store without any credentials."""
    secret_key: str | None = field(default=None, repr=False)
    """`azure`: the account's key or, with a `sig=` in it, a shared access signature; `gcs`: the key of a service account, JSON.
    None asks the store without any credentials."""
    session_token: str | None = field(default=None, repr=False)

    @property
    def is_prefix(self) -> bool:
        return not self.key or self.key.endswith("/")


@dataclass(frozen=True, slots=True, kw_only=True)
class EventPlace:
    """A stream of events on a NATS server (JetStream), and what opens it."""

    url: str
    """`nats://host:port`, or `tls://host:port`."""
    stream: str
    subject: str | None = None
    """Only messages of it, with NATS's wildcards; None: all of the stream."""
    is_new_only: bool = False
    """Whether a transfer begins with what comes after its start; else with the oldest message that the stream has."""
    credentials: str | None = field(default=None, repr=False)
    """As it is stored: user and password, a token, an NKey's seed, a credentials file, a certificate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One message of a stream, as the control plane knows it."""

    id: str
    """Within the transfer."""
    byte_size: int


ENDLESS: Final = frozenset({"NATS-PUSH"})
"""Formats in which a provider moves data for as long as the transfer is open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientCredentials:
    """Who we are to an upstream whose tokens come from an OAuth2 server (RFC 6749, section 4.4)."""

    token_url: str
    client_id: str
    client_secret: str = field(repr=False)
    scope: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Passing:
    """What of a consumer's request reaches an upstream, beside the wish to read it."""

    methods: tuple[str, ...] = ("GET",)
    """`GET`, which brings `HEAD` along, and `POST`."""
    path: bool = False
    """Whether a path below the source's address passes."""
    query: tuple[str, ...] = ()
    """Names of the parameters that pass; `*`: all but those that the source's own address sets."""
    errors: bool = False
    """Whether the upstream's own words about an error pass; what it says about our credentials never does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where the provider's data lies. Never shown to a peer."""

    type: str
    """`file`, `folder`, `http`, `s3`, `azure`, `gcs`, `nats` or `none` (described and negotiated here, moved by somebody else)."""
    path: str | None = None
    """`file`, `folder`: absolute path."""
    url: str | None = None
    """`http`: the upstream's address."""
    headers: Mapping[str, str] | None = None
    """`http`: headers with credentials, already opened from the secret store."""
    client: ClientCredentials | None = None
    """`http`: what gets us the tokens that the upstream wants."""
    certificate: str | None = field(default=None, repr=False)
    """`http`: our certificate chain and its private key, PEM, for an upstream that asks for one (mTLS)."""
    passing: Passing = Passing()
    """`http`: what of a consumer's request passes."""
    objects: ObjectPlace | None = None
    """`s3`, `azure`, `gcs`: the object, or all below a prefix."""
    events: EventPlace | None = None
    """`nats`: the stream. It has no end: a transfer of it lasts as long as its agreement."""
    is_proxied: bool = False
    """`s3`: consumers are never sent to the store itself; what they read goes through this node."""
    media_type: str | None = None
    name: str = "data"
    """File name suggested to the receiver."""
    digest: str | None = None
    """SHA-256 of the whole, hexadecimal, when it is known. Of a folder: of its manifest, which holds those of its files."""
    byte_size: int | None = None
    """Size for which `digest` was computed, when it is known; data of another size is served without a digest."""

    @property
    def is_folder(self) -> bool:
        """Whether it is many files: a folder, or what is below a prefix."""
        return self.type == "folder" or (self.objects is not None and self.objects.is_prefix)

    @property
    def is_file(self) -> bool:
        """Whether it is one file or object."""
        return self.type == "file" or (self.objects is not None and not self.objects.is_prefix)


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """What is found out about a source when it is published."""

    byte_size: int | None
    """None when an upstream does not tell."""
    digest: str | None
    """SHA-256, hexadecimal; None when it was not asked for."""
    media_type: str


class DataRequest(Value, frozen=True, kw_only=True):
    """What somebody wants to read."""

    method: str = "GET"
    """`GET`, `HEAD`, or `POST` to an upstream that may be asked so."""
    path: str = ""
    """Below the root of a folder or upstream, decoded, without a leading slash; empty: the whole."""
    query: str = ""
    """The query as it was sent, without the `?`."""
    headers: Mapping[str, str] = {}
    """Names in lower case; those that matter: `range`, `if-*`, `accept`, `accept-language`, `authorization`, `content-*`."""
    body: AsyncIterator[bytes] | None = None
    """Of a POST, as it comes."""


class Served(Value, frozen=True, kw_only=True):
    """An answer whose body flows while it is read."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case. A `content-length` is a promise: when fewer bytes come, the connection must be cut."""
    chunks: AsyncIterator[bytes] | None
    """None: there is no body. Ends without an error only when the body is whole.

    Raises: KontorError when the data breaks off; the receiver must notice, so never end the body properly then.
    """
    direct: Callable[[int], AsyncIterator[int]] | None = None
    """The same body for a receiver whose socket may be filled by the kernel: takes the socket's descriptor, gives the size of each
    piece that went, and raises as `chunks`. Only one of the two is used. None: there is no such way."""
    body: bytes | None = None
    """The same body where it is small and here already: in place of `chunks`, so that an answer which fits into one packet costs no
    more than that."""
    cut: Callable[[], None]
    """Ends the flow from outside, at once: to be called when the receiver is gone."""


class Use(Protocol):
    """One use of data that was allowed: told by the data plane how it goes."""

    async def begin(self) -> None:
        """Something is about to be handed out: the use counts.

        Raises: Conflict when it took too long and may not begin any more; hand out nothing then.
        """
        ...

    def end(self, moved_bytes: int) -> None:
        """The flow is over; one that never began is as if it had not been asked for. Never waits; again: nothing happens."""
        ...


class Grant(Value, frozen=True, kw_only=True):
    """A request for data that may be served, now."""

    transfer: Transfer
    source: Source
    use: Use | None = None
    """The use that it is; None for a mere look."""
    free_until: datetime | None = None
    """Until when it would be granted again whatever happens; None: each request has to be asked about, so it comes to this node."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A data address together with what opens it, made before the transaction that announces it."""

    address: DataAddress
    access: Access


class Authorizer(Protocol):
    """Asked by the data plane, for each request."""

    async def may_pull(self, participant: str, pid: str, token: str | None, *, is_look: bool = False) -> Grant:
        """What a consumer that shows `token` may read from our transfer `pid`; a look hands out no data and is no use of it.

        Of a stream of events each message is a use (`may_pass`), and the reading itself only where the terms limit the time of use.

        Raises: Unauthenticated (no or wrong token, unknown transfer), Forbidden (not started, suspended, agreement over,
        policy says no: with the reason), Gone (the token's time is over).
        """
        ...

    async def renew(self, participant: str, pid: str, token: str | None, access: Access) -> None:
        """Let `access` open our transfer `pid`, too, because `token` does.

        INVARIANT: both open it until `access` is first used; from then on it alone does. So an answer that is lost loses nothing.

        Raises: as `may_pull`.
        """
        ...

    async def may_stream(self, transfer: Transfer) -> Use | None:
        """What a push of events is a use as, from its beginning to its end; None when its messages alone are.

        Raises: Forbidden with the reason.
        """
        ...

    async def may_pass(self, transfer: Transfer, events: Sequence[Event]) -> int:
        """How many of `events`, from the first on, may be handed over; each that may counts as a use, once, however often it is
        asked about.

        Raises: Forbidden with the reason when not even the first may; StoreUnavailable.
        """
        ...

    async def may_push(self, participant: str, pid: str, token: str | None) -> Transfer:
        """The transfer of ours, as consumer, into which a provider that shows `token` may write.

        Raises: as `may_pull`.
        """
        ...


class TransferEvents(Protocol):
    """Told by the data plane."""

    async def completed(self, participant: str, pid: str, *, moved_bytes: int, digest: str | None) -> None:
        """All bytes of a push are with the receiver. May be told again, as `received`."""
        ...

    async def received(self, participant: str, pid: str, *, moved_bytes: int, digest: str) -> None:
        """All bytes of a push have arrived here and their digest is right. May be told again: an event is known by its pid."""
        ...

    async def failed(self, participant: str, pid: str, reason: str) -> None:
        """Moving has failed for good: the transfer cannot go on."""
        ...

    async def attempted(self, participant: str, pid: str, *, url: str, cause: str) -> None:
        """An attempt to move data to `url` has failed, and is made again."""
        ...

    async def noted(self, participant: str, pid: str, mark: str) -> None:
        """What a place of others calls an upload that was begun there: whoever goes on with the push finds it as `Transfer.mark`."""
        ...


class DataPlane(Protocol):
    """Moves data when it is told to."""

    def formats(self, source: Source) -> tuple[str, ...]:
        """The transfer formats in which `source` can be served, such as `HttpData-PULL`."""
        ...

    def endpoint(self, participant: str, pid: str, format_: str) -> Endpoint | None:
        """Where the peer of transfer `pid` finds (pull, provider) or delivers (push, consumer) data, with a new token.

        None when this format needs no address from this side. Nothing is opened by it: the transfer's stored `Access` is.
        """
        ...

    async def start(self, transfer: Transfer, source: Source) -> None:
        """Begin, or take up again, what a provider moves by itself (push). Returns at once; the end comes as an event."""
        ...

    async def over(self, participant: str, pid: str) -> None:
        """Returns when nothing of what `start` began for a transfer is under way at this node any more, its telling included."""
        ...

    def running(self) -> tuple[tuple[str, str], ...]:
        """Participant and pid of each transfer for which something runs at this node."""
        ...

    async def stop(self, participant: str, pid: str) -> None:
        """Cut what is running for a transfer: suspended, ended, expired. Unknown transfers are no error."""
        ...

    async def describe(self, source: Source, *, with_digest: bool = True) -> Description:
        """Size, digest and media type of `source`, found out by reading it: what a description promises.

        Raises: SourceError when it cannot be read; do not publish it then.
        """
        ...

    def collect(self, transfer: Transfer, request: DataRequest, use: Use | None = None) -> AbstractAsyncContextManager[Served]:
        """The data of `transfer` for its consumer's own people: fetched from the provider (pull), or as received (push).

        `use` is what it was allowed as.

        Raises, on entering: NotFound (nothing has arrived), Conflict (no address yet, or the flow was stopped),
        PeerError (the provider refuses or breaks off).
        """
        ...

    async def fetch(self, transfer: Transfer) -> tuple[int, str]:
        """Size and digest of the data of a pull that was fetched whole, and is kept here now.

        Raises: PeerError, DigestMismatch, Overloaded; nothing is kept then.
        """
        ...

    def received_file(self, participant: str, pid: str) -> str | None:
        """Path of what a push has delivered here completely; None before."""
        ...
