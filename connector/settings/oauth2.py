"""The settings of OAuth2: the provider of a space that runs one here, and the part that a participant takes in such a space."""

from __future__ import annotations

import re
from typing import Any, Final, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from connector.settings.fields import ParticipantId, Secret, Section

TAKEN: Final = frozenset(
    {"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "client_id", "scope", "typ", "token", "vp", "vc", "nonce", "cnf", "act"}
    | {"at_hash", "c_hash", "events", "@context", "@type", "securityProfile", "referringConnector"}
)
"""Claims that the provider writes itself, or that tell a token of another kind."""
DAPS_AUDIENCE: Final = "idsc:IDS_CONNECTORS_ALL"
"""What every connector of an IDS space takes: whoever gets such a token can use it at all the others."""


def _address(value: str | None) -> str | None:
    if value is not None:
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.fragment:
            raise ValueError("an absolute http(s) address, such as `https://authority.example.org/authority`")
    return value


class OAuth2Client(Section):
    """A connector that gets tokens of this provider without being a member by its wallet."""

    id: ParticipantId = Field(description="Its participant id, which is its client id.")
    jwks_url: str = Field(description="Where its public keys are; a Kontor has them at `PUBLIC_URL/NAME/oauth2/jwks`.")
    scopes: tuple[str, ...] = Field((), description="Scopes that it may ask for.")
    claims: dict[str, Any] = Field(
        default_factory=dict, description="What its tokens attest, by name, for policies of its peers."
    )
    suspended: bool = Field(False, description="True takes its tokens away at once; at the next start of this node.")

    _jwks_url = field_validator("jwks_url")(_address)

    @field_validator("claims")
    @classmethod
    def _are_its_own(cls, value: dict[str, Any]) -> dict[str, Any]:
        if taken := sorted(TAKEN & value.keys()):
            raise ValueError(f"`{taken[0]}` means something else in a token; choose another name")
        return value


class OAuth2Provider(Section):
    """The OAuth2 provider of a space, served below `/authority`: for spaces that do without wallets, or have both."""

    clients: tuple[OAuth2Client, ...] = Field((), description="Connectors that get tokens; members of the authority do anyway.")
    token_life_s: int = Field(300, ge=30, le=3600, description="How long a token is good; peers ask anew before it ends.")
    key_days: int = Field(90, ge=1, le=3650, description="After how many days another key signs.")
    daps_claims: bool = Field(False, description="Add the claims of a DAPS (IDS), for connectors that still read them.")
    security_profile: str = Field(
        "idsc:BASE_SECURITY_PROFILE", description="`securityProfile` of DAPS claims; what the space has certified."
    )
    unsafe_daps_audience: bool = Field(
        False, description="Give tokens for all connectors at once, as a DAPS does: whoever gets one can use it elsewhere."
    )

    @field_validator("clients")
    @classmethod
    def _ids_differ(cls, value: tuple[OAuth2Client, ...]) -> tuple[OAuth2Client, ...]:
        ids = [client.id for client in value]
        if len(set(ids)) < len(ids):
            raise ValueError("two clients have the same id")
        return value


class OAuth2Membership(Section):
    """The part that a participant takes in a space with an OAuth2 or OpenID Connect provider (a Kontor, Keycloak, a DAPS)."""

    issuer: str = Field(description="`iss` of the tokens, exactly, such as `https://authority.example.org/authority`.")
    audience: str | None = Field(
        None, description="What `aud` of a token for us must be; our participant id when left out. Never one that others share."
    )
    is_audience_shared: bool = Field(
        False,
        description="Take tokens that name other audiences besides ours: for providers that add their own, as Keycloak does.",
    )
    jwks_url: str | None = Field(None, description="Where the provider's keys are; without it its metadata says.")
    token_url: str | None = Field(None, description="Where tokens are got; without it the provider's metadata says.")
    introspection_url: str | None = Field(
        None, description="Where tokens are looked up; without it the provider's metadata says."
    )
    introspect: bool = Field(
        True,
        description="Ask the provider whether a token still holds, at most once a second: so a suspended peer is out at once.",
    )
    client_id: str | None = Field(None, description="Our client id; our participant id when left out.")
    client_secret: Secret | None = Field(
        None, repr=False, description="Secret of our client; without it we prove ourselves by a key (`private_key_jwt`)."
    )
    key: Literal["own", "did"] = Field(
        "own",
        description="Key for `private_key_jwt`: `own` is published at `PUBLIC_URL/NAME/oauth2/jwks`, `did` is the wallet's.",
    )
    scopes: tuple[str, ...] = Field((), description="Scopes that we ask for.")
    required_scopes: tuple[str, ...] = Field((), description="Scopes that a token for us must have.")
    parameters: dict[str, str] = Field(
        default_factory=dict,
        description="Further parameters of a token request, as the provider asks for; `{peer}` is the peer's id.",
    )
    id_claim: str = Field(
        "sub", description="Claim with the peer's participant id, a path with dots; set by the provider, not by clients."
    )
    claims: dict[str, str] = Field(
        default_factory=dict, description="Claims for policies: the name that policies use, and the path of the token's claim."
    )

    _addresses = field_validator("issuer", "jwks_url", "token_url", "introspection_url")(_address)

    @field_validator("id_claim")
    @classmethod
    def _is_path(cls, value: str) -> str:
        if not re.fullmatch(r"[^.\s]+(\.[^.\s]+)*", value):
            raise ValueError("names with dots between them, such as `kontor.participant_id`")
        return value

    @model_validator(mode="after")
    def _names_a_peer(self) -> OAuth2Membership:
        if self.audience == "*":
            raise ValueError("an audience is one name; `*` would take tokens meant for others")
        return self

    @property
    def addresses(self) -> tuple[str, ...]:
        """What is fetched on its account."""
        named = (self.issuer, self.jwks_url, self.token_url, self.introspection_url)
        return tuple(address for address in named if address is not None)
