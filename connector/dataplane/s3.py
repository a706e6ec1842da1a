"""Object stores that a peer names: signed requests to S3 through the one vetted way out.

What lives here: reading such an address and holding it against the operator's allow list; signing; the few requests of a
multi-part upload. What does not: what is sent and when (`deposit.py`), stores of our own operators (`objects.py`).
A library would resolve and connect by itself; here what was judged is what is connected to, without redirects (`outbound/`).
Source: Amazon S3 API 2006-03-01; AWS Signature Version 4 ("Signature Calculations for the Authorization Header").
"""

from __future__ import annotations

import hashlib
import hmac
import html
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Final
from urllib.parse import quote, urlsplit

from connector.dsp.messages import DataAddress
from connector.errors import AddressRefused, PeerAnswer, PeerMessage
from connector.outbound.client import OutboundClient
from connector.outbound.rules import shown

EMPTY: Final = hashlib.sha256(b"").hexdigest()
_SLICE_BYTES: Final = 256 << 10
_MOST_OF_AN_ANSWER: Final = 1 << 20
_PORTS: Final = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """A place for objects that a peer names, with the keys it gave for it."""

    endpoint: str
    name: str
    key: str
    region: str
    access_key: str
    secret_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)


def origin_of(url: str) -> str:
    """Scheme, host and port of `url`, the port only where it is not the usual one."""
    parts = urlsplit(url)
    port = f":{parts.port}" if parts.port and parts.port != _PORTS.get(parts.scheme) else ""
    host = parts.hostname or ""
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}{port}".lower()


def check_allowed(url: str, allowed: tuple[str, ...]) -> None:
    """Raises: AddressRefused when the operator has not allowed the object store at `url`."""
    if not any(fnmatchcase(origin_of(url), pattern.lower().rstrip("/")) for pattern in allowed):
        raise AddressRefused(
            "this object store is not on the allow list", where=shown(url), mend="see `data.allowed_object_endpoints`"
        )


def bucket_of(address: DataAddress | None, name: str, allowed: tuple[str, ...]) -> Bucket:
    """Where a consumer wants objects, from its data address; without a key, under `name`.

    Raises: PeerMessage when something is missing, AddressRefused when the operator has not allowed the store.
    Source: the property names are those of the field (EDC's `AmazonS3`).
    """

    def found(*names: str) -> str | None:
        return next((value for name in names if address is not None and (value := address.property(name))), None)

    endpoint = address.endpoint_url() if address is not None else None
    endpoint = endpoint or found("endpointOverride")
    bucket, access_key, secret_key = found("bucketName", "bucket"), found("accessKeyId"), found("secretAccessKey")
    if not (endpoint and bucket and access_key and secret_key):
        raise PeerMessage(
            "the data address of the push names no object store",
            where="dataAddress",
            mend="name `endpoint`, `bucketName`, `accessKeyId` and `secretAccessKey`",
        )
    if "/" in bucket:
        raise PeerMessage("this is no name of a bucket", where="dataAddress.bucketName")
    check_allowed(endpoint, allowed)
    return Bucket(
        endpoint=endpoint.rstrip("/"),
        name=bucket,
        key=found("keyName", "objectName", "key") or name,
        region=found("region") or "us-east-1",
        access_key=access_key,
        secret_key=secret_key,
        session_token=found("sessionToken"),
    )


def signed(
    bucket: Bucket, method: str, key: str, query: Mapping[str, str], headers: Mapping[str, str], payload: str, now: datetime
) -> tuple[str, dict[str, str]]:
    """The URL and headers of a request about `key`; `payload` is the SHA-256 of its body, which the store checks."""
    parts = urlsplit(bucket.endpoint)
    path = quote(f"{parts.path}/{bucket.name}" + (f"/{key}" if key else ""), safe="/-_.~")
    search = "&".join(f"{quote(name, safe='-_.~')}={quote(query[name], safe='-_.~')}" for name in sorted(query))
    moment = now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    origin = origin_of(bucket.endpoint)
    sent = {**headers, "x-amz-date": moment, "x-amz-content-sha256": payload}
    if bucket.session_token:
        sent["x-amz-security-token"] = bucket.session_token
    proven = {name.lower(): value.strip() for name, value in sent.items() if name.lower().startswith("x-amz-")}
    proven["host"] = origin.partition("://")[2]
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
    return f"{origin}{path}" + (f"?{search}" if search else ""), sent


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
    """The requests of an upload."""

    peers: OutboundClient
    bucket: Bucket
    silence_s: float

    async def ask(
        self,
        now: datetime,
        method: str,
        key: str,
        query: Mapping[str, str] | None = None,
        body: bytes | bytearray = b"",
        *,
        payload: str | None = None,
        headers: Mapping[str, str] | None = None,
        missing: bool = False,
    ) -> Told:
        """The store's answer; 404 is one only when something may be `missing`.

        Raises: PeerAnswer when it refuses or fails, Unreachable, AddressRefused.
        """
        payload = payload or (hashlib.sha256(body).hexdigest() if body else EMPTY)
        url, sent = signed(self.bucket, method, key, query or {}, headers or {}, payload, now)
        content = _sliced(body) if body else None
        sent["Content-Length"] = str(len(body))
        if method in ("GET", "HEAD"):
            sent.pop("Content-Length")
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
        return (int(length) if length.isdigit() else None), told.headers.get("x-amz-meta-sha256")

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
            if one.word("Key") == key:
                return one.word("UploadId")
        return None

    async def parts_of(self, now: datetime, key: str, upload: str) -> dict[int, str]:
        """The ETag of each part that is there, without quotes."""
        found: dict[int, str] = {}
        marker = "0"
        while True:
            told = await self.ask(now, "GET", key, {"uploadId": upload, "part-number-marker": marker}, missing=True)
            for part in re.findall(r"<Part>(.*?)</Part>", told.text, re.DOTALL):
                one = Told(status=200, headers={}, text=part)
                number, tag = one.word("PartNumber") or "", one.word("ETag") or ""
                if number.isdigit():
                    found[int(number)] = tag.strip('"')
            following = told.word("NextPartNumberMarker") or ""
            if told.word("IsTruncated") != "true" or not following.isdigit() or int(following) <= int(marker):
                return found
            marker = following


async def _sliced(body: bytes | bytearray) -> AsyncIterator[bytes]:
    view = memoryview(body)
    for at in range(0, len(view), _SLICE_BYTES):
        yield bytes(view[at : at + _SLICE_BYTES])
