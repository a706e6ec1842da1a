"""Case files: facts, a request and the decision to expect, as `policies/README.md` describes them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import yaml

from connector.odrl import jsonld
from connector.odrl.compile import compile
from connector.odrl.evaluate import decide
from connector.odrl.model import Policy
from connector.odrl.truth import (
    Decision,
    DutyMode,
    DutyState,
    LedgerView,
    Period,
    Quantity,
    Request,
    Stage,
    Taxonomy,
    Usage,
    World,
)
from connector.odrl.vocabulary import Vocabulary

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
_KNOWN = {
    "name",
    "section",
    "policy",
    "parents",
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
_GIVEN = {"now", "claims", "agreed_at", "memberships", "duties", "duty_mode", "taxonomies", "properties", "ledger"}


def cases(path: Path) -> list[dict[str, Any]]:
    """The cases of one file; one case or a list of them."""
    found = yaml.safe_load(path.read_text(encoding="utf-8"))
    return found if isinstance(found, list) else [found]


def decision_of(case: Mapping[str, Any], policy: Policy, vocabulary: Vocabulary) -> Decision:
    """What the engine says to a case, with its reasons."""
    assert set(case) <= _KNOWN, f"unknown words {set(case) - _KNOWN}"
    given = case.get("given", {})
    assert set(given) <= _GIVEN, f"unknown words {set(given) - _GIVEN}"
    world = world_of(given)
    parents = {tree["@id"]: jsonld.read(tree) for tree in case.get("parents", ())}
    return decide(
        compile(policy, vocabulary, parents=parents, has_ledger=world.ledger is not None),
        Request(**case.get("request", {})),
        world,
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
        properties={
            name: {key: _fact(value) for key, value in row.items()} for name, row in given.get("properties", {}).items()
        },
        ledger=_ledger(given["ledger"]) if "ledger" in given else None,
        taxonomies={
            name: Taxonomy(parents={value: tuple(above) for value, above in parents.items()})
            for name, parents in given.get("taxonomies", {}).items()
        },
    )


def _fact(value: Any) -> Any:
    return Quantity(amount=Decimal(str(value["amount"])), unit=value["unit"]) if isinstance(value, dict) else value


def _ledger(given: Mapping[str, Any]) -> LedgerView:
    return LedgerView(
        usages={key: _usage(row) for key, row in given.get("usages", {}).items()},
        total=_usage(given["total"]) if "total" in given else None,
        events={name: Period(**_moments(row)) for name, row in given.get("events", {}).items()},
        became_true=_moments(given.get("became_true", {})),
    )


def _usage(row: Mapping[str, Any]) -> Usage:
    return Usage(
        count=row.get("count", 0),
        metered=timedelta(seconds=row.get("metered_s", 0)),
        paid={unit: Decimal(str(amount)) for unit, amount in row.get("paid", {}).items()},
        values=row.get("values", {}),
        **_moments({key: row[key] for key in ("first_used_at", "last_used_at", "triggered_at") if key in row}),
    )


def _moments(row: Mapping[str, str]) -> dict[str, datetime]:
    return {key: datetime.fromisoformat(moment) for key, moment in row.items()}


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
