"""Whose call it is: a plane that is registered and proves itself. Asked before anything of the request is looked at.

What lives here: proving a bearer token against the entries that there are. What does not: what the caller may do then.
Whoever cannot be proven gets one answer, whether the plane, the secret or the transfer is unknown. A token must name us in `aud`, as
the standard has it: what a server issues for another of its services opens nothing here. It must end, and not be older than a day; one
with `jti` is good once; one of a broker must be of the issuer that is registered, and grant the scope. Entries without keys are never
believed, unless the operator has allowed that entry to come unverified.
Source: Data Plane Signaling v1.0-RC3, profiles "OAuth2 Client Credentials" and "OAuth 2 Token Exchange"; RFC 8725.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Final, Protocol

from connector import jose, observe
from connector.errors import KontorError, Unauthenticated, Unproven
from connector.jose import Profile, PublicKey, Token, TokenVerifier
from connector.ports.clock import Clock
from connector.ports.replay import ReplayStore
from connector.signaling.entries import Entry, is_same

SIGNALING: Final = TokenVerifier(
    profile=Profile(
        name="signaling token",
        types=frozenset({None, "jwt", "at+jwt"}),
        required=("sub", "aud", "exp", "iat"),
        forbidden=("vp", "vc", "token"),
        max_life=timedelta(hours=24),
        is_audience_shared=True,
    )
)
"""What a plane shows to another: `sub` the caller."""


class Keys(Protocol):
    """The keys of one issuer, fetched and kept."""

    async def key(self, key_id: str | None) -> PublicKey: ...


class Callers:
    """Proves planes."""

    def __init__(self, clock: Clock, replay: ReplayStore, keys: Callable[[str], Keys]) -> None:
        """`keys` gives the key set at an address."""
        self._clock = clock
        self._replay = replay
        self._keys = keys

    async def prove(self, authorization: str | None, entries: Sequence[Entry], *, audience: str) -> Entry:
        """The one of `entries` that sent `authorization`; `audience` is our own id.

        Raises: Unauthenticated, always with the same words.
        """
        try:
            return await self._proven(authorization, entries, audience)
        except KontorError as fault:
            words = fault.words if isinstance(fault, Unproven) else str(fault)
            observe.info("signaling.refused", cause=words)
            raise Unauthenticated("no valid token") from fault

    async def _proven(self, authorization: str | None, entries: Sequence[Entry], audience: str) -> Entry:
        scheme, _, raw = (authorization or "").strip().partition(" ")
        raw = raw.strip() if scheme.lower() == "bearer" else ""
        if raw:
            for entry in entries:
                if entry.authorization.secret is not None and is_same(raw, entry.authorization.secret):
                    return entry
            if any(_has_keys(entry) for entry in entries):
                # only now is it worth reading
                return await self._by_token(raw, entries, audience)
        open_ = [entry for entry in entries if entry.is_unverified and not entry.authorization.proves]
        # a plane may be expected and registered; with two of them nobody could tell which one calls
        if len({entry.id for entry in open_}) == 1:
            return open_[0]
        raise Unproven("nothing proves who calls", check="token")

    async def _by_token(self, raw: str, entries: Sequence[Entry], audience: str) -> Entry:
        now = self._clock.now()
        token = SIGNALING.open(raw, now=now, audience=audience)
        subject = token.claims["sub"]
        entry = next((one for one in entries if (one.principal or one.id) == subject and _has_keys(one)), None)
        if entry is None:
            raise Unproven("no plane of this name is registered", check="subject")
        wanted = entry.authorization
        if wanted.issuer is not None and token.issuer != wanted.issuer:
            raise Unproven("the token is of another issuer than the plane's", check="issuer")
        if wanted.exchange_endpoint is not None:
            _check_exchanged(token, wanted.scope)
        SIGNALING.prove(token, await self._key(entry, token))
        jti, until = token.claims.get("jti"), token.expires
        if jti is not None and until is not None:
            issuer = f"signaling:{token.issuer or entry.id}"
            if not await self._replay.use(entry.participant, issuer, str(jti), until + SIGNALING.leeway, now):
                raise Unproven("the token was used before", check="replay")
        return entry

    async def _key(self, entry: Entry, token: Token) -> PublicKey:
        keys = entry.authorization.jwks
        if keys:
            fits = [key for key in keys if token.key_id is None or key.get("kid") == token.key_id]
            if len(fits) != 1:
                raise Unproven(f"the plane has registered no key `{token.key_id}`", check="key-id")
            return jose.from_jwk(fits[0])
        assert entry.authorization.jwks_uri is not None
        return await self._keys(entry.authorization.jwks_uri).key(token.key_id)


def _check_exchanged(token: Token, scope: str) -> None:
    """Raises: Unproven when a broker's token does not say all that it must, or grants less than the plane needs.

    Source: profile "OAuth 2 Token Exchange", "Receiver Validation". `act` is for the record alone.
    """
    granted, context = token.claims.get("scope"), token.claims.get("participant_context")
    if not isinstance(context, str) or not context:
        raise Unproven("the token names no `participant_context`", check="participant-context")
    if not isinstance(granted, str) or not set(scope.split()) <= set(granted.split()):
        raise Unproven("the token does not grant the scope", check="scope")


def _has_keys(entry: Entry) -> bool:
    """Whether its calls are proven by tokens."""
    return bool(entry.authorization.jwks or entry.authorization.jwks_uri)
