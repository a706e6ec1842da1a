"""The messages of data plane signaling as values, whichever dialect they came in or go out in.

What lives here: one value for each kind of message, with what either dialect may say in it. What does not: bytes (`standard.py`,
`legacy.py`), and what a message does to a flow (`flow.py`).
Source: Data Plane Signaling v1.0-RC3, "Message Types"; for the older dialect what EDC 0.15.1 sends.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from connector.dps.flow import Call, FlowState
from connector.dsp.messages import DataAddress


class Dialect(StrEnum):
    """Which language two planes speak."""

    DPS = "dps"
    EDC = "edc-legacy"


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """Prepare or start a data flow."""

    call: Call
    message_id: str | None = None
    """None: the older dialect has none."""
    flow_id: str
    """The control plane's own id of the transfer: both sides call the flow so."""
    participant_id: str = ""
    """Whose data plane it is."""
    counter_party_id: str = ""
    """The other participant in the transfer."""
    dataspace_context: str = ""
    agreement_id: str
    dataset_id: str
    profile: str
    """The transfer format or the address of a transfer profile."""
    claims: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """What was proven of the counter-party."""
    labels: tuple[str, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    callback: str | None = None
    """Where the control plane hears reports, as it says itself."""
    address: DataAddress | None = field(default=None, repr=False)
    """Start of a push: where to. Older dialect, prepare: the destination so far."""
    source: DataAddress | None = field(default=None, repr=False)
    """Older dialect, start: where the data lies, with what opens it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Started, suspend, resume, completed or terminate: all that is said about a flow that is there."""

    call: Call
    message_id: str | None = None
    reason: str | None = None
    address: DataAddress | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """How a flow stands: an answer, or a report."""

    state: FlowState
    message_id: str | None = None
    flow_id: str | None = None
    address: DataAddress | None = field(default=None, repr=False)
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaneRegistration:
    """A data plane that offers itself."""

    dialect: Dialect
    id: str
    endpoint: str
    """Without `/dataflows` at its end."""
    profiles: tuple[str, ...]
    labels: tuple[str, ...] = ()
    authorization: Mapping[str, Any] | None = field(default=None, repr=False)
    source_types: tuple[str, ...] = ()
    """Older dialect: kinds of data address that it reads from."""
    provision_types: tuple[str, ...] = ()
    """Older dialect: kinds of destination that it wants to prepare."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlPlaneRegistration:
    """A control plane that announces itself."""

    id: str
    endpoint: str
    authorization: Mapping[str, Any] | None = field(default=None, repr=False)


def endpoint_of(url: str) -> str:
    """The base of a plane's addresses: EDC and the Java SDK name one that ends in `/dataflows`, the standard does not."""
    return url.rstrip("/").removesuffix("/dataflows").rstrip("/")
