"""Who sends a request: self-issued tokens, opened, looked up, proven and used up, in this order.

What lives here: `Senders`, for every endpoint that takes such a token: messages of connectors, questions to wallets, requests to
issuers; and `refusal`, what the sender of a bad one hears. What does not: the rules (`tokens.py`), and what a sender may then do.
Source: DCP 1.0, section 4.3.3.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from connector import observe
from connector.errors import ConfigurationError, KontorError, Overloaded, Unauthenticated, Unproven
from connector.identity import profiles, tokens
from connector.identity.did import Document
from connector.identity.evidence import is_passing
from connector.identity.resolver import Resolver
from connector.jose import Token
from connector.ports.clock import Clock
from connector.ports.replay import ReplayStore

LOOK_AGAIN: Final = ("key-id", "signature")
"""Failed checks after which a document is looked up anew, once: the key may be newer than our copy."""


def refusal(participant: str, fault: KontorError | TimeoutError, mend: str) -> KontorError:
    """What a sender hears whom `fault` kept from being proven: the same for every cause, which goes to the log.

    A cause that may pass is another answer, so that the peer tries again: a 401 is final with connectors of the Eclipse family.
    """
    check = fault.check if isinstance(fault, Unproven) else "unreachable"
    words = fault.words if isinstance(fault, Unproven) else str(fault) or "it took too long"
    observe.warning("identity.refused", participant=participant, check=check, words=words)
    # what is wrong with our own configuration is no fault of the sender's, and may be mended
    if isinstance(fault, TimeoutError | ConfigurationError) or is_passing(fault) or fault.status == Overloaded.status:
        return Overloaded("the sender cannot be proven at the moment", mend="try again later")
    return Unauthenticated("no valid token", where="Authorization", mend=mend)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """The proven sender of a request."""

    token: Token
    document: Document
    now: datetime
    """When it was proven."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Senders:
    """Proves senders."""

    resolver: Resolver
    replay: ReplayStore
    clock: Clock

    async def prove(
        self, participant: str, authorization: str | None, *, receiver: str, needs_token: bool, must_declare: bool = False
    ) -> Sender:
        """The sender of a request to `participant`, whose DID is `receiver`; its token is used up.

        Raises: Unproven; as `Resolver.resolve` when the sender's document cannot be had; as `ReplayStore.use`.
        """
        now = self.clock.now()
        token = tokens.open_self_issued(tokens.bearer(authorization), receiver=receiver, now=now, needs_token=needs_token)
        document = await self.resolver.resolve(token.issuer)
        try:
            tokens.prove_self_issued(token, document, must_declare=must_declare)
        except Unproven as fault:
            if fault.check not in LOOK_AGAIN:
                raise
            document = await self.resolver.resolve(token.issuer, anew=True)
            tokens.prove_self_issued(token, document, must_declare=must_declare)
        # INVARIANT: a token is over when its sender's host has answered so late, or it could be used again once it is forgotten
        now = self.clock.now()
        profiles.SELF_ISSUED.open(token, now=now)
        await self.use_up(participant, token, now)
        return Sender(token=token, document=document, now=now)

    async def use_up(self, participant: str, token: Token, now: datetime) -> None:
        """Returns when `token` was not used before. Only for tokens that are proven, or strangers could use up others' names.

        Raises: Unproven.
        """
        # INVARIANT: remembered until it is refused as over, the leeway of clocks included
        until = (token.expires or now) + profiles.SELF_ISSUED.leeway + timedelta(seconds=1)
        if not await self.replay.use(participant, token.issuer, str(token.claims["jti"]), until, now):
            raise Unproven("the token was used before", check="replay", where=token.issuer)
