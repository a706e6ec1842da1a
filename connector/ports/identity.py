"""Who calls us, and how we prove who we are: the seam behind which static tokens, wallets and OAuth2 stand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, Protocol

STANDING: Final = "standing"
"""The claim that says how a peer stands where the spaces of a participant list it: `ACTIVE`, `SUSPENDED`,
`REVOKED`; `UNKNOWN` when that cannot be told at the moment, `UNPROVEN` when nothing that it has shown holds any longer."""
ACTIVE: Final = "ACTIVE"
UNKNOWN: Final = "UNKNOWN"
UNPROVEN: Final = "UNPROVEN"
GROUNDS: Final = "grounds"
"""The claim that says what let a peer in: which anchors, and which versions of which lists."""


class MessageKind(StrEnum):
    """What a message is about: a space may ask for other proofs with each."""

    CATALOG = "catalog"
    NEGOTIATION = "negotiation"
    TRANSFER = "transfer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """The proven author of a request."""

    id: str
    """Participant id, as it stands in agreements."""
    claims: Mapping[str, Any] = field(default_factory=dict)
    """What is attested about it, by name; values are strings, numbers, booleans or lists of them."""


class Verifier(Protocol):
    """Proves the author of an inbound request."""

    async def verify(self, participant: str, authorization: str | None, kind: MessageKind) -> Caller:
        """The author of a request of `kind` to `participant` that carried `authorization` (the whole header value).

        Raises: Unauthenticated, with nothing about why in `what` that a stranger should not know.
        """
        ...


class TokenSource(Protocol):
    """Proves us to a peer."""

    async def authorization(self, participant: str, peer: str, address: str) -> str | None:
        """The value of the `Authorization` header for a message of `participant` to `peer` at `address`; None for none.

        Raises: ConfigurationError when nothing is configured for that peer and the space demands something.
        """
        ...

    async def claims_of(self, participant: str, peer: str) -> Mapping[str, Any]:
        """What is known of `peer` without a request of it: for decisions that no message of the peer set off.

        It is what the peer has proven before, as far as it still holds now; nothing when it does not, or cannot be looked up.
        """
        ...
