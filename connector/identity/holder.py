"""Our side of a proof: the token we send with a message, and the service that shows our credentials to whom we sent it.

What lives here: `Wallet` (a participant's keys and credentials), `WalletTokens` (the port `TokenSource`), `CredentialService`.
What does not: obtaining credentials from issuers, and keeping keys.
Source: DCP 1.0, sections 4.3 (token), 5.3 (access), 5.4.1 (query).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from connector import observe
from connector.errors import ConfigurationError, NotFound, NotSupported, Unauthenticated, Unproven
from connector.identity import did as dids
from connector.identity import messages, presenting, tokens
from connector.identity.did import Relationship
from connector.identity.formats import Credential, Model
from connector.identity.scopes import ALIASES, By, covered, parse_all
from connector.identity.senders import Senders
from connector.jose import PublicKey, SigningKey
from connector.ports.clock import Clock

_NOTHING: Mapping[str, Any] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wallet:
    """What a participant proves itself with. Each key has one purpose."""

    did: str
    token_key: SigningKey
    """Signs self-issued tokens (`capabilityInvocation`)."""
    presentation_key: SigningKey
    """Signs presentations (`authentication`)."""
    access_key: SigningKey
    """Signs access tokens, which only we read: in no document."""
    held: Callable[[], Sequence[Credential]]
    grants: tuple[str, ...]
    """The scopes that every receiver of our messages may ask for."""
    aliases: Mapping[str, By] = field(default_factory=lambda: ALIASES)
    models: tuple[Model, ...] = (Model.V1, Model.V2)
    """The data models that we show, the preferred one first."""

    def document(self, services: Mapping[str, str]) -> dict[str, Any]:
        """The DID document to publish, with services by type."""
        keys: list[tuple[str, PublicKey, list[Relationship]]] = [
            (self.token_key.id, self.token_key.public, [Relationship.INVOCATION]),
            (self.presentation_key.id, self.presentation_key.public, [Relationship.AUTHENTICATION]),
        ]
        return dids.write(self.did, keys, services)


class WalletTokens:
    """Proves us to peers by self-issued tokens, a new one for each message."""

    def __init__(
        self,
        wallets: Mapping[str, Wallet],
        *,
        clock: Clock,
        new_id: Callable[[], str],
        known: Callable[[str, str], Mapping[str, Any]] | None = None,
    ) -> None:
        self._wallets = wallets
        self._clock = clock
        self._new_id = new_id
        self._known = known

    async def authorization(self, participant: str, peer: str, address: str) -> str | None:
        """`Bearer` and a token for `peer` alone, holding an access token for what every peer may ask us for.

        Raises: ConfigurationError when `participant` has no wallet, or `peer` is no DID, which the token must name.
        """
        wallet = self._wallets.get(participant)
        if wallet is None:
            mend = "give it an identity"
            raise ConfigurationError(
                f"participant `{participant}` has no wallet", where=f"participants.{participant}", mend=mend
            )
        if not peer.startswith("did:"):
            mend = "name the peer by its DID, as the other participants of the space do"
            raise ConfigurationError(f"`{peer}` is no DID, and its credentials could not be asked for", where="peer", mend=mend)
        now = self._clock.now()
        access = tokens.access(
            wallet.access_key, holder=wallet.did, verifier=peer, scopes=wallet.grants, now=now, jti=self._new_id()
        )
        token = tokens.self_issued(
            wallet.token_key, sender=wallet.did, receiver=peer, now=now, jti=self._new_id(), token=access
        )
        return f"Bearer {token}"

    def claims_of(self, participant: str, peer: str) -> Mapping[str, Any]:
        """What the verifier has proven of `peer` lately; nothing otherwise."""
        return self._known(participant, peer) if self._known is not None else _NOTHING


class CredentialService:
    """Shows our credentials to verifiers that we gave an access token."""

    def __init__(self, wallets: Mapping[str, Wallet], *, senders: Senders, new_id: Callable[[], str]) -> None:
        self._wallets = wallets
        self._senders = senders
        self._new_id = new_id

    async def answer(self, participant: str, authorization: str | None, body: bytes) -> dict[str, Any]:
        """The PresentationResponseMessage to a PresentationQueryMessage; less than was asked for where less was granted.

        Raises: NotFound for an unknown participant, Unauthenticated, the same for every cause, BadMessage, NotSupported for a
        presentation definition; as `Resolver.resolve` when the verifier's document cannot be had.
        Source: DCP 1.0.1, sections 5.3.1 and 5.4.1.
        """
        wallet = self._wallets.get(participant)
        if wallet is None:
            raise NotFound("there is no such participant")
        try:
            # 1. the verifier, 2. that we gave it this access token
            found = await self._senders.prove(participant, authorization, receiver=wallet.did, needs_token=True)
            verifier, now = found.document.id, found.now
            access, granted = tokens.granted(
                found.token.claims["token"],
                key=wallet.access_key.public,
                holder=wallet.did,
                verifier=verifier,
                now=now,
                aliases=wallet.aliases,
            )
            # 3. the question, before the access token is used up by it
            query = messages.read_query(body)
            if query.has_definition:
                raise NotSupported(
                    "presentation definitions are not answered", where="presentationDefinition", mend="use `scope`"
                )
            asked = parse_all(list(query.scopes), wallet.aliases)
            await self._senders.use_up(participant, access, now)
        except Unproven as fault:
            observe.warning("identity.refused", participant=participant, check=fault.check, words=fault.words)
            mend = "send a token for this service, with the access token that it gave"
            raise Unauthenticated("no valid token", where="Authorization", mend=mend) from fault
        # 4. what was granted of what was asked for, of what we hold
        chosen = presenting.choose(wallet.held(), covered(asked, granted), now)
        ids = (self._new_id() for _ in itertools.count())
        shown = presenting.present(
            chosen, wallet.presentation_key, holder=wallet.did, verifier=verifier, now=now, ids=ids, models=wallet.models
        )
        observe.info("identity.shown", participant=participant, peer=verifier, credentials=len(chosen))
        return messages.answer(shown)
