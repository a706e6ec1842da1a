"""Whether what a member describes may stand in the ledger: the rules of descriptions, and the signature that it carries.

What lives here: `judged` (the rules, for data products), `Judge` (proofs, and what members say of themselves). What does not: bounds of
size (`reading.py`), the rules themselves (`vocab/checks`), keys and credentials (`ports/attesting.py`).

What breaks a rule is left out and told; what is only unusual is taken and told. A description without a signature is taken for what it
is. One whose signature does not prove it is left out: somebody has changed it, or claims to be somebody else. When that cannot be
judged now, because the signer's key cannot be had, it is shown as such and judged again at the next look.
Source: issue 7, "Bad input"; Verifiable Credential Data Integrity 1.0; Verifiable Credentials Data Model 2.0.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import orjson

from connector.describe import check, participant, plain
from connector.errors import BadMessage, KontorError, Overloaded, Unproven
from connector.federation.reading import Tree, publisher_id, several
from connector.ports.attesting import Prover
from connector.ports.catalog import Entry

UNJUDGED: Final = "?"
_DATA: Final = "data:application/vc+jwt,"
_MOST_ABOUT_BYTES: Final = 128 << 10
_MOST_ATTESTATIONS: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What a member says of itself, judged."""

    body: bytes
    """JSON: `description` (a tree), `isSigned` (by the member itself), `attestations` (each with `types`, `issuer`, `validUntil`,
    `claims`)."""
    notes: tuple[str, ...] = ()


def judged(tree: dict[str, Any]) -> tuple[str, ...]:
    """What is unusual in the description of a data product that may stand in the ledger.

    Raises: BadMessage when it breaks a rule, with all that it breaks.
    """
    id_ = str(tree.get("@id"))[:100]
    return _told(check.faults(plain.Description(tree, "Dataset"), is_wide=True), f"`{id_}`")


def _told(faults: tuple[check.Fault, ...], whose: str) -> tuple[str, ...]:
    errors = [one for one in faults if one.is_error]
    if errors:
        first = errors[0]
        more = "".join(f"; {one.message}" for one in errors[1:4])
        raise BadMessage(f"{whose} breaks the rule `{first.rule}`: {first.message}{more}", where=first.word, mend=first.mend)
    return tuple(f"{whose}: {one.message}; {one.mend}" for one in faults)


class Judge:
    """Proves what members carry."""

    def __init__(self, prover: Prover | None) -> None:
        """Without a prover nothing can be proven, and everything that is signed is shown as not judged."""
        self._prover = prover

    # --- data products

    async def proven(self, entry: Entry, tree: Tree) -> tuple[Entry, str]:
        """The entry with whose signature its description has, and what is to be told of it.

        Raises: BadMessage when it carries one that does not prove it.
        """
        if "proof" not in tree:
            return entry, ""
        id_ = entry.id[:100]
        try:
            if self._prover is None:
                return _signed(entry, UNJUDGED), ""
            signer = await self._prover.signer(tree)
        except Unproven as fault:
            if fault.check == "kind":
                return entry, f"`{id_}` is shown as not signed: {fault.words}"
            raise BadMessage(
                f"the signature of `{id_}` proves nothing: {fault.words}",
                where="proof",
                mend="sign it anew, after each change",
            ) from fault
        except KontorError as fault:
            return _signed(entry, UNJUDGED), f"the signature of `{id_}` could not be judged: {fault}"
        if signer not in (entry.origin, publisher_id(tree)):
            raise BadMessage(
                f"`{id_}` is signed by `{signer[:200]}`, who is neither its provider nor its publisher",
                where="proof",
                mend="let one of them sign it",
            )
        return _signed(entry, signer), ""

    # --- participants

    async def about(self, catalog: Tree, member: str) -> About | None:
        """What the catalogue of `member` carries about the member itself; None for nothing.

        Raises: BadMessage when it breaks a rule or is not proven by its own signature; KontorError when that cannot be judged now.
        """
        said = next(iter(several(catalog.get(participant.PROPERTY))), None)
        if not isinstance(said, dict):
            return None
        if len(orjson.dumps(said)) > _MOST_ABOUT_BYTES:
            raise BadMessage("what it says of itself is too long", where="selfDescription", mend="say it shorter")
        notes: list[str] = []
        raw = _token(said)
        tree = said if raw is None else await self._self_issued(raw, member)
        if tree.get("@id") != member:
            raise BadMessage(f"it describes `{str(tree.get('@id'))[:200]}` as itself", where="selfDescription")
        notes += _told(
            check.faults(plain.Description(tree, participant.ORGANISATION), participant.PROFILE, is_wide=True), "itself"
        )
        attestations = [one async for one in self._attestations(catalog, member, notes)]
        body = orjson.dumps({"description": tree, "isSigned": raw is not None, "attestations": attestations})
        return About(body=body, notes=tuple(notes))

    async def _self_issued(self, raw: str, member: str) -> dict[str, Any]:
        """What the credential in `raw` says, which `member` has signed."""
        if self._prover is None:
            raise Overloaded("what it says of itself is signed, and nothing can be proven here")
        try:
            found = await self._prover.credential(raw, subject=member)
        except Unproven as fault:
            raise BadMessage(
                f"the signature of what it says of itself proves nothing: {fault.words}",
                where="selfDescription",
                mend="publish it again with `kontor describe participant --publish`",
            ) from fault
        if found.issuer != member or participant.CREDENTIAL_TYPE not in found.types:
            raise BadMessage("what it says of itself is signed by somebody else", where="selfDescription")
        claims = dict(found.claims)
        return {"@id": member, "@type": claims.pop("type", participant.ORGANISATION), **claims}

    async def _attestations(self, catalog: Tree, member: str, notes: list[str]) -> AsyncIterator[dict[str, Any]]:
        for one in several(catalog.get(participant.ATTESTATION))[:_MOST_ATTESTATIONS]:
            raw = _token(one)
            try:
                if raw is None or self._prover is None:
                    continue
                found = await self._prover.credential(raw, subject=member)
            except Unproven as fault:
                notes.append(f"an attestation is left out: {fault.words}")
                continue
            yield {
                "types": found.types,
                "issuer": found.issuer,
                "validUntil": found.valid_until.isoformat() if found.valid_until else None,
                "claims": dict(found.claims),
            }


def _signed(entry: Entry, signer: str) -> Entry:
    digest = hashlib.sha256(f"{entry.digest} {signer}".encode()).hexdigest()
    return replace(entry, signed=signer, digest=digest)


def _token(value: Any) -> str | None:
    """The credential that a node envelops."""
    id_ = value.get("@id") if isinstance(value, Mapping) else None
    return id_.removeprefix(_DATA) if isinstance(id_, str) and id_.startswith(_DATA) else None


# --- reading what is kept


def services(tree: Tree) -> Iterator[Tree]:
    """The services that a participant describes."""
    for one in several(tree.get(participant.SERVICE)):
        if isinstance(one, Mapping):
            yield one
