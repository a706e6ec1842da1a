"""Private keys in a Vault: read and written through its HTTP interface, played by a small server at its door."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from connector import jose
from connector.errors import ConfigurationError, StoreUnavailable
from connector.identity.keys import KIND, Keys, KeyState, Passphrase, Purpose
from connector.identity.vault import VaultSafe
from connector.settings import Vault
from connector.storage.memory import Memory, MemoryStore
from connector.testing.clock import MovedClock
from tests.identity.space import NOW

pytest.importorskip("hvac")

DID = "did:web:anna.example"
PASSPHRASE = Passphrase(b"a long passphrase")


@dataclass
class FakeVault:
    """The KV engine, version 2, as far as keys need it."""

    url: str = ""
    kept: dict[str, Any] = field(default_factory=dict)
    is_sealed: bool = False
    tokens: list[str] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        lines = {line.partition(":")[0].lower(): line.partition(":")[2].strip() for line in head.split("\r\n")[1:]}
        body = await reader.readexactly(int(lines.get("content-length", 0)))
        method, path, _ = head.split(" ", 2)
        self.tokens.append(lines.get("x-vault-token", ""))
        status, answer = self.answer(method, path.partition("?")[0], body)
        text = json.dumps(answer).encode() if answer is not None else b""
        writer.write(b"HTTP/1.1 %d X\r\nContent-Type: application/json\r\nConnection: close\r\n" % status)
        writer.write(b"Content-Length: %d\r\n\r\n" % len(text) + text)
        await writer.drain()
        writer.close()

    def answer(self, method: str, path: str, body: bytes) -> tuple[int, Any]:
        if self.is_sealed:
            return 503, {"errors": ["Vault is sealed"]}
        if self.tokens[-1] != "t0ken":
            return 403, {"errors": ["permission denied"]}
        kind, _, name = path.removeprefix("/v1/kv/").partition("/")
        if (kind, method) == ("data", "POST"):
            self.kept[name] = json.loads(body)["data"]
            return 200, {"data": {"version": 1}}
        if (kind, method) == ("data", "GET"):
            found = self.kept.get(name)
            return (200, {"data": {"data": found, "metadata": {}}}) if found else (404, {"errors": []})
        self.kept.pop(name, None)
        return 204, None


@asynccontextmanager
async def served() -> AsyncIterator[FakeVault]:
    found = FakeVault()
    listener = await asyncio.start_server(found.serve, "127.0.0.1", 0)
    found.url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    async with listener:
        yield found


@pytest.fixture
async def vault() -> AsyncIterator[FakeVault]:
    async with served() as found:
        yield found


def settings(vault: FakeVault, **changes: Any) -> Vault:
    return Vault(**{"url": vault.url, "token": "t0ken", "mount": "kv", "path": "kontor", "timeout_s": 2, **changes})


@pytest.fixture
async def store() -> AsyncIterator[MemoryStore]:
    found = MemoryStore(node="here", lease_s=1, memory=Memory())
    await found.open()
    yield found
    await found.close()


def keys_in(store: MemoryStore, safe: VaultSafe) -> Keys:
    ids = itertools.count()
    return Keys(store, safe, MovedClock(NOW), lambda: str(next(ids)))


async def test_a_key_lies_in_the_vault_alone_and_sealed_there_too(vault: FakeVault, store: MemoryStore) -> None:
    keys = keys_in(store, VaultSafe(settings(vault), PASSPHRASE))
    made = await keys.create("anna", DID, Purpose.TOKEN)
    row = await store.document("anna", KIND, made.id)
    assert row is not None
    (place,) = vault.kept
    assert row.body["sealed"] == f"vault:{place.removeprefix('kontor/')}"
    assert "ENCRYPTED PRIVATE KEY" in vault.kept[place]["pem"]
    # after a restart it is there
    again = keys_in(store, VaultSafe(settings(vault), PASSPHRASE))
    assert (await again.signing("anna", Purpose.TOKEN)).public.jwk() == made.public.jwk()
    # the passphrase is needed as well
    with pytest.raises(ConfigurationError, match="cannot be opened"):
        await keys_in(store, VaultSafe(settings(vault), Passphrase(b"another passphrase"))).signing("anna", Purpose.TOKEN)
    # revoked, it is gone from both
    await again.revoke("anna", made.id)
    assert vault.kept == {}
    assert [one.state for one in await again.all("anna")] == [KeyState.REVOKED]


async def test_what_the_vault_refuses_is_the_operators_and_what_is_away_may_come_back(
    vault: FakeVault, store: MemoryStore
) -> None:
    with pytest.raises(ConfigurationError, match="permission denied") as refused:
        await keys_in(store, VaultSafe(settings(vault, token="wrong"), PASSPHRASE)).create("anna", DID, Purpose.TOKEN)
    assert refused.value.where == "identity.vault"
    safe = VaultSafe(settings(vault), PASSPHRASE)
    keys = keys_in(store, safe)
    await keys.create("anna", DID, Purpose.TOKEN)
    vault.is_sealed = True
    with pytest.raises(StoreUnavailable):
        await keys.signing("anna", Purpose.TOKEN)
    vault.is_sealed = False
    assert await keys.signing("anna", Purpose.TOKEN)
    nobody = VaultSafe(settings(vault, url="http://127.0.0.1:1"), PASSPHRASE)
    with pytest.raises(StoreUnavailable, match="does not answer"):
        await keys_in(store, nobody).create("bert", DID, Purpose.TOKEN)


async def test_a_place_of_another_participant_or_another_safe_opens_nothing(vault: FakeVault) -> None:
    safe = VaultSafe(settings(vault), PASSPHRASE)
    kept = await safe.keep("anna", jose.generate(f"{DID}#token-1"))
    assert (await safe.opened("anna", f"{DID}#token-1", kept)).id == f"{DID}#token-1"
    for place in (kept.replace("anna", "bert", 1), "-----BEGIN ENCRYPTED PRIVATE KEY-----", ""):
        with pytest.raises(ConfigurationError):
            await safe.opened("bert" if place.startswith("vault:anna") else "anna", f"{DID}#token-1", place)
    with pytest.raises(ConfigurationError, match="not in the Vault"):
        await safe.opened("bert", f"{DID}#token-1", kept)
