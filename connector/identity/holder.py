"""Our side of a proof: the token we send with a message, and the service that shows our credentials to whom we sent it.

What lives here: `Wallet` (a participant's keys and credentials), `WalletTokens` (the port `TokenSource`), `CredentialService`.
What does not: obtaining credentials from issuers (`deliveries.py`), keeping keys and putting wallets together (`wallets.py`).
Source: DCP 1.0, sections 4.3 (token), 5.3 (access), 5.4.1 (query).
"""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from connector import observe
from connector.errors import BeyondGrant, ConfigurationError, KontorError, NotFound, NotSupported, Unproven
from connector.identity import messages, presenting, tokens
from connector.identity.admission import Spaces
from connector.identity.formats import Credential, Model
from connector.identity.remote import Remote
from connector.identity.scopes import ALIASES, By, covered, parse_all
from connector.identity.senders import Senders, refusal
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
    former_access_keys: Mapping[str, PublicKey] = field(default_factory=dict)
    """By id: what they signed still counts, until its end."""
    held: tuple[Credential, ...]
    grants: tuple[str, ...]
    """The scopes that every receiver of our messages may ask for."""
    aliases: Mapping[str, By] = field(default_factory=lambda: ALIASES)
    models: tuple[Model, ...] = (Model.V1, Model.V2)
    """The data models that we show, the preferred one first."""
    spaces: Spaces = field(default_factory=Spaces)
    """The data spaces that it takes part in."""
    refuses_beyond_grant: bool = False
    """Whether who asks for more than was granted is refused, instead of shown less."""

    def access_keys(self, key_id: str | None) -> PublicKey:
        """The key that proves an access token of ours; the present one for whatever is not known."""
        return self.former_access_keys.get(key_id or "", self.access_key.public)


Wallets = Callable[[str], Awaitable[Wallet | None]]
"""The wallet of a participant of this node, None for who has none."""
Remotes = Callable[[str], Awaitable[tuple[Remote, tuple[str, ...]] | None]]
"""The wallet elsewhere of a participant, and what its peers may ask there; None for who has none."""
Claims = Callable[[str, str], Awaitable[Mapping[str, Any]]]
"""What a participant of ours knows of a peer."""


class WalletTokens:
    """Proves us to peers by self-issued tokens, a new one for each message."""

    def __init__(
        self,
        wallets: Wallets,
        *,
        clock: Clock,
        new_id: Callable[[], str],
        known: Claims | None = None,
        remote: Remotes | None = None,
    ) -> None:
        self._wallets = wallets
        self._clock = clock
        self._new_id = new_id
        self._known = known
        self._remote = remote

    async def authorization(self, participant: str, peer: str, address: str) -> str | None:
        """`Bearer` and a token for `peer` alone, holding an access token for what every peer may ask us for.

        Raises: ConfigurationError when `participant` has no wallet, or `peer` is no DID, which the token must name.
        """
        elsewhere = await self._remote(participant) if self._remote is not None else None
        if elsewhere is not None:
            return f"Bearer {await elsewhere[0].issue(_did(peer), scopes=elsewhere[1])}"
        wallet = await self._wallets(participant)
        if wallet is None:
            mend = "give it an identity"
            raise ConfigurationError(
                f"participant `{participant}` has no wallet", where=f"participants.{participant}", mend=mend
            )
        return f"Bearer {issued(wallet, _did(peer), wallet.grants, now=self._clock.now(), new_id=self._new_id)}"

    async def claims_of(self, participant: str, peer: str) -> Mapping[str, Any]:
        """What the verifier has proven of `peer`, as far as it still holds; nothing otherwise."""
        return await self._known(participant, peer) if self._known is not None else _NOTHING


def _did(peer: str) -> str:
    """`peer`, which a token must name. Raises: ConfigurationError when it is no DID."""
    if not peer.startswith("did:"):
        mend = "name the peer by its DID, as the other participants of the space do"
        raise ConfigurationError(f"`{peer}` is no DID, and its credentials could not be asked for", where="peer", mend=mend)
    return peer


def issued(wallet: Wallet, receiver: str, scopes: Sequence[str], *, now: datetime, new_id: Callable[[], str]) -> str:
    """A self-issued token for `receiver` alone, holding an access token for what `scopes` mean."""
    access = tokens.access(wallet.access_key, holder=wallet.did, verifier=receiver, scopes=scopes, now=now, jti=new_id())
    return tokens.self_issued(wallet.token_key, sender=wallet.did, receiver=receiver, now=now, jti=new_id(), token=access)


class CredentialService:
    """Shows our credentials to verifiers that we gave an access token."""

    def __init__(self, wallets: Wallets, *, senders: Senders, new_id: Callable[[], str]) -> None:
        self._wallets = wallets
        self._senders = senders
        self._new_id = new_id

    async def answer(self, participant: str, authorization: str | None, body: bytes) -> dict[str, Any]:
        """The PresentationResponseMessage to a PresentationQueryMessage; less than was asked for where less was granted.

        Raises: NotFound for an unknown participant, Unauthenticated, the same for every cause, Overloaded when the cause may
        pass, BadMessage, NotSupported for a presentation definition, BeyondGrant where the wallet refuses that.
        Source: DCP 1.0.1, sections 5.3.1 and 5.4.1.
        """
        wallet = await self._wallets(participant)
        if wallet is None:
            raise NotFound("there is no such participant")
        mend = "send a token for this service, with the access token that it gave"
        try:
            # 1. the verifier
            found = await self._senders.prove(participant, authorization, receiver=wallet.did, needs_token=True)
        except KontorError as fault:
            raise refusal(participant, fault, mend) from fault
        try:
            # 2. that we gave it this access token
            verifier, now = found.document.id, found.now
            access, granted = tokens.granted(
                found.token.claims["token"],
                key=wallet.access_keys,
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
            within = covered(asked, granted)
            if wallet.refuses_beyond_grant and len(within) < len(asked):
                raise BeyondGrant("more was asked for than was granted", where="scope", mend="ask for what the token grants")
            await self._senders.use_up(participant, access, now)
        except Unproven as fault:
            raise refusal(participant, fault, mend) from fault
        # 4. what was granted of what was asked for, of what we hold
        chosen = await wallet.spaces.shown_to(verifier, presenting.choose(wallet.held, within, now))
        ids = (self._new_id() for _ in itertools.count())
        shown = presenting.present(
            chosen, wallet.presentation_key, holder=wallet.did, verifier=verifier, now=now, ids=ids, models=wallet.models
        )
        observe.info("identity.shown", participant=participant, peer=verifier, credentials=len(chosen))
        return messages.answer(shown)
