"""What an authority is: its DID, its addresses, its space, and what it issues. One value that all its parts share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from connector import jose
from connector.identity import did as dids
from connector.identity.authority.kinds import CredentialType
from connector.identity.authority.records import AUTHORITY
from connector.identity.did import Relationship
from connector.identity.keys import Purpose
from connector.identity.trustlists import ListedIssuer

KEY_PURPOSES: Final = (Purpose.TOKEN, Purpose.CREDENTIAL, Purpose.STATUS_LIST, Purpose.TRUST_LIST)


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """A data space, as its authority knows it."""

    id: str
    """The space's own id, a URI."""
    title: str
    public_url: str
    """Of the node."""
    kinds: tuple[CredentialType, ...]
    """What is issued; the first is membership."""
    issuers: tuple[ListedIssuer, ...] = ()
    """Whom the space believes besides its own authority."""
    is_automatic: bool = False
    """Whether whoever shows that it controls its DID is taken in at once."""

    @property
    def address(self) -> str:
        """The base of all the authority's addresses."""
        return f"{self.public_url}/{AUTHORITY}"

    @property
    def did(self) -> str:
        """The authority's DID."""
        return dids.did_of(self.address)

    @property
    def issuer_address(self) -> str:
        """The base of the issuer service."""
        return f"{self.address}/issuer"

    def kind(self, type_: str) -> CredentialType | None:
        """The type of credential that is called so."""
        return next((one for one in self.kinds if one.type == type_), None)

    def document(self, keys: Iterable[tuple[str, jose.PublicKey, Iterable[Relationship]]]) -> dict[str, Any]:
        """The authority's DID document."""
        return dids.write(self.did, keys, {"IssuerService": self.issuer_address})

    def about(self) -> dict[str, Any]:
        """What somebody who wants to join must know: the answer at the authority's address."""
        return {
            "authority": self.did,
            "space": self.id,
            "title": self.title,
            "applications": f"{self.address}/applications",
            "issuer": self.issuer_address,
            "participants": f"{self.address}/participants",
            "issuers": f"{self.address}/issuers",
            "credentials": [{"id": one.id, "type": one.type, "profile": one.profile} for one in self.kinds],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What an authority says of itself, as somebody who wants to join reads it."""

    authority: str
    space: str
    title: str
    applications: str
    participants: str
    issuers: str
    types: tuple[str, ...]


def read_about(tree: Mapping[str, Any]) -> About | None:
    """The answer at an authority's address; None when it is none."""
    texts = {name: tree.get(name) for name in ("authority", "space", "title", "applications", "participants", "issuers")}
    credentials = tree.get("credentials")
    if not all(isinstance(one, str) for one in texts.values()) or not isinstance(credentials, list):
        return None
    types = tuple(str(one["type"]) for one in credentials if isinstance(one, dict) and isinstance(one.get("type"), str))
    return About(types=types, **{name: str(one) for name, one in texts.items()})
