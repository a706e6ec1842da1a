"""What is on record under an agreement: uses, payments, duties, consents, events; and who sees to each clause of its terms."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from connector.api.common import Asked, Id, Shown

_NEEDED = {"payment": ("amount", "currency"), "duty": ("duty",), "consent": (), "event": ("event",)}
_ALLOWED = {
    "payment": {"amount", "currency", "rule"},
    "duty": {"duty", "state"},
    "consent": {"by", "withdrawn"},
    "event": {"event", "over"},
}


class NewPosting(Asked):
    """Something that only people know, put on record; what runs under the agreement is decided about again at once."""

    kind: Literal["payment", "duty", "consent", "event"]
    key: Id | None = Field(
        default=None, description="Names this record, such as an invoice's number: recording it again changes nothing."
    )
    amount: Decimal | None = Field(default=None, gt=0, description="`payment`: how much.", examples=["500.00"])
    currency: str | None = Field(default=None, pattern="^[A-Z]{3}$", description="`payment`: ISO 4217.", examples=["EUR"])
    rule: Id | None = Field(
        default=None, description="`payment`: the rule that was paid for; left out: whatever asks for money."
    )
    duty: Id | None = Field(default=None, description="`duty`: its key, or its action where only one duty has it.")
    state: Literal["fulfilled", "waived", "violated"] | None = Field(
        default=None, description="`duty`: `fulfilled` when left out."
    )
    by: str | None = Field(default=None, max_length=512, description="`consent`: who consents.")
    withdrawn: bool | None = Field(default=None, description="`consent`: it is withdrawn.")
    event: Id | None = Field(default=None, description="`event`: its IRI.")
    over: bool | None = Field(default=None, description="`event`: it is over; else it has begun.")
    note: str = Field(default="", max_length=2000)
    evidence: str = Field(
        default="", pattern="^([0-9a-f]{64})?$", description="SHA-256 of a document that proves it, hexadecimal."
    )

    @model_validator(mode="after")
    def _members_fit_kind(self) -> Self:
        for name in _NEEDED[self.kind]:
            if getattr(self, name) is None:
                raise ValueError(f"a posting of kind `{self.kind}` needs `{name}`")
        for name in sorted(set().union(*_ALLOWED.values()) - _ALLOWED[self.kind]):
            if getattr(self, name) is not None:
                raise ValueError(f"a posting of kind `{self.kind}` has no `{name}`; leave it out")
        return self


class PostingLine(Shown):
    """One line of a book: written once, never changed."""

    number: int
    key: str
    kind: str
    at: datetime
    facts: dict[str, Any]
    evidence: str = Field(description="SHA-256 over the evidence of the line before and this one.")


class UseOf(Shown):
    """How much was used."""

    count: int = 0
    metered_s: float = Field(default=0, description="Time of use, added up over all streams.")
    moved_bytes: int = 0
    first_at: datetime | None = None
    last_at: datetime | None = None
    paid: dict[str, str] = Field(default_factory=dict, description="Amount by currency.")


class OpenUseOf(Shown):
    """A use that is reserved, or that runs."""

    transfer: str
    running: bool
    since: datetime


class DutyOf(Shown):
    """A duty as it stands."""

    key: str
    role: Literal["duty", "obligation", "remedy", "consequence"]
    actions: list[str]
    state: Literal["inactive", "pending", "due", "fulfilled", "violated", "waived"]
    due_at: datetime | None = None
    deadline: datetime | None = Field(default=None, description="From then on it is violated when it is not on record as done.")


class ClauseOf(Shown):
    """One clause of the terms and who sees to it."""

    where: str
    kind: str
    text: str
    enforced: list[str] = Field(
        description="`now` (at negotiations), `transfer`, `running`, `consumer`, `legal-only`, or `nobody`."
    )
    why: str = ""


class Usage(Shown):
    """How an agreement stands."""

    agreement: str
    total: UseOf
    rules: dict[str, UseOf] = Field(description="By the key of the rule.")
    open: list[OpenUseOf]
    duties: list[DutyOf]
    consents: dict[str, datetime | None] = Field(description="Who consents, and when it was withdrawn.")
    events: dict[str, list[datetime | None]] = Field(description="When an event began and ended.")
    clauses: list[ClauseOf]
    postings: int = Field(description="How many lines the book has.")
    evidence: str = Field(description="That of the last line: whoever notes it can prove later that none was changed.")
