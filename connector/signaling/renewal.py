"""A new token for a pull under the standard's own HTTP profile: for the consumer that the flow is for, and nobody else.

What lives here: judging the request and making the token. What does not: the address (`web/signaling/data.py`).
The refresh token alone is not enough: the client signs with a key of its DID document, names the provider as audience, and shows the
access token that it has. A renewed token does not end the old one until it is first used, and the refresh token stays what it is: an
answer that is lost loses nothing.
Source: Data Plane Signaling profiles, "Token Renewal"; RFC 6749, section 6.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Final

from connector import observe
from connector.dps.flow import FlowState
from connector.dsp.transfer import Access
from connector.errors import KontorError, Unauthenticated, Unproven
from connector.jose import Profile, PublicKey, TokenVerifier
from connector.ports.clock import Clock
from connector.ports.replay import ReplayStore
from connector.signaling.entries import is_same
from connector.signaling.flows import HOME, Flow
from connector.signaling.shelf import Flows

_CLIENT: Final = TokenVerifier(
    profile=Profile(
        name="renewal token",
        types=frozenset({None, "jwt"}),
        required=("iss", "sub", "aud", "exp", "iat", "token"),
        forbidden=("vp", "vc", "scope"),
    )
)
"""What a client shows: `iss` and `sub` itself, `aud` the provider, `token` the access token that it has."""
KeyOf = Callable[[str, str | None], Awaitable[PublicKey]]
"""The key of a DID that a token names. Raises: Unproven, PeerError."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Renewed:
    """What the client gets."""

    access: str = field(repr=False)
    seconds: int


class Renewal:
    """Renews tokens."""

    def __init__(self, flows: Flows, replay: ReplayStore, key_of: KeyOf, clock: Clock, *, ttl_s: int) -> None:
        self._flows = flows
        self._replay = replay
        self._key_of = key_of
        self._clock = clock
        self._ttl_s = ttl_s

    async def renew(self, id_: str, refresh: str, authorization: str | None) -> Renewed:
        """A new token for the flow.

        Raises: Unauthenticated, whatever it is that does not fit.
        """
        try:
            flow = await self._judged(id_, refresh, authorization)
        except KontorError as fault:
            observe.info("signaling.not_renewed", flow=id_, cause=fault.words if isinstance(fault, Unproven) else str(fault))
            raise Unauthenticated("no valid token") from fault
        access = secrets.token_urlsafe(32)
        until = self._clock.now() + timedelta(seconds=self._ttl_s)
        opened = Access(token_sha256=_sha256(access), expires_at=until)

        def decide(now: Flow) -> Flow:
            if now.refresh_sha256 != flow.refresh_sha256 or now.state is not FlowState.STARTED:
                raise Unauthenticated("no valid token")
            return replace(now, upcoming=opened)

        await self._flows.change(id_, decide)
        return Renewed(access=access, seconds=self._ttl_s)

    async def _judged(self, id_: str, refresh: str, authorization: str | None) -> Flow:
        flow, now = await self._flows.find(id_), self._clock.now()
        if flow is None or flow.refresh_sha256 is None or flow.state is not FlowState.STARTED:
            raise Unproven("there is no such flow to renew", check="flow")
        if not hmac.compare_digest(_sha256(refresh), flow.refresh_sha256):
            raise Unproven("the refresh token is not the one that was given", check="refresh-token")
        scheme, _, raw = (authorization or "").partition(" ")
        if scheme.lower() != "bearer":
            raise Unproven("the client proves nothing", check="token")
        client = flow.counter_party_id
        token = _CLIENT.open(raw.strip(), now=now, audience=flow.participant_id, issuer=client)
        if token.claims["sub"] != client:
            raise Unproven("`sub` and `iss` are the client", check="subject")
        shown = _sha256(str(token.claims["token"]))
        if not any(one is not None and is_same(shown, one.token_sha256) for one in (flow.access, flow.upcoming)):
            raise Unproven("the access token in it is not that of the flow", check="access-token")
        _CLIENT.prove(token, await self._key_of(client, token.key_id))
        jti, until = token.claims.get("jti"), token.expires
        if (
            jti is not None
            and until is not None
            and not await self._replay.use(HOME, f"renewal:{client}", str(jti), until + _CLIENT.leeway, now)
        ):
            raise Unproven("the token was used before", check="replay")
        return flow


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
