"""The audit trail as the API shows it: entries with their digests, and whether the chain of them is whole."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from connector.api.common import Shown


class AuditEntry(Shown):
    """One entry of the audit trail. An act is `asked`, then `answered`; what an operator may not do is `refused`."""

    number: int = Field(description="Counts from 1 within its stream, without gaps.")
    at: datetime
    stage: Literal["asked", "answered", "refused"]
    act: str = Field(description="Joins the two entries of one act.")
    who: str | None = Field(default=None, description="Name of the key, or of the token's bearer.")
    what: str | None = Field(default=None, description="Method and address, without query and body.")
    source: str | None = Field(default=None, description="The machine that it came from.")
    status: int | None = Field(default=None, description="The HTTP status of the answer.")
    object: str | None = Field(default=None, description="What came into being, where the answer names it.")
    error_id: str | None = Field(default=None, description="Under it the log tells the whole story.")
    cause: str | None = None
    previous: str = Field(description="Digest of the entry before.")
    sha256: str = Field(description="Digest of this entry over the one before.")


class AuditVerdict(Shown):
    """Whether the trail is whole. Note the last entry elsewhere: a later check compares with it."""

    is_whole: bool
    checked: int = Field(description="Entries that were looked at.")
    last_number: int = Field(description="The last entry that is in order.")
    last_sha256: str
    fault: str | None = Field(default=None, description="What is wrong first.")
