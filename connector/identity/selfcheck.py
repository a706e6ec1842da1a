"""What a participant holds, judged as whoever asks for it would: dates, the issuer's keys, status lists, schemas.

What lives here: `findings`, for the doctor. What does not: showing credentials (`presenting.py`), and renewing them (`renewal.py`).
A wallet shows what its dates allow; only a verifier finds that an issuer has withdrawn a credential, or the key that signed it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final, Literal

from connector.api.doctor import Finding
from connector.identity import credentials
from connector.identity.credentials import Asked, Failure, Trust
from connector.identity.evidence import EvidenceSource
from connector.identity.formats import Credential
from connector.identity.scopes import By, Scope

_SOON: Final = timedelta(days=7)
_MEND: Final = "ask for a new one: `kontor credentials request`, or `kontor join`"
_OURS: Final = "schema"
"""Failed only by what this node's operator has given: others may well accept the credential."""


async def findings(
    did: str, held: Mapping[str, Credential], evidence: EvidenceSource, *, unsigned_lists: frozenset[str], now: datetime
) -> tuple[Finding, ...]:
    """One finding for each credential of `did` in `held`, by the id that it is kept under; lists are looked up anew."""
    if not held:
        return (_found("warning", "none is held: peers that ask for one refuse us", None),)
    evidence.forget_lists()
    return tuple([await _judged(did, id_, one, evidence, unsigned_lists, now) for id_, one in held.items()])


async def _judged(
    did: str, id_: str, one: Credential, evidence: EvidenceSource, unsigned_lists: frozenset[str], now: datetime
) -> Finding:
    name = f"`{', '.join(one.types)}` of {one.issuer}"
    scopes = tuple(Scope(by=By.TYPE, value=type_, text=type_) for type_ in one.types)
    # whom others believe is theirs to say: here its issuer is taken at its word
    trust = Trust(issuers={one.issuer: frozenset(one.types)}, unsigned_lists=unsigned_lists)
    opened = credentials.reopen([one], asked=Asked(verifier=did, holder=did, scopes=scopes), trust=trust, now=now)
    proven = credentials.prove(opened, await evidence.gather(opened, anew=True))
    if isinstance(proven, Failure):
        if proven.is_passing:
            mend = "see that its issuer's host and its status lists can be reached"
            return _found("warning", f"{name} cannot be judged at the moment: {proven.words}", id_, mend)
        if proven.check == _OURS:
            mend = "name the schema's file in `identity.schemas`"
            return _found("warning", f"{name} cannot be judged here: {proven.words}", id_, mend)
        return _found("error", f"{name} is refused by whoever sees it ({proven.check}): {proven.words}", id_)
    if one.valid_until is not None and one.valid_until < now + _SOON:
        return _found("warning", f"{name} ends on {one.valid_until:%Y-%m-%d %H:%M}", id_)
    return _found("ok", f"{name} is good", id_)


def _found(state: Literal["ok", "warning", "error"], what: str, where: str | None, mend: str = _MEND) -> Finding:
    return Finding(check="credentials", state=state, what=what, where=where, mend=None if state == "ok" else mend)
