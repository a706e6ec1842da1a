"""YAML and ODRL are two spellings of one policy: whoever goes there and back has what was there before."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings

from connector.errors import PolicyError
from connector.odrl import jsonld, yamlfmt, yamlwrite
from connector.odrl.jsonld import Shape
from connector.odrl.model import Constraint, Operator, Policy, Value
from connector.odrl.vocabulary import Vocabulary
from tests.examples import examples
from tests.odrl import whole

_LAW = settings(max_examples=examples(10), deadline=None, suppress_health_check=list(HealthCheck))


@given(policy=whole.policies())
@_LAW
def test_odrl_to_yaml_and_to_json_ld_and_back_is_the_same_policy(policy: Policy, vocabulary: Vocabulary) -> None:
    assert jsonld.read(jsonld.write(policy, Shape.ODRL)) == policy
    text = yamlwrite.write(policy, vocabulary)
    assert yamlfmt.read(text, vocabulary) == policy
    # and YAML to ODRL and back is the same text
    assert yamlwrite.write(yamlfmt.read(text, vocabulary), vocabulary) == text


def test_what_is_written_reads_like_what_a_person_writes(vocabulary: Vocabulary) -> None:
    text = """\
policy: urn:example:p
type: offer
title: Wind, for members
permit:
  - use
  - action:
      display: percentage <= 50
    assignee:
      members_of: urn:group:grid
      where: role in [operator, owner]
    when:
      - membership == active
      - any:
          - spatial within EU
          - spatial == CH
      - condition: payAmount == 500 EUR
        id: urn:example:c
    duty:
      action: inform
      informedParty: did:web:provider.example
"""
    assert yamlwrite.write(yamlfmt.read(text, vocabulary), vocabulary) == text


@pytest.mark.parametrize(
    ("policy", "says"),
    [
        ({"@type": "Set"}, "without rules"),
        (
            {"permission": {"action": "use", "constraint": {"or": [{"leftOperand": "count", "operator": "eq", "rightOperand": "1"}]}}},
            "one constraint",
        ),
        ({"permission": {"action": "urn:<x>"}}, "cannot be written"),
    ],
)  # fmt: skip
def test_what_the_language_cannot_hold_is_named(policy: dict[str, object], says: str, vocabulary: Vocabulary) -> None:
    with pytest.raises(PolicyError, match=says):
        yamlwrite.write(jsonld.read(policy), vocabulary)


def test_a_policy_that_the_vocabulary_does_not_know_is_kept_as_it_stands(vocabulary: Vocabulary) -> None:
    tree = {
        "permission": {
            "action": "urn:acme:train",
            "constraint": {"leftOperand": "urn:acme:x", "operator": "eq", "rightOperand": "1"},
        }
    }
    text = yamlwrite.write(jsonld.read(tree), vocabulary)
    assert "action: <urn:acme:train>" in text
    assert "when: <urn:acme:x> == 1" in text
    with pytest.raises(PolicyError, match="unknown left operand"):
        yamlfmt.read(text.replace("<urn:acme:x>", "urn:acme:x"), vocabulary)


def test_a_constraint_with_all_that_may_stand_beside_it(vocabulary: Vocabulary) -> None:
    text = "permit: [{action: use, when: [{condition: count <= 10, id: urn:c, datatype: xsd:integer, status: 3, also: {urn:n: [1, x]}}]}]"
    assert yamlfmt.read(text, vocabulary).permissions[0].constraints == (
        Constraint(
            left="count",
            operator=Operator.LTEQ,
            right=(Value(text="10"),),
            uid="urn:c",
            datatype="http://www.w3.org/2001/XMLSchema#integer",
            status=Value(text="3"),
            extra=(("urn:n", '[1,"x"]'),),
        ),
    )


def test_a_duty_that_stands_twice_is_written_out_once(vocabulary: Vocabulary) -> None:
    text = "permit: [{action: use, duty: [{id: urn:d, action: attribute}]}, {action: read, duty: [{id: urn:d}]}]"
    first, second = yamlfmt.read(text, vocabulary).permissions
    assert first.duties == second.duties
    with pytest.raises(PolicyError, match="no duty `urn:e` is written out"):
        yamlfmt.read(text.replace("[{id: urn:d}]", "[{id: urn:e}]"), vocabulary)
