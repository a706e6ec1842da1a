"""The ports `Attester` and `Prover` over wallets, keys and DID documents.

What lives here: signing what a participant says of itself, and proving credentials and signed documents that others carry. What does
not: the form of either (`authority/issuing.py`, `formats.py`, `proofs.py`), and who is believed: whoever reads what is proven here is
told who attests it, and judges by that.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol
from uuid import uuid4

from connector.dsp.places import SERVICES, base_of
from connector.errors import Overloaded, Unproven
from connector.identity import credentials, formats, proofs
from connector.identity.authority import issuing
from connector.identity.authority.kinds import CredentialType
from connector.identity.evidence import EvidenceSource
from connector.identity.formats import Model
from connector.identity.held import Held
from connector.identity.keys import Keys, Purpose
from connector.identity.resolver import Resolver
from connector.identity.scopes import By, Scope
from connector.identity.wallets import Wallets
from connector.ports.attesting import Attested
from connector.ports.clock import Clock

_LOOK_AGAIN: Final = ("key-id", "signature", "relationship")
"""Checks that a newer DID document may change."""


class Parts(Protocol):
    """What of the wallets is needed here."""

    @property
    def keys(self) -> Keys: ...
    @property
    def held(self) -> Held: ...
    @property
    def wallets(self) -> Wallets: ...
    @property
    def resolver(self) -> Resolver: ...
    @property
    def evidence(self) -> EvidenceSource: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Attesting:
    """Signs for our participants, and proves what others have signed."""

    parts: Parts
    clock: Clock

    async def attest(self, participant: str, type_: str, claims: Mapping[str, Any], until: datetime) -> str | None:
        """A credential of the participant's own about itself; None for one without a wallet here."""
        parts = self.parts
        wallet = await parts.wallets.wallet(participant)
        if wallet is None:
            return None
        await parts.keys.ensure(participant, wallet.did, (Purpose.CREDENTIAL,))
        now = self.clock.now()
        return issuing.credential(
            CredentialType(type=type_, id=type_, model=Model.V2, life=until - now),
            claims,
            key=await parts.keys.signing(participant, Purpose.CREDENTIAL),
            issuer=wallet.did,
            subject=wallet.did,
            entries=(),
            id_=f"urn:uuid:{uuid4()}",
            now=now,
        )

    async def held(self, participant: str) -> Sequence[tuple[tuple[str, ...], str]]:
        """The credentials that others issued to the participant: types, and the token."""
        held = await self.parts.held.all(participant)
        return tuple((one.types, one.token.raw) for one in held.values() if one.token is not None)

    async def credential(self, raw: str, *, subject: str) -> Attested:
        """The credential in a token, when it is about `subject` and holds now. Raises: Unproven, Overloaded."""
        credential, now = formats.read_credential(raw), self.clock.now()
        trust = credentials.Trust(issuers={credential.issuer: frozenset({"*"})})
        scope = Scope(by=By.TYPE, value=next(iter(credential.types), ""), text="what is carried")
        asked = credentials.Asked(verifier="", holder=subject, scopes=(scope,))
        opened = credentials.reopen((credential,), asked=asked, trust=trust, now=now)
        evidence = self.parts.evidence
        found = credentials.prove(opened, await evidence.gather(opened))
        if isinstance(found, credentials.Failure) and found.check in _LOOK_AGAIN:
            found = credentials.prove(opened, await evidence.gather(opened, anew=True))
        if isinstance(found, credentials.Failure):
            iat = credential.token.claims.get("iat") if credential.token is not None else None
            if found.is_passing or self._is_younger(credential.issuer, found.check, iat):
                raise Overloaded(f"it cannot be proven now: {found.words}", mend="it is tried again")
            raise Unproven(found.words, check=found.check)
        return Attested(
            issuer=credential.issuer,
            subject=subject,
            types=credential.types,
            claims=credential.claims,
            valid_until=found.valid_until,
        )

    async def signer(self, tree: Mapping[str, Any], allowed: Collection[str]) -> str:
        """Which of `allowed` has made the member `proof` of a document. Raises: Unproven; as `Resolver.resolve`."""
        did = proofs.method_of(tree).partition("#")[0]
        if did not in allowed:
            raise Unproven(f"signed by `{did[:200]}`", check="signer")
        resolver, now = self.parts.resolver, self.clock.now()
        try:
            proofs.prove(tree, await resolver.resolve(did), now)
        except Unproven as fault:
            if fault.check not in _LOOK_AGAIN:
                raise
            try:
                proofs.prove(tree, await resolver.resolve(did, anew=True), now)
            except Unproven as again:
                if self._is_younger(did, again.check, proofs.created(tree)):
                    raise Overloaded(f"it cannot be proven now: {again.words}", mend="it is tried again") from again
                raise
        return did

    async def services(self, did: str) -> tuple[str, ...]:
        """Base addresses where the DID document of `did` says that it speaks the protocol. Raises: as `Resolver.resolve`."""
        document = await self.parts.resolver.resolve(did)
        return tuple(base_of(one.endpoint) for one in document.services if set(one.types) & set(SERVICES))

    def _is_younger(self, did: str, check: str, made_at: object) -> bool:
        """Whether something was signed after the document that we keep was fetched: its key may be in the next one.

        Documents are not fetched as often as somebody likes; whoever is truly the signer loses a moment by that.
        """
        return check in _LOOK_AGAIN and isinstance(made_at, int | float) and made_at >= self.parts.resolver.fetched(did) - 1
