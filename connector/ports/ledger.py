"""The usage ledger: for each agreement a book of what was used, paid, performed and consented to, and the postings it is made of.

A book has one writer at a time. `post` reads it, calls a pure function with it, and writes what that function says, the new book
and the posting, in one transaction; so of a hundred uses that come at once under `count <= 10` exactly ten are granted, on
however many nodes. A use is reserved before data flows, begun with its first byte or released, and metered while it runs.
Both sides of an agreement keep a book of their own: nothing here was said by the peer.
What lives here: the values, the seam and the evidence of a posting. What does not: what may be posted (`controlplane/books.py`),
and how the policy engine sees a book (`controlplane/usage_view.py`).
Source: ODRL Vocabulary & Expression 2.2, section 4.9 (operands of use); ODRL Information Model 2.2, section 2.6 (duties).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final, Protocol

from connector.odrl.truth import DutyState, Period
from connector.ports.page import Page

NO_EVIDENCE: Final = "0" * 64
"""What the first posting of a book is chained to."""


class PostingKind(StrEnum):
    """What a posting is about."""

    OPENED = "opened"
    RESERVED = "reserved"
    BEGUN = "begun"
    METERED = "metered"
    ENDED = "ended"
    RELEASED = "released"
    USED = "used"
    """Several uses at once, under an agreement whose terms do not ask how much was used."""
    PAYMENT = "payment"
    DUTY = "duty"
    CONSENT = "consent"
    EVENT = "event"
    CLOCK = "clock"
    """What time did: a duty not done by its deadline, a use let go."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recent:
    """The last period in which there was a use."""

    began: datetime
    count: int
    """Uses in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """How much a rule was used, or everything under an agreement."""

    count: int = 0
    metered: timedelta = timedelta(0)
    """Time of use, added up over all streams."""
    moved_bytes: int = 0
    first_at: datetime | None = None
    last_at: datetime | None = None
    paid: Mapping[str, Decimal] = field(default_factory=dict)
    """By currency."""
    rates: Mapping[str, Recent] = field(default_factory=dict)
    """By the key of the periods in which uses are counted anew (`odrl.cycles.Cycle`), as far as the terms ask for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenUse:
    """A use that is reserved, or that runs."""

    rules: tuple[str, ...]
    """Keys of the rules that it is a use of."""
    process: str
    """Pid of the transfer."""
    since: datetime
    """When it was reserved; once it has begun: up to when its time is added up."""
    until: datetime | None
    """When it is let go unless somebody says that it goes on: its node may have died. None: its transfer sees to it."""
    has_begun: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DutyEntry:
    """How a duty stands, by what was posted."""

    state: DutyState
    at: datetime
    """Since when; for one that is pending: when it became pending."""
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Consent:
    """A consent that was given, by whom and for how long."""

    given_at: datetime
    withdrawn_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Book:
    """What is on record under one agreement."""

    uses: Mapping[str, Use] = field(default_factory=dict)
    """By rule key (`odrl.expand.rule_key`)."""
    total: Use = Use()
    """Of the agreement as a whole; what is paid without naming a rule stands here, too."""
    open: Mapping[str, OpenUse] = field(default_factory=dict)
    """By the key of the use."""
    duties: Mapping[str, DutyEntry] = field(default_factory=dict)
    """By duty key (`odrl.expand.duty_key`)."""
    events: Mapping[str, Period] = field(default_factory=dict)
    consents: Mapping[str, Consent] = field(default_factory=dict)
    """By the name of who consents; empty: not said."""
    postings: int = 0
    """How many there are; the last one has this number."""
    evidence: str = NO_EVIDENCE
    """That of the last posting."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BookChange:
    """What a posting writes."""

    book: Book | None = None
    """The book after it; None: nothing is written, and the key stays new."""
    kind: PostingKind = PostingKind.OPENED
    at: datetime | None = None
    """When it happened; needed with a book."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """What is posted, as a JSON tree."""
    result: str = ""
    """Given back to whoever posts under the same key again."""
    next_at: datetime | None = None
    """The first moment at which something in this book is due; None: never by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Posting:
    """One line of a book: written once, never changed."""

    number: int
    key: str
    kind: PostingKind
    at: datetime
    facts: Mapping[str, Any]
    evidence: str
    """SHA-256 over the evidence of the posting before and this one: a line that is changed or taken out shows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Posted:
    """What `post` did."""

    book: Book
    """As it is now."""
    result: str
    is_repeated: bool = False
    """True when the key was known: nothing was written, and `result` is that of the first time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BookKey:
    """A book by its agreement."""

    participant: str
    agreement: str


DecideBook = Callable[[Book], BookChange]


class UsageLedger(Protocol):
    """The books of all participant contexts. Every call may raise StoreUnavailable; nothing was written then."""

    async def post(self, participant: str, agreement: str, key: str, decide: DecideBook) -> Posted:
        """Read the agreement's book (a new one is empty), call `decide`, write what it says: one transaction.

        `key` names what happens, once for all: posting under a known key writes nothing and gives the first result. `decide`
        is pure and may be called more than once; whatever it raises goes to the caller and nothing is written.
        """
        ...

    async def book(self, participant: str, agreement: str) -> Book | None:
        """The book, or None while there is nothing in it."""
        ...

    async def postings(self, participant: str, agreement: str, *, cursor: str | None = None, limit: int = 100) -> Page[Posting]:
        """The postings of a book, newest first.

        Raises: BadMessage for a cursor that is none of this list.
        """
        ...

    async def due(self, now: datetime, *, limit: int = 100) -> tuple[BookKey, ...]:
        """The books in which something is due, of all contexts, longest due first.

        Nothing is leased: who posts second finds nothing left to do.
        """
        ...

    async def next_moment(self) -> datetime | None:
        """When `due` has something next, which may be past; None when nothing waits."""
        ...


def evidence(previous: str, key: str, change: BookChange, facts: bytes) -> str:
    """The evidence of the posting that `change` makes under `key`; `facts` are its facts as they are kept."""
    at = change.at.isoformat() if change.at is not None else ""
    head = f"{previous}\n{key}\n{change.kind}\n{at}\n"
    return hashlib.sha256(head.encode("utf-8", "surrogatepass") + facts).hexdigest()
