"""Places on a real S3 server, for tests: filled, read, and named as sources and destinations."""

from __future__ import annotations

import secrets

from connector.dsp.messages import DataAddress, EndpointProperty
from connector.ports.dataplane import ObjectPlace, Source
from tests.servers.s3 import keys_in


class Bucket:
    """A place of its own in a bucket on the server: buckets are dear there."""

    def __init__(self, url: str) -> None:
        from obstore.store import S3Store

        self.endpoint, self.access_key, self.secret_key = keys_in(url)
        self.name, self.root = "kontor-tests", f"{secrets.token_hex(6)}/"
        keys = {"access_key_id": self.access_key, "secret_access_key": self.secret_key}
        self.store = S3Store(
            self.name,
            config={"endpoint": self.endpoint, "region": "us-east-1", **keys},
            client_options={"allow_http": True},
        )

    async def put(self, key: str, data: bytes) -> None:
        import obstore

        await obstore.put_async(self.store, self.root + key, data)

    async def get(self, key: str) -> bytes:
        import obstore

        return bytes(await (await obstore.get_async(self.store, self.root + key)).bytes_async())

    def place(self, key: str) -> ObjectPlace:
        return ObjectPlace(
            bucket=self.name,
            key=self.root + key,
            endpoint=self.endpoint,
            access_key=self.access_key,
            secret_key=self.secret_key,
        )

    def source(self, key: str, **changes: object) -> Source:
        values = {"objects": self.place(key), "name": key.rstrip("/").rpartition("/")[2] or "data", **changes}
        return Source(type="s3", **values)  # type: ignore[arg-type]

    def destination(self, key: str, **changes: str) -> DataAddress:
        """This place as a consumer names it."""
        properties = {"bucketName": self.name, "keyName": self.root + key, "region": "us-east-1"}
        properties |= {"accessKeyId": self.access_key, "secretAccessKey": self.secret_key}
        return DataAddress(
            endpoint_type="AmazonS3",
            endpoint=self.endpoint,
            endpoint_properties=tuple(EndpointProperty(name=n, value=v) for n, v in (properties | changes).items()),
        )
