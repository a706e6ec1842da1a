"""Pushes to receivers of another make that can go on with an upload: whoever holds its address, at whichever node, goes on with it.

What lives here: the sender's side of the standard for that. A receiver says that it knows it by `Accept-Patch:
application/partial-upload`; it is asked to begin an upload, and told how large that is; what it calls it is kept with the transfer
(`Way.mark`); then the data is appended, from where the receiver says it is. What does not: our own receivers, which have one address
for both (`sending.py`), and receivers that know neither, who get all of it in one request, and again when that breaks.
Source: draft-ietf-httpbis-resumable-upload (12), sections 4.2 to 4.4; RFC 5789, section 3.1; RFC 9530.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import urljoin

from connector.dataplane.addresses import Destination
from connector.dataplane.cargo import Cargo
from connector.dataplane.representation import digest_field, disposition
from connector.dataplane.sending import Sender, Way, check, here
from connector.dataplane.sinks import origin_of
from connector.dataplane.streams import Stream
from connector.errors import PeerAnswer, PeerError, PeerMessage
from connector.outbound.rules import shown

_WORTH_BYTES: Final = 8 << 20
"""Less is sent in one request: asking costs more than sending it again."""
_PATCH_TYPE: Final = "application/partial-upload"
_ASKED_S: Final = 5.0
"""Who does not answer the question by then is sent the data."""
_GONE: Final = frozenset({404, 410})
_NOT_THERE: Final = frozenset({*_GONE, 400, 405, 501})
"""What those answer who do not know the question."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """An upload that a receiver has begun for us."""

    url: str
    of: str
    """What tells the state of the data from every other."""
    offset: int = 0
    is_complete: bool = False

    def mark(self) -> str:
        """As it is kept; neither a digest nor a tag has spaces."""
        return f"{self.of} {self.url}"

    @property
    def state(self) -> str | None:
        """What an upstream has to be like for the upload to go on, where no digest tells."""
        return self.of if self.of.startswith('"') else None

    def is_of(self, cargo: Cargo) -> bool:
        """Whether `cargo` goes on with the upload."""
        return bool(self.of) and (self.of, self.offset) == (_state_of(cargo), cargo.offset)


@dataclass(frozen=True, slots=True, kw_only=True)
class Uploads:
    """What such pushes need."""

    sender: Sender

    async def found(self, goal: Destination, way: Way) -> Begun | None:
        """The upload that was begun before and can be gone on with; None when there is none.

        Raises: PeerAnswer, PeerMessage, Unreachable.
        """
        if not way.mark:
            return None
        of, _, url = way.mark.partition(" ")
        async with self.sender.peers.stream("HEAD", url, _proof(goal, url)) as answer:
            if answer.status in _GONE:
                return None
            await check(answer, url)
            now = here(answer)
        return Begun(url=url, of=of, offset=now.offset, is_complete=now.is_complete)

    async def begin(self, goal: Destination, cargo: Cargo, name: str, way: Way) -> Begun | None:
        """A new upload for `cargo`, kept; None where the receiver does not say that it takes uploads, or it is not worth one.

        Raises: PeerAnswer, PeerMessage, Unreachable; what keeping raises.
        """
        if cargo.byte_size is None or cargo.byte_size < _WORTH_BYTES or not await self._are_taken(goal):
            return None
        headers = {**goal.headers, "Content-Type": cargo.media_type, "Content-Disposition": disposition(name)}
        headers |= {"Content-Length": "0", "Upload-Complete": "?0", "Upload-Length": str(cargo.byte_size)}
        if cargo.digest is not None:
            headers["Repr-Digest"] = digest_field(cargo.digest)
        async with self.sender.peers.stream(goal.method, goal.url, headers, b"") as answer:
            if answer.status in _NOT_THERE:
                return None
            await check(answer, goal.url)
            to = answer.headers.get("location", "")
        if not to:
            raise PeerMessage("the receiver names no upload", where="Location")
        begun = Begun(url=urljoin(goal.url, to), of=_state_of(cargo))
        # INVARIANT: kept before anything is sent: what a killed node has sent is never lost to the next one
        await way.note(begun.mark())
        return begun

    async def _are_taken(self, goal: Destination) -> bool:
        """Whether the receiver says that it takes uploads; one that cannot be asked does not."""
        try:
            async with self.sender.peers.stream("OPTIONS", goal.url, goal.headers, silence_s=_ASKED_S) as answer:
                accepted = answer.headers.get("accept-patch", "") if 200 <= answer.status < 300 else ""
        except PeerError:
            return False
        return _PATCH_TYPE in (kind.partition(";")[0].strip().lower() for kind in accepted.split(","))

    async def append(self, goal: Destination, begun: Begun, cargo: Cargo, stream: Stream) -> None:
        """Send `cargo`, which goes on where `begun` is; the receiver has all of it when this returns.

        Raises: KontorError.
        """
        assert cargo.byte_size is not None
        length = cargo.byte_size - cargo.offset
        headers = {**_proof(goal, begun.url), "Content-Type": _PATCH_TYPE, "Content-Length": str(length)}
        headers |= {"Upload-Offset": str(cargo.offset), "Upload-Complete": "?1"}
        if cargo.content_digest is not None:
            headers["Content-Digest"] = digest_field(cargo.content_digest)
        async with self.sender.flowing("PATCH", begun.url, headers, cargo, stream) as answer:
            await check(answer, begun.url)
            if answer.headers.get("upload-complete") != "?1":
                raise PeerAnswer("the receiver has not all of it yet", answer_status=answer.status, where=shown(begun.url))


def _state_of(cargo: Cargo) -> str:
    """What tells the data of `cargo` from every other; empty when nothing does."""
    return cargo.digest or cargo.state or ""


def _proof(goal: Destination, url: str) -> dict[str, str]:
    """What opens the receiver, for an upload that stands at the same server: nobody else gets it."""
    return dict(goal.headers) if origin_of(url) == origin_of(goal.url) else {}
