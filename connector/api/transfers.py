"""Transfers: begin one, act in one, look at them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from connector.api.common import Address, Asked, Id, Shown
from connector.api.processes import Process

TransferAct = Literal["start", "suspend", "resume", "complete", "terminate"]
"""What an operator may do in a transfer."""


class DataAddress(Shown):
    """Where data is fetched from or delivered to."""

    endpoint_type: str = Field(
        default="https://w3id.org/idsa/v4.1/HTTP", description="What kind of endpoint it is, in the words of the data space."
    )
    endpoint: str | None = Field(default=None, description="Its address.", examples=["https://receiver.example.com/inbox/42"])
    properties: dict[str, str] = Field(
        default_factory=dict,
        description="What opens it; customary are `authorization` and `authType`.",
        examples=[{"authType": "bearer", "authorization": "2YotnFZFEjr1zCsicMWpAA"}],
    )


class NewTransfer(Asked):
    """A transfer to ask the provider of an agreement for."""

    agreement: Id = Field(description="Id of the agreement.")
    format: str = Field(
        min_length=1,
        max_length=200,
        description="Transfer format, as in the dataset's distributions.",
        examples=["HttpData-PULL"],
    )
    address: Address | None = Field(default=None, description="Address of the provider; when left out, that of the agreement.")
    purpose: str | None = Field(
        default=None, max_length=2048, description="What the data is wanted for; when left out, as agreed."
    )
    destination: DataAddress | None = Field(
        default=None, description="Push: where the provider delivers to; when left out, this node receives and keeps the data."
    )
    data_plane: Id | None = Field(
        default=None,
        description="The registered data plane that takes the data; when left out, this node does where it knows the format.",
    )


class TransferStep(Asked):
    """What goes with an act."""

    code: str | None = Field(default=None, max_length=200, description="`suspend`, `terminate`: a code for the peer's program.")
    reason: str | None = Field(
        default=None, max_length=4000, description="`suspend`, `terminate`: why, for the peer's and our people."
    )


class Transfer(Process):
    """A transfer as this side sees it."""

    kind: Literal["transfer"] = "transfer"
    agreement_id: str
    format: str
    has_address: bool = Field(description="True when the address of the data is known (pull) or was announced (push).")
    is_open: bool = Field(description="True while data may flow.")
    data_plane: str | None = Field(default=None, description="The external data plane that moves the data; null: this node.")
    flow_state: str | None = Field(default=None, description="Where that says the flow is.")
    moved_bytes: int = 0
    digest: str | None = Field(default=None, description="SHA-256 of what was moved, hexadecimal; null until it is known.")
