"""What may be posted to a book of the usage ledger, as pure functions from book to book, and how the policy engine sees a book.

A use is counted from the moment at which it is reserved: whoever asks next finds it counted. It is counted for good when it has
begun. What was reserved or runs and is let go (its node died) is put right by whoever posts next: a reservation is as if it
had never been, and of a use that ran the time up to its last sign of life counts.
What does not live here: when to post (`usage.py`, `records.py`), and keeping books (`storage/`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from functools import lru_cache, partial

from connector.controlplane.kept import Kept
from connector.odrl.cycles import Cycle
from connector.odrl.duties import Phase, Standing, standings
from connector.odrl.truth import NO_DUTIES, DutyState, LedgerView, Period, Rate, Request, Usage, World
from connector.odrl.units import currency
from connector.ports.ledger import Book, Consent, DutyEntry, OpenUse, Recent, Use

POLICY_USAGE = "policyUsage"
"""The event of use itself (ODRL Vocabulary, 4.10)."""
_ROUNDS = 8
"""A consequence may have consequences; deeper than this nobody means it."""
_NO_TIME = timedelta(0)
EMPTY = Book()
"""Nothing is on record, or the terms ask for nothing that is."""


# --- uses


def swept(book: Book, now: datetime) -> Book:
    """The book without what was let go."""
    if all(one.until is None or one.until > now for one in book.open.values()):
        return book
    return replace(book, open={key: one for key, one in book.open.items() if one.until is None or one.until > now})


def reserved(book: Book, key: str, rules: tuple[str, ...], process: str, now: datetime, until: datetime | None) -> Book:
    """One use more, not begun yet."""
    return replace(book, open={**book.open, key: OpenUse(rules=rules, process=process, since=now, until=until)})


def released(book: Book, key: str) -> Book:
    """A reservation that came to nothing."""
    return replace(book, open={name: one for name, one in book.open.items() if name != key})


def begun(
    book: Book, key: str, now: datetime, until: datetime | None, *, is_watched: bool, cycles: tuple[Cycle, ...] = ()
) -> Book | None:
    """The use `key` counted for good, in each of the `cycles` in the period in which it was reserved; it stays open while its time
    is watched. None when it was let go meanwhile."""
    found = book.open.get(key)
    if found is None:
        return None
    rest = released(book, key)
    if is_watched:
        rest = replace(rest, open={**rest.open, key: replace(found, since=now, until=until, has_begun=True)})
    return _on_all(rest, found.rules, lambda use: _once_more(use, now, found.since, cycles))


def metered(book: Book, key: str, now: datetime, until: datetime | None, moved_bytes: int) -> Book | None:
    """The time since the last look, and `moved_bytes` more, added to the running use `key`; None when it does not run."""
    found = book.open.get(key)
    if found is None or not found.has_begun:
        return None
    gone = max(now - found.since, _NO_TIME)
    kept = replace(book, open={**book.open, key: replace(found, since=max(now, found.since), until=until)})
    return _on_all(kept, found.rules, lambda use: _more(use, gone, moved_bytes, now))


def ended(book: Book, key: str, now: datetime, moved_bytes: int, rules: tuple[str, ...]) -> Book:
    """The use `key` over: its last time and bytes added, as far as they were watched."""
    after = metered(book, key, now, None, moved_bytes)
    if after is not None:
        return released(after, key)
    return _on_all(released(book, key), rules, lambda use: _more(use, _NO_TIME, moved_bytes, now))


def tallied(book: Book, rules: Mapping[tuple[str, ...], Use]) -> Book:
    """Uses that happened, by the rules that they were uses of."""
    for keys, more in rules.items():
        book = _on_all(book, keys, partial(added, more))
    return book


def _on_all(book: Book, rules: tuple[str, ...], change: Callable[[Use], Use]) -> Book:
    uses = dict(book.uses)
    for rule in rules:
        uses[rule] = change(uses.get(rule, Use()))
    return replace(book, uses=uses, total=change(book.total))


def _once_more(use: Use, now: datetime, reserved_at: datetime, cycles: tuple[Cycle, ...]) -> Use:
    rates = {**use.rates, **{cycle.key: _recent(use, cycle, reserved_at) for cycle in cycles}} if cycles else use.rates
    return replace(use, count=use.count + 1, first_at=use.first_at or now, last_at=max(use.last_at or now, now), rates=rates)


def _recent(use: Use, cycle: Cycle, at: datetime) -> Recent:
    known, began = use.rates.get(cycle.key), cycle.begin(at)
    # a clock that was put back goes on counting in the period that has begun
    if known is None or known.began < began:
        return Recent(began=began, count=1)
    return replace(known, count=known.count + 1)


def _more(use: Use, time: timedelta, moved_bytes: int, now: datetime) -> Use:
    return replace(
        use, metered=use.metered + time, moved_bytes=use.moved_bytes + moved_bytes, last_at=max(use.last_at or now, now)
    )


def added(use: Use, more: Use) -> Use:
    """Both together."""
    moments = [at for at in (use.first_at, more.first_at) if at is not None]
    lasts = [at for at in (use.last_at, more.last_at) if at is not None]
    return replace(
        use,
        count=use.count + more.count,
        metered=use.metered + more.metered,
        moved_bytes=use.moved_bytes + more.moved_bytes,
        first_at=min(moments, default=None),
        last_at=max(lasts, default=None),
    )


# --- what only people know


def paid(book: Book, amount: Decimal, unit: str, rule: str | None) -> Book:
    """`amount` of the currency `unit` more, for one rule or for whatever asks for money."""
    unit = currency(unit)
    use = book.total if rule is None else book.uses.get(rule, Use())
    after = replace(use, paid={**use.paid, unit: use.paid.get(unit, Decimal(0)) + amount})
    return replace(book, total=after) if rule is None else replace(book, uses={**book.uses, rule: after})


def performed(book: Book, duty: str, state: DutyState, now: datetime, note: str) -> Book:
    """The duty as somebody says it stands."""
    return replace(book, duties={**book.duties, duty: DutyEntry(state=state, at=now, note=note)})


def consented(book: Book, by: str, now: datetime, *, is_withdrawn: bool) -> Book:
    """A consent given, or withdrawn."""
    known = book.consents.get(by)
    if is_withdrawn:
        after = replace(known or Consent(given_at=now), withdrawn_at=now)
    else:
        after = Consent(given_at=now)
    return replace(book, consents={**book.consents, by: after})


def happened(book: Book, event: str, now: datetime, *, is_over: bool) -> Book:
    """An event begun, or over."""
    known = book.events.get(event, Period())
    after = replace(known, began=known.began or now, ended=now) if is_over else Period(began=now)
    return replace(book, events={**book.events, event: after})


# --- as the engine sees it


def world(
    book: Book,
    terms: Kept,
    now: datetime,
    agreed_at: datetime,
    claims: Mapping[str, object],
    *,
    also: int = 0,
    is_ongoing: bool = False,
) -> World:
    """What the engine is told: what is on record, `also` uses more counted in.

    While a use goes on (`is_ongoing`) it is no "last use" from which an interval would have to pass.
    """
    if book is EMPTY and not terms.cycles:
        # most terms ask for nothing that is on record, with every request: what they are told is always the same
        view = _untouched(terms.rules, agreed_at, also)
    else:
        view = _view(swept(book, now), terms, now, agreed_at, also, is_ongoing)
    duties = NO_DUTIES if book is EMPTY and not terms.prices else _duties(book, terms)
    return World(now=now, claims=claims, agreed_at=agreed_at, ledger=view, duties=duties)


@lru_cache(maxsize=1024)
def _untouched(rules: tuple[str, ...], agreed_at: datetime, also: int) -> LedgerView:
    """`_view` of an empty book under terms without periods."""
    none = Usage(count=also, triggered_at=agreed_at)
    return LedgerView(usages=dict.fromkeys(rules, none), total=none)


def _view(book: Book, terms: Kept, now: datetime, agreed_at: datetime, also: int, is_ongoing: bool) -> LedgerView:
    everything = tuple(book.open.values())
    total = _usage(book.total, everything, {}, agreed_at, also, is_ongoing)
    usages: dict[str, Usage] = {}
    for key in terms.rules:
        use, opened = book.uses.get(key, Use()), [one for one in everything if key in one.rules]
        usages[key] = _usage(use, opened, book.total.paid, agreed_at, also, is_ongoing)
        if terms.cycles:
            waiting = sum(not one.has_begun for one in opened)
            rates = {cycle.key: _rate(use, cycle, now, waiting, also) for cycle in terms.cycles}
            usages[key] = replace(usages[key], rates=rates)
    events = dict(book.events)
    if total.first_used_at is not None:
        events[POLICY_USAGE] = Period(began=total.first_used_at, ended=None if everything else book.total.last_at)
    return LedgerView(usages=usages, total=total, events=events)


def _usage(
    use: Use, opened: Iterable[OpenUse], shared: Mapping[str, Decimal], agreed_at: datetime, also: int, is_ongoing: bool
) -> Usage:
    waiting = [one.since for one in opened if not one.has_begun]
    running = tuple(one.since for one in opened if one.has_begun)
    firsts = [*waiting, *([use.first_at] if use.first_at is not None else ())]
    lasts = [*waiting, *running, *([use.last_at] if use.last_at is not None else ())]
    paid_ = {unit: use.paid.get(unit, Decimal(0)) + shared.get(unit, Decimal(0)) for unit in {**use.paid, **shared}}
    return Usage(
        count=use.count + len(waiting) + also,
        metered=use.metered,
        running=running,
        first_used_at=min(firsts, default=None),
        last_used_at=None if is_ongoing else max(lasts, default=None),
        triggered_at=agreed_at,
        paid=paid_,
    )


def _rate(use: Use, cycle: Cycle, now: datetime, waiting: int, also: int) -> Rate:
    known, began = use.rates.get(cycle.key), cycle.begin(now)
    if known is None or known.began < began:
        return Rate(began=began, count=waiting + also, anew=also)
    return Rate(began=known.began, count=known.count + waiting + also, anew=also)


def _duties(book: Book, terms: Kept) -> dict[str, DutyState]:
    """The states on record; what was paid and consented to fulfils the duties that ask for it."""
    states = {key: entry.state for key, entry in book.duties.items()}
    for key in terms.consents if book.consents else ():
        if any(one.withdrawn_at is None for one in book.consents.values()):
            states[key] = DutyState.FULFILLED
        elif states.get(key) is DutyState.FULFILLED:
            del states[key]
    for key, price in terms.prices.items():
        due = states.get(key, DutyState.PENDING) is DutyState.PENDING
        if due and all(book.total.paid.get(unit, Decimal(0)) >= amount for unit, amount in price):
            states[key] = DutyState.FULFILLED
    return states


# --- duties and the clock


def standing(book: Book, terms: Kept, request: Request, now: datetime, agreed_at: datetime) -> tuple[Standing, ...]:
    """The duties as they stand."""
    return standings(terms.compiled, request, world(book, terms, now, agreed_at, {}))


def settled(book: Book, terms: Kept, request: Request, now: datetime, agreed_at: datetime) -> tuple[Book, datetime | None]:
    """The book with what the clock has done to it, and the first moment at which it does more.

    What was not done in time is violated from then on, and what is due in consequence is pending.
    """
    book = swept(book, now)
    for _ in range(_ROUNDS):
        late = {
            one.key: DutyEntry(state=DutyState.VIOLATED, at=one.deadline or now, note="not done in time")
            for one in standing(book, terms, request, now, agreed_at)
            if one.phase is Phase.VIOLATED and one.key not in book.duties
        }
        known = {**book.duties, **late}
        broken = {key for key, entry in known.items() if entry.state is DutyState.VIOLATED}
        following = {
            one.key: DutyEntry(state=DutyState.PENDING, at=now)
            for duty in terms.duties
            if duty.key in broken
            for one in duty.consequences
            if one.key not in book.duties
        }
        if not late and not following:
            break
        book = replace(book, duties={**following, **late, **book.duties})
    moments = [
        at
        for one in standing(book, terms, request, now, agreed_at)
        if one.phase in (Phase.PENDING, Phase.DUE, Phase.INACTIVE)
        for at in (one.due_at, one.deadline)
        if at is not None and at > now
    ]
    moments += [one.until for one in book.open.values() if one.until is not None]
    return book, min(moments, default=None)
