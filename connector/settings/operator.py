"""The settings of the operator listener: keys and bearer tokens of those who run the node."""

from __future__ import annotations

import re
from typing import Literal
from urllib.parse import urlsplit

from pydantic import AwareDatetime, Field, field_validator, model_validator

from connector.settings.fields import Section
from connector.settings.node import Listener

RoleName = Literal["read", "operate", "admin"]


class ApiKey(Section):
    """Someone who may use the operator API."""

    name: str = Field(description="Who holds the key; it stands in the log and in the audit trail.")
    sha256: str = Field(
        pattern="^[0-9a-f]{64}$", description="SHA-256 of the key, hexadecimal; `kontor init` prints the key once."
    )
    participants: tuple[str, ...] = Field(("*",), description="Contexts the key is good for; `*` is all.")
    role: RoleName = Field(
        "operate", description="`read` looks, `operate` also acts, `admin` also gives access and reads the audit trail."
    )
    expires: AwareDatetime | None = Field(
        None, description="When it ends, such as `2027-01-31T00:00:00Z`; set it for whoever is not to stay."
    )


class OidcGrant(Section):
    """What one value of the role claim is good for."""

    value: str = Field(min_length=1, description="A value of the role claim, exactly as the provider writes it.")
    role: RoleName = Field(description="What it lets its bearer do; see `operator.api_keys`.")
    participants: tuple[str, ...] = Field(("*",), min_length=1, description="Contexts it is good for; `*` is all.")


class Oidc(Section):
    """An OpenID Connect provider (Keycloak or another) whose bearer tokens the operator API takes."""

    issuer: str = Field(description="`iss` of its tokens, exactly, such as `https://id.example.org/realms/kontor`.")
    audience: str = Field(
        min_length=1, description="What `aud` of a token must name: this API, not the data plane and no other application."
    )
    jwks_url: str | None = Field(
        None,
        description="Where its keys are; without it the provider's own metadata says (`/.well-known/openid-configuration`).",
    )
    role_claim: str = Field(
        "realm_access.roles", description="Claim with the roles, a path with dots; Keycloak's realm roles by default."
    )
    name_claim: str = Field("preferred_username", description="Claim with the name for log and audit trail; `sub` without it.")
    is_audience_shared: bool = Field(
        False,
        description="Take tokens that name other audiences besides ours: for providers that add their own, as Keycloak does.",
    )
    grants: tuple[OidcGrant, ...] = Field(min_length=1, description="What the values of the role claim are good for.")

    @field_validator("issuer", "jwks_url")
    @classmethod
    def _is_address(cls, value: str | None) -> str | None:
        if value is not None:
            parts = urlsplit(value)
            if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.fragment:
                raise ValueError("an absolute http(s) address, such as `https://id.example.org/realms/kontor`")
        return value

    @field_validator("role_claim", "name_claim")
    @classmethod
    def _is_path(cls, value: str) -> str:
        if not re.fullmatch(r"[^.\s]+(\.[^.\s]+)*", value):
            raise ValueError("names with dots between them, such as `realm_access.roles`")
        return value

    @property
    def addresses(self) -> tuple[str, ...]:
        """What is fetched on its account."""
        return (self.issuer,) if self.jwks_url is None else (self.issuer, self.jwks_url)


class Operator(Listener):
    """What operators and their programs reach."""

    port: int = Field(8081, ge=0, le=65535, description="Port of the operator API; keep it off the internet.")
    requests_at_once: int = Field(
        512, ge=1, description="API requests that wait for the beginning of their answer; more are answered 503."
    )
    requests_at_once_per_key: int = Field(
        64,
        ge=1,
        description="As many of one key or person; more are answered 429, so that one program does not keep out the others.",
    )
    api_keys: tuple[ApiKey, ...] = Field(
        (), description="Keys of the operator API, besides those made with `kontor keys`; without any nobody gets in."
    )
    oidc: Oidc | None = Field(None, description="A provider whose bearer tokens are taken besides keys.")

    @model_validator(mode="after")
    def _names_differ(self) -> Operator:
        names = [key.name for key in self.api_keys]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two keys are named `{twice[0]}`: the audit trail could not tell them apart")
        return self
