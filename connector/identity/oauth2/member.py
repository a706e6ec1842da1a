"""A participant of a space that runs an OAuth2 or OpenID Connect provider: both ports, `Verifier` and `TokenSource`.

What lives here: `OAuth2Members`. A peer is proven by an access token for us alone, of the provider that the settings name; we prove
ourselves by one for the peer alone. What does not: the provider (`provider.py`), spaces with wallets (`identity/verifier.py`).
Source: RFC 9068, section 4; RFC 8707; RFC 7662; RFC 7523; for Keycloak its access tokens and `private_key_jwt` clients.

To the outside every refusal is the same; the failed check goes to the log. A provider that cannot be asked is 503, not 401: the peer
should come again.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import quote, urlencode

from connector import observe, strict
from connector.errors import (
    BadMessage,
    ConfigurationError,
    KontorError,
    Overloaded,
    PeerAnswer,
    PeerMessage,
    TooLarge,
    Unauthenticated,
    Unproven,
)
from connector.identity import profiles, tokens
from connector.identity.keys import Keys, KeyState, Purpose
from connector.identity.keysets import KeySet
from connector.identity.oauth2 import assertions
from connector.identity.oidc import claim, texts
from connector.identity.trustlists import Standing
from connector.jose import Token, TokenVerifier
from connector.outbound.client import OutboundClient
from connector.ports.clock import Clock
from connector.ports.identity import GROUNDS, STANDING, UNKNOWN, UNPROVEN, Caller, MessageKind
from connector.settings.oauth2 import OAuth2Membership

KEEP_INTROSPECTION: Final = timedelta(seconds=1)
"""How long a token that was withdrawn may still pass."""
_SKEW: Final = timedelta(seconds=5)
"""How far the provider's clock and ours may differ; by so much tokens are forgiven elsewhere."""
_RENEW_BEFORE: Final = timedelta(seconds=30)
_LONGEST_LIFE_S: Final = 366 * 86_400
_MOST_KEPT: Final = 20_000
_MOST_S: Final = 20.0
_LIMITS: Final = strict.Limits(max_bytes=64 << 10, max_depth=16)


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """How one participant takes part."""

    participant: str
    """Its local name."""
    id: str
    """Its participant id."""
    settings: OAuth2Membership

    @property
    def client_id(self) -> str:
        return self.settings.client_id or self.id

    @property
    def audience(self) -> str:
        return self.settings.audience or self.id


@dataclass(frozen=True, slots=True, kw_only=True)
class _Got:
    raw: str
    at: datetime
    until: datetime


@dataclass(slots=True, kw_only=True)
class _Told:
    token: Token
    claims: Mapping[str, Any]
    is_withdrawn: bool = False
    """Whether the provider said since that it holds no longer."""


class OAuth2Members:
    """Proves peers to our participants and our participants to peers."""

    def __init__(
        self, spaces: Mapping[str, Space], *, keys: Keys, outbound: OutboundClient, clock: Clock, new_id: Callable[[], str]
    ) -> None:
        self._spaces = spaces
        self._keys = keys
        self._outbound = outbound
        self._clock = clock
        self._new_id = new_id
        self._sets = {
            name: KeySet(
                issuer=space.settings.issuer,
                outbound=outbound,
                url=space.settings.jwks_url,
                seconds=lambda: clock.now().timestamp(),
            )
            for name, space in spaces.items()
        }
        self._held: OrderedDict[bytes, datetime] = OrderedDict()
        """Tokens that the provider said hold, by digest, and until when its word counts."""
        self._got: OrderedDict[tuple[str, str], _Got] = OrderedDict()
        self._getting: dict[tuple[str, str], asyncio.Lock] = {}
        self._told: OrderedDict[tuple[str, str], _Told] = OrderedDict()
        """The last token of each peer, by participant and peer."""

    def knows(self, participant: str) -> bool:
        """Whether `participant` takes part in such a space."""
        return participant in self._spaces

    # --- peers to us

    async def verify(self, participant: str, authorization: str | None, kind: MessageKind) -> Caller:
        """The author of a request to `participant`; a token of the provider is good for every kind of message.

        Raises: Unauthenticated, the same for every cause; Overloaded when the provider cannot be asked at the moment.
        """
        try:
            async with asyncio.timeout(_MOST_S):
                caller, token = await self._proven(participant, authorization)
        except Unproven as fault:
            observe.warning("identity.refused", participant=participant, check=fault.check, words=fault.words)
            raise Unauthenticated(
                "no valid token", where="Authorization", mend="send a token that this participant accepts"
            ) from fault
        except (TimeoutError, KontorError) as fault:
            observe.warning("identity.refused", participant=participant, check="unreachable", words=str(fault))
            raise Overloaded("the sender cannot be proven at the moment", mend="try again later") from fault
        _keep(self._told, (participant, caller.id), _Told(token=token, claims=caller.claims))
        return caller

    async def _proven(self, participant: str, authorization: str | None) -> tuple[Caller, Token]:
        space = self._space(participant)
        settings = space.settings
        # 1. all that needs no key: nothing is fetched for what is not lawful by itself
        raw = tokens.bearer(authorization)
        verifier = _verifier(settings)
        token = verifier.open(raw, now=self._clock.now(), audience=space.audience, issuer=settings.issuer)
        profiles.judge_kind(token)
        # 2. the provider's key
        verifier.prove(token, await self._sets[participant].key(token.key_id))
        # 3. scopes, and who it is
        lacking = set(settings.required_scopes) - set(texts(token.claims.get("scope")))
        if lacking:
            raise Unproven(f"the token has not the scope `{min(lacking)}`", check="scope")
        id_ = claim(token.claims, settings.id_claim)
        if not isinstance(id_, str) or not id_ or len(id_) > 512 or any(c.isspace() or not c.isprintable() for c in id_):
            raise Unproven(f"`{settings.id_claim}` is {strict.shown(id_)}, which is no participant id", check="subject")
        # 4. that it still holds
        if settings.introspect:
            await self._introspected(space, token)
        grounds = [f"provider {settings.issuer} key {token.key_id}"]
        return Caller(id=id_, claims={**_mapped(token.claims, settings.claims), GROUNDS: grounds}), token

    async def _introspected(self, space: Space, token: Token) -> None:
        """Returns when the provider says that the token holds. Raises: Unproven, and what asking raises."""
        digest, now = hashlib.sha256(f"{space.participant}\n{token.raw}".encode()).digest(), self._clock.now()
        known = self._held.get(digest)
        if known is not None and known - KEEP_INTROSPECTION <= now < known:
            return
        answer = await self._post(space, await self._address(space, "introspection"), {"token": token.raw})
        if answer.get("active") is not True:
            self._held.pop(digest, None)
            raise Unproven("the provider says that the token holds no longer", check="revocation", where=token.issuer)
        _keep(self._held, digest, now + KEEP_INTROSPECTION)

    # --- us to peers

    async def authorization(self, participant: str, peer: str, address: str) -> str | None:
        """Our token for `peer`, got from the provider or kept from the last message.

        Raises: ConfigurationError when no peer is named or the provider refuses us; Unreachable and others when it is away.
        """
        space = self._space(participant)
        if not peer and not _is_for_all(space.settings):
            mend = "name the peer: each token is for one connector"
            raise ConfigurationError("a token needs the peer's participant id", where=f"participants.{participant}", mend=mend)
        place = (participant, peer)
        lock = self._getting.setdefault(place, asyncio.Lock())
        try:
            async with lock:
                got = self._got.get(place)
                # with a clock that was put back it may be over long before `until`
                if got is None or not got.at <= self._clock.now() < got.until:
                    got = await self._token(space, peer)
                    _keep(self._got, place, got)
        finally:
            if not lock.locked():
                self._getting.pop(place, None)
        return f"Bearer {got.raw}"

    async def claims_of(self, participant: str, peer: str) -> Mapping[str, Any]:
        """What the last token of `peer` attests, as long as that token is good.

        INVARIANT: how a peer stands is known no longer than a token of its lasts. Whose last token is over, or who has shown none,
        is UNPROVEN until its next message: it gets no data, under whatever terms. Where the provider is asked about tokens it is
        asked now, too: whose token it has withdrawn is SUSPENDED until it shows another, and UNKNOWN while the provider cannot be
        asked.
        """
        told = self._told.get((participant, peer))
        if told is None or (not told.is_withdrawn and self._clock.now() >= (told.token.expires or self._clock.now())):
            return {STANDING: UNPROVEN}
        space = self._space(participant)
        if not told.is_withdrawn and space.settings.introspect:
            try:
                async with asyncio.timeout(_MOST_S):
                    await self._introspected(space, told.token)
            except Unproven as fault:
                if self._told.get((participant, peer)) is not told:
                    # it has shown another one meanwhile
                    return await self.claims_of(participant, peer)
                if self._clock.now() >= (told.token.expires or self._clock.now()) - _SKEW:
                    # over by the provider's clock, which is not ours: nobody has withdrawn it
                    return {STANDING: UNPROVEN}
                observe.warning("identity.withdrawn", participant=participant, peer=peer, words=fault.words)
                told.is_withdrawn = True
            except (TimeoutError, KontorError) as fault:
                observe.warning("identity.unknown", participant=participant, peer=peer, cause=str(fault) or "it took too long")
                return {STANDING: UNKNOWN}
        return {STANDING: Standing.SUSPENDED.value} if told.is_withdrawn else told.claims

    async def _token(self, space: Space, peer: str) -> _Got:
        settings = space.settings
        form = {"grant_type": "client_credentials"}
        if peer:
            form["resource"] = peer
        if settings.scopes:
            form["scope"] = " ".join(settings.scopes)
        form |= {name: value.replace("{peer}", peer) for name, value in settings.parameters.items()}
        try:
            answer = await self._post(space, await self._address(space, "token"), form)
        except PeerAnswer as fault:
            if fault.answer_status in (400, 401, 403):
                where, mend = (
                    f"participants.{space.participant}.oauth2",
                    "register the client with the provider, or mend its settings",
                )
                raise ConfigurationError(
                    f"the provider gives no token for `{peer}`: {fault.what}", where=where, mend=mend
                ) from fault
            raise
        raw, life = answer.get("access_token"), answer.get("expires_in", 60)
        if (
            not isinstance(raw, str)
            or not raw
            or not raw.isascii()
            or not raw.isprintable()
            or " " in raw
            or type(life) is not int
            or not 0 < life <= _LONGEST_LIFE_S
        ):
            raise PeerMessage("the provider's answer has no usable `access_token`", where=settings.issuer)
        now, whole = self._clock.now(), timedelta(seconds=life)
        return _Got(raw=raw, at=now, until=now + max(whole - _RENEW_BEFORE, whole / 2))

    async def jwks(self, participant: str) -> dict[str, Any]:
        """The public keys by which `participant` proves itself to its provider."""
        self._space(participant)
        await self._key_of(participant)
        kept = await self._keys.all(participant)
        return {
            "keys": [
                {**one.public.jwk(), "kid": one.id, "use": "sig"}
                for one in kept
                if one.purpose is Purpose.OAUTH and one.state is not KeyState.REVOKED
            ]
        }

    # --- the provider

    async def _post(self, space: Space, url: str, form: Mapping[str, str]) -> Mapping[str, Any]:
        """The JSON object that the provider answers to `form` of ours, which we prove to be ours."""
        settings = space.settings
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        form = dict(form)
        if settings.client_secret is not None:
            # Source: RFC 6749, section 2.3.1: both parts are encoded before they are joined
            pair = f"{quote(space.client_id, safe='')}:{quote(settings.client_secret, safe='')}"
            headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        else:
            key = await self._signing(space)
            form["client_id"] = space.client_id
            form["client_assertion_type"] = assertions.TYPE
            form["client_assertion"] = assertions.written(
                key, client=space.client_id, issuer=settings.issuer, now=self._clock.now(), jti=self._new_id()
            )
        answer = await self._outbound.post(url, urlencode(form).encode(), headers, max_bytes=_LIMITS.max_bytes)
        if answer.status != 200:
            words = _reason(answer.body) or f"status {answer.status}"
            raise PeerAnswer(f"the provider answers {words}", answer_status=answer.status, where=url)
        try:
            tree = strict.scan(answer.body, _LIMITS)
        except (BadMessage, TooLarge) as fault:
            raise PeerMessage(f"the provider's answer is not strict JSON: {fault}", where=url) from fault
        if not isinstance(tree, dict):
            raise PeerMessage("the provider's answer is no JSON object", where=url)
        return tree

    async def _address(self, space: Space, endpoint: str) -> str:
        configured = space.settings.token_url if endpoint == "token" else space.settings.introspection_url
        return configured or await self._sets[space.participant].endpoint(f"{endpoint}_endpoint")

    async def _signing(self, space: Space) -> Any:
        if space.settings.key == "did":
            return await self._keys.signing(space.participant, Purpose.TOKEN)
        await self._key_of(space.participant)
        return await self._keys.signing(space.participant, Purpose.OAUTH)

    async def _key_of(self, participant: str) -> None:
        """Returns when `participant` has a key for its provider; the first one is made when it is first needed."""
        await self._keys.ensure(participant, self._spaces[participant].id, (Purpose.OAUTH,))

    def _space(self, participant: str) -> Space:
        space = self._spaces.get(participant)
        if space is None:
            raise Unproven("this participant takes no part in a space with an OAuth2 provider", check="participant")
        return space


def _verifier(settings: OAuth2Membership) -> TokenVerifier:
    base = profiles.MEMBER
    return replace(base, profile=replace(base.profile, is_audience_shared=True)) if settings.is_audience_shared else base


def _is_for_all(settings: OAuth2Membership) -> bool:
    """Whether tokens are not for one connector: only where the settings share the audience do peers take such."""
    return settings.is_audience_shared or settings.audience is not None


def _mapped(claims: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """What policies see: the claims that the settings name, where they are texts, numbers, truth values or lists of them."""
    found: dict[str, Any] = {}
    for name, path in names.items():
        value = claim(claims, path)
        values = value if isinstance(value, list) else [value]
        if values and all(isinstance(one, str | int | float | bool) for one in values):
            found[name] = value
    return found


def _reason(body: bytes) -> str:
    """`error` and `error_description` of a refusal. Source: RFC 6749, section 5.2."""
    try:
        tree = strict.scan(body, _LIMITS)
    except (BadMessage, TooLarge):
        return ""
    said = (
        [tree[name] for name in ("error", "error_description") if isinstance(tree.get(name), str)]
        if isinstance(tree, dict)
        else []
    )
    return json.dumps(": ".join(said))[:300] if said else ""


def _keep(kept: OrderedDict[Any, Any], place: Any, value: Any) -> None:
    kept[place] = value
    kept.move_to_end(place)
    while len(kept) > _MOST_KEPT:
        kept.popitem(last=False)
