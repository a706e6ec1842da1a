"""Routes: keys, credentials and requests for credentials of a participant. Nothing here gives a private key or a credential away."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Protocol
from uuid import uuid4

from fastapi import APIRouter, Path

from connector.api import identity as api
from connector.api.common import Listing, Tree
from connector.controlplane.participants import Participants
from connector.errors import NotFound
from connector.identity.formats import Credential, Model
from connector.identity.held import Held
from connector.identity.keys import Key, Keys, Purpose
from connector.identity.requests import Request, Requests
from connector.ports.clock import Clock
from connector.web.operator import views
from connector.web.operator.keys import Participant
from connector.web.operator.queries import Cursor, Limit
from connector.web.operator.rooms import room

Name = Annotated[str, Path(max_length=512, pattern=r"^[^\x00-\x20\x7f]+$", description="Name of the thing.")]
_PROFILES = {Model.V1: "vc11-sl2021/jwt", Model.V2: "vc20-bssl/jwt"}


class Opened(Protocol):
    """The open wallets, as far as operators look at them."""

    @property
    def keys(self) -> Keys: ...
    @property
    def held(self) -> Held: ...
    @property
    def wallets(self) -> Any: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityParts:
    """What these routes stand on."""

    participants: Participants
    opened: Callable[[], Awaitable[Opened]]
    requests: Requests
    clock: Clock
    woken: asyncio.Event
    """Set when a request has something to do."""
    clients: frozenset[str] = frozenset()
    """The participants that prove themselves to an OAuth2 provider: they have keys with or without a wallet."""

    async def did(self, participant: str) -> str:
        """The participant's DID.

        Raises: NotFound when there is no such participant, or it has none.
        """
        context = await self.participants.context(participant)
        if context.membership is None:
            mend = "its id must be a `did:web` identifier"
            raise NotFound(f"participant `{participant}` has no wallet", where=participant, mend=mend)
        return context.id

    async def key_holder(self, participant: str) -> str:
        """The participant's id, under which its keys are named. Raises: NotFound when it can have none."""
        if participant in self.clients:
            return (await self.participants.context(participant)).id
        return await self.did(participant)


def routes(parts: IdentityParts) -> APIRouter:
    """`/keys`, `/did`, `/credentials` and `/credential-requests`, below a participant."""
    router = room("identity", "/participants/{participant}")

    @router.get("/did")
    async def get_did_document(participant: Participant) -> Tree:
        """The participant's DID document, to be published where its DID says when that is not this node."""
        await parts.did(participant)
        found: Tree | None = await (await parts.opened()).wallets.document(participant)
        if found is None:
            mend = "see the wallet that `identity.remote` names"
            raise NotFound("the document is kept where the wallet is", where=participant, mend=mend)
        return found

    @router.get("/keys")
    async def list_keys(participant: Participant, cursor: Cursor = None, limit: Limit = 1000) -> Listing[api.IdentityKey]:
        """All keys, the revoked ones too, in the order in which they begin."""
        await parts.key_holder(participant)
        opened = await parts.opened()
        await opened.wallets.wallet(participant)
        found = await opened.keys.all(participant)
        return views.listing(views.part(found, lambda one: f"{one.begins.isoformat()} {one.id}", cursor, limit), shown_key)

    @router.post("/keys", status_code=201)
    async def rotate_key(participant: Participant, wanted: api.NewIdentityKey) -> api.IdentityKey:
        """A new key: published at once, and signing when everybody has seen it. The old one is published until it is revoked."""
        did = await parts.key_holder(participant)
        made = await (await parts.opened()).keys.create(participant, did, Purpose(wanted.purpose), kind=wanted.type)
        return shown_key(made)

    @router.delete("/keys/{name}", status_code=204)
    async def revoke_key(participant: Participant, name: Name) -> None:
        """Take a key out of the document at once: what it signed counts no more. Where it was the last, a new one is made."""
        did = await parts.key_holder(participant)
        await (await parts.opened()).keys.revoke(participant, f"{did}#{name}")

    @router.get("/credentials")
    async def list_credentials(participant: Participant, cursor: Cursor = None, limit: Limit = 1000) -> Listing[api.Credential]:
        """The credentials that are held, by their names."""
        await parts.did(participant)
        held = await (await parts.opened()).held.all(participant)
        page = views.part(held.items(), lambda one: one[0], cursor, limit)
        return views.listing(page, lambda one: _credential(*one, parts.clock.now()))

    @router.delete("/credentials/{name}", status_code=204)
    async def drop_credential(participant: Participant, name: Name) -> None:
        """Forget a credential; it is shown to nobody any more."""
        await parts.did(participant)
        await (await parts.opened()).held.drop(participant, name)

    @router.get("/credential-requests")
    async def list_credential_requests(
        participant: Participant, cursor: Cursor = None, limit: Limit = 1000
    ) -> Listing[api.Requested]:
        """The requests for credentials, by their ids, and how they stand."""
        await parts.did(participant)
        found = await parts.requests.all(participant)
        return views.listing(views.part(found, lambda one: one.id, cursor, limit), _requested)

    @router.post("/credential-requests", status_code=201)
    async def request_credentials(participant: Participant, wanted: api.CredentialRequest) -> api.Requested:
        """Ask an issuer for credentials; what it delivers is kept, and by default renewed before its end."""
        await parts.did(participant)
        request = Request(
            id=wanted.id or str(uuid4()),
            issuer=wanted.issuer,
            types=tuple(wanted.types),
            profile=wanted.profile,
            is_standing=wanted.is_standing,
        )
        kept = await parts.requests.add(participant, request)
        parts.woken.set()
        return _requested(kept)

    @router.delete("/credential-requests/{name}", status_code=204)
    async def end_credential_request(participant: Participant, name: Name) -> None:
        """End a request: nothing more is taken in for it, nothing renewed. What it brought stays."""
        await parts.did(participant)
        await parts.requests.drop(participant, name)

    return router


def shown_key(one: Key) -> api.IdentityKey:
    """A key as operators see it."""
    return api.IdentityKey(
        id=one.id,
        name=one.id.rpartition("#")[2],
        purpose=one.purpose.value,
        state=one.state.value,
        begins=one.begins,
        type=one.public.type,
        jwk=dict(one.public.jwk()),
    )


def _requested(one: Request) -> api.Requested:
    return api.Requested(
        id=one.id,
        issuer=one.issuer,
        types=list(one.types),
        profile=one.profile,
        is_standing=one.is_standing,
        state=one.state.value,
        next_at=one.next_at,
        tries=one.tries,
        error=one.error,
    )


def _credential(id_: str, one: Credential, now: datetime) -> api.Credential:
    begun = one.valid_from is None or one.valid_from <= now
    return api.Credential.model_validate(
        {
            "id": id_,
            "types": list(one.types),
            "issuer": one.issuer,
            "profile": _PROFILES[one.model],
            "valid_from": one.valid_from,
            "valid_until": one.valid_until,
            "is_valid_now": begun and (one.valid_until is None or now < one.valid_until),
            "claims": dict(one.claims),
        }
    )
