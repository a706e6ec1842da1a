"""What negotiations and transfers have in common, and the timeline of either."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from connector.api.common import RoleName, Shown


class Process(Shown):
    """A process between this participant and a peer."""

    kind: str = Field(description="`negotiation` or `transfer`.")
    pid: str = Field(description="Our process id.")
    role: RoleName = Field(description="Our role.")
    peer: str = Field(description="The peer's participant id.")
    peer_address: str = Field(description="Where the peer takes our messages.")
    peer_pid: str | None = Field(default=None, description="The peer's process id; null until it is known.")
    state: str | None = Field(
        default=None, description="Protocol state; null until the peer has acknowledged our first message."
    )
    in_flight: str | None = Field(default=None, description="What of ours is on its way and not acknowledged yet.")
    hold: str | None = Field(default=None, description="Why it waits for a person; null when it does not.")
    in_doubt: bool = Field(
        default=False, description="True after a restore, until it was compared with the peer: nothing is given out under it."
    )
    error: str | None = Field(default=None, description="The last failure; null when the last thing went well.")
    code: str | None = Field(default=None, description="Code of the suspension or termination, by whoever sent it.")
    reasons: list[str] = Field(default_factory=list, description="Reasons of the suspension or termination.")
    warnings: list[str] = Field(default_factory=list, description="What the peer did that is lawful and worth a look.")
    purpose: str | None = Field(default=None, description="What the consumer says it wants the data for.")
    dataset: str
    entries: dict[str, int] = Field(default_factory=dict, description="How many times each state was entered.")
    created_at: datetime
    updated_at: datetime


class TimelineRecord(Shown):
    """Something that happened."""

    at: datetime
    by: str = Field(description="`peer`, `operator`, `rule`, `policy`, `delivery` or `data-plane`.")
    event: str
    state: str | None = Field(default=None, description="The state after it.")
    note: str = ""


class DeliveryAttempt(Shown):
    """One attempt to deliver a message of ours, or to move data."""

    at: datetime
    message_id: str = Field(description="Empty for an attempt to move data.")
    event: str = Field(description="What the message says; `data` for an attempt to move data.")
    url: str
    status: int | None = Field(default=None, description="The peer's HTTP status; null when there was no answer.")
    cause: str = Field(default="", description="Why it failed; empty when it was delivered.")
    is_final: bool = Field(default=True, description="False when it is tried again.")


class PendingMessage(Shown):
    """A message of ours that waits to be delivered."""

    message_id: str
    event: str
    url: str
    tries: int = Field(description="How often it was tried before.")
    created_at: datetime


class DueAct(Shown):
    """An act that waits for its time."""

    at: datetime
    act: str
    state: str | None = Field(default=None, description="Carried out only if the process is still in this state.")
    reason: str = ""


class RefusedRequest(Shown):
    """A request about the process whose sender could not be proven. The sender was told no more than that."""

    at: datetime
    source: str = Field(description="The machine that it came from.")
    check: str = Field(description="The check that failed, such as `audience`, `signature`, `replay` or `revocation`.")
    words: str


class Timeline(Shown):
    """Everything kept about one process, oldest first."""

    process: Process
    records: list[TimelineRecord]
    attempts: list[DeliveryAttempt]
    pending: list[PendingMessage]
    due: list[DueAct]
    refused: list[RefusedRequest] = Field(
        default_factory=list, description="The last requests that were refused, as far as this node remembers since its start."
    )
