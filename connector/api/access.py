"""Keys of the operator API: who has one, for what, how long. The key itself is shown once, when it is made."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from connector.api.common import Asked, Shown

RoleName = Literal["read", "operate", "admin"]
KeyName = Annotated[
    str,
    Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9._@-]{0,62}[A-Za-z0-9])?$", description="Who holds it; stands in the audit trail."),
]


class NewKey(Asked):
    """A key to be made."""

    name: KeyName = Field(examples=["ci-publisher"])
    role: RoleName = Field(default="read", description="`read` looks, `operate` also acts, `admin` also gives access.")
    participants: tuple[Annotated[str, Field(min_length=1, max_length=64)], ...] = Field(
        min_length=1, max_length=1000, description="Contexts it is good for; `*` is all.", examples=[["acme"]]
    )
    days: int = Field(default=90, ge=1, le=3650, description="How long it is good.")


class ApiKey(Shown):
    """A key of the operator API."""

    name: str
    role: RoleName
    participants: list[str] = Field(description="Contexts it is good for; `*` is all.")
    expires: datetime | None = Field(description="When it ends; null for one of the settings without an end.")
    is_configured: bool = Field(description="True for one that stands in the settings and is taken away there.")
    created_at: datetime | None = None
    created_by: str = Field(default="", description="Whose act it was.")


class CreatedKey(ApiKey):
    """A key that was just made."""

    key: str = Field(description="The key itself: note it now, it is kept nowhere and shown never again.")
