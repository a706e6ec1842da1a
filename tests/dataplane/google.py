"""Google Cloud Storage as a player of recorded exchanges: it answers nothing else, and knows what was asked.

What is recorded: the requests as the library and `s3.py` send them, the answers in the shapes that Google's reference of the XML API
publishes ("GET Bucket (List Objects)", "HEAD Object", "GET Object", "Initiate a multipart upload", "Object upload part", "List object
parts", "Complete a multipart upload"). They were not captured from Google's servers: nothing here has ever talked to them.
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from starlette.types import Receive, Scope, Send

from tests.dataplane.conftest import listening

XMLNS: Final = "http://doc.s3.amazonaws.com/2006-03-01"


@dataclass(frozen=True)
class Exchange:
    """One request and its answer."""

    asked: str
    """Method, path and query as they stand on the wire."""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass
class Asked:
    """One request as it came."""

    line: str
    headers: dict[str, str]
    body: bytes


def listed(bucket: str, prefix: str, *objects: tuple[str, bytes]) -> Exchange:
    """The listing of a prefix."""
    contents = "".join(
        f"<Contents><Key>{key}</Key><Generation>1764378000123456</Generation><MetaGeneration>1</MetaGeneration>"
        f"<LastModified>2025-11-29T01:00:00.123Z</LastModified><ETag>{tag(data)}</ETag><Size>{len(data)}</Size></Contents>"
        for key, data in objects
    )
    body = (
        f"<?xml version='1.0' encoding='UTF-8'?><ListBucketResult xmlns='{XMLNS}'><Name>{bucket}</Name><Prefix>{prefix}</Prefix>"
        f"<KeyCount>{len(objects)}</KeyCount><IsTruncated>false</IsTruncated>{contents}</ListBucketResult>"
    )
    query = f"?list-type=2&prefix={prefix.replace('/', '%2F')}"
    return Exchange(f"GET /{bucket}{query}", headers={"content-type": "application/xml; charset=UTF-8"}, body=body.encode())


def seen(path: str, data: bytes, **more: str) -> Exchange:
    """The headers of an object."""
    return Exchange(f"HEAD {path}", headers={**_about(data), "content-length": str(len(data)), **more})


def read(path: str, data: bytes) -> Exchange:
    """A reading of a whole object, asked for as a range."""
    headers = {**_about(data), "content-length": str(len(data)), "content-range": f"bytes 0-{len(data) - 1}/{len(data)}"}
    return Exchange(f"GET {path}", 206, headers, data)


def xml(asked: str, root: str, inside: str) -> Exchange:
    """An answer with a document."""
    body = f"<?xml version='1.0' encoding='UTF-8'?><{root} xmlns='{XMLNS}'>{inside}</{root}>".encode()
    return Exchange(asked, headers={"content-type": "application/xml; charset=UTF-8"}, body=body)


def tag(data: bytes) -> str:
    return f'"{hashlib.md5(data, usedforsecurity=False).hexdigest()}"'


def md5_of(data: bytes | bytearray) -> str:
    return b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()


def _about(data: bytes) -> dict[str, str]:
    return {
        "etag": tag(data),
        "last-modified": "Sat, 29 Nov 2025 01:00:00 GMT",
        "x-goog-generation": "1764378000123456",
        "x-goog-metageneration": "1",
        "x-goog-hash": f"md5={md5_of(data)}",
        "x-goog-storage-class": "STANDARD",
        "accept-ranges": "bytes",
    }


@asynccontextmanager
async def playing(*exchanges: Exchange) -> AsyncIterator[tuple[str, list[Asked]]]:
    """The address of a player and what it was asked; each exchange as often as it is asked for, everything else answered 418."""
    known = {exchange.asked: exchange for exchange in exchanges}
    came: list[Asked] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        body = bytearray()
        while (message := await receive())["type"] == "http.request":
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        query = scope["query_string"].decode()
        line = f"{scope['method']} {scope['raw_path'].decode()}{f'?{query}' if query else ''}"
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        came.append(Asked(line, headers, bytes(body)))
        found = known.get(line, Exchange(line, 418))
        told = dict(found.headers)
        if scope["method"] == "PUT" and found.status == 200:
            if headers.get("content-md5") != md5_of(body):
                found = Exchange(line, 400)
            told |= {"etag": tag(bytes(body)), "x-goog-hash": f"md5={md5_of(body)}"}
        await send(
            {
                "type": "http.response.start",
                "status": found.status,
                "headers": [(n.encode(), v.encode()) for n, v in told.items()],
            }
        )
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else found.body})

    async with listening(app) as url:
        yield url, came
