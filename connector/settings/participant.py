"""The settings of one participant: who it is, whom it knows, and what it decides by itself."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from connector.settings.catalog import KnownCatalog
from connector.settings.fields import MOST_WAIT_S, ParticipantId, Secret, Section, untouched
from connector.settings.identity import Membership
from connector.settings.limits import Bounds
from connector.settings.oauth2 import OAuth2Membership


class Rule(Section):
    """One automation rule: in this state, do that. The policy gate decides whether it may."""

    kind: Literal["negotiation", "transfer"] = Field(default="negotiation", description="Which process it is for.")
    on: Literal[
        "REQUESTED", "OFFERED", "ACCEPTED", "AGREED", "VERIFIED", "FINALIZED", "STARTED", "SUSPENDED", "COMPLETED", "TERMINATED"
    ] = Field(description="The state that was entered.")
    do: Literal[
        "offer", "agree", "accept", "counter", "verify", "finalize", "terminate", "start", "suspend", "complete", "hold"
    ] = Field(description="The act, or `hold`: wait for a human or the peer.")
    role: Literal["provider", "consumer"] | None = Field(default=None, description="Our role in the process; none fits both.")
    party: str | None = Field(default=None, description="The peer's participant id.")
    dataset: str | None = Field(default=None, description="Dataset id.")
    agreement: str | None = Field(default=None, description="Agreement id (transfers).")
    format: str | None = Field(default=None, description="Transfer format (transfers).")
    nth: int | None = Field(default=None, ge=1, description="The n-th time that the state is entered; none fits every time.")
    delay_s: float = Field(
        default=0, ge=0, le=MOST_WAIT_S, description="How long to wait before the act; kept across restarts."
    )
    reason: str = Field(default="", description="Told to the peer with a termination or suspension, and shown in the timeline.")


class StaticPeer(Section):
    """A peer known by a fixed token, for closed networks and development."""

    id: ParticipantId = Field(description="The peer's participant id.")
    theirs: Secret | None = Field(default=None, repr=False, description="Whole `Authorization` value that its requests carry.")
    ours: Secret | None = Field(
        default=None, repr=False, description="Whole `Authorization` value that our requests to it carry."
    )
    claims: dict[str, Any] = Field(default_factory=dict, description="What is attested about it, for policies: name and value.")


class Participant(Section):
    """One participant context served by this node."""

    id: ParticipantId = Field(description="Participant id as in agreements: a DID or another URI.")
    title: str = Field(default="", description="Name for people.")
    identity: Membership | None = Field(
        default=None, description="Its part in a space with wallets, where that differs from `identity.membership`."
    )
    oauth2: OAuth2Membership | None = Field(
        default=None, description="Its part in a space with an OAuth2 or OpenID Connect provider, instead of wallets and texts."
    )
    unsafe_static_tokens: tuple[StaticPeer, ...] = Field(
        default=(), description="Peers that are proven by a shared text alone; for closed networks and development."
    )
    rules: tuple[Rule, ...] = Field(
        default=(), description="Automation rules of this participant; none is needed for the usual flow."
    )
    disclosure: Literal["code", "operands", "full"] = Field(
        default="operands",
        description="How much of a refusal's reasons a peer is told: that a condition failed, which left operand it is on, or its"
        " values, too. Its own log and timeline always say all.",
    )
    duty_mode: Literal["require-fulfilled", "unless-violated"] = Field(
        default="require-fulfilled",
        description="When an open duty keeps data from flowing: until it is fulfilled, or only once it is violated.",
    )
    environment: dict[str, str] = Field(
        default_factory=dict,
        description="What is so where this participant uses data, by left operand (`spatial`, `systemDevice`): judged as consumer.",
    )
    consumer_operands: tuple[str, ...] = Field(
        default=(),
        description="Left operands that the connectors of our consumers judge; clauses on them may be published, and are theirs.",
    )
    decision_inputs: Literal["all", "refusals", "none"] = Field(
        default="all",
        description="Of which decisions the journal keeps what they were made from; `kontor policy simulate` needs it.",
    )
    log_catalog_decisions: bool = Field(
        default=True,
        description="Whether the journal tells who was shown which offers that have an access policy; for busy catalogues, turn it off.",
    )
    page_size: int = Field(default=1000, ge=1, le=100_000, description="Datasets on one page of the catalogue.")
    catalogs: tuple[KnownCatalog, ...] = Field(
        default=(),
        description="Catalogues that are told when something changes here, and that `kontor search` asks; the first by default.",
    )
    report_agreements: bool = Field(
        default=False,
        description="Tell those catalogues how many agreements were concluded here as a provider: a count, and nothing else.",
    )
    approval: Literal["auto", "manual"] = Field(default="auto", description="`manual` holds every request for a human.")
    most_held_per_peer: int = Field(
        default=200,
        ge=1,
        description="Negotiations of one peer that may wait for a human; its further requests are answered 429.",
    )
    longest_wait_s: float = Field(
        default=30 * 86_400,
        gt=0,
        le=MOST_WAIT_S,
        description="How long a negotiation, or a transfer that was asked for, may stand still before it is terminated and the"
        " peer told; longer where people decide slowly.",
    )
    limits: Bounds = untouched("Bounds of all that is asked of it, where they differ from `limits.participant`.")
    peer_limits: dict[ParticipantId, Bounds] = Field(
        default_factory=dict, description="Bounds of single peers, by participant id, where they differ from `limits.peer`."
    )
