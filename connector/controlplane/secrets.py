"""Credentials of upstreams: sealed at rest, opened only to be used, never given back.

Sealed with AES-256-GCM under the node's key; participant and name are bound in, so that a row copied elsewhere does not open.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Callable

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from connector.errors import ConfigurationError, NotFound
from connector.ports.clock import Clock
from connector.ports.store import Document, Store

KIND = "secret"
KEY_BYTES = 32


class Secrets:
    """Sealed texts by name, in each context."""

    def __init__(self, store: Store, key: bytes, clock: Clock, *, random: Callable[[int], bytes] = os.urandom) -> None:
        if len(key) != KEY_BYTES:
            raise ConfigurationError(
                f"the key that seals secrets has {len(key)} bytes instead of {KEY_BYTES}",
                where="secrets_key",
                mend="give 32 bytes as base64",
            )
        self._store = store
        self._cipher = AESGCM(key)
        self._clock = clock
        self._random = random

    async def put(self, participant: str, name: str, value: str) -> None:
        """Seal and keep `value` under `name`, in place of an older one."""
        nonce = self._random(12)
        sealed = nonce + self._cipher.encrypt(nonce, value.encode(), _bound(participant, name))
        now = self._clock.now()
        body = {"sealed": base64.b64encode(sealed).decode()}
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
        try:
            sealed = base64.b64decode(document.body["sealed"], validate=True)
            return self._cipher.decrypt(sealed[:12], sealed[12:], _bound(participant, name)).decode()
        except (InvalidTag, ValueError, KeyError, TypeError) as fault:
            raise ConfigurationError(
                f"the secret `{name}` does not open",
                where="secrets_key",
                mend="give the key it was sealed with, or store it anew",
            ) from fault


def _bound(participant: str, name: str) -> bytes:
    return f"{participant}\0{name}".encode()
