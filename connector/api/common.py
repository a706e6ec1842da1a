"""What all models of the operator API share: strictness, ids, lists, problems.

Member names are snake_case: this API is ours. Protocol trees (policies, catalogues, agreements) stay as the standard spells them.
"""

from __future__ import annotations

from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

Id = Annotated[
    str,
    Field(
        min_length=1,
        max_length=512,
        pattern=r"^[^\x00-\x20\x7f]+$",
        description="Any text without blanks; a URN or URI is best.",
    ),
]
"""An id that an operator chooses or a peer has chosen."""

Name = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9._-]{0,62}[a-z0-9])?$", description="Local name, as in addresses.")]
"""A name that stands in addresses of this node."""

Address = Annotated[
    str,
    Field(
        max_length=2048,
        pattern=r"^https?://[^\s/?#@]+(/[^\s?#]*)?$",
        description="Address of the peer: its Dataspace Protocol base, or one below which its version document lies.",
        examples=["https://connector.example.com/acme/dsp/2025-1"],
    ),
]
"""Where a peer's connector is reached."""

Tree = dict[str, Any]
"""A JSON object in the protocol's own spelling."""

RoleName = Literal["consumer", "provider"]


class Asked(BaseModel):
    """What is written to the API: unknown members are refused, nothing is guessed."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Shown(BaseModel):
    """What the API answers; later releases may add members."""

    model_config = ConfigDict(extra="ignore", frozen=True)


T = TypeVar("T")


class Listing(Shown, Generic[T]):
    """A part of a list."""

    items: list[T]
    total: int = Field(description="How many there are in all that fit.")
    next_cursor: str | None = Field(default=None, description="Give it as `cursor` to get the next part; null on the last one.")


class Problem(Shown):
    """An error, as `application/problem+json`.

    Source: RFC 9457, Problem Details for HTTP APIs.
    """

    type: str = Field(default="about:blank", description="`urn:kontor:error:` and the error's code.")
    title: str = Field(description="The HTTP status in words.")
    status: int
    detail: str = Field(description="What happened.")
    where: str | None = Field(default=None, description="Member of the body, parameter, file or process it is about.")
    mend: str | None = Field(default=None, description="How to mend it.")
    error_id: str = Field(description="Under this id the node's log tells the whole story.")
