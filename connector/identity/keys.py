"""The keys of our participants: one purpose each, sealed at rest, replaced without a gap.

What lives here: `Keys`, over the node's store: making, replacing and revoking keys, the one to sign with, those to publish; `Sealed`,
which keeps private parts there, and `Passphrase`, under which they are. What does not: signing and the form at rest (`jose.py`), private
parts in a Vault (`vault.py`), and where the passphrase comes from (settings).

A key is CREATED (published, not yet signing), ACTIVE (signing), ROTATED (published, so that what it signed still counts), REVOKED
(no longer published: what it signed counts no more). The first three follow from the time alone.
Source: DCP 1.0, section 6.9 (key rotation and revocation).
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import hashlib
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Final, Protocol

from connector import jose
from connector.errors import ConfigurationError, Conflict, NotFound
from connector.identity.did import Relationship
from connector.ports.clock import Clock
from connector.ports.store import Document, Store

KIND: Final = "key"
LEAD: Final = timedelta(minutes=6)
"""Others keep our document for five minutes; a new key signs when all of them have seen it."""

_SCHEME: Final = "scrypt"
_SALT: Final = secrets.token_bytes(16)
"""Of what this process seals."""


class Purpose(StrEnum):
    """What a key signs."""

    TOKEN = "token"
    PRESENTATION = "presentation"
    CREDENTIAL = "credential"
    STATUS_LIST = "status-list"
    TRUST_LIST = "trust-list"
    """Lists of participants and issuers, and notices of an authority."""
    ACCESS = "access"
    """Only we read what it signs: it is in no document."""
    OAUTH = "oauth2"
    """Access tokens of the OAuth2 provider; and what proves a participant to one. In key sets, not in documents."""


_PUBLISHED_FOR: Final = {
    Purpose.TOKEN: Relationship.INVOCATION,
    Purpose.PRESENTATION: Relationship.AUTHENTICATION,
    Purpose.CREDENTIAL: Relationship.ASSERTION,
    Purpose.STATUS_LIST: Relationship.ASSERTION,
    Purpose.TRUST_LIST: Relationship.ASSERTION,
}


class KeyState(StrEnum):
    """Where a key is in its life."""

    CREATED = "CREATED"
    ACTIVE = "ACTIVE"
    ROTATED = "ROTATED"
    REVOKED = "REVOKED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A key as the operator sees it; the private part is not there."""

    id: str
    """The full DID URL."""
    purpose: Purpose
    begins: datetime
    state: KeyState
    public: jose.PublicKey


class Safe(Protocol):
    """Where private parts are kept."""

    async def keep(self, participant: str, key: jose.SigningKey) -> str:
        """Keep a new key; what to write beside its public part.

        Raises: ConfigurationError or StoreUnavailable when it cannot be kept.
        """
        ...

    async def opened(self, participant: str, id_: str, kept: str) -> jose.SigningKey:
        """The key that `keep` answered `kept` for.

        Raises: ConfigurationError when it does not open, StoreUnavailable when the safe is away.
        """
        ...

    async def drop(self, participant: str, id_: str, kept: str) -> None:
        """Forget the key that `keep` answered `kept` for; one that is not there is forgotten already."""
        ...


class Passphrase:
    """What private parts are encrypted under: made of the operator's passphrase by scrypt, so that guessing it is dear.

    PKCS #8 as cryptography writes it stretches a passphrase 2,048 times, which is nothing. A salt is drawn once a process: what it
    seals costs one derivation, and what others have sealed one for each of their salts. Keys of an earlier release, which name no
    salt, open as they were sealed.
    Source: RFC 7914; OWASP Password Storage Cheat Sheet (N = 2^15, r = 8, p = 3).
    """

    def __init__(self, passphrase: bytes, *, is_random: bool = False) -> None:
        """`is_random` when there is nothing to guess: it holds a key of 256 bits, drawn at random."""
        if len(passphrase) < 16:
            raise ConfigurationError(
                "the passphrase of the keys is too short", where="identity.passphrase", mend="give 16 bytes or more"
            )
        self._passphrase = passphrase
        self._is_random = is_random

    def seal(self, key: jose.SigningKey) -> str:
        """The private part of `key` as it may be kept. Slow once a process: call it in a thread."""
        if self._is_random:
            return key.to_pem(self._passphrase).decode()
        return f"{_SCHEME}:{_SALT.hex()}:{key.to_pem(_stretched(self._passphrase, _SALT)).decode()}"

    def unseal(self, id_: str, kept: str) -> jose.SigningKey:
        """The key in what `seal` answered. Slow once for each salt: call it in a thread.

        Raises: ConfigurationError when the passphrase is not the one it was sealed with.
        """
        scheme, _, rest = kept.partition(":")
        if scheme != _SCHEME:
            return jose.from_pem(id_, kept.encode(), self._passphrase)
        salt, _, pem = rest.partition(":")
        try:
            passphrase = _stretched(self._passphrase, bytes.fromhex(salt))
        except ValueError as fault:
            raise ConfigurationError("the private key was not kept whole", where=id_, mend="restore it, or rotate") from fault
        return jose.from_pem(id_, pem.encode(), passphrase)


@functools.lru_cache(maxsize=256)
def _stretched(passphrase: bytes, salt: bytes) -> bytes:
    return hashlib.scrypt(passphrase, salt=salt, n=1 << 15, r=8, p=3, maxmem=64 << 20, dklen=32).hex().encode()


class Sealed:
    """Private parts as PKCS #8, encrypted under a passphrase, in the node's store."""

    def __init__(self, passphrase: Passphrase) -> None:
        self._passphrase = passphrase

    async def keep(self, participant: str, key: jose.SigningKey) -> str:
        """The sealed key itself."""
        return await asyncio.to_thread(self._passphrase.seal, key)

    async def opened(self, participant: str, id_: str, kept: str) -> jose.SigningKey:
        """The key in `kept`. Raises: ConfigurationError when the passphrase is not the one it was sealed with."""
        return await asyncio.to_thread(self._passphrase.unseal, id_, kept)

    async def drop(self, participant: str, id_: str, kept: str) -> None:
        """Nothing: it goes with its row."""


class Keys:
    """The keys of all participants of a node."""

    def __init__(
        self,
        store: Store,
        safe: Safe,
        clock: Clock,
        new_id: Callable[[], str],
        changed: Callable[[str], None] = lambda _: None,
    ) -> None:
        """`changed` is called with the participant of which something was written."""
        self._store = store
        self._changed = changed
        self._safe = safe
        self._clock = clock
        self._new_id = new_id
        self._opened: dict[tuple[str, str], jose.SigningKey] = {}

    async def ensure(self, participant: str, did: str, purposes: Iterable[Purpose]) -> None:
        """Returns when `participant` has a usable key for each of `purposes`; those that lack are made.

        Of several replicas that begin at the same time one makes it: the first key of a purpose has a fixed name.
        """
        usable = {one.purpose for one in await self.all(participant) if one.state is not KeyState.REVOKED}
        for purpose in purposes:
            if purpose not in usable:
                with contextlib.suppress(Conflict):
                    await self._made(participant, f"{did}#{purpose}-1", purpose, self._clock.now(), "P-256")
        again = {one.purpose for one in await self.all(participant) if one.state is not KeyState.REVOKED}
        for purpose in purposes:
            if purpose not in again:  # its first key was revoked
                await self.create(participant, did, purpose)

    async def create(self, participant: str, did: str, purpose: Purpose, *, kind: str = "P-256") -> Key:
        """A new key of `participant`. The first for its purpose signs at once, a later one when others have seen it."""
        now = self._clock.now()
        has_one = any(one.purpose is purpose and one.state is not KeyState.REVOKED for one in await self.all(participant))
        begins = now + LEAD if has_one and purpose is not Purpose.ACCESS else now
        return await self._made(participant, f"{did}#{purpose}-{self._new_id()}", purpose, begins, kind)

    async def _made(self, participant: str, id_: str, purpose: Purpose, begins: datetime, kind: str) -> Key:
        """A new key that signs from `begins` on. Raises: Conflict when there is one with this id."""
        now = self._clock.now()
        if await self._store.document(participant, KIND, id_) is not None:
            raise Conflict(f"there is a key `{id_}`", where=id_)
        key = jose.generate(id_, kind)
        body = {
            "purpose": purpose.value,
            "begins": begins.astimezone(UTC).isoformat(),
            "is_revoked": False,
            "public": key.public.jwk(),
            "sealed": await self._safe.keep(participant, key),
        }
        await self._put(participant, key.id, body, 0)
        return Key(
            id=key.id,
            purpose=purpose,
            begins=begins,
            state=KeyState.ACTIVE if begins <= now else KeyState.CREATED,
            public=key.public,
        )

    async def revoke(self, participant: str, id_: str) -> None:
        """Take a key out of the document at once, and its private part out of the store: what it signed counts no more.

        The next one signs at once where none is left that does: late for those who keep our document, never for longer.
        Raises: NotFound.
        """
        kept = await self._store.document(participant, KIND, id_)
        if kept is None:
            raise NotFound(f"there is no key `{id_}`")
        body = {**kept.body, "is_revoked": True, "sealed": ""}
        await self._put(participant, id_, body, kept.version)
        self._opened.pop((participant, id_), None)
        await self._safe.drop(participant, id_, str(kept.body["sealed"]))

    async def all(self, participant: str) -> tuple[Key, ...]:
        """Every key, the revoked ones too, in the order in which they begin."""
        kept = sorted(await self._documents(participant), key=lambda one: (one.body["begins"], one.id))
        now, found = self._clock.now(), []
        # INVARIANT: while there is a key, one signs: the first that will, when the one before was revoked or the clock was put back
        signing = {one.body["purpose"]: one.id for one in reversed(kept) if not one.body["is_revoked"]}
        signing |= {one.body["purpose"]: one.id for one in kept if _is_usable(one, now)}
        for one in kept:
            begins = datetime.fromisoformat(one.body["begins"])
            if one.body["is_revoked"]:
                state = KeyState.REVOKED
            elif signing[one.body["purpose"]] == one.id:
                state = KeyState.ACTIVE
            else:
                state = KeyState.CREATED if begins > now else KeyState.ROTATED
            public = jose.from_jwk(dict(one.body["public"]))
            found.append(Key(id=one.id, purpose=Purpose(one.body["purpose"]), begins=begins, state=state, public=public))
        return tuple(found)

    async def signing(self, participant: str, purpose: Purpose) -> jose.SigningKey:
        """The key to sign with now.

        Raises: ConfigurationError when there is none, or the passphrase is not the one it was sealed with.
        """
        active = [one for one in await self.all(participant) if one.purpose is purpose and one.state is KeyState.ACTIVE]
        if not active:
            where, mend = f"participants.{participant}", "create one"
            raise ConfigurationError(f"participant `{participant}` has no key for `{purpose}`", where=where, mend=mend)
        id_ = active[-1].id
        opened = self._opened.get((participant, id_))
        if opened is None:
            kept = await self._store.document(participant, KIND, id_)
            opened = await self._safe.opened(participant, id_, str(kept.body["sealed"]) if kept is not None else "")
            self._opened[participant, id_] = opened
        return opened

    async def changes(self, participant: str) -> datetime | None:
        """When the next key begins to sign; None when none waits for it."""
        waiting = [one.begins for one in await self.all(participant) if one.state is KeyState.CREATED]
        return min(waiting, default=None)

    async def proving(self, participant: str, purpose: Purpose) -> dict[str, jose.PublicKey]:
        """The public keys, by id, whose signatures count for `purpose`."""
        known = await self.all(participant)
        return {one.id: one.public for one in known if one.purpose is purpose and one.state is not KeyState.REVOKED}

    async def published(self, participant: str) -> tuple[tuple[str, jose.PublicKey, tuple[Relationship, ...]], ...]:
        """What the DID document of `participant` lists, as `did.write` takes it."""
        return tuple(
            (one.id, one.public, (_PUBLISHED_FOR[one.purpose],))
            for one in await self.all(participant)
            if one.state is not KeyState.REVOKED and one.purpose in _PUBLISHED_FOR
        )

    async def _put(self, participant: str, id_: str, body: dict[str, Any], version: int) -> None:
        now = self._clock.now()
        kept = Document(participant=participant, kind=KIND, id=id_, body=body, created_at=now, updated_at=now)
        await self._store.put_document(kept, expect=version)
        self._changed(participant)

    async def _documents(self, participant: str) -> list[Document]:
        found: list[Document] = []
        cursor: str | None = None
        while True:
            page = await self._store.documents(participant, KIND, cursor=cursor, limit=100)
            found += page.items
            cursor = page.next_cursor
            if cursor is None:
                return found


def _is_usable(kept: Document, now: datetime) -> bool:
    return not kept.body["is_revoked"] and datetime.fromisoformat(kept.body["begins"]) <= now
