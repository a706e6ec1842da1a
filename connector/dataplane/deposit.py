"""Pushes into object stores: data put where the consumer names a place, in pieces, each checked by the store.

What lives here: one attempt, the same for every store. Pieces that an earlier attempt has left are found by their digest, and only
those that are missing are sent. Memory holds one piece.
What does not: requests and what proves us (`s3.py`, `azure.py`), attempts and pauses (`push.py`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Final

from connector.dataplane.addresses import AZURE_PUSH, GOOGLE_PUSH, S3_PUSH
from connector.dataplane.cargo import Cargo, Cargoes
from connector.dataplane.manifests import MANIFEST_TYPE, Manifests
from connector.dataplane.s3 import Store, bucket_of, google_bucket_of
from connector.dataplane.sending import Moved, Way
from connector.dataplane.sinks import About, Piece, Sink
from connector.dataplane.sources import Places, media_type_of
from connector.dataplane.streams import Stream
from connector.dsp.messages import DataAddress
from connector.errors import PeerAnswer, SourceError
from connector.outbound.client import OutboundClient
from connector.ports.clock import Clock
from connector.ports.dataplane import Source

PART_BYTES: Final = 8 << 20
_MOST_PARTS: Final = 10_000
_WITHOUT_SIZE_BYTES: Final = 16 << 20
_MAY_NOT: Final = 403


@dataclass(frozen=True, slots=True, kw_only=True)
class Deposits:
    """What putting data into object stores needs."""

    places: Places
    manifests: Manifests
    cargoes: Cargoes
    peers: OutboundClient
    clock: Clock
    allowed: tuple[str, ...]
    """Object stores that peers may name, as origins or patterns of them."""
    silence_s: float

    async def attempt(self, format_: str, address: DataAddress | None, source: Source, way: Way, stream: Stream) -> Moved:
        """One attempt; everything is in the store when it returns.

        Raises: KontorError otherwise; PeerMessage and AddressRefused when no attempt can succeed.
        """
        sink = _SINKS[format_](self, address, source.name)
        if source.is_folder:
            return await self._folder(sink, source, way, stream)
        async with self.cargoes.open(source, 0, stream.moved) as cargo:
            await self._put(sink, sink.key, cargo, way, stream)
            return Moved(byte_size=cargo.sent(), digest=cargo.final_digest())

    async def _folder(self, sink: Sink, source: Source, way: Way, stream: Stream) -> Moved:
        """Each file below the key, and last the manifest beside them."""
        tree = self.places.tree(source)
        manifest = await self.manifests.describe(tree, stream.moved)
        root = sink.key.rstrip("/")
        done = 0
        for path, entry in manifest.entries.items():
            stream.moved()
            key = f"{root}/{path}"
            if await self._found(sink, key) != (entry.byte_size, entry.digest):
                async with tree.opened(path) as file:
                    if (file.byte_size, file.version) != (entry.byte_size, entry.version):
                        raise SourceError("a file changed while its folder was pushed", where=path)
                    cargo = Cargo(
                        file.chunks(0, file.byte_size, path),
                        offset=0, byte_size=file.byte_size, digest=entry.digest, media_type=media_type_of(path),
                    )  # fmt: skip
                    await self._put(sink, key, cargo, Way(), stream)
            done += entry.byte_size
            way.offset = max(way.offset, done)
        about = About(media_type=MANIFEST_TYPE, digest=manifest.digest())
        await sink.put(self.clock.now(), f"{root}.manifest.json", Piece.of(manifest.written()), about)
        return Moved(byte_size=manifest.byte_size, digest=manifest.digest())

    async def _put(self, sink: Sink, key: str, cargo: Cargo, way: Way, stream: Stream) -> None:
        """`cargo` as the object `key`, whole."""
        size = cargo.byte_size
        piece_bytes = max(PART_BYTES, -(-size // _MOST_PARTS)) if size is not None else _WITHOUT_SIZE_BYTES
        about = About(media_type=cargo.media_type, digest=cargo.digest)
        pieces = _pieces(stream.paced(cargo.chunks), piece_bytes)
        first = await anext(pieces)
        if len(first.data) < piece_bytes:
            await sink.put(self.clock.now(), key, first, about)
        else:
            await self._put_pieces(sink, key, about, first, pieces, way, stream)
        found = await self._found(sink, key)
        if found is not None and found[0] != cargo.sent():
            raise PeerAnswer(f"the object store has {found[0]} bytes of {cargo.sent()}", answer_status=500, where=key)

    async def _found(self, sink: Sink, key: str) -> tuple[int | None, str | None] | None:
        """As `Sink.size_and_digest`; None where we may not look: what we were given may be good for writing only.

        The store has checked each piece all the same.
        """
        try:
            return await sink.size_and_digest(self.clock.now(), key)
        except PeerAnswer as fault:
            if fault.answer_status != _MAY_NOT:
                raise
            return None

    async def _put_pieces(
        self, sink: Sink, key: str, about: About, piece: Piece, following: AsyncIterator[Piece], way: Way, stream: Stream
    ) -> None:
        now = self.clock.now
        upload = await sink.begin(now(), key, about, way.mark)
        if upload.mark and upload.mark != way.mark:
            # INVARIANT: kept before anything is sent: what a killed node has sent is never lost to the next one
            await way.note(upload.mark)
        done = 0
        while piece.data:
            if len(upload.tags) == _MOST_PARTS:
                raise SourceError("the data is larger than an object can be", where=key, mend="push it elsewhere")
            await sink.add(now(), upload, piece)
            stream.moved()
            done += len(piece.data)
            way.offset = max(way.offset, done)
            piece = Piece()  # let go before the next one is gathered
            piece = await anext(following, piece)
        stream.moved()
        await sink.finish(now(), upload)


def _s3(deposits: Deposits, address: DataAddress | None, name: str) -> Sink:
    bucket = bucket_of(address, name, deposits.allowed)
    return Store(peers=deposits.peers, bucket=bucket, silence_s=deposits.silence_s)


def _google(deposits: Deposits, address: DataAddress | None, name: str) -> Sink:
    bucket = google_bucket_of(address, name, deposits.allowed)
    return Store(peers=deposits.peers, bucket=bucket, silence_s=deposits.silence_s)


def _azure(deposits: Deposits, address: DataAddress | None, name: str) -> Sink:
    from connector.dataplane.azure import BlobStore, container_of

    container = container_of(address, name, deposits.allowed)
    return BlobStore(peers=deposits.peers, container=container, silence_s=deposits.silence_s)


_SINKS: Final[dict[str, Callable[[Deposits, DataAddress | None, str], Sink]]] = {
    S3_PUSH: _s3,
    AZURE_PUSH: _azure,
    GOOGLE_PUSH: _google,
}
FORMATS: Final = tuple(_SINKS)
"""The formats that put data into a store which a peer names."""


async def _pieces(chunks: AsyncIterator[bytes], piece_bytes: int) -> AsyncIterator[Piece]:
    """`chunks` in pieces of that size; the last one is smaller, and may be empty when it is the only one."""
    piece, is_first = Piece(), True
    async for chunk in chunks:
        view = memoryview(chunk)
        while view:
            part = view[: piece_bytes - len(piece.data)]
            piece.add(part)
            view = view[len(part) :]
            if len(piece.data) == piece_bytes:
                yield piece
                piece, is_first = Piece(), False
    if piece.data or is_first:
        yield piece
