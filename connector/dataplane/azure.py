"""Containers in Azure Blob Storage that a peer names, opened by the shared access signature that it gave.

What lives here: reading such an address and holding it against the operator's allow list; the few requests of an upload in blocks.
What does not: what is sent and when (`deposit.py`), stores of our own operators (`objects.py`).
A block's name is made of its number and digest, so what an earlier attempt has left is known by its name. An account key is never
taken from a peer: it would open the whole account.
Source: Azure Blob Storage REST API, version 2021-12-02: Put Blob, Put Block, Put Block List, Get Block List, Get Blob Properties.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import format_datetime
from typing import Final
from urllib.parse import quote, unquote, urlsplit

from connector.dataplane.sinks import About, Piece, Upload, check_allowed, found_in
from connector.dsp.messages import DataAddress
from connector.errors import PeerAnswer, PeerMessage
from connector.outbound.client import OutboundClient, StreamedAnswer
from connector.outbound.rules import shown

_VERSION: Final = "2021-12-02"
_MOST_OF_AN_ANSWER: Final = 8 << 20
_ACCOUNT: Final = re.compile("[a-z0-9]{3,24}")
_MAY_NOT: Final = 403
_EMPTY: Final = Piece()


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """A place for blobs that a peer names, with what it gave to open it."""

    endpoint: str
    """Of the account."""
    name: str
    key: str
    signature: str = field(repr=False)
    """The shared access signature: a query."""


def container_of(address: DataAddress | None, name: str, allowed: tuple[str, ...]) -> Container:
    """Where a consumer wants blobs, from its data address; without a name of one, under `name`.

    Raises: PeerMessage when something is missing, AddressRefused when the operator has not allowed the store.
    Source: the property names are those of the field (EDC's `AzureStorage`).
    """
    endpoint, account = address.endpoint_url() if address is not None else None, found_in(address, "account", "accountName")
    if not endpoint and account and _ACCOUNT.fullmatch(account):
        endpoint = f"https://{account}.blob.core.windows.net"
    container, signature = found_in(address, "container", "containerName"), found_in(address, "sasToken", "sas")
    if not (endpoint and container and signature):
        raise PeerMessage(
            "the data address of the push names no container",
            where="dataAddress",
            mend="name `account` or `endpoint`, `container` and `sasToken`",
        )
    if "/" in container:
        raise PeerMessage("this is no name of a container", where="dataAddress.container")
    check_allowed(endpoint, allowed)
    if urlsplit(endpoint).query or not signature.isascii() or not signature.isprintable() or "#" in signature:
        raise PeerMessage("this is no address of an account with its signature", where="dataAddress.sasToken")
    folder, blob = found_in(address, "folderName"), found_in(address, "blobName", "objectName", "keyName") or name
    return Container(
        endpoint=endpoint.rstrip("/"),
        name=container,
        key=f"{folder.rstrip('/')}/{blob}" if folder else blob,
        signature=signature.lstrip("?"),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobStore:
    """A container as a `Sink`."""

    peers: OutboundClient
    container: Container
    silence_s: float

    @property
    def key(self) -> str:
        return self.container.key

    async def size_and_digest(self, now: datetime, key: str) -> tuple[int | None, str | None]:
        """Size of the blob `key` and the SHA-256 that it was put with; None where there is none."""
        found = await self._ask(now, "HEAD", key, missing=True)
        if found is None:
            return None, None
        length = found[0].headers.get("content-length", "")
        return (int(length) if length.isdigit() else None), found[0].headers.get("x-ms-meta-sha256")

    async def put(self, now: datetime, key: str, piece: Piece, about: About) -> None:
        """`piece` as the whole blob."""
        headers = {"x-ms-blob-type": "BlockBlob", **_headers(about)}
        await self._ask(now, "PUT", key, piece=piece, headers=headers)

    async def begin(self, now: datetime, key: str, about: About, mark: str = "") -> Upload:
        """An upload of `key`, with the blocks that are there and belong to no blob yet."""
        try:
            found = await self._ask(now, "GET", key, {"comp": "blocklist", "blocklisttype": "uncommitted"}, missing=True)
        except PeerAnswer as fault:
            if fault.answer_status != _MAY_NOT:
                raise
            found = None  # the signature may be good for writing only
        names = re.findall(r"<Name>([^<]+)</Name>", found[1]) if found is not None else ()
        return Upload(key=key, about=about, there=dict(filter(None, map(_numbered, names))))

    async def add(self, now: datetime, upload: Upload, piece: Piece) -> None:
        """The next block."""
        number = len(upload.tags) + 1
        tag = _tag(number, piece)
        if upload.there.get(number) != tag:
            await self._ask(now, "PUT", upload.key, {"comp": "block", "blockid": tag}, piece)
        upload.tags.append(tag)

    async def finish(self, now: datetime, upload: Upload) -> None:
        """The blocks of `upload` become the blob."""
        listed = "".join(f"<Latest>{tag}</Latest>" for tag in upload.tags)
        body = Piece.of(f'<?xml version="1.0" encoding="utf-8"?><BlockList>{listed}</BlockList>'.encode())
        await self._ask(now, "PUT", upload.key, {"comp": "blocklist"}, body, headers=_headers(upload.about))

    async def _ask(
        self,
        now: datetime,
        method: str,
        key: str,
        query: Mapping[str, str] | None = None,
        piece: Piece = _EMPTY,
        *,
        headers: Mapping[str, str] | None = None,
        missing: bool = False,
    ) -> tuple[StreamedAnswer, str] | None:
        """The store's answer and its text; None when something that may be `missing` is.

        Raises: PeerAnswer when it refuses or fails, Unreachable, AddressRefused.
        """
        at = self.container
        asked = "".join(f"{name}={quote(value, safe='')}&" for name, value in (query or {}).items())
        url = f"{at.endpoint}/{quote(at.name, safe='')}/{quote(key, safe='/-_.~')}?{asked}{at.signature}"
        sent = {**(headers or {}), "x-ms-version": _VERSION, "x-ms-date": format_datetime(now, usegmt=True)}
        if method == "PUT":
            sent["Content-Length"] = str(len(piece.data))
            sent["Content-MD5"] = b64encode((await piece.md5()).digest()).decode()
        content = piece.slices() if piece.data else None
        async with self.peers.stream(method, url, sent, content, silence_s=self.silence_s) as answer:
            text = (await answer.read(_MOST_OF_AN_ANSWER)).decode("utf-8", "replace")
        if missing and answer.status == 404:
            return None
        if not 200 <= answer.status < 300:
            reason = re.search(r"<Message>([^<]*)", text)
            said = f": {' '.join(reason.group(1).split())[:300]}" if reason else ""
            raise PeerAnswer(
                f"the object store answers {answer.status}{said}",
                answer_status=answer.status if answer.status >= 300 else 500,
                where=shown(url),
            )
        return answer, text


def _headers(about: About) -> dict[str, str]:
    told = {"x-ms-blob-content-type": about.media_type}
    return told | ({"x-ms-meta-sha256": about.digest} if about.digest is not None else {})


def _tag(number: int, piece: Piece) -> str:
    """The name of a block; all names of one blob must be of one length."""
    return b64encode(f"{number:06d}-{piece.sha256.hexdigest()[:40]}".encode()).decode()


def _numbered(tag: str) -> tuple[int, str] | None:
    """The number in the name of a block of ours."""
    try:
        number = b64decode(unquote(tag), validate=True).partition(b"-")[0]
    except ValueError:
        return None
    return (int(number), unquote(tag)) if number.isdigit() else None
