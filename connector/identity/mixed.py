"""The ways of proof in one node: texts that the settings name, a provider's tokens, and wallets for every participant whose id is a DID.

What lives here: `MixedIdentity`, both ports over them. A text that fits proves its peer; everything else is for the provider or the
wallet of the participant, if it has one. What does not: any way itself (`static.py`; `oauth2/`; `verifier.py` and `holder.py`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from connector.errors import Unauthenticated
from connector.identity.static import StaticTokens
from connector.ports.identity import Caller, MessageKind, TokenSource, Verifier


@dataclass(frozen=True, slots=True, kw_only=True)
class Proofs:
    """The ports over one way."""

    verifier: Verifier
    tokens: TokenSource


@dataclass(frozen=True, slots=True, kw_only=True)
class MixedIdentity:
    """Verifier and TokenSource, by participant and peer."""

    static: StaticTokens
    others: Callable[[str], Awaitable[Proofs | None]]
    """The ports of a participant with a provider or a wallet, opened when they are first needed; None for one without."""

    async def verify(self, participant: str, authorization: str | None, kind: MessageKind) -> Caller:
        """The peer that `authorization` proves. Raises: as the ports of either way."""
        caller = self.static.caller(participant, authorization)
        if caller is not None:
            return caller
        found = await self.others(participant)
        if found is None:
            mend = "send the token agreed with this participant"
            raise Unauthenticated("no valid token", where="Authorization", mend=mend)
        return await found.verifier.verify(participant, authorization, kind)

    async def authorization(self, participant: str, peer: str, address: str) -> str | None:
        """Our proof for `peer`. Raises: as the ports of either way."""
        found = None if self.static.knows(participant, peer) else await self.others(participant)
        source: TokenSource = found.tokens if found is not None else self.static
        return await source.authorization(participant, peer, address)

    async def claims_of(self, participant: str, peer: str) -> Mapping[str, Any]:
        """What is known of `peer`: by the settings if they name it, by what it has proven otherwise."""
        found = None if self.static.knows(participant, peer) else await self.others(participant)
        source: TokenSource = found.tokens if found is not None else self.static
        return await source.claims_of(participant, peer)
