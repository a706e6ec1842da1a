"""HTTP(S) upstreams: relayed to the consumer, described for the catalogue, read for a push.

What lives here: which headers pass in either direction, and what an upstream's failure means. Both lists say what passes;
everything else stays: hop-by-hop headers, cookies, who the consumer is, who the upstream is.
What does not: the consumer's right to read (`pull.py`).
Source: RFC 9110, sections 7.6.1 (hop-by-hop) and 15.6 (gateways).
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final

from connector import observe
from connector.dataplane.representation import digest_field
from connector.errors import KontorError, Overloaded, PeerError, SourceError
from connector.outbound.client import OutboundClient, StreamedAnswer
from connector.outbound.rules import shown
from connector.ports.dataplane import DataRequest, Description, Source

ASKED: Final = (
    "accept", "accept-language", "if-match", "if-modified-since", "if-none-match", "if-range", "if-unmodified-since", "range",
)  # fmt: skip
"""What passes from the consumer."""
TOLD: Final = frozenset(
    {
        "accept-ranges", "content-digest", "content-disposition", "content-encoding", "content-language", "content-length",
        "content-range", "content-type", "etag", "expires", "last-modified", "repr-digest", "vary",
    }
)  # fmt: skip
"""What passes to the consumer."""
PASSED: Final = frozenset({200, 203, 204, 206, 304, 404, 406, 410, 412, 416})
"""What an upstream says about the data; everything else it says about us, which is our trouble and not the consumer's."""
_UNKNOWN_TYPE = "application/octet-stream"


@asynccontextmanager
async def ask(client: OutboundClient, source: Source, method: str, headers: Mapping[str, str]) -> AsyncIterator[StreamedAnswer]:
    """The upstream's answer, of a status that concerns the data; its body unread.

    Raises: SourceError when the upstream is not reached, refuses us or fails; Overloaded when it asks us to wait.
    """
    url = source.url or ""
    wanted = {name: headers[name] for name in ASKED if name in headers}
    try:
        async with client.stream(method, url, {**wanted, **(source.headers or {})}) as answer:
            if answer.status not in PASSED:
                raise _failure(answer.status, url)
            yield answer
    except PeerError as fault:
        raise SourceError(f"the upstream failed: {fault}", where=shown(url)) from fault


def told(source: Source, request: DataRequest, answer: StreamedAnswer) -> dict[str, str]:
    """The headers of an upstream's answer as the consumer gets them."""
    headers = {name: value for name, value in answer.headers.items() if name in TOLD}
    if answer.status in (200, 203, 206):
        headers.setdefault("content-type", source.media_type or _UNKNOWN_TYPE)
        # the digest is that of the data as published: not of one that has another size or another coding by now
        size = answer.headers.get("content-range", "").rpartition("/")[2] or answer.headers.get("content-length")
        is_same = source.byte_size is None or size == str(source.byte_size)
        if source.digest and is_same and "content-encoding" not in headers:
            headers.setdefault("repr-digest", digest_field(source.digest))
    if answer.status not in (200, 203, 206) and request.method == "GET":
        # what an upstream writes about an error may name what is behind it
        for name in ("content-type", "content-length", "content-encoding", "content-disposition"):
            headers.pop(name, None)
    return headers


async def chunks(source: Source, answer: StreamedAnswer) -> AsyncIterator[bytes]:
    """The body of an upstream's answer.

    Raises: SourceError when it breaks off.
    """
    try:
        async for chunk in answer.chunks():
            yield chunk
    except PeerError as fault:
        raise SourceError(f"the upstream broke off: {fault}", where=shown(source.url or "")) from fault


async def describe(client: OutboundClient, source: Source, *, with_digest: bool) -> Description:
    """Size, type and, if asked for, digest of an upstream's data. The digest takes one whole reading.

    Raises: SourceError, Overloaded.
    """
    if not with_digest:
        try:
            async with ask(client, source, "HEAD", {}) as answer:
                if answer.status == 200:
                    return _description(source, answer, _size(answer), None)
        except KontorError as fault:
            observe.debug("data.describe", cause=str(fault))  # an upstream without HEAD is asked by GET
    async with ask(client, source, "GET", {}) as answer:
        if answer.status not in (200, 203):
            raise SourceError(f"the upstream answers {answer.status}", where=shown(source.url or ""))
        if not with_digest:
            return _description(source, answer, _size(answer), None)
        hasher, size = hashlib.sha256(), 0
        async for chunk in chunks(source, answer):
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
