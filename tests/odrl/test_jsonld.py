"""A policy is read whatever its spelling, written back whole, and refused with its path when it is none."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from connector.errors import PolicyError
from connector.odrl import canonical, jsonld, wire
from connector.odrl.evaluate import decide
from connector.odrl.jsonld import Shape
from connector.odrl.model import Operator, Severity, Value
from connector.odrl.truth import Request, World
from connector.odrl.vocabulary import Vocabulary
from tests.odrl.casefile import NOON


def constraint(left: str = "purpose", operator: str = "eq", right: Any = "research") -> dict[str, Any]:
    return {"leftOperand": left, "operator": operator, "rightOperand": right}


def permit(*constraints: Any, **more: Any) -> dict[str, Any]:
    return {"permission": [{"action": "use", "constraint": list(constraints)}], **more}


SPELLINGS: list[dict[str, Any]] = [
    {"@type": "Offer", "@id": "urn:o", **permit(constraint())},
    {"type": "Offer", "uid": "urn:o", "permission": {"action": ["use"], "constraint": constraint()}},
    {
        "@type": "odrl:Offer",
        "@id": "urn:o",
        "odrl:permission": {
            "@type": "odrl:Permission",
            "odrl:action": {"@id": "odrl:use"},
            "odrl:constraint": {
                "@type": "odrl:Constraint",
                "odrl:leftOperand": {"@id": "odrl:purpose"},
                "odrl:operator": {"@id": "odrl:eq"},
                "odrl:rightOperand": {"@value": "research"},
            },
        },
    },
    {
        "@type": ["http://www.w3.org/ns/odrl/2/Offer"],
        "@id": "urn:o",
        "http://www.w3.org/ns/odrl/2/permission": [
            {
                "http://www.w3.org/ns/odrl/2/action": [{"@id": "http://www.w3.org/ns/odrl/2/use"}],
                "http://www.w3.org/ns/odrl/2/constraint": [
                    {
                        "http://www.w3.org/ns/odrl/2/and": [
                            {
                                "@list": [
                                    {
                                        "http://www.w3.org/ns/odrl/2/leftOperand": [
                                            {"@id": "http://www.w3.org/ns/odrl/2/purpose"}
                                        ],
                                        "http://www.w3.org/ns/odrl/2/operator": [{"@id": "http://www.w3.org/ns/odrl/2/eq"}],
                                        "http://www.w3.org/ns/odrl/2/rightOperand": [
                                            {"@value": "research", "@type": "http://www.w3.org/2001/XMLSchema#string"}
                                        ],
                                    }
                                ]
                            }
                        ]
                    }
                ],
            }
        ],
    },
    {
        "@context": {"o": "http://www.w3.org/ns/odrl/2/"},
        "@type": "o:Offer",
        "@id": "urn:o",
        "o:permission": {"o:action": {"odrl:type": "use"}, "o:constraint": constraint()},
    },
]


@pytest.mark.parametrize("tree", SPELLINGS, ids=["compact", "single", "prefixed", "expanded", "own prefix"])
def test_every_spelling_is_the_same_policy(tree: dict[str, Any]) -> None:
    assert canonical.canonical(tree) == canonical.canonical(SPELLINGS[0])


@pytest.mark.parametrize(
    ("right", "value"),
    [
        ("x", Value(text="x")),
        (5, Value(text="5", datatype="http://www.w3.org/2001/XMLSchema#integer")),
        (5.0, Value(text="5", datatype="http://www.w3.org/2001/XMLSchema#integer")),
        (2.5, Value(text="2.5", datatype="http://www.w3.org/2001/XMLSchema#double")),
        (True, Value(text="true", datatype="http://www.w3.org/2001/XMLSchema#boolean")),
        ({"@id": "odrl:policyUsage"}, Value(text="policyUsage", is_iri=True)),
        ({"@value": "5", "@type": "xsd:integer"}, Value(text="5", datatype="http://www.w3.org/2001/XMLSchema#integer")),
        ({"@value": 5}, Value(text="5", datatype="http://www.w3.org/2001/XMLSchema#integer")),
        ({"@value": "x", "@type": "xsd:string"}, Value(text="x")),
        ({"@value": "Wind", "@language": "de"}, Value(text="Wind", language="de")),
    ],
    ids=str,
)
def test_a_right_operand_keeps_its_form(right: Any, value: Value) -> None:
    policy = jsonld.read(permit(constraint(right=right)))
    found = policy.permissions[0].constraints[0]
    assert found.right == (value,)  # type: ignore[union-attr]
    assert jsonld.read(jsonld.write(policy)) == policy


def test_the_slip_for_neq_in_the_official_context_is_understood() -> None:
    policy = jsonld.read(permit(constraint(operator="http://www.w3.org/ns/odrl/2/neg")))
    assert policy.permissions[0].constraints[0].operator is Operator.NEQ  # type: ignore[union-attr]


def test_a_policy_without_rules_is_read_with_a_warning() -> None:
    policy = jsonld.read({"@id": "urn:o", "@type": "Offer"})
    assert not policy.has_rules
    assert [(warning.code, warning.severity) for warning in policy.warnings] == [("no-rule", Severity.WARNING)]


def test_unknown_properties_are_kept_and_written_back() -> None:
    tree = permit(**{"@type": "Offer", "@id": "urn:o", "dct:title": {"@value": "Wind", "@language": "de"}})
    written = jsonld.write(jsonld.read(tree))
    assert written["http://purl.org/dc/terms/title"] == {"@value": "Wind", "@language": "de"}


BROKEN: list[tuple[Any, str, str]] = [
    ([], "policy", "an object"),
    ("urn:o", "policy", "an object"),
    ({"permission": "use"}, "policy.permission", "write an object"),
    ({"permission": [None]}, "policy.permission[0]", "nothing"),
    ({"permission": [{"action": 5}]}, "policy.permission[0].action", "a number"),
    ({"permission": [{"action": ""}]}, "policy.permission[0].action", "an empty name"),
    ({"permission": [{"action": "use", "remedy": {"action": "delete"}}]}, "policy.permission[0].remedy", "belong"),
    ({"permission": [{"permission": [{"action": "use"}], "action": "use"}]}, "policy.permission[0].permission", "contains"),
    ({"@type": ["Offer", "Agreement"]}, "policy.@type", "disjoint"),
    ({"conflict": "permit"}, "policy.conflict", "`perm`"),
    ({"target": {"foo": "urn:a"}}, "policy.target", "neither"),
    ({"odrl:target": "urn:a", "target": "urn:b"}, "policy.target", "twice"),
    ({"@context": {"odrl": "urn:other:"}}, "policy.@context", "redefines"),
    (permit({}), "policy.permission[0].constraint[0]", "without `leftOperand`"),
    (permit("urn:c"), "policy.permission[0].constraint[0]", "a string"),
    (permit({"and": []}), "policy.permission[0].constraint[0].and", "empty"),
    (permit({"or": None}), "policy.permission[0].constraint[0].or", "empty"),
    (permit({"xone": [constraint()], "or": [constraint()]}), "policy.permission[0].constraint[0]", "both"),
    (permit({"nand": [constraint()]}), "policy.permission[0].constraint[0].nand", "`and`"),
    (permit({"or": [constraint()], **constraint()}), "policy.permission[0].constraint[0]", "both"),
    (permit({**constraint(), "operator": "equals"}), "policy.permission[0].constraint[0].operator", "unknown operator"),
    (permit({**constraint(), "operator": ["eq", "neq"]}), "policy.permission[0].constraint[0].operator", "2 operators"),
    (permit({**constraint(), "leftOperand": []}), "policy.permission[0].constraint[0].leftOperand", "0 left operands"),
    (permit({"leftOperand": "count", "operator": "eq"}), "policy.permission[0].constraint[0].rightOperand", "without a right"),
    (permit(constraint(right=[])), "policy.permission[0].constraint[0].rightOperand", "without a right"),
    (permit(constraint(right={"x": 1})), "policy.permission[0].constraint[0].rightOperand", "no value"),
    (permit(constraint(right={"@value": {"@value": 1}})), "policy.permission[0].constraint[0].rightOperand", "inside"),
    (permit(constraint(right=10**5000)), "policy.permission[0].constraint[0].rightOperand", "40 digits"),
    (permit(constraint(right=float("nan"))), "policy.permission[0].constraint[0].rightOperand", "finite"),
    (permit({**constraint(), "rightOperandReference": "urn:x"}), "policy.permission[0].constraint[0]", "both"),
    (permit({**constraint(), "unit": ["a", "b"]}), "policy.permission[0].constraint[0].unit", "2 values"),
]


@pytest.mark.parametrize(("tree", "where", "says"), BROKEN, ids=[where for _, where, _ in BROKEN])
def test_what_is_no_policy_is_refused_with_its_path(tree: Any, where: str, says: str) -> None:
    with pytest.raises(PolicyError) as caught:
        jsonld.read(tree)
    assert caught.value.where == where
    assert says in str(caught.value)


def test_nesting_has_a_bound() -> None:
    deep: dict[str, Any] = constraint()
    for _ in range(5_000):
        deep = {"and": [deep, constraint()]}
    with pytest.raises(PolicyError, match="nested deeper"):
        jsonld.read(permit(deep))


def test_the_path_begins_where_the_caller_says() -> None:
    with pytest.raises(PolicyError) as caught:
        jsonld.read({"permission": "use"}, "offer")
    assert caught.value.where == "offer.permission"


def test_the_wire_shape_has_arrays_and_no_empty_keys_and_no_bare_numbers() -> None:
    tree = jsonld.write(jsonld.read(permit({"or": [constraint(right=5), constraint(right=["a", "b"])]}, **{"@id": "urn:o"})))
    rule = {
        "action": "use",
        "constraint": [
            {
                "or": [
                    constraint(right={"@value": "5", "@type": "http://www.w3.org/2001/XMLSchema#integer"}),
                    constraint(right=["a", "b"]),
                ]
            }
        ],
    }
    assert tree == {"@type": "Set", "@id": "urn:o", "permission": [rule]}


RICH: dict[str, Any] = {
    "@type": "Agreement",
    "@id": "urn:o",
    "assigner": "did:p",
    "assignee": {"@type": "PartyCollection", "source": "urn:g", "refinement": [constraint("role")]},
    "target": [{"@type": "AssetCollection", "@id": "urn:c"}, "urn:a"],
    "conflict": "perm",
    "profile": ["urn:p1", "urn:p2"],
    "inheritFrom": ["urn:parent"],
    "timestamp": "2026-11-22T12:00:00Z",
    "permission": [
        {
            "@id": "urn:r",
            "action": [{"rdf:value": {"@id": "odrl:print"}, "refinement": [constraint("resolution", "lteq", 5)]}, "read"],
            "output": "urn:out",
            "informedParty": "did:i",
            "duty": [{"action": "attribute", "consequence": [{"action": "compensate"}]}],
            "constraint": [
                {"andSequence": [constraint(), {**constraint("payAmount", "eq", "5"), "unit": "urn:EUR", "status": 3}]}
            ],
        }
    ],
    "prohibition": [{"action": "sell", "remedy": [{"action": "delete"}]}],
    "obligation": [{"action": "delete", "constraint": [{**constraint(), "dataType": "xsd:string", "@id": "urn:k"}]}],
}


def test_the_odrl_shape_loses_nothing() -> None:
    policy = jsonld.read(RICH)
    assert jsonld.read(jsonld.write(policy, Shape.ODRL)) == policy


def test_what_cannot_travel_is_named() -> None:
    policy = jsonld.read(RICH)
    with pytest.raises(PolicyError, match="a refined action"):
        jsonld.write(policy)
    said = {finding.what for finding in wire.cannot_travel(policy)}
    assert {"a collection", "2 targets", "inheritance", "the conflict strategy", "a duty", "a remedy"} <= said


def test_what_dsp_has_no_term_for_keeps_its_prefix() -> None:
    tree = jsonld.write(jsonld.read({**permit(), "conflict": "perm"}))
    assert tree["odrl:conflict"] == "perm"


def _policies(tree: Any) -> Iterator[dict[str, Any]]:
    if isinstance(tree, dict):
        if tree.get("@type") in ("Offer", "Agreement"):
            yield tree
        for value in tree.values():
            yield from _policies(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from _policies(value)


def _official_policies(official: Path) -> list[tuple[str, dict[str, Any]]]:
    files = [*sorted((official / "dsp" / "example").glob("*.json")), *sorted((official / "edc-wire").rglob("*.json"))]
    return [(path.name, tree) for path in files for tree in _policies(json.loads(path.read_text(encoding="utf-8")))]


def test_every_official_policy_survives_a_round_trip(official: Path) -> None:
    found = _official_policies(official)
    assert len(found) > 20
    for name, tree in found:
        policy = jsonld.read(tree)
        written = jsonld.write(policy, Shape.DSP if policy.has_rules else Shape.ODRL)
        # the same tree, save that a single profile and the like may be an array
        assert jsonld.read(written) == policy, name
        assert canonical.same(tree, written, frozenset()), name


def test_what_we_write_obeys_the_official_schema(official: Path) -> None:
    import jsonschema_rs

    schema = json.loads((official / "dsp" / "schema" / "contract-schema.json").read_text(encoding="utf-8"))
    validator = jsonschema_rs.validator_for({**schema, "allOf": [{"$ref": "#/definitions/PolicyClass"}]})
    for name, tree in _official_policies(official):
        policy = jsonld.read(tree)
        if policy.has_rules:
            assert validator.is_valid(jsonld.write(policy)), name


@pytest.mark.parametrize(
    ("key", "kind"),
    [("permission", "Prohibition"), ("prohibition", "Permission"), ("permission", "Duty"), ("obligation", "Permission")],
)
def test_a_rule_of_another_type_is_refused(key: str, kind: str) -> None:
    with pytest.raises(PolicyError, match=f"a {key} of type `{kind}`"):
        jsonld.read({key: [{"action": "use", "@type": kind}]})


MEMBERS = [{"leftOperand": "membership", "operator": "eq", "rightOperand": "active"}]


@pytest.mark.parametrize(
    "context",
    [
        {"p": "odrl:prohibition"},
        {"p": {"@id": "odrl:prohibition", "@type": "@id"}},
        {"p": "o:prohibition", "o": "http://www.w3.org/ns/odrl/2/"},
    ],
)
def test_an_alias_is_followed_however_its_context_writes_it(context: dict[str, Any]) -> None:
    # the prohibition behind it would have been taken for a remark
    found = jsonld.read({"@context": context, "permission": [{"action": "use"}], "p": [{"action": "print"}]})
    assert [rule.actions[0].name for rule in found.prohibitions] == ["print"]


@pytest.mark.parametrize("meant", [None, "http://example.org/constraint", {"@type": "@id"}])
def test_a_context_that_gives_a_word_of_odrl_another_meaning_is_refused(meant: Any) -> None:
    with pytest.raises(PolicyError, match="redefines `constraint`"):
        jsonld.read({"@context": {"constraint": meant}, "permission": [{"action": "use", "constraint": MEMBERS}]})


def test_a_context_inside_a_policy_is_refused() -> None:
    rule = {"action": "use", "@context": {"q": "http://www.w3.org/ns/odrl/2/"}, "q:constraint": MEMBERS}
    with pytest.raises(PolicyError, match="a context inside a policy") as caught:
        jsonld.read({"permission": [rule]})
    assert caught.value.where == "policy.permission[0].@context"


@pytest.mark.parametrize(
    "key",
    [
        "https://www.w3.org/ns/odrl/2/constraint",
        "http://w3.org/ns/odrl#anything",
        "https://w3id.org/gaia-x/ovc/1/constraint",
        "https://w3id.org/edc/v0.0.1/ns/constraint",
        "q:constraint",
        "w:odrl/2/refinement",
    ],
)
def test_a_condition_of_another_namespace_is_not_taken_for_a_remark(key: str, vocabulary: Vocabulary) -> None:
    tree = {"@type": "Agreement", "permission": [{"action": "use", key: MEMBERS}]}
    assert not decide(jsonld.read(tree), Request(), World(now=NOON), vocabulary).is_permitted
    tree = {"@type": "Agreement", "permission": [{"action": "use", "https://example.org/note": MEMBERS}]}
    assert decide(jsonld.read(tree), Request(), World(now=NOON), vocabulary).is_permitted
