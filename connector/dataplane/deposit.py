"""`S3-PUSH`: data put into a bucket that the consumer names, in parts, each checked by the store.

What lives here: one attempt. Parts that an earlier attempt has left are found by their MD5, which the store gives as ETag, and
only those that are missing are sent; a store with other ETags gets all of them again. Memory holds one part.
What does not: requests and signing (`s3.py`), attempts and pauses (`push.py`).
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Final

from connector.dataplane.cargo import Cargo, Cargoes
from connector.dataplane.manifests import MANIFEST_TYPE, Manifests
from connector.dataplane.s3 import Store, bucket_of
from connector.dataplane.sending import Moved, Way
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


@dataclass(slots=True)
class _Part:
    """The bytes of one part, hashed as they come."""

    data: bytearray = field(default_factory=bytearray)
    md5: hashlib._Hash = field(default_factory=lambda: hashlib.md5(usedforsecurity=False))
    sha256: hashlib._Hash = field(default_factory=hashlib.sha256)

    def add(self, piece: bytes | memoryview) -> None:
        self.data += piece
        self.md5.update(piece)
        self.sha256.update(piece)


@dataclass(frozen=True, slots=True, kw_only=True)
class Deposits:
    """What putting data into buckets needs."""

    places: Places
    manifests: Manifests
    cargoes: Cargoes
    peers: OutboundClient
    clock: Clock
    allowed: tuple[str, ...]
    """Object stores that peers may name, as origins or patterns of them."""
    silence_s: float

    async def attempt(self, address: DataAddress | None, source: Source, way: Way, stream: Stream) -> Moved:
        """One attempt; everything is in the bucket when it returns.

        Raises: KontorError otherwise; PeerMessage and AddressRefused when no attempt can succeed.
        """
        bucket = bucket_of(address, source.name, self.allowed)
        store = Store(peers=self.peers, bucket=bucket, silence_s=self.silence_s)
        if source.is_folder:
            return await self._folder(store, source, way, stream)
        async with self.cargoes.open(source, 0, stream.moved) as cargo:
            await self._put(store, bucket.key, cargo, way, stream)
            return Moved(byte_size=cargo.sent(), digest=cargo.final_digest())

    async def _folder(self, store: Store, source: Source, way: Way, stream: Stream) -> Moved:
        """Each file below the key, and last the manifest beside them."""
        tree = self.places.tree(source)
        manifest = await self.manifests.describe(tree, stream.moved)
        root = store.bucket.key.rstrip("/")
        done = 0
        for path, entry in manifest.entries.items():
            stream.moved()
            key = f"{root}/{path}"
            if await store.size_and_digest(self.clock.now(), key) != (entry.byte_size, entry.digest):
                async with tree.opened(path) as file:
                    if (file.byte_size, file.version) != (entry.byte_size, entry.version):
                        raise SourceError("a file changed while its folder was pushed", where=path)
                    cargo = Cargo(
                        file.chunks(0, file.byte_size, path),
                        offset=0, byte_size=file.byte_size, digest=entry.digest, media_type=media_type_of(path),
                    )  # fmt: skip
                    await self._put(store, key, cargo, Way(), stream)
            done += entry.byte_size
            way.offset = max(way.offset, done)
        body = manifest.written()
        headers = {"Content-Type": MANIFEST_TYPE, "x-amz-meta-sha256": manifest.digest()}
        await store.ask(self.clock.now(), "PUT", f"{root}.manifest.json", body=body, headers=headers)
        return Moved(byte_size=manifest.byte_size, digest=manifest.digest())

    async def _put(self, store: Store, key: str, cargo: Cargo, way: Way, stream: Stream) -> None:
        """`cargo` as the object `key`, whole."""
        size = cargo.byte_size
        part_bytes = max(PART_BYTES, -(-size // _MOST_PARTS)) if size is not None else _WITHOUT_SIZE_BYTES
        headers = {"Content-Type": cargo.media_type}
        if cargo.digest is not None:
            headers["x-amz-meta-sha256"] = cargo.digest
        parts = _parts(stream.paced(cargo.chunks), part_bytes)
        first = await anext(parts)
        if len(first.data) < part_bytes:
            await store.ask(self.clock.now(), "PUT", key, body=first.data, payload=first.sha256.hexdigest(), headers=headers)
        else:
            await self._put_parts(store, key, first, parts, headers, way, stream)
        there, _ = await store.size_and_digest(self.clock.now(), key)
        if there != cargo.sent():
            raise PeerAnswer(f"the object store has {there} bytes of {cargo.sent()}", answer_status=500, where=key)

    async def _put_parts(
        self,
        store: Store,
        key: str,
        part: _Part,
        following: AsyncIterator[_Part],
        headers: dict[str, str],
        way: Way,
        stream: Stream,
    ) -> None:
        # 1. an upload that was begun before, or a new one
        now = self.clock.now
        upload = await store.upload_of(now(), key)
        there = await store.parts_of(now(), key, upload) if upload else {}
        if upload is None:
            told = await store.ask(now(), "POST", key, {"uploads": ""}, headers=headers)
            upload = told.word("UploadId")
            if not upload:
                raise PeerAnswer("the object store begins no upload", answer_status=500, where=key)
        # 2. the parts that it has not
        tags: list[str] = []
        done = 0
        while part.data:
            number = len(tags) + 1
            tag = part.md5.hexdigest()
            if number > _MOST_PARTS:
                raise SourceError("the data is larger than an object can be", where=key, mend="push it elsewhere")
            if there.get(number) != tag:
                told = await store.ask(
                    now(), "PUT", key, {"partNumber": str(number), "uploadId": upload},
                    part.data, payload=part.sha256.hexdigest(),
                )  # fmt: skip
                tag = told.headers.get("etag", "").strip('"')
            stream.moved()
            tags.append(tag)
            done += len(part.data)
            way.offset = max(way.offset, done)
            part = _Part()  # let go before the next one is gathered
            part = await anext(following, part)
        # 3. all of them become the object
        listed = "".join(
            f'<Part><PartNumber>{number}</PartNumber><ETag>"{tag}"</ETag></Part>' for number, tag in enumerate(tags, start=1)
        )
        body = f"<CompleteMultipartUpload>{listed}</CompleteMultipartUpload>".encode()
        stream.moved()
        await store.ask(now(), "POST", key, {"uploadId": upload}, body)


async def _parts(chunks: AsyncIterator[bytes], part_bytes: int) -> AsyncIterator[_Part]:
    """`chunks` in parts of that size; the last one is smaller, and may be empty when it is the only one."""
    part, is_first = _Part(), True
    async for chunk in chunks:
        view = memoryview(chunk)
        while view:
            piece = view[: part_bytes - len(part.data)]
            part.add(piece)
            view = view[len(piece) :]
            if len(part.data) == part_bytes:
                yield part
                part, is_first = _Part(), False
    if part.data or is_first:
        yield part
