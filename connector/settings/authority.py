"""The settings of the role `authority`: the space that it governs, what it issues, whom else the space believes."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import Field, field_validator

from connector.settings.fields import File, ParticipantId, Section


class IssuedCredential(Section):
    """A type of credential that the authority issues."""

    type: str = Field(
        pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,99}$",
        description="Its name beside `VerifiableCredential`, such as `MembershipCredential`.",
    )
    id: str | None = Field(
        None, max_length=200, description="What holders ask for it by; `urn:kontor:credential:TYPE` if left out."
    )
    model: Literal["1.1", "2.0"] = Field(
        "1.1", description="Data model: 1.1 with StatusList2021, or 2.0 with Bitstring Status List."
    )
    format: str = Field(
        "", max_length=100, description="`format` written with each delivery; empty for the profile's own name."
    )
    days: float = Field(90, gt=0, le=3650, description="How long one is good; wallets ask anew before it ends.")
    attributes: tuple[str, ...] = Field(
        (), description="Attributes of the register that become claims; empty takes all of them."
    )
    claims: dict[str, Any] = Field(default_factory=dict, description="Claims that are the same for every member.")
    schema_file: File | None = Field(None, description="JSON Schema that the claims must fit; it is published.")
    status: tuple[Literal["revocation", "suspension"], ...] = Field(
        ("revocation", "suspension"), min_length=1, description="Status lists that each one stands on."
    )

    @field_validator("claims")
    @classmethod
    def _not_the_subject(cls, value: dict[str, Any]) -> dict[str, Any]:
        if "id" in value:
            raise ValueError("`id` is the member's DID and cannot be set")
        return value


class OtherIssuer(Section):
    """An issuer that the space believes besides its authority."""

    id: ParticipantId = Field(description="Its DID.")
    types: tuple[str, ...] = Field(min_length=1, description="Types of credential that it is believed for.")
    begins: datetime | None = Field(None, description="From when on; with a time zone.")
    ends: datetime | None = Field(None, description="Until when; with a time zone.")
    list: str = Field("", description="Address of its own list of issuers, when it accredits others.")

    @field_validator("begins", "ends")
    @classmethod
    def _has_zone(cls, value: datetime | None) -> datetime | None:
        if value is not None and value.tzinfo is None:
            raise ValueError("with a time zone, such as `2027-12-31T00:00:00Z`")
        return value


class Authority(Section):
    """The authority of a data space; read where `node.roles` names it."""

    space: str | None = Field(
        None, pattern=r"^[^\x00-\x20\x7f]{1,512}$", description="The space's id, a URI; the authority's own DID if left out."
    )
    title: str = Field("", max_length=300, description="The space's name for people.")
    approval: Literal["manual", "automatic"] = Field(
        "manual", description="`automatic` takes in whoever controls its DID, and believes nothing of it but a name."
    )
    credentials: tuple[IssuedCredential, ...] = Field(
        (),
        description="What is issued; the first is membership. Without any: a MembershipCredential with `memberOf`, the space.",
    )
    issuers: tuple[OtherIssuer, ...] = Field((), description="Issuers that the space believes besides its authority.")
    plain_status_lists: bool = Field(
        False,
        description="Give status lists as JSON without a signature to whoever does not ask for a token; connectors of the Eclipse"
        " family read nothing else.",
    )

    @field_validator("credentials")
    @classmethod
    def _differ(cls, value: tuple[IssuedCredential, ...]) -> tuple[IssuedCredential, ...]:
        types = [one.type for one in value]
        if len({*types}) < len(types):
            raise ValueError("a type of credential stands there twice")
        return value
