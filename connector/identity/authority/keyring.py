"""The authority's own keys, replaced and revoked while its space goes on.

What lives here: `Keyring`. What does not: how keys are made, sealed and published (`identity/keys.py`), and what they sign.

A new key is in the DID document at once and signs when everybody has seen it; the old one stays in the document, so that credentials
and lists that it signed hold as they did, until it is revoked. Lists are signed anew with the next key when they are asked for. What a
revoked key for credentials has signed counts no more: every active member is offered new ones, with the reason that the standard has.
Source: DCP 1.0, section 6.9 (key rotation and revocation) and 6.6 (`offerReason`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from connector.errors import CallerError, NotFound
from connector.identity.authority.issuer import Issuer
from connector.identity.authority.records import AUTHORITY, Records
from connector.identity.authority.space import KEY_PURPOSES, Space
from connector.identity.keys import Key, Keys, KeyState, Purpose

REVOKED_KEY: Final = "proof-key-revocation"


class Keyring:
    """The keys of one authority."""

    def __init__(
        self, keys: Keys, records: Records, issuer: Issuer, *, space: Space, forget: Callable[[str], None] = lambda _: None
    ) -> None:
        """`forget` is called with the authority's DID when its document must be looked up anew here, too."""
        self._keys = keys
        self._records = records
        self._issuer = issuer
        self._space = space
        self._forget = forget

    async def ready(self) -> None:
        """Returns when there is a key for each purpose; those that lack are made."""
        await self._keys.ensure(AUTHORITY, self._space.did, KEY_PURPOSES)

    async def all(self) -> tuple[Key, ...]:
        """Every key, the revoked ones too, in the order in which they begin."""
        return await self._keys.all(AUTHORITY)

    async def rotate(self, purpose: Purpose, kind: str = "P-256") -> Key:
        """A new key for `purpose`: published now, signing a little later. Raises: CallerError for what no authority signs."""
        if purpose not in KEY_PURPOSES:
            known = ", ".join(f"`{one}`" for one in KEY_PURPOSES)
            raise CallerError(f"an authority has no key for `{purpose}`", where="purpose", mend=f"known: {known}")
        made = await self._keys.create(AUTHORITY, self._space.did, purpose, kind=kind)
        self._forget(self._space.did)
        return made

    async def revoke(self, name: str) -> int:
        """How many members were offered new credentials because the key `name` is out of the document now.

        Where it was the last for its purpose, another one is made and signs at once.
        Raises: NotFound.
        """
        id_ = f"{self._space.did}#{name}"
        found = next((one for one in await self.all() if one.id == id_), None)
        if found is None:
            raise NotFound(f"the authority has no key `{name}`", mend="`kontor authority keys list` shows them")
        if found.state is KeyState.REVOKED:
            return 0
        await self._keys.revoke(AUTHORITY, id_)
        await self.ready()
        self._forget(self._space.did)
        if found.purpose is not Purpose.CREDENTIAL or found.state is KeyState.CREATED:
            return 0
        active = [one.did async for one in self._records.members() if one.is_active]
        for did in active:
            await self._issuer.offer(did, reason=REVOKED_KEY)
        return len(active)
