"""Webhooks: addresses of your own programs that are told what happens, and what was sent to them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import Field

from connector.api.common import Asked, Shown

WebhookName = Annotated[
    str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$", description="Names it; lower-case letters, digits and `-`.")
]


class NewWebhook(Asked):
    """An address to be told of what happens from now on."""

    name: WebhookName = Field(examples=["erp"])
    url: str = Field(max_length=2048, description="Where messages are posted to.", examples=["https://erp.example.org/kontor"])
    events: tuple[Annotated[str, Field(pattern=r"^[a-z*?-]+\.[a-z*?-]+$", max_length=100)], ...] = Field(
        default=(), max_length=50, description="What it is told of, such as `negotiation.hold` or `transfer.*`; everything without.",
        examples=[["negotiation.hold", "transfer.*"]],
    )  # fmt: skip
    secret: Annotated[str, Field(min_length=1, max_length=512, pattern=r"^[^\x00-\x20\x7f]+$")] | None = Field(
        default=None, description="Name of a stored secret to sign with; without it one is made and shown once."
    )


class Webhook(Shown):
    """An address that is told."""

    name: str
    url: str
    events: list[str] = Field(description="What it is told of; empty: everything.")
    secret: str = Field(description="Name of the stored secret that messages are signed with.")
    created_at: datetime


class CreatedWebhook(Webhook):
    """A webhook that was just made."""

    key: str | None = Field(
        default=None,
        description="The key that messages are signed with (Standard Webhooks): note it now, it is shown never again.",
    )


class WebhookTry(Shown):
    """One attempt to deliver a message."""

    at: datetime
    event: str = Field(description="Id of the message: the same however often it is sent.")
    type: str
    pid: str = Field(description="The process that it is about.")
    number: int = Field(description="The how-manieth try it was.")
    status: int | None = Field(default=None, description="The receiver's HTTP status; null when there was no answer.")
    cause: str = Field(default="", description="Why it failed; empty when it was taken.")
    ms: int = Field(description="How long it took, milliseconds.")
