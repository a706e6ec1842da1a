"""Private keys in a Vault: the KV engine, version 2, through hvac.

What lives here: `VaultSafe`, the port `Safe` of `keys.py`. What does not: everything else about keys.
A second door to the network beside `outbound/`: the Vault is an endpoint that the operator configures, often on a private network,
and hvac speaks its API; no peer can name its address. Keys are sealed under the node's passphrase there as well: whoever reads the
Vault alone has nothing.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import Callable
from typing import Any, TypeVar

from connector import jose
from connector.errors import ConfigurationError, StoreUnavailable
from connector.identity.keys import Passphrase
from connector.settings import Vault

T = TypeVar("T")


class VaultSafe:
    """Keeps sealed keys in a Vault; its rows in the store say where."""

    def __init__(self, settings: Vault, passphrase: Passphrase) -> None:
        self._settings = settings
        self._passphrase = passphrase
        self._client: Any = None

    async def keep(self, participant: str, key: jose.SigningKey) -> str:
        """Where the key lies in the Vault. Raises: ConfigurationError, StoreUnavailable."""
        # a name of its own for each try: of two replicas that make a key at once neither writes over the other's
        place = f"{participant}/{hashlib.sha256(key.id.encode()).hexdigest()[:16]}-{secrets.token_hex(8)}"
        pem = await asyncio.to_thread(self._passphrase.seal, key)
        await self._asked(
            lambda kv: kv.create_or_update_secret(
                path=self._path(place), secret={"id": key.id, "pem": pem}, mount_point=self._settings.mount
            )
        )
        return f"vault:{place}"

    async def opened(self, participant: str, id_: str, kept: str) -> jose.SigningKey:
        """The key that lies at `kept`. Raises: ConfigurationError when it is not there or does not open, StoreUnavailable."""
        scheme, _, place = kept.partition(":")
        if scheme != "vault" or not place.startswith(f"{participant}/"):
            mend = "rotate the key: its private part was kept elsewhere"
            raise ConfigurationError("the private key is not in the Vault", where=id_, mend=mend)
        found = await self._asked(
            lambda kv: kv.read_secret_version(
                path=self._path(place), mount_point=self._settings.mount, raise_on_deleted_version=True
            )
        )
        pem = str(found["data"]["data"]["pem"])
        return await asyncio.to_thread(self._passphrase.unseal, id_, pem)

    async def drop(self, participant: str, id_: str, kept: str) -> None:
        """Destroy a key with all its versions; one that is gone is gone."""
        place = kept.partition(":")[2]
        if place:
            await self._asked(
                lambda kv: kv.delete_metadata_and_all_versions(path=self._path(place), mount_point=self._settings.mount)
            )

    def _path(self, place: str) -> str:
        return f"{self._settings.path}/{place}"

    async def _asked(self, ask: Callable[[Any], T]) -> T:
        """What the KV engine answers to `ask`. Raises: ConfigurationError when it refuses, StoreUnavailable when it is away."""

        def asked() -> T:
            import hvac
            import requests
            from hvac import exceptions

            said = self._settings
            try:
                if self._client is None:
                    self._client = hvac.Client(url=said.url, token=said.token, timeout=said.timeout_s, allow_redirects=False)
                return ask(self._client.secrets.kv.v2)
            except (exceptions.Forbidden, exceptions.Unauthorized, exceptions.InvalidRequest, exceptions.InvalidPath) as fault:
                words = "; ".join(str(one) for one in fault.errors or ()) or type(fault).__name__
                mend = "check the token's policy, `mount` and `path`"
                raise ConfigurationError(f"the Vault refuses: {words}", where="identity.vault", mend=mend) from fault
            except (exceptions.VaultError, requests.RequestException) as fault:
                raise StoreUnavailable(f"the Vault does not answer: {type(fault).__name__}", where="identity.vault") from fault

        try:
            return await asyncio.to_thread(asked)
        except ImportError as fault:
            mend = "install the extra `vault`"
            raise ConfigurationError("keys in a Vault need hvac", where="identity.vault", mend=mend) from fault
