"""The keys of our participants: one purpose each, sealed at rest, replaced without a gap.

What lives here: `Keys`, over the node's store: making, replacing and revoking keys, the one to sign with, those to publish.
What does not: signing and the form at rest (`jose.py`), and where the passphrase comes from (settings).

A key is CREATED (published, not yet signing), ACTIVE (signing), ROTATED (published, so that what it signed still counts), REVOKED
(no longer published: what it signed counts no more). The first three follow from the time alone.
Source: DCP 1.0, section 6.9 (key rotation and revocation).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from connector import jose
from connector.errors import ConfigurationError, NotFound
from connector.identity.did import Relationship
from connector.ports.clock import Clock
from connector.ports.store import Document, Store

KIND: Final = "key"
LEAD: Final = timedelta(minutes=6)
"""Others keep our document for five minutes; a new key signs when all of them have seen it."""


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


class Keys:
    """The keys of all participants of a node."""

    def __init__(self, store: Store, passphrase: bytes, clock: Clock, new_id: Callable[[], str]) -> None:
        if len(passphrase) < 16:
            raise ConfigurationError(
                "the passphrase of the keys is too short", where="secrets_key", mend="give 16 bytes or more"
            )
        self._store = store
        self._passphrase = passphrase
        self._clock = clock
        self._new_id = new_id
        self._opened: dict[tuple[str, str], jose.SigningKey] = {}

    async def create(self, participant: str, did: str, purpose: Purpose, *, kind: str = "P-256") -> Key:
        """A new key of `participant`. The first for its purpose signs at once, a later one when others have seen it."""
        now = self._clock.now()
        has_one = any(one.purpose is purpose and one.state is not KeyState.REVOKED for one in await self.all(participant))
        begins = now + LEAD if has_one and purpose is not Purpose.ACCESS else now
        key = jose.generate(f"{did}#{purpose}-{self._new_id()}", kind)
        # sealing is slow on purpose
        sealed = await asyncio.to_thread(key.to_pem, self._passphrase)
        body = {
            "purpose": purpose.value,
            "begins": begins.astimezone(UTC).isoformat(),
            "is_revoked": False,
            "public": key.public.jwk(),
            "sealed": sealed.decode(),
        }
        await self._store.put_document(_document(participant, key.id, body, now), expect=0)
        return Key(
            id=key.id,
            purpose=purpose,
            begins=begins,
            state=KeyState.ACTIVE if begins <= now else KeyState.CREATED,
            public=key.public,
        )

    async def revoke(self, participant: str, id_: str) -> None:
        """Take a key out of the document at once, and its private part out of the store: what it signed counts no more.

        Raises: NotFound.
        """
        kept = await self._store.document(participant, KIND, id_)
        if kept is None:
            raise NotFound(f"there is no key `{id_}`")
        body = {**kept.body, "is_revoked": True, "sealed": ""}
        await self._store.put_document(_document(participant, id_, body, self._clock.now()), expect=kept.version)
        self._opened.pop((participant, id_), None)

    async def all(self, participant: str) -> tuple[Key, ...]:
        """Every key, the revoked ones too, in the order in which they begin."""
        kept = sorted(await self._documents(participant), key=lambda one: (one.body["begins"], one.id))
        now, found = self._clock.now(), []
        signing = {one.body["purpose"]: one.id for one in kept if _is_usable(one, now)}
        for one in kept:
            begins = datetime.fromisoformat(one.body["begins"])
            if one.body["is_revoked"]:
                state = KeyState.REVOKED
            elif begins > now:
                state = KeyState.CREATED
            else:
                state = KeyState.ACTIVE if signing[one.body["purpose"]] == one.id else KeyState.ROTATED
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
            sealed = str(kept.body["sealed"]).encode() if kept is not None else b""
            opened = await asyncio.to_thread(jose.from_pem, id_, sealed, self._passphrase)
            self._opened[participant, id_] = opened
        return opened

    async def published(self, participant: str) -> tuple[tuple[str, jose.PublicKey, tuple[Relationship, ...]], ...]:
        """What the DID document of `participant` lists, as `did.write` takes it."""
        return tuple(
            (one.id, one.public, (_PUBLISHED_FOR[one.purpose],))
            for one in await self.all(participant)
            if one.state is not KeyState.REVOKED and one.purpose in _PUBLISHED_FOR
        )

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


def _document(participant: str, id_: str, body: dict[str, Any], now: datetime) -> Document:
    return Document(participant=participant, kind=KIND, id=id_, body=body, created_at=now, updated_at=now)
