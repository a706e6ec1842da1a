"""Statements that are signed: made for what we say of ourselves, and proven where others carry them.

What lives here: the seam between those who publish or gather descriptions and the wallets that sign and the resolver that knows keys.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Attested:
    """A credential whose signature, dates and status were proven."""

    issuer: str
    subject: str
    types: tuple[str, ...]
    claims: Mapping[str, Any]
    """What is said of the subject, without its id."""
    valid_until: datetime | None


class Attester(Protocol):
    """Signs for participants of this node."""

    async def attest(self, participant: str, type_: str, claims: Mapping[str, Any], until: datetime) -> str | None:
        """A credential of the participant's own about itself; None for one without a wallet here.

        Raises: ConfigurationError when its keys do not open.
        """
        ...

    async def held(self, participant: str) -> Sequence[tuple[tuple[str, ...], str]]:
        """The credentials that others issued to the participant: types, and the token."""
        ...


class Prover(Protocol):
    """Proves what others have signed."""

    async def credential(self, raw: str, *, subject: str) -> Attested:
        """The credential in a token, when it is about `subject` and holds now.

        Raises: Unproven when it does not; KontorError of another kind when that cannot be judged now.
        """
        ...

    async def signer(self, tree: Mapping[str, Any], allowed: Collection[str]) -> str:
        """Which of `allowed`, DIDs, has made the member `proof` of a document. Of anybody else no key is asked for: documents come from
        strangers, and would have us call whomever they name.

        Raises: Unproven when it proves nothing, with the check `kind` when it is of a kind that is not known here, and `signer` when it is
        somebody else's; KontorError of another kind when that cannot be judged now.
        """
        ...

    async def services(self, did: str) -> tuple[str, ...]:
        """Base addresses where the DID document of `did` says that it speaks the protocol: of somebody whose document was needed to prove
        something, so that it is at hand.

        Raises: Unproven; KontorError of another kind when it cannot be had now.
        """
        ...
