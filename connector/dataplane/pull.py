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
from types import TracebackType
from typing import Final

from connector.dataplane import asking, digests, representation, upstream
from connector.dataplane.addresses import S3_PULL, token_of
from connector.dataplane.lanes import Lane, Lanes
from connector.dataplane.logins import Logins
from connector.dataplane.manifests import MANIFEST_TYPE, Manifest, Manifests, Readable
from connector.dataplane.sources import Places, media_type_of
from connector.dataplane.streams import Stream, Streams
from connector.dataplane.using import Counting
from connector.errors import BadMessage, NotFound
from connector.outbound.client import StreamedAnswer
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

    def pull(self, participant: str, pid: str, request: DataRequest) -> AbstractAsyncContextManager[Served]:
        """The answer to `request`, flowing for as long as the context is open.

        Raises, on entering: what the Authorizer raises; NotFound, SourceError, TooMany, Overloaded, MethodNotAllowed. While it flows:
        SourceError when the data breaks off; Conflict when the transfer is stopped or the receiver takes nothing.
        """
        return _Pull(self, participant, pid, request)

    def check(self, source: Source, request: DataRequest) -> None:
        """Nothing, when the source may be asked so.

        Raises: MethodNotAllowed, BadMessage.
        """
        # only an upstream is ever told to let more pass
        asking.check_method(source.passing, request)
        if request.query and source.type != "http":
            raise BadMessage("this data takes no query", where="query", mend="leave it out")

    def answer(self, grant: Grant, request: DataRequest, stream: Stream) -> AbstractAsyncContextManager[Served]:
        """What is served of a source that is no upstream; raises as `pull`."""
        source = grant.source
        if source.events is not None and not request.path:
            return self._events(grant, request, stream)
        if source.is_folder:
            return self._below(source, request, stream) if request.path else self._manifest(source, request, stream)
        if source.is_file and not request.path:
            is_sent = self._is_sent_there(grant, request)
            return self._presigned(grant, stream) if is_sent else self._file(source, request, stream)
        raise NotFound("there is no such data", mend="ask for the address of the data itself")

    @asynccontextmanager
    async def _file(self, source: Source, request: DataRequest, stream: Stream) -> AsyncIterator[Served]:
        async with self.places.opened(source) as file:
            is_described = source.byte_size is None or source.byte_size == file.byte_size
            digest = source.digest if is_described else None
            yield await serve_file(file, source.name, request, stream, media_type=source.media_type, digest=digest)

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

        events = Events(authorizer=self.authorizer, logins=self.logins, silence_s=self.silence_s)
        async with AsyncExitStack() as stack:
            yield await events.serve(stack, grant.transfer, grant.source, request, stream)

    @asynccontextmanager
    async def _below(self, source: Source, request: DataRequest, stream: Stream) -> AsyncIterator[Served]:
        tree = self.places.tree(source)
        async with tree.opened(request.path) as file:
            digest = await self.manifests.digest_of(tree, request.path, file)
            yield await serve_file(file, request.path.rpartition("/")[2], request, stream, digest=digest)

    @asynccontextmanager
    async def _manifest(self, source: Source, request: DataRequest, stream: Stream) -> AsyncIterator[Served]:
        yield serve_manifest(await self.manifests.current(self.places.tree(source)), request, stream)

    async def relayed(self, source: Source, request: DataRequest, stream: Stream) -> tuple[Served, StreamedAnswer | None]:
        """What an upstream answers, and the answer to close afterwards, where more of it is to come; raises as `pull`."""
        answer = await upstream.asked(self.logins, source, request, max_body_bytes=self.max_request_bytes)
        status, passing = answer.status, source.passing
        is_left = True
        try:
            headers = upstream.told(source, request, answer)
            if not upstream.has_body(passing, request, status):
                if request.method != "HEAD" and status not in (204, 304):
                    headers["content-length"] = "0"
                return Served(status=status, headers=headers, chunks=None, cut=stream.cut), None
            if (answer.length or _SMALL_BYTES) < _SMALL_BYTES:
                body = await upstream.whole(source, answer)
                return Served(status=status, headers=headers, chunks=None, body=body, cut=stream.cut), None
            is_left = False
        finally:
            if is_left:
                answer.close()
        direct = upstream.is_direct(answer)
        served = Served(
            status=status,
            headers=headers,
            chunks=stream.paced(upstream.chunks(source, answer)),
            direct=stream.filling(partial(upstream.direct, answer, self.places.disk.move)) if direct else None,
            cut=stream.cut,
        )
        return served, answer


class _Pull:
    """One request of a consumer, served for as long as it is entered."""

    __slots__ = ("_answer", "_counting", "_lane", "_opened", "_participant", "_pid", "_pulls", "_request", "_served", "_stream")

    def __init__(self, pulls: Pulls, participant: str, pid: str, request: DataRequest) -> None:
        self._pulls = pulls
        self._participant = participant
        self._pid = pid
        self._request = request
        self._counting = Counting()
        # what is held while it flows, in the order in which it is taken
        self._lane: Lane | None = None
        self._answer: StreamedAnswer | None = None
        self._opened: AbstractAsyncContextManager[Served] | None = None

    async def __aenter__(self) -> Served:
        pulls = self._pulls
        self._stream = pulls.streams.begin(self._participant, self._pid, pulls.silence_s)
        try:
            self._served = served = await self._begun()
        except BaseException as fault:
            await self._close(fault)
            raise
        return served

    async def _begun(self) -> Served:
        pulls, request, stream, counting = self._pulls, self._request, self._stream, self._counting
        # 1. may it be served at all, now
        token = token_of(request.headers.get("authorization"))
        with pulls.lanes.asking():
            grant = await pulls.authorizer.may_pull(self._participant, self._pid, token, is_look=request.method == "HEAD")
        counting.use = grant.use
        # 2. is there room for it
        stream.lane = self._lane = pulls.lanes.taken(grant.transfer.participant, grant.transfer.peer).__enter__()
        # 3. the data, from wherever it comes
        pulls.check(grant.source, request)
        if request.method != "HEAD":
            # not behind the answer alone: whoever asks for little would have the next answer before this one has waited
            await stream.turn()
        if grant.source.type == "http":
            served, self._answer = await pulls.relayed(grant.source, request, stream)
        else:
            opened = pulls.answer(grant, request, stream)
            served = await opened.__aenter__()
            self._opened = opened
        # 4. from here on it is a use
        return await counting.begun(served)

    async def __aexit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        body = self._served.body
        if body is not None and fault is None:
            self._counting.moved(len(body))
            try:
                await self._stream.went(len(body))
            except BaseException as stopped:
                await self._close(stopped)
                raise
        await self._close(fault)

    async def _close(self, fault: BaseException | None) -> None:
        """Let go of everything, in reverse.

        Raises: Conflict in the place of `fault` when that is how it was cut.
        """
        try:
            if self._answer is not None:
                self._answer.close()
            if self._opened is not None:
                await self._opened.__aexit__(type(fault) if fault else None, fault, fault.__traceback__ if fault else None)
        except BaseException as other:
            if other is not fault:
                fault = other
                raise
        finally:
            # what was refused before it was opened was no use
            self._counting.end()
            if self._lane is not None:
                self._lane.__exit__()
            self._stream.end(fault)


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


async def serve_file(
    file: Readable,
    name: str,
    request: DataRequest,
    stream: Stream,
    *,
    media_type: str | None = None,
    digest: str | None = None,
) -> Served:
    """The answer to `request` from an open file: conditions, then the range, then the bytes.

    Raises: SourceError when the file has changed.
    """
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
        # of the whole `Repr-Digest` tells, where it is known
        given = await digests.of_part(file, span, name, request.headers.get("want-content-digest"))
        if given is not None:
            headers["content-digest"] = given
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
