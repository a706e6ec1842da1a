"""Messages as the tests of signaling send and expect them."""

from __future__ import annotations

from connector.dps.addresses import from_properties
from connector.dps.flow import Call
from connector.dps.messages import Order

ADDRESS = from_properties(
    "https://w3id.org/idsa/v4.1/HTTP", "https://data.example/flow", {"authorization": "t0k3n", "authType": "bearer"}
)


def order(call: Call = Call.START, profile: str = "HttpData-PULL", **changes: object) -> Order:
    """A start or prepare with everything that one can have."""
    given: dict[str, object] = {
        "call": call,
        "message_id": "urn:uuid:11111111-1111-1111-1111-111111111111",
        "flow_id": "urn:uuid:22222222-2222-2222-2222-222222222222",
        "participant_id": "did:web:ours",
        "counter_party_id": "did:web:theirs",
        "dataspace_context": "dataspace-protocol-http:2025-1",
        "agreement_id": "urn:uuid:33333333-3333-3333-3333-333333333333",
        "dataset_id": "urn:weather",
        "profile": profile,
        "claims": {"membership": "active"},
        "labels": ("eu",),
        "metadata": {"room": 7},
        "callback": "https://cp.example/ours",
        "address": ADDRESS if call is Call.START and profile.lower().endswith("-push") else None,
    }
    return Order(**{**given, **changes})  # type: ignore[arg-type]
