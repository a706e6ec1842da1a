"""The role `authority`: the register of a data space, its issuer and lists, and the API over them."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

from connector.app.assembly.ground import Ground, Role
from connector.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from fastapi import APIRouter

    from connector.app.assembly.identity import Identity
    from connector.identity.authority.kinds import CredentialType
    from connector.identity.authority.space import Space
    from connector.settings import IssuedCredential, Settings


async def opened_authority(ground: Ground, identity: Identity) -> Role:
    """The authority's part of a node; its keys are there afterwards.

    Raises: ConfigurationError for a schema that is none, StoreUnavailable.
    """
    from connector.controlplane.jobs import Pace, repeated
    from connector.identity.authority import issuer
    from connector.identity.authority.office import office
    from connector.web.authority import routes

    settings, parts = ground.settings, await identity.parts.opened()
    schemas = {one.type: _read(one.schema_file) for one in settings.authority.credentials if one.schema_file is not None}
    found = office(
        _space(settings, ground.public_url, schemas),
        store=ground.store,
        keys=parts.keys,
        senders=parts.senders,
        outbound=ground.outbound,
        clock=ground.clock,
        new_id=lambda: str(uuid4()),
    )
    await found.ready()
    paces = {issuer.DELIVERY: Pace(attempts=issuer.ATTEMPTS, first_delay_s=0.5)}
    for kind, work in found.work.items():
        ground.jobs.register(kind, repeated(work), paces.get(kind, Pace(first_delay_s=0.5)))

    def rooms() -> Iterable[APIRouter]:
        from connector.web.operator import authority

        return [authority.routes(found)]

    return Role(routes=routes(found, schemas, is_plain=settings.authority.plain_status_lists), rooms=[rooms])


def _space(settings: Settings, public_url: str, schemas: Mapping[str, bytes]) -> Space:
    """The space that the settings describe.

    Raises: ConfigurationError.
    """
    from dataclasses import replace

    from connector.identity.authority.kinds import CredentialType
    from connector.identity.authority.space import Space
    from connector.identity.trustlists import ListedIssuer

    said = settings.authority
    bare = Space(
        id=said.space or "", title=said.title, public_url=public_url, kinds=(), is_automatic=said.approval == "automatic"
    )
    id_ = said.space or bare.did
    default = CredentialType(
        type="MembershipCredential", id="urn:kontor:credential:MembershipCredential", fixed={"memberOf": id_}
    )
    return replace(
        bare,
        id=id_,
        kinds=tuple(_kind(one, bare.address, schemas) for one in said.credentials) or (default,),
        issuers=tuple(
            ListedIssuer(id=one.id, types=one.types, begins=one.begins, ends=one.ends, list=one.list) for one in said.issuers
        ),
    )


def _kind(one: IssuedCredential, address: str, schemas: Mapping[str, bytes]) -> CredentialType:
    from connector.identity.authority.kinds import CredentialType
    from connector.identity.formats import Model
    from connector.identity.schemas import compiled

    has_schema = one.type in schemas
    return CredentialType(
        type=one.type,
        id=one.id or f"urn:kontor:credential:{one.type}",
        model=Model.V1 if one.model == "1.1" else Model.V2,
        format=one.format,
        life=timedelta(days=one.days),
        attributes=one.attributes,
        fixed=one.claims,
        schema_url=f"{address}/schemas/{one.type}" if has_schema else "",
        check=compiled(schemas[one.type], str(one.schema_file)) if has_schema else None,
        purposes=one.status,
    )


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as fault:
        what = f"the schema cannot be read: {fault.strerror or fault}"
        raise ConfigurationError(what, where=str(path), mend="see `authority.credentials.schema_file`") from fault
