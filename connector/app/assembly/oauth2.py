"""OAuth2: the provider that the settings ask for, and the participants that take part in a space with one.

Both open when something first needs them, so that a node starts without what they are made of.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from connector.app.assembly.ground import Ground, Role
from connector.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from connector.identity.authority.records import Records
    from connector.identity.keys import Keys
    from connector.identity.mixed import Proofs
    from connector.identity.oauth2.clients import Client
    from connector.identity.oauth2.member import OAuth2Members
    from connector.identity.oauth2.provider import Provider
    from connector.identity.resolver import Resolver

    KeysAndResolver = Callable[[], Awaitable[tuple[Keys, Resolver]]]


@dataclass(slots=True)
class OAuth2Parts:
    """Opens the members once, when they are first needed."""

    ground: Ground
    shared: KeysAndResolver
    """The keys of the node's participants, and the way to DID documents."""
    _members: OAuth2Members | None = None
    _opening: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def proofs(self, participant: str) -> Proofs | None:
        """The ports of a participant that takes part in a space with a provider; None for others."""
        configured = self.ground.settings.participants.get(participant)
        if configured is None or configured.oauth2 is None:
            return None
        from connector.identity.mixed import Proofs

        members = await self._opened()
        return Proofs(verifier=members, tokens=members)

    async def jwks(self, participant: str) -> dict[str, Any]:
        """The public keys by which a participant proves itself to its provider. Raises: NotFound."""
        if await self.proofs(participant) is None:
            raise NotFound("there is no such address", where=participant)
        return await (await self._opened()).jwks(participant)

    async def _opened(self) -> OAuth2Members:
        async with self._opening:
            if self._members is None:
                from connector.identity.oauth2.member import OAuth2Members, Space

                keys, _ = await self.shared()
                ground = self.ground
                spaces = {
                    name: Space(participant=name, id=one.id, settings=one.oauth2)
                    for name, one in ground.settings.participants.items()
                    if one.oauth2 is not None
                }
                # the provider is named by the operator and may stand on our private network
                self._members = OAuth2Members(spaces, keys=keys, outbound=ground.upstreams, clock=ground.clock, new_id=_new_id)
            return self._members

    def role(self) -> Role:
        """The routes of both sides, as far as the settings ask for them."""
        settings = self.ground.settings
        has_members = any(one.oauth2 is not None for one in settings.participants.values())
        if settings.oauth2 is None and not has_members:
            return Role()
        from connector.web.identity import oauth2

        provider = _ProviderParts(self.ground, self.shared)
        return Role(
            routes=[
                # first, as no participant is named like its addresses
                *(oauth2.provider_routes(provider.opened) if settings.oauth2 is not None else ()),
                *(oauth2.client_routes(self.jwks) if has_members else ()),
            ]
        )


@dataclass(slots=True)
class _ProviderParts:
    """Opens the provider once, when somebody first asks it something."""

    ground: Ground
    shared: KeysAndResolver
    _provider: Provider | None = None
    _opening: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def opened(self) -> Provider:
        """The provider."""
        async with self._opening:
            if self._provider is None:
                keys, resolver = await self.shared()
                self._provider = await asyncio.to_thread(self._made, keys, resolver)
            return self._provider

    def _made(self, keys: Keys, resolver: Resolver) -> Provider:
        # in a thread: Authlib takes a tenth of a second to load
        from connector.identity.authority.records import Records
        from connector.identity.oauth2.clients import AllClients, ConfiguredClients, MemberClients
        from connector.identity.oauth2.provider import Provider, ProviderRules

        ground, said = self.ground, self.ground.settings.oauth2
        assert said is not None
        rules = ProviderRules(
            issuer=f"{ground.public_url}/authority",
            life=timedelta(seconds=said.token_life_s),
            key_life=timedelta(days=said.key_days),
            daps_claims=said.daps_claims,
            security_profile=said.security_profile,
            is_shared_audience_allowed=said.unsafe_daps_audience,
        )
        members = MemberClients(lambda did: _member(Records(ground.store, ground.clock), did), resolver)
        # where the keys of a client lie is named by the operator, and published by another party
        configured = ConfiguredClients(said.clients, ground.outbound, ground.clock)
        clients = AllClients(configured, members)
        return Provider(rules, clients=clients, keys=keys, store=ground.store, clock=ground.clock, new_id=_new_id)


async def _member(records: Records, did: str) -> Client | None:
    """The member of the authority as a client of its provider."""
    from connector.identity.oauth2.clients import Client
    from connector.settings.oauth2 import TAKEN

    found = await records.member(did)
    if found is None:
        return None
    claims = {name: value for name, value in found.attributes.items() if name not in TAKEN}
    return Client(id=did, is_active=found.is_active, claims={**claims, "membership": found.state.value})


def _new_id() -> str:
    return str(uuid4())
