"""Routes: the register of an authority and its keys, for its operators."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query

from connector.api import authority as shown
from connector.api import identity as keys
from connector.api.common import Listing
from connector.identity.authority import applications
from connector.identity.authority.members import Member, State
from connector.identity.authority.office import Office
from connector.identity.keys import Purpose
from connector.web.operator import views
from connector.web.operator.identity import Name, shown_key
from connector.web.operator.keys import NodeAdministrator
from connector.web.operator.queries import Cursor, Limit
from connector.web.operator.rooms import room

Did = Annotated[str, Path(description="The member's DID, escaped.", max_length=1024)]


def routes(office: Office) -> APIRouter:
    """`/authority`: applications, members and the decisions about them; its keys. Only for administrators of the node."""
    router = room("authority", "/authority")

    @router.get("/applications")
    async def list_applications(by: NodeAdministrator, cursor: Cursor = None, limit: Limit = 1000) -> Listing[shown.Member]:
        """Who wants to take part, by DID: not proven yet, and proven and not decided."""
        page = views.part(await office.registry.applications(), lambda one: f"{one.did} {one.application}", cursor, limit)
        return views.listing(page, _member)

    @router.get("/members")
    async def list_members(
        by: NodeAdministrator,
        state: Annotated[shown.MemberState | None, Query(description="Only those in this state.")] = None,
        cursor: Cursor = None,
        limit: Limit = 1000,
    ) -> Listing[shown.Member]:
        """Every member, by DID."""
        found = await office.registry.members(None if state is None else State(state))
        return views.listing(views.part(found, lambda one: one.did, cursor, limit), _member)

    @router.post("/members", status_code=201)
    async def enrol_member(by: NodeAdministrator, wanted: shown.NewMember) -> shown.Member:
        """A member taken in by your word: its control of the DID was shown otherwise."""
        application = applications.written(
            wanted.id, address=wanted.address, notices=wanted.notices, attributes=wanted.attributes
        )
        return _member(await office.registry.enrol(application, by=by.name, reason=wanted.reason))

    @router.get("/members/{did}")
    async def get_member(by: NodeAdministrator, did: Did) -> shown.Member:
        """One member, with what it was given."""
        given = [
            shown.IssuedTo(
                id=row["id"],
                type=row["type"],
                ends=row["ends"],
                status=[f"{one['url']}#{one['index']}" for one in row["entries"]],
            )
            for row in await office.withdrawal.credentials(did)
        ]
        return _member(await office.registry.member(did), given)

    @router.post("/members/{did}/approve")
    async def approve_member(by: NodeAdministrator, did: Did, wanted: shown.Approval) -> shown.Member:
        """Take in an applicant that has shown that it controls its DID."""
        return _member(
            await office.registry.approve(
                did, by=by.name, reason=wanted.reason, attributes=wanted.attributes, application=wanted.application
            )
        )

    @router.post("/members/{did}/reject")
    async def reject_member(by: NodeAdministrator, did: Did, wanted: shown.Decision) -> shown.Member:
        """Refuse an applicant."""
        return _member(await office.registry.reject(did, by=by.name, reason=wanted.reason))

    @router.post("/members/{did}/suspend")
    async def suspend_member(by: NodeAdministrator, did: Did, wanted: shown.Decision) -> shown.Member:
        """Let a member do nothing any more, at once and everywhere in the space, until it is reinstated."""
        return _member(await office.registry.suspend(did, by=by.name, reason=wanted.reason))

    @router.post("/members/{did}/reinstate")
    async def reinstate_member(by: NodeAdministrator, did: Did, wanted: shown.Reinstatement) -> shown.Member:
        """End a suspension."""
        return _member(await office.registry.reinstate(did, by=by.name, reason=wanted.reason))

    @router.post("/members/{did}/revoke")
    async def revoke_member(by: NodeAdministrator, did: Did, wanted: shown.Decision) -> shown.Member:
        """Let a member do nothing any more, for ever."""
        return _member(await office.registry.revoke(did, by=by.name, reason=wanted.reason))

    @router.post("/members/{did}/offer", status_code=202)
    async def offer_credentials(by: NodeAdministrator, did: Did, wanted: shown.OfferWish) -> None:
        """Offer a member credentials; its wallet asks for them."""
        await office.issuer.offer(did, wanted.types, wanted.reason)

    @router.get("/keys")
    async def list_authority_keys(by: NodeAdministrator) -> Listing[keys.IdentityKey]:
        """All keys of the authority, the revoked ones too, in the order in which they begin."""
        found = [shown_key(one) for one in await office.keyring.all()]
        return Listing(items=found, total=len(found))

    @router.post("/keys", status_code=201)
    async def rotate_authority_key(by: NodeAdministrator, wanted: keys.NewAuthorityKey) -> keys.IdentityKey:
        """A new key: published at once, and signing when everybody has seen it. The old one is published until it is revoked."""
        return shown_key(await office.keyring.rotate(Purpose(wanted.purpose), wanted.type))

    @router.delete("/keys/{name}")
    async def revoke_authority_key(by: NodeAdministrator, name: Name) -> keys.RevokedKey:
        """Take a key out of the document at once: what it signed counts no more, and members are offered new credentials for it."""
        return keys.RevokedKey(name=name, offers=await office.keyring.revoke(name))

    return router


def _member(one: Member, given: list[shown.IssuedTo] | None = None) -> shown.Member:
    return shown.Member(
        id=one.did,
        application=one.application,
        state=one.state.value,
        attributes=dict(one.attributes),
        address=one.address,
        notices=one.notices,
        since=one.since,
        steps=[
            shown.MemberStep(at=step.at, event=step.event, state=step.state.value, by=step.by, reason=step.reason)
            for step in one.steps
        ],
        credentials=given or [],
    )
