"""The OAuth2 provider of a space: who may call whom, attested in tokens of one connector for one connector.

What lives here: `Provider`. Each request is gathered (client, its key, use of its assertion, the token it is about), decided by
Authlib's grants (`grants.py`), and committed (token signed, revocation kept). What does not: routes, who the clients are.
Source: RFC 6749, 7009, 7523, 7662, 8414, 8707, 9068; IDS-G, Components/IdentityProvider/DAPS for the optional claims.

To the outside an unknown client, an unknown key and a wrong signature are the same `invalid_client`; the log has the failed check.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from connector import jose, observe
from connector.errors import Conflict, KontorError, Overloaded, Unproven
from connector.identity import profiles
from connector.identity.keys import Keys, KeyState, Purpose
from connector.identity.oauth2 import assertions
from connector.identity.oauth2.clients import Client, Clients
from connector.identity.oauth2.grants import Gathered, Grant, answer
from connector.jose import Token
from connector.ports.clock import Clock
from connector.ports.store import Document, Store

CONTEXT: Final = "@oauth2"
"""The context of what belongs to the provider; no participant can have this name."""
REVOKED: Final = "revoked-token"
_DAPS_CONTEXT: Final = "https://w3id.org/idsa/contexts/context.jsonld"
_PURGED_AT_ONCE: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderRules:
    """What kind of tokens it gives."""

    issuer: str
    """Its name, and the address below which it is served."""
    life: timedelta = timedelta(minutes=5)
    key_life: timedelta = timedelta(days=90)
    daps_claims: bool = False
    security_profile: str = ""
    is_shared_audience_allowed: bool = False

    @property
    def token_url(self) -> str:
        return f"{self.issuer}/oauth2/token"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What goes back."""

    status: int
    body: Mapping[str, Any]


class Provider:
    """Gives tokens to clients, says whether they hold, takes them back."""

    def __init__(
        self,
        rules: ProviderRules,
        *,
        clients: Clients,
        keys: Keys,
        store: Store,
        clock: Clock,
        new_id: Callable[[], str],
    ) -> None:
        self._rules = rules
        self._clients = clients
        self._keys = keys
        self._store = store
        self._clock = clock
        self._new_id = new_id
        self._making = asyncio.Lock()

    def metadata(self) -> dict[str, Any]:
        """What it is and where: for everybody.

        Source: RFC 8414, section 2.
        """
        base = f"{self._rules.issuer}/oauth2"
        methods, algorithms = ["private_key_jwt"], sorted(jose.ALGORITHMS)
        return {
            "issuer": self._rules.issuer,
            "token_endpoint": self._rules.token_url,
            "jwks_uri": f"{base}/jwks",
            "introspection_endpoint": f"{base}/introspect",
            "revocation_endpoint": f"{base}/revoke",
            "response_types_supported": [],
            "grant_types_supported": ["client_credentials"],
            **{
                f"{endpoint}_endpoint_auth_{name}_supported": value
                for endpoint in ("token", "introspection", "revocation")
                for name, value in (("methods", methods), ("signing_alg_values", algorithms))
            },
        }

    async def jwks(self) -> dict[str, Any]:
        """The public keys: those that sign, those that will, and those whose tokens may still be about."""
        await self._ready()
        kept = await self._keys.all(CONTEXT)
        return {
            "keys": [{**one.public.jwk(), "kid": one.id, "use": "sig"} for one in kept if one.state is not KeyState.REVOKED]
        }

    async def token(self, form: Mapping[str, str]) -> Reply:
        """A token for one connector, or why there is none.

        Raises: Overloaded when the client's keys cannot be had at the moment, StoreUnavailable.
        """
        now = self._clock.now()
        client = await self._proven(form, now)
        resource = form.get("resource")
        # RFC 8707: nothing is said about other clients to one that has not proven itself
        target = await self._clients.client(resource) if client is not None and resource is not None else None
        decided = answer(
            "token",
            Gathered(
                form=form,
                client=client,
                now=now,
                resource=resource,
                has_resource=target is not None and target.is_active,
                is_shared_audience_allowed=self._rules.is_shared_audience_allowed,
            ),
        )
        if decided.granted is None or decided.status != 200:
            return Reply(status=decided.status, body=decided.body)
        raw = await self._signed(decided.granted, now)
        observe.info("oauth2.granted", client=decided.granted.client.id, audience=decided.granted.audience)
        body = {"access_token": raw, "token_type": "Bearer", "expires_in": int(self._rules.life.total_seconds())}
        if decided.granted.scope:
            body["scope"] = decided.granted.scope
        return Reply(status=200, body=body)

    async def introspect(self, form: Mapping[str, str]) -> Reply:
        """Whether a token still holds. Raises: as `token`."""
        return await self._about_a_token("introspection", form)

    async def revoke(self, form: Mapping[str, str]) -> Reply:
        """Nothing, when the token holds no longer. Raises: as `token`."""
        return await self._about_a_token("revocation", form)

    async def _about_a_token(self, endpoint: str, form: Mapping[str, str]) -> Reply:
        now = self._clock.now()
        client = await self._proven(form, now)
        shown = await self._ours(form.get("token", ""), now) if client is not None else None
        gathered = Gathered(form=form, client=client, now=now, shown=shown)
        if shown is not None:
            kept = await self._store.document(CONTEXT, REVOKED, str(shown.claims["jti"]))
            gathered = replace(
                gathered, holder=await self._clients.client(str(shown.claims["client_id"])), is_revoked=kept is not None
            )
        decided = answer(endpoint, gathered)
        if decided.revoked is not None:
            await self._keep_revoked(decided.revoked, now)
        return Reply(status=decided.status, body=decided.body)

    async def _proven(self, form: Mapping[str, str], now: datetime) -> Client | None:
        """The client that the request's assertion proves, its use remembered; None when it proves nobody."""
        if form.get("client_assertion_type") != assertions.TYPE:
            return None
        names = (self._rules.issuer, self._rules.token_url)
        try:
            # 1. all that needs no key; 2. the client, before anything is fetched on its account; 3. its key; 4. the one use
            token = assertions.opened(form.get("client_assertion", ""), client=form.get("client_id"), audiences=names, now=now)
            client = await self._clients.client(token.issuer)
            if client is None or not client.is_active:
                raise Unproven("there is no such client, or it is not active", check="client", where=token.issuer)
            profiles.ASSERTION.prove(token, await self._clients.key(client.id, token.key_id))
            until = (token.expires or now) + profiles.ASSERTION.leeway + timedelta(seconds=1)
            if not await self._store.replay.use(CONTEXT, client.id, str(token.claims["jti"]), until, now):
                raise Unproven("the assertion was used before", check="replay", where=client.id)
        except Unproven as fault:
            observe.warning("oauth2.refused", check=fault.check, words=fault.words, client=fault.where)
            return None
        except Overloaded:
            raise
        except KontorError as fault:
            observe.warning("oauth2.refused", check="unreachable", words=str(fault))
            raise Overloaded("the client's keys cannot be had at the moment", mend="try again later") from fault
        return client

    async def _ours(self, raw: str, now: datetime) -> Token | None:
        """The token, when it is one that we gave."""
        try:
            token = profiles.GIVEN.open(raw, now=now, issuer=self._rules.issuer)
            known = {one.id: one for one in await self._keys.all(CONTEXT) if one.state is not KeyState.REVOKED}
            key = known.get(token.key_id or "")
            if key is None:
                raise Unproven("no key of ours signed it", check="key-id")
            profiles.GIVEN.prove(token, key.public)
        except Unproven:
            return None
        return token

    async def _signed(self, grant: Grant, now: datetime) -> str:
        """Source: RFC 9068, section 2.2; IDS-G, DAPS, "Dynamic Attribute Token" for what `daps_claims` adds."""
        await self._ready()
        at, client = int(now.timestamp()), grant.client
        claims: dict[str, Any] = {
            **client.claims,
            "iss": self._rules.issuer,
            "sub": client.id,
            "client_id": client.id,
            "aud": grant.audience,
            "iat": at,
            "nbf": at,
            "exp": at + int(self._rules.life.total_seconds()),
            "jti": self._new_id(),
        }
        if grant.scope:
            claims["scope"] = grant.scope
        if self._rules.daps_claims:
            profile = {"securityProfile": self._rules.security_profile}
            claims = {
                "@context": _DAPS_CONTEXT,
                "@type": "ids:DatPayload",
                **profile,
                "referringConnector": client.id,
                **claims,
            }
        return jose.sign(await self._keys.signing(CONTEXT, Purpose.OAUTH), claims, type_=profiles.MEMBER_TYPE)

    async def _ready(self) -> None:
        """Returns when there is a key that signs, and another one before that becomes too old."""
        kept = [one for one in await self._keys.all(CONTEXT) if one.state in (KeyState.ACTIVE, KeyState.CREATED)]
        if kept and kept[-1].begins + self._rules.key_life > self._clock.now():
            return
        async with self._making:
            kept = [one for one in await self._keys.all(CONTEXT) if one.state in (KeyState.ACTIVE, KeyState.CREATED)]
            if kept and kept[-1].begins + self._rules.key_life > self._clock.now():
                return
            if not kept:
                # of several replicas that begin at the same time one makes it
                await self._keys.ensure(CONTEXT, self._rules.issuer, (Purpose.OAUTH,))
                return
            for one in await self._keys.all(CONTEXT):
                if one.state is KeyState.ROTATED:
                    # its successor has signed for a whole life of keys: no token of its is about any more
                    await self._keys.revoke(CONTEXT, one.id)
            await self._keys.create(CONTEXT, self._rules.issuer, Purpose.OAUTH)

    async def _keep_revoked(self, token: Token, now: datetime) -> None:
        """Keep that `token` holds no longer, until it is over anyway; what is over is forgotten."""
        assert token.expires is not None
        page = await self._store.documents(CONTEXT, REVOKED, limit=_PURGED_AT_ONCE)
        for old in page.items:
            if datetime.fromisoformat(old.body["until"]) < now:
                await self._store.delete_document(CONTEXT, REVOKED, old.id)
        body = {"until": (token.expires + profiles.GIVEN.leeway).isoformat()}
        document = Document(
            participant=CONTEXT, kind=REVOKED, id=str(token.claims["jti"]), body=body, created_at=now, updated_at=now
        )
        try:
            await self._store.put_document(document, expect=0)
        except Conflict:
            return
        observe.info("oauth2.revoked", client=token.claims["client_id"])
