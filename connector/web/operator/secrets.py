"""Routes: secrets of a participant. They go in and are named; nothing here gives one back."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path

from connector.api.common import Listing
from connector.api.secrets import NewSecret, SecretName
from connector.controlplane.secrets import KIND
from connector.web.operator import views
from connector.web.operator.keys import Participant
from connector.web.operator.parts import Parts
from connector.web.operator.queries import Cursor, Limit
from connector.web.operator.rooms import room

Name = Annotated[str, Path(max_length=512, pattern=r"^[^\x00-\x20\x7f]+$", description="Name of the secret.")]


def routes(parts: Parts) -> APIRouter:
    """`/secrets`, below a participant."""
    router = room("secrets", "/participants/{participant}/secrets")

    @router.get("")
    async def list_secrets(participant: Participant, cursor: Cursor = None, limit: Limit = 100) -> Listing[SecretName]:
        """The names of the stored secrets."""
        await parts.participants.context(participant)
        page = await parts.store.documents(participant, KIND, cursor=cursor, limit=limit)
        return views.listing(page, lambda found: SecretName(name=found.id, updated_at=found.updated_at))

    @router.put("/{name}", status_code=204)
    async def put_secret(participant: Participant, name: Name, secret: NewSecret) -> None:
        """Seal and keep a secret, in place of an older one."""
        await parts.participants.context(participant)
        await parts.secrets.put(participant, name, secret.value.get_secret_value())

    @router.delete("/{name}", status_code=204)
    async def delete_secret(participant: Participant, name: Name) -> None:
        """Forget a secret."""
        await parts.participants.context(participant)
        await parts.secrets.delete(participant, name)

    return router
