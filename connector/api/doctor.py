"""What an examination finds: one line for each check, with how to mend what is not well."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from connector.api.common import Asked, Shown

State = Literal["ok", "warning", "error"]


class Finding(Shown):
    """One check and what it found."""

    check: str = Field(description="Such as `did`, `keys`, `clock`, `certificate`, `store`.")
    state: State
    what: str = Field(description="What was found.")
    where: str | None = Field(default=None, description="Address, setting or name it is about.")
    mend: str | None = Field(default=None, description="How to mend it.")


class Findings(Shown):
    """Everything that was found."""

    findings: list[Finding]


class Examination(Asked):
    """Whom to look at."""

    subject: Annotated[str, Field(min_length=1, max_length=2048, pattern=r"^[^\x00-\x20\x7f]+$")] | None = Field(
        default=None,
        description="A DID or the address of a connector; our own participant, as others see it, if left out.",
        examples=["did:web:connector.example.com:acme"],
    )
