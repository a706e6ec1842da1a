"""Keys and credentials of a participant: what it proves itself with. Private keys and credentials themselves are never shown."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from connector.api.common import Asked, Id, Shown, Tree

Purpose = Literal["token", "presentation", "credential", "status-list", "access", "oauth2"]
AuthorityPurpose = Literal["token", "credential", "status-list", "trust-list"]


class IdentityKey(Shown):
    """A key of a participant."""

    id: str = Field(description="The full DID URL, as tokens name it.")
    name: str = Field(description="The part after `#`: how commands name it.")
    purpose: Literal[Purpose, AuthorityPurpose]
    state: Literal["CREATED", "ACTIVE", "ROTATED", "REVOKED"] = Field(
        description="`CREATED` is published and signs from `begins` on; `ROTATED` is published and signs no more."
    )
    begins: datetime
    type: str = Field(description="`P-256`, `P-384`, `Ed25519` or `RSA`.")
    jwk: Tree = Field(description="The public key.")


class NewIdentityKey(Asked):
    """A key to make; one that is there for the purpose is replaced when all others have seen the new one."""

    purpose: Purpose = Field(examples=["token"])
    type: Literal["P-256", "P-384", "Ed25519"] = Field(default="P-256", description="P-256 is what every connector reads.")


class NewAuthorityKey(Asked):
    """A key of an authority to make; the one that is there for the purpose stays published until it is revoked."""

    purpose: AuthorityPurpose = Field(examples=["credential"])
    type: Literal["P-256", "P-384", "Ed25519"] = Field(default="P-256", description="P-256 is what every connector reads.")


class RevokedKey(Shown):
    """What the revocation of an authority's key set off."""

    name: str
    offers: int = Field(description="Members that are offered new credentials, because what the key signed counts no more.")


class CredentialRequest(Asked):
    """Credentials to ask an issuer for."""

    issuer: Id = Field(examples=["did:web:authority.example.org"])
    types: list[Id] = Field(min_length=1, max_length=32, examples=[["MembershipCredential"]])
    id: Id | None = Field(default=None, description="Our name for it, `holderPid` on the wire; a random one if left out.")
    profile: str = Field(
        default="", max_length=100, description="Format, such as `vc20-bssl/jwt`; empty for the issuer's first."
    )
    is_standing: bool = Field(default=True, description="Renew before the end, and take in what the issuer sends meanwhile.")


class Requested(Shown):
    """A request for credentials, as it stands."""

    id: str
    issuer: str
    types: list[str]
    profile: str = ""
    is_standing: bool
    state: Literal["REQUESTED", "RECEIVED", "ISSUED", "REJECTED"]
    next_at: datetime | None = Field(default=None, description="When it is tried, looked at or renewed next.")
    tries: int = 0
    error: str = Field(default="", description="Why it does not go on.")


class Credential(Shown):
    """A credential that is held."""

    id: str = Field(description="How commands name it.")
    types: list[str]
    issuer: str
    profile: Literal["vc11-sl2021/jwt", "vc20-bssl/jwt"]
    valid_from: datetime | None = None
    valid_until: datetime | None = None
    is_valid_now: bool = Field(description="By its dates; whether it was withdrawn, its status list says.")
    claims: Tree = Field(description="What it says of the participant.")
