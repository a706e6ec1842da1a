"""What a push carries: a source, opened for reading from an offset on.

What does not live here: sending (`push.py`), serving pulls (`pull.py`).
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

from connector.dataplane import upstream
from connector.dataplane.logins import Logins
from connector.dataplane.manifests import Readable
from connector.dataplane.representation import content_range
from connector.dataplane.sources import Places, media_type_of
from connector.errors import SourceError
from connector.outbound.client import StreamedAnswer
from connector.outbound.rules import shown
from connector.ports.dataplane import DataRequest, Source

_MOST_KNOWN: Final = 1000
_READ_TWICE_BYTES: Final = 1 << 30
"""A rest up to this size is read before it is sent, so that its receiver can tell what is wrong with it from what came before."""


class Cargo:
    """Bytes on their way, from `offset` to the end."""

    def __init__(
        self,
        chunks: AsyncIterator[bytes],
        *,
        offset: int,
        byte_size: int | None,
        digest: str | None,
        media_type: str,
        state: str | None = None,
        content_digest: str | None = None,
    ) -> None:
        self.offset = offset
        self.byte_size = byte_size
        """Of the whole; None when an upstream does not tell."""
        self.digest = digest
        """SHA-256 of the whole, hexadecimal; None when it is not known beforehand."""
        self.media_type = media_type
        self.state = state
        """What tells this state of the data from every other, where there is no digest that would: an upstream's strong ETag."""
        self.content_digest = digest if offset == 0 and content_digest is None else content_digest
        """SHA-256 of what is sent, hexadecimal; None when it is not known beforehand."""
        self.chunks = self._watched(chunks)
        self._count = offset
        self._hasher = hashlib.sha256() if digest is None and offset == 0 else None

    async def _watched(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        async for chunk in chunks:
            self._count += len(chunk)
            if self._hasher is not None:
                self._hasher.update(chunk)
            yield chunk
        if self.byte_size is not None and self._count != self.byte_size:
            raise SourceError("the source gave another number of bytes than it said")

    def sent(self) -> int:
        """Bytes of the whole that have left."""
        return self._count

    def final_digest(self) -> str | None:
        """The digest of the whole, as far as it is known once everything has left."""
        return self._hasher.hexdigest() if self._hasher is not None else self.digest


async def of_rest(file: Readable, first: int, progress: Callable[[], None]) -> str | None:
    """The SHA-256 of `file` from `first` on, hexadecimal; None for the whole, and where reading twice costs too much."""
    if not 0 < file.byte_size - first <= _READ_TWICE_BYTES or not first or not file.is_near:
        return None
    return await file.sha256(progress, first=first)


class Cargoes:
    """Opens sources for pushes."""

    def __init__(self, places: Places, logins: Logins) -> None:
        self._places = places
        self._logins = logins
        self._digests: dict[tuple[str, str], str] = {}
        self._doubted: set[str | None] = set()
        """Published digests of what was changed since."""

    def doubt(self, source: Source) -> None:
        """The receiver found another digest than was published: what `source` holds was changed, and is looked at anew."""
        if source.digest is not None:
            if len(self._doubted) >= _MOST_KNOWN:
                self._doubted.clear()
            self._doubted.add(source.digest)

    @asynccontextmanager
    async def open(
        self, source: Source, offset: int, progress: Callable[[], None], state: str | None = None
    ) -> AsyncIterator[Cargo]:
        """`source` from `offset` on; from its beginning when it has become shorter than that, cannot be read in part, or might be
        another than the first `offset` bytes were of: `state` is what the receiver was told of those.

        Raises: SourceError, Overloaded.
        """
        if source.is_file:
            async with self._places.opened(source) as file:
                size = file.byte_size
                first = offset if offset < size else 0
                yield Cargo(
                    file.chunks(first, size - first, source.name),
                    offset=first,
                    byte_size=size,
                    digest=await self._digest(source, file, progress),
                    media_type=source.media_type or media_type_of(source.name),
                    content_digest=await of_rest(file, first, progress),
                )
        elif source.type == "http":
            async with AsyncExitStack() as stack:
                answer, first = await self._asked(stack, source, offset, state)
                length = answer.headers.get("content-length", "")
                size_now = first + int(length) if length.isdigit() else None
                etag = answer.headers.get("etag", "")
                check = upstream.check_of(source, answer)
                yield Cargo(
                    upstream.checked(source, answer, check),
                    offset=first,
                    byte_size=size_now,
                    digest=source.digest if self._is_as_published(source, size_now) else None,
                    media_type=source.media_type or answer.headers.get("content-type") or "application/octet-stream",
                    state=etag if etag.startswith('"') else None,
                    content_digest=check.expected.hex() if check is not None and check.algorithm == "sha-256" else None,
                )
        else:
            raise SourceError(f"a source of type `{source.type}` cannot be pushed", mend="offer it for pull")

    async def _asked(self, stack: AsyncExitStack, source: Source, offset: int, state: str | None) -> tuple[StreamedAnswer, int]:
        """The upstream's answer, and from which byte on it is.

        Without a digest that its receiver compares, nothing but `state` shows that the rest belongs to what came before.
        """
        wanted: dict[str, str] = {}
        if offset and state is not None:
            wanted = {"range": f"bytes={offset}-", "if-range": state}
        elif offset and source.digest is not None and self._is_as_published(source, source.byte_size):
            wanted = {"range": f"bytes={offset}-"}
        answer = await stack.enter_async_context(upstream.ask(self._logins, source, DataRequest(headers=wanted)))
        if answer.status == 416 and wanted:
            await stack.aclose()
            answer = await stack.enter_async_context(upstream.ask(self._logins, source, DataRequest()))
        if answer.status not in (200, 203, 206):
            raise SourceError(f"the upstream answers {answer.status}", where=shown(source.url or ""))
        if answer.status == 206 and content_range(answer.headers.get("content-range", "")).span.first != offset:
            raise SourceError("the upstream gives another range than was asked for", where=shown(source.url or ""))
        return answer, offset if answer.status == 206 else 0

    def _is_as_published(self, source: Source, size: int | None) -> bool:
        """Whether the digest that was published is that of what is there now, as far as anybody knows."""
        return source.digest not in self._doubted and (source.byte_size is None or source.byte_size == size)

    async def _digest(self, source: Source, file: Readable, progress: Callable[[], None]) -> str:
        """The digest of a file as it is now: the published one while the size is the same, else computed once."""
        if source.digest and source.byte_size is not None and self._is_as_published(source, file.byte_size):
            return source.digest
        key = (source.path or str(source.objects), file.validators.etag)
        if key not in self._digests:
            if len(self._digests) >= _MOST_KNOWN:
                self._digests.clear()
            self._digests[key] = await file.sha256(progress)
        return self._digests[key]
