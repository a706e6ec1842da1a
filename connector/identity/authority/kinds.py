"""The types of credential that an issuer gives, and what it says of a member with each.

What lives here: `CredentialType`, `claims_of` (what a credential of the type would say of a member), `metadata`, `offered`. Pure.
What does not: writing the credential (`issuing.py`), and where types are configured (settings).
Source: DCP 1.0, sections 6.5 (offer), 6.6 (CredentialObject), 6.7 (issuer metadata).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from connector import strict
from connector.errors import CallerError, Conflict
from connector.identity.credentials import SchemaCheck
from connector.identity.did import DCP_CONTEXT
from connector.identity.formats import Model

PROFILES: Final[Mapping[Model, str]] = {Model.V1: "vc11-sl2021/jwt", Model.V2: "vc20-bssl/jwt"}
REVOCATION: Final = "revocation"
SUSPENSION: Final = "suspension"
PURPOSES: Final = (REVOCATION, SUSPENSION)


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialType:
    """One type of credential that is issued here."""

    type: str
    """As it stands in the credential beside `VerifiableCredential`."""
    id: str
    """What holders ask for it by."""
    model: Model = Model.V1
    format: str = ""
    """The name written with each credential that is delivered; empty for the profile's own."""
    life: timedelta = timedelta(days=90)
    attributes: tuple[str, ...] = ()
    """Which attributes of the registry become claims; all of them when empty."""
    fixed: Mapping[str, Any] = field(default_factory=dict)
    """Claims that are the same for every member; an attribute of the same name does not replace them."""
    schema_url: str = ""
    """Where the JSON Schema of the claims is published."""
    check: SchemaCheck | None = field(default=None, compare=False)
    purposes: tuple[str, ...] = (REVOCATION, SUSPENSION)
    """The status lists that each credential stands on."""

    @property
    def profile(self) -> str:
        """The DCP profile of the credentials (appendix A)."""
        return PROFILES[self.model]

    @property
    def written_format(self) -> str:
        """The `format` of a delivered credential."""
        return self.format or self.profile


def claims_of(kind: CredentialType, attributes: Mapping[str, Any]) -> dict[str, Any]:
    """What a credential of `kind` says of a member with `attributes`.

    Raises: Conflict when the claims do not fit the type's schema, or there are none: connectors of the Eclipse family refuse a
    credential whose subject is nothing but an id.
    """
    chosen = attributes if not kind.attributes else {name: attributes[name] for name in kind.attributes if name in attributes}
    missing = [name for name in kind.attributes if name not in attributes]
    if missing:
        names = ", ".join(f"`{name}`" for name in missing)
        raise Conflict(f"a `{kind.type}` needs {names}, which the registry does not know of this member", mend="give it")
    claims = {**{name: value for name, value in chosen.items() if name != "id"}, **kind.fixed}
    if not claims:
        raise Conflict(f"a `{kind.type}` would say nothing of this member", mend="give the type a fixed claim")
    found = kind.check(claims) if kind.check is not None else None
    if found is not None:
        raise Conflict(f"what a `{kind.type}` would say does not fit its schema: {found}", mend="correct the member's data")
    return claims


def metadata(issuer: str, kinds: Iterable[CredentialType]) -> dict[str, Any]:
    """The IssuerMetadata of `issuer` (DCP 1.0, section 6.7)."""
    return {
        "@context": [DCP_CONTEXT],
        "type": "IssuerMetadata",
        "issuer": issuer,
        "credentialsSupported": [offered(kind) for kind in kinds],
    }


def offered(kind: CredentialType, reason: str = "reissue") -> dict[str, Any]:
    """The CredentialObject of `kind`, in metadata and offers.

    Whoever asks needs to show nothing: the register says who may. Its policy says so, because all properties must be there.
    """
    return {
        "id": kind.id,
        "type": "CredentialObject",
        "credentialType": kind.type,
        "credentialSchema": kind.schema_url,
        "offerReason": reason,
        "bindingMethods": ["did:web"],
        "profile": kind.profile,
        "issuancePolicy": {"id": f"{kind.id}:policy", "input_descriptors": []},
    }


def chosen(kinds: Iterable[CredentialType], ids: Iterable[str]) -> tuple[CredentialType, ...]:
    """The types that `ids` name, each once.

    Raises: CallerError for an id that is not in the metadata.
    """
    known = {kind.id: kind for kind in kinds}
    found: dict[str, CredentialType] = {}
    for id_ in ids:
        if id_ not in known:
            raise CallerError(
                f"no credential {strict.shown(id_)} is issued here", where="credentials", mend="name ids of the metadata"
            )
        found[id_] = known[id_]
    return tuple(found.values())
