"""Processes compared with what their peers hold them for."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from connector.api.common import Asked, Id, RoleName, Shown


class ReconciliationWish(Asked):
    """What to compare: all that has not ended, and what ended within a week."""

    peer: Id | None = Field(default=None, description="Only what we have with this participant.")
    dry_run: bool = Field(default=False, description="Only say what differs and what would be done.")


class ProcessFinding(Shown):
    """One process that did not stand alike on both sides, or of which there is something to say."""

    kind: str = Field(description="`negotiation` or `transfer`.")
    pid: str = Field(description="Our process id.")
    role: RoleName = Field(description="Our role.")
    peer: str
    dataset: str
    ours: str | None = Field(default=None, description="The state it had here.")
    theirs: str | None = Field(
        default=None, description="The state that the peer said; null when it does not know it, or did not say."
    )
    finding: str = Field(
        description="`same`, `underway`, `followed`, `told again`, `asked again`, `ended`, `agreement ended`, `open` or `not told`."
    )
    words: str = Field(description="What that means here.")
    needs_person: bool = Field(description="True when somebody should decide, or look.")


class WaitingPeer(Shown):
    """Processes with one peer that are not compared yet."""

    peer: str
    processes: int
    not_before: datetime = Field(description="When they are looked at next.")
    tries: int
    failure: str | None = Field(default=None, description="Why the last try failed.")
    given_up_at: datetime | None = Field(default=None, description="When it was given up; null while it is tried.")


class StrayProcess(Shown):
    """Something that a peer spoke of and that is not known here; it was answered 404."""

    at: datetime
    kind: str = Field(description="`negotiation`, `transfer` or `agreement`.")
    id: str
    peer: str


class Reconciliation(Shown):
    """A comparison, as it stands."""

    run: str
    begun_at: datetime
    cause: str = Field(description="Who asked for it: an operator, or a restore.")
    dry_run: bool
    is_done: bool = Field(description="True when nothing more comes by itself.")
    peers: dict[str, int] = Field(description="How many processes with each peer were to be compared.")
    same: int = Field(description="How many stand alike on both sides.")
    findings: list[ProcessFinding] = Field(description="All others, oldest finding first.")
    waiting: list[WaitingPeer]
    strays: list[StrayProcess] = Field(description="What peers spoke of within a month that is not known here, newest first.")
