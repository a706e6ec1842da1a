"""What can be asked of a node about its own work: background jobs, and what waits for a person."""

from __future__ import annotations

from connector.api.common import Listing
from connector.api.jobs import Job
from connector.client.calls import Call, deleted, get, posted


def jobs(
    participant: str | None = None, *, of: str | None = None, kind: str | None = None, is_given_up: bool | None = None,
    cursor: str | None = None, limit: int | None = None,
) -> Call[Listing[Job]]:  # fmt: skip
    """The background work of a participant, newest first; without one, that of the node, or `of` its role `authority` or `catalog`."""
    given_up = None if is_given_up is None else str(is_given_up).lower()
    return get(Listing[Job], *_jobs(participant), of=of, kind=kind, given_up=given_up, cursor=cursor, limit=limit)


def retry_job(kind: str, id_: str, participant: str | None = None, *, of: str | None = None) -> Call[Job]:
    """Work that was given up, begun anew."""
    return posted(Job, *_jobs(participant), kind, id_, "retry", of=of)


def drop_job(kind: str, id_: str, participant: str | None = None, *, of: str | None = None) -> Call[None]:
    """Have work never done."""
    return deleted(*_jobs(participant), kind, id_, of=of)


def _jobs(participant: str | None) -> tuple[str, ...]:
    return ("jobs",) if participant is None else ("participants", participant, "jobs")
