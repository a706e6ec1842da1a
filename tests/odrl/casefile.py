"""Case files: facts, a request and the decision to expect, as `policies/README.md` describes them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from connector.odrl.evaluate import decide
from connector.odrl.model import Policy
from connector.odrl.truth import Decision, DutyMode, DutyState, Request, Stage, Taxonomy, World
from connector.odrl.vocabulary import Vocabulary

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
_KNOWN = {
    "name",
    "section",
    "policy",
    "stage",
    "given",
    "request",
    "expect",
    "because",
    "missing",
    "deferred",
    "valid_until",
    "duties",
}
_GIVEN = {"now", "claims", "agreed_at", "memberships", "duties", "duty_mode", "taxonomies"}


def cases(path: Path) -> list[dict[str, Any]]:
    """The cases of one file; one case or a list of them."""
    found = yaml.safe_load(path.read_text(encoding="utf-8"))
    return found if isinstance(found, list) else [found]


def decision_of(case: Mapping[str, Any], policy: Policy, vocabulary: Vocabulary) -> Decision:
    """What the engine says to a case, with its reasons."""
    assert set(case) <= _KNOWN, f"unknown words {set(case) - _KNOWN}"
    given = case.get("given", {})
    assert set(given) <= _GIVEN, f"unknown words {set(given) - _GIVEN}"
    return decide(
        policy,
        Request(**case.get("request", {})),
        world_of(given),
        vocabulary,
        stage=Stage(case.get("stage", "request")),
        duty_mode=DutyMode(given.get("duty_mode", "require-fulfilled")),
        trace=True,
    )


def world_of(given: Mapping[str, Any]) -> World:
    agreed_at = given.get("agreed_at")
    return World(
        now=datetime.fromisoformat(given["now"]) if "now" in given else NOON,
        claims=given.get("claims", {}),
        memberships={member: frozenset(groups) for member, groups in given.get("memberships", {}).items()},
        duties={key: DutyState(state) for key, state in given.get("duties", {}).items()},
        agreed_at=datetime.fromisoformat(agreed_at) if agreed_at else None,
        taxonomies={
            name: Taxonomy(parents={value: tuple(above) for value, above in parents.items()})
            for name, parents in given.get("taxonomies", {}).items()
        },
    )


def check(case: Mapping[str, Any], policy: Policy, vocabulary: Vocabulary) -> None:
    """Assert that the engine's decision is the one that a case expects."""
    decision = decision_of(case, policy, vocabulary)
    assert decision.effect.value == case["expect"], decision
    if "because" in case:
        assert case["because"] in {reason.code.value for reason in decision.reasons}, decision.reasons
    if "missing" in case:
        assert {item.operand for item in decision.missing} == set(case["missing"])
    if "deferred" in case:
        assert {item.operand for item in decision.deferred} == set(case["deferred"])
    if "duties" in case:
        assert {f"{duty.action} {duty.state.value}" for duty in decision.duties} == set(case["duties"])
    if "valid_until" in case:
        expected = case["valid_until"]
        assert decision.valid_until == (datetime.fromisoformat(expected) if expected else None)
