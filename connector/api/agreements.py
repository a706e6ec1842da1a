"""Contract agreements: what transfers happen under."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from connector.api.common import Address, Asked, Id, RoleName, Shown, Tree


class ImportedAgreement(Asked):
    """An agreement that was reached elsewhere, to be used here."""

    role: RoleName = Field(description="Our role in it.")
    peer: Id = Field(description="The other party's participant id.")
    address: Address | None = Field(
        default=None, description="Address of the peer's connector; may be given with each transfer instead."
    )
    agreement: Tree = Field(
        description="The agreement as the Dataspace Protocol spells it: `@id`, `target`, `assigner`, `assignee`, `timestamp`, rules.",
        examples=[
            {
                "@id": "urn:uuid:0f9c7c3e-2f9c-4d0e-8b57-5d3c1d1e7a10",
                "@type": "Agreement",
                "target": "urn:example:weather-2025",
                "assigner": "did:web:weather.example",
                "assignee": "did:web:acme.example",
                "timestamp": "2025-01-01T00:00:00Z",
                "permission": [{"action": "use"}],
            }
        ],
    )
    purpose: str | None = Field(default=None, max_length=2048, description="What the consumer said it wants the data for.")


class AgreementEnd(Asked):
    """Why an agreement ends before its own terms end it."""

    reason: str = Field(
        min_length=1,
        max_length=4000,
        description="Kept with the agreement, and told to the peer with each transfer that ends by it.",
        examples=["the project is over"],
    )


class Agreement(Shown):
    """An agreement as this side holds it."""

    id: str
    role: RoleName
    peer: str
    peer_address: str
    provider: str
    consumer: str
    dataset: str
    policy: Tree = Field(description="The agreement as it went over the wire.")
    purpose: str | None = None
    negotiation: str | None = Field(
        default=None, description="Our process id of the negotiation; null for an imported agreement."
    )
    signed_at: datetime
    ended_at: datetime | None = Field(default=None, description="When it was ended before its own terms end it.")
    end_reason: str | None = None
