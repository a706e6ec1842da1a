"""The authority of a data space: who wants to take part, who does, and the decisions about them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from connector.api.common import Asked, Id, Shown

MemberState = Literal["SUBMITTED", "VERIFIED", "APPROVED", "ACTIVE", "SUSPENDED", "REVOKED"]
Reason = Field(min_length=1, max_length=1000, description="Why, for the register and the audit trail.")


class MemberStep(Shown):
    """Something that happened to a member."""

    at: datetime
    event: str
    state: MemberState
    by: str = Field(description="An operator, the member's DID, or `authority`.")
    reason: str = ""


class IssuedTo(Shown):
    """A credential that was given to a member."""

    id: str
    type: str
    ends: datetime
    status: list[str] = Field(description="Its places: address of the status list, `#`, index.")


class Member(Shown):
    """A member of the space, or one who wants to be."""

    id: str = Field(description="Its DID.")
    application: str
    state: MemberState
    attributes: dict[str, Any] = Field(description="What is said of it, and will be attested.")
    address: str = Field(description="Where its connector answers.")
    notices: str = Field(description="Where it takes notices of the authority; empty for none.")
    since: datetime | None = Field(description="When it became a member.")
    steps: list[MemberStep]
    credentials: list[IssuedTo] = Field(default=[], description="What it was given; only where one member is asked for.")


class NewMember(Asked):
    """A member taken in by the operator's word, whose control of the DID was shown otherwise."""

    id: Id = Field(examples=["did:web:data.acme.example:acme"])
    attributes: dict[str, str | int | float | bool] = Field(default_factory=dict)
    address: str = Field(default="", max_length=2048)
    notices: str = Field(default="", max_length=2048)
    reason: str = Field(default="", max_length=1000)


class Approval(Asked):
    """Taking in an applicant."""

    application: str | None = Field(
        default=None,
        max_length=200,
        description="The application that was looked at. Given, the approval fails when the applicant has applied again since.",
    )
    attributes: dict[str, str | int | float | bool] = Field(
        default_factory=dict, description="Corrects and adds to what it said of itself; these are attested."
    )
    reason: str = Field(default="", max_length=1000)


class Decision(Asked):
    """A decision that needs a reason."""

    reason: str = Reason


class Reinstatement(Asked):
    """The end of a suspension."""

    reason: str = Field(default="", max_length=1000)


class OfferWish(Asked):
    """Credentials to offer a member, so that its wallet asks for them."""

    types: list[str] = Field(default=[], max_length=32, description="All types that are issued, when none is named.")
    reason: Literal["reissue", "proof-key-revocation"] = "reissue"
