"""What a child takes over from its parents, and what it does not."""

from __future__ import annotations

from datetime import datetime

import pytest

from connector.odrl import jsonld
from connector.odrl.inherit import merged
from connector.odrl.model import Constraint, Policy
from connector.odrl.truth import Code, Period, Unknown, Usage


def family(*trees: dict[str, object]) -> dict[str, Policy]:
    return {str(tree["@id"]): jsonld.read(tree) for tree in trees}


def test_what_has_been_accumulated_stays_behind() -> None:
    counted = {"leftOperand": "count", "operator": "lteq", "rightOperand": 10, "status": 5}
    parents = family({"@id": "urn:p", "permission": [{"action": "use", "constraint": [{"and": [counted, counted]}, counted]}]})
    whole = merged(jsonld.read({"@id": "urn:c", "inheritFrom": "urn:p"}), parents)
    assert isinstance(whole, Policy)
    group, single = whole.permissions[0].constraints
    assert isinstance(single, Constraint)
    assert not isinstance(group, Constraint)
    assert [each.status for each in (single, *group.members) if isinstance(each, Constraint)] == [None] * 3


def test_rules_of_a_parent_are_told_by_its_name() -> None:
    parents = family({"@id": "urn:p", "permission": [{"action": "use", "duty": [{"action": "attribute"}]}]})
    whole = merged(jsonld.read({"inheritFrom": "urn:p", "permission": [{"action": "read"}]}), parents)
    assert isinstance(whole, Policy)
    assert [rule.where for rule in whole.permissions] == ["policy.permission[0]", "urn:p.permission[0]"]
    assert whole.permissions[1].duties[0].where == "urn:p.permission[0].duty[0]"
    assert whole.inherit_from == ()


def test_a_long_line_of_ancestors_is_no_problem_and_an_endless_one_is_refused() -> None:
    line = [{"@id": f"urn:{number}", "inheritFrom": f"urn:{number + 1}"} for number in range(400)]
    whole = merged(jsonld.read(line[0]), family(*line, {"@id": "urn:400", "permission": [{"action": "use"}]}))
    assert isinstance(whole, Policy)
    assert len(whole.permissions) == 1
    circle = family(*line, {"@id": "urn:400", "inheritFrom": "urn:7"})
    refused = merged(jsonld.read(line[0]), circle)
    assert isinstance(refused, Unknown)
    assert refused.code is Code.CYCLE


def test_a_moment_of_the_ledger_has_a_zone() -> None:
    for make in (lambda moment: Usage(first_used_at=moment), lambda moment: Period(began=moment)):
        with pytest.raises(ValueError, match="time zone"):
            make(datetime(2026, 11, 22))
