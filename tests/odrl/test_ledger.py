"""What is on record of past use, where cases do not reach: the calendar, its ends, and operators that mean nothing here."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.odrl import jsonld
from connector.odrl.compile import compile
from connector.odrl.cycles import cycle_of
from connector.odrl.evaluate import decide
from connector.odrl.ledger import later
from connector.odrl.model import Constraint, Policy, Value
from connector.odrl.truth import Decision, LedgerView, Rate, Request, Usage, World
from connector.odrl.values import Duration, parse_duration
from connector.odrl.vocabulary import Vocabulary
from tests.odrl.casefile import NOON


@pytest.mark.parametrize(
    ("start", "duration", "end"),
    [
        ("2027-01-31T00:00:00+00:00", "P1M", "2027-02-28T00:00:00+00:00"),
        ("2028-01-31T00:00:00+00:00", "P1M", "2028-02-29T00:00:00+00:00"),
        ("2027-11-30T06:00:00+00:00", "P1Y3M1DT1H", "2029-03-01T07:00:00+00:00"),
        ("2027-03-31T00:00:00+00:00", "-P1M", "2027-02-28T00:00:00+00:00"),
        ("2027-01-01T01:00:00+02:00", "P1D", "2027-01-01T23:00:00+00:00"),
        ("9999-12-31T00:00:00+00:00", "P1M", None),
        ("2027-01-01T00:00:00+00:00", "P999999Y", None),
    ],
)
def test_a_moment_one_duration_later(start: str, duration: str, end: str | None) -> None:
    parsed = parse_duration(duration)
    assert parsed is not None
    assert later(datetime.fromisoformat(start), parsed) == (datetime.fromisoformat(end) if end else None)


def constraint(operand: str, operator: str, right: str) -> dict[str, Any]:
    one = {"leftOperand": operand, "operator": operator, "rightOperand": right}
    return {"permission": [{"action": "use", "constraint": [one]}]}


@given(
    start=st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC)),
    days=st.integers(0, 400),
    months=st.integers(0, 13),
)
def test_a_permission_of_elapsed_time_ends_exactly_when_it_said(start: datetime, days: int, months: int) -> None:
    text = f"P{months}M{days}D"
    compiled = compile(jsonld.read(constraint("elapsedTime", "lteq", text)), _WORDS, has_ledger=True)
    ledger = LedgerView(total=Usage(first_used_at=start))

    def permits(now: datetime) -> bool:
        return decide(compiled, Request(), World(now=now, ledger=ledger)).is_permitted

    end = later(start, Duration(months, Decimal(days * 86400)))
    assert end is not None
    assert permits(end)
    assert not permits(end + timedelta(microseconds=1))
    decision = decide(compiled, Request(), World(now=start, ledger=ledger))
    assert decision.valid_until == end + timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("operand", "right"), [("count", "3"), ("meteredTime", "PT1H"), ("elapsedTime", "PT1H"), ("delayPeriod", "PT1H")]
)
@pytest.mark.parametrize("operator", ["eq", "neq", "lt", "lteq", "gt", "gteq", "isAnyOf", "isPartOf"])
def test_whatever_is_compared_nothing_raises_and_nothing_is_permitted_without_a_record(
    operand: str, right: str, operator: str, vocabulary: Vocabulary
) -> None:
    compiled = compile(jsonld.read(constraint(operand, operator, right)), vocabulary, has_ledger=True)
    for ledger in (None, LedgerView()):
        assert not decide(compiled, Request(), World(now=NOON, ledger=ledger)).is_permitted
    for usage in (Usage(), Usage(count=3, first_used_at=NOON, triggered_at=NOON, metered=-timedelta(hours=1))):
        decide(compiled, Request(), World(now=NOON, ledger=LedgerView(total=usage)))


def _words() -> Vocabulary:
    import json

    from connector.odrl import vocabulary as words
    from connector.packaged import vocab_file

    return words.load(json.loads(vocab_file("odrl.json").read_text(encoding="utf-8")))


_WORDS = _words()


@given(metered=st.integers(0, 100), starts=st.lists(st.integers(0, 50), min_size=1, max_size=4), limit=st.integers(60, 200))
def test_time_of_use_runs_out_exactly_when_it_said(metered: int, starts: list[int], limit: int) -> None:
    compiled = compile(jsonld.read(constraint("meteredTime", "lteq", f"PT{limit}S")), _WORDS, has_ledger=True)
    running = tuple(NOON - timedelta(seconds=start) for start in starts)
    ledger = LedgerView(total=Usage(metered=timedelta(seconds=metered), running=running))

    def at(now: datetime) -> Decision:
        return decide(compiled, Request(), World(now=now, ledger=ledger))

    first = at(NOON)
    assert first.is_permitted is (metered + sum(starts) <= limit)
    if first.is_permitted:
        assert first.valid_until is not None
        assert not at(first.valid_until).is_permitted
        # each stream adds a microsecond with every microsecond
        assert at(first.valid_until - timedelta(microseconds=2)).is_permitted


def test_time_of_use_does_not_grow_while_nothing_runs() -> None:
    compiled = compile(jsonld.read(constraint("meteredTime", "lteq", "PT1H")), _WORDS, has_ledger=True)
    ledger = LedgerView(total=Usage(metered=timedelta(minutes=59)))
    decision = decide(compiled, Request(), World(now=NOON, ledger=ledger))
    assert decision.is_permitted
    assert decision.valid_until is None


@pytest.mark.parametrize(
    ("period", "moment", "began", "following"),
    [
        ("P1D", "2026-11-29T00:30:00+01:00", "2026-11-28", "2026-11-29"),
        ("PT24H", "2028-02-29T23:59:59+00:00", "2028-02-29", "2028-03-01"),
        ("P7D", "2026-11-29T12:00:00+00:00", "2026-11-23", "2026-11-30"),
        ("P1M", "2028-02-29T12:00:00+00:00", "2028-02-01", "2028-03-01"),
        ("P1Y", "2026-11-29T12:00:00+00:00", "2026-01-01", "2027-01-01"),
        ("P3M", "2026-12-31T12:00:00+00:00", "2026-10-01", "2027-01-01"),
    ],
)
def test_periods_begin_by_the_calendar(period: str, moment: str, began: str, following: str) -> None:
    cycle = cycle_of(period)
    assert cycle is not None
    now = datetime.fromisoformat(moment)
    assert cycle.begin(now) == datetime.fromisoformat(f"{began}T00:00:00+00:00")
    assert cycle.end(now) == datetime.fromisoformat(f"{following}T00:00:00+00:00")


@pytest.mark.parametrize("text", ["P0D", "-P1D", "P1M1D", "day", "P9999Y", "PT0.0000001S"])
def test_what_does_not_repeat_is_no_period(text: str) -> None:
    assert cycle_of(text) is None


def test_a_period_at_the_end_of_the_calendar_has_no_next_one() -> None:
    for text in ("P1D", "P1M"):
        cycle = cycle_of(text)
        assert cycle is not None
        assert cycle.end(datetime.max.replace(tzinfo=UTC)) is None


def test_uses_in_one_period_count_anew_in_the_next_and_the_decision_says_when(everything: Vocabulary) -> None:
    policy = jsonld.read(constraint("tds:frequency", "lteq", "2") | {"profile": "https://w3id.org/kontor/profile/tds"})
    daily = cycle_of("P1D")
    assert daily is not None
    rated = replace_unit(policy, "P1D")
    compiled = compile(rated, everything, has_ledger=True)
    midnight = NOON.replace(hour=0)

    def ask(count: int, now: datetime) -> Decision:
        usage = Usage(rates={daily.key: Rate(began=midnight, count=count, anew=1)})
        return decide(compiled, Request(), World(now=now, ledger=LedgerView(total=usage)))

    tomorrow = midnight + timedelta(days=1)
    assert ask(2, NOON).is_permitted
    refused = ask(3, NOON)
    assert not refused.is_permitted
    assert refused.valid_until == tomorrow
    assert not ask(3, tomorrow - timedelta(microseconds=1)).is_permitted
    assert ask(3, tomorrow).is_permitted
    # a clock that was put back gives nobody what was used up
    assert not ask(3, midnight - timedelta(hours=1)).is_permitted
    # and without a record, or without a period, nothing is permitted
    for ledger in (None, LedgerView(), LedgerView(total=Usage(count=1))):
        assert not decide(compiled, Request(), World(now=NOON, ledger=ledger)).is_permitted
    assert "names no period" in str(compile(policy, everything, has_ledger=True).warnings)


def replace_unit(policy: Policy, unit: str) -> Policy:
    (rule,) = policy.permissions
    (one,) = rule.constraints
    assert isinstance(one, Constraint)
    return replace(policy, permissions=(replace(rule, constraints=(replace(one, unit=Value(text=unit)),)),))


@pytest.mark.parametrize(("days", "permits"), [(27, True), (29, False), (32, False)])
@pytest.mark.parametrize("is_running", [True, False])
def test_time_of_use_in_months_counts_what_runs_and_is_permitted_only_for_sure(
    days: int, permits: bool, is_running: bool, vocabulary: Vocabulary
) -> None:
    compiled = compile(jsonld.read(constraint("meteredTime", "lteq", "P1M")), vocabulary, has_ledger=True)
    spent = timedelta(days=days)
    usage = Usage(running=(NOON - spent,)) if is_running else Usage(metered=spent)
    decision = decide(compiled, Request(), World(now=NOON, ledger=LedgerView(total=usage)))
    assert decision.is_permitted is permits
    if is_running and permits:
        assert decision.valid_until == NOON - spent + timedelta(days=28, microseconds=1)


def test_what_was_used_before_never_makes_a_limit_larger(vocabulary: Vocabulary) -> None:
    for operand, right, status in (("count", "10", "-8"), ("elapsedTime", "PT1H", "-P1D"), ("elapsedTime", "PT1H", "-P1M")):
        tree = constraint(operand, "lteq", right)
        tree["permission"][0]["constraint"][0]["status"] = status
        compiled = compile(jsonld.read(tree), vocabulary, has_ledger=True)
        usage = Usage(count=5, first_used_at=NOON)
        assert not decide(compiled, Request(), World(now=NOON, ledger=LedgerView(total=usage))).is_permitted
