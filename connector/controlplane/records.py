"""What only people know, recorded under an agreement: payments, duties done or waived, consents, events; and the duties' clock.

Each record is a posting to the agreement's book. What runs under the agreement is decided about again at once. A duty that is not
on record as done at its deadline is violated from then on, and what is due in consequence becomes pending: the moment stands in
the book, so any node that runs then sees to it, after a restart, too.
What does not live here: uses (`usage.py`), and what a record does to a book (`books.py`).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

from connector import observe
from connector.controlplane import books, publishing
from connector.controlplane.agreements import Agreements
from connector.controlplane.cases import EMPTY, use_of
from connector.controlplane.kept import Kept
from connector.controlplane.participants import Participants
from connector.controlplane.policy import Judge
from connector.controlplane.process import new_urn
from connector.controlplane.reviews import Reviews
from connector.dsp.negotiation import Agreement
from connector.dsp.tables import Role
from connector.errors import CallerError, KontorError, NotFound, PolicyError, StoreUnavailable
from connector.odrl.duties import Standing
from connector.odrl.enforce import SUPPLIED, Clause
from connector.odrl.truth import DutyState
from connector.ports.clock import Clock
from connector.ports.ledger import Book, BookChange, BookKey, PostingKind
from connector.ports.store import Filter, Store

_LOOK_AGAIN = timedelta(seconds=10)
_AFTER_A_FAULT = timedelta(seconds=1)
_BATCH = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """Something to put on record; which of the members count depends on `kind`."""

    kind: PostingKind
    key: str | None = None
    """Names this record, once for all; None: a new one each time."""
    amount: Decimal = Decimal(0)
    currency: str = ""
    rule: str | None = None
    """Key of the rule that was paid for; None: whatever asks for money."""
    duty: str = ""
    """Key of the duty, or its action where only one duty has it."""
    state: DutyState = DutyState.FULFILLED
    by: str = ""
    """Who consents."""
    is_withdrawn: bool = False
    event: str = ""
    is_over: bool = False
    note: str = ""
    evidence: str = ""
    """SHA-256 of a document that proves it, hexadecimal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """How an agreement stands: its book, its duties, and who sees to each of its clauses."""

    agreement: Agreement
    book: Book
    duties: tuple[Standing, ...]
    clauses: tuple[Clause, ...]


class Records:
    """The books as people and the clock write them."""

    def __init__(
        self,
        store: Store,
        participants: Participants,
        agreements: Agreements,
        judge: Judge,
        reviews: Reviews,
        clock: Clock,
    ) -> None:
        self._store = store
        self._participants = participants
        self._agreements = agreements
        self._judge = judge
        self._reviews = reviews
        self._clock = clock
        self._woken = asyncio.Event()
        self._unopened: deque[Agreement] = deque()
        """Agreements whose books could not be opened with them."""
        agreements.tell(self.opened)

    async def account(self, participant: str, id_: str) -> Account:
        """How the agreement stands now.

        Raises: NotFound; PolicyError when its terms cannot be read.
        """
        agreement = await self._agreements.get(participant, id_)
        context = await self._participants.context(participant)
        terms = self._judge.terms_of(agreement)
        now = self._clock.now()
        book = books.swept(await self._store.ledger.book(participant, id_) or EMPTY, now)
        known = SUPPLIED.union(context.environment) if agreement.role is Role.CONSUMER else SUPPLIED
        return Account(
            agreement=agreement,
            book=book,
            duties=books.standing(book, terms, use_of(agreement), now, agreement.signed_at),
            clauses=publishing.agreed(terms.policy, self._judge.vocabulary, agreement, known),
        )

    async def record(self, participant: str, id_: str, record: Record) -> Account:
        """How the agreement stands after `record`; what runs under it was decided about again.

        Raises: NotFound; CallerError for a duty or rule that its terms do not have; PolicyError.
        """
        agreement = await self._agreements.get(participant, id_)
        terms = self._judge.terms_of(agreement)
        duty = _duty(terms, record.duty) if record.kind is PostingKind.DUTY else ""
        if record.rule is not None and record.rule not in terms.rules:
            raise CallerError(f"the terms have no rule `{record.rule}`", where="rule", mend=_one_of(terms.rules))
        now = self._clock.now()

        def decide(book: Book) -> BookChange:
            match record.kind:
                case PostingKind.PAYMENT:
                    after = books.paid(book, record.amount, record.currency, record.rule)
                case PostingKind.DUTY:
                    after = books.performed(book, duty, record.state, now, record.note)
                case PostingKind.CONSENT:
                    after = books.consented(book, record.by, now, is_withdrawn=record.is_withdrawn)
                case _:
                    after = books.happened(book, record.event, now, is_over=record.is_over)
            after, next_at = books.settled(after, terms, use_of(agreement), now, agreement.signed_at)
            return BookChange(book=after, kind=record.kind, at=now, facts=_facts(record, duty), result="ok", next_at=next_at)

        await self._store.ledger.post(participant, id_, record.key or new_urn(), decide)
        self._woken.set()
        await self._reviews.agreement(participant, id_)
        return await self.account(participant, id_)

    async def opened(self, agreement: Agreement) -> None:
        """Open the book of an agreement with duties, so that their deadlines are known from its first moment on.

        While the store is away it is opened later: the agreement is kept by now, and nobody comes here with it again.
        """
        try:
            await self._open(agreement)
        except StoreUnavailable as fault:
            observe.warning("duties.not_opened", agreement=agreement.id, participant=agreement.participant, cause=fault)
            self._unopened.append(agreement)
            self._woken.set()

    async def _open(self, agreement: Agreement) -> None:
        if agreement.ended_at is not None or not _may_oblige(agreement):
            return
        try:
            terms = self._judge.terms_of(agreement)
        except PolicyError:
            return
        if not terms.duties:
            return
        now = self._clock.now()

        def decide(book: Book) -> BookChange:
            after, next_at = books.settled(book, terms, use_of(agreement), now, agreement.signed_at)
            return BookChange(book=after, kind=PostingKind.OPENED, at=now, result="ok", next_at=next_at)

        await self._store.ledger.post(agreement.participant, agreement.id, "opened", decide)
        self._woken.set()

    # --- the clock of the duties

    async def run(self) -> None:
        """See to what is due in the books, until cancelled."""
        is_taken_up = False
        while True:
            now = self._clock.now()
            try:
                if not is_taken_up:
                    await self.take_up()
                    is_taken_up = True
                await self.work()
                moment = await self._store.ledger.next_moment()
            except StoreUnavailable as fault:
                observe.error("duties.store_unavailable", cause=fault)
                moment = now + _AFTER_A_FAULT
            latest = now + _LOOK_AGAIN
            await self._clock.wait_until(latest if moment is None else min(moment, latest), self._woken)

    async def take_up(self) -> None:
        """Open the books that a node which was killed has not opened: those of its last agreements, if any."""
        for context in await self._participants.all():
            await self._opened_last(context.name)

    async def _opened_last(self, participant: str) -> None:
        cursor = None
        while True:
            page = await self._store.agreements(participant, Filter(), cursor=cursor)
            for agreement in page.items:
                if not _may_oblige(agreement):
                    continue
                if await self._store.ledger.book(participant, agreement.id) is not None:
                    # those before it were opened before it
                    return
                await self.opened(agreement)
            cursor = page.next_cursor
            if cursor is None:
                return

    async def work(self) -> None:
        """Everything that is due in the books."""
        while self._unopened:
            await self._open(self._unopened[0])
            self._unopened.popleft()
        now = self._clock.now()
        while found := await self._store.ledger.due(now, limit=_BATCH):
            for key in found:
                try:
                    await self._due(key)
                except StoreUnavailable:
                    raise
                except KontorError as fault:
                    # such as terms that cannot be read any more: it is not tried again and again
                    observe.error("duties.failed", agreement=key.agreement, participant=key.participant, cause=fault)
                    await self._quiet(key)
            if len(found) < _BATCH:
                break

    async def _due(self, key: BookKey) -> None:
        agreement = await self._store.agreement(key.participant, key.agreement)
        if agreement is None:
            raise NotFound("there is no such agreement", where=key.agreement)
        terms, now = self._judge.terms_of(agreement), self._clock.now()
        changed: list[bool] = []

        def decide(book: Book) -> BookChange:
            after, next_at = books.settled(book, terms, use_of(agreement), now, agreement.signed_at)
            changed[:] = [after.duties != book.duties]
            late = [name for name in after.duties if name not in book.duties]
            return BookChange(
                book=after, kind=PostingKind.CLOCK, at=now, facts={"duties": late} if late else {}, next_at=next_at
            )

        await self._store.ledger.post(key.participant, key.agreement, f"clock:{now.isoformat()}", decide)
        if changed == [True]:
            await self._reviews.agreement(key.participant, key.agreement)

    async def _quiet(self, key: BookKey) -> None:
        now = self._clock.now()
        await self._store.ledger.post(
            key.participant,
            key.agreement,
            f"clock:{now.isoformat()}",
            lambda book: BookChange(book=book, kind=PostingKind.CLOCK, at=now),
        )


def _duty(terms: Kept, name: str) -> str:
    """The key of the duty that an operator calls `name`.

    Raises: CallerError.
    """
    keys = [duty.key for duty in terms.duties]
    if name in keys:
        return name
    acting = {duty.key for duty in terms.duties if any(action.name == name for action in duty.duty.actions)}
    if len(acting) == 1:
        return acting.pop()
    raise CallerError(f"the terms have no duty `{name}`", where="duty", mend=_one_of(keys))


def _one_of(names: object) -> str:
    assert isinstance(names, (list, tuple))
    return f"one of: {', '.join(names)}" if names else "there is none"


def _facts(record: Record, duty: str) -> Mapping[str, Any]:
    rows: dict[str, Any] = {"note": record.note, "evidence": record.evidence}
    match record.kind:
        case PostingKind.PAYMENT:
            rows |= {"amount": str(record.amount), "currency": record.currency, "rule": record.rule}
        case PostingKind.DUTY:
            rows |= {"duty": duty, "state": record.state.value}
        case PostingKind.CONSENT:
            rows |= {"by": record.by, "withdrawn": record.is_withdrawn}
        case _:
            rows |= {"event": record.event, "over": record.is_over}
    return {name: value for name, value in rows.items() if value not in (None, "")}


def _may_oblige(agreement: Agreement) -> bool:
    """Whether an agreement can have duties, seen without reading its terms."""
    text = str(agreement.policy)
    return any(word in text for word in ("duty", "obligation", "inheritFrom"))
