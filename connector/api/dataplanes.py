"""Data planes of others under our control: registered by an operator, or by themselves where the settings expect them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import Field, SecretStr, model_validator

from connector.api.common import Asked, Id, Shown


class PlaneAuthorization(Asked):
    """How the data plane and we prove ourselves to each other. Goes in, and is never given back."""

    secret: SecretStr | None = Field(
        default=None, max_length=4096, description="One secret that both hold and send as a bearer token."
    )
    token_endpoint: str | None = Field(
        default=None, pattern=r"^https?://[^\s]+$", description="Where we get the tokens of our calls."
    )
    client_id: str | None = Field(default=None, max_length=512, description="Who we are to `token_endpoint`.")
    client_secret: SecretStr | None = Field(default=None, max_length=4096, description="What proves us to `token_endpoint`.")
    jwks: dict[str, Any] | None = Field(default=None, description="The keys that sign the tokens of its calls, as a JWK Set.")
    jwks_uri: str | None = Field(
        default=None, pattern=r"^https?://[^\s]+$", description="Where those keys are, in place of `jwks`."
    )

    issuer: str | None = Field(default=None, max_length=2048, description="What the tokens of its calls must name in `iss`.")
    token_exchange_endpoint: str | None = Field(
        default=None,
        pattern=r"^https?://[^\s]+$",
        description="The broker that gives us the tokens of our calls for what `signaling.workload_token` holds (RFC 8693).",
    )
    resource: str | None = Field(default=None, max_length=2048, description="Whom we speak for, as the broker knows us.")
    audience: str | None = Field(default=None, max_length=2048, description="What the plane calls itself there; else its id.")
    scope: str = Field(
        default="", max_length=2048, description="What we ask of the broker, and what its tokens for the plane must grant."
    )

    @model_validator(mode="after")
    def _is_whole(self) -> PlaneAuthorization:
        tokens = (self.token_endpoint, self.client_id, self.client_secret)
        if any(tokens) and not all(tokens):
            raise ValueError("`token_endpoint`, `client_id` and `client_secret` go together; give all or none")
        if self.token_exchange_endpoint is not None and (any(tokens) or not (self.issuer and self.jwks_uri and self.resource)):
            raise ValueError("`token_exchange_endpoint` needs `issuer`, `jwks_uri` and `resource`, and no other tokens")
        if self.secret is not None and (any(tokens) or self.jwks or self.jwks_uri):
            raise ValueError("`secret` stands for itself; leave the tokens out")
        return self


class NewDataPlane(Asked):
    """A data plane to register."""

    endpoint: str = Field(
        max_length=2048,
        pattern=r"^https?://[^\s/?#@]+(/[^\s?#]*)?$",
        description="Base of its signaling addresses, with or without `/dataflows`.",
        examples=["https://dataplane.internal/v1"],
    )
    dialect: Literal["dps", "edc-legacy"] = Field(
        default="dps", description="`edc-legacy`: what EDC up to 0.17 and Tractus-X speak."
    )
    profiles: tuple[str, ...] = Field(
        min_length=1, max_length=100, description="Transfer formats or profiles that it serves.", examples=[["HttpData-PULL"]]
    )
    labels: tuple[Id, ...] = Field(default=(), max_length=32, description="What assets may ask for.")
    source_types: tuple[str, ...] = Field(
        default=(), max_length=32, description="`edc-legacy`: kinds of source, such as `HttpData`."
    )
    provision_types: tuple[str, ...] = Field(
        default=(), max_length=32, description="`edc-legacy`: destinations that it prepares."
    )
    authorization: PlaneAuthorization = Field(default=PlaneAuthorization(), description="How the two of us prove ourselves.")
    principal: str | None = Field(
        default=None, max_length=2048, description="`sub` of the tokens of its calls, where a server does not set it to its id."
    )
    unverified: bool = Field(
        default=False, description="Believe its calls without proof; only where nobody else reaches the listener."
    )
    announced: bool = Field(default=False, description="Register this node with it as its control plane.")
    hosts: tuple[str, ...] = Field(
        default=(), max_length=32, description="Hosts that its addresses may name; else that of `endpoint`."
    )


class DataPlane(Shown):
    """A registered data plane, without what opens it."""

    id: str
    endpoint: str
    dialect: str
    profiles: list[str]
    labels: list[str] = Field(default_factory=list)
    source_types: list[str] = Field(default_factory=list)
    owner: str = Field(description="`operator`, or `plane`: it registered itself.")
    principal: str | None = None
    unverified: bool = False
    announced: bool = False
    answered_at: datetime | None = Field(default=None, description="When this node last called it; null: not since it started.")
    fault: str = Field(default="", description="Why it did not answer then; empty: it did.")
