"""Who may use the operator API: keys from the settings, keys made while the node runs, and bearer tokens of a provider.

What lives here: `Operators`. A key is kept as its SHA-256 alone: it is 256 random bits, which no dictionary holds, so that a slow
hash would guard nothing. It is shown once, to whoever made it.
What does not: what a request needs (`web/operator/gate.py`), how a token is proven (`identity/oidc.py`).
Source: RFC 6750; NIST SP 800-63B, 3.1.2 (look-up secrets).
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from connector import observe
from connector.controlplane.participants import NODE, Revisions
from connector.controlplane.together import Together
from connector.errors import BadMessage, Conflict, Forbidden, KontorError, NotFound, Overloaded, Unauthenticated, Unproven
from connector.ports.clock import Clock
from connector.ports.operators import Grant, Operator, OperatorRole, OperatorTokens
from connector.ports.store import Document, Store
from connector.settings import ApiKey

KIND: Final = "api-key"
_MOST_SHOWN: Final = 16_384
_COMPACT_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A key of the operator API, without the key itself."""

    name: str
    role: OperatorRole
    participants: frozenset[str]
    expires: datetime | None
    is_configured: bool
    """True for one that stands in the settings and is taken away there."""
    created_at: datetime | None = None
    created_by: str = ""

    @property
    def operator(self) -> Operator:
        """Who shows it."""
        return Operator(name=self.name, grants=(Grant(role=self.role, participants=self.participants),))


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyWish:
    """A key that somebody wants made."""

    name: str
    role: OperatorRole
    participants: frozenset[str]
    life: timedelta


class Operators:
    """Knows who runs the node."""

    def __init__(
        self,
        store: Store,
        revisions: Revisions,
        clock: Clock,
        configured: tuple[ApiKey, ...],
        tokens: OperatorTokens | None = None,
        *,
        new_key: Callable[[], str] = lambda: secrets.token_urlsafe(32),
    ) -> None:
        self._store = store
        self._revisions = revisions
        self._clock = clock
        self._tokens = tokens
        self._new_key = new_key
        self._configured = {bytes.fromhex(key.sha256): _configured(key) for key in configured}
        self._kept: tuple[int, dict[bytes, Key]] = (-1, {})
        self._reads: Together[int, dict[bytes, Key]] = Together(self._read_all)
        """By the revision of the node."""

    async def find(self, shown: str) -> Operator:
        """Who shows this key or token.

        Raises: Unauthenticated, the same whatever is wrong; the log has the failed check. Overloaded when the provider of a
        token cannot be asked for its keys at the moment.
        """
        if not shown or len(shown) > _MOST_SHOWN:
            raise _unknown("none", "no key and no token")
        if self._tokens is not None and _COMPACT_TOKEN.fullmatch(shown):
            return await self._by_token(self._tokens, shown)
        # looked up by its digest: how long that takes says nothing about a key, whose digest nobody can choose by parts
        digest = hashlib.sha256(shown.encode("utf-8", "surrogateescape")).digest()
        key = self._configured.get(digest) or (await self._written()).get(digest)
        if key is None:
            raise _unknown("key", "it is not known")
        if key.expires is not None and self._clock.now() >= key.expires:
            raise _unknown("expired", f"key `{key.name}` ended at {key.expires.isoformat()}")
        return key.operator

    async def keys(self, by: Operator) -> tuple[Key, ...]:
        """The keys that `by` could have made, by name: those of contexts that it administers."""
        known = [*self._configured.values(), *(await self._written()).values()]
        return tuple(sorted((key for key in known if by.may_give(key.participants)), key=lambda key: key.name))

    async def create(self, by: Operator, wish: KeyWish) -> tuple[Key, str]:
        """A key that is good from now on, and the text that opens: it is kept nowhere.

        Raises: Forbidden when `by` does not administer all contexts that it names; Conflict when the name is taken.
        """
        if not by.may_give(wish.participants):
            mend = "name participants that you administer; only an administrator of all may give `*`"
            raise Forbidden("a key opens no more than its maker administers", where="participants", mend=mend)
        if not wish.participants:
            raise BadMessage("the key is good for nobody", where="participants", mend="name participants, or `*`")
        if any(key.name == wish.name for key in self._configured.values()):
            raise Conflict(f"the settings have a key `{wish.name}`", where="name", mend="choose another name")
        text, now = self._new_key(), self._clock.now()
        body = {
            "sha256": hashlib.sha256(text.encode()).hexdigest(),
            "role": wish.role.value,
            "participants": sorted(wish.participants),
            "expires": (now + wish.life).isoformat(),
            "created_by": by.name,
        }
        document = Document(participant=NODE, kind=KIND, id=wish.name, body=body, created_at=now, updated_at=now)
        try:
            await self._store.put_document(document, expect=0)
        except Conflict as fault:
            mend = "choose another name, or revoke that one first"
            raise Conflict(f"there is a key `{wish.name}` already", where="name", mend=mend) from fault
        self._revisions.forget(NODE)
        return _read(document), text

    async def revoke(self, by: Operator, name: str) -> None:
        """Returns when the key is good for nothing any more: here at once, on other nodes of the store within a second.

        Raises: NotFound, also for a key of contexts that `by` does not administer; Conflict for one that the settings hold.
        """
        key = next((key for key in await self.keys(by) if key.name == name), None)
        if key is None:
            raise NotFound(f"there is no key `{name}`", where="name", mend="`kontor keys` lists them")
        if key.is_configured:
            mend = "take it out of `operator.api_keys` and start the node anew"
            raise Conflict(f"key `{name}` stands in the settings", where="name", mend=mend)
        await self._store.delete_document(NODE, KIND, name)
        self._revisions.forget(NODE)

    async def _written(self) -> dict[bytes, Key]:
        """The keys in the store, by digest; read anew when something of the node has changed there."""
        revision = await self._revisions.of(NODE)
        kept = self._kept
        if kept[0] != revision:
            kept = self._kept = (revision, await self._reads.of(revision))
        return kept[1]

    async def _read_all(self, _: int) -> dict[bytes, Key]:
        found: dict[bytes, Key] = {}
        cursor: str | None = None
        while True:
            page = await self._store.documents(NODE, KIND, cursor=cursor, limit=1000)
            found |= {bytes.fromhex(document.body["sha256"]): _read(document) for document in page.items}
            cursor = page.next_cursor
            if cursor is None:
                return found

    async def _by_token(self, tokens: OperatorTokens, shown: str) -> Operator:
        try:
            return await tokens.operator(shown)
        except Unproven as fault:
            raise _unknown(fault.check, fault.words) from fault
        except KontorError as fault:
            observe.warning("operator.refused", check="unreachable", words=str(fault))
            mend = "try again later, or use a key"
            raise Overloaded("the token's provider cannot be asked at the moment", where="Authorization", mend=mend) from fault


def _configured(key: ApiKey) -> Key:
    return Key(
        name=key.name,
        role=OperatorRole(key.role),
        participants=frozenset(key.participants),
        expires=key.expires,
        is_configured=True,
    )


def _read(document: Document) -> Key:
    body = document.body
    return Key(
        name=document.id,
        role=OperatorRole(body["role"]),
        participants=frozenset(body["participants"]),
        expires=datetime.fromisoformat(body["expires"]),
        is_configured=False,
        created_at=document.created_at,
        created_by=body["created_by"],
    )


def _unknown(check: str, words: str) -> Unauthenticated:
    """The one answer to whoever is not let in; why goes to the log."""
    observe.info("operator.refused", check=check, words=words)
    return Unauthenticated(
        "no valid API key or token",
        where="X-Api-Key",
        mend="send a key of this node as `X-Api-Key` or bearer token; `kontor keys create` makes one",
    )
