"""Background work: what waits, what is tried again, what was given up."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from connector.api.common import Shown


class JobFailure(Shown):
    """A try that failed."""

    at: datetime
    cause: str


class Job(Shown):
    """A piece of background work. What is done is gone from the list."""

    kind: str = Field(description="What is to be done, such as `push` or `webhook`.")
    id: str = Field(description="One of its kind.")
    order_key: str | None = Field(default=None, description="Work of this kind with the same one is done one after another.")
    created_at: datetime
    not_before: datetime = Field(description="When it is tried next.")
    tries: int = Field(description="How often it was begun since it last ended well.")
    failures: list[JobFailure] = Field(description="The last ones, oldest first.")
    node: str | None = Field(default=None, description="The node that is at it; null when nobody is.")
    given_up_at: datetime | None = Field(default=None, description="When it was given up; null when it was not.")
