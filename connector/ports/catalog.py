"""The federated catalogue's record of truth: what each member's catalogue holds, and what has changed since, in order.

What lives here: the values that go in and out, and `Records`. What does not: how members are asked and searched (`federation/`), and
where rows lie (`storage/`). The search index (`ports/index.py`) is made of this record and can be made anew at any time.

A product is one dataset of one origin, the participant who offers it. It may reach us by several members: from the origin itself and
through other catalogues. Each such way is an entry; the product shows its best one: that of the origin, then one whose signature is
proven, then one whose endpoint is, then the shortest way, then the first member by id.

What a participant says of itself goes the same ways: it is an entry with the empty id `ITSELF`, and no product. Of a participant that is
a member here its own word counts alone once it was looked at, and its silence too: nobody offers anything in its name. Of one that is
suspended here nothing is shown, whoever reports it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, Protocol

MAX_HOPS: Final = 8
"""Catalogues between an origin and us; what came a longer way is left out."""
ITSELF: Final = ""
"""The id of what an origin says of itself; no dataset has it."""
UNJUDGED: Final = "?"
"""What `Entry.signed` begins with when the signature could not be judged yet; behind it stands the DID whose key could not be had."""


class MemberKind(StrEnum):
    """What a member of the alliance runs: it speaks for itself, or for others too."""

    CONNECTOR = "connector"
    CATALOG = "catalog"


class MemberState(StrEnum):
    """Whether a member's products are shown."""

    LISTED = "listed"
    SUSPENDED = "suspended"
    LEFT = "left"


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One member as the list of members names it."""

    id: str
    """Participant id."""
    address: str
    """Where its connector, or its catalogue, answers."""
    kind: MemberKind = MemberKind.CONNECTOR
    title: str = ""
    is_suspended: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One dataset, or what its origin says of itself, as one member's catalogue holds it."""

    origin: str
    """Participant id of who offers it."""
    id: str
    """Dataset id at the origin, or `ITSELF`."""
    endpoint: str
    """Base address where a negotiation about it goes; empty with `ITSELF`."""
    tree: bytes
    """The description in JSON, its members as the origin wrote them; signatures in it are kept. With `ITSELF` as `federation/origins.py`
    says."""
    digest: str
    """SHA-256 of everything that is shown of it: an equal one means that nothing has changed."""
    terms: str = ""
    """Digest of the rules of all its offers, without ids: equal terms are judged once."""
    offers: bytes = b"[]"
    """Those rules, in JSON."""
    readers: frozenset[str] | None = None
    """Whom all those offers name; None when one of them is for everybody. Goes in with the offers, and does not come back with an entry."""
    via: tuple[str, ...] = ()
    """Participant ids of the catalogues it came through, the one nearest to the origin first; empty from the origin itself."""
    origin_seen_at: datetime | None = None
    """When the first catalogue on the way saw it at the origin; None from the origin itself."""
    signed: str = ""
    """Whose signature on the description was proven: a DID; as `UNJUDGED` says when that could not be judged yet; empty when there is
    none."""
    as_proven: tuple[str, ...] = ()
    """Of one that could not be judged: the digests it would have if it had been. One that is held under such a digest was proven
    before, and stays so."""

    names_endpoint: bool = False
    """Of one that came through others: its origin has signed that it answers at the endpoint."""
    places: tuple[str, ...] = ()
    """With `ITSELF`: base addresses where the origin has signed that it answers. What is reported of it is held against them."""
    is_placed: bool = False
    """As the record has found: what its origin has signed says that it answers at the endpoint. Does not go in with an entry."""

    @property
    def key(self) -> tuple[str, str]:
        return self.origin, self.id


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What came of the last look at a member's catalogue, in words that the member can read."""

    at: datetime
    is_good: bool
    cause: str = ""
    """Why nothing was taken; empty when the look was good."""
    entries: int = 0
    left_out: tuple[str, ...] = ()
    """What was not taken, each with its place and reason; the first hundred."""
    notes: tuple[str, ...] = ()
    """What is unusual and was taken all the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberRow:
    """A member, and how it stands with its catalogue."""

    id: str
    address: str
    kind: MemberKind
    title: str
    state: MemberState
    entries: int = 0
    generation: int = 0
    """Counts the snapshots that were taken; 0 before the first."""
    crawled_at: datetime | None = None
    """When what is shown was last confirmed by the member."""
    failures: int = 0
    """Looks in a row that came to nothing."""
    next_at: datetime | None = None
    report: Report | None = None
    validators: Mapping[str, Any] = field(default_factory=dict)
    """What a conditional request needs: pages with their entity tags, or the number in a change feed."""
    announced: int = 0
    """Counts its announcements."""
    agreements: int | None = None
    """How many agreements it has concluded as a provider, as it reports; None when it does not."""
    agreements_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A good look at a member: everything that its catalogue holds, or with `is_partial` what has changed in it."""

    member: str
    entries: tuple[Entry, ...] = ()
    report: Report
    validators: Mapping[str, Any] = field(default_factory=dict)
    next_at: datetime
    is_partial: bool = False
    gone: tuple[tuple[str, str], ...] = ()
    """Keys of entries that are there no more; only with `is_partial`."""
    announced: int = 0
    """The member's count of announcements before the look: when it has grown since, the member is due again at `again_at`."""
    again_at: datetime | None = None
    """None: at once."""
    part: Part | None = None
    """Only with `is_partial`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A part of everything that a member holds, which is too much to be taken over at once."""

    reading: int
    """Names the reading that it is a part of."""
    is_last: bool
    """What the record holds of the member and no part of the reading had is there no more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """One member's entry as the record holds it."""

    member: str
    number: int
    entry: Entry


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What came of judging an entry again."""

    held: Held
    """As it was judged: when the record holds another by now, the verdict counts for nothing."""
    entry: Entry | None
    """As it is from now on; None when it proves nothing, and is taken out."""
    told: str
    """For the member's report."""
    over: tuple[str, ...] = ()
    """How notes begin that are told there no more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """One product, or what an origin says of itself, as it is shown: its best entry, and by whom we know it."""

    number: int
    """Stays the same as long as it is not gone for a month; stands in addresses, and never means another product."""
    entry: Entry
    member: str
    added_at: datetime
    changed_at: datetime
    seen_at: datetime
    """When the member last confirmed it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A product that has changed, with its place in the order of all changes."""

    sequence: int
    number: int
    key: tuple[str, str]
    at: datetime
    product: Product | None
    """None: it is shown no more."""
    readers: frozenset[str] | None = None
    """Whoever has ever been able to see it; None for everybody. Nobody else learns that it was there."""

    @property
    def is_itself(self) -> bool:
        """True for what an origin says of itself."""
        return self.key[1] == ITSELF


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """How much the record holds."""

    products: int
    participants: int
    """Origins with at least one product."""
    members: Mapping[str, int]
    """Members by state."""
    sequence: int
    growth: tuple[tuple[str, int], ...]
    """Products added by day (`2026-03-01`), the last ninety days."""
    agreements: int = 0
    """Concluded agreements, as the members report them."""
    reporting: int = 0
    """Members that report them."""
    failing: int = 0
    """Listed members at which the last look failed."""


class Records(Protocol):
    """The record of truth. Every call is one transaction; a member's snapshot is swapped in whole, never half."""

    async def open(self) -> None:
        """Raises: ConfigurationError when what is there is not ours or newer; StoreUnavailable."""
        ...

    async def close(self) -> None: ...

    async def list_members(self, listed: Sequence[Listed], now: datetime) -> Sequence[str]:
        """Take over a whole list of members: new ones are due at once, those not on it have left, and what leaves or is suspended
        is shown no more, in the same transaction. Gives the ids of members that are new, moved or back."""
        ...

    async def swap(self, snapshots: Sequence[Snapshot], now: datetime) -> int:
        """Take over snapshots, all in one transaction; the number of products that changed. One of a member that is not listed
        (any more) is dropped."""
        ...

    async def confirm(self, member: str, report: Report, next_at: datetime, announced: int) -> None:
        """The member said that nothing has changed since its last snapshot; `announced` as in `Snapshot`."""
        ...

    async def failed(self, member: str, report: Report, next_at: datetime, announced: int) -> None:
        """A look at the member came to nothing: what was shown of it stays, and its age tells."""
        ...

    async def report_agreements(self, member: str, count: int, at: datetime) -> bool:
        """The member says how many agreements it has concluded as a provider; False when it is not listed."""
        ...

    async def claim_due(
        self, now: datetime, until: datetime, limit: int, latest: datetime | None = None
    ) -> Sequence[MemberRow]:
        """Listed members whose time has come, the longest waiting first; with `latest` also those who would be due only after it.
        Nobody else gets them before `until`, by when whoever took them has told how the look went, or is dead."""
        ...

    async def postpone(self, members: Sequence[str], until: datetime) -> None:
        """Give back members that were claimed and not looked at: they are due again then, for whoever takes them."""
        ...

    async def take_up(self, now: datetime) -> None:
        """Make members due that somebody took who may be dead: those at which no look has ended yet. Called once at a node's start; a
        look that is under way elsewhere is at worst made twice."""
        ...

    async def next_due(self) -> datetime | None:
        """When the next listed member is due."""
        ...

    async def hasten(self, member: str, now: datetime) -> bool:
        """Count an announcement and make the member due at `now` or as it is before, or at the end of the look that is under way, on
        whichever replica; False when it is not listed."""
        ...

    async def member(self, id_: str) -> MemberRow | None: ...

    async def entries(self, member: str, without: Collection[str]) -> int:
        """How many datasets a member's catalogue holds, those under the terms `without` left out."""
        ...

    async def members(self, after: str | None, limit: int, *, failing: bool = False) -> Sequence[MemberRow]:
        """Listed members by id, from the first one after `after`; with `failing` those at which the last look failed."""
        ...

    async def standing(self) -> Mapping[str, int]:
        """How many members there are: `listed`, of them `failing`, at which the last look failed, and `unseen`, at which none was good."""
        ...

    async def products(self, numbers: Sequence[int]) -> Mapping[int, Product]:
        """Those of the products that are shown."""
        ...

    async def product(self, origin: str, id_: str) -> Product | None:
        """One product, or with `ITSELF` what its origin says of itself."""
        ...

    async def named(self, id_: str) -> Sequence[Product]:
        """Products whose dataset has the id `id_`, whatever their origin; at most ten."""
        ...

    async def of_origin(self, origin: str, after: int, limit: int) -> Sequence[Product]:
        """Products of one origin by number, from the first one after `after`."""
        ...

    async def changes(self, after: int, limit: int) -> Sequence[Change]:
        """The last change of each product, and of what each origin says of itself, that changed after the sequence number `after`,
        in order.

        Raises: Gone when changes after `after` are forgotten already: begin again from 0.
        """
        ...

    async def sequence(self) -> int:
        """The number of the last change."""
        ...

    async def epoch(self) -> str:
        """A name that this record has alone: one that is made anew has another, and its numbers mean other changes."""
        ...

    async def waiting(self) -> Sequence[str]:
        """What entries that could not be judged yet have as `signed`, each once."""
        ...

    async def unjudged(self, signed: str, after: tuple[int, str], limit: int) -> Sequence[Held]:
        """Entries with this `signed` by number and member, from the first one after `after`."""
        ...

    async def themselves(self, after: tuple[int, str], limit: int) -> Sequence[Held]:
        """What origins say of themselves and was judged, by number and member, from the first one after `after`."""
        ...

    async def judge(self, verdicts: Sequence[Verdict], now: datetime) -> int:
        """Take over verdicts on entries that the record still holds as they were judged, and tell their members; how many."""
        ...

    async def forget(self, before: datetime) -> int:
        """Forget of products that are gone since before then that they ever were in the order of changes, and their numbers; how many."""
        ...

    async def tidy(self) -> None:
        """Forget the rules of offers that nothing is under any more: whoever changes them with each look would fill the record."""
        ...

    async def give_back(self) -> int:
        """How many bytes of what is free were given back to the disk; as `Store.give_back`."""
        ...

    async def terms(self, among: Sequence[str] | None = None) -> Mapping[str, bytes]:
        """The rules behind each digest of terms that is in use, or behind those `among` them: JSON, a list of offers."""
        ...

    async def totals(self, now: datetime, without: Collection[str] = ()) -> Totals:
        """How much there is, products under the terms `without` left out: whoever asks does not see them."""
        ...
