"""The consumer's end of a push: takes the data, whole or from where it broke off, and says how much is here.

What lives here: the conversation with the sender. `HEAD` tells the offset; `PUT` or `POST` brings the whole, `PUT` with
`Content-Range` a part that must begin at the offset; the last part is answered when the digest is right and all is on disk.
Of a folder the manifest comes to `manifest`, before its files and after them, and each file to `files/<path>` in the same way.
What does not: files (`inbox.py`), folders (`shelf.py`), tokens (the port Authorizer).
Source: RFC 9110, section 14.5 (partial PUT); RFC 9530 (`Content-Digest` of what one message brings, `Repr-Digest` of the whole); the words
`Upload-Offset` and `Upload-Complete` are those of draft-ietf-httpbis-resumable-upload.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import unquote

from connector import observe
from connector.dataplane import digests
from connector.dataplane.addresses import token_of
from connector.dataplane.disk import Disk
from connector.dataplane.inbox import Announced, Inbox, Part
from connector.dataplane.lanes import Lanes
from connector.dataplane.manifests import Entry
from connector.dataplane.representation import Placed, content_range, digest_field, digest_of
from connector.dataplane.sending import STATE
from connector.dataplane.shelf import MOST_MANIFEST_BYTES, Shelf, manifest_in
from connector.dataplane.streams import Stream, Streams
from connector.errors import (
    BadMessage,
    Conflict,
    DigestMismatch,
    InternalError,
    KontorError,
    MethodNotAllowed,
    TooLarge,
    UnsupportedMediaType,
)
from connector.ports.dataplane import Authorizer, TransferEvents

_GATHERED_BYTES = 256 << 10
_MOST_OF_A_STATE = 300
_NAME = re.compile(r"filename=(?:\"([^\"]*)\"|([^;\s]+))", re.IGNORECASE)
_EXTENDED_NAME = re.compile(r"filename\*=UTF-8''([^;\s]+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """What a sender brings."""

    method: str
    headers: Mapping[str, str]
    """Names in lower case."""
    chunks: AsyncIterator[bytes]
    """Raises: KontorError when the sender breaks off."""
    path: str = ""
    """Below the address of the push: `manifest` or `files/<path>` when it brings a folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What a sender is told."""

    status: int
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    """What is here completely."""

    byte_size: int
    digest: str
    """SHA-256, hexadecimal; of a folder, that of its manifest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Receiver:
    """What receiving needs."""

    authorizer: Authorizer
    events: TransferEvents
    streams: Streams
    lanes: Lanes
    disk: Disk
    inbox: Inbox
    shelf: Shelf
    max_bytes: int
    silence_s: float
    elsewhere: Callable[[str, str], Awaitable[None]] | None = None
    """Ends what other processes of this node receive for a transfer."""
    _told: dict[tuple[str, str], str] = field(default_factory=dict)
    """Digest of each arrival that the control plane knows of since this process began."""

    async def push(self, participant: str, pid: str, upload: Upload) -> Receipt:
        """The receipt for `upload`.

        Raises: what the Authorizer raises; BadMessage, TooLarge, DigestMismatch (nothing was kept), TooMany, Overloaded and
        StoreUnavailable (what has arrived is kept), Conflict when the transfer was stopped, and what the sender's end raises.
        """
        if upload.method not in ("HEAD", "PUT", "POST"):
            raise MethodNotAllowed("data is pushed by PUT or POST", allowed=("HEAD", "PUT", "POST"))
        async with self.streams.running(participant, pid, self.silence_s, is_upload=True) as stream:
            with self.lanes.asking():
                transfer = await self.authorizer.may_push(participant, pid, token_of(upload.headers.get("authorization")))
            # a sender that comes again has given up its earlier connection, even where we have not noticed yet
            await self.streams.cut_uploads(participant, pid, spare=stream)
            if self.elsewhere is not None:
                await self.elsewhere(participant, pid)
            with self.lanes.taken(participant, transfer.peer) as stream.lane:
                taking = self._folder if upload.path else self._file
                arrived = await taking(participant, pid, upload, stream)
            if isinstance(arrived, Receipt):
                return arrived
        # outside of the flow: the control plane may stop the transfer in answer to this
        if self._told.get((participant, pid)) != arrived.digest:
            await self.events.received(participant, pid, moved_bytes=arrived.byte_size, digest=arrived.digest)
            if len(self._told) >= 10_000:
                self._told.clear()
            self._told[participant, pid] = arrived.digest
        return _receipt(200, arrived.byte_size, is_complete=True, digest=arrived.digest)

    async def _folder(self, participant: str, pid: str, upload: Upload, stream: Stream) -> Receipt | Whole:
        """Take a manifest or a file of a folder; a Whole when nothing of it is missing."""
        found = await self.disk.run(self.shelf.arrived, participant, pid)
        if found is not None:
            return Whole(byte_size=found[1].byte_size, digest=found[1].digest())
        if await self.disk.run(self.inbox.arrived, participant, pid) is not None:
            raise Conflict("a file has arrived for this transfer already", where=pid)
        if upload.path == "manifest" and upload.method != "HEAD":
            check = digests.check_of(upload.headers)
            body = await _gathered(upload.chunks, MOST_MANIFEST_BYTES)
            if check is not None:
                check.add(body)
                if not check.is_right:
                    raise _other_content()
            manifest = await asyncio.to_thread(manifest_in, body)
            if manifest.byte_size > self.max_bytes:
                raise TooLarge(
                    f"more than {self.max_bytes} bytes are not taken", mend="the operator of this node sets the limit"
                )
            standing = await self.disk.run(self.shelf.announce, participant, pid, manifest)
            if standing.is_complete:
                return Whole(byte_size=manifest.byte_size, digest=manifest.digest())
            return _receipt(201 if standing.is_new else 202, standing.here_bytes, is_complete=False)
        path = upload.path.removeprefix("files/")
        announced = await self.disk.run(self.shelf.announced, participant, pid)
        entry = announced.entries.get(path) if announced is not None and upload.path.startswith("files/") else None
        if entry is None:
            raise BadMessage("this is not in the manifest", where=path[:200], mend="send the manifest first, to `manifest`")
        if not await self.disk.run(self.shelf.has, participant, pid, path):
            receipt = await self._take((participant, pid, path), upload, stream, entry)
            if receipt is not None:
                return receipt
        return _receipt(200, entry.byte_size, is_complete=True, digest=entry.digest)

    async def _file(self, participant: str, pid: str, upload: Upload, stream: Stream) -> Receipt | Whole:
        """Take a push of one file; a Whole when nothing of it is missing."""
        if await self.disk.run(self.inbox.arrived, participant, pid) is None:
            receipt = await self._take((participant, pid, ""), upload, stream, None)
            if receipt is not None:
                return receipt
        arrived = await self.disk.run(self.inbox.arrived, participant, pid)
        if arrived is None:
            raise InternalError("received data is not where it was put", where=pid)
        return Whole(byte_size=arrived.byte_size, digest=arrived.digest)

    async def _take(self, at: tuple[str, str, str], upload: Upload, stream: Stream, entry: Entry | None) -> Receipt | None:
        """Take what the sender brings for one file, of a folder when it is `entry`; None when it is whole now."""
        here = await self.disk.run(self.inbox.offset, *at)
        if upload.method == "HEAD":
            known = await self.disk.run(self.inbox.announced, *at) if here else None
            return _receipt(200, here, is_complete=False, state=known.state if known is not None else None)
        if upload.headers.get("content-encoding", "identity").strip().lower() != "identity":
            raise UnsupportedMediaType("this data is encoded", where="Content-Encoding", mend="send it as it is")
        header = upload.headers.get("content-range")
        placed = content_range(header) if header else None
        announced, check = _announced(upload.headers, placed), digests.check_of(upload.headers)
        if entry is not None:
            if announced.byte_size not in (None, entry.byte_size) or announced.digest not in (None, entry.digest):
                raise DigestMismatch(
                    "the manifest says otherwise of this file", where=at[2][:200], mend="send the manifest anew"
                )
            announced = replace(announced, byte_size=entry.byte_size, digest=entry.digest)
        if (announced.byte_size or 0) > self.max_bytes:
            raise TooLarge(f"more than {self.max_bytes} bytes are not taken", mend="the operator of this node sets the limit")
        if placed is not None and placed.span.first > 0:
            before = await self.disk.run(self.inbox.announced, *at)
            if before != announced:
                # another state of the data than the part is of: begin anew
                await self.disk.run(self.inbox.drop, *at)
                return _receipt(409, 0, is_complete=False)
            if placed.span.first != here:
                return _receipt(409, here, is_complete=False)
            await self.disk.run(self.inbox.check_room, (announced.byte_size or 0) - here)
            opening = self.disk.opened(self.inbox.resume, *at)
        else:
            opening = self.disk.opened(self.inbox.begin, announced, *at)
        async with opening as part:
            end = placed.span.last + 1 if placed else None
            part.expect(check)
            try:
                await self._write(part, upload.chunks, stream, end)
            except TooLarge:
                await self.disk.run(self.inbox.drop, *at)
                raise
            if not part.is_expected:
                # what came before this message stays
                await self.disk.run(part.undo)
                if not part.offset:
                    await self.disk.run(self.inbox.drop, *at)
                raise _other_content()
            size = announced.byte_size
            if size is not None and part.offset > size:
                raise BadMessage("more bytes came than were announced", where="Content-Length")
            if (end is not None and part.offset < end) or (size is not None and part.offset < size):
                return _receipt(202, part.offset, is_complete=False)
            digest = await self._digest(part, stream)
            if announced.digest is not None and digest != announced.digest:
                await self.disk.run(self.inbox.drop, *at)
                raise DigestMismatch(
                    "the data that arrived has another SHA-256 than was announced", where="Repr-Digest", mend="send it again"
                )
            stream.moved()
            if entry is None:
                await self.disk.run(self.inbox.finish, at[0], at[1], part, digest, announced)
            else:
                await self.disk.run(self.shelf.finish, *at, part)
            return None

    async def _write(self, part: Part, chunks: AsyncIterator[bytes], stream: Stream, end: int | None) -> None:
        """Append what comes to `part`; what has come is kept, and on disk, also when it breaks off."""
        limit = self.max_bytes if end is None else end
        waiting = bytearray()
        try:
            async for chunk in stream.paced(chunks):
                waiting += chunk
                if part.offset + len(waiting) > limit:
                    waiting.clear()
                    raise TooLarge(f"more than {limit} bytes came", mend="send what was announced")
                if len(waiting) >= _GATHERED_BYTES:
                    # let go before it is written: whoever is cut while the thread writes must not write it again
                    batch, waiting = waiting, bytearray()
                    await self.disk.run(part.write, batch)
            batch, waiting = waiting, bytearray()
            await self.disk.run(part.write, batch)
        finally:
            await self.disk.run(_flush, part, waiting)

    async def _digest(self, part: Part, stream: Stream) -> str:
        if part.hasher is not None:
            return part.hasher.hexdigest()
        return await self.disk.sha256(part.fd, part.offset, stream.moved)


async def _gathered(chunks: AsyncIterator[bytes], most: int) -> bytes:
    body = bytearray()
    async for chunk in chunks:
        body += chunk
        if len(body) > most:
            raise TooLarge(f"more than {most} bytes came", mend="push the parts of the folder one by one")
    return bytes(body)


def _other_content() -> DigestMismatch:
    return DigestMismatch("what came is not what this message says of it", where="Content-Digest", mend="send it again")


def _flush(part: Part, rest: bytearray) -> None:
    try:
        if rest:
            part.write(rest)
        part.sync()
    except KontorError as fault:  # the first fault is the one to tell; the offset stays true, for it is the file's size
        observe.warning("data.inbox", cause=str(fault))


def _announced(headers: Mapping[str, str], placed: Placed | None) -> Announced:
    length = headers.get("content-length", "")
    size = int(length) if length.isdigit() else None
    if placed is not None:
        if placed.total is None:
            raise BadMessage("the size of the whole is missing", where="Content-Range", mend="write it as `bytes 0-99/1000`")
        if size is not None and size != placed.span.length:
            raise BadMessage(
                "`Content-Length` and `Content-Range` disagree", where="Content-Range", mend="send what is announced"
            )
        size = placed.total
    return Announced(
        byte_size=size,
        digest=digest_of(headers, is_whole=placed is None),
        media_type=headers.get("content-type"),
        name=_name(headers.get("content-disposition", "")),
        state=_state(headers.get(STATE.lower(), "")),
    )


def _state(header: str) -> str | None:
    return header if header and len(header) <= _MOST_OF_A_STATE and header.isascii() and header.isprintable() else None


def _name(header: str) -> str:
    """The file name that the sender suggests, without any folder.

    Source: RFC 6266, section 4.3: the extended form comes first, path separators count for nothing.
    """
    extended, plain = _EXTENDED_NAME.search(header), _NAME.search(header)
    name = unquote(extended.group(1)) if extended else (plain.group(1) or plain.group(2) or "") if plain else ""
    return name.replace("\\", "/").rpartition("/")[2][:200] or "data"


def _receipt(status: int, offset: int, *, is_complete: bool, digest: str | None = None, state: str | None = None) -> Receipt:
    headers = {
        "cache-control": "no-store",
        "content-length": "0",
        "upload-offset": str(offset),
        "upload-complete": "?1" if is_complete else "?0",
    }
    if digest is not None:
        headers["repr-digest"] = digest_field(digest)
    if state is not None:
        headers[STATE.lower()] = state
    return Receipt(status=status, headers=headers)
