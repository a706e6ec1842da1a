"""Trust frameworks: whose credentials count in a data space, for what, and why. One value, and one pure decision over it.

What lives here: `Framework` and its parts, `trusted` (whom to look at at all), `admit` (what proven credentials are worth in a space),
`addresses` (the lists that must be fetched for it).
What does not: reading the files (`framework_file.py`), fetching lists (`listsource.py`), proofs (`credentials.py`).

A credential counts in a space when an anchor of that space lets it: the anchor names its issuer, or an accreditor from whom a chain of
signed lists leads to its issuer, and every limit of the anchor holds (type, claims, region, dates). Besides, a space may recognise
another one: then what counts there by the other's own anchors counts here under the name that the recognition gives it.
INVARIANT: recognition is never transitive: only anchors of the recognised space are asked, never what it recognises itself.
INVARIANT: what counts in one space counts in no other without a recognition that says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from connector.identity.formats import Credential
from connector.identity.trustlists import TrustList

ANY: Final = "*"
MOST_LISTS: Final = 64
"""How many lists are followed for one framework."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """When an anchor holds."""

    types: frozenset[str]
    """Types of credential; `*` is every type."""
    claims: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    """Allowed values by claim; each claim must be there."""
    region: frozenset[str] = frozenset()
    """Values that the claim `region_claim` may have; empty allows all."""
    region_claim: str = "region"
    begins: datetime | None = None
    ends: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchor:
    """Somebody whose word counts in a space."""

    did: str
    """The issuer, or the accreditor."""
    limits: Limits
    where: str
    """File and line."""
    max_depth: int = 0
    """0: it issues itself. Above: it accredits, and so many lists may lie between it and an issuer."""
    list_url: str = ""
    """Where an accreditor lists those that it accredits."""
    assurance: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recognition:
    """What of another space counts here."""

    framework: str
    types: Mapping[str, str]
    """The type here by the type there."""
    where: str
    claims: Mapping[str, str] = field(default_factory=dict)
    """The claim here by the claim there; claims that are not named do not come over."""
    begins: datetime | None = None
    ends: datetime | None = None
    requires: tuple[str, ...] = ()
    """Types of this space that the holder must have besides, by this space's own anchors."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Framework:
    """The trust framework of one data space."""

    id: str
    governance: str
    anchors: tuple[Anchor, ...]
    where: str
    recognises: tuple[Recognition, ...] = ()
    grace: timedelta = timedelta(0)
    """How long a list counts after its end, when no newer one can be had; none by default."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListKey:
    """A list of issuers that an anchor leads to."""

    accreditor: str
    url: str


Lists = Mapping[ListKey, TrustList]
"""The lists that could be had; one that is not there accredits nobody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """A credential as it counts in a space, and what lets it."""

    space: str
    type: str
    """As this space names it."""
    claims: Mapping[str, Any]
    issuer: str
    grounds: tuple[str, ...]
    """The anchor with file and line, each list with number and digest, the recognition: for the record of decisions."""
    assurance: str = ""
    ends: datetime | None = None
    """When the first of these grounds ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """What a holder's credentials are worth in one space."""

    space: str
    counted: tuple[Counted, ...]
    refused: tuple[str, ...]
    """Why the others do not count, for our own log."""


def admit(
    framework: Framework, held: Sequence[Credential], *, others: Mapping[str, Framework], lists: Lists, now: datetime
) -> Admission:
    """What the proven credentials in `held` are worth in the space of `framework`; `others` are the spaces known here, by id."""
    counted: list[Counted] = []
    refused: list[str] = []
    for credential in held:
        for type_ in credential.types:
            found = _anchored(framework, credential, type_, lists, now)
            (counted if isinstance(found, Counted) else refused).append(found)  # type: ignore[arg-type]
    own = {one.type for one in counted}
    for recognition in framework.recognises:
        other = others.get(recognition.framework)
        for credential in held if other is not None else ():
            for type_ in credential.types:
                if type_ in recognition.types and other is not None:
                    recognised = _recognised(framework, recognition, other, credential, type_, own, lists, now)
                    (counted if isinstance(recognised, Counted) else refused).append(recognised)  # type: ignore[arg-type]
    return Admission(space=framework.id, counted=tuple(counted), refused=tuple(refused))


def trusted(
    frameworks: Iterable[Framework], *, others: Mapping[str, Framework], lists: Lists, now: datetime
) -> dict[str, frozenset[str]]:
    """Whom any of `frameworks` may believe, for which types: for these alone documents are looked up.

    It is wider than `admit`, which judges claims, regions and spaces.
    """
    found: dict[str, set[str]] = {}
    asked: list[tuple[Framework, frozenset[str] | None]] = []
    for framework in frameworks:
        asked.append((framework, None))
        asked += [(others[one.framework], frozenset(one.types)) for one in framework.recognises if one.framework in others]
    for framework, narrowed in asked:
        for anchor in framework.anchors:
            for issuer, types in _issuers(anchor, lists, now):
                allowed = types if narrowed is None else narrowed if ANY in types else types & narrowed
                found.setdefault(issuer, set()).update(allowed)
    return {issuer: frozenset(types) for issuer, types in found.items() if types}


def addresses(frameworks: Iterable[Framework], lists: Lists) -> dict[ListKey, Framework]:
    """The lists that are needed beside `lists`, with the framework that leads to each: fetch these, then ask again until none is new."""
    found: dict[ListKey, Framework] = {}
    for framework in frameworks:
        seen: set[ListKey] = set()
        for anchor in framework.anchors:
            for key, _ in _walk(anchor, lists):
                if key not in lists and len(seen) < MOST_LISTS:
                    found[key] = framework
                seen.add(key)
    return found


def _anchored(framework: Framework, credential: Credential, type_: str, lists: Lists, now: datetime) -> Counted | str:
    """How a credential counts by the space's own anchors, or why it does not."""
    why = f"no anchor of `{framework.id}` names its issuer `{credential.issuer}`"
    for anchor in framework.anchors:
        for issuer, chain, ends in _chains(anchor, lists, now, type_):
            if issuer != credential.issuer:
                continue
            fault = _outside(anchor.limits, credential, type_, now)
            if fault is not None:
                why = f"{anchor.where}: {fault}"
                continue
            return Counted(
                space=framework.id,
                type=type_,
                claims=credential.claims,
                issuer=issuer,
                grounds=(f"anchor {anchor.where}", *chain),
                assurance=anchor.assurance,
                ends=_first(ends, anchor.limits.ends, credential.valid_until),
            )
    return f"`{type_}` of `{credential.issuer}` does not count in `{framework.id}`: {why}"


def _recognised(
    framework: Framework,
    recognition: Recognition,
    other: Framework,
    credential: Credential,
    type_: str,
    own: set[str],
    lists: Lists,
    now: datetime,
) -> Counted | str:
    here = f"`{type_}` of `{other.id}` does not count in `{framework.id}`: {recognition.where}"
    if not _is_within(recognition.begins, recognition.ends, now):
        return f"{here}: the recognition is over, or has not begun"
    missing = [one for one in recognition.requires if one not in own]
    if missing:
        return f"{here}: the holder has no {', '.join(f'`{one}`' for one in missing)}"
    found = _anchored(other, credential, type_, lists, now)
    if isinstance(found, str):
        return found
    return Counted(
        space=framework.id,
        type=recognition.types[type_],
        claims={ours: found.claims[theirs] for theirs, ours in recognition.claims.items() if theirs in found.claims},
        issuer=found.issuer,
        grounds=(f"recognition {recognition.where}", *found.grounds),
        assurance=found.assurance,
        ends=_first(found.ends, recognition.ends),
    )


def _issuers(anchor: Anchor, lists: Lists, now: datetime) -> Iterator[tuple[str, frozenset[str]]]:
    if not anchor.max_depth:
        yield anchor.did, anchor.limits.types
        return
    for key, narrowed in _walk(anchor, lists):
        for entry in lists[key].issuers if key in lists else ():
            if _is_within(entry.begins, entry.ends, now):
                yield entry.id, _both(narrowed, frozenset(entry.types))


def _walk(anchor: Anchor, lists: Lists) -> Iterator[tuple[ListKey, frozenset[str]]]:
    """The lists that an accreditor leads to, each with the types that the way to it leaves, no deeper than the anchor allows."""
    if not anchor.max_depth:
        return
    level, seen = [(ListKey(accreditor=anchor.did, url=anchor.list_url), anchor.limits.types)], set[ListKey]()
    for _ in range(anchor.max_depth):
        deeper: list[tuple[ListKey, frozenset[str]]] = []
        for key, narrowed in level:
            if key in seen or len(seen) >= MOST_LISTS:
                continue
            seen.add(key)
            yield key, narrowed
            for entry in lists[key].issuers if key in lists else ():
                if entry.list:
                    deeper.append((ListKey(accreditor=entry.id, url=entry.list), _both(narrowed, frozenset(entry.types))))
        level = deeper


def _chains(anchor: Anchor, lists: Lists, now: datetime, type_: str) -> Iterator[tuple[str, tuple[str, ...], datetime | None]]:
    """Each issuer that `anchor` leads to for `type_`, with the lists on the way to it and when the first of them ends.

    INVARIANT: every link of the chain is good for the type now: one accreditor can give another no more than it has.
    """
    if not anchor.max_depth:
        yield anchor.did, (), None
        return
    level: list[tuple[ListKey, tuple[str, ...], datetime | None]] = [
        (ListKey(accreditor=anchor.did, url=anchor.list_url), (), None)
    ]
    seen: set[ListKey] = set()
    for _ in range(anchor.max_depth):
        deeper: list[tuple[ListKey, tuple[str, ...], datetime | None]] = []
        for key, way, ends in level:
            if key in seen or key not in lists or len(seen) >= MOST_LISTS:
                continue
            seen.add(key)
            found = lists[key]
            chain = (*way, f"list of {key.accreditor} number {found.version.seq} sha256 {found.version.digest[:16]}")
            for entry in found.issuers:
                if not entry.is_listed(type_, now):
                    continue
                until = _first(ends, entry.ends)
                yield entry.id, chain, until
                if entry.list:
                    deeper.append((ListKey(accreditor=entry.id, url=entry.list), chain, until))
        level = deeper


def _outside(limits: Limits, credential: Credential, type_: str, now: datetime) -> str | None:
    """Which limit a credential breaks; None when it keeps them all. What is not there keeps no limit."""
    if type_ not in limits.types and ANY not in limits.types:
        return f"the anchor is not for `{type_}`"
    if not _is_within(limits.begins, limits.ends, now):
        return "the anchor is over, or has not begun"
    for name, allowed in limits.claims.items():
        values = credential.claims.get(name)
        listed = values if isinstance(values, list) else [values]
        if name not in credential.claims or not listed or not all(_is_one_of(value, allowed) for value in listed):
            return f"the claim `{name}` is not one of those that the anchor allows"
    if limits.region and credential.claims.get(limits.region_claim) not in [*limits.region]:
        return f"the claim `{limits.region_claim}` is not a region of the anchor"
    return None


def _is_one_of(value: object, allowed: tuple[Any, ...]) -> bool:
    # `True == 1` in Python, and a claim that says the one does not say the other
    return any(type(value) is type(one) and value == one for one in allowed)


def _is_within(begins: datetime | None, ends: datetime | None, now: datetime) -> bool:
    return (begins is None or begins <= now) and (ends is None or now < ends)


def _both(one: frozenset[str], other: frozenset[str]) -> frozenset[str]:
    if ANY in one:
        return other
    return one if ANY in other else one & other


def _first(*moments: datetime | None) -> datetime | None:
    return min((one for one in moments if one is not None), default=None)
