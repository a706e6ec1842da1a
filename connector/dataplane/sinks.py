"""Object stores as places to put data: what each of them can do, whatever it speaks.

What lives here: `Sink`, the few requests of an upload in pieces; `Piece`, `About`, `Upload`, what they are made of.
What does not: the stores themselves (`s3.py` for S3 and Google Cloud Storage, `azure.py`), what is sent and when (`deposit.py`).
All of them are stores that a peer names: they stand on the operator's allow list and are reached through `outbound/` alone.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime
from fnmatch import fnmatchcase
from functools import partial
from typing import Final, Protocol
from urllib.parse import urlsplit

from connector.dsp.messages import DataAddress
from connector.errors import AddressRefused
from connector.outbound.rules import shown

_PORTS: Final = {"http": 80, "https": 443}
_SLICE_BYTES: Final = 256 << 10


@dataclass(slots=True)
class Piece:
    """The bytes of one part of an object; SHA-256 as they come, MD5 only where a store asks for it."""

    data: bytearray = field(default_factory=bytearray)
    sha256: hashlib._Hash = field(default_factory=hashlib.sha256)
    _md5: hashlib._Hash | None = None

    @classmethod
    def of(cls, data: bytes) -> Piece:
        """A piece that holds `data`."""
        piece = cls()
        piece.add(data)
        piece._md5 = hashlib.md5(data, usedforsecurity=False)
        return piece

    def add(self, more: bytes | memoryview) -> None:
        self.data += more
        self.sha256.update(more)

    async def md5(self) -> hashlib._Hash:
        """The MD5 of the whole piece; made once, in a thread: it takes three times as long as SHA-256."""
        if self._md5 is None:
            self._md5 = await asyncio.to_thread(partial(hashlib.md5, self.data, usedforsecurity=False))
        return self._md5

    async def slices(self) -> AsyncIterator[memoryview]:
        """The bytes in small chunks, for the way out; not copied once more, so nothing is added any more."""
        view = memoryview(self.data)
        for at in range(0, len(view), _SLICE_BYTES):
            yield view[at : at + _SLICE_BYTES]


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What a store is told about an object."""

    media_type: str
    digest: str | None
    """SHA-256 of the whole, hexadecimal; kept beside the object."""


@dataclass(slots=True, kw_only=True)
class Upload:
    """An upload in pieces, under way."""

    key: str
    about: About
    id: str = ""
    """How the store calls it, where it does."""
    there: dict[int, str] = field(default_factory=dict)
    """The tag of each piece, by number from 1, that an earlier attempt has left."""
    tags: list[str] = field(default_factory=list)
    """The tag of each piece that was sent or found, in order."""
    sums: list[str] = field(default_factory=list)
    """What the store wants to read of each of them at the end, beside its tag."""

    @property
    def mark(self) -> str:
        """What has to be kept for others to go on with it; empty where the store tells by the key alone."""
        return f"{self.id} {self.about.digest or ''} {self.key}" if self.id else ""


def id_in(mark: str, key: str, about: About) -> str:
    """How the store calls the upload of `key` that `mark` is of; empty when it is of another one, or of other data."""
    id_, _, rest = mark.partition(" ")
    return id_ if rest == f"{about.digest or ''} {key}" else ""


class Sink(Protocol):
    """A place in a store, with what opens it.

    Every call raises PeerAnswer when the store refuses or fails, Unreachable, AddressRefused.
    """

    @property
    def key(self) -> str:
        """Of the object, or of what a folder goes below."""
        ...

    async def size_and_digest(self, now: datetime, key: str) -> tuple[int | None, str | None]:
        """Size of the object `key` and the SHA-256 that it was put with; None where there is none."""
        ...

    async def put(self, now: datetime, key: str, piece: Piece, about: About) -> None:
        """`piece` as the whole object; the store checks its digest."""
        ...

    async def begin(self, now: datetime, key: str, about: About, mark: str = "") -> Upload:
        """An upload of the object `key`: the one that was begun before, which `mark` may be of, or a new one."""
        ...

    async def add(self, now: datetime, upload: Upload, piece: Piece) -> None:
        """The next piece of `upload`, sent unless it is there; the store checks its digest."""
        ...

    async def finish(self, now: datetime, upload: Upload) -> None:
        """All pieces of `upload` become the object."""
        ...


def origin_of(url: str) -> str:
    """Scheme, host and port of `url`, the port only where it is not the usual one.

    Raises: AddressRefused when it has none that can be read.
    """
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port and parts.port != _PORTS.get(parts.scheme) else ""
    except ValueError as fault:
        raise AddressRefused(
            f"this is no address: {fault}", where=shown(url), mend="write it as `https://host:port`"
        ) from fault
    host = parts.hostname or ""
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}{port}".lower()


def check_allowed(url: str, allowed: tuple[str, ...], setting: str = "data.allowed_object_endpoints") -> None:
    """Raises: AddressRefused when the operator has not allowed the server at `url` by `setting`."""
    origin = origin_of(url)
    patterns = [pattern.lower().rstrip("/") for pattern in allowed]
    # an address of IPv6 stands in brackets, which mean something else in a pattern
    if origin not in patterns and not any(fnmatchcase(origin, pattern) for pattern in patterns):
        raise AddressRefused("this server is not on the allow list", where=shown(url), mend=f"see `{setting}`")


def found_in(address: DataAddress | None, *names: str) -> str | None:
    """The first of the properties `names` that a data address has."""
    return next((value for name in names if address is not None and (value := address.property(name))), None)
