"""Places on real servers of objects, S3 and Azure Blob, for tests: filled, read, and named as sources and destinations."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Mapping
from dataclasses import replace

from connector.dataplane.addresses import AZURE_PUSH, S3_PUSH
from connector.dsp.messages import DataAddress, EndpointProperty
from connector.ports.dataplane import ObjectPlace, Source, StoreKind
from tests.servers import azurite
from tests.servers.s3 import keys_in


class Place:
    """A place of its own in a bucket on a server: buckets are dear there."""

    store: object
    root: str
    push_format: str
    environment: Mapping[str, str]
    """What would open it, if anybody looked there."""

    async def put(self, key: str, data: bytes) -> None:
        import obstore

        await obstore.put_async(self.store, self.root + key, data)  # type: ignore[arg-type]

    async def get(self, key: str) -> bytes:
        import obstore

        return bytes(await (await obstore.get_async(self.store, self.root + key)).bytes_async())  # type: ignore[arg-type]

    def place(self, key: str) -> ObjectPlace:
        raise NotImplementedError

    def source(self, key: str, **changes: object) -> Source:
        place = self.place(key)
        values = {"objects": place, "name": key.rstrip("/").rpartition("/")[2] or "data", **changes}
        return Source(type=place.kind.value, **values)  # type: ignore[arg-type]


class Bucket(Place):
    """In S3."""

    push_format = S3_PUSH

    def __init__(self, url: str) -> None:
        from obstore.store import S3Store

        self.endpoint, self.access_key, self.secret_key = keys_in(url)
        self.name, self.root = "kontor-tests", f"{secrets.token_hex(6)}/"
        self.environment = {"AWS_ACCESS_KEY_ID": self.access_key, "AWS_SECRET_ACCESS_KEY": self.secret_key}
        keys = {"access_key_id": self.access_key, "secret_access_key": self.secret_key}
        self.store = S3Store(
            self.name,
            config={"endpoint": self.endpoint, "region": "us-east-1", **keys},
            client_options={"allow_http": True},
        )

    def place(self, key: str) -> ObjectPlace:
        return ObjectPlace(
            bucket=self.name,
            key=self.root + key,
            endpoint=self.endpoint,
            access_key=self.access_key,
            secret_key=self.secret_key,
        )

    def destination(self, key: str, **changes: str) -> DataAddress:
        """This place as a consumer names it."""
        properties = {"bucketName": self.name, "keyName": self.root + key, "region": "us-east-1"}
        properties |= {"accessKeyId": self.access_key, "secretAccessKey": self.secret_key}
        return DataAddress(
            endpoint_type="AmazonS3",
            endpoint=self.endpoint,
            endpoint_properties=tuple(EndpointProperty(name=n, value=v) for n, v in (properties | changes).items()),
        )


class Blobs(Place):
    """In Azure Blob Storage."""

    push_format = AZURE_PUSH

    def __init__(self, url: str) -> None:
        from obstore.store import AzureStore

        self.account_url, self.account, self.key = azurite.account_in(url)
        self.endpoint = self.account_url.rpartition("/")[0]
        self.name, self.root = azurite.CONTAINER, f"{secrets.token_hex(6)}/"
        self.environment = {"AZURE_STORAGE_ACCOUNT_NAME": self.account, "AZURE_STORAGE_ACCOUNT_KEY": self.key}
        self.store = AzureStore(
            self.name,
            config={"endpoint": self.account_url, "account_name": self.account, "account_key": self.key},
            client_options={"allow_http": True},
        )

    def place(self, key: str) -> ObjectPlace:
        return ObjectPlace(
            kind=StoreKind.AZURE,
            bucket=self.name,
            key=self.root + key,
            endpoint=self.account_url,
            account=self.account,
            secret_key=self.key,
        )

    def destination(self, key: str, **changes: str) -> DataAddress:
        """This place as a consumer names it."""
        properties = {"container": self.name, "blobName": self.root + key}
        properties["sasToken"] = azurite.signature(self.account, self.key)
        return DataAddress(
            endpoint_type="AzureStorage",
            endpoint=self.account_url,
            endpoint_properties=tuple(EndpointProperty(name=n, value=v) for n, v in (properties | changes).items()),
        )


AnyPlace = Bucket | Blobs


def misread(place: ObjectPlace) -> ObjectPlace:
    """`place` with a key that opens nothing."""
    return replace(place, secret_key="wrong" if place.kind is StoreKind.S3 else base64.b64encode(b"wrong" * 8).decode())
