"""Durable background work: jobs that are done once they are committed, after a crash too, by one node at a time.

What lives here: the seam and its values. What does not: what a job does (`controlplane/jobs.py` runs what the rooms register),
and protocol messages, which have the outbox of their process.

A job belongs to a participant context, has a kind and an id, and a body. It waits for its moment, is leased to a node while that
works on it, and ends by being done, or by being given up and kept for the operator to see. Jobs of one kind and context with the same
`order_key` are done one after another, in the order in which they were put; one that was given up holds up nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol

from connector.ports.page import Page

MOST_FAILURES: Final = 20
"""How many failures of a job are kept: the latest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewJob:
    """Work to be done."""

    participant: str
    kind: str
    """Names the handler."""
    id: str
    """One of a kind in a context: putting it again while it waits or runs changes nothing."""
    body: Mapping[str, Any]
    """A JSON tree."""
    order_key: str | None = None
    """Jobs with the same one wait for each other; None waits for nobody."""
    not_before: datetime | None = None
    """None: at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A try that failed."""

    at: datetime
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job as it is kept."""

    number: int
    """The order in which jobs were put; never used twice."""
    participant: str
    kind: str
    id: str
    body: Mapping[str, Any]
    order_key: str | None
    created_at: datetime
    not_before: datetime
    tries: int
    """How often it was begun since it last ended well, this time included."""
    turn: int
    """Grows with each claim: who comes back after another has claimed it changes nothing."""
    failures: tuple[Failure, ...]
    """Oldest first, at most the latest `MOST_FAILURES`."""
    node: str | None
    """Who has it; None when nobody does."""
    given_up_at: datetime | None


class Jobs(Protocol):
    """The jobs of all contexts. Every call may raise StoreUnavailable; nothing was written then."""

    async def put(self, jobs: Sequence[NewJob], now: datetime) -> int:
        """How many of `jobs` are new; all are kept or none.

        One that waits or runs under the same context, kind and id stays as it is; one that was given up begins anew, behind
        those with its `order_key`.

        Raises: BadMessage for a body that is no JSON.
        """
        ...

    async def claim(self, kinds: Sequence[str], now: datetime, *, limit: int = 16) -> tuple[Job, ...]:
        """Jobs of `kinds` whose moment has come, longest waiting first: leased to this node from now on."""
        ...

    async def keep(self, job: Job, now: datetime) -> bool:
        """Let the lease of a claimed job begin anew; False when it is not ours any more."""
        ...

    async def done(self, job: Job) -> bool:
        """Forget a claimed job; False when it is not ours any more."""
        ...

    async def put_off(self, job: Job, not_before: datetime, failure: Failure | None = None) -> bool:
        """Let go of a claimed job until `not_before`; False when it is not ours any more.

        Without a failure it has ended well and comes again: tries and failures begin anew.
        """
        ...

    async def give_up(self, job: Job, failure: Failure) -> bool:
        """Keep a claimed job as given up; False when it is not ours any more."""
        ...

    async def revive(self, participant: str, kind: str, id_: str, now: datetime) -> bool:
        """Let a job that was given up begin anew; False when there is none."""
        ...

    async def forget(self, participant: str, before: datetime) -> int:
        """How many jobs of a context were forgotten: those that were given up before `before`."""
        ...

    async def drop(self, participant: str, kind: str, id_: str) -> bool:
        """Forget a job whatever it is at; a node that works on it finishes in vain. False when there is none."""
        ...

    async def job(self, participant: str, kind: str, id_: str) -> Job | None:
        """The job, or None."""
        ...

    async def page(
        self,
        participant: str,
        *,
        kind: str | None = None,
        is_given_up: bool | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> Page[Job]:
        """The jobs of one context that fit, newest first; None does not narrow.

        Raises: BadMessage for a cursor that is none of this list.
        """
        ...

    async def next_moment(self, kinds: Sequence[str]) -> datetime | None:
        """When `claim` has something next, which may be past; None when nothing waits. Ends of leases count."""
        ...

    async def release(self) -> None:
        """Free what an earlier run of this node had: called once at its start."""
        ...

    def listen(self, wake: Callable[[], None]) -> None:
        """Have `wake` called, on the event loop, when there may be something to claim, put here or elsewhere; listeners add up."""
        ...
