"""Between the control plane and the data planes of others: which there are, what they are told, what they tell.

`Planes` is driven by the control plane; `FlowEvents` is what planes report. Implemented by `signaling/` and `controlplane/signals.py`.
The built-in data plane needs none of this; it is the port `DataPlane`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from connector.dps.flow import Report
from connector.dps.messages import Note, Order, Status
from connector.ports.dataplane import Source

ANY_SOURCE = "none"
"""The type of a source that only an external data plane knows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaneWish:
    """What a transfer needs of a data plane."""

    profile: str
    source_type: str | None = None
    """Provider: the type of the asset's source; None: we are the consumer."""
    labels: tuple[str, ...] = ()
    """All of them must be among the plane's."""
    plane: str | None = None
    """This one and no other; None: whichever fits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Telling:
    """What a data plane is told about one flow."""

    order: Order
    """What the flow is: sent as it stands for prepare and start, and what the older dialect resumes with."""
    note: Note | None = None
    """What is said about it now; None: the order itself."""
    is_provider: bool
    source: Source | None = None
    """Provider: where the data lies, for planes that are told (older dialect)."""


class Planes(Protocol):
    """The data planes that are registered for a participant."""

    async def profiles(self, participant: str, source_type: str) -> tuple[str, ...]:
        """The transfer profiles in which some plane can serve a source of this type; a plane that is down counts."""
        ...

    async def choose(self, participant: str, wish: PlaneWish) -> str | None:
        """The id of a plane that fits; one that answered last time comes first. None: there is none."""
        ...

    async def tell(self, participant: str, plane: str, telling: Telling) -> Status:
        """How the flow stands after the plane has taken `telling`. Taking it again is harmless: the message id is the same.

        Raises: NotFound (no such plane any more), Unreachable, PeerAnswer with its status, PeerMessage, AddressRefused,
        SourceError when the dialect has no words for the source.
        """
        ...

    async def look(self, participant: str, plane: str, flow_id: str) -> Status:
        """How the flow stands, asked of the plane.

        Raises: as `tell`.
        """
        ...


class FlowEvents(Protocol):
    """Told by data planes, once it is proven which one speaks."""

    async def reported(self, participant: str, pid: str, plane: str, report: Report, status: Status) -> None:
        """A data plane says how the flow of our transfer `pid` stands. Again: nothing happens.

        Raises: NotFound when `plane` does not hold that transfer; BadMessage when report and status contradict each other;
        Conflict when it comes too late or is not for our role.
        """
        ...

    async def failed(self, participant: str, pid: str, plane: str, reason: str) -> None:
        """Older dialect: moving has failed for good, the transfer ends.

        Raises: as `reported`.
        """
        ...

    async def provisioned(self, participant: str, pid: str, plane: str, status: Status) -> None:
        """Older dialect: what was being provisioned is there; a provider's plane is told to start once more.

        Raises: as `reported`.
        """
        ...

    async def agreement(self, participant: str, pid: str, plane: str) -> bytes:
        """The agreement of a transfer, for the plane that holds it, as the protocol writes one.

        Raises: NotFound.
        """
        ...
