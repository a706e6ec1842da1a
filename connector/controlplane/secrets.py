"""Credentials of upstreams: sealed at rest, opened only to be used, never given back.

Sealed with AES-256-GCM under the node's key; participant and name are bound in, so that a row copied elsewhere does not open.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from connector.errors import ConfigurationError, NotFound
from connector.ports.clock import Clock
from connector.ports.store import Document, Store

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KIND = "secret"
KEY_BYTES = 32


class Seal:
    """The port `Sealer` over the node's key."""

    def __init__(self, key: bytes, *, random: Callable[[int], bytes] = os.urandom) -> None:
        if len(key) != KEY_BYTES:
            raise ConfigurationError(
                f"the key that seals secrets has {len(key)} bytes instead of {KEY_BYTES}",
                where="secrets_key",
                mend="give 32 bytes as base64",
            )
        self._key = key
        self._random = random

    def _cipher(self) -> AESGCM:
        # loaded when there is something to seal: the library is a tenth of the memory of a node that has nothing
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        return AESGCM(self._key)

    def seal(self, participant: str, name: str, text: str) -> str:
        """`text` as it may be stored under `name` of `participant`."""
        nonce = self._random(12)
        return base64.b64encode(nonce + self._cipher().encrypt(nonce, text.encode(), _bound(participant, name))).decode()

    def unseal(self, participant: str, name: str, sealed: str) -> str:
        """The text that was sealed for this place.

        Raises: ConfigurationError when the node's key is not the one it was sealed with.
        """
        from cryptography.exceptions import InvalidTag

        try:
            found = base64.b64decode(sealed, validate=True)
            return self._cipher().decrypt(found[:12], found[12:], _bound(participant, name)).decode()
        except (InvalidTag, ValueError) as fault:
            raise ConfigurationError(
                f"the secret `{name}` does not open",
                where="secrets_key",
                mend="give the key it was sealed with, or store it anew",
            ) from fault


class Secrets:
    """Sealed texts by name, in each context."""

    def __init__(self, store: Store, key: bytes, clock: Clock, *, random: Callable[[int], bytes] = os.urandom) -> None:
        self._store = store
        self._seal = Seal(key, random=random)
        self._clock = clock

    async def put(self, participant: str, name: str, value: str) -> None:
        """Seal and keep `value` under `name`, in place of an older one."""
        now = self._clock.now()
        body = {"sealed": self._seal.seal(participant, name, value)}
        await self._store.put_document(
            Document(participant=participant, kind=KIND, id=name, body=body, created_at=now, updated_at=now)
        )

    async def names(self, participant: str) -> tuple[str, ...]:
        """The names that there are."""
        found: list[str] = []
        cursor: str | None = None
        while True:
            page = await self._store.documents(participant, KIND, cursor=cursor, limit=1000)
            found += [document.id for document in page.items]
            cursor = page.next_cursor
            if cursor is None:
                return tuple(found)

    async def delete(self, participant: str, name: str) -> None:
        """Forget a secret.

        Raises: NotFound.
        """
        if not await self._store.delete_document(participant, KIND, name):
            raise NotFound(f"there is no secret `{name}`", where=name)

    async def opened(self, participant: str, name: str) -> str:
        """The text itself, to be used at once.

        Raises: NotFound; ConfigurationError when the node's key is not the one it was sealed with.
        """
        document = await self._store.document(participant, KIND, name)
        if document is None:
            raise NotFound(f"there is no secret `{name}`", where=name, mend="store it, or change the asset that names it")
        return self._seal.unseal(participant, name, str(document.body.get("sealed", "")))


def _bound(participant: str, name: str) -> bytes:
    return f"{participant}\0{name}".encode()
