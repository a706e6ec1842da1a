"""Times that are joined hold exactly when their members say so, and many windows decide as fast as one."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from connector.odrl import jsonld
from connector.odrl.compile import compile
from connector.odrl.evaluate import decide
from connector.odrl.explain import sentence
from connector.odrl.premises import Group
from connector.odrl.truth import Code, Effect, Request, Stage, World
from connector.odrl.vocabulary import Vocabulary
from connector.odrl.windows import Times, intersection, union
from tests.odrl.casefile import NOON

_HOUR = timedelta(hours=1)
times = st.builds(
    lambda is_first, hours: Times(is_first, tuple(NOON + _HOUR * hour for hour in sorted(hours))),
    st.booleans(),
    st.sets(st.integers(-5, 5)),
)


@given(st.lists(times, min_size=1, max_size=5))
def test_joined_times_are_what_their_members_say(members: list[Times]) -> None:
    either, every = union(members), intersection(members)
    for step in range(-13, 14):
        now = NOON + step * _HOUR / 2
        assert either.holds(now) is any(member.holds(now) for member in members)
        assert every.holds(now) is all(member.holds(now) for member in members)


@given(st.lists(times, min_size=1, max_size=4))
def test_the_next_flip_is_the_first_change(members: list[Times]) -> None:
    whole = union(members)
    for step in range(-7, 8):
        now = NOON + step * _HOUR
        later = [NOON + other * _HOUR for other in range(step + 1, 8)]
        assert whole.next_flip(now) == next((each for each in later if whole.holds(each) is not whole.holds(now)), None)


def window(start: datetime, end: datetime, name: str = "dateTime") -> dict[str, Any]:
    return {
        "and": [
            {"leftOperand": name, "operator": "gt", "rightOperand": start.isoformat()},
            {"leftOperand": name, "operator": "lteq", "rightOperand": end.isoformat()},
        ]
    }


def policy(*windows: dict[str, Any]) -> dict[str, Any]:
    return {"permission": [{"action": "use", "constraint": [{"or": list(windows)}]}]}


DAYS = [NOON.replace(hour=9) + timedelta(days=day) for day in range(-130, 132)]
WINDOWS = policy(*(window(day, day + 8 * _HOUR) for day in DAYS))


def test_many_windows_are_one_list(vocabulary: Vocabulary) -> None:
    (rule,) = compile(jsonld.read(WINDOWS), vocabulary).rules
    (group,) = rule.trees
    assert isinstance(group, Group)
    assert group.times is not None
    assert len(group.times.flips) == 2 * 262


@given(st.datetimes(datetime(2026, 11, 20), datetime(2026, 11, 26), timezones=st.just(UTC)))
def test_many_windows_decide_as_each_of_them_would(now: datetime) -> None:
    # a session fixture and hypothesis do not mix
    decision = decide(_COMPILED, Request(), World(now=now))
    assert decision.is_permitted is any(day < now <= day + 8 * _HOUR for day in DAYS)
    assert decision.valid_until is not None
    before = decide(_COMPILED, Request(), World(now=decision.valid_until - timedelta(microseconds=1)))
    after = decide(_COMPILED, Request(), World(now=decision.valid_until))
    assert before.effect is decision.effect is not after.effect


def test_a_refusal_among_many_windows_is_one_reason_unless_all_are_asked_for(vocabulary: Vocabulary) -> None:
    compiled, world = compile(jsonld.read(WINDOWS), vocabulary), World(now=NOON + 8 * _HOUR)
    refused = decide(compiled, Request(), world)
    assert sentence(refused) == "refused: now is in none of 262 times; the next begins 2026-11-23T09:00:00.000001Z"
    assert len(refused.reasons) == 2
    assert len(decide(compiled, Request(), world, trace=True).reasons) == 2 + 3 * 262


def test_windows_that_are_not_judged_yet_are_deferred(vocabulary: Vocabulary) -> None:
    decision = decide(jsonld.read(WINDOWS), Request(), World(now=NOON), vocabulary, stage=Stage.NEGOTIATE)
    assert (decision.effect, [item.operand for item in decision.deferred]) == (Effect.PERMIT, ["dateTime"])
    assert decision.deferred[0].code is Code.STAGE_DEFERRED


def test_windows_of_two_operands_or_from_the_agreement_stay_apart(vocabulary: Vocabulary) -> None:
    end = NOON + _HOUR
    relative = {"leftOperand": "inForceDate", "operator": "lteq", "rightOperand": "contractAgreement+30d"}
    for other in (window(NOON, end, "inForceDate"), relative):
        (rule,) = compile(jsonld.read(policy(window(NOON, end), other)), vocabulary).rules
        assert isinstance(rule.trees[0], Group)
        assert rule.trees[0].times is None


def _compiled() -> Any:
    from connector.odrl import vocabulary as words
    from connector.packaged import vocab_file

    core, base = (json.loads(vocab_file(name).read_text(encoding="utf-8")) for name in ("odrl.json", "profiles/base.json"))
    return compile(jsonld.read(WINDOWS), words.load(core, base))


_COMPILED = _compiled()
