"""What participants say of themselves: judged, kept as an entry of the record, and passed on so that the next ledger can judge it too.

What lives here: `entry_of`, which makes the entry `ITSELF` of an origin out of what a catalogue or a feed carries; `Said`, how it is read;
and its form in a feed. What does not: the rules of descriptions (`vocab/checks`), and data products (`judging.py`).

The entry keeps what was said as it came, a token or a tree, beside what it means: a signature of the origin can be proven at every ledger
on the way, and no ledger has to be believed for it. What is signed and proves nothing is not shown, and why is shown instead. What
cannot be judged now is not shown either before it is.
Source: issue 7, sections 1 and 2; Verifiable Credentials Data Model 2.0.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import orjson

from connector.describe import check, participant, plain
from connector.errors import BadMessage, KontorError, Overloaded, Unproven
from connector.federation.judging import Round, told
from connector.federation.reading import MAX_ADDRESS, Tree, by_name, kept, named, several, texts
from connector.ports.attesting import Attested, Prover
from connector.ports.catalog import ITSELF, UNJUDGED, Entry

_DATA: Final = "data:application/vc+jwt,"
_MOST_BYTES: Final = 128 << 10
_MOST_ATTESTATIONS: Final = 20
_MOST_PLACES: Final = 50
_VERIFIED, _UNSIGNED, _REFUSED, _WAITS = "verified", "unsigned", "refused", "waits"


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a participant says of itself, judged."""

    state: str
    """`verified`, by its own signature; `unsigned`; `unjudged`; `refused`: not shown, for `reason`."""
    reason: str
    """Why it is not verified; empty when it is."""
    description: Tree | None
    """None when it is not shown."""
    attestations: tuple[Tree, ...]
    """What others attest, each proven: `types`, `issuer`, `validUntil`, `claims`."""
    carried: Tree
    """What the next ledger is told: `selfDescription` and `attestations` as they came; empty when there is nothing to be told."""


def read(entry: Entry, now: datetime | None = None) -> Said:
    """What the entry `ITSELF` of an origin says; at a time, without what held only until before then: it was judged once, and stays as it
    is for as long as nobody says anything else."""
    tree = kept(entry)
    state, reason = tree["state"], tree["reason"]
    # what an earlier release has kept does not say how long it holds
    if now is not None and not _holds(tree.get("until"), now):
        state, reason = _REFUSED, f"what it says of itself held until {tree['until'][:16]}"
    is_shown = state != _REFUSED
    return Said(
        state="unjudged" if state == _WAITS else state,
        reason=reason,
        description=tree["description"] if is_shown else None,
        attestations=tuple(one for one in tree["attestations"] if is_shown and (now is None or _holds(one["validUntil"], now))),
        carried=tree["carried"] if is_shown else {},
    )


def _holds(until: str | None, now: datetime) -> bool:
    return until is None or now < datetime.fromisoformat(until)


def name_of(entry: Entry) -> str:
    """The name that an origin has by its own word, in English where there is one; empty when it says none."""
    names = dict(reversed(texts(kept(entry)["description"] or {}, "name")))
    return names.get("en") or next(iter(names.values()), "")


def places_of(entry: Entry, now: datetime) -> tuple[str, ...]:
    """Where an origin has signed that its services answer."""
    said = read(entry, now)
    return tuple(_addresses(said.description or {})) if said.state == _VERIFIED else ()


def _addresses(tree: Tree) -> Iterator[str]:
    for service in services(tree):
        yield from named(by_name(service).get("url"))


def services(tree: Tree) -> Iterator[Tree]:
    """The services that a participant describes."""
    for one in several(tree.get(participant.SERVICE)):
        if isinstance(one, Mapping):
            yield one


def carried_by(catalog: Tree) -> Tree:
    """What a catalogue carries about the participant that it speaks for, as `entry_of` takes it; empty for nothing."""
    said = next(iter(several(catalog.get(participant.PROPERTY))), None)
    if not isinstance(said, Mapping):
        return {}
    return {"selfDescription": said, "attestations": several(catalog.get(participant.ATTESTATION))}


async def entry_of(
    carried: Tree,
    origin: str,
    prover: Prover | None,
    round_: Round,
    *,
    via: tuple[str, ...] = (),
    origin_seen_at: datetime | None = None,
) -> tuple[Entry, tuple[str, ...], str]:
    """The entry `ITSELF` of `origin`, what is unusual in it, and why it is not shown, when that is so.

    Raises: BadMessage for what may not even be kept.
    """
    said, attestations = carried.get("selfDescription"), several(carried.get("attestations"))[:_MOST_ATTESTATIONS]
    if not isinstance(said, Mapping):
        raise BadMessage("it is no object", where="selfDescription")
    tokens = [one for one in attestations if _token(one) is not None]
    came = {"selfDescription": said, "attestations": tokens}
    if len(orjson.dumps(came)) > _MOST_BYTES:
        raise BadMessage("what it says of itself is too long", where="selfDescription", mend=f"say it in {_MOST_BYTES} bytes")
    work = _Judging(origin, prover, round_)
    tree = await work.description(said)
    proven = [one async for one in work.attestations(tokens)] if tree is not None else []
    body = {
        "state": work.state,
        "reason": work.reason,
        "carried": came,
        "description": tree,
        "attestations": proven,
        "until": work.until.isoformat() if work.until else None,
    }
    states = (work.state, *work.states)
    waits = _WAITS in states
    entry = Entry(
        origin=origin,
        id=ITSELF,
        endpoint="",
        tree=orjson.dumps(body),
        digest=_digest(came, via, states),
        via=via,
        origin_seen_at=origin_seen_at,
        signed=f"{UNJUDGED}{origin}" if waits else origin if work.state == _VERIFIED else "",
        as_proven=(_digest(came, via, (_VERIFIED,) * (1 + len(tokens))),) if waits else (),
        places=await work.places(tree) if tree is not None and work.state == _VERIFIED else (),
    )
    return entry, tuple(work.notes), work.reason if work.state == _REFUSED else ""


def _digest(came: Tree, via: tuple[str, ...], states: tuple[str, ...]) -> str:
    # what is shown follows from what was said and from how each part of it stands
    return hashlib.sha256(orjson.dumps([came, via, states])).hexdigest()


class _Judging:
    """One description under way."""

    def __init__(self, origin: str, prover: Prover | None, round_: Round) -> None:
        self._origin = origin
        self._prover = prover
        self._round = round_
        self.state = _UNSIGNED
        self.reason = ""
        self.until: datetime | None = None
        """How long the signed description holds; None without an end."""
        self.states: list[str] = []
        """How each attestation stands."""
        self.notes: list[str] = []

    async def description(self, said: Tree) -> dict[str, Any] | None:
        """The description, when it may be shown."""
        raw = _token(said)
        try:
            tree = dict(said) if raw is None else await self._self_issued(raw)
            if tree.get("@id") != self._origin:
                raise BadMessage(f"it describes `{str(tree.get('@id'))[:200]}` as itself", where="selfDescription")
            found = check.faults(plain.Description(tree, participant.ORGANISATION), participant.PROFILE, is_wide=True)
            self.notes += told(found, "itself")
        except BadMessage as fault:
            self.state, self.reason = _REFUSED, str(fault)
            return None
        except KontorError as fault:
            self.state, self.reason = _WAITS, f"what it says of itself cannot be judged now: {fault}"
            self.notes.append(self.reason)
            return None
        if raw is not None:
            self.state = _VERIFIED
        else:
            self.reason = "it is not signed"
        return tree

    async def _self_issued(self, raw: str) -> dict[str, Any]:
        """What the credential in `raw` says, which the origin has signed."""
        try:
            found = await self._proven(raw)
        except Unproven as fault:
            raise BadMessage(
                f"the signature of what it says of itself proves nothing: {fault.words}",
                where="selfDescription",
                mend="publish it again with `kontor describe participant --publish`",
            ) from fault
        if found.issuer != self._origin or participant.CREDENTIAL_TYPE not in found.types:
            raise BadMessage("what it says of itself is signed by somebody else", where="selfDescription")
        claims, self.until = dict(found.claims), found.valid_until
        return {"@id": self._origin, "@type": claims.pop("type", participant.ORGANISATION), **claims}

    async def places(self, tree: Tree) -> tuple[str, ...]:
        """Where the origin has signed that it answers, and where its DID document, which that was proven by, says so."""
        said = list(_addresses(tree))
        try:
            said += await self._prover.services(self._origin) if self._prover is not None else ()
        except KontorError:
            self.notes.append("where its DID document says that it answers cannot be told now")
        return tuple(dict.fromkeys(one for one in said if len(one) <= MAX_ADDRESS))[:_MOST_PLACES]

    async def attestations(self, carried: list[Any]) -> AsyncIterator[dict[str, Any]]:
        for one in carried:
            try:
                found = await self._proven(_token(one) or "")
            except Unproven as fault:
                self.states.append(_REFUSED)
                self.notes.append(f"an attestation is left out: {fault.words}")
                continue
            except KontorError as fault:
                self.states.append(_WAITS)
                self.notes.append(f"an attestation cannot be judged now: {fault}")
                continue
            self.states.append(_VERIFIED)
            yield {
                "types": found.types,
                "issuer": found.issuer,
                "validUntil": found.valid_until.isoformat() if found.valid_until else None,
                "claims": dict(found.claims),
            }

    async def _proven(self, raw: str) -> Attested:
        """The credential in a token. Raises: Unproven; KontorError of another kind when that cannot be judged now."""
        began = asyncio.get_running_loop().time()
        self._round.vet(self._origin)
        try:
            if self._prover is None:
                raise Overloaded("nothing can be proven here")
            return await self._prover.credential(raw, subject=self._origin)
        except Unproven:
            raise
        except KontorError:
            self._round.lost_s += asyncio.get_running_loop().time() - began
            raise


def _token(value: Any) -> str | None:
    """The credential that a node envelops."""
    id_ = value.get("@id") if isinstance(value, Mapping) else None
    return id_.removeprefix(_DATA) if isinstance(id_, str) and id_.startswith(_DATA) else None
