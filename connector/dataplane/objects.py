"""Object stores that our operators name: S3 and what speaks like it, Azure Blob, Google Cloud Storage. The one place that imports
obstore, and only when it is used.

What lives here: `Objects`, which finds, lists, reads and presigns objects; an object as a `Readable`, a prefix as a `Tree`.
What does not: stores that a peer names (`s3.py`: those are reached through `outbound/` alone).

Each reading names the ETag that was found first, so that what is sent is one state of the object or breaks off.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from connector.dataplane.manifests import MOST_FILES, Entry, Readable, is_plain
from connector.dataplane.representation import Validators
from connector.errors import ConfigurationError, KontorError, NotFound, Overloaded, SourceError
from connector.ports.dataplane import ObjectPlace, StoreKind

if TYPE_CHECKING:
    from obstore.store import AzureConfig, AzureStore, ClientConfig, GCSConfig, GCSStore, RetryConfig, S3Config, S3Store

    AnyStore = S3Store | AzureStore | GCSStore

_PIECE_BYTES: Final = 512 << 10
"""Each piece crosses from the library's threads to the loop, which costs as much as moving 100 KiB."""
_CONNECT_S: Final = 5
_SILENCE_S: Final = 30
_LONGEST: Final = timedelta(days=7)
"""How long an address may be signed for; no store takes more."""
_SECOND: Final = timedelta(seconds=1)
_KNOWN: Final = 64
_GOOGLE: Final = "https://storage.googleapis.com"
_MISSING = "there is no such file in this data"


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectFile:
    """One object, in the state in which it was found."""

    place: ObjectPlace
    byte_size: int
    modified: datetime
    e_tag: str | None
    _objects: Objects = field(repr=False)

    @property
    def version(self) -> str:
        return _version(self.e_tag, self.modified)

    @property
    def validators(self) -> Validators:
        tag = self.e_tag or ""
        if not (tag.startswith('"') and tag.endswith('"') and len(tag) > 1):
            tag = f'"{self.byte_size:x}-{int(self.modified.timestamp() * 1000):x}"'
        return Validators(etag=tag, modified=self.modified.astimezone(UTC).replace(microsecond=0))

    def chunks(self, first: int, length: int, name: str) -> AsyncIterator[bytes]:
        """`length` bytes from `first`.

        Raises: SourceError when the object has changed or the store breaks off.
        """
        return self._objects.chunks(self, first, length)

    def direct(self, first: int, length: int, name: str) -> None:
        """Never: the bytes come through the library."""

    @property
    def is_near(self) -> bool:
        return False

    async def sha256(self, progress: Callable[[], None] | None = None, *, first: int = 0) -> str:
        """The SHA-256 of the whole, or from `first` on, hexadecimal: read once to its end."""
        hasher = hashlib.sha256()
        async for chunk in self.chunks(first, self.byte_size - first, ""):
            hasher.update(chunk)
            if progress is not None:
                progress()
        return hasher.hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectTree:
    """All objects below a prefix, as a folder. Names that no path can have are not listed."""

    place: ObjectPlace
    objects: Objects = field(repr=False)

    @property
    def root(self) -> str:
        place = self.place
        return f"{place.kind} {place.endpoint or ''} {f'{place.account} ' if place.account else ''}{place.bucket} {place.key}"

    async def walk(self) -> dict[str, Entry]:
        """The objects, by path, in order."""
        return dict(sorted([found async for found in self.objects.below(self.place)]))

    @asynccontextmanager
    async def opened(self, path: str) -> AsyncIterator[Readable]:
        """The object at `path` below the prefix.

        Raises: NotFound when there is none.
        """
        if not is_plain(path):
            raise NotFound(_MISSING, mend="see the manifest at the root")
        try:
            found = await self.objects.find(replace(self.place, key=self.place.key + path))
        except FileNotFoundError as fault:
            raise NotFound(_MISSING, mend="see the manifest at the root") from fault
        yield found


class Objects:
    """All object stores of the operators; connections are kept for each."""

    def __init__(self) -> None:
        self._stores: dict[ObjectPlace, AnyStore] = {}

    @asynccontextmanager
    async def opened(self, place: ObjectPlace) -> AsyncIterator[Readable]:
        """The published object.

        Raises: SourceError when it is not there or cannot be read.
        """
        try:
            found = await self.find(place)
        except FileNotFoundError as fault:
            raise SourceError("the object is not there", where=_shown(place), mend="publish the data anew") from fault
        yield found

    async def find(self, place: ObjectPlace) -> ObjectFile:
        """The object as it is now.

        Raises: FileNotFoundError; SourceError, Overloaded.
        """
        import obstore

        with _translated(place):
            found = await obstore.head_async(self._store(place), place.key)
        return ObjectFile(
            place=place, byte_size=found["size"], modified=found["last_modified"], e_tag=found["e_tag"], _objects=self
        )

    async def below(self, place: ObjectPlace) -> AsyncIterator[tuple[str, Entry]]:
        """The path and entry of each object below a prefix.

        Raises: SourceError, Overloaded.
        """
        import obstore

        count = 0
        with _translated(place):
            async for batch in obstore.list(self._store(place), place.key or None, chunk_size=1000):
                for found in batch:
                    path = found["path"].removeprefix(place.key)
                    if not found["path"].startswith(place.key) or not is_plain(path):
                        continue
                    # what marks an empty folder is an object whose key ends in `/`, which the library takes off in lists
                    if not found["size"] and not await self._is_there(replace(place, key=found["path"])):
                        continue
                    count += 1
                    if count > MOST_FILES:
                        raise SourceError(
                            f"there are more than {MOST_FILES} objects", where=_shown(place), mend="publish parts"
                        )
                    version = _version(found["e_tag"], found["last_modified"])
                    yield path, Entry(byte_size=found["size"], version=version, digest=None)

    async def _is_there(self, place: ObjectPlace) -> bool:
        try:
            await self.find(place)
        except FileNotFoundError:
            return False
        return True

    async def chunks(self, file: ObjectFile, first: int, length: int) -> AsyncIterator[bytes]:
        """As `ObjectFile.chunks`."""
        import obstore

        if not length:
            return
        count = 0
        with _translated(file.place):
            try:
                found = await obstore.get_async(
                    self._store(file.place),
                    file.place.key,
                    options={"range": (first, first + length), "if_match": file.e_tag},
                )
                async for piece in found.stream(min_chunk_size=_PIECE_BYTES):
                    count += len(piece)
                    yield bytes(piece)
            except (FileNotFoundError, obstore.exceptions.PreconditionError) as fault:
                raise SourceError("the object changed while it was read", where=_shown(file.place)) from fault
        if count != length:
            raise SourceError("the store gave another number of bytes than was asked for", where=_shown(file.place))

    def presigned(self, place: ObjectPlace, ttl: timedelta) -> str:
        """An address at which whoever has it reads the object, for `ttl` and not a second longer."""
        import obstore

        with _translated(place):
            return obstore.sign(self._store(place), "GET", place.key, timedelta(seconds=min(ttl, _LONGEST) // _SECOND))

    def _store(self, place: ObjectPlace) -> AnyStore:
        key = replace(place, key="")
        if key not in self._stores:
            if len(self._stores) >= _KNOWN:
                self._stores.pop(next(iter(self._stores)))
            self._stores[key] = _opened(place)
        return self._stores[key]


def _opened(place: ObjectPlace) -> AnyStore:
    """A store with our credentials: they are never taken from this machine or its cloud."""
    from obstore.store import AzureStore, GCSStore, S3Store

    client: ClientConfig = {
        "allow_http": (place.endpoint or "").startswith("http://"),
        "connect_timeout": timedelta(seconds=_CONNECT_S),
        "read_timeout": timedelta(seconds=_SILENCE_S),
        "timeout": timedelta(days=7),
    }
    retry: RetryConfig = {"max_retries": 3, "retry_timeout": timedelta(seconds=_SILENCE_S)}
    match place.kind:
        case StoreKind.AZURE:
            return AzureStore(place.bucket, config=_azure(place), client_options=client, retry_config=retry)
        case StoreKind.GCS:
            return GCSStore(place.bucket, config=_google(place), client_options=client, retry_config=retry)
        case StoreKind.S3:
            return S3Store(place.bucket, config=_s3(place), client_options=client, retry_config=retry)


def _s3(place: ObjectPlace) -> S3Config:
    config: S3Config = {
        "endpoint": place.endpoint or f"https://s3.{place.region}.amazonaws.com",
        "region": place.region,
        "virtual_hosted_style_request": False,
        # without keys nothing is signed
        "skip_signature": place.access_key is None,
    }
    if place.access_key is not None:
        config["access_key_id"] = place.access_key
        config["secret_access_key"] = place.secret_key or ""
        config["session_token"] = place.session_token or ""
    return config


def _azure(place: ObjectPlace) -> AzureConfig:
    account = place.account or ""
    config: AzureConfig = {
        "account_name": account,
        "endpoint": place.endpoint or f"https://{account}.blob.core.windows.net",
        "skip_signature": place.secret_key is None,
    }
    if place.secret_key is not None and "sig=" in place.secret_key:
        config["credential_type"] = "sas_token"
        config["sas_key"] = place.secret_key
    elif place.secret_key is not None:
        config["credential_type"] = "access_key"
        config["account_key"] = place.secret_key
    return config


def _google(place: ObjectPlace) -> GCSConfig:
    config: GCSConfig = {"base_url": place.endpoint or _GOOGLE, "skip_signature": place.secret_key is None}
    if place.secret_key is not None:
        config["service_account_key"] = place.secret_key
    return config


def _version(e_tag: str | None, modified: datetime) -> str:
    """What tells one state of an object from another; Azure's listings write ETags without their quotes."""
    if not e_tag:
        return modified.isoformat()
    return e_tag if e_tag.endswith('"') else f'"{e_tag}"'


def _shown(place: ObjectPlace) -> str:
    return f"{place.kind}://{place.bucket}/{place.key}"


@contextmanager
def _translated(place: ObjectPlace) -> Iterator[None]:
    """What the library raises, as one of our errors; a missing object stays a FileNotFoundError."""
    try:
        from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError
    except ImportError as fault:
        raise ConfigurationError(
            "object stores need a library that is not installed",
            where=_shown(place),
            mend="install `kontor-connector[objects]`",
        ) from fault
    try:
        yield
    except FileNotFoundError:
        raise
    except (PermissionDeniedError, UnauthenticatedError) as fault:
        raise SourceError(
            "the object store refuses us", where=_shown(place), mend="check the credentials of this asset's source"
        ) from fault
    except (BaseError, OSError, ValueError) as fault:
        raise _failure(place, str(fault)) from fault


def _failure(place: ObjectPlace, text: str) -> KontorError:
    line = " ".join(text.partition("Debug source")[0].split())[:300]
    if "503 Service Unavailable" in line or "429 Too Many" in line:
        return Overloaded("the source of this data is busy", mend="come again later")
    return SourceError(f"the object store failed: {line}", where=_shown(place))
