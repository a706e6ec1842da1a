"""How participants prove themselves and others by credentials: keys, whom they believe, what they ask for.

What lives here: `Identity` (of the node: how keys are kept) and `Membership` (of one participant, or of all that have none of
their own). A participant takes part when its id is a `did:` identifier; there is no switch. Peers known by a text alone stay in
`participant.py`.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from connector.settings.fields import File, ParticipantId, Secret, Section, untouched

MEMBER = "org.eclipse.dspace.dcp.vc.type:MembershipCredential"
"""What is asked for and shown where nothing else is said."""


class TrustedIssuer(Section):
    """An issuer of credentials that is believed."""

    id: ParticipantId = Field(description="Its DID.")
    types: tuple[str, ...] = Field(
        ("MembershipCredential",), min_length=1, description="Types of credential that it is believed for; `*` is every type."
    )
    unsafe_unsigned_lists: bool = Field(
        False, description="Take its status lists without a signature; only for issuers that publish no other."
    )


class WalletClient(Section):
    """A program that may have tokens made in the participant's name, at `/PARTICIPANT/sts/token`."""

    id: str = Field(min_length=1, max_length=512, description="Its `client_id`.")
    sha256: str = Field(pattern="^[0-9a-f]{64}$", description="SHA-256 of its `client_secret`, hexadecimal.")
    scopes: tuple[str, ...] = Field((), description="The scopes that it may grant; empty: those of `grants`.")


class RemoteWallet(Section):
    """A wallet that somebody else runs for a participant, such as an IdentityHub: its tokens come from there."""

    token_url: str = Field(
        pattern=r"^https?://[^\s/?#@]+(/[^\s?#]*)?$",
        description="Address of its token service, such as `https://wallet.example.org/api/sts/token`.",
    )
    client_id: str = Field(min_length=1, max_length=512, description="What we are called there; often the participant's DID.")
    client_secret: Secret = Field(repr=False, description="The secret that we were given there.")


class Membership(Section):
    """The part that a participant takes in a data space with wallets."""

    trusted_issuers: tuple[TrustedIssuer, ...] = Field(
        (), description="Whose credentials count, for which types; nobody is believed by default."
    )
    scopes: tuple[str, ...] = Field(
        (MEMBER,), min_length=1, description="What every sender must hold, as the space spells it; with `:read` where it does."
    )
    message_scopes: dict[Literal["catalog", "negotiation", "transfer"], tuple[str, ...]] = Field(
        default_factory=dict, description="What the sender of a kind of message must hold, instead of `scopes`."
    )
    grants: tuple[str, ...] = Field(
        (), description="What every receiver of our messages may ask for; empty: all of `scopes` and `message_scopes`."
    )
    aliases: dict[str, Literal["type", "id"]] = Field(
        default_factory=dict, description="Further aliases of scopes, beside those of DCP, EDC and Tractus-X."
    )
    profiles: tuple[Literal["vc11-sl2021/jwt", "vc20-bssl/jwt"], ...] = Field(
        ("vc11-sl2021/jwt", "vc20-bssl/jwt"),
        min_length=1,
        description="Formats of credentials that are shown, the preferred one first; only the first to connectors of EDC 0.15.",
    )
    beyond_grant: Literal["less", "refuse"] = Field(
        "less",
        description="Who asks for more than it was granted gets `less` (DCP 1.0.1), or is refused with 403 (`refuse`: DCP 1.0, EDC).",
    )
    must_declare: bool = Field(
        False, description="Refuse DID documents that declare no verification relationship; for spaces where all wallets do."
    )
    spaces: tuple[str, ...] = Field(
        (), description="Spaces that it takes part in besides those it has joined, by the ids of `identity.trust_frameworks`."
    )
    remote: RemoteWallet | None = Field(
        None, description="The wallet of the participant, where it is not this node's: no keys and credentials are kept here."
    )
    clients: tuple[WalletClient, ...] = Field((), description="Programs that may use the participant's token service.")

    @field_validator("scopes", "grants")
    @classmethod
    def _no_blanks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for one in value:
            if ":" not in one or one != "".join(one.split()):
                raise ValueError(f"`{one}` is no scope; write `alias:discriminator`, such as `{MEMBER}`")
        return value

    @field_validator("message_scopes")
    @classmethod
    def _some_each(cls, value: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        for kind, scopes in value.items():
            if not cls._no_blanks(scopes):
                raise ValueError(f"`{kind}` asks for nothing; leave it out to ask for `scopes`")
        return value

    @property
    def granted(self) -> tuple[str, ...]:
        """What every receiver of our messages may ask for."""
        asked = (*self.scopes, *(one for scopes in self.message_scopes.values() for one in scopes))
        return self.grants or tuple(dict.fromkeys(asked))


class Vault(Section):
    """Private keys in a Vault (KV version 2) instead of the node's store; needs the extra `vault`."""

    url: str = Field(description="Address of the Vault, such as `https://vault.example.org:8200`.")
    token: Secret = Field(repr=False, description="Token that may read and write below `mount`/`path`.")
    mount: str = Field("secret", description="Mount point of the KV engine.")
    path: str = Field("kontor", description="Folder below the mount point.")
    timeout_s: float = Field(5, gt=0, description="Longest wait for an answer.")


class Identity(Section):
    """How the node keeps keys, and what holds for all participants that say nothing else."""

    passphrase: Secret | None = Field(
        None, min_length=16, repr=False, description="Encrypts private keys at rest; without it `secrets_key` does."
    )
    vault: Vault | None = Field(None, description="Keep private keys in a Vault.")
    keep_presentations_s: float = Field(
        300, ge=0, le=3600, description="How long what a peer has shown counts without asking again; its end ends it earlier."
    )
    keep_status_lists_s: float = Field(
        60, ge=0, le=3600, description="How long a status list is kept: as long a withdrawn credential may still pass."
    )
    renew_before_s: float = Field(
        7 * 86_400, ge=0, description="How long before its end a credential is asked for anew, at most a quarter of its life."
    )
    trust_frameworks: tuple[File, ...] = Field(
        (), description="Files that say whose credentials count in a space, such as those in `policies/trust`."
    )
    schemas: dict[str, File] = Field(
        default_factory=dict,
        description="JSON Schemas by the address that credentials name them by; none is ever fetched, and a credential with another is"
        " refused. Needs the extra `schemas`.",
    )
    membership: Membership = untouched(
        "For participants without a table `identity` of their own, and those added while it runs."
    )
