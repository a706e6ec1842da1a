"""Buckets that a peer names, in stores that speak S3: Amazon's and its likes, and Google Cloud Storage.

What lives here: reading such an address and holding it against the operator's allow list; signing, or showing Google's token; the
few requests of a multi-part upload, which both spell alike. What does not: what is sent and when (`deposit.py`), stores of our
own operators (`objects.py`).
A library would resolve and connect by itself; here what was judged is what is connected to, without redirects (`outbound/`).
Source: Amazon S3 API 2006-03-01; AWS Signature Version 4 ("Signature Calculations for the Authorization Header"); Google Cloud
Storage, XML API ("Multipart uploads", "Request headers").
"""

from __future__ import annotations

import hashlib
import hmac
import html
import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final
from urllib.parse import quote, urlsplit

from connector.dataplane.sinks import About, Piece, Upload, check_allowed, found_in, id_in, origin_of
from connector.dsp.messages import DataAddress
from connector.errors import PeerAnswer, PeerMessage
from connector.outbound.client import OutboundClient
from connector.outbound.rules import shown

GOOGLE: Final = "https://storage.googleapis.com"
_EMPTY: Final = Piece()
_MOST_OF_AN_ANSWER: Final = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """A place for objects that a peer names, with the keys it gave for it."""

    endpoint: str
    name: str
    key: str
    region: str = "us-east-1"
    access_key: str = ""
    secret_key: str = field(default="", repr=False)
    session_token: str | None = field(default=None, repr=False)
    bearer: str | None = field(default=None, repr=False)
    """Google's: an OAuth2 token in place of keys."""


def bucket_of(address: DataAddress | None, name: str, allowed: tuple[str, ...]) -> Bucket:
    """Where a consumer wants objects, from its data address; without a key, under `name`.

    Raises: PeerMessage when something is missing, AddressRefused when the operator has not allowed the store.
    Source: the property names are those of the field (EDC's `AmazonS3`).
    """
    endpoint = address.endpoint_url() if address is not None else None
    endpoint = endpoint or found_in(address, "endpointOverride")
    bucket = found_in(address, "bucketName", "bucket")
    access_key, secret_key = found_in(address, "accessKeyId"), found_in(address, "secretAccessKey")
    if not (endpoint and bucket and access_key and secret_key):
        raise PeerMessage(
            "the data address of the push names no object store",
            where="dataAddress",
            mend="name `endpoint`, `bucketName`, `accessKeyId` and `secretAccessKey`",
        )
    check_allowed(endpoint, allowed)
    return Bucket(
        endpoint=endpoint.rstrip("/"),
        name=_name(bucket),
        key=found_in(address, "keyName", "objectName", "key") or name,
        region=found_in(address, "region") or "us-east-1",
        access_key=access_key,
        secret_key=secret_key,
        session_token=found_in(address, "sessionToken"),
    )


def google_bucket_of(address: DataAddress | None, name: str, allowed: tuple[str, ...]) -> Bucket:
    """Where a consumer wants objects in Google Cloud Storage; as `bucket_of`.

    Source: the property names are those of the field (EDC's `GoogleCloudStorage`); the token is one of OAuth2.
    """
    endpoint = (address.endpoint_url() if address is not None else None) or GOOGLE
    bucket, token = found_in(address, "bucketName", "bucket", "bucket_name"), found_in(address, "accessToken", "authorization")
    if not (bucket and token):
        raise PeerMessage(
            "the data address of the push names no bucket of Google's",
            where="dataAddress",
            mend="name `bucketName` and `accessToken`",
        )
    check_allowed(endpoint, allowed)
    return Bucket(
        endpoint=endpoint.rstrip("/"),
        name=_name(bucket),
        key=found_in(address, "objectName", "keyName", "blobName", "blob_name") or name,
        bearer=token.removeprefix("Bearer ").strip(),
    )


def _name(bucket: str) -> str:
    if "/" in bucket:
        raise PeerMessage("this is no name of a bucket", where="dataAddress.bucketName")
    return bucket


def opened(
    bucket: Bucket, method: str, key: str, query: Mapping[str, str], headers: Mapping[str, str], piece: Piece, now: datetime
) -> tuple[str, dict[str, str]]:
    """The URL and headers of a request about `key` whose body is `piece`; what is signed is signed with its digest."""
    parts = urlsplit(bucket.endpoint)
    path = quote(f"{parts.path}/{bucket.name}" + (f"/{key}" if key else ""), safe="/-_.~")
    search = "&".join(f"{quote(name, safe='-_.~')}={quote(query[name], safe='-_.~')}" for name in sorted(query))
    url = f"{origin_of(bucket.endpoint)}{path}" + (f"?{search}" if search else "")
    if bucket.bearer is not None:
        return url, {**headers, "Authorization": f"Bearer {bucket.bearer}"}
    return url, _signed(bucket, method, path, search, headers, piece.sha256.hexdigest(), now)


def _sum(piece: Piece) -> str:
    return b64encode(piece.sha256.digest()).decode()


def _signed(
    bucket: Bucket, method: str, path: str, search: str, headers: Mapping[str, str], payload: str, now: datetime
) -> dict[str, str]:
    """The headers of a request, with those that prove us."""
    moment = now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    sent = {**headers, "x-amz-date": moment, "x-amz-content-sha256": payload}
    if bucket.session_token:
        sent["x-amz-security-token"] = bucket.session_token
    proven = {name.lower(): value.strip() for name, value in sent.items() if name.lower().startswith("x-amz-")}
    proven["host"] = origin_of(bucket.endpoint).partition("://")[2]
    names = ";".join(sorted(proven))
    lines = "".join(f"{name}:{proven[name]}\n" for name in sorted(proven))
    request = "\n".join((method, path, search, lines, names, payload))
    scope = f"{moment[:8]}/{bucket.region}/s3/aws4_request"
    text = "\n".join(("AWS4-HMAC-SHA256", moment, scope, hashlib.sha256(request.encode()).hexdigest()))
    secret = f"AWS4{bucket.secret_key}".encode()
    for step in scope.split("/"):
        secret = hmac.digest(secret, step.encode(), "sha256")
    signature = hmac.digest(secret, text.encode(), "sha256").hex()
    credential = f"Credential={bucket.access_key}/{scope}"
    sent["Authorization"] = f"AWS4-HMAC-SHA256 {credential}, SignedHeaders={names}, Signature={signature}"
    return sent


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What the store answers."""

    status: int
    headers: Mapping[str, str]
    text: str

    def word(self, name: str) -> str | None:
        """The content of the first element `name`."""
        found = re.search(f"<{name}>([^<]*)</{name}>", self.text)
        return html.unescape(found.group(1)) if found else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """A bucket as a `Sink`."""

    peers: OutboundClient
    bucket: Bucket
    silence_s: float

    @property
    def key(self) -> str:
        return self.bucket.key

    async def ask(
        self,
        now: datetime,
        method: str,
        key: str,
        query: Mapping[str, str] | None = None,
        piece: Piece = _EMPTY,
        *,
        headers: Mapping[str, str] | None = None,
        missing: bool = False,
    ) -> Told:
        """The store's answer; 404 is one only when something may be `missing`.

        Raises: PeerAnswer when it refuses or fails, Unreachable, AddressRefused.
        """
        if piece.data and self.bucket.bearer is not None:
            headers = {**(headers or {}), "Content-MD5": b64encode((await piece.md5()).digest()).decode()}
        elif piece.data and method == "PUT":
            # not every store checks what was signed; this one checks each that knows it, and it is at hand
            headers = {**(headers or {}), "x-amz-checksum-sha256": _sum(piece), "x-amz-sdk-checksum-algorithm": "SHA256"}
        url, sent = opened(self.bucket, method, key, query or {}, headers or {}, piece, now)
        if method not in ("GET", "HEAD"):
            sent["Content-Length"] = str(len(piece.data))
        content = piece.slices() if piece.data else None
        async with self.peers.stream(method, url, sent, content, silence_s=self.silence_s) as answer:
            text = (await answer.read(_MOST_OF_AN_ANSWER)).decode("utf-8", "replace")
            told = Told(status=answer.status, headers=answer.headers, text=text)
        # a completion may fail under a 200 that was sent before (S3, "CompleteMultipartUpload")
        is_error = not 200 <= told.status < 300 or "<Error>" in text
        if is_error and not (missing and told.status == 404):
            reason = told.word("Message") or told.word("Code") or ""
            raise PeerAnswer(
                f"the object store answers {told.status}{f': {reason[:300]}' if reason else ''}",
                answer_status=told.status if told.status >= 300 else 500,
                where=shown(url),
            )
        return told

    async def size_and_digest(self, now: datetime, key: str) -> tuple[int | None, str | None]:
        """Size of the object `key` and the SHA-256 that it was put with; None where there is none."""
        told = await self.ask(now, "HEAD", key, missing=True)
        if told.status == 404:
            return None, None
        length = told.headers.get("content-length", "")
        return (int(length) if length.isdigit() else None), told.headers.get(self._digest_header)

    async def put(self, now: datetime, key: str, piece: Piece, about: About) -> None:
        """`piece` as the whole object."""
        await self.ask(now, "PUT", key, piece=piece, headers=self._headers(about))

    async def begin(self, now: datetime, key: str, about: About, mark: str = "") -> Upload:
        """An upload of `key`; parts that are there are told by their MD5, which the store gives as ETag.

        Who began an upload may list its parts, and not always which uploads there are: hence `mark`.
        """
        id_: str | None = id_in(mark, key, about)
        there = await self.parts_of(now, key, id_) if id_ else None
        if there is None:
            id_ = await self.upload_of(now, key)
            there = (await self.parts_of(now, key, id_) if id_ else None) or {}
        if not id_:
            told = self._headers(about) | ({"x-amz-checksum-algorithm": "SHA256"} if self.bucket.bearer is None else {})
            id_ = (await self.ask(now, "POST", key, {"uploads": ""}, headers=told)).word("UploadId")
        if not id_:
            raise PeerAnswer("the object store begins no upload", answer_status=500, where=key)
        return Upload(key=key, about=about, id=id_, there=there)

    async def add(self, now: datetime, upload: Upload, piece: Piece) -> None:
        """The next part; a store whose ETags are no MD5 gets all of them again."""
        number = len(upload.tags) + 1
        tag = upload.there.get(number, "")
        if not tag or tag != (await piece.md5()).hexdigest():
            query = {"partNumber": str(number), "uploadId": upload.id}
            told = await self.ask(now, "PUT", upload.key, query, piece)
            tag = told.headers.get("etag", "").strip('"')
        upload.tags.append(tag)
        upload.sums.append(f"<ChecksumSHA256>{_sum(piece)}</ChecksumSHA256>" if self.bucket.bearer is None else "")

    async def finish(self, now: datetime, upload: Upload) -> None:
        """The parts of `upload` become the object."""
        listed = "".join(
            f'<Part><PartNumber>{number}</PartNumber><ETag>"{tag}"</ETag>{checksum}</Part>'
            for number, (tag, checksum) in enumerate(zip(upload.tags, upload.sums, strict=True), start=1)
        )
        body = Piece.of(f"<CompleteMultipartUpload>{listed}</CompleteMultipartUpload>".encode())
        await self.ask(now, "POST", upload.key, {"uploadId": upload.id}, body)

    @property
    def _digest_header(self) -> str:
        return "x-amz-meta-sha256" if self.bucket.bearer is None else "x-goog-meta-sha256"

    def _headers(self, about: About) -> dict[str, str]:
        told = {"Content-Type": about.media_type}
        return told | ({self._digest_header: about.digest} if about.digest is not None else {})

    async def upload_of(self, now: datetime, key: str) -> str | None:
        """The id of an upload of `key` that was begun and not completed."""
        try:
            told = await self.ask(now, "GET", "", {"uploads": "", "prefix": key}, missing=True)
        except PeerAnswer as fault:
            if fault.answer_status in (403, 501):  # the keys may be good for writing only
                return None
            raise
        for upload in re.findall(r"<Upload>(.*?)</Upload>", told.text, re.DOTALL):
            one = Told(status=200, headers={}, text=upload)
            # parts of another checksum could not be added to
            if one.word("Key") == key and one.word("ChecksumAlgorithm") in (None, "SHA256"):
                return one.word("UploadId")
        return None

    async def parts_of(self, now: datetime, key: str, upload: str) -> dict[int, str] | None:
        """The ETag of each part that is there, without quotes; None when there is no such upload any more."""
        found: dict[int, str] = {}
        marker = "0"
        while True:
            told = await self.ask(now, "GET", key, {"uploadId": upload, "part-number-marker": marker}, missing=True)
            if told.status == 404:
                return None
            for part in re.findall(r"<Part>(.*?)</Part>", told.text, re.DOTALL):
                one = Told(status=200, headers={}, text=part)
                number, tag = one.word("PartNumber") or "", one.word("ETag") or ""
                if number.isdigit():
                    found[int(number)] = tag.strip('"')
            following = told.word("NextPartNumberMarker") or ""
            if told.word("IsTruncated") != "true" or not following.isdigit() or int(following) <= int(marker):
                return found
            marker = following
