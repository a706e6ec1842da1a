"""HTTP(S) upstreams: relayed to the consumer, described for the catalogue, read for a push.

What lives here: which headers pass to the consumer, and what an upstream's failure means. The list says what passes; everything
else stays: hop-by-hop headers, cookies, who the upstream is.
What does not: the consumer's right to read (`pull.py`), what of its request passes (`asking.py`), who we are (`logins.py`).
Source: RFC 9110, sections 7.6.1 (hop-by-hop) and 15.6 (gateways).
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from connector import observe
from connector.dataplane import asking, digests, kernel
from connector.dataplane.logins import Logins
from connector.dataplane.representation import digest_field
from connector.errors import BadMessage, KontorError, Overloaded, PeerError, SourceError, TooLarge
from connector.outbound import descriptors
from connector.outbound.client import StreamedAnswer
from connector.outbound.rules import shown
from connector.ports.dataplane import DataRequest, Description, Passing, Source

TOLD: Final = frozenset(
    {
        "accept-ranges", "content-digest", "content-disposition", "content-encoding", "content-language", "content-length",
        "content-range", "content-type", "etag", "expires", "last-modified", "repr-digest", "vary",
    }
)  # fmt: skip
"""What passes to the consumer."""
PASSED: Final = frozenset({200, 203, 204, 206, 304, 404, 406, 410, 412, 416})
"""What an upstream says about the data; everything else it says about us, which is our trouble and not the consumer's."""
_ABOUT_US: Final = frozenset({401, 403, 407, 429, 503})
"""Never passed: it is about our credentials, or asks us to wait."""
_UNKNOWN_TYPE = "application/octet-stream"


_READ: Final = DataRequest()


@asynccontextmanager
async def ask(logins: Logins, source: Source, request: DataRequest = _READ) -> AsyncIterator[StreamedAnswer]:
    """The upstream's answer to `request`, for as long as the context is open; as `asked`, and raises as that."""
    answer = await asked(logins, source, request)
    try:
        yield answer
    finally:
        answer.close()


async def asked(logins: Logins, source: Source, request: DataRequest, *, max_body_bytes: int = 0) -> StreamedAnswer:
    """The upstream's answer to `request`, of a status that concerns the data; its body unread. Close it.

    A token that the upstream refuses is got anew, once; a POST, whose body has flowed by then, is not repeated.

    Raises: SourceError when the upstream is not reached, refuses us or fails; Overloaded when it asks us to wait; as
    `asking.address_of` and `asking.headers_of`.
    """
    url, headers = asking.address_of(source, request), asking.headers_of(request, max_body_bytes)
    body = _bounded(request.body, max_body_bytes) if request.method == "POST" and request.body is not None else None
    client = await logins.client(source) if source.certificate is not None else logins.common
    try:
        proof = await logins.headers(source) if source.client is not None else source.headers or {}
        answer = await client.opened(request.method, url, {**headers, **proof}, body)
        if answer.status == 401 and logins.refused(source, proof) and body is None:
            answer.close()
            answer = await client.opened(request.method, url, {**headers, **await logins.headers(source)}, body)
    except PeerError as fault:
        raise SourceError(f"the upstream failed: {fault}", where=shown(source.url or "")) from fault
    if not is_passed(source.passing, request, answer.status):
        answer.close()
        raise _failure(answer.status, source.url or "")
    return answer


def is_passed(passing: Passing, request: DataRequest, status: int) -> bool:
    """Whether what an upstream answers is about the data, and the consumer's to know."""
    if request.method == "POST" and 200 <= status < 300:
        return True
    return status in PASSED or (passing.errors and 400 <= status < 600 and status not in _ABOUT_US)


async def _bounded(chunks: AsyncIterator[bytes], most: int) -> AsyncIterator[bytes]:
    """`chunks`, as long as they are not more than `most` bytes."""
    count = 0
    async for chunk in chunks:
        count += len(chunk)
        if count > most:
            raise TooLarge(f"the body has more than {most} bytes", mend=f"send at most {most} bytes")
        yield chunk


def told(source: Source, request: DataRequest, answer: StreamedAnswer) -> dict[str, str]:
    """The headers of an upstream's answer as the consumer gets them."""
    headers = {"cache-control": "private", "x-content-type-options": "nosniff"}
    for name, value in answer.headers.items():
        if name in TOLD:
            headers[name] = value
    if answer.status in (200, 203, 206):
        headers.setdefault("content-type", source.media_type or _UNKNOWN_TYPE)
        if source.digest and "content-encoding" not in headers:
            # the digest is that of the data as published: not of one that has another size or another coding by now
            size = answer.headers.get("content-range", "").rpartition("/")[2] or answer.headers.get("content-length")
            if source.byte_size is None or size == str(source.byte_size):
                headers.setdefault("repr-digest", digest_field(source.digest))
    if not has_body(source.passing, request, answer.status) and request.method != "HEAD":
        # what an upstream writes about an error may name what is behind it
        for name in ("content-type", "content-length", "content-encoding", "content-disposition"):
            headers.pop(name, None)
    return headers


def has_body(passing: Passing, request: DataRequest, status: int) -> bool:
    """Whether the body of an upstream's answer flows on to the consumer."""
    if request.method == "HEAD" or status in (204, 304):
        return False
    return status in (200, 203, 206) or (request.method == "POST" and status < 300) or (passing.errors and status >= 400)


async def chunks(source: Source, answer: StreamedAnswer) -> AsyncIterator[bytes]:
    """The body of an upstream's answer.

    Raises: SourceError when it breaks off.
    """
    try:
        async for chunk in answer.chunks():
            yield chunk
    except PeerError as fault:
        raise SourceError(f"the upstream broke off: {fault}", where=shown(source.url or "")) from fault


def check_of(source: Source, answer: StreamedAnswer) -> digests.Check | None:
    """What an upstream says that the body of its answer is; None when it says nothing.

    Raises: SourceError when that cannot be read.
    """
    try:
        return digests.check_of(answer.headers)
    except BadMessage as fault:
        raise SourceError(f"the upstream's `Content-Digest` is none: {fault.what}", where=shown(source.url or "")) from fault


def checked(source: Source, answer: StreamedAnswer, check: digests.Check | None) -> AsyncIterator[bytes]:
    """As `chunks`, held against `check`: for what we take ourselves; who gets it relayed has the digest, too.

    Raises: SourceError when it breaks off, or is other data.
    """
    if check is None:
        return chunks(source, answer)

    def wrong() -> SourceError:
        return SourceError("the upstream gave other data than its `Content-Digest` says", where=shown(source.url or ""))

    return digests.checked(chunks(source, answer), check, wrong)


async def whole(source: Source, answer: StreamedAnswer) -> bytes:
    """The body of an upstream's answer that is small; raises as `chunks`."""
    try:
        return await answer.whole()
    except PeerError as fault:
        raise SourceError(f"the upstream broke off: {fault}", where=shown(source.url or "")) from fault


def is_direct(answer: StreamedAnswer) -> bool:
    """Whether the kernel can move the body of an upstream's answer, and it pays."""
    return kernel.IS_HERE and (answer.length or 0) >= kernel.WORTH_BYTES and descriptors.is_plain(answer)


async def direct(answer: StreamedAnswer, move: kernel.Move, receiver: int) -> AsyncIterator[int]:
    """The body of an upstream's answer, moved into the socket `receiver` by `move`: the size of each piece.

    Raises: SourceError when it breaks off.
    """
    where = shown(answer.where)
    try:
        with descriptors.rest_of(answer) as rest:
            async for count in kernel.from_socket(rest.fd, rest.here, rest.left_bytes, where, move)(receiver):
                yield count
    except PeerError as fault:
        raise SourceError(f"the upstream broke off: {fault}", where=where) from fault


async def describe(logins: Logins, source: Source, *, with_digest: bool) -> Description:
    """Size, type and, if asked for, digest of an upstream's data. The digest takes one whole reading.

    Raises: SourceError, Overloaded.
    """
    if not with_digest:
        try:
            async with ask(logins, source, DataRequest(method="HEAD")) as answer:
                if answer.status == 200:
                    return _description(source, answer, _size(answer), None)
        except KontorError as fault:
            observe.debug("data.describe", cause=str(fault))  # an upstream without HEAD is asked by GET
    async with ask(logins, source) as answer:
        if answer.status not in (200, 203):
            raise SourceError(f"the upstream answers {answer.status}", where=shown(source.url or ""))
        if not with_digest:
            return _description(source, answer, _size(answer), None)
        hasher, size = hashlib.sha256(), 0
        async for chunk in checked(source, answer, check_of(source, answer)):
            hasher.update(chunk)
            size += len(chunk)
        return _description(source, answer, size, hasher.hexdigest())


def _size(answer: StreamedAnswer) -> int | None:
    length = answer.headers.get("content-length", "")
    return int(length) if length.isdigit() else None


def _description(source: Source, answer: StreamedAnswer, size: int | None, digest: str | None) -> Description:
    media_type = source.media_type or answer.headers.get("content-type") or _UNKNOWN_TYPE
    return Description(byte_size=size, digest=digest, media_type=media_type)


def _failure(status: int, url: str) -> KontorError:
    if status in (429, 503):
        return Overloaded("the source of this data is busy", mend="come again later")
    if status in (401, 403, 407):
        return SourceError(
            f"the upstream refuses us with {status}", where=shown(url), mend="check the credentials of this asset's source"
        )
    if 300 <= status < 400:
        return SourceError(f"the upstream redirects with {status}", where=shown(url), mend="publish the address it leads to")
    return SourceError(f"the upstream answers {status}", where=shown(url))
