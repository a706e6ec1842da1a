"""How much a participant is asked for at once, and how much of that by one peer: rates, bodies, transfers, streams.

What lives here: the settings and how they add up. What does not: keeping to them (`controlplane/limits.py`, `dataplane/`).
Each node counts for itself: of N replicas each is told an Nth. Transfers alone are counted in their store.

    [limits.peer]                       # every peer of every participant
    requests_per_s = 200
    [participants.acme.limits]          # all that is asked of this participant
    requests_at_once = 64
    [participants.acme.peer_limits."did:web:busy.example"]
    transfers_at_once = 20
"""

from __future__ import annotations

from pydantic import Field

from connector.settings.fields import Section, untouched


class Bounds(Section):
    """Bounds of one participant, or of one peer of it. What is not said is as further out; a bound that nobody says does not hold."""

    requests_per_s: float | None = Field(
        None, gt=0, description="Protocol requests a second, with as many at once after a pause; more are answered 429."
    )
    requests_at_once: int | None = Field(
        None, ge=1, description="Protocol requests that are being answered; more are answered 429 (a peer's own) or 503."
    )
    max_body_bytes: int | None = Field(
        None, ge=1024, description="Largest protocol message, where that is less than `public.max_body_bytes`."
    )
    transfers_at_once: int | None = Field(
        None, ge=1, description="Transfers that its consumers have asked for and that have not ended; more are answered 429."
    )
    streams_at_once: int | None = Field(None, ge=1, description="Streams of data at once; more are answered 429 or 503.")
    bytes_per_s: int | None = Field(
        None, ge=65_536, description="Bytes a second of all its streams together; they wait for each other, none is refused."
    )

    def over(self, outer: Bounds) -> Bounds:
        """These bounds, and those of `outer` where these say nothing."""
        return outer.model_copy(update=self.model_dump(exclude_none=True))


class Limits(Section):
    """Bounds of the node, of each of its participants, and of each peer of them."""

    requests_at_once: int = Field(
        1024,
        ge=1,
        description="Protocol requests that the node answers at once; more are answered 503 before they are looked at.",
    )
    participant: Bounds = untouched("Of each participant that says nothing else.", requests_at_once=512)
    peer: Bounds = untouched(
        "Of each peer of a participant that says nothing else about it.",
        requests_per_s=1000,
        requests_at_once=128,
        transfers_at_once=1000,
        streams_at_once=256,
    )
