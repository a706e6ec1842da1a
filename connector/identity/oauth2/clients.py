"""Who may get tokens of a provider: clients of the settings, and members of the authority.

What lives here: `Client`, `Clients` (the seam), `ConfiguredClients`, `MemberClients`, `AllClients`.
What does not: what a client may then do (`grants.py`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from connector.errors import Unproven
from connector.identity.did import Relationship
from connector.identity.keysets import KeySet
from connector.identity.resolver import Resolver
from connector.jose import PublicKey
from connector.outbound.client import OutboundClient
from connector.ports.clock import Clock
from connector.settings.oauth2 import OAuth2Client


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """A connector that may get tokens as long as it is active."""

    id: str
    """Its participant id."""
    is_active: bool
    scopes: frozenset[str] = frozenset()
    claims: Mapping[str, Any] = field(default_factory=dict)
    """What its tokens attest."""


class Clients(Protocol):
    """Knows clients and their keys."""

    async def client(self, id_: str) -> Client | None:
        """The client, or None."""
        ...

    async def key(self, id_: str, key_id: str | None) -> PublicKey:
        """The key of a client that is known, by the name in its assertion.

        Raises: Unproven; Unreachable and others when the keys cannot be had at the moment.
        """
        ...


class ConfiguredClients:
    """The clients of the settings; their keys lie where the settings say."""

    def __init__(self, configured: Sequence[OAuth2Client], outbound: OutboundClient, clock: Clock) -> None:
        self._clients = {
            one.id: Client(id=one.id, is_active=not one.suspended, scopes=frozenset(one.scopes), claims=one.claims)
            for one in configured
        }
        self._keys = {
            one.id: KeySet(issuer=one.id, outbound=outbound, url=one.jwks_url, seconds=lambda: clock.now().timestamp())
            for one in configured
        }

    async def client(self, id_: str) -> Client | None:
        """The client, or None."""
        return self._clients.get(id_)

    async def key(self, id_: str, key_id: str | None) -> PublicKey:
        """The client's key. Raises: as the seam."""
        return await self._keys[id_].key(key_id)


class MemberClients:
    """The members of the authority; their keys are those of their DID documents."""

    def __init__(self, member: Callable[[str], Awaitable[Client | None]], resolver: Resolver) -> None:
        self._member = member
        self._resolver = resolver

    async def client(self, id_: str) -> Client | None:
        """The member, or None."""
        return await self._member(id_)

    async def key(self, id_: str, key_id: str | None) -> PublicKey:
        """The member's key for tokens. Raises: as the seam."""
        if key_id is not None and key_id.partition("#")[0] != id_:
            raise Unproven("the key is of another identity", check="key-id", where=id_)
        # a member: nobody else's key is asked for
        self._resolver.acquaint(id_)
        document = await self._resolver.resolve(id_)
        try:
            return document.key(key_id, Relationship.INVOCATION)
        except Unproven:
            return (await self._resolver.resolve(id_, anew=True)).key(key_id, Relationship.INVOCATION)


class AllClients:
    """Several kinds of clients as one; the first that knows an id answers for it."""

    def __init__(self, *kinds: Clients) -> None:
        self._kinds = kinds

    async def client(self, id_: str) -> Client | None:
        """The client, or None."""
        for kind in self._kinds:
            found = await kind.client(id_)
            if found is not None:
                return found
        return None

    async def key(self, id_: str, key_id: str | None) -> PublicKey:
        """The client's key. Raises: as the seam."""
        for kind in self._kinds:
            if await kind.client(id_) is not None:
                return await kind.key(id_, key_id)
        raise Unproven("there is no such client", check="client", where=id_)
