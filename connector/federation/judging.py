"""Whether what a member describes may stand in the ledger: the rules of descriptions, and the signature that it carries.

What lives here: `judged` (the rules, for data products), `Judge` (proofs of data products), `Round`. What does not: bounds of size
(`reading.py`), the rules themselves (`vocab/checks`), what participants say of themselves (`origins.py`), keys and credentials
(`ports/attesting.py`).

What breaks a rule is left out and told; what is only unusual is taken and told. A description without a signature is taken for what it
is. One whose signature does not prove it is left out: somebody has changed it, or claims to be somebody else. When that cannot be
judged now, because the signer's key cannot be had, it is shown as such and judged again later (`rejudging.py`).
Source: issue 7, "Bad input"; Verifiable Credential Data Integrity 1.0.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from connector.describe import check, plain
from connector.dsp.places import covers
from connector.errors import BadMessage, KontorError, Overloaded, Unproven
from connector.federation.reading import Tree, endpoints, publisher_id, several
from connector.ports.attesting import Prover
from connector.ports.catalog import UNJUDGED, Entry

_PATIENCE_S: Final = 10.0


def judged(tree: dict[str, Any]) -> tuple[str, ...]:
    """What is unusual in the description of a data product that may stand in the ledger.

    Raises: BadMessage when it breaks a rule, with all that it breaks.
    """
    id_ = str(tree.get("@id"))[:100]
    return told(check.faults(plain.Description(tree, "Dataset"), is_wide=True), f"`{id_}`")


def told(faults: tuple[check.Fault, ...], whose: str) -> tuple[str, ...]:
    """What is only unusual among `faults`.

    Raises: BadMessage when there is worse.
    """
    errors = [one for one in faults if one.is_error]
    if errors:
        first = errors[0]
        more = "".join(f"; {one.message}" for one in errors[1:4])
        raise BadMessage(f"{whose} breaks the rule `{first.rule}`: {first.message}{more}", where=first.word, mend=first.mend)
    return tuple(f"{whose}: {one.message}; {one.mend}" for one in faults)


def is_unjudged(signed: str) -> bool:
    """Whether a signature is still to be judged."""
    return signed.startswith(UNJUDGED)


@dataclass(slots=True)
class Round:
    """One look, or one try to judge again: nobody's key is waited for twice, and all that cannot be had together not for long.

    Without that a feed of five hundred signers whose machines hang would outlast every look at it.
    """

    patience_s: float = _PATIENCE_S
    """Longest time that keys which cannot be had may take together."""
    known: set[str] = field(default_factory=set)
    """Whose keys were at hand."""
    away: dict[str, str] = field(default_factory=dict)
    """Whose keys were not, and why."""
    lost_s: float = 0.0

    def vet(self, signer: str) -> None:
        """Nothing, when the key of `signer` may be asked for.

        Raises: Overloaded.
        """
        if signer in self.away:
            raise Overloaded(self.away[signer])
        if signer not in self.known and self.lost_s > self.patience_s:
            raise Overloaded("too many keys could not be had before its turn came")


class Judge:
    """Proves what members carry."""

    def __init__(self, prover: Prover | None) -> None:
        """Without a prover nothing can be proven, and everything that is signed is shown as not judged."""
        self.prover = prover

    async def proven(self, entry: Entry, tree: Tree, round_: Round) -> tuple[Entry, str]:
        """The entry with whose signature its description has, and what is to be told of it.

        Raises: BadMessage when it carries one that does not prove it.
        """
        if "proof" not in tree:
            return entry, ""
        id_, allowed = entry.id[:100], (entry.origin, publisher_id(tree))
        named = _named(tree) or entry.origin
        began = asyncio.get_running_loop().time()
        try:
            round_.vet(named)
            if self.prover is None:
                raise Overloaded("nothing can be proven here")
            signer = await self.prover.signer(tree, allowed)
        except Unproven as fault:
            if fault.check == "kind":
                return entry, f"`{id_}` is shown as not signed: {fault.words}"
            if fault.check == "signer":
                raise BadMessage(
                    f"`{id_}` is {fault.words}, who is neither its provider nor its publisher",
                    where="proof",
                    mend="let one of them sign it",
                ) from fault
            raise BadMessage(
                f"the signature of `{id_}` proves nothing: {fault.words}",
                where="proof",
                mend="sign it anew, after each change",
            ) from fault
        except KontorError as fault:
            round_.away.setdefault(named, str(fault))
            round_.lost_s += asyncio.get_running_loop().time() - began
            waits = replace(entry, as_proven=tuple(_digest(entry, one) for one in allowed if one))
            return _signed(waits, f"{UNJUDGED}{named}"), f"the signature of `{id_}` could not be judged: {fault}"
        round_.known.add(named)
        if entry.via and signer == entry.origin:
            entry = replace(entry, names_endpoint=covers([*endpoints(tree), *await self.services(signer)], entry.endpoint))
        return _signed(entry, signer), ""

    async def services(self, did: str) -> tuple[str, ...]:
        """Where somebody whose key was at hand says in its DID document that it answers; nothing when that cannot be told now."""
        try:
            return await self.prover.services(did) if self.prover is not None else ()
        except KontorError:
            return ()


def _digest(entry: Entry, signer: str) -> str:
    return hashlib.sha256(f"{entry.digest} {signer}".encode()).hexdigest()


def _signed(entry: Entry, signer: str) -> Entry:
    return replace(entry, signed=signer, digest=_digest(entry, signer))


def _named(tree: Tree) -> str:
    """The DID that a signature names as its maker; empty when it names none."""
    for proof in several(tree.get("proof")):
        if isinstance(proof, Mapping) and isinstance(proof.get("verificationMethod"), str):
            return str(proof["verificationMethod"]).partition("#")[0][:500]
    return ""
