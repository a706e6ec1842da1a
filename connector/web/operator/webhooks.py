"""Routes: webhooks of a participant, and what was sent to them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path

from connector.api import webhooks as api
from connector.api.common import Listing
from connector.controlplane.webhooks import Webhook
from connector.ports.journal import Entry
from connector.web.operator import views
from connector.web.operator.keys import Participant
from connector.web.operator.parts import Parts
from connector.web.operator.queries import Cursor, Limit
from connector.web.operator.rooms import room

Name = Annotated[str, Path(max_length=40, description="Its name.")]


def routes(parts: Parts) -> APIRouter:
    """`/webhooks`, below a participant."""
    router = room("webhooks", "/participants/{participant}/webhooks")

    @router.get("")
    async def list_webhooks(participant: Participant, cursor: Cursor = None, limit: Limit = 100) -> Listing[api.Webhook]:
        """The webhooks, by name."""
        page = await parts.webhooks.page(participant, cursor=cursor, limit=limit)
        return views.listing(page, lambda one: api.Webhook(**_members(one)))

    @router.post("", status_code=201)
    async def add_webhook(participant: Participant, wanted: api.NewWebhook) -> api.CreatedWebhook:
        """A webhook, told of what happens from now on: CloudEvents, signed, sent again until they are taken, in order per process."""
        made, key = await parts.webhooks.add(participant, wanted.name, wanted.url, events=wanted.events, secret=wanted.secret)
        return api.CreatedWebhook(**_members(made), key=key or None)

    @router.get("/{name}")
    async def get_webhook(participant: Participant, name: Name) -> api.Webhook:
        """One webhook."""
        return api.Webhook(**_members(await parts.webhooks.get(participant, name)))

    @router.delete("/{name}", status_code=204)
    async def remove_webhook(participant: Participant, name: Name) -> None:
        """Tell it nothing any more."""
        await parts.webhooks.remove(participant, name)

    @router.get("/{name}/deliveries")
    async def list_deliveries(
        participant: Participant, name: Name, cursor: Cursor = None, limit: Limit = 100
    ) -> Listing[api.WebhookTry]:
        """What was sent in the last month and what came of it, newest first; what still waits stands in the jobs."""
        return views.listing(await parts.webhooks.tries(participant, name, cursor=cursor, limit=limit), _try)

    return router


def _members(one: Webhook) -> dict[str, object]:
    return {
        "name": one.name,
        "url": one.url,
        "events": list(one.events),
        "secret": one.secret,
        "created_at": one.created_at,
    }


def _try(entry: Entry) -> api.WebhookTry:
    body = entry.body
    return api.WebhookTry(
        at=entry.at,
        event=body["event"],
        type=body["type"],
        pid=body["pid"],
        number=body["try"],
        status=body["status"],
        cause=body["cause"],
        ms=body["ms"],
    )
