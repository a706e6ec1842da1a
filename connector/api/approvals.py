"""The inbox of what waits for a person, and contracts got or negotiated in one call."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from connector.api.agreements import Agreement
from connector.api.common import Address, Asked, Id, Shown, Tree
from connector.api.negotiations import Negotiation
from connector.api.transfers import Transfer


class Approval(Shown):
    """A process that waits for a person."""

    why: str = Field(description="Why it does not go on by itself.")
    since: datetime
    process: Negotiation | Transfer


class Rejection(Asked):
    """Why something is not to go on."""

    reason: str = Field(
        min_length=1, max_length=4000, description="For the peer's and our people.", examples=["not in this quarter"]
    )
    code: str | None = Field(default=None, max_length=200, description="A code for the peer's program.")


class ContractWish(Asked):
    """A contract about a dataset of a peer: the live one, or a new one."""

    address: Address
    peer: Id = Field(description="The peer's participant id.", examples=["did:web:weather.example"])
    dataset: Id = Field(description="Id of the dataset, as in the catalogue.")
    offer_id: Id | None = Field(default=None, description="Which of the dataset's offers, where it has several.")
    offer: Tree | None = Field(
        default=None,
        description="Terms that the contract must have, and that are asked for; any, and those of the offer, without.",
    )
    purpose: str | None = Field(
        default=None, max_length=2048, description="What the data is wanted for.", examples=["research"]
    )
    wait_s: float = Field(default=0, ge=0, le=60, description="How long to wait for the outcome of a negotiation, seconds.")


class Contract(Shown):
    """What came of it. Ask again to see how a negotiation goes on: it is joined, never begun twice."""

    agreement: Agreement | None = Field(default=None, description="Null as long as there is none.")
    negotiation: Negotiation | None = Field(default=None, description="Null when there was a live agreement already.")
