"""The baseline of object stores: obstore alone, one read stream and one multi-part upload, without anything around it.

python -m tests.bench.copying PORT URL      GET /SOURCE/TARGET copies one object of the bucket `bench`; GET /health answers 200
"""

from __future__ import annotations

import asyncio
import sys
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer

import obstore
from obstore.store import S3Store

from tests.servers.s3 import keys_in

BUCKET = "bench"
PART_BYTES = 8 << 20


def store(url: str) -> S3Store:
    """The bucket on the server at `url`, which carries the keys."""
    endpoint, key, secret = keys_in(url)
    return S3Store(
        BUCKET,
        config={"endpoint": endpoint, "region": "us-east-1", "access_key_id": key, "secret_access_key": secret},
        client_options={"allow_http": True, "timeout": timedelta(hours=1)},
    )


async def copy(at: S3Store, source: str, target: str) -> None:
    """One object to another place, through this process."""
    found = await obstore.get_async(at, source)
    await obstore.put_async(at, target, found.stream(), use_multipart=True, chunk_size=PART_BYTES)


def main(port: int, url: str) -> None:
    at = store(url)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path != "/health":
                _, source, target = self.path.split("/")
                asyncio.run(copy(at, source, target))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: what is measured is the copy."""

    HTTPServer(("127.0.0.1", port), Handler).serve_forever()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
