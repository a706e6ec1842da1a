"""What a policy leaves out is said once, and judged all the same."""

from __future__ import annotations

from typing import Any

import pytest

from connector.odrl import jsonld
from connector.odrl.compile import compile
from connector.odrl.evaluate import decide
from connector.odrl.truth import LedgerView, Request, Usage, World
from connector.odrl.vocabulary import Vocabulary
from tests.odrl.casefile import NOON

BASE = "https://w3id.org/kontor/profile/base"


def said(tree: dict[str, Any], vocabulary: Vocabulary) -> dict[str, str]:
    return {one.code: one.what for one in compile(jsonld.read(tree), vocabulary, has_ledger=True).warnings}


def constrained(left: str, operator: str, right: str) -> dict[str, Any]:
    constraint = {"leftOperand": left, "operator": operator, "rightOperand": right}
    return {"permission": [{"action": "use", "target": "urn:t", "constraint": [constraint]}]}


@pytest.mark.parametrize(
    ("tree", "codes"),
    [
        ({"permission": [{"action": "use", "target": "urn:t"}]}, set()),
        ({"target": "urn:t", "action": "use", "permission": [{"@id": "urn:r"}]}, set()),
        ({"permission": [{"target": "urn:t"}]}, {"no-action"}),
        ({"permission": [{"action": "use"}]}, set()),
        ({"permission": [{"action": "use", "target": "urn:t"}, {"action": "use"}]}, {"no-target"}),
        ({"permission": [{"action": "use", "target": "urn:t"}], "obligation": [{"action": "transfer"}]}, set()),
        ({"permission": [{"action": "play", "target": "urn:t"}]}, {"no-profile"}),
        ({"profile": BASE, "permission": [{"action": "play", "target": "urn:t"}]}, set()),
    ],
)
def test_what_the_information_model_asks_for_is_missed(tree: dict[str, Any], codes: set[str], vocabulary: Vocabulary) -> None:
    assert set(said(tree, vocabulary)) == codes
    request = Request(action="play" if "play" in str(tree) else "use", target="urn:t")
    assert decide(jsonld.read(tree), request, World(now=NOON), vocabulary).is_permitted


def test_many_rules_without_a_target_are_one_remark(vocabulary: Vocabulary) -> None:
    found = said({"permission": [{"action": "use", "target": "urn:t"}, *[{"action": "use"}] * 3]}, vocabulary)
    assert found == {"no-target": "3 rules have no target; it is about any asset"}


@pytest.mark.parametrize(
    ("text", "is_odd"), [("P60M", True), ("PT60M", False), ("P6M", False), ("P2Y6M", False), ("P60D", False)]
)
def test_months_that_look_like_minutes_are_asked_about_and_stay_months(text: str, is_odd: bool, vocabulary: Vocabulary) -> None:
    tree = constrained("elapsedTime", "lteq", text)
    assert ("W-MONTHS" in said(tree, vocabulary)) is is_odd
    # two hours after the first use, only minutes are over
    used = LedgerView(total=Usage(first_used_at=NOON.replace(hour=10), count=1))
    decision = decide(jsonld.read(tree), Request(target="urn:t"), World(now=NOON, ledger=used), vocabulary)
    assert decision.is_permitted is (text != "PT60M")
