"""Contract negotiations: begin one, act in one, look at them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from connector.api.common import Address, Asked, Id, RoleName, Tree
from connector.api.processes import Process

NegotiationAct = Literal["offer", "counter", "accept", "agree", "verify", "finalize", "terminate", "hold", "approve"]
"""What an operator may do in a negotiation."""


class NewNegotiation(Asked):
    """A negotiation to begin: as consumer with a request, as provider with an offer."""

    address: Address
    peer: Id = Field(description="The peer's participant id.", examples=["did:web:weather.example"])
    dataset: Id = Field(description="Id of the dataset, as in the catalogue.")
    offer_id: Id | None = Field(default=None, description="Which of the dataset's offers; needed when it has several.")
    offer: Tree | None = Field(
        default=None,
        description="Terms to ask for or to offer; when left out, plain use under `offer_id` (consumer) or our own offer (provider).",
    )
    purpose: str | None = Field(
        default=None, max_length=2048, description="What the data is wanted for.", examples=["research"]
    )
    role: RoleName = Field(default="consumer", description="Our role; as provider the negotiation begins with our offer.")


class NegotiationStep(Asked):
    """What goes with an act."""

    offer: Tree | None = Field(
        default=None, description="`offer`, `counter`: the new terms; when left out, those on the table."
    )
    code: str | None = Field(default=None, max_length=200, description="`terminate`: a code for the peer's program.")
    reason: str | None = Field(
        default=None, max_length=4000, description="`terminate`, `hold`: why, for the peer's and our people."
    )


class Negotiation(Process):
    """A negotiation as this side sees it."""

    kind: Literal["negotiation"] = "negotiation"
    offer: Tree = Field(description="The terms on the table.")
    offered_by: RoleName | None = Field(default=None, description="Who made them, while they are on the table.")
    agreement_id: str | None = Field(default=None, description="Id of the agreement; null before AGREED.")
