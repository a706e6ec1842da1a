"""What the case files cannot say: compiled policies, flips of the clock, many rules, and what a decision never does."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from connector.errors import PolicyError
from connector.odrl import jsonld
from connector.odrl.compile import compile
from connector.odrl.evaluate import decide
from connector.odrl.model import Severity
from connector.odrl.truth import Code, Effect, Request, Stage, Unknown, World
from connector.odrl.vocabulary import Vocabulary
from tests.odrl.casefile import NOON

WORLD = World(now=NOON)


def window(start: datetime, end: datetime) -> dict[str, Any]:
    return {
        "action": "use",
        "constraint": [
            {"leftOperand": "dateTime", "operator": "gteq", "rightOperand": start.isoformat()},
            {"leftOperand": "dateTime", "operator": "lt", "rightOperand": end.isoformat()},
        ],
    }


def test_an_unknown_has_no_truth_value() -> None:
    with pytest.raises(TypeError):
        bool(Unknown(code=Code.VALUE_MISSING, detail="nothing is known"))


def test_a_naive_clock_is_a_mistake_of_the_caller(vocabulary: Vocabulary) -> None:
    with pytest.raises(ValueError, match="time zone"):
        decide(jsonld.read({}), Request(), World(now=datetime(2026, 11, 22)), vocabulary)


def test_a_policy_that_is_not_compiled_needs_the_vocabulary() -> None:
    with pytest.raises(ValueError, match="vocabulary"):
        decide(jsonld.read({}), Request(), WORLD)


def test_a_permit_on_the_hot_path_carries_no_reasons(vocabulary: Vocabulary) -> None:
    compiled = compile(jsonld.read({"permission": [{"action": "use"}]}), vocabulary)
    assert decide(compiled, Request(), WORLD).reasons == ()
    assert [reason.code for reason in decide(compiled, Request(), WORLD, trace=True).reasons] == [Code.PERMITTED]


def test_the_decision_flips_exactly_when_it_said(vocabulary: Vocabulary) -> None:
    days = [NOON + timedelta(days=number) for number in range(-10, 400)]
    rules = [window(days[number], days[number + 1]) for number in range(0, 400, 3)]
    compiled = compile(jsonld.read({"permission": rules}), vocabulary)
    now = NOON
    effects = []
    for _ in range(30):
        decision = decide(compiled, Request(), World(now=now))
        effects.append(decision.effect)
        assert decision.valid_until is not None
        before = decide(compiled, Request(), World(now=decision.valid_until - timedelta(microseconds=1)))
        after = decide(compiled, Request(), World(now=decision.valid_until))
        assert before.effect is decision.effect
        assert after.effect is not decision.effect
        now = decision.valid_until
    assert {Effect.PERMIT, Effect.DENY} == set(effects)


def test_a_flip_beyond_many_edges_that_change_nothing_is_never_late(vocabulary: Vocabulary) -> None:
    rules: list[dict[str, Any]] = [{"action": "use", "constraint": window(NOON, NOON + timedelta(days=500))["constraint"]}]
    rules += [window(NOON + timedelta(days=number), NOON + timedelta(days=number, hours=1)) for number in range(1, 200)]
    decision = decide(jsonld.read({"permission": rules}), Request(), WORLD, vocabulary)
    assert decision.valid_until is not None
    assert NOON < decision.valid_until <= NOON + timedelta(days=500)


def test_the_right_rule_is_found_among_many(vocabulary: Vocabulary) -> None:
    rules = [{"action": "use", "target": f"urn:asset:{number}", "assignee": f"did:{number}"} for number in range(5_000)]
    compiled = compile(jsonld.read({"permission": rules}), vocabulary)
    assert decide(compiled, Request(target="urn:asset:4711", party="did:4711"), WORLD).is_permitted
    refused = decide(compiled, Request(target="urn:asset:4711", party="did:4712"), WORLD)
    assert not refused.is_permitted
    assert len(refused.reasons) < 5
    assert len(decide(compiled, Request(target="urn:other", party="did:1"), WORLD).reasons) < 100


def test_compiling_says_what_can_never_be_judged(vocabulary: Vocabulary) -> None:
    tree = {
        "permission": [
            {
                "action": "urn:acme:frobnicate",
                "target": "urn:t",
                "constraint": [
                    {"leftOperand": "urn:acme:x", "operator": "eq", "rightOperand": "1"},
                    {"leftOperand": "dateTime", "operator": "lt", "rightOperand": "2027-01-01"},
                    {"andSequence": [{"leftOperand": "count", "operator": "lteq", "rightOperand": 3}] * 2},
                ],
            }
        ]
    }
    said = {(warning.code, warning.severity) for warning in compile(jsonld.read(tree), vocabulary).warnings}
    assert said == {
        ("action-unknown", Severity.ERROR),
        ("operand-unknown", Severity.ERROR),
        ("state-missing", Severity.ERROR),
        ("W-TZ", Severity.WARNING),
        ("no-history", Severity.WARNING),
    }


def test_a_product_beyond_all_measure_is_refused(vocabulary: Vocabulary) -> None:
    many = [f"urn:{number}" for number in range(1_000)]
    rule = {"action": "use", "target": many, "assignee": many}
    with pytest.raises(PolicyError, match="atomic rules"):
        compile(jsonld.read({"permission": [rule]}), vocabulary)


def test_every_stage_has_an_answer(vocabulary: Vocabulary) -> None:
    tree = {"permission": [window(NOON, NOON + timedelta(days=1))]}
    effects = {stage: decide(jsonld.read(tree), Request(), WORLD, vocabulary, stage=stage).effect for stage in Stage}
    assert set(effects.values()) == {Effect.PERMIT}


def test_a_clock_in_another_zone_flips_at_the_same_instant(vocabulary: Vocabulary) -> None:
    tree = {"permission": [window(NOON, datetime(2027, 1, 1, tzinfo=UTC))]}
    decision = decide(jsonld.read(tree), Request(), World(now=datetime.fromisoformat("2026-12-01T00:00:00+08:00")), vocabulary)
    assert decision.valid_until == datetime(2027, 1, 1, tzinfo=UTC)
