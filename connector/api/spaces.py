"""The data spaces that a participant has joined, or wants to."""

from __future__ import annotations

from pydantic import Field

from connector.api.authority import MemberState
from connector.api.common import Asked, Shown


class SpaceWish(Asked):
    """A data space to join."""

    authority: str = Field(
        max_length=2048,
        pattern=r"^https?://[^\s/?#@]+(/[^\s?#]*)?$",
        description="Address of its authority, as the alliance gave it.",
        examples=["https://authority.example.org"],
    )
    attributes: dict[str, str | int | float | bool] = Field(
        default_factory=dict,
        max_length=32,
        description="What to say of the participant; the authority confirms or corrects it.",
    )


class JoinedSpace(Shown):
    """A data space, and how the participant stands there."""

    space: str = Field(description="Its id.")
    title: str = ""
    authority: str = Field(description="The DID that governs it.")
    state: MemberState = Field(description="`ACTIVE` once the credential is here.")
    types: list[str] = Field(description="Types of credential that its authority issues; the first is membership.")
    error: str = Field(default="", description="Why it does not go on.")
