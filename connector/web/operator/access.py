"""Routes: keys of the operator API."""

from __future__ import annotations

from datetime import timedelta

from fastapi import APIRouter

from connector.api.access import ApiKey, CreatedKey, KeyName, NewKey
from connector.api.common import Listing
from connector.controlplane.operators import Key, KeyWish, Operators
from connector.ports.operators import OperatorRole
from connector.web.operator import views
from connector.web.operator.keys import Administrator
from connector.web.operator.queries import Cursor, Limit
from connector.web.operator.rooms import room


def routes(operators: Operators) -> APIRouter:
    """`/keys`."""
    router = room("access", "/keys")

    @router.get("")
    async def list_api_keys(by: Administrator, cursor: Cursor = None, limit: Limit = 1000) -> Listing[ApiKey]:
        """The keys of the contexts that you administer, by name, without the keys themselves."""
        page = views.part(await operators.keys(by), lambda key: key.name, cursor, limit)
        return views.listing(page, lambda key: ApiKey(**_members(key)))

    @router.post("", status_code=201)
    async def create_api_key(by: Administrator, wanted: NewKey) -> CreatedKey:
        """A key, good from now on; this answer alone shows it."""
        wish = KeyWish(
            name=wanted.name,
            role=OperatorRole(wanted.role),
            participants=frozenset(wanted.participants),
            life=timedelta(days=wanted.days),
        )
        key, text = await operators.create(by, wish)
        return CreatedKey(**_members(key), key=text)

    @router.delete("/{name}", status_code=204)
    async def revoke_api_key(by: Administrator, name: KeyName) -> None:
        """Make a key good for nothing, at once."""
        await operators.revoke(by, name)

    return router


def _members(key: Key) -> dict[str, object]:
    return {
        "name": key.name,
        "role": key.role.value,
        "participants": sorted(key.participants),
        "expires": key.expires,
        "is_configured": key.is_configured,
        "created_at": key.created_at,
        "created_by": key.created_by,
    }
