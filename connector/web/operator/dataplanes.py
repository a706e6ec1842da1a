"""Routes: data planes of others under our control. What opens them goes in, and nothing here gives it back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import APIRouter, Path

from connector.api.common import Listing
from connector.api.dataplanes import DataPlane, NewDataPlane, PlaneAuthorization
from connector.controlplane.participants import Participants
from connector.dps.flow import direction_of
from connector.dps.messages import Dialect, endpoint_of
from connector.errors import AddressRefused, CallerError, Conflict
from connector.ports.operators import ALL, OperatorRole
from connector.signaling.entries import EXCHANGE, OAUTH2, SHARED, Entry, authorization_of
from connector.signaling.planes import DataPlanes
from connector.web.operator.gate import check
from connector.web.operator.keys import Participant, ShownKey
from connector.web.operator.rooms import room

PlaneId = Annotated[str, Path(max_length=200, pattern=r"^[^\x00-\x20\x7f/?#]+$", description="Id of the data plane.")]


def routes(
    participants: Participants,
    planes: DataPlanes,
    announce: Callable[[Entry], Awaitable[None]],
    held: Callable[[str, str], Awaitable[int]],
    *,
    allows_http: bool,
) -> APIRouter:
    """`/dataplanes`, below a participant; `held` counts the open transfers that a plane moves."""
    router = room("dataplanes", "/participants/{participant}/dataplanes")

    @router.get("")
    async def list_dataplanes(participant: Participant) -> Listing[DataPlane]:
        """The data planes that are registered, and how each answered last."""
        await participants.context(participant)
        found = [_shown(planes, entry) for entry in await planes.book.all(participant)]
        return Listing(items=found, total=len(found))

    @router.get("/{plane}")
    async def get_dataplane(participant: Participant, plane: PlaneId) -> DataPlane:
        """One data plane."""
        await participants.context(participant)
        return _shown(planes, await planes.book.get(participant, plane))

    @router.put("/{plane}")
    async def put_dataplane(operator: ShownKey, participant: Participant, plane: PlaneId, wanted: NewDataPlane) -> DataPlane:
        """Register a data plane, in place of an earlier entry. One behind a broker only an administrator of the node registers: the broker
        is shown what proves the node, and not the participant alone."""
        if wanted.authorization.token_exchange_endpoint is not None:
            check(operator, OperatorRole.ADMIN, ALL)
        await participants.context(participant)
        for profile in wanted.profiles:
            direction_of(profile)
        try:
            entry = await planes.book.put(_entry(participant, plane, wanted, allows_http=allows_http))
        except AddressRefused as fault:
            # an operator named it, and no peer
            raise CallerError(fault.what, where=fault.where, mend=fault.mend) from fault
        await announce(entry)
        return _shown(planes, entry)

    @router.delete("/{plane}", status_code=204)
    async def delete_dataplane(participant: Participant, plane: PlaneId) -> None:
        """Forget a data plane that moves nothing any more: what nobody can tell it would flow on."""
        await participants.context(participant)
        if count := await held(participant, plane):
            what = f"the data plane moves {count} transfers that have not ended"
            raise Conflict(what, where=plane, mend="terminate them first; it is told, or nobody can")
        await planes.book.delete(participant, plane)

    return router


def _entry(participant: str, id_: str, wanted: NewDataPlane, *, allows_http: bool) -> Entry:
    return Entry(
        participant=participant,
        id=id_,
        dialect=Dialect(wanted.dialect),
        endpoint=endpoint_of(wanted.endpoint),
        profiles=wanted.profiles,
        labels=wanted.labels,
        source_types=wanted.source_types,
        provision_types=wanted.provision_types,
        authorization=authorization_of(_tree(wanted.authorization)),
        principal=wanted.principal,
        is_unverified=wanted.unverified,
        is_announced=wanted.announced,
        hosts=wanted.hosts,
        allows_http=allows_http,
    )


def _tree(said: PlaneAuthorization) -> dict[str, Any]:
    if said.secret is not None:
        return {"type": SHARED, "secret": said.secret.get_secret_value()}
    if said.token_exchange_endpoint is not None:
        exchange = {
            "tokenExchangeEndpoint": said.token_exchange_endpoint,
            "issuer": said.issuer,
            "jwks": said.jwks,
            "jwksUri": said.jwks_uri,
            "resource": said.resource,
            "audience": said.audience,
            "scope": said.scope or None,
        }
        return {"type": EXCHANGE} | {name: value for name, value in exchange.items() if value is not None}
    named = {
        "issuer": said.issuer,
        "tokenEndpoint": said.token_endpoint,
        "clientId": said.client_id,
        "clientSecret": said.client_secret.get_secret_value() if said.client_secret else None,
        "jwks": said.jwks,
        "jwksUri": said.jwks_uri,
    }
    found = {name: value for name, value in named.items() if value is not None}
    return {"type": OAUTH2, **found} if found else {}


def _shown(planes: DataPlanes, entry: Entry) -> DataPlane:
    health = planes.health(entry.participant, entry.id)
    return DataPlane(
        id=entry.id,
        endpoint=entry.endpoint,
        dialect=entry.dialect.value,
        profiles=list(entry.profiles),
        labels=list(entry.labels),
        source_types=list(entry.source_types),
        owner=entry.owner.value,
        principal=entry.principal,
        unverified=entry.is_unverified,
        announced=entry.is_announced,
        answered_at=health.at if health is not None else None,
        fault=health.fault if health is not None else "",
    )
