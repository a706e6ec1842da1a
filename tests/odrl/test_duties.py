"""Duties as they stand: from when, until when, and what follows."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from connector.app.parts import known_vocabulary
from connector.odrl import jsonld
from connector.odrl.compile import compile
from connector.odrl.duties import Phase, Standing, standings
from connector.odrl.truth import DutyState, LedgerView, Request, Usage, World
from tests.odrl.casefile import NOON

WORDS = known_vocabulary()
DAY = timedelta(days=1)
TICK = timedelta(microseconds=1)


def constraint(left: str, operator: str, right: str) -> dict[str, Any]:
    kind = "xsd:dateTime" if "T" in right and right[0] != "P" else "xsd:date" if right[0] == "2" else "xsd:duration"
    return {"leftOperand": left, "operator": operator, "rightOperand": {"@value": right, "@type": kind}}


def of(*constraints: dict[str, Any], now: datetime = NOON, usage: Usage | None = None, **duties: DutyState) -> Standing:
    tree = {
        "permission": [{"action": "use"}],
        "obligation": [{"uid": "urn:d", "action": "delete", "constraint": [*constraints]}],
    }
    compiled = compile(jsonld.read({"@type": "Agreement", **tree}), WORDS, has_ledger=True)
    recorded = {f"urn:{name}": state for name, state in duties.items()}
    world = World(now=now, agreed_at=NOON, ledger=LedgerView(total=usage or Usage(triggered_at=NOON)), duties=recorded)
    (found,) = standings(compiled, Request(), world)
    return found


def at(days: float) -> str:
    return (NOON + days * DAY).isoformat().replace("+00:00", "Z")


@pytest.mark.parametrize(
    ("operator", "end", "phase"),
    [
        ("lteq", "9999-12-31T23:59:59.999999Z", Phase.DUE),
        ("lt", "9999-12-31T23:59:59-05:00", Phase.DUE),
        ("gt", "9999-12-31T23:59:59.999999Z", Phase.PENDING),
        ("lteq", "0001-01-01T00:00:00Z", Phase.VIOLATED),
        ("gteq", "0001-01-01T00:00:00+14:00", Phase.DUE),
    ],
)
def test_a_date_at_the_end_of_the_calendar_is_a_date(operator: str, end: str, phase: Phase) -> None:
    assert of(constraint("dateTime", operator, end)).phase is phase


@pytest.mark.parametrize(
    ("operator", "days", "phase"),
    [
        ("lteq", 1, Phase.DUE), ("lt", 1, Phase.DUE), ("lt", 0, Phase.VIOLATED), ("lteq", 0, Phase.DUE), ("lteq", -1, Phase.VIOLATED),
        ("gteq", 1, Phase.PENDING), ("gteq", 0, Phase.DUE), ("gt", 0, Phase.PENDING), ("gteq", -5, Phase.DUE),
    ],
)  # fmt: skip
def test_a_date_says_from_when_or_until_when(operator: str, days: float, phase: Phase) -> None:
    assert of(constraint("dateTime", operator, at(days))).phase is phase


def test_a_day_is_a_whole_day() -> None:
    found = of(constraint("dateTime", "eq", f"{NOON + DAY:%Y-%m-%d}"))
    assert found.phase is Phase.PENDING
    assert found.due_at is not None
    assert found.deadline is not None
    assert found.deadline - found.due_at == DAY


def test_a_delay_counts_from_the_agreement_and_an_elapsed_time_from_first_use() -> None:
    delayed = of(constraint("delayPeriod", "gteq", "P2D"))
    assert (delayed.phase, delayed.due_at) == (Phase.PENDING, NOON + 2 * DAY)
    unused = of(constraint("elapsedTime", "lteq", "P2D"))
    assert (unused.phase, unused.deadline) == (Phase.DUE, None)
    used = of(constraint("elapsedTime", "eq", "P2D"), usage=Usage(first_used_at=NOON, triggered_at=NOON))
    assert used.deadline == NOON + 2 * DAY + TICK


@pytest.mark.parametrize("state", [DutyState.FULFILLED, DutyState.WAIVED, DutyState.VIOLATED])
def test_what_is_on_record_counts_whatever_the_clock_says(state: DutyState) -> None:
    late = of(constraint("dateTime", "lt", at(-9)), d=state)
    assert late.phase.value == state.value


def test_a_duty_whose_own_conditions_do_not_hold_is_not_violated_by_its_date() -> None:
    other = {"leftOperand": "purpose", "operator": "eq", "rightOperand": "research"}
    tree = {
        "permission": [{"action": "use"}],
        "obligation": [{"action": "delete", "constraint": [constraint("dateTime", "lt", at(-1)), other]}],
    }
    compiled = compile(jsonld.read({"@type": "Agreement", **tree}), WORDS, has_ledger=True)
    world = World(now=NOON, ledger=LedgerView(total=Usage()))
    for purpose, phase in (("research", Phase.VIOLATED), ("teaching", Phase.INACTIVE)):
        (found,) = standings(compiled, Request(params={"purpose": purpose}), world)
        assert found.phase is phase


def test_a_consequence_is_a_duty_of_its_own_once_its_duty_is_violated() -> None:
    tree = {
        "permission": [{"action": "use"}],
        "obligation": [
            {
                "action": "delete",
                "constraint": [constraint("dateTime", "lt", at(-1))],
                "consequence": [{"action": "compensate"}],
            }
        ],
    }
    compiled = compile(jsonld.read({"@type": "Agreement", **tree}), WORDS, has_ledger=True)
    world = World(now=NOON, ledger=LedgerView(total=Usage()))
    broken, following = standings(compiled, Request(), world)
    assert (broken.phase, following.phase, following.parent) == (Phase.VIOLATED, Phase.DUE, broken.key)
