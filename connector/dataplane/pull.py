"""A consumer's request for the data of a transfer, served: authorised anew each time, whole or in part, cut when it is stopped.

What lives here: `pull` over all kinds of source, and `serve_file`, which the consumer's own side shares.
What does not: who may (the port Authorizer), sending (`web/data.py`).
Source: RFC 9110 (conditions, ranges), RFC 9530 (digests).
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Final

from connector.dataplane import asking, representation, upstream
from connector.dataplane.addresses import S3_PULL, token_of
from connector.dataplane.lanes import Lanes
from connector.dataplane.logins import Logins
from connector.dataplane.manifests import MANIFEST_TYPE, Manifest, Manifests, Readable
from connector.dataplane.sources import Places, media_type_of
from connector.dataplane.streams import Stream, Streams
from connector.dataplane.using import counted
from connector.errors import BadMessage, NotFound
from connector.ports.clock import Clock
from connector.ports.dataplane import Authorizer, DataRequest, Grant, Served, Source

_SHORT: Final = timedelta(seconds=1)
"""An address that is signed for less is of no use to anybody."""
_SMALL_BYTES: Final = 16 << 10
"""A body below this is taken from the upstream before its answer begins."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulls:
    """What serving needs."""

    authorizer: Authorizer
    streams: Streams
    places: Places
    manifests: Manifests
    logins: Logins
    max_request_bytes: int
    """Of a consumer's POST to an upstream."""
    lanes: Lanes
    clock: Clock
    silence_s: float

    @asynccontextmanager
    async def pull(self, participant: str, pid: str, request: DataRequest) -> AsyncIterator[Served]:
        """The answer to `request`, flowing for as long as the context is open.

        Raises, on entering: what the Authorizer raises; NotFound, SourceError, TooMany, Overloaded, MethodNotAllowed. While it flows:
        SourceError when the data breaks off; Conflict when the transfer is stopped or the receiver takes nothing.
        """
        async with self.streams.running(participant, pid, self.silence_s) as stream:
            token = token_of(request.headers.get("authorization"))
            with self.lanes.asking():
                grant = await self.authorizer.may_pull(participant, pid, token, is_look=request.method == "HEAD")
            try:
                with self.lanes.taken(grant.transfer.participant, grant.transfer.peer) as stream.lane:
                    async with counted(grant.use, self._answer(grant, request, stream)) as served:
                        yield served
                        if served.body is not None:
                            await stream.went(len(served.body))
            finally:
                # what was refused before it was opened was no use; to end one again does nothing
                if grant.use is not None:
                    grant.use.end(0)

    def _answer(self, grant: Grant, request: DataRequest, stream: Stream) -> AbstractAsyncContextManager[Served]:
        """What is served, from wherever it comes; raises as `pull`."""
        source = grant.source
        # only an upstream is ever told to let more pass
        asking.check_method(source.passing, request)
        if request.query and source.type != "http":
            raise BadMessage("this data takes no query", where="query", mend="leave it out")
        if source.events is not None and not request.path:
            return self._events(grant, request, stream)
        if source.is_folder:
            return self._below(source, request, stream) if request.path else self._manifest(source, request, stream)
        if source.type == "http":
            return self._upstream(source, request, stream)
        if source.is_file and not request.path:
            is_sent = self._is_sent_there(grant, request)
            return self._presigned(grant, stream) if is_sent else self._file(source, request, stream)
        raise NotFound("there is no such data", mend="ask for the address of the data itself")

    @asynccontextmanager
    async def _file(self, source: Source, request: DataRequest, stream: Stream) -> AsyncIterator[Served]:
        async with self.places.opened(source) as file:
            is_described = source.byte_size is None or source.byte_size == file.byte_size
            digest = source.digest if is_described else None
            yield serve_file(file, source.name, request, stream, media_type=source.media_type, digest=digest)

    @asynccontextmanager
    async def _presigned(self, grant: Grant, stream: Stream) -> AsyncIterator[Served]:
        """The way to the object in its store, good for as long as the token that was shown and what the terms grant now."""
        access, place = grant.transfer.access, grant.source.objects
        assert access is not None
        assert place is not None
        assert grant.free_until is not None
        url = self.places.objects.presigned(place, min(access.expires_at, grant.free_until) - self.clock.now())
        headers = {"location": url, "cache-control": "no-store", "content-length": "0"}
        yield Served(status=307, headers=headers, chunks=None, cut=stream.cut)

    def _is_sent_there(self, grant: Grant, request: DataRequest) -> bool:
        """Whether a consumer reads from the store itself: for a time in which nothing but the clock can change what it may.

        An address is signed for reading, so HEAD is answered here.
        """
        if grant.transfer.format != S3_PULL or grant.source.is_proxied or request.method != "GET":
            return False
        return grant.free_until is not None and grant.free_until - self.clock.now() >= _SHORT

    @asynccontextmanager
    async def _events(self, grant: Grant, request: DataRequest, stream: Stream) -> AsyncIterator[Served]:
        from connector.dataplane.events import Events

        events = Events(authorizer=self.authorizer, silence_s=self.silence_s)
        async with AsyncExitStack() as stack:
            yield await events.serve(stack, grant.transfer, grant.source, request, stream)

    @asynccontextmanager
    async def _below(self, source: Source, request: DataRequest, stream: Stream) -> AsyncIterator[Served]:
        tree = self.places.tree(source)
        async with tree.opened(request.path) as file:
            digest = await self.manifests.digest_of(tree, request.path, file)
            yield serve_file(file, request.path.rpartition("/")[2], request, stream, digest=digest)

    @asynccontextmanager
    async def _manifest(self, source: Source, request: DataRequest, stream: Stream) -> AsyncIterator[Served]:
        yield serve_manifest(await self.manifests.current(self.places.tree(source)), request, stream)

    @asynccontextmanager
    async def _upstream(self, source: Source, request: DataRequest, stream: Stream) -> AsyncIterator[Served]:
        async with upstream.ask(self.logins, source, request, max_body_bytes=self.max_request_bytes) as answer:
            headers = {"cache-control": "private", "x-content-type-options": "nosniff"} | upstream.told(source, request, answer)
            has_body = upstream.has_body(source.passing, request, answer.status)
            if not has_body and request.method != "HEAD" and answer.status not in (204, 304):
                headers["content-length"] = "0"
            if not has_body:
                yield Served(status=answer.status, headers=headers, chunks=None, cut=stream.cut)
                return
            if (answer.length or _SMALL_BYTES) < _SMALL_BYTES:
                body = await upstream.whole(source, answer)
                yield Served(status=answer.status, headers=headers, chunks=None, body=body, cut=stream.cut)
                return
            direct = upstream.is_direct(answer)
            yield Served(
                status=answer.status,
                headers=headers,
                chunks=stream.paced(upstream.chunks(source, answer)),
                direct=stream.filling(partial(upstream.direct, answer, self.places.disk.move)) if direct else None,
                cut=stream.cut,
            )


def serve_manifest(manifest: Manifest, request: DataRequest, stream: Stream) -> Served:
    """The answer to `request` for a folder itself."""
    body = manifest.written()
    digest = hashlib.sha256(body).hexdigest()
    headers = {"cache-control": "private", "etag": f'"{digest[:32]}"', "repr-digest": representation.digest_field(digest)}
    if headers["etag"] in request.headers.get("if-none-match", ""):
        return Served(status=304, headers=headers, chunks=None, cut=stream.cut)
    headers |= {"content-type": MANIFEST_TYPE, "content-length": str(len(body)), "x-content-type-options": "nosniff"}
    chunks = stream.paced(_once(body)) if request.method == "GET" else None
    return Served(status=200, headers=headers, chunks=chunks, cut=stream.cut)


def serve_file(
    file: Readable,
    name: str,
    request: DataRequest,
    stream: Stream,
    *,
    media_type: str | None = None,
    digest: str | None = None,
) -> Served:
    """The answer to `request` from an open file: conditions, then the range, then the bytes."""
    validators = file.validators
    headers = {
        "accept-ranges": "bytes",
        "cache-control": "private",
        "etag": validators.etag,
        "last-modified": representation.http_date(validators.modified),
        "x-content-type-options": "nosniff",
    }
    if digest is not None:
        headers["repr-digest"] = representation.digest_field(digest)
    status = representation.precondition(request.method, request.headers, validators)
    if status is not None:
        return Served(status=status, headers=headers | _no_body(status), chunks=None, cut=stream.cut)
    size, span = file.byte_size, None
    # a Range means something to GET alone (RFC 9110, section 14.2)
    if request.method == "GET" and representation.range_holds(request.headers, validators):
        try:
            span = representation.wanted_span(request.headers.get("range"), size)
        except ValueError:
            return Served(
                status=416, headers=headers | {"content-range": f"bytes */{size}"} | _no_body(416), chunks=None, cut=stream.cut
            )
    first, length = (span.first, span.length) if span else (0, size)
    headers |= {
        "content-type": media_type or media_type_of(name),
        "content-length": str(length),
        "content-disposition": representation.disposition(name),
    }
    if span is not None:
        headers["content-range"] = f"bytes {span.first}-{span.last}/{size}"
    status = 206 if span else 200
    if request.method != "GET" or not length:
        return Served(status=status, headers=headers, chunks=None, cut=stream.cut)
    direct = file.direct(first, length, name)
    return Served(
        status=status,
        headers=headers,
        chunks=stream.paced(file.chunks(first, length, name)),
        direct=stream.filling(direct) if direct is not None else None,
        cut=stream.cut,
    )


def _no_body(status: int) -> dict[str, str]:
    return {} if status == 304 else {"content-length": "0"}


async def _once(body: bytes) -> AsyncIterator[bytes]:
    yield body
