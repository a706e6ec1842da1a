"""Uses of data under agreements: reserved before data flows, begun with it or released, metered while it runs, and ended.

Where the terms ask what is on record, the decision is made inside the posting that reserves the use: of a hundred requests that
come at once under `count <= 10` ten are granted. Where they do not, a use costs a decision and no write: it is tallied
(`tallies.py`) and posted with others some seconds later.
What is posted while nobody waits (ends, time of use, tallies) is the worker's: nothing that closes a flow waits for the disk.
A killed node's running uses are let go after `_LET_GO`; the time since their last metering is lost, at most `_METERED_EVERY`.
What does not live here: what a posting does to a book (`books.py`), and what people record (`records.py`).
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from connector import measures, observe
from connector.controlplane import books
from connector.controlplane.cases import EMPTY, Answer, Case, use_of
from connector.controlplane.kept import Kept
from connector.controlplane.policy import Judge
from connector.controlplane.process import new_urn
from connector.controlplane.reviews import Reviews
from connector.controlplane.tallies import Place, Tallies
from connector.dsp.negotiation import Agreement
from connector.dsp.tables import State
from connector.dsp.transfer import Transfer
from connector.errors import Conflict, Forbidden, PolicyError, StoreUnavailable
from connector.odrl.truth import Stage
from connector.ports.clock import Clock
from connector.ports.ledger import Book, BookChange, PostingKind
from connector.ports.store import Store

_RESERVED_FOR = timedelta(seconds=60)
_METERED_EVERY = timedelta(seconds=10)
_LET_GO = timedelta(seconds=30)
_AFTER_A_FAULT = timedelta(seconds=1)
_REFUSED = "refused"
_FOREVER = datetime.max.replace(tzinfo=UTC)


@dataclass(slots=True, eq=False)
class Running:
    """One use that was granted; implements the port `Use`."""

    usages: Usages
    key: str
    """Under which the ledger knows it; empty where the terms ask for no record, and uses are tallied together."""
    process: Transfer
    case: Case
    used: tuple[str, ...]
    terms: Kept
    free_until: datetime | None = None
    """Until when nothing can change the decision; None: each request is to be asked about."""
    has_begun: bool = False
    is_over: bool = False
    metered_at: datetime | None = None
    begun_s: float = 0.0
    """When it began, on the clock that only goes forward."""

    @property
    def place(self) -> Place:
        return self.case.agreement.participant, self.case.agreement.id

    async def begin(self) -> None:
        """Data is about to flow.

        Raises: Conflict when the reservation was let go meanwhile, StoreUnavailable.
        """
        self.begun_s = time.monotonic()
        await self.usages.begin(self)

    def end(self, moved_bytes: int) -> None:
        """It is over, or came to nothing."""
        if not self.is_over:
            self.is_over = True
            self.usages.end(self, moved_bytes)
            if self.has_begun:
                measures.PULLS.add(time.monotonic() - self.begun_s, self.process.role)
                measures.PULL_BYTES.add(moved_bytes, self.process.role)


class Usages:
    """The uses of this node, for both sides of an agreement."""

    def __init__(self, store: Store, judge: Judge, reviews: Reviews, clock: Clock) -> None:
        self._store = store
        self._ledger = store.ledger
        self._judge = judge
        self._reviews = reviews
        self._clock = clock
        self._woken = asyncio.Event()
        self._ends: deque[tuple[Running, int, datetime]] = deque()
        self._watched: dict[Place, dict[str, Running]] = {}
        """Running uses whose time is limited."""
        self._flips: dict[Place, datetime] = {}
        """When the time of use under an agreement runs out as things run now."""
        self._looks: deque[Place] = deque()
        """Agreements whose transfers are to be decided about again."""
        self._tallies = Tallies(store.ledger)
        self._cut: Callable[[str, str], Awaitable[None]] | None = None

    # --- asking

    async def book(self, agreement: Agreement) -> Book:
        """The agreement's book, as far as its terms ask for it."""
        try:
            terms = self._judge.terms_of(agreement)
        except PolicyError:
            return EMPTY
        if not terms.asks_ledger:
            return EMPTY
        return await self._ledger.book(agreement.participant, agreement.id) or EMPTY

    async def reserve(self, process: Transfer, case: Case, *, is_push: bool = False, key: str | None = None) -> Running:
        """A use, granted; a push is one use for each start, however often it is taken up again; what has a `key` is one for ever.

        Raises: Forbidden, with what the asker may know of the reasons; StoreUnavailable.
        """
        agreement, now = case.agreement, self._clock.now()
        try:
            terms = case.recalled.terms or self._judge.terms_of(agreement)
        except PolicyError:
            terms = None
        if terms is None or not terms.asks_ledger:
            answer = self._judge.transfer(process, case, now, Stage.REQUEST)
            _granted(answer, agreement)
            assert terms is not None
            free_until = None if terms.asks_each_time else answer.valid_until or _FOREVER
            return Running(self, "", process, case, answer.used, terms, free_until)
        key = push_key(process) if is_push else key or new_urn()
        # a push is ended by its transfer, and taken up again by whoever starts next
        until = None if is_push else now + _RESERVED_FOR
        answers: list[Answer] = []

        def decide(book: Book) -> BookChange:
            book = books.swept(book, now)
            answer = self._judge.transfer(process, replace(case, book=book), now, Stage.REQUEST, also=1)
            answers.append(answer)
            if not answer.judgement.is_acceptable:
                return BookChange(result=_REFUSED)
            after = books.reserved(book, key, answer.used, process.pid, now, until)
            return self._change(after, PostingKind.RESERVED, agreement, now, process, result="\n".join(answer.used))

        posted = await self._ledger.post(agreement.participant, agreement.id, key, decide)
        if answers and not posted.is_repeated:
            _granted(answers[-1], agreement)
        return Running(self, key, process, case, tuple(posted.result.split("\n")), terms)

    # --- by the flow

    async def begin(self, use: Running) -> None:
        """Count `use` for good.

        One that is cancelled while it is written may stay counted, though nothing goes out: what a use sets off (clocks, periods,
        duties that fall due) is not known from the book afterwards, so that it could be taken back.
        """
        now, agreement, terms = self._clock.now(), use.case.agreement, use.terms
        if not terms.asks_ledger:
            if self._tallies.began(use.place, use.used, now):
                self._woken.set()
            use.has_begun = True
            return
        before: list[Book] = []

        def decide(book: Book) -> BookChange:
            before[:] = [book]
            after = books.begun(book, use.key, now, now + _LET_GO, is_watched=terms.asks_time, cycles=terms.cycles)
            if after is None:
                return BookChange(result="")
            return self._change(after, PostingKind.BEGUN, agreement, now, use.process, result="begun")

        try:
            posted = await self._ledger.post(agreement.participant, agreement.id, f"{use.key}:begin", decide)
        except BaseException:
            # what nobody was told of may be written all the same, and then it has consequences
            if before and use.place not in self._looks:
                self._look(use.place)
            raise
        if not posted.result:
            raise Conflict("it took too long until data was there", where=use.process.pid, mend="ask again")
        use.has_begun, use.metered_at = True, now
        if terms.asks_time:
            self._watched.setdefault(use.place, {})[use.key] = use
            self._foresee(use, posted.book)
        if before and (before[-1].total.first_at is None or self._is_used_up(use, posted.book, now)):
            # the first use starts clocks, the last one ends what counts
            self._look(use.place)

    def _look(self, place: Place) -> None:
        self._looks.append(place)
        self._woken.set()

    def _is_used_up(self, use: Running, book: Book, now: datetime) -> bool:
        agreement = use.case.agreement
        view = books.world(book, use.terms, now, agreement.signed_at, use.case.claims, also=1)
        request = use_of(agreement, use.process, use.case.environment)
        return not self._judge.would_permit(use.terms, request, view, use.case.context.duty_mode)

    def end(self, use: Running, moved_bytes: int) -> None:
        """Have the end of `use` posted."""
        if use.terms.asks_ledger:
            self._ends.append((use, moved_bytes, self._clock.now()))
            self._woken.set()
        elif use.has_begun and self._tallies.moved(use.place, use.used, self._clock.now(), moved_bytes):
            self._woken.set()

    async def done(self, process: Transfer, case: Case, moved_bytes: int) -> None:
        """A push has come to its end: its use counts. Again: nothing happens."""
        agreement, now = case.agreement, self._clock.now()
        try:
            terms = self._judge.terms_of(agreement)
        except PolicyError:
            return
        if not terms.asks_ledger:
            answer = self._judge.transfer(process, case, now, Stage.ONGOING)
            if self._tallies.began((agreement.participant, agreement.id), answer.used, now, moved_bytes):
                self._woken.set()
            return
        key = push_key(process)

        def decide(book: Book) -> BookChange:
            rules = book.open[key].rules if key in book.open else ()
            after = books.begun(book, key, now, None, is_watched=False, cycles=terms.cycles)
            if after is None:
                return BookChange(result="")
            after = books.ended(after, key, now, moved_bytes, rules)
            return self._change(after, PostingKind.ENDED, agreement, now, process, moved_bytes=moved_bytes, result="done")

        await self._ledger.post(agreement.participant, agreement.id, f"{key}:end", decide)

    async def let_go(self, process: Transfer, nth: int | None = None) -> None:
        """A push was stopped: what it had reserved when it was started for the `nth` time, the last one by default, is free again."""
        agreement = await self._store.agreement(process.participant, process.agreement_id)
        if agreement is None:
            return
        key, now = push_key(process, nth), self._clock.now()

        def decide(book: Book) -> BookChange:
            if key not in book.open:
                return BookChange()
            return self._change(books.released(book, key), PostingKind.RELEASED, agreement, now, process)

        book = await self.book(agreement)
        if key in book.open:
            await self._ledger.post(agreement.participant, agreement.id, f"{key}:release", decide)

    # --- the worker

    async def run(self) -> None:
        """Post what nobody waits for, until cancelled, and the rest then."""
        try:
            while True:
                moment = self._next()
                try:
                    await self.work()
                    moment = self._next()
                except StoreUnavailable as fault:
                    observe.error("usage.not_posted", waiting=len(self._ends), cause=fault)
                    moment = self._clock.now() + _AFTER_A_FAULT
                await self._clock.wait_until(moment, self._woken)
        finally:
            await self._last()

    async def _last(self) -> None:
        try:
            await self.work(is_last=True)
        except StoreUnavailable as fault:
            observe.error("usage.lost", ends=len(self._ends), tallies=len(self._tallies), cause=fault)

    def _next(self) -> datetime | None:
        moments = [
            use.metered_at + _METERED_EVERY for uses in self._watched.values() for use in uses.values() if use.metered_at
        ]
        moments += self._flips.values()
        if self._tallies.due_at is not None:
            moments.append(self._tallies.due_at)
        return min(moments, default=None)

    async def work(self, *, is_last: bool = False) -> None:
        """Everything whose time has come, and what is tallied in any case if `is_last`.

        Raises: StoreUnavailable; what was not posted waits.
        """
        # 1. ends
        while self._ends:
            use, moved_bytes, at = self._ends[0]
            await self._post_end(use, moved_bytes, at)
            self._ends.popleft()
        now = self._clock.now()
        # 2. time of use that has run out: the transfers are decided about again, and what is our own is cut
        for place in [place for place, at in self._flips.items() if at <= now]:
            del self._flips[place]
            self._looks.append(place)
            for use in tuple(self._watched.get(place, {}).values()):
                if not use.process.is_provider and self._cut is not None:
                    await self._cut(use.process.participant, use.process.pid)
        # 3. decisions made again
        while self._looks:
            await self._reviews.agreement(*self._looks[0])
            self._looks.popleft()
        # 4. time of use
        for uses in tuple(self._watched.values()):
            for use in tuple(uses.values()):
                if use.metered_at is not None and use.metered_at + _METERED_EVERY <= now:
                    await self._meter(use, now)
        # 5. tallies
        if self._tallies.due_at is not None and (is_last or self._tallies.due_at <= now):
            await self._tallies.post(now)

    def connect(self, cut: Callable[[str, str], Awaitable[None]]) -> None:
        """Name what cuts the flows of a transfer of which we are the consumer."""
        self._cut = cut

    async def _post_end(self, use: Running, moved_bytes: int, at: datetime) -> None:
        agreement = use.case.agreement
        uses = self._watched.get(use.place, {})
        uses.pop(use.key, None)

        def decide(book: Book) -> BookChange:
            if not use.has_begun:
                if use.key not in book.open:
                    return BookChange()
                return self._change(books.released(book, use.key), PostingKind.RELEASED, agreement, at, use.process)
            after = books.ended(book, use.key, at, moved_bytes, use.used)
            return self._change(after, PostingKind.ENDED, agreement, at, use.process, moved_bytes=moved_bytes)

        posted = await self._ledger.post(agreement.participant, agreement.id, f"{use.key}:end", decide)
        if uses:
            self._foresee(next(iter(uses.values())), posted.book)
        else:
            self._watched.pop(use.place, None)
            self._flips.pop(use.place, None)

    async def _meter(self, use: Running, now: datetime) -> None:
        agreement = use.case.agreement

        def decide(book: Book) -> BookChange:
            after = books.metered(book, use.key, now, now + _LET_GO, 0)
            if after is None:
                return BookChange()
            return self._change(after, PostingKind.METERED, agreement, now, use.process)

        posted = await self._ledger.post(agreement.participant, agreement.id, f"{use.key}:{now.isoformat()}", decide)
        use.metered_at = now
        self._foresee(use, posted.book)

    def _foresee(self, use: Running, book: Book) -> None:
        """Note when the time of use under the agreement runs out, if all goes on as it does now."""
        answer = self._judge.transfer(use.process, replace(use.case, book=book), self._clock.now(), Stage.ONGOING)
        moment = answer.valid_until if answer.judgement.is_acceptable else self._clock.now()
        if moment is None:
            self._flips.pop(use.place, None)
        else:
            self._flips[use.place] = moment
            self._woken.set()

    def _change(
        self,
        book: Book,
        kind: PostingKind,
        agreement: Agreement,
        now: datetime,
        process: Transfer,
        *,
        moved_bytes: int = 0,
        result: str = "",
    ) -> BookChange:
        terms = self._judge.terms_of(agreement)
        after, next_at = books.settled(book, terms, use_of(agreement, process), now, agreement.signed_at)
        facts = {"transfer": process.pid} | ({"bytes": moved_bytes} if moved_bytes else {})
        return BookChange(book=after, kind=kind, at=now, facts=facts, result=result, next_at=next_at)


def push_key(process: Transfer, nth: int | None = None) -> str:
    """The key of the use that a push makes: one for each time it was started."""
    return f"push:{process.pid}:{nth if nth is not None else process.entries.get(State.STARTED.value, 0)}"


def _granted(answer: Answer, agreement: Agreement) -> None:
    if not answer.judgement.is_acceptable:
        raise Forbidden("; ".join(answer.judgement.reasons), where=agreement.id)
