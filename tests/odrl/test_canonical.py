"""Equal terms are equal whatever their order and spelling; different terms are not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from connector.odrl import canonical
from connector.odrl.canonical import Part

C1 = {"leftOperand": "purpose", "operator": "isAnyOf", "rightOperand": ["research", "education"]}
C2 = {"leftOperand": "dateTime", "operator": "lt", "rightOperand": "2027-01-01Z"}


def policy(*constraints: Any, **more: Any) -> dict[str, Any]:
    return {"@type": "Offer", "@id": "urn:o", "permission": [{"action": "use", "constraint": list(constraints)}], **more}


SAME: list[tuple[str, Any, Any]] = [
    ("order of constraints", policy(C1, C2), policy(C2, C1)),
    ("order of values", policy(C1), policy({**C1, "rightOperand": ["education", "research"]})),
    ("duplicates", policy(C1, C1), policy(C1)),
    ("an and where a conjunction stands", policy({"and": [C1, C2]}), policy(C1, C2)),
    ("a nested and", policy({"and": [C1, {"and": [C2, C1]}]}), policy(C1, C2)),
    ("order in an or", policy({"or": [C1, C2]}), policy({"or": [C2, C1]})),
    ("string or IRI", policy({**C2, "rightOperand": "urn:x"}), policy({**C2, "rightOperand": {"@id": "urn:x"}})),
    ("single or array", policy({**C1, "rightOperand": ["a"]}), policy({**C1, "rightOperand": "a"})),
    ("types of inner nodes", policy({**C1, "@type": "Constraint"}), policy(C1)),
    ("blank node ids", policy({**C1, "@id": "_:b0"}), policy(C1)),
    ("the default strategy", policy(C1, conflict="invalid"), policy(C1)),
    ("empty keys", policy(C1, prohibition=[], profile=[]), policy(C1)),
    (
        "a value object",
        policy(C1, **{"urn:x": [{"@value": "5", "@type": "xsd:integer"}, "a"]}),
        policy(C1, **{"urn:x": ["a", 5.0]}),
    ),
    ("a truth value", policy(C1, **{"urn:x": {"@value": "true", "@type": "xsd:boolean"}}), policy(C1, **{"urn:x": [True]})),
    (
        "a node inside",
        policy(C1, **{"urn:x": {"@id": "_:b", "dct:title": "t", "urn:y": None}}),
        policy(C1, **{"urn:x": {"http://purl.org/dc/terms/title": ["t"]}}),
    ),
    (
        "a prefix of its own",
        policy(C1, **{"@context": {"ex": "urn:ex:"}, "urn:x": {"ex:y": {"@id": "ex:z"}}}),
        policy(C1, **{"urn:x": {"urn:ex:y": {"@id": "urn:ex:z"}}}),
    ),
    ("a profile as string", policy(C1, profile="urn:p"), policy(C1, profile=["urn:p"])),
]


@pytest.mark.parametrize(("a", "b"), [pytest.param(a, b, id=name) for name, a, b in SAME])
def test_the_same_in_other_words_is_the_same(a: Any, b: Any) -> None:
    assert canonical.canonical(a) == canonical.canonical(b)
    assert canonical.digest(a) == canonical.digest(b)


DIFFERENT: list[tuple[str, Any, Any]] = [
    ("a value", policy(C1), policy({**C1, "rightOperand": ["research"]})),
    ("an operator", policy(C2), policy({**C2, "operator": "lteq"})),
    ("a constraint more", policy(C1, C2), policy(C1)),
    ("another rule", policy(C1), {**policy(C1), "prohibition": [{"action": "sell"}]}),
    ("the kind of rule", policy(C1), {"@type": "Offer", "@id": "urn:o", "prohibition": policy(C1)["permission"]}),
    ("order in a sequence", policy({"andSequence": [C1, C2]}), policy({"andSequence": [C2, C1]})),
    ("a member twice in an xone", policy({"xone": [C1, C1, C2]}), policy({"xone": [C1, C2]})),
    ("the kind of logic", policy({"or": [C1, C2]}), policy({"and": [C1, C2]})),
    ("a typed value", policy({**C1, "rightOperand": 5}), policy({**C1, "rightOperand": "5"})),
    ("an unknown property", policy({**C1, "urn:x": 1}), policy(C1)),
    ("a form of a number", policy({**C1, "urn:x": {"@value": "05", "@type": "xsd:integer"}}), policy({**C1, "urn:x": 5})),
    ("a list", policy({**C1, "urn:x": {"@list": [1, 2]}}), policy({**C1, "urn:x": {"@list": [2, 1]}})),
    ("an unknown property of the policy", policy(C1, **{"urn:x": 1}), policy(C1)),
    ("an and with a name", policy({"and": [C1, C2], "@id": "urn:n"}), policy(C1, C2)),
    ("a profile", policy(C1, profile="urn:p"), policy(C1)),
    ("a strategy", policy(C1, conflict="perm"), policy(C1)),
    (
        "the target of a rule",
        policy(C1),
        {"@type": "Offer", "permission": [{**policy(C1)["permission"][0], "target": "urn:x"}]},
    ),
    ("a duty", policy(C1), {"@type": "Offer", "permission": [{**policy(C1)["permission"][0], "duty": [{"action": "delete"}]}]}),
]


@pytest.mark.parametrize(("a", "b"), [pytest.param(a, b, id=name) for name, a, b in DIFFERENT])
def test_other_terms_are_not_the_same(a: Any, b: Any) -> None:
    assert not canonical.same(a, b)
    assert canonical.digest(a) != canonical.digest(b)


def test_an_agreement_is_the_same_as_the_offer_it_was_made_of() -> None:
    agreement = policy(
        C1,
        **{
            "@type": "Agreement",
            "@id": "urn:a",
            "target": "urn:t",
            "assigner": "did:p",
            "assignee": "did:c",
            "timestamp": "2026",
        },
    )
    assert canonical.same(policy(C1), agreement)
    assert not canonical.same(policy(C1), agreement, frozenset({Part.UID, Part.TYPE}))
    assert canonical.roles_differ(policy(C1), agreement) == ()


def test_a_role_that_both_name_differently_is_named() -> None:
    assert canonical.roles_differ(
        policy(C1, target="urn:a", assigner="did:p"), policy(C1, target="urn:b", assigner="did:p")
    ) == ("target",)


def test_what_an_edc_offers_and_what_it_agrees_to_are_the_same(official: Path) -> None:
    folder = official / "edc-wire" / "edc-0.15.1-push"
    request = json.loads((folder / "03-to-provider-negotiations-request-200.json").read_text(encoding="utf-8"))["request"]
    answer = json.loads((folder / "04-to-consumer-negotiations-agreement-200.json").read_text(encoding="utf-8"))["request"]
    refused = json.loads((folder / "08-to-consumer-negotiations-agreement-400.json").read_text(encoding="utf-8"))["request"]
    offer, agreement = request["offer"], answer["agreement"]
    assert canonical.same(offer, agreement)
    assert canonical.roles_differ(offer, agreement) == ()
    assert canonical.same(offer, refused["agreement"])
