"""One request of a push: what is sent to a receiver, and what it says of what it has.

What does not live here: attempts and pauses (`push.py`).
Source: RFC 9110, section 14.5 (partial PUT); RFC 9530 (digests); the words `Upload-Offset` and `Upload-Complete` are those of
draft-ietf-httpbis-resumable-upload.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from connector.dataplane.addresses import Destination
from connector.dataplane.cargo import Cargo
from connector.dataplane.representation import MOST_OF_A_REASON, digest_field, digest_of, disposition, reason_in
from connector.dataplane.streams import Stream
from connector.errors import PeerAnswer, PeerMessage
from connector.outbound.client import OutboundClient, StreamedAnswer, wait_s
from connector.outbound.rules import shown

STATE: Final = "Kontor-State"
"""Header of ours: what tells the state of the data from every other when it has no digest. A receiver keeps it with what has come,
and tells it with the offset."""
_HASHED_PER_S: Final = 50e6
"""Bytes that a receiver is given a second for, between the last byte and its answer: it may have to hash and sync all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """What the receiver has in the end."""

    byte_size: int
    digest: str | None


@dataclass(slots=True)
class Way:
    """How far a push has come, over all its attempts."""

    offset: int = 0
    failures: int = 0
    mark: str = ""
    """As `Transfer.mark`."""
    keep: Callable[[str], Awaitable[None]] | None = None
    """Keeps a mark where other nodes find it."""

    async def note(self, mark: str) -> None:
        """From now on the upload is called `mark`; raises as `TransferEvents.noted`."""
        self.mark = mark
        if self.keep is not None:
            await self.keep(mark)


@dataclass(frozen=True, slots=True, kw_only=True)
class Here:
    """What a receiver says it has."""

    offset: int
    is_complete: bool
    is_new: bool
    """It had nothing of it before."""
    state: str | None = None
    """As `Cargo.state`, of what it has."""


NOTHING: Final = Here(offset=0, is_complete=False, is_new=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """What sending needs."""

    peers: OutboundClient
    silence_s: float

    async def ask(self, goal: Destination) -> Here:
        """What a resumable receiver has.

        Raises: PeerAnswer, PeerMessage, Unreachable.
        """
        async with self.peers.stream("HEAD", goal.url, goal.headers) as answer:
            await check(answer, goal.url)
            return here(answer)

    async def send(self, goal: Destination, cargo: Cargo, name: str, stream: Stream) -> None:
        """Send `cargo`; the receiver has all of it when this returns.

        Raises: KontorError.
        """
        size, offset = cargo.byte_size, cargo.offset
        headers = {**goal.headers, "Content-Type": cargo.media_type, "Content-Disposition": disposition(name)}
        if size is not None:
            headers["Content-Length"] = str(size - offset)
        if goal.is_resumable and size:
            headers["Content-Range"] = f"bytes {offset}-{size - 1}/{size}"
        if cargo.digest is not None:
            headers["Repr-Digest"] = digest_field(cargo.digest)
        elif goal.is_resumable and cargo.state is not None:
            headers[STATE] = cargo.state
        # of a whole that we may go on with `Repr-Digest` says the same
        if cargo.content_digest is not None and (offset or not goal.is_resumable):
            headers["Content-Digest"] = digest_field(cargo.content_digest)
        method = "PUT" if goal.is_resumable else goal.method
        async with self.flowing(method, goal.url, headers, cargo, stream) as answer:
            await check(answer, goal.url)
            if goal.is_resumable and not here(answer).is_complete:
                raise PeerAnswer(
                    f"the receiver has {here(answer).offset} bytes only", answer_status=answer.status, where=shown(goal.url)
                )
            there, ours = digest_of(answer.headers, is_whole=False), cargo.final_digest()
            if there is not None and ours is not None and there != ours:
                raise PeerMessage("the receiver has other data than was sent", where=shown(goal.url))

    @asynccontextmanager
    async def flowing(
        self, method: str, url: str, headers: Mapping[str, str], cargo: Cargo, stream: Stream
    ) -> AsyncIterator[StreamedAnswer]:
        """The answer to `cargo`, once it has flowed; raises as `OutboundClient.stream`."""
        patience_s = self.silence_s + (cargo.byte_size or 0) / _HASHED_PER_S
        body = _counted(cargo.chunks, stream, patience_s)
        async with self.peers.stream(method, url, headers, body, silence_s=patience_s) as answer:
            yield answer

    async def announce(self, goal: Destination, body: bytes, media_type: str) -> Here:
        """What a receiver has of the folder whose manifest is `body`.

        Raises: PeerAnswer, PeerMessage, Unreachable.
        """
        headers = {**goal.headers, "Content-Type": media_type, "Content-Length": str(len(body))}
        headers["Content-Digest"] = digest_field(hashlib.sha256(body).hexdigest())
        async with self.peers.stream("PUT", goal.url, headers, body, silence_s=self.silence_s) as answer:
            await check(answer, goal.url)
            return here(answer)


async def _counted(chunks: AsyncIterator[bytes], stream: Stream, patience_s: float) -> AsyncIterator[bytes]:
    async for chunk in stream.paced(chunks):
        yield chunk
    stream.moved(patience_s)


async def check(answer: StreamedAnswer, url: str) -> None:
    """Raises: PeerAnswer when the answer is no success."""
    if 200 <= answer.status < 300:
        return
    reason = reason_in(await answer.read(MOST_OF_A_REASON))
    raise PeerAnswer(
        f"the receiver answers {answer.status}{reason}",
        answer_status=answer.status,
        where=shown(url),
        wait_s=wait_s(answer.headers),
    )


def here(answer: StreamedAnswer) -> Here:
    """How much of a push the receiver says it has.

    Raises: PeerMessage when it does not say.
    """
    text = answer.headers.get("upload-offset", "")
    is_complete = answer.headers.get("upload-complete") == "?1"
    # other digits than ASCII's, or thousands of them, are no number to `int`
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise PeerMessage("the receiver does not say how much it has", where="Upload-Offset")
    state = answer.headers.get(STATE.lower())
    return Here(offset=int(text), is_complete=is_complete, is_new=answer.status == 201, state=state)
