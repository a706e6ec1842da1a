"""The signed lists of a data space: who takes part, and who is believed for what. Written and read, in one form.

What lives here: `TrustList`, `write`, `open_` and `prove` (reading, in the two beats of all tokens), `judge_succession`. Pure.
What does not: fetching and keeping (`listsource.py`), and what a list means for a decision (`framework.py`).

A list is a compact JWS. Header: `typ` is `kontor-participants+jwt` or `kontor-issuers+jwt`, `kid` a key of the governance DID for
assertions. Payload: `iss` the governance DID, `sub` the id of the space, `seq` a number that grows with every change of what the
list says, `iat`, `exp`, and the entries:

    participants  [{"id": DID, "state": "ACTIVE" | "SUSPENDED" | "REVOKED", "name": TEXT, "address": URL, "since": DATE}]
    issuers       [{"id": DID, "types": [TEXT], "from": DATE, "until": DATE, "list": URL}]

`address` is where the participant's connector answers: `<address>/.well-known/dspace-version` stands below it. `list` is where the
issuer lists those that it accredits in turn; without it, it accredits nobody.
A list is refused when it is over (stale), has a smaller number than one seen before (rolled back), the same number and other entries
(two truths), or is not signed by the governance of the space (forged).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

import orjson

from connector import jose, strict
from connector.errors import Unproven
from connector.identity.did import Document, Relationship
from connector.jose import Profile, SigningKey, Token, TokenVerifier

MOST_BYTES: Final = 16 << 20
LIFE: Final = timedelta(hours=24)
_MOST_SEQ: Final = 1 << 53


class Listing(StrEnum):
    """What a list is a list of."""

    PARTICIPANTS = "participants"
    ISSUERS = "issuers"


def _verifier(listing: Listing) -> TokenVerifier:
    return TokenVerifier(
        profile=Profile(
            name=f"list of {listing}",
            types=frozenset({f"kontor-{listing}+jwt"}),
            required=("iss", "sub", "iat", "exp", "seq", listing.value),
            forbidden=("aud", "vc", "vp", "token", "scope"),
            max_life=timedelta(days=32),
            max_bytes=MOST_BYTES,
        )
    )


VERIFIERS: Final[Mapping[Listing, TokenVerifier]] = {one: _verifier(one) for one in Listing}


class Standing(StrEnum):
    """How a participant stands in its space, as far as others are told."""

    ACTIVE = "ACTIVE"
    SUSPENDED = "SUSPENDED"
    REVOKED = "REVOKED"


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedParticipant:
    """An entry of a list of participants."""

    id: str
    """Its DID."""
    state: Standing
    name: str = ""
    address: str = ""
    """Where its connector answers; empty when it gave none."""
    since: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedIssuer:
    """An entry of a list of issuers: what `id` is believed for, and when."""

    id: str
    types: tuple[str, ...]
    begins: datetime | None = None
    ends: datetime | None = None
    list: str = ""
    """Where it lists those that it accredits itself; empty when it accredits nobody."""

    def is_listed(self, type_: str, now: datetime) -> bool:
        """Whether it is believed for `type_` now."""
        return (
            (type_ in self.types or "*" in self.types)
            and (self.begins is None or self.begins <= now)
            and (self.ends is None or now < self.ends)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """Which version of a list it is: what decisions record, and successors are judged by."""

    seq: int
    digest: str
    """SHA-256 of the entries, hexadecimal: the same number must always stand for the same entries."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustList:
    """A list as it was read."""

    listing: Listing
    governance: str
    space: str
    version: Version
    issued_at: datetime
    valid_until: datetime
    participants: tuple[ListedParticipant, ...] = ()
    issuers: tuple[ListedIssuer, ...] = ()
    token: Token
    by_id: Mapping[str, ListedParticipant] = field(default_factory=dict, repr=False)
    """The participants by DID: verifiers look one up for each message."""

    def participant(self, did: str) -> ListedParticipant | None:
        """The entry of `did`, or None."""
        return self.by_id.get(did)


def write(
    listing: Listing,
    entries: Iterable[ListedParticipant | ListedIssuer],
    *,
    key: SigningKey,
    governance: str,
    space: str,
    seq: int,
    now: datetime,
    life: timedelta = LIFE,
) -> str:
    """The signed list of `entries`, in the order of their ids."""
    at = int(now.timestamp())
    shown = sorted((_shown(one) for one in entries), key=lambda one: str(one["id"]))
    claims = {"iss": governance, "sub": space, "seq": seq, "iat": at, "exp": at + int(life.total_seconds())}
    return jose.sign(key, {**claims, listing.value: shown}, type_=f"kontor-{listing}+jwt")


def open_(raw: str, listing: Listing, *, governance: str, space: str, now: datetime) -> TrustList:
    """The list in `raw`, lawful in everything that needs no key. Nothing of it is proven before `prove`.

    An empty `space` takes the list of any space that `governance` has.

    Raises: Unproven, with the check `expired` for one that is stale.
    """
    token = VERIFIERS[listing].open(raw, now=now, issuer=governance)
    claims = token.claims
    if space and claims["sub"] != space:
        raise _refused("space", f"the list is of the space {strict.shown(claims['sub'])}, expected `{space}`")
    if token.key_id is None or token.key_id.partition("#")[0] != governance:
        raise _refused("issuer", f"the list names the key {strict.shown(token.key_id)}, which is not of `{governance}`")
    seq, entries = claims["seq"], claims[listing.value]
    if type(seq) is not int or not 0 < seq < _MOST_SEQ:
        raise _refused("seq", f"`seq` is {strict.shown(seq)}, which is no number of a list")
    if not isinstance(entries, list) or not all(isinstance(one, dict) for one in entries):
        raise _refused("format", f"`{listing.value}` is no list of objects")
    found: list[Any] = [_participant(one) if listing is Listing.PARTICIPANTS else _issuer(one) for one in entries]
    if len({one.id for one in found}) < len(found) and listing is Listing.PARTICIPANTS:
        raise _refused("format", "the list names a participant twice")
    return TrustList(
        listing=listing,
        governance=governance,
        space=claims["sub"],
        version=Version(seq=seq, digest=digest(entries)),
        issued_at=datetime.fromtimestamp(claims["iat"], now.tzinfo),
        valid_until=datetime.fromtimestamp(claims["exp"], now.tzinfo),
        participants=tuple(found) if listing is Listing.PARTICIPANTS else (),
        issuers=tuple(found) if listing is Listing.ISSUERS else (),
        token=token,
        by_id={one.id: one for one in found} if listing is Listing.PARTICIPANTS else {},
    )


def prove(found: TrustList, document: Document) -> None:
    """Returns when a key of the governance's document, for assertions, signed the list. Raises: Unproven.

    INVARIANT: a governance must declare what its keys are for; a key for messages never signs a list.
    """
    key = document.key(found.token.key_id, Relationship.ASSERTION, must_declare=True)
    VERIFIERS[found.listing].prove(found.token, key)


def judge_succession(found: Version, known: Version | None) -> None:
    """Returns when a list of version `found` may follow `known`. Raises: Unproven when it is older, or another truth."""
    if known is None:
        return
    if found.seq < known.seq:
        raise _refused("rolled-back", f"the list has number {found.seq}, number {known.seq} was seen before")
    if found.seq == known.seq and found.digest != known.digest:
        raise _refused("two-truths", f"the list has number {found.seq} again, with other entries")


def digest(entries: Iterable[Any]) -> str:
    """The digest of the entries as they stand in a list."""
    return hashlib.sha256(orjson.dumps(list(entries), option=orjson.OPT_SORT_KEYS)).hexdigest()


def shown_digest(entries: Iterable[ListedParticipant | ListedIssuer]) -> str:
    """The digest that a list of `entries` will have: whoever signs one knows by it whether anything has changed."""
    return digest(sorted((_shown(one) for one in entries), key=lambda one: str(one["id"])))


def _shown(one: ListedParticipant | ListedIssuer) -> dict[str, Any]:
    found: dict[str, Any]
    if isinstance(one, ListedParticipant):
        found = {"id": one.id, "state": one.state.value, "name": one.name, "address": one.address, "since": _date(one.since)}
    else:
        found = {"id": one.id, "types": list(one.types), "from": _date(one.begins), "until": _date(one.ends)}
        found["list"] = one.list
    return {name: value for name, value in found.items() if value}


def _participant(entry: Mapping[str, Any]) -> ListedParticipant:
    state = entry.get("state")
    if not isinstance(state, str) or state not in [*Standing]:
        raise _refused("format", f"a participant's `state` is {strict.shown(state)}")
    return ListedParticipant(
        id=_did(entry),
        state=Standing(state),
        name=_text(entry, "name"),
        address=_text(entry, "address"),
        since=_read_date(entry, "since"),
    )


def _issuer(entry: Mapping[str, Any]) -> ListedIssuer:
    types = entry.get("types")
    if not isinstance(types, list) or not types or not all(isinstance(one, str) and one for one in types):
        raise _refused("format", "an issuer's `types` is no list of names")
    return ListedIssuer(
        id=_did(entry),
        types=tuple(types),
        begins=_read_date(entry, "from"),
        ends=_read_date(entry, "until"),
        list=_text(entry, "list"),
    )


def _did(entry: Mapping[str, Any]) -> str:
    found = entry.get("id")
    if not isinstance(found, str) or not found.startswith("did:"):
        raise _refused("format", f"the `id` of an entry is {strict.shown(found)}, which is no DID")
    return found


def _text(entry: Mapping[str, Any], name: str) -> str:
    found = entry.get(name, "")
    if not isinstance(found, str) or len(found) > 2048:
        raise _refused("format", f"`{name}` of an entry is no text, or too long")
    return found


def _date(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat(timespec="seconds").replace("+00:00", "Z")


def _read_date(entry: Mapping[str, Any], name: str) -> datetime | None:
    value = entry.get(name)
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError) as fault:
        raise _refused("format", f"`{name}` of an entry is {strict.shown(value)}, which is no date") from fault
    if moment.tzinfo is None:
        raise _refused("format", f"`{name}` of an entry has no time zone")
    return moment


def _refused(check: str, words: str) -> Unproven:
    return Unproven(words, check=check)
