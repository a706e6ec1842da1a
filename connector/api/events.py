"""What happens to negotiations and transfers, one event after another, for programs that follow it."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from connector.api.common import RoleName, Shown


class Event(Shown):
    """Something that happened to a process."""

    id: str = Field(description="Unique in this node's store; the same event has it at each reading.")
    position: str = Field(description="Give it as `after` to read on behind this event and those written together with it.")
    at: datetime
    kind: str = Field(description="`negotiation` or `transfer`.")
    pid: str = Field(description="Our process id.")
    event: str = Field(description="What happened, such as `agree`, `start`, `terminate`.")
    state: str | None = Field(default=None, description="The state after it; null before the peer's first acknowledgement.")
    by: str = Field(description="`peer`, `operator`, `rule`, `policy`, `delivery` or `data-plane`.")
    note: str = ""
    role: RoleName = Field(description="Our role in the process.")
    peer: str = Field(description="The peer's participant id.")
    dataset: str
    agreement_id: str | None = Field(
        default=None, description="The agreement that the process has led to or is about, as of now."
    )


class EventPage(Shown):
    """A part of what happened, oldest first."""

    items: list[Event]
    position: str = Field(description="Give it as `after` to read on; also when there was nothing.")
